//! Names, resolved by nginx's own resolver while the worker goes on.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::time::Duration;

use ngx::ffi::{
    ngx_http_core_loc_conf_t, ngx_msec_t, ngx_resolve_name, ngx_resolve_name_done,
    ngx_resolver_addr_t, ngx_resolver_ctx_t, ngx_resolver_t, ngx_str_t, ngx_time,
};
use socket2::{SockAddr, SockAddrStorage};

use crate::nginx::sys::{glue, rc};

/// The `resolver` of a location, and its `resolver_timeout`.
#[derive(Clone, Copy)]
pub(in crate::nginx) struct Resolver {
    resolver: NonNull<ngx_resolver_t>,
    timeout: ngx_msec_t,
}

/// What came of a question: the addresses, and for how long they hold; or why there are none.
pub(in crate::nginx) type Outcome = Result<(Vec<SockAddr>, Duration), String>;

/// A question under way.
struct Question {
    /// nginx writes it in lower case.
    name: Vec<u8>,
    port: u16,
    done: Box<dyn FnOnce(Outcome)>,
}

impl Resolver {
    /// The resolver of a location, if it has one.
    ///
    /// # Safety
    /// The configuration is merged.
    pub unsafe fn of(core: &ngx_http_core_loc_conf_t) -> Option<Self> {
        let resolver = NonNull::new(core.resolver)?;
        // SAFETY: nginx's resolver, which lives as long as the configuration. Without a
        // `resolver` directive nginx makes one that has no servers.
        let has_servers = unsafe { resolver.as_ref().connections.nelts != 0 };
        has_servers.then_some(Self { resolver, timeout: core.resolver_timeout })
    }

    /// Asks for the addresses of a name; `done` gets the answer, perhaps before this returns.
    /// Whether it was asked.
    pub fn ask(&self, name: &str, port: u16, done: Box<dyn FnOnce(Outcome)>) -> bool {
        let mut question = Box::new(Question { name: name.as_bytes().to_vec(), port, done });
        let name = ngx_str_t { len: question.name.len(), data: question.name.as_mut_ptr() };
        // SAFETY: the resolver lives as long as the configuration. The question is handed over,
        // and comes back in `on_answer`, once; where nginx fails it does not, and frees its own.
        unsafe {
            let context = glue::resolve_start(self.resolver.as_ptr());
            if context.is_null() {
                return false;
            }
            (*context).name = name;
            (*context).handler = Some(on_answer);
            (*context).timeout = self.timeout;
            (*context).set_cancelable(1);
            let question = Box::into_raw(question);
            (*context).data = question.cast::<c_void>();
            if ngx_resolve_name(context) != rc::OK {
                drop(Box::from_raw(question));
                return false;
            }
        }
        true
    }
}

unsafe extern "C" fn on_answer(context: *mut ngx_resolver_ctx_t) {
    // SAFETY: nginx passes the context that `ask` filled in, and waits for `done`.
    let (question, outcome) = unsafe {
        let question = Box::from_raw((*context).data.cast::<Question>());
        let outcome = match (*context).state {
            0 => Ok((addresses(context, question.port), holds((*context).valid))),
            error => Err(error_text(error)),
        };
        ngx_resolve_name_done(context);
        (question, outcome)
    };
    (question.done)(outcome);
}

/// For how long an answer holds that is valid until `until`.
fn holds(until: i64) -> Duration {
    Duration::from_secs(u64::try_from(until - ngx_time()).unwrap_or(0))
}

unsafe fn addresses(context: *const ngx_resolver_ctx_t, port: u16) -> Vec<SockAddr> {
    // SAFETY: nginx passes an array of addresses of so many elements.
    let found: &[ngx_resolver_addr_t] = unsafe {
        match NonNull::new((*context).addrs) {
            Some(first) => std::slice::from_raw_parts(first.as_ptr(), (*context).naddrs),
            None => &[],
        }
    };
    let with_port = |found: &ngx_resolver_addr_t| {
        let mut storage = SockAddrStorage::zeroed();
        let length = found.socklen.min(storage.size_of());
        // SAFETY: the address has so many bytes, and the storage has room for them.
        let address = unsafe {
            let to = (&raw mut storage).cast::<u8>();
            ptr::copy_nonoverlapping(found.sockaddr.cast::<u8>(), to, length as usize);
            SockAddr::new(storage, length)
        };
        let mut address = address.as_socket()?;
        address.set_port(port);
        Some(SockAddr::from(address))
    };
    found.iter().filter_map(with_port).collect()
}

/// A text of nginx's, for the error log.
fn error_text(error: isize) -> String {
    // SAFETY: nginx returns a C string that is static.
    unsafe {
        let text = ngx::ffi::ngx_resolver_strerror(error);
        if text.is_null() {
            return String::new();
        }
        std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}
