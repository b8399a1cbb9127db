//! nginx's lists of header fields: reading, adding, and removing without moving an element,
//! because `headers_in` and other modules point at elements.

use std::ptr;

use ngx::ffi::{
    ngx_hash_key, ngx_list_part_t, ngx_list_push, ngx_list_t, ngx_pcalloc, ngx_pool_t, ngx_str_t,
    ngx_table_elt_t,
};

use crate::nginx::sys::{OutOfMemory, bytes_of};

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

/// Removes every field for which `unwanted` holds. The others stay where they are in memory:
/// the part of the list is split around the removed one.
///
/// # Safety
/// As [`fields`]; `pool` lives as long as the list; nothing points at a removed field.
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

/// Takes the element `at` out of `part`. Later parts are never left empty, because nginx's own
/// loops read the first element of each without looking; and `nalloc` says "full" of a last part
/// that lost its spare room, so that the next push begins a new one.
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
        if behind > 0 {
            let rest = ngx_pcalloc(pool, size_of::<ngx_list_part_t>()).cast::<ngx_list_part_t>();
            if rest.is_null() {
                return Err(OutOfMemory);
            }
            (*rest).elts = (*part).elts.cast::<ngx_table_elt_t>().add(at + 1).cast();
            (*rest).nelts = behind;
            (*rest).next = (*part).next;
            (*part).next = rest;
            if (*list).last == part {
                (*list).last = rest;
                (*list).nalloc = behind;
            }
        }
        (*part).nelts = at;
        if at == 0 && !before.is_null() {
            (*before).next = (*part).next;
            if (*list).last == part {
                (*list).last = before;
                (*list).nalloc = (*before).nelts.max(1);
            }
        }
    }
    Ok(())
}
