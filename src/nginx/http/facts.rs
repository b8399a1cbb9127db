//! What the pure half asks of a request in a location: its key, and the facts of the policy.

use std::borrow::Cow;

use ngx::ffi::{NGX_HTTP_HEAD, ngx_http_complex_value, ngx_str_t};

use crate::config::{KeySource, Plan, Template};
use crate::key::{Authority, Key, RequestUri};
use crate::nginx::conf::MainConf;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{bytes_of, layout, rc};
use crate::policy;
use crate::policy::RequestFacts;
use crate::reason::Reason;

impl Request {
    pub fn main_conf(self) -> Option<&'static MainConf> {
        MainConf::of(self.raw())
    }

    /// The value of a compiled string.
    pub fn evaluate<'a>(self, template: Template) -> Option<&'a [u8]> {
        let compiled = self.main_conf()?.templates.get(template.0)?;
        let mut value = ngx_str_t::default();
        // SAFETY: the compiled value is only read; the result lives in the request's pool.
        unsafe {
            let compiled = std::ptr::from_ref(compiled).cast_mut();
            if ngx_http_complex_value(self.as_ptr(), compiled, &raw mut value) != rc::OK {
                return None;
            }
            Some(bytes_of(value))
        }
    }

    /// What the policy needs to know.
    pub fn facts(self, plan: &Plan) -> RequestFacts {
        let raw = self.raw();
        RequestFacts {
            safe_method: self.is_get() || raw.method == NGX_HTTP_HEAD as usize,
            authorization: !raw.headers_in.authorization.is_null(),
            headers_only_subrequest: !self.is_main() && self.has(&layout::HEADER_ONLY),
            host_is_the_servers: self.authority().is_ok(),
            target_is_stale: self.is_after_response()
                && !matches!(plan.key_source, KeySource::Template(_)),
            precondition: self.is_main()
                && !(raw.headers_in.if_match.is_null()
                    && raw.headers_in.if_unmodified_since.is_null()),
            bypass: plan
                .bypass
                .iter()
                .any(|template| self.evaluate(*template).is_none_or(policy::condition_holds)),
        }
    }

    /// The key under which this request is looked up.
    pub fn key(self, plan: &Plan) -> Result<Key, Reason> {
        let text: Cow<'_, [u8]> = match plan.key_source {
            KeySource::CacheUri => self.cache_uri()?.into(),
            KeySource::HostAndRequestUri => {
                let mut text = match self.host_header() {
                    Some(host) => host.to_vec(),
                    None => self.authority()?.host.to_vec(),
                };
                text.extend_from_slice(&self.target().ok_or(Reason::Internal)?);
                text.into()
            }
            KeySource::Template(template) => {
                self.evaluate(template).ok_or(Reason::Internal)?.into()
            }
        };
        plan.key_shape.key(text)
    }

    /// The key of another page of the same origin, where the key is made of the default text.
    pub fn key_of_page(self, plan: &Plan, target: &[u8]) -> Option<Vec<u8>> {
        if plan.key_source != KeySource::CacheUri {
            return None;
        }
        let authority = self.authority().ok()?;
        let (host, port) = (authority.host, authority.port);
        let uri = RequestUri { scheme: self.scheme(), host, port, target };
        plan.key_shape.key(uri.text().into()).ok().map(|key| key.bytes)
    }

    /// Whether the Host header is there and written as in the key: in lower case, without a
    /// trailing dot, and without the port of the scheme.
    pub fn host_is_canonical(self) -> bool {
        let Ok(Authority { host, port }) = self.authority() else { return false };
        let uri = RequestUri { scheme: self.scheme(), host, port, target: b"/" };
        self.host_header().is_some_and(|header| uri.authority() == header)
    }

    /// `$redis_cache_uri`.
    pub fn cache_uri(self) -> Result<Vec<u8>, Reason> {
        let authority = self.authority()?;
        let target = self.target().ok_or(Reason::Internal)?;
        let uri = RequestUri {
            scheme: self.scheme(),
            host: authority.host,
            port: authority.port,
            target: &target,
        };
        Ok(uri.text())
    }

    /// Whether nginx's `gunzip` is on in the location of this request.
    pub fn gunzip_is_on(self) -> bool {
        let Some(at) = self.main_conf().and_then(|main| main.gunzip_index) else { return false };
        // SAFETY: the index is that of the gunzip filter, whose location configuration begins
        // with its flag in every version of nginx that this module supports.
        unsafe {
            let conf = (*self.raw().loc_conf.add(at)).cast::<ngx::ffi::ngx_flag_t>();
            !conf.is_null() && *conf == 1
        }
    }
}
