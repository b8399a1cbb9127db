//! What each directive of the table does to the settings of its level, and what it refuses.

use std::time::Duration;

use super::check::moving_variable;
use super::settings::{Format, Io, KeySetting, Settings};
use super::upstream::Target;
use super::{Environment, Template, value};
use crate::key::Hash;
use crate::redis::breaker::BreakerSettings;
use crate::redis::endpoint::{Endpoint, Secret};

pub(super) fn once<T>(slot: &mut Option<T>, new: T) -> Result<(), String> {
    if slot.is_some() {
        return Err("is duplicate".to_owned());
    }
    *slot = Some(new);
    Ok(())
}

pub(super) fn first<'a>(arguments: &[&'a str]) -> &'a str {
    arguments.first().copied().unwrap_or_default()
}

pub(super) fn wrong(value: &str, allowed: &str) -> String {
    format!("has the value \"{value}\", but must be {allowed}")
}

pub(super) fn ranged<T: PartialOrd + Copy>(
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

pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(wrong(other, "on or off")),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let hour = Duration::from_secs(3600);
    ranged(text, value::time, Duration::from_millis(1), hour, "a time from 1ms to 1h")
}

fn count(text: &str, largest: u32) -> Result<usize, String> {
    ranged(text, value::number, 1, largest, &format!("a number from 1 to {largest}"))
        .map(|number| number as usize)
}

pub(super) fn pass(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.pass, target(first(arguments))?)
}

pub(super) fn in_place(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let found = match first(arguments) {
        "off" => None,
        named => Some(target(named)?),
    };
    once(&mut settings.in_place, found)
}

/// A URL, or the name of an upstream.
fn target(text: &str) -> Result<Target, String> {
    if is_name(text) {
        Ok(Target::Upstream(text.to_owned()))
    } else {
        endpoint(text).map(Target::Url)
    }
}

/// Whether an upstream may have this name.
pub fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty() && text != "off" && text.bytes().all(known)
}

pub(super) fn endpoint(url: &str) -> Result<Endpoint, String> {
    Endpoint::parse(url)
        .map_err(|error| format!("has the URL \"{}\", which {error}", without_secrets(url)))
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

pub(super) fn fallback(
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

pub(super) fn key(
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
    if let Some(name) = moving_variable(text) {
        environment.warn(&format!(
            "\"redis_cache_key\" has ${name}, which an internal redirect changes (try_files, index, \
             rewrite, error_page): behind \"try_files $uri /index.php\" pages would share one \
             key. Use $redis_cache_uri or $request_uri, which stay as the client sent them"
        ));
    }
    settings.key = Some(KeySetting {
        template,
        hash: hash.unwrap_or(Hash::None),
        prefix: prefix.unwrap_or_default(),
    });
    Ok(())
}

pub(super) fn format(
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

pub(super) fn io(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    match first(arguments) {
        "event" => once(&mut settings.io, Io::Event),
        "blocking" => once(&mut settings.io, Io::Blocking),
        other => Err(wrong(other, "event or blocking")),
    }
}

pub(super) fn connections(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.connections, count(first(arguments), 64)?)
}

pub(super) fn queue(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.queue, count(first(arguments), 1_000_000)?)
}

pub(super) fn buffers(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let size = ranged(first(arguments), value::size, 64 << 10, 64 << 30, "a size from 64k to 64g")?;
    once(&mut settings.buffers, size)
}

pub(super) fn connect_timeout(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.connect_timeout, time(first(arguments))?)
}

pub(super) fn timeout(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.timeout, time(first(arguments))?)
}

pub(super) fn breaker(
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

pub(super) fn max_size(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let size = ranged(first(arguments), value::size, 1, 512 << 20, "a size from 1 to 512m")?;
    once(&mut settings.max_size, size)
}

pub(super) fn bypass(
    settings: &mut Settings,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    add_conditions(&mut settings.bypass, arguments, environment)
}

/// Several lines of conditions add up.
pub(super) fn add_conditions(
    slot: &mut Option<Vec<Template>>,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    let strings = slot.get_or_insert_default();
    for text in arguments {
        strings.push(environment.template(text.as_bytes())?);
    }
    Ok(())
}

pub(super) fn username(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.username, user(arguments)?)
}

/// The name of a user.
pub(super) fn user(arguments: &[&str]) -> Result<String, String> {
    match first(arguments) {
        "" => Err(wrong("", "the name of a user")),
        name => Ok(name.to_owned()),
    }
}

pub(super) fn password_file(
    settings: &mut Settings,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    let password = read_password(first(arguments), environment)?;
    once(&mut settings.password, password)
}

/// The password in a file.
pub(super) fn read_password(
    path: &str,
    environment: &mut dyn Environment,
) -> Result<Secret, String> {
    let content = environment.read_file(path)?;
    let text =
        std::str::from_utf8(&content).map_err(|_| format!("names {path}, which is not UTF-8"))?;
    let password = text.strip_suffix('\n').unwrap_or(text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() || password.contains(['\n', '\0']) {
        return Err(format!("names {path}, which must hold one password on one line"));
    }
    Ok(Secret(password.to_owned()))
}

pub(super) fn status_header(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.status_header, on_or_off(first(arguments))?)
}
