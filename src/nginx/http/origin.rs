//! The scheme, host and port of a request as its client meant them: its own, or what a balancer that
//! `redis_cache_forwarded` believes says of it.

use ngx::ffi::{ngx_hash_key, ngx_http_get_variable, ngx_str_t};

use crate::config::Plan;
use crate::http::forwarded::{self, Forwarded};
use crate::key::{Authority, RequestUri};
use crate::nginx::conf::LocationConf;
use crate::nginx::http::lookup::Lookup;
use crate::nginx::sys::bytes_of;
use crate::nginx::sys::request::Request;
use crate::reason::Reason;

/// Where a request was meant to go.
pub(in crate::nginx) struct Origin<'a> {
    pub scheme: &'static str,
    pub authority: Authority<'a>,
    /// The host as it was written: in the Host field, or in that of the balancer.
    written: Option<&'a [u8]>,
    /// The balancer's field has the scheme and nothing else.
    scheme_is_plain: bool,
}

impl<'a> Origin<'a> {
    /// The request URI with this origin.
    pub fn uri(&self, target: &'a [u8]) -> RequestUri<'a> {
        let Authority { host, port } = self.authority;
        RequestUri { scheme: self.scheme, host, port, target }
    }

    /// Whether the host is there and written as in the key: in lower case, without a trailing dot, and
    /// without the port of the scheme; and the scheme too, where a field has it. Else the application,
    /// which reads them itself, may make another page of them.
    pub fn is_canonical(&self) -> bool {
        self.scheme_is_plain
            && self.written.is_some_and(|written| self.uri(b"/").authority() == written)
    }
}

impl Request {
    /// The origin under what is believed here.
    pub fn origin<'a>(self, plan: &Plan) -> Result<Origin<'a>, Reason> {
        self.origin_by(plan.forwarded.as_ref())
    }

    /// The origin for a variable, which any location may ask for.
    pub fn origin_anywhere<'a>(self) -> Result<Origin<'a>, Reason> {
        let believed = match Lookup::of(self) {
            Some(lookup) => lookup.plan().forwarded.as_ref(),
            None => {
                let conf = LocationConf::of(self.raw());
                conf.and_then(|conf| conf.settings.forwarded.as_ref()?.as_ref())
            }
        };
        self.origin_by(believed)
    }

    fn origin_by<'a>(self, believed: Option<&Forwarded>) -> Result<Origin<'a>, Reason> {
        let believed = believed.filter(|believed| believed.trusts(self.peer()));
        let field = |name: fn(&Forwarded) -> Option<&String>| believed.and_then(name);
        let proto = field(|believed| believed.proto.as_ref());
        let scheme = proto
            .and_then(|name| forwarded::scheme(self.header_values(name)))
            .unwrap_or_else(|| self.scheme());
        let said = proto.and_then(|name| self.header(name));
        let scheme_is_plain = said.is_none_or(|said| said.eq_ignore_ascii_case(scheme.as_bytes()));
        if let Some(name) = field(|believed| believed.host.as_ref()) {
            if let Some(authority) = forwarded::host(self.header_values(name))? {
                let written = self.header_values(name).next();
                return Ok(Origin { scheme, authority, written, scheme_is_plain });
            }
        }
        let (authority, written) = (self.authority()?, self.host_header());
        Ok(Origin { scheme, authority, written, scheme_is_plain })
    }

    /// Whether somebody who is not believed sends a field that would be.
    pub fn forges_origin(self, plan: &Plan) -> bool {
        plan.forwarded.as_ref().is_some_and(|believed| {
            let mut fields = [&believed.proto, &believed.host].into_iter().flatten();
            fields.any(|name| self.has_header(name)) && !believed.trusts(self.peer())
        })
    }

    /// The address that nginx was connected from, in its text: the realip module, which puts another
    /// in its place, keeps it in a variable.
    pub fn peer<'a>(self) -> &'a [u8] {
        const NAME: &[u8] = b"realip_remote_addr";
        // SAFETY: the request is alive; nginx looks the name up and writes to neither.
        unsafe {
            let hash = ngx_hash_key(NAME.as_ptr().cast_mut(), NAME.len());
            let mut name = ngx_str_t { len: NAME.len(), data: NAME.as_ptr().cast_mut() };
            let value = ngx_http_get_variable(self.as_ptr(), &raw mut name, hash).as_ref();
            match value.filter(|value| value.not_found() == 0) {
                Some(value) => bytes_of(ngx_str_t { len: value.len() as usize, data: value.data }),
                None => bytes_of((*self.connection()).addr_text),
            }
        }
    }
}
