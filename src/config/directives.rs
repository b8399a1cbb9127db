//! The one table of directives. nginx's commands are made from it, docs/directives.md is it in
//! words, and a test holds the two together.

use std::ffi::CStr;
use std::time::Duration;

use super::settings::{Format, Io, KeySetting, Settings};
use super::{Environment, value};
use crate::key::Hash;
use crate::redis::breaker::BreakerSettings;
use crate::redis::endpoint::{Endpoint, Secret};

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// `location`, `if in location`.
    Location,
    /// `http`, `server`, `location`.
    Any,
}

/// What a setter gets.
type Set = fn(&mut Settings, &[&str], &mut dyn Environment) -> Result<(), String>;

/// One directive.
#[derive(Debug)]
pub struct Directive {
    /// Its name.
    pub name: &'static CStr,
    /// Its arguments, in the notation of nginx's documentation.
    pub arguments: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// Where it may stand.
    pub context: Context,
    /// The least and the largest number of arguments.
    pub arity: (usize, usize),
    /// What it does.
    pub help: &'static str,
    set: Set,
}

impl Directive {
    /// Applies the directive with `arguments` to `settings`. An error is a sentence that names
    /// the directive, the value (never a secret) and what is allowed.
    pub fn apply(
        &self,
        settings: &mut Settings,
        arguments: &[&[u8]],
        environment: &mut dyn Environment,
    ) -> Result<(), String> {
        let name = self.name.to_string_lossy();
        let texts = arguments
            .iter()
            .map(|argument| std::str::from_utf8(argument))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| format!("\"{name}\" has a value that is not UTF-8"))?;
        (self.set)(settings, &texts, environment)
            .map_err(|sentence| format!("\"{name}\" {sentence}"))
    }
}

/// The number that stands for "any number of arguments".
pub const MANY: usize = usize::MAX;

/// The table, in the order of the docs.
pub const DIRECTIVES: &[Directive] = &[
    Directive {
        name: c"redis_cache_pass",
        arguments: "URL",
        default: "-",
        context: Context::Location,
        arity: (1, 1),
        help: "Answers the requests of this location from Redis: computes the key, asks for it and \
            sends the page. `URL` is `redis://[user[:password]@]host[:port][/db]` or \
            `unix:/path[?db=N]` (also `redis+unix:///path?db=N`); user and password are \
            percent-decoded, a name is resolved when nginx starts. Only GET and HEAD are looked \
            up, and never a request with an Authorization header. It is the content handler of \
            the location, so no other may stand beside it.",
        set: pass,
    },
    Directive {
        name: c"redis_cache_fallback",
        arguments: "@name",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "The named location that answers after a miss, a bypass or any trouble with Redis, \
            with the request's method, body and URI as they came. Without it a miss is 404, a \
            method other than GET and HEAD 405, a timeout 504 and another error 502.",
        set: fallback,
    },
    Directive {
        name: c"redis_cache_key",
        arguments: "STRING [hash=md5|sha1|sha256|none] [prefix=STRING]",
        default: "by format",
        context: Context::Any,
        arity: (1, 3),
        help: "The key: `prefix` and behind it STRING, which may contain variables, or its hash in \
            lower-case hexadecimal digits. Left out, `hash` is `none` and `prefix` empty. Without \
            the directive the http form uses `$redis_cache_uri hash=none prefix=page:` and the \
            raw form `$http_host$request_uri hash=md5 prefix=:1:`, which is the key of the 2014 \
            package; both are computed from the request as it was sent. A key that comes out \
            empty or above 64 KiB is a bypass.",
        set: key,
    },
    Directive {
        name: c"redis_cache_format",
        arguments: "http|raw",
        default: "http",
        context: Context::Any,
        arity: (1, 1),
        help: "What lies under a key: `http`, a whole HTTP/1.1 message with status, header and \
            body; or `raw`, the body alone, sent as 200 with the type that `types` and \
            `default_type` give. See format.md.",
        set: format,
    },
    Directive {
        name: c"redis_cache_io",
        arguments: "event|blocking",
        default: "event",
        context: Context::Any,
        arity: (1, 1),
        help: "How Redis is asked. `event` does it on nginx's own event loop: the worker never \
            waits, and the lookups of one turn leave in one write. `blocking` queries hold the \
            worker, for at most `redis_cache_timeout` each.",
        set: io,
    },
    Directive {
        name: c"redis_cache_connections",
        arguments: "N",
        default: "2",
        context: Context::Any,
        arity: (1, 1),
        help: "Connections that a worker keeps to one endpoint, 1 to 64. Count them against Redis' \
            `maxclients`: boxes times workers times N.",
        set: connections,
    },
    Directive {
        name: c"redis_cache_queue",
        arguments: "N",
        default: "1024",
        context: Context::Any,
        arity: (1, 1),
        help: "Lookups of a worker to one endpoint that may wait at a time, 1 to 1000000. One more \
            goes to the fallback at once, with the reason `overload`.",
        set: queue,
    },
    Directive {
        name: c"redis_cache_buffers",
        arguments: "SIZE",
        default: "64m",
        context: Context::Any,
        arity: (1, 1),
        help: "Memory of a worker for the values of one endpoint, received or being sent, 64k to \
            64g. A lookup that begins while it is used up goes to the fallback, with the reason \
            `overload`.",
        set: buffers,
    },
    Directive {
        name: c"redis_cache_connect_timeout",
        arguments: "TIME",
        default: "50ms",
        context: Context::Any,
        arity: (1, 1),
        help: "The longest that connecting may take, handshake included, 1ms to 1h. It is part of \
            `redis_cache_timeout`.",
        set: connect_timeout,
    },
    Directive {
        name: c"redis_cache_timeout",
        arguments: "TIME",
        default: "100ms",
        context: Context::Any,
        arity: (1, 1),
        help: "The longest that a lookup may take, waiting and connecting included, 1ms to 1h. \
            After it the fallback answers.",
        set: timeout,
    },
    Directive {
        name: c"redis_cache_breaker",
        arguments: "[fails=N] [timeout=TIME] | off",
        default: "fails=5 timeout=1s",
        context: Context::Any,
        arity: (1, 2),
        help: "After N connection faults in a row (1 to 1000000) a worker asks the endpoint nothing \
            for TIME (1ms to 1h), and then lets one probe decide. Meanwhile the fallback answers \
            at once, with the reason `breaker`.",
        set: breaker,
    },
    Directive {
        name: c"redis_cache_max_size",
        arguments: "SIZE",
        default: "8m",
        context: Context::Any,
        arity: (1, 1),
        help: "Larger values are not served, 1 byte to 512m and not above `redis_cache_buffers`. \
            A key found larger is not asked for again for 5 seconds.",
        set: max_size,
    },
    Directive {
        name: c"redis_cache_bypass",
        arguments: "STRING ...",
        default: "-",
        context: Context::Any,
        arity: (1, MANY),
        help: "Redis is not asked if one of the strings, which contain variables, is neither empty \
            nor `0`, as with proxy_cache_bypass: `redis_cache_bypass $cookie_sessionid;`.",
        set: bypass,
    },
    Directive {
        name: c"redis_cache_username",
        arguments: "STRING",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "The ACL user, where the URL names none. Needs a password.",
        set: username,
    },
    Directive {
        name: c"redis_cache_password_file",
        arguments: "PATH",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "A file with the password and nothing else; one line end behind it does not count. \
            Read when nginx starts and on reload. A relative path starts at nginx's \
            configuration prefix.",
        set: password_file,
    },
    Directive {
        name: c"redis_cache_status_header",
        arguments: "on|off",
        default: "off",
        context: Context::Any,
        arity: (1, 1),
        help: "Adds `Cache-Status` (RFC 9211) with the reason to every answer of the location and \
            of its fallback.",
        set: status_header,
    },
];

fn once<T>(slot: &mut Option<T>, new: T) -> Result<(), String> {
    if slot.is_some() {
        return Err("is duplicate".to_owned());
    }
    *slot = Some(new);
    Ok(())
}

fn first<'a>(arguments: &[&'a str]) -> &'a str {
    arguments.first().copied().unwrap_or_default()
}

fn wrong(value: &str, allowed: &str) -> String {
    format!("has the value \"{value}\", but must be {allowed}")
}

fn ranged<T: PartialOrd + Copy>(
    text: &str,
    parse: fn(&str) -> Option<T>,
    least: T,
    largest: T,
    allowed: &str,
) -> Result<T, String> {
    parse(text)
        .filter(|parsed| (least..=largest).contains(parsed))
        .ok_or_else(|| wrong(text, allowed))
}

fn time(text: &str) -> Result<Duration, String> {
    let hour = Duration::from_secs(3600);
    ranged(text, value::time, Duration::from_millis(1), hour, "a time from 1ms to 1h")
}

fn count(text: &str, largest: u32) -> Result<usize, String> {
    ranged(text, value::number, 1, largest, &format!("a number from 1 to {largest}"))
        .map(|number| number as usize)
}

fn pass(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let url = first(arguments);
    let endpoint = Endpoint::parse(url)
        .map_err(|error| format!("has the URL \"{}\", which {error}", without_secrets(url)))?;
    once(&mut settings.pass, endpoint)
}

/// A wrong URL as it may be shown: cut behind the scheme where a password may stand, be it in a
/// wrong place.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    let is_port = |text: &str| {
        text.split('/').next().unwrap_or_default().bytes().all(|byte| byte.is_ascii_digit())
    };
    let innocent = !rest.contains(['@', '?']) && rest.split(':').skip(1).all(is_port);
    if innocent { url.to_owned() } else { format!("{scheme}:...") }
}

fn fallback(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let name = first(arguments);
    if name.len() < 2 || !name.starts_with('@') {
        return Err(wrong(name, "the name of a named location, such as @app"));
    }
    once(&mut settings.fallback, name.to_owned())
}

fn key(
    settings: &mut Settings,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    if settings.key.is_some() {
        return Err("is duplicate".to_owned());
    }
    let (text, parameters) = arguments.split_first().ok_or("needs a string")?;
    if text.is_empty() {
        return Err(wrong(text, "a string that is not empty"));
    }
    let (mut hash, mut prefix) = (None, None);
    for parameter in parameters {
        match parameter.split_once('=') {
            Some(("hash", "md5")) => once(&mut hash, Hash::Md5)?,
            Some(("hash", "sha1")) => once(&mut hash, Hash::Sha1)?,
            Some(("hash", "sha256")) => once(&mut hash, Hash::Sha256)?,
            Some(("hash", "none")) => once(&mut hash, Hash::None)?,
            Some(("prefix", text)) if text.contains('$') => {
                return Err(wrong(parameter, "a prefix without variables"));
            }
            Some(("prefix", text)) if text.len() > 1024 => {
                return Err("has a prefix above 1024 bytes".to_owned());
            }
            Some(("prefix", text)) => once(&mut prefix, text.as_bytes().to_vec())?,
            _ => return Err(wrong(parameter, "hash=md5|sha1|sha256|none or prefix=STRING")),
        }
    }
    let template = environment.template(text.as_bytes())?;
    settings.key = Some(KeySetting {
        template,
        hash: hash.unwrap_or(Hash::None),
        prefix: prefix.unwrap_or_default(),
    });
    Ok(())
}

fn format(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    match first(arguments) {
        "http" => once(&mut settings.format, Format::Http),
        "raw" => once(&mut settings.format, Format::Raw),
        other => Err(wrong(other, "http or raw")),
    }
}

fn io(settings: &mut Settings, arguments: &[&str], _: &mut dyn Environment) -> Result<(), String> {
    match first(arguments) {
        "event" => once(&mut settings.io, Io::Event),
        "blocking" => once(&mut settings.io, Io::Blocking),
        other => Err(wrong(other, "event or blocking")),
    }
}

fn connections(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.connections, count(first(arguments), 64)?)
}

fn queue(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.queue, count(first(arguments), 1_000_000)?)
}

fn buffers(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let size = ranged(first(arguments), value::size, 64 << 10, 64 << 30, "a size from 64k to 64g")?;
    once(&mut settings.buffers, size)
}

fn connect_timeout(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.connect_timeout, time(first(arguments))?)
}

fn timeout(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.timeout, time(first(arguments))?)
}

fn breaker(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    if arguments == ["off"] {
        return once(&mut settings.breaker, None);
    }
    let (mut fails, mut timeout) = (None, None);
    for parameter in arguments {
        match parameter.split_once('=') {
            Some(("fails", number)) => {
                let number =
                    ranged(number, value::number, 1, 1_000_000, "fails=N from 1 to 1000000")?;
                once(&mut fails, number)?;
            }
            Some(("timeout", text)) => once(&mut timeout, time(text)?)?,
            _ => return Err(wrong(parameter, "fails=N timeout=TIME, or off")),
        }
    }
    let breaker = BreakerSettings {
        fails: fails.unwrap_or(5),
        timeout: timeout.unwrap_or(Duration::from_secs(1)),
    };
    once(&mut settings.breaker, Some(breaker))
}

fn max_size(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let size = ranged(first(arguments), value::size, 1, 512 << 20, "a size from 1 to 512m")?;
    once(&mut settings.max_size, size)
}

fn bypass(
    settings: &mut Settings,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    let strings = settings.bypass.get_or_insert_default();
    for text in arguments {
        strings.push(environment.template(text.as_bytes())?);
    }
    Ok(())
}

fn username(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let name = first(arguments);
    if name.is_empty() {
        return Err(wrong(name, "the name of a user"));
    }
    once(&mut settings.username, name.to_owned())
}

fn password_file(
    settings: &mut Settings,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    let path = first(arguments);
    let content = environment.read_file(path)?;
    let text =
        std::str::from_utf8(&content).map_err(|_| format!("names {path}, which is not UTF-8"))?;
    let password = text.strip_suffix('\n').unwrap_or(text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.contains(['\n', '\0']) {
        return Err(format!("names {path}, which must hold one password on one line"));
    }
    once(&mut settings.password, Secret(password.to_owned()))
}

fn status_header(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    match first(arguments) {
        "on" => once(&mut settings.status_header, true),
        "off" => once(&mut settings.status_header, false),
        other => Err(wrong(other, "on or off")),
    }
}
