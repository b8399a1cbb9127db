//! The Cookie fields of a request: in the list of its header, where proxies take them from, and where
//! nginx's own variables look.

use ngx::ffi::ngx_str_t;
#[cfg(not(nginx_linked_headers))]
use ngx::ffi::{ngx_array_t, ngx_palloc};

use crate::nginx::sys::list::Field;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, list, str_over};

const NAME: &[u8] = b"Cookie";
const LOWERCASE: &[u8] = b"cookie";

/// Where `$http_cookie` and `$cookie_...` look.
#[cfg(nginx_linked_headers)]
type Slot = *mut Field;
#[cfg(not(nginx_linked_headers))]
type Slot = ngx_array_t;

/// Cookie fields that another has taken the place of.
pub(in crate::nginx) struct CookieLines {
    slot: Slot,
    lines: Vec<(ngx_str_t, ngx_str_t)>,
}

impl CookieLines {
    /// Puts one field, or none, in the place of all. A subrequest, which shares the header of its main
    /// request, gets one of its own.
    pub fn replace(request: Request, field: Option<&[u8]>) -> Result<Self, OutOfMemory> {
        // SAFETY: the request is alive, and the list is its own from here on; the value lies in its
        // pool.
        unsafe {
            let headers = &raw mut (*request.as_ptr()).headers_in.headers;
            let lines = list::fields(headers)
                .filter(|field| is_cookie(super::bytes_of(field.key)))
                .map(|field| (field.key, field.value))
                .collect();
            if request.is_main() {
                list::remove(headers, request.pool(), is_cookie)?;
            } else {
                list::copy_without(headers, request.pool(), is_cookie)?;
            }
            let new = match field {
                Some(value) => {
                    let value = ngx_str_t::from_bytes(request.pool(), value).ok_or(OutOfMemory)?;
                    push(request, str_over(NAME), value)?
                }
                None => std::ptr::null_mut(),
            };
            Ok(Self { slot: set_slot(request, slot_of(request, new)?), lines })
        }
    }

    /// Puts them back.
    pub fn restore(self, request: Request) -> Result<(), OutOfMemory> {
        // SAFETY: as in `replace`, which has seen to it that the list is the request's own.
        unsafe {
            let headers = &raw mut (*request.as_ptr()).headers_in.headers;
            list::remove(headers, request.pool(), is_cookie)?;
            for (name, value) in &self.lines {
                push(request, *name, *value)?;
            }
            set_slot(request, self.slot);
        }
        Ok(())
    }

    /// Gives them to a subrequest of the request that has lost them.
    pub fn give(&self, request: Request) -> Result<(), OutOfMemory> {
        // SAFETY: as in `replace`; the strings live as long as the main request.
        unsafe {
            let headers = &raw mut (*request.as_ptr()).headers_in.headers;
            list::copy_without(headers, request.pool(), is_cookie)?;
            for (name, value) in &self.lines {
                push(request, *name, *value)?;
            }
            set_slot(request, self.slot);
        }
        Ok(())
    }
}

fn is_cookie(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(LOWERCASE)
}

/// # Safety
/// The list is the request's own, and the strings live as long as it.
unsafe fn push(
    request: Request,
    name: ngx_str_t,
    value: ngx_str_t,
) -> Result<*mut Field, OutOfMemory> {
    // SAFETY: the caller guarantees it.
    unsafe {
        let headers = &raw mut (*request.as_ptr()).headers_in.headers;
        list::push(headers, name, LOWERCASE.as_ptr().cast_mut(), value)
    }
}

/// # Safety
/// The request is alive, and what the slot points at lives as long as it.
#[cfg(nginx_linked_headers)]
unsafe fn set_slot(request: Request, slot: Slot) -> Slot {
    // SAFETY: the caller guarantees it.
    unsafe { std::mem::replace(&mut (*request.as_ptr()).headers_in.cookie, slot) }
}

/// See above.
#[cfg(not(nginx_linked_headers))]
unsafe fn set_slot(request: Request, slot: Slot) -> Slot {
    // SAFETY: the caller guarantees it.
    unsafe { std::mem::replace(&mut (*request.as_ptr()).headers_in.cookies, slot) }
}

/// A slot with one field, or with none where it is null.
#[cfg(nginx_linked_headers)]
unsafe fn slot_of(_: Request, field: *mut Field) -> Result<Slot, OutOfMemory> {
    Ok(field)
}

/// See above.
///
/// # Safety
/// The request is alive.
#[cfg(not(nginx_linked_headers))]
unsafe fn slot_of(request: Request, field: *mut Field) -> Result<Slot, OutOfMemory> {
    let size = size_of::<*mut Field>();
    // SAFETY: the array has room for one pointer, which is written before it counts.
    unsafe {
        let elements = ngx_palloc(request.pool(), size).cast::<*mut Field>();
        if elements.is_null() {
            return Err(OutOfMemory);
        }
        elements.write(field);
        Ok(ngx_array_t {
            elts: elements.cast(),
            nelts: usize::from(!field.is_null()),
            size,
            nalloc: 1,
            pool: request.pool(),
        })
    }
}
