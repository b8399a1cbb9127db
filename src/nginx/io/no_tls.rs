//! In the place of `tls.rs` where nginx was built without OpenSSL: `nginx -t` refuses `rediss://`,
//! so no connection ever comes here.

use ngx::ffi::{ngx_conf_t, ngx_connection_t};

use crate::config::TlsSettings;
use crate::engine::TlsProgress;
use crate::nginx::io::said::Said;
use crate::reason::Reason;
use crate::redis::endpoint::Address;

/// There is none.
pub(in crate::nginx) enum TlsContext {}

/// There is none.
pub(in crate::nginx) enum Tls {}

/// There is none.
#[derive(Default)]
pub(in crate::nginx) struct TlsSession;

impl TlsContext {
    pub unsafe fn new(_: *mut ngx_conf_t, _: &TlsSettings) -> Result<Self, String> {
        Err("the URL asks for TLS, and this nginx was built without it (--with-http_ssl_module)"
            .to_owned())
    }

    pub fn name_of<'a>(&'a self, _: &'a Address) -> &'a str {
        match *self {}
    }
}

impl Tls {
    pub unsafe fn start(
        _: *mut ngx_connection_t,
        context: &TlsContext,
        _: &str,
    ) -> Result<(Self, bool), Reason> {
        match *context {}
    }

    pub unsafe fn outcome(&self, _: *mut ngx_connection_t, _: &Said) -> TlsProgress {
        match *self {}
    }

    pub unsafe fn was_refused(&self, _: *mut ngx_connection_t) -> bool {
        match *self {}
    }

    pub unsafe fn close(self, _: *mut ngx_connection_t) {
        match self {}
    }
}
