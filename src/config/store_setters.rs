//! What the directives of storing do to the settings of their level, and what they refuse.

use std::time::Duration;

use super::setters::{add_conditions, first, on_or_off, once, ranged, wrong};
use super::settings::Settings;
use super::{Environment, value};
use crate::coder;
use crate::http::coding::Coding;
use crate::http::is_token;
use crate::policy::{Compress, Heuristic, Ignored, Types, Validity, is_never_stored};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A time for which something is kept.
fn lifetime(text: &str, least: Duration) -> Result<Duration, String> {
    let years = Duration::from_secs(10 * 365 * 24 * 3600);
    ranged(text, value::time, least, years, "a time of at most 10y")
}

pub(super) fn store(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.store, on_or_off(first(arguments))?)
}

pub(super) fn valid(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let (time, codes) = arguments.split_last().ok_or("needs a time")?;
    let time = lifetime(time, Duration::ZERO)?;
    let usual = [200, 301, 302].map(Validity::Status);
    let codes = match codes {
        [] => usual.to_vec(),
        codes => codes.iter().map(|code| validity(code)).collect::<Result<_, _>>()?,
    };
    settings.valid.get_or_insert_default().extend(codes.into_iter().map(|code| (code, time)));
    Ok(())
}

fn validity(code: &str) -> Result<Validity, String> {
    if code == "any" {
        return Ok(Validity::Any);
    }
    let status = value::number(code).and_then(|number| u16::try_from(number).ok());
    match status {
        Some(status) if !is_never_stored(status) => Ok(Validity::Status(status)),
        Some(status) if (100..600).contains(&status) => {
            Err(format!("has the status {status}, which is never stored"))
        }
        _ => Err(wrong(code, "a status from 200 to 599, or any")),
    }
}

pub(super) fn heuristic(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let found = match arguments {
        ["off"] => None,
        [percent] => Some(Heuristic { percent: hundredths(percent)?, max: DAY }),
        [percent, max] => {
            let Some(max) = max.strip_prefix("max=") else {
                return Err(wrong(max, "max=TIME"));
            };
            let max = lifetime(max, Duration::from_secs(1))?;
            Some(Heuristic { percent: hundredths(percent)?, max })
        }
        _ => return Err("needs a percentage".to_owned()),
    };
    once(&mut settings.heuristic, found)
}

fn hundredths(text: &str) -> Result<u32, String> {
    ranged(text, value::percent, 1, 100, "off or a whole number from 1% to 100%")
}

pub(super) fn compress(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let (name, options) = arguments.split_first().ok_or("needs a coding")?;
    let coding = Coding::ALL.into_iter().find(|coding| coding.name() == *name);
    let found = match coding {
        Some(coding) => Some(coded_by(coding, options)?),
        None if *name == "off" && options.is_empty() => None,
        None => return Err(wrong(name, "gzip, br, or off alone")),
    };
    once(&mut settings.compress, found)
}

fn coded_by(coding: Coding, options: &[&str]) -> Result<Compress, String> {
    let (least, greatest, usual) = coder::levels(coding);
    let (mut level, mut min_length, mut types) = (None, None, None);
    for option in options {
        match option.split_once('=') {
            Some(("level", text)) => {
                let found = value::number(text).and_then(|level| u8::try_from(level).ok());
                let found = found.filter(|level| (least..=greatest).contains(level));
                let allowed = || format!("a level of {} from {least} to {greatest}", coding.name());
                once(&mut level, found.ok_or_else(|| wrong(text, &allowed()))?)?;
            }
            Some(("min_length", text)) => {
                let allowed = "a size of at most 8m";
                once(&mut min_length, ranged(text, value::size, 0, 8 << 20, allowed)?)?;
            }
            Some(("types", text)) => once(&mut types, types_of(text)?)?,
            _ => return Err(wrong(option, "level=, min_length= or types=")),
        }
    }
    Ok(Compress {
        coding,
        level: level.unwrap_or(usual),
        min_length: min_length.unwrap_or(1 << 10),
        types: types.unwrap_or(Types::Usual),
    })
}

fn types_of(text: &str) -> Result<Types, String> {
    if text == "*" {
        return Ok(Types::All);
    }
    let is_type = |name: &str| {
        name.split_once('/').is_some_and(|(kind, own)| is_token(kind) && is_token(own))
    };
    let names: Vec<String> = text.split(',').map(str::to_ascii_lowercase).collect();
    match names.iter().all(|name| is_type(name)) {
        true => Ok(Types::These(names)),
        false => Err(wrong(text, "types with commas between them, or *")),
    }
}

pub(super) fn authorization(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.authorization, on_or_off(first(arguments))?)
}

pub(super) fn no_store(
    settings: &mut Settings,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    add_conditions(&mut settings.no_store, arguments, environment)
}

pub(super) fn ignore_headers(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let mut ignored = Ignored::default();
    for name in arguments {
        let slot = match name.to_ascii_lowercase().as_str() {
            "x-accel-expires" => &mut ignored.accel_expires,
            "expires" => &mut ignored.expires,
            "cache-control" => &mut ignored.cache_control,
            "cdn-cache-control" => &mut ignored.cdn_cache_control,
            "set-cookie" => &mut ignored.set_cookie,
            "vary" => &mut ignored.vary,
            _ => {
                let allowed = "X-Accel-Expires, Expires, Cache-Control, CDN-Cache-Control, \
                    Set-Cookie or Vary";
                return Err(wrong(name, allowed));
            }
        };
        *slot = true;
    }
    once(&mut settings.ignored, ignored)
}

pub(super) fn hide_header(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let name = first(arguments);
    if name.is_empty() || name.contains([':', ' ', '\t']) || !name.is_ascii() {
        return Err(wrong(name, "the name of a header"));
    }
    settings.hidden.get_or_insert_default().push(name.to_owned());
    Ok(())
}

pub(super) fn revalidate(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.revalidate, on_or_off(first(arguments))?)
}

pub(super) fn keep(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.keep, lifetime(first(arguments), Duration::from_millis(1))?)
}

pub(super) fn request_control(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.request_control, on_or_off(first(arguments))?)
}
