//! The plan of a location: its settings with the defaults filled in, checked against each other.

use std::time::Duration;

use super::Template;
use super::settings::{Format, Io, Settings};
use super::tls::TlsSettings;
use super::upstream::{Target, UpstreamSettings};
use crate::http::forwarded::{Forwarded, Source};
use crate::http::query::Args;
use crate::key::{Hash, KeyShape};
use crate::policy::{Compress, Invalidates, StoreRules, UseStale};
use crate::redis::breaker::BreakerSettings;
use crate::redis::upstream::Upstream;

/// What a key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `$redis_cache_uri`, computed in code.
    CacheUri,
    /// `$http_host$request_uri`, computed in code: the key of the 2014 package.
    HostAndRequestUri,
    /// The string of `redis_cache_key`.
    Template(Template),
}

/// Settings of the connections of a worker to one upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Connections {
    /// Whom to speak to, user and password included.
    pub upstream: Upstream,
    /// `redis_cache_connections`, to each server.
    pub connections: usize,
    /// `redis_cache_queue`: lookups in waiting.
    pub queue: usize,
    /// `redis_cache_buffers`: bytes of values, received or being sent.
    pub buffers: usize,
    /// `redis_cache_connect_timeout`.
    pub connect_timeout: Duration,
    /// `redis_cache_breaker`.
    pub breaker: Option<BreakerSettings>,
    /// `redis_cache_ssl_*`, where the endpoint has TLS.
    pub tls: Option<TlsSettings>,
}

/// Where a lookup takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `redis_cache_pass`: as the content handler of the location.
    Pass,
    /// `redis_cache`: in front of the location's own handler.
    InPlace,
}

/// Who fetches a page from the application, and what is sent meanwhile.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// `redis_cache_lock on`.
    pub lock: Option<Lock>,
    /// `redis_cache_use_stale`.
    pub use_stale: UseStale,
    /// `redis_cache_background_limit`.
    pub background_limit: usize,
    /// `redis_cache_refresh_early`.
    pub refresh_early: bool,
    /// `redis_cache_jitter`, in hundredths.
    pub jitter: u32,
}

impl Fetch {
    fn of(settings: &Settings) -> Self {
        Self {
            lock: lock(settings),
            use_stale: settings.use_stale.clone().unwrap_or_default(),
            background_limit: settings.background_limit.unwrap_or(16),
            refresh_early: settings.refresh_early.unwrap_or(false),
            jitter: settings.jitter.unwrap_or(0),
        }
    }
}

/// How requests wait for a page that another one fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// `redis_cache_lock_timeout`: for how long they do.
    pub timeout: Duration,
    /// `redis_cache_lock_age`: after which another one fetches it too.
    pub age: Duration,
}

/// Everything that a lookup of one location needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the lookup takes place.
    pub door: Door,
    /// Who answers and how connections to it behave.
    pub connections: Connections,
    /// `redis_cache_fallback`.
    pub fallback: Option<String>,
    /// What the key is made of.
    pub key_source: KeySource,
    /// How it is made.
    pub key_shape: KeyShape,
    /// `redis_cache_format`.
    pub format: Format,
    /// `redis_cache_io`.
    pub io: Io,
    /// `redis_cache_timeout`.
    pub timeout: Duration,
    /// `redis_cache_max_size`.
    pub max_size: usize,
    /// `redis_cache_bypass`.
    pub bypass: Vec<Template>,
    /// `redis_cache_status_header`.
    pub status_header: bool,
    /// `redis_cache_store on`, and its rules.
    pub store: Option<StoreRules>,
    /// `redis_cache_compress`.
    pub compress: Option<Compress>,
    /// Who fetches a page, and what is sent meanwhile.
    pub fetch: Fetch,
    /// `redis_cache_authorization`.
    pub authorization: bool,
    /// `redis_cache_no_store`.
    pub no_store: Vec<Template>,
    /// `redis_cache_ignore_headers Vary`.
    pub ignores_vary: bool,
    /// `redis_cache_hide_header`.
    pub hidden: Vec<String>,
    /// `redis_cache_request_control`.
    pub request_control: bool,
    /// `redis_cache_args`.
    pub args: Option<Args>,
    /// `redis_cache_cookies`, sorted.
    pub cookies: Option<Vec<String>>,
    /// `redis_cache_forwarded`.
    pub forwarded: Option<Forwarded>,
    /// `redis_cache_invalidate`.
    pub invalidates: Invalidates,
    /// `redis_cache_purge`: from whom.
    pub purge: Option<Vec<Source>>,
    /// `redis_cache_min_uses`.
    pub min_uses: u32,
}

impl Plan {
    /// The plan of a lookup at `door` under `settings`, asking `target`, which may be one of
    /// `upstreams`; an error is a sentence for `nginx -t`.
    pub fn new(
        settings: &Settings,
        door: Door,
        target: &Target,
        upstreams: &[UpstreamSettings],
    ) -> Result<Self, String> {
        let mut effective = Settings::default();
        let upstream = match target {
            Target::Url(endpoint) => Upstream::of(endpoint),
            Target::Upstream(name) => {
                let block =
                    upstreams.iter().find(|block| block.name == *name).ok_or_else(|| {
                        format!(
                            "names \"{name}\", which is neither a URL nor a redis_cache_upstream"
                        )
                    })?;
                effective.clone_from(&block.settings);
                effective.timeout = settings.timeout.or(effective.timeout);
                block.upstream()?
            }
        };
        effective.inherit(settings);
        Self::with(&effective, door, upstream)
    }

    fn with(settings: &Settings, door: Door, upstream: Upstream) -> Result<Self, String> {
        let upstream = logged_in(upstream, settings)?;
        let io = settings.io.unwrap_or_default();
        if io == Io::Blocking {
            may_block(&upstream)?;
        }
        let tls = TlsSettings::of(settings, upstream.tls)?;
        let max_size = settings.max_size.unwrap_or(8 << 20);
        let buffers = settings.buffers.unwrap_or(64 << 20);
        if max_size > buffers {
            return Err(format!(
                "redis_cache_max_size {max_size} is larger than redis_cache_buffers {buffers}: \
                 no value of that size could ever be read"
            ));
        }
        let format = settings.format.unwrap_or_default();
        let (key_source, key_shape) = key(settings, format);
        let store = settings.store.unwrap_or(false);
        if format == Format::Raw {
            may_be_raw(settings)?;
        }
        Ok(Self {
            door,
            connections: Connections {
                upstream,
                connections: settings.connections.unwrap_or(2),
                queue: settings.queue.unwrap_or(1024),
                buffers,
                connect_timeout: settings.connect_timeout.unwrap_or(Duration::from_millis(50)),
                breaker: settings
                    .breaker
                    .unwrap_or(Some(BreakerSettings { fails: 5, timeout: Duration::from_secs(1) })),
                tls,
            },
            fallback: settings.fallback.clone(),
            key_source,
            key_shape,
            format,
            io,
            timeout: settings.timeout.unwrap_or(Duration::from_millis(100)),
            max_size,
            bypass: settings.bypass.clone().unwrap_or_default(),
            status_header: settings.status_header.unwrap_or(false),
            store: store.then(|| store_rules(settings)),
            compress: settings.compress.clone().flatten(),
            fetch: Fetch::of(settings),
            authorization: settings.authorization.unwrap_or(false),
            no_store: settings.no_store.clone().unwrap_or_default(),
            ignores_vary: settings.ignored.is_some_and(|ignored| ignored.vary),
            hidden: settings.hidden.clone().unwrap_or_default(),
            request_control: settings.request_control.unwrap_or(false),
            args: settings.args.clone().flatten(),
            cookies: settings.cookies.clone().flatten(),
            forwarded: settings.forwarded.clone().flatten(),
            invalidates: settings.invalidates.unwrap_or_default(),
            purge: settings.purge.clone().flatten(),
            min_uses: settings.min_uses.unwrap_or(1),
        })
    }
}

/// Whether and how requests wait for each other: by default where nginx stores.
fn lock(settings: &Settings) -> Option<Lock> {
    let seconds = Duration::from_secs(5);
    let lock = Lock {
        timeout: settings.lock_timeout.unwrap_or(seconds),
        age: settings.lock_age.unwrap_or(seconds),
    };
    (settings.store == Some(true) && settings.lock.unwrap_or(true)).then_some(lock)
}

/// Whether the raw form can hold what is wanted of it.
fn may_be_raw(settings: &Settings) -> Result<(), String> {
    let (wanted, why) = if settings.store == Some(true) {
        ("store on", "the raw form has no place for the type, the header and the age of an answer")
    } else if settings.authorization == Some(true) {
        ("authorization on", "a page in the raw form cannot say that it is for everybody")
    } else if let Some(Some(compress)) = &settings.compress {
        let coding = compress.coding.name();
        return Err(format!(
            "redis_cache_compress {coding} needs redis_cache_format http: a page in the raw form \
             cannot say that it is coded"
        ));
    } else {
        return Ok(());
    };
    Err(format!("redis_cache_{wanted} needs redis_cache_format http: {why}"))
}

/// Whether the blocking engine can ask an upstream.
fn may_block(upstream: &Upstream) -> Result<(), String> {
    if upstream.only_server().is_none() {
        return Err(format!(
            "redis_cache_io blocking asks one server alone, and {upstream} is more than that"
        ));
    }
    if upstream.tls {
        return Err(format!(
            "redis_cache_io blocking speaks no TLS, which {upstream} asks for: \
             use redis_cache_io event"
        ));
    }
    Ok(())
}

/// What the key is made of, and how.
fn key(settings: &Settings, format: Format) -> (KeySource, KeyShape) {
    let shape = |hash, prefix: &[u8]| KeyShape { hash, prefix: prefix.to_vec() };
    match (&settings.key, format) {
        (Some(key), _) => (KeySource::Template(key.template), shape(key.hash, &key.prefix)),
        (None, Format::Http) => (KeySource::CacheUri, shape(Hash::None, b"page:")),
        (None, Format::Raw) => (KeySource::HostAndRequestUri, shape(Hash::Md5, b":1:")),
    }
}

/// What `redis_cache_store on` goes by.
fn store_rules(settings: &Settings) -> StoreRules {
    StoreRules {
        valid: settings.valid.clone().unwrap_or_default(),
        heuristic: settings.heuristic.flatten(),
        ignored: settings.ignored.unwrap_or_default(),
        revalidate: settings.revalidate.unwrap_or(false),
        keep: settings.keep.unwrap_or(Duration::from_secs(3600)),
        cookies_are_in_key: matches!(settings.cookies, Some(Some(_))),
        uses_stale: settings.use_stale.as_ref().is_some_and(UseStale::is_on),
        codes: matches!(settings.compress, Some(Some(_))),
    }
}

/// The upstream with the user and the password of the directives.
fn logged_in(mut upstream: Upstream, settings: &Settings) -> Result<Upstream, String> {
    if let Some(username) = &settings.username {
        if upstream.login.username.replace(username.clone()).is_some() {
            return Err(twice("user", "redis_cache_username"));
        }
    }
    if let Some(password) = &settings.password {
        if upstream.login.password.replace(password.clone()).is_some() {
            return Err(twice("password", "redis_cache_password_file"));
        }
    }
    if upstream.login.username.is_some() && upstream.login.password.is_none() {
        return Err(format!(
            "a user without a password is given for {upstream}: add redis_cache_password_file, or \
             password_file where username stands in its block"
        ));
    }
    Ok(upstream)
}

fn twice(what: &str, directive: &str) -> String {
    format!("the {what} is given twice, in the URL and by {directive}: leave one of them out")
}

#[cfg(test)]
mod tests;
