//! What the directives of one level set, and how a level inherits from the one around it.

use std::time::Duration;

use super::Template;
use super::tls::Protocols;
use super::upstream::Target;
use crate::http::forwarded::{Forwarded, Source};
use crate::http::query::Args;
use crate::key::Hash;
use crate::policy::{Compress, Heuristic, Ignored, Invalidates, UseStale, Validity};
use crate::redis::breaker::BreakerSettings;
use crate::redis::endpoint::Secret;

/// `redis_cache_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// An HTTP/1.1 message: status, fields, body.
    #[default]
    Http,
    /// The body alone.
    Raw,
}

/// `redis_cache_io`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// Lookups on nginx's event loop; the worker never waits.
    #[default]
    Event,
    /// Queries that hold the worker, within the time budget.
    Blocking,
}

/// `redis_cache_key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetting {
    /// The string with variables.
    pub template: Template,
    /// `hash=`; none where it is left out.
    pub hash: Hash,
    /// `prefix=`; empty where it is left out.
    pub prefix: Vec<u8>,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        /// What the directives of one level set; `None` is not set there.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Settings {
            /// `redis_cache_pass`: a content handler is not inherited by nested locations.
            pub pass: Option<Target>,
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        impl Settings {
            /// Takes over from the level around what this one does not set.
            pub fn inherit(&mut self, around: &Self) {
                $(if self.$field.is_none() { self.$field.clone_from(&around.$field); })*
            }
        }
    };
}

settings! {
    /// `redis_cache`; the inner `None` is `off`.
    in_place: Option<Target>,
    /// `redis_cache_fallback`, with its `@`.
    fallback: String,
    /// `redis_cache_key`.
    key: KeySetting,
    /// `redis_cache_format`.
    format: Format,
    /// `redis_cache_io`.
    io: Io,
    /// `redis_cache_connections`.
    connections: usize,
    /// `redis_cache_queue`.
    queue: usize,
    /// `redis_cache_buffers`.
    buffers: usize,
    /// `redis_cache_connect_timeout`.
    connect_timeout: Duration,
    /// `redis_cache_timeout`.
    timeout: Duration,
    /// `redis_cache_breaker`; the inner `None` is `off`.
    breaker: Option<BreakerSettings>,
    /// `redis_cache_max_size`.
    max_size: usize,
    /// `redis_cache_bypass`.
    bypass: Vec<Template>,
    /// `redis_cache_username`.
    username: String,
    /// The content of `redis_cache_password_file`.
    password: Secret,
    /// `redis_cache_ssl_trusted_certificate`, a path.
    ssl_trusted_certificate: String,
    /// `redis_cache_ssl_verify`.
    ssl_verify: bool,
    /// `redis_cache_ssl_name`.
    ssl_name: String,
    /// `redis_cache_ssl_certificate`, a path.
    ssl_certificate: String,
    /// `redis_cache_ssl_certificate_key`, a path.
    ssl_certificate_key: String,
    /// `redis_cache_ssl_protocols`.
    ssl_protocols: Protocols,
    /// `redis_cache_ssl_ciphers`.
    ssl_ciphers: String,
    /// `redis_cache_status_header`.
    status_header: bool,
    /// `redis_cache_store`.
    store: bool,
    /// `redis_cache_valid`, in its order.
    valid: Vec<(Validity, Duration)>,
    /// `redis_cache_heuristic`; the inner `None` is `off`.
    heuristic: Option<Heuristic>,
    /// `redis_cache_compress`; the inner `None` is `off`.
    compress: Option<Compress>,
    /// `redis_cache_authorization`.
    authorization: bool,
    /// `redis_cache_no_store`.
    no_store: Vec<Template>,
    /// `redis_cache_ignore_headers`.
    ignored: Ignored,
    /// `redis_cache_hide_header`.
    hidden: Vec<String>,
    /// `redis_cache_revalidate`.
    revalidate: bool,
    /// `redis_cache_lock`.
    lock: bool,
    /// `redis_cache_lock_timeout`.
    lock_timeout: Duration,
    /// `redis_cache_lock_age`.
    lock_age: Duration,
    /// `redis_cache_use_stale`.
    use_stale: UseStale,
    /// `redis_cache_background_limit`.
    background_limit: usize,
    /// `redis_cache_refresh_early`.
    refresh_early: bool,
    /// `redis_cache_jitter`, in hundredths.
    jitter: u32,
    /// `redis_cache_keep`.
    keep: Duration,
    /// `redis_cache_request_control`.
    request_control: bool,
    /// `redis_cache_args`; the inner `None` is `off`.
    args: Option<Args>,
    /// `redis_cache_cookies`, sorted; the inner `None` is `off`.
    cookies: Option<Vec<String>>,
    /// `redis_cache_forwarded`; the inner `None` is `off`.
    forwarded: Option<Forwarded>,
    /// `redis_cache_invalidate`.
    invalidates: Invalidates,
    /// `redis_cache_purge`: from whom; the inner `None` is `off`.
    purge: Option<Vec<Source>>,
    /// `redis_cache_min_uses`.
    min_uses: u32,
}

impl Settings {
    /// Whether any of `ssl_...` is set.
    pub fn speaks_of_tls(&self) -> bool {
        self.ssl_verify.is_some()
            || self.ssl_trusted_certificate.is_some()
            || self.ssl_name.is_some()
            || self.ssl_certificate.is_some()
            || self.ssl_certificate_key.is_some()
            || self.ssl_protocols.is_some()
            || self.ssl_ciphers.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_levels_win_and_the_handler_stays_where_it_is() {
        let around = Settings {
            pass: Some(Target::Upstream("pages".into())),
            queue: Some(1),
            max_size: Some(10),
            ..Settings::default()
        };
        let mut inner = Settings { queue: Some(2), ..Settings::default() };
        inner.inherit(&around);
        assert_eq!((inner.queue, inner.max_size, inner.pass), (Some(2), Some(10), None));
    }
}
