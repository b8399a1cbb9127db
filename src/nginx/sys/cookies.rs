//! The Cookie fields of a request: in the list of its header, where proxies take them from, and where
//! nginx's own variables look.

use std::ffi::c_void;
use std::ptr;

use crate::nginx::sys::field_lines::{FieldLines, Name};
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, glue, rc};

const COOKIE: Name = Name { sent: "Cookie", lowercase: "cookie" };

/// Cookie fields that another has taken the place of.
pub(in crate::nginx) struct CookieLines {
    /// Where `$http_cookie` and `$cookie_...` looked.
    before: *mut c_void,
    lines: FieldLines,
}

impl CookieLines {
    /// As [`FieldLines::replace`].
    pub fn replace(request: Request, field: Option<&[u8]>) -> Result<Self, OutOfMemory> {
        let (lines, new) = FieldLines::replace(request, COOKIE, field)?;
        let mut before = ptr::null_mut();
        // SAFETY: the request is alive; the new line is one of its list.
        match unsafe { glue::swap_cookies(request.as_ptr(), new, &raw mut before) } {
            rc::OK => Ok(Self { before, lines }),
            _ => Err(OutOfMemory),
        }
    }

    /// Puts them back.
    pub fn restore(&self, request: Request) -> Result<(), OutOfMemory> {
        self.lines.restore(request)?;
        self.put(request);
        Ok(())
    }

    /// Gives them to a subrequest of the request that has lost them.
    pub fn give(&self, request: Request) -> Result<(), OutOfMemory> {
        self.lines.give(request)?;
        self.put(request);
        Ok(())
    }

    fn put(&self, request: Request) {
        // SAFETY: what lay there before lives as long as the request, or its main one.
        unsafe { glue::put_cookies_back(request.as_ptr(), self.before) };
    }
}
