//! The lines of one field of a request that another, or none, has taken the place of for a fill.

use ngx::ffi::ngx_str_t;

use crate::nginx::sys::list::Field;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{OutOfMemory, bytes_of, list, str_over};

/// The name of a field, as it is sent and in lower case.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Name {
    pub sent: &'static str,
    pub lowercase: &'static str,
}

impl Name {
    fn is(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.lowercase.as_bytes())
    }
}

/// Lines that another has taken the place of.
pub(in crate::nginx) struct FieldLines {
    name: Name,
    lines: Vec<(ngx_str_t, ngx_str_t)>,
}

impl FieldLines {
    /// Puts one line, or none, in the place of all, and gives its place in the list. A subrequest,
    /// which shares the header of its main request, gets one of its own.
    pub fn replace(
        request: Request,
        name: Name,
        value: Option<&[u8]>,
    ) -> Result<(Self, *mut Field), OutOfMemory> {
        // SAFETY: the request is alive, and its list is not changed while it is read.
        let lines = unsafe {
            list::fields(&raw const (*request.as_ptr()).headers_in.headers)
                .filter(|field| name.is(bytes_of(field.key)))
                .map(|field| (field.key, field.value))
                .collect()
        };
        let headers = request.headers_in();
        match request.is_main() {
            true => headers.remove(|found| name.is(found))?,
            false => headers.separate(|found| name.is(found))?,
        }
        let mut new = std::ptr::null_mut();
        if let Some(value) = value {
            // SAFETY: the request is alive; the value lies in its pool.
            unsafe {
                let value = ngx_str_t::from_bytes(request.pool(), value).ok_or(OutOfMemory)?;
                let sent = str_over(name.sent.as_bytes());
                new = headers.push_as_it_is(sent, Some(name.lowercase), value)?;
            }
        }
        Ok((Self { name, lines }, new))
    }

    /// Puts them back.
    pub fn restore(&self, request: Request) -> Result<(), OutOfMemory> {
        request.headers_in().remove(|found| self.name.is(found))?;
        self.put(request)
    }

    /// Gives them to a subrequest of the request that has lost them.
    pub fn give(&self, request: Request) -> Result<(), OutOfMemory> {
        request.headers_in().separate(|found| self.name.is(found))?;
        self.put(request)
    }

    fn put(&self, request: Request) -> Result<(), OutOfMemory> {
        let headers = request.headers_in();
        for &(name, value) in &self.lines {
            // SAFETY: the strings live as long as the request, or its main one.
            unsafe { headers.push_as_it_is(name, Some(self.name.lowercase), value)? };
        }
        Ok(())
    }
}
