//! nginx's lists of header fields: reading, adding, and removing without moving an element,
//! because `headers_in` and other modules point at elements.

use std::ptr;

use ngx::ffi::{
    ngx_hash_key, ngx_list_init, ngx_list_part_t, ngx_list_push, ngx_list_t, ngx_pcalloc,
    ngx_pool_t, ngx_str_t, ngx_table_elt_t,
};

use crate::nginx::sys::{OutOfMemory, bytes_of, rc, str_over};

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

/// The fields of a live request or of its response, to be changed.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Headers {
    list: *mut ngx_list_t,
    pool: *mut ngx_pool_t,
}

impl Headers {
    /// # Safety
    /// The list is one of `ngx_table_elt_t`. It and the pool are those of a request, and are not used
    /// when that is gone.
    pub unsafe fn new(list: *mut ngx_list_t, pool: *mut ngx_pool_t) -> Self {
        Self { list, pool }
    }

    /// Adds a field with a copy of `value`; one of a request has its name in lower case too.
    pub fn push(
        self,
        name: &'static str,
        lowercase_name: Option<&'static str>,
        value: &[u8],
    ) -> Result<(), OutOfMemory> {
        // SAFETY: the pool is that of a live request; names are static.
        unsafe {
            let value = ngx_str_t::from_bytes(self.pool, value).ok_or(OutOfMemory)?;
            self.push_as_it_is(str_over(name.as_bytes()), lowercase_name, value).map(|_| ())
        }
    }

    /// Adds a field, and gives its place.
    ///
    /// # Safety
    /// Its strings live as long as the request's pool.
    pub unsafe fn push_as_it_is(
        self,
        name: ngx_str_t,
        lowercase_name: Option<&'static str>,
        value: ngx_str_t,
    ) -> Result<*mut ngx_table_elt_t, OutOfMemory> {
        let lowercase_name = lowercase_name.map(|name| name.as_ptr().cast_mut());
        // SAFETY: ngx_list_push gives room for one element, or null.
        unsafe {
            let field = ngx_list_push(self.list).cast::<ngx_table_elt_t>();
            if field.is_null() {
                return Err(OutOfMemory);
            }
            ptr::write_bytes(field, 0, 1);
            // Modules find fields of a request by their hash; that of a response is just not 0.
            (*field).hash = lowercase_name.map_or(1, |lowercase| ngx_hash_key(lowercase, name.len));
            (*field).key = name;
            (*field).lowcase_key = lowercase_name.unwrap_or(ptr::null_mut());
            (*field).value = value;
            Ok(field)
        }
    }

    /// Keeps the fields called `name` of a response from being sent.
    pub fn hide(self, name: &str) {
        // SAFETY: the request is alive; every element of a part may be written to.
        unsafe {
            let mut part = &raw mut (*self.list).part;
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

    /// Removes every field for which `unwanted` holds. All of them, the removed ones too, stay where
    /// they are in memory, so that who points at one still reads it: the part of the list is split
    /// around the removed one, and nothing is written over it.
    pub fn remove(self, unwanted: impl Fn(&[u8]) -> bool) -> Result<(), OutOfMemory> {
        // SAFETY: the request is alive; parts and elements are valid, and `split` leaves them so.
        unsafe {
            let mut before: *mut ngx_list_part_t = ptr::null_mut();
            let mut part = &raw mut (*self.list).part;
            while !part.is_null() {
                let elements = (*part).elts.cast::<ngx_table_elt_t>();
                let is_unwanted = |&at: &usize| unwanted(bytes_of((*elements.add(at)).key));
                if let Some(at) = (0..(*part).nelts).find(is_unwanted) {
                    self.split(before, part, at)?;
                }
                // What is left of the part holds nothing unwanted; an empty one is out of the list.
                if before.is_null() || (*before).next == part {
                    before = part;
                }
                part = (*before).next;
            }
        }
        Ok(())
    }

    /// Takes the element `at` out of `part`. Later parts are never left empty, because nginx's own
    /// loops read the first element of each without looking.
    unsafe fn split(
        self,
        before: *mut ngx_list_part_t,
        part: *mut ngx_list_part_t,
        at: usize,
    ) -> Result<(), OutOfMemory> {
        // SAFETY: `at` is below `nelts`; `before` is null, or the part before this one.
        unsafe {
            let was_last = (*self.list).last == part;
            self.part_behind(part, at + 1)?;
            (*part).nelts = at;
            if at == 0 && !before.is_null() {
                (*before).next = (*part).next;
                if (*self.list).last == part {
                    (*self.list).last = before;
                }
            }
            if was_last { self.close() } else { Ok(()) }
        }
    }

    /// Has the next push write where no field is or was.
    fn close(self) -> Result<(), OutOfMemory> {
        const ROOM: usize = 4;
        // SAFETY: the last part is one of the list; a push leaves a full one as it is.
        unsafe {
            let (list, last) = (&mut *self.list, (*self.list).last);
            if (*last).nelts > 0 {
                list.nalloc = (*last).nelts;
                return Ok(());
            }
            let elements = ngx_pcalloc(self.pool, ROOM * list.size);
            if elements.is_null() {
                return Err(OutOfMemory);
            }
            (*last).elts = elements;
            list.nalloc = ROOM;
        }
        Ok(())
    }

    /// Makes a part of the elements of another one from `at` on, if there are any.
    unsafe fn part_behind(self, part: *mut ngx_list_part_t, at: usize) -> Result<(), OutOfMemory> {
        // SAFETY: `at` is at most `nelts`; the pool is that of a live request.
        unsafe {
            let behind = (*part).nelts - at;
            if behind == 0 {
                return Ok(());
            }
            let rest = ngx_pcalloc(self.pool, size_of::<ngx_list_part_t>());
            let rest = rest.cast::<ngx_list_part_t>().as_mut().ok_or(OutOfMemory)?;
            rest.elts = (*part).elts.cast::<ngx_table_elt_t>().add(at).cast();
            rest.nelts = behind;
            rest.next = (*part).next;
            (*part).next = rest;
            if (*self.list).last == part {
                (*self.list).last = rest;
            }
        }
        Ok(())
    }

    /// As [`Self::remove`], of a list that shares its parts with that of another request: it gets a
    /// part of its own before it loses a field.
    pub fn remove_from_copy(self, unwanted: impl Fn(&[u8]) -> bool) -> Result<(), OutOfMemory> {
        // SAFETY: the request is alive; its list does not change while it is read.
        let finds = unsafe { fields(self.list).any(|field| unwanted(bytes_of(field.key))) };
        if finds { self.separate(unwanted) } else { Ok(()) }
    }

    /// Makes a list that shares its parts with that of another request one of its own, without the
    /// fields for which `unwanted` holds.
    pub fn separate(self, unwanted: impl Fn(&[u8]) -> bool) -> Result<(), OutOfMemory> {
        // SAFETY: the new list is initialised before it is used, and has room for all that is kept;
        // the old elements stay, also those that `headers_in` points at.
        unsafe {
            let kept: Vec<&Field> =
                fields(self.list).filter(|field| !unwanted(bytes_of(field.key))).collect();
            let mut own: ngx_list_t = std::mem::zeroed();
            let room = kept.len().max(4);
            if ngx_list_init(&raw mut own, self.pool, room, size_of::<Field>()) != rc::OK {
                return Err(OutOfMemory);
            }
            let elements = own.part.elts.cast::<Field>();
            for (at, field) in kept.iter().enumerate() {
                elements.add(at).write(**field);
            }
            own.part.nelts = kept.len();
            self.list.write(own);
            (*self.list).last = &raw mut (*self.list).part;
        }
        Ok(())
    }
}
