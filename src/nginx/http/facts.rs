//! What the pure half asks of a request in a location: its key, and the facts of the policy.

use std::borrow::Cow;

use ngx::ffi::{NGX_HTTP_HEAD, ngx_http_complex_value, ngx_str_t};

use crate::config::{KeySource, Plan, Template};
use crate::http::cookie::Cookies;
use crate::http::forwarded;
use crate::key::Key;
use crate::nginx::conf::MainConf;
use crate::nginx::http::origin::Origin;
use crate::nginx::http::rewrite;
use crate::nginx::sys::request::Request;
use crate::nginx::sys::{bytes_of, glue, rc};
use crate::policy;
use crate::policy::{Purge, RequestFacts};
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
            purge: self.purge(plan),
            authorization: self.is_authorized() && !plan.authorization,
            headers_only_subrequest: !self.is_main() && self.has(glue::header_only),
            host_is_the_servers: self.origin(plan).is_ok(),
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

    /// Whether the request carries an Authorization header, even an empty one.
    pub fn is_authorized(self) -> bool {
        !self.raw().headers_in.authorization.is_null()
    }

    fn purge(self, plan: &Plan) -> Purge {
        // SAFETY: the name lives as long as the request; a request has a connection.
        let (method, client) =
            unsafe { (bytes_of(self.raw().method_name), bytes_of((*self.connection()).addr_text)) };
        match &plan.purge {
            Some(from) if self.is_main() && method == b"PURGE" => {
                match forwarded::has(from, client) {
                    true => Purge::Asked,
                    false => Purge::Denied,
                }
            }
            _ => Purge::No,
        }
    }

    /// The keys that PURGE is for: the page of both schemes, as whoever purges seldom asks over TLS.
    pub fn keys_to_purge(self, plan: &Plan) -> Vec<Vec<u8>> {
        let mut keys = self.keys_of_own_page(plan);
        if let (KeySource::CacheUri, Ok(mut origin)) = (plan.key_source, self.origin(plan)) {
            origin.scheme = if origin.scheme == "https" { "http" } else { "https" };
            let text = rewrite::with_target(self, plan, || self.cache_uri(&origin));
            keys.extend(text.into_iter().flat_map(|text| self.keys_of_text(plan, text)));
        }
        keys
    }

    /// The key under which this request is looked up.
    pub fn key(self, plan: &Plan) -> Result<Key, Reason> {
        rewrite::with_target(self, plan, || {
            let text = self.text(plan)?;
            let Some(names) = &plan.cookies else { return plan.key_shape.key(text) };
            let mut text = text.into_owned();
            Cookies::select(names, self.header_values("cookie")).append_to(&mut text);
            plan.key_shape.key(text.into())
        })
    }

    /// What the key is made of, beside the cookies.
    fn text<'a>(self, plan: &Plan) -> Result<Cow<'a, [u8]>, Reason> {
        Ok(match plan.key_source {
            KeySource::CacheUri => self.cache_uri(&self.origin(plan)?)?.into(),
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
        })
    }

    /// The keys that an invalidation of this request's page concerns: that without cookies, and that
    /// with its own.
    pub fn keys_of_own_page(self, plan: &Plan) -> Vec<Vec<u8>> {
        let text = rewrite::with_target(self, plan, || Ok(self.text(plan)?.into_owned()));
        text.map(|text| self.keys_of_text(plan, text)).unwrap_or_default()
    }

    /// Those of another page of the same origin, where the key is made of the default text.
    pub fn keys_of_page(self, plan: &Plan, target: &[u8]) -> Vec<Vec<u8>> {
        let Ok(origin) = self.origin(plan) else { return Vec::new() };
        if plan.key_source != KeySource::CacheUri {
            return Vec::new();
        }
        let target = match &plan.args {
            Some(args) => args.target(target),
            None => target.into(),
        };
        self.keys_of_text(plan, origin.uri(&target).text())
    }

    fn keys_of_text(self, plan: &Plan, text: Vec<u8>) -> Vec<Vec<u8>> {
        let mut texts = vec![text.clone()];
        if let Some(names) = &plan.cookies {
            let mut own = text;
            Cookies::select(names, self.header_values("cookie")).append_to(&mut own);
            texts.push(own);
            texts.dedup();
        }
        let keys = texts.into_iter().map(|text| plan.key_shape.key(text.into()));
        keys.filter_map(Result::ok).map(|key| key.bytes).collect()
    }

    /// `$redis_cache_uri`.
    pub fn cache_uri(self, origin: &Origin<'_>) -> Result<Vec<u8>, Reason> {
        Ok(origin.uri(&self.target().ok_or(Reason::Internal)?).text())
    }

    /// The Accept-Encoding of the client; an included part of another response cannot be in a coding
    /// of its own.
    pub fn accept_encoding<'a>(self) -> Option<Cow<'a, [u8]>> {
        if !self.is_main() {
            return None;
        }
        let mut lines = self.header_values("accept-encoding");
        let first = lines.next()?;
        if lines.next().is_none() {
            return Some(first.into());
        }
        self.header("accept-encoding").map(Cow::Owned)
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
