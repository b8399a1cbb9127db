//! The Cookie fields of a request: in the list of its header, where proxies take them from, and where
//! nginx's own variables look.

use ngx::ffi::ngx_str_t;
#[cfg(not(nginx_linked_headers))]
use ngx::ffi::{ngx_array_t, ngx_palloc};

use crate::nginx::sys::list::Field;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, bytes_of, list, str_over};

const NAME: &[u8] = b"Cookie";
const LOWERCASE: &str = "cookie";

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
        let headers = request.headers_in();
        // SAFETY: the request is alive; the value lies in its pool.
        unsafe {
            let lines = list::fields(&raw const (*request.as_ptr()).headers_in.headers)
                .filter(|field| is_cookie(bytes_of(field.key)))
                .map(|field| (field.key, field.value))
                .collect();
            match request.is_main() {
                true => headers.remove(is_cookie)?,
                false => headers.separate(is_cookie)?,
            }
            let mut new = std::ptr::null_mut();
            if let Some(value) = field {
                let value = ngx_str_t::from_bytes(request.pool(), value).ok_or(OutOfMemory)?;
                new = headers.push_as_it_is(str_over(NAME), Some(LOWERCASE), value)?;
            }
            Ok(Self { slot: set_slot(request, slot_of(request, new)?), lines })
        }
    }

    /// Puts them back.
    pub fn restore(self, request: Request) -> Result<(), OutOfMemory> {
        request.headers_in().remove(is_cookie)?;
        self.put(request)
    }

    /// Gives them to a subrequest of the request that has lost them.
    pub fn give(&self, request: Request) -> Result<(), OutOfMemory> {
        request.headers_in().separate(is_cookie)?;
        self.put(request)
    }

    fn put(&self, request: Request) -> Result<(), OutOfMemory> {
        let headers = request.headers_in();
        for &(name, value) in &self.lines {
            // SAFETY: the strings live as long as the request, or its main one.
            unsafe { headers.push_as_it_is(name, Some(LOWERCASE), value)? };
        }
        // SAFETY: so does what the slot points at.
        unsafe { set_slot(request, self.slot) };
        Ok(())
    }
}

fn is_cookie(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(LOWERCASE.as_bytes())
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
