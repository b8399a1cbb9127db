//! What the directives on the request that is cached do to the settings of their level, and what they
//! refuse.

use super::setters::{first, on_or_off, once, ranged, wrong};
use super::settings::Settings;
use super::{Environment, value};
use crate::http::forwarded;
use crate::http::forwarded::{Forwarded, Source};
use crate::http::is_token;
use crate::http::query::{Args, Pattern, TRACKING};
use crate::policy::Invalidates;

const FROM: &str = "from=ADDRESS, from=CIDR or from=unix:";

/// The most names that one directive may have.
const MOST_NAMES: usize = 64;

pub(super) fn args(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    if arguments == ["off"] {
        return once(&mut settings.args, None);
    }
    let (mut drop, mut keep, mut sort) = (None, None, None);
    for argument in arguments {
        match argument.split_once('=') {
            Some(("drop", names)) => once(&mut drop, patterns(names)?)?,
            Some(("keep", names)) => once(&mut keep, patterns(names)?)?,
            None if *argument == "sort" => once(&mut sort, true)?,
            _ => return Err(wrong(argument, "drop=PATTERN,..., keep=NAME,... or sort, or off")),
        }
    }
    let args = Args { drop: drop.unwrap_or_default(), keep, sort: sort.unwrap_or_default() };
    once(&mut settings.args, Some(args))
}

/// `NAME,PATTERN*,tracking`.
fn patterns(names: &str) -> Result<Vec<Pattern>, String> {
    let mut found = Vec::new();
    for name in names.split(',') {
        if name.is_empty() || name.contains(['&', '#', '=']) {
            return Err(wrong(name, "the name of a parameter, as it is written in a URL"));
        }
        match name {
            "tracking" => found.extend(TRACKING.map(Pattern::parse)),
            name => found.push(Pattern::parse(name)),
        }
    }
    few(found)
}

fn few<T>(names: Vec<T>) -> Result<Vec<T>, String> {
    match names.len() {
        0..=MOST_NAMES => Ok(names),
        many => Err(format!("has {many} names, but may have {MOST_NAMES}")),
    }
}

pub(super) fn cookies(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let names = match arguments {
        ["off"] => return once(&mut settings.cookies, None),
        ["none"] => Vec::new(),
        names => names.iter().map(|name| cookie(name)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut names = few(names)?;
    names.sort_unstable();
    names.dedup();
    once(&mut settings.cookies, Some(names))
}

fn cookie(name: &str) -> Result<String, String> {
    match name {
        "off" | "none" => Err(format!("has \"{name}\" beside others, but it stands alone")),
        name if !is_token(name) => Err(wrong(name, "the name of a cookie")),
        name => Ok(name.to_owned()),
    }
}

pub(super) fn invalidate(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let what = match first(arguments) {
        "location" => Invalidates::Location,
        "target" => Invalidates::Target,
        "off" => Invalidates::Nothing,
        other => return Err(wrong(other, "location, target or off")),
    };
    once(&mut settings.invalidates, what)
}

pub(super) fn min_uses(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let uses = ranged(first(arguments), value::number, 1, 100, "a number from 1 to 100")?;
    once(&mut settings.min_uses, uses)
}

pub(super) fn believes(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    if arguments == ["off"] {
        return once(&mut settings.forwarded, None);
    }
    let (mut proto, mut host, mut from) = (None, None, Vec::new());
    for argument in arguments {
        match argument.split_once('=') {
            None if *argument == "proto" => once(&mut proto, "X-Forwarded-Proto".to_owned())?,
            None if *argument == "host" => once(&mut host, "X-Forwarded-Host".to_owned())?,
            Some(("proto", name)) => once(&mut proto, field(name)?)?,
            Some(("host", name)) => once(&mut host, field(name)?)?,
            Some(("from", source)) => {
                from.push(Source::parse(source).ok_or_else(|| wrong(argument, FROM))?);
            }
            _ => return Err(wrong(argument, "proto[=FIELD], host[=FIELD], from=CIDR, or off")),
        }
    }
    if from.is_empty() {
        return Err("needs from=CIDR: whom it believes".to_owned());
    }
    if proto.is_none() && host.is_none() {
        return Err("needs proto or host: what it believes".to_owned());
    }
    once(&mut settings.forwarded, Some(Forwarded { proto, host, from }))
}

pub(super) fn purge(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let (is_on, parameters) = arguments.split_first().ok_or("needs on or off")?;
    let mut from = Vec::new();
    for parameter in parameters {
        let source = parameter.strip_prefix("from=").and_then(Source::parse);
        from.push(source.ok_or_else(|| wrong(parameter, FROM))?);
    }
    match (on_or_off(is_on)?, from.is_empty()) {
        (false, true) => once(&mut settings.purge, None),
        (false, false) => Err("has from= beside off".to_owned()),
        (true, true) => once(&mut settings.purge, Some(forwarded::local())),
        (true, false) => once(&mut settings.purge, Some(from)),
    }
}

/// The name of a request field.
fn field(name: &str) -> Result<String, String> {
    match is_token(name) {
        true => Ok(name.to_owned()),
        false => Err(wrong(name, "the name of a header field")),
    }
}
