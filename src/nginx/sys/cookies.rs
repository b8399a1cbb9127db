//! The Cookie fields of a request: in the list of its header, where proxies take them from, and where
//! nginx's own variables look.

use std::ffi::c_void;
use std::ptr;

use ngx::ffi::ngx_str_t;

use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, bytes_of, glue, list, rc, str_over};

const NAME: &[u8] = b"Cookie";
const LOWERCASE: &str = "cookie";

/// Cookie fields that another has taken the place of.
pub(in crate::nginx) struct CookieLines {
    /// Where `$http_cookie` and `$cookie_...` looked.
    before: *mut c_void,
    lines: Vec<(ngx_str_t, ngx_str_t)>,
}

impl CookieLines {
    /// Puts one field, or none, in the place of all. A subrequest, which shares the header of its main
    /// request, gets one of its own.
    pub fn replace(request: Request, field: Option<&[u8]>) -> Result<Self, OutOfMemory> {
        // SAFETY: the request is alive, and its list is not changed while it is read.
        let lines = unsafe {
            list::fields(&raw const (*request.as_ptr()).headers_in.headers)
                .filter(|field| is_cookie(bytes_of(field.key)))
                .map(|field| (field.key, field.value))
                .collect()
        };
        let headers = request.headers_in();
        match request.is_main() {
            true => headers.remove(is_cookie)?,
            false => headers.separate(is_cookie)?,
        }
        let (mut new, mut before) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the request is alive; the value lies in its pool.
        unsafe {
            if let Some(value) = field {
                let value = ngx_str_t::from_bytes(request.pool(), value).ok_or(OutOfMemory)?;
                new = headers.push_as_it_is(str_over(NAME), Some(LOWERCASE), value)?;
            }
            match glue::swap_cookies(request.as_ptr(), new, &raw mut before) {
                rc::OK => Ok(Self { before, lines }),
                _ => Err(OutOfMemory),
            }
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
        // SAFETY: so does what lay there before.
        unsafe { glue::put_cookies_back(request.as_ptr(), self.before) };
        Ok(())
    }
}

fn is_cookie(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(LOWERCASE.as_bytes())
}
