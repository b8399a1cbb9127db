//! What nginx says of a socket: it knows best why a call of the system or of OpenSSL failed, and
//! tells a log. This one keeps the last line for the fault; every attempt as a line of its own
//! would fill the log of the worker, where alerts go as before.

use std::cell::RefCell;
use std::ffi::c_void;

use ngx::ffi::{NGX_LOG_ALERT, NGX_LOG_INFO, ngx_cycle, ngx_log_t, ngx_uint_t, u_char};

use crate::fault::{Fault, said_by_nginx};
use crate::reason::Reason;

/// The log of one socket. nginx holds pointers into it, so it stays where it is.
pub(in crate::nginx) struct Said {
    log: ngx_log_t,
    alerts: ngx_log_t,
    line: RefCell<Vec<u8>>,
}

impl Said {
    pub fn new() -> Box<Self> {
        // SAFETY: the cycle is set while a worker runs; a log is plain data.
        let log = unsafe { *(*ngx_cycle).log };
        let mut said = Box::new(Self { log, alerts: log, line: RefCell::default() });
        said.alerts.log_level = log.log_level.min(NGX_LOG_ALERT as usize);
        said.log.log_level = NGX_LOG_INFO as usize;
        said.log.writer = Some(keep);
        said.log.wdata = (&raw mut said.line).cast::<c_void>();
        said.log.next = &raw mut said.alerts;
        said
    }

    /// The log, for as long as this lives.
    pub fn log(&mut self) -> *mut ngx_log_t {
        &raw mut self.log
    }

    /// A fault for this reason, with what nginx said last.
    pub fn fault(&self, reason: Reason) -> Fault {
        Fault::new(reason, said_by_nginx(&String::from_utf8_lossy(&self.line.borrow())))
    }
}

unsafe extern "C" fn keep(log: *mut ngx_log_t, _: ngx_uint_t, text: *mut u_char, length: usize) {
    // SAFETY: nginx passes the log above, whose data is the line, and text of that length.
    let (line, text) = unsafe {
        let line = (*log).wdata.cast::<RefCell<Vec<u8>>>().as_ref();
        (line, std::slice::from_raw_parts(text, length))
    };
    if let Some(line) = line {
        line.replace(text.to_vec());
    }
}
