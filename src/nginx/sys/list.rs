//! nginx's lists of header fields: reading, adding, and removing without moving an element,
//! because `headers_in` and other modules point at elements.

use std::ptr;

use ngx::ffi::{
    ngx_hash_key, ngx_list_init, ngx_list_part_t, ngx_list_push, ngx_list_t, ngx_pcalloc,
    ngx_pool_t, ngx_str_t, ngx_table_elt_t,
};

use crate::nginx::sys::{OutOfMemory, bytes_of, rc};

/// A header field.
pub(in crate::nginx) type Field = ngx_table_elt_t;

/// The elements of a list, empty parts skipped.
///
/// # Safety
/// The list is one of `ngx_table_elt_t` and does not change for `'a`.
pub(in crate::nginx) unsafe fn fields<'a>(
    list: *const ngx_list_t,
) -> impl Iterator<Item = &'a ngx_table_elt_t> {
    // SAFETY: the caller guarantees a valid list; `next` of its parts is valid or null, and
    // `elts` of a part holds `nelts` elements.
    unsafe {
        let first: *const ngx_list_part_t = &raw const (*list).part;
        std::iter::successors(Some(first), |part| {
            let next = (**part).next;
            (!next.is_null()).then_some(next.cast_const())
        })
        .filter(|part| (**part).nelts > 0)
        .flat_map(|part| {
            std::slice::from_raw_parts((*part).elts.cast::<ngx_table_elt_t>(), (*part).nelts)
        })
    }
}

/// The values of all fields called `name`.
///
/// # Safety
/// As [`fields`].
pub(in crate::nginx) unsafe fn values<'a>(
    list: *const ngx_list_t,
    name: &str,
) -> impl Iterator<Item = &'a [u8]> {
    // SAFETY: the caller guarantees it; strings of a field live as long as the list.
    unsafe {
        fields(list)
            .filter(move |field| {
                field.hash != 0 && bytes_of(field.key).eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|field| bytes_of(field.value))
    }
}

/// Adds a field whose strings live as long as the request.
///
/// # Safety
/// The list is a request's `headers_in` or `headers_out`, and the request is the main one or the
/// list its own.
pub(in crate::nginx) unsafe fn push(
    list: *mut ngx_list_t,
    name: ngx_str_t,
    lowercase_name: *mut u8,
    value: ngx_str_t,
) -> Result<*mut ngx_table_elt_t, OutOfMemory> {
    // SAFETY: ngx_list_push gives room for one element, or null.
    unsafe {
        let field = ngx_list_push(list).cast::<ngx_table_elt_t>();
        if field.is_null() {
            return Err(OutOfMemory);
        }
        ptr::write_bytes(field, 0, 1);
        // Modules find fields of a request by their hash; that of a response is just not 0.
        (*field).hash = match lowercase_name.is_null() {
            true => 1,
            false => ngx_hash_key(lowercase_name, name.len),
        };
        (*field).key = name;
        (*field).lowcase_key = lowercase_name;
        (*field).value = value;
        Ok(field)
    }
}

/// Keeps the fields called `name` of a response from being sent.
///
/// # Safety
/// The list is a request's `headers_out`.
pub(in crate::nginx) unsafe fn hide(list: *mut ngx_list_t, name: &str) {
    // SAFETY: the caller guarantees it; every element of a part may be written to.
    unsafe {
        let mut part = &raw mut (*list).part;
        while !part.is_null() {
            let elements = (*part).elts.cast::<ngx_table_elt_t>();
            for at in 0..(*part).nelts {
                let field = elements.add(at);
                if bytes_of((*field).key).eq_ignore_ascii_case(name.as_bytes()) {
                    (*field).hash = 0;
                }
            }
            part = (*part).next;
        }
    }
}

/// Removes every field for which `unwanted` holds. All of them, the removed ones too, stay where they
/// are in memory, so that who points at one still reads it: the part of the list is split around the
/// removed one, and nothing is written over it.
///
/// # Safety
/// As [`fields`]; `pool` lives as long as the list.
pub(in crate::nginx) unsafe fn remove(
    list: *mut ngx_list_t,
    pool: *mut ngx_pool_t,
    unwanted: impl Fn(&[u8]) -> bool,
) -> Result<(), OutOfMemory> {
    // SAFETY: parts and elements are valid; `split` leaves the list valid.
    unsafe {
        let mut before: *mut ngx_list_part_t = ptr::null_mut();
        let mut part = &raw mut (*list).part;
        while !part.is_null() {
            let elements = (*part).elts.cast::<ngx_table_elt_t>();
            let found = (0..(*part).nelts).find(|&at| unwanted(bytes_of((*elements.add(at)).key)));
            match found {
                Some(at) => split(list, pool, before, part, at)?,
                None => {
                    before = part;
                    part = (*part).next;
                    continue;
                }
            }
            // The part was cut at `at`: what is left of it holds nothing unwanted; go on behind.
            if before.is_null() || (*before).next == part {
                before = part;
                part = (*part).next;
            } else {
                part = (*before).next;
            }
        }
    }
    Ok(())
}

/// Gives a request a list of its own, in the place of a copy that shares its parts with another's,
/// without the fields for which `unwanted` holds.
///
/// # Safety
/// As [`remove`].
pub(in crate::nginx) unsafe fn copy_without(
    list: *mut ngx_list_t,
    pool: *mut ngx_pool_t,
    unwanted: impl Fn(&[u8]) -> bool,
) -> Result<(), OutOfMemory> {
    // SAFETY: the old list lives in the pool, and so do the elements that others point at; the new
    // one is initialised before it is used.
    unsafe {
        let kept: Vec<&Field> =
            fields(list).filter(|field| !unwanted(bytes_of(field.key))).collect();
        let mut own: ngx_list_t = std::mem::zeroed();
        let room = kept.len().max(4);
        if ngx_list_init(&raw mut own, pool, room, size_of::<Field>()) != rc::OK {
            return Err(OutOfMemory);
        }
        let elements = own.part.elts.cast::<Field>();
        for (at, field) in kept.iter().enumerate() {
            elements.add(at).write(**field);
        }
        own.part.nelts = kept.len();
        list.write(own);
        (*list).last = &raw mut (*list).part;
    }
    Ok(())
}

/// Takes the element `at` out of `part`. Later parts are never left empty, because nginx's own
/// loops read the first element of each without looking.
unsafe fn split(
    list: *mut ngx_list_t,
    pool: *mut ngx_pool_t,
    before: *mut ngx_list_part_t,
    part: *mut ngx_list_part_t,
    at: usize,
) -> Result<(), OutOfMemory> {
    // SAFETY: `at` is below `nelts`; pointers stay within the part's elements.
    unsafe {
        let behind = (*part).nelts - at - 1;
        let was_last = (*list).last == part;
        if behind > 0 {
            let rest = ngx_pcalloc(pool, size_of::<ngx_list_part_t>()).cast::<ngx_list_part_t>();
            if rest.is_null() {
                return Err(OutOfMemory);
            }
            (*rest).elts = (*part).elts.cast::<ngx_table_elt_t>().add(at + 1).cast();
            (*rest).nelts = behind;
            (*rest).next = (*part).next;
            (*part).next = rest;
            if was_last {
                (*list).last = rest;
            }
        }
        (*part).nelts = at;
        if at == 0 && !before.is_null() {
            (*before).next = (*part).next;
            if (*list).last == part {
                (*list).last = before;
            }
        }
        if was_last { close(list, pool) } else { Ok(()) }
    }
}

/// Has the next push write where no field is or was.
unsafe fn close(list: *mut ngx_list_t, pool: *mut ngx_pool_t) -> Result<(), OutOfMemory> {
    const ROOM: usize = 4;
    // SAFETY: the last part is one of the list; a full one is left as it is by a push.
    unsafe {
        let last = (*list).last;
        if (*last).nelts > 0 {
            (*list).nalloc = (*last).nelts;
            return Ok(());
        }
        let elements = ngx_pcalloc(pool, ROOM * (*list).size);
        if elements.is_null() {
            return Err(OutOfMemory);
        }
        (*last).elts = elements;
        (*list).nalloc = ROOM;
    }
    Ok(())
}
