//! What the directives of `redis_cache_upstream` do, and what they refuse.

use super::setters::{endpoint, first, on_or_off, once, ranged, read_password, user, wrong};
use super::upstream::{ServerSetting, UpstreamSettings};
use super::{Environment, value};
use crate::redis::endpoint::Address;
use crate::redis::upstream::{Duty, ReadFrom};

/// Where sentinels listen if nothing else is said.
const SENTINEL_PORT: u16 = 26379;

const HEAVIEST: u32 = 1000;

pub(super) fn server(
    upstream: &mut UpstreamSettings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let endpoint = endpoint(first(arguments))?;
    let (mut duty, mut weight) = (None, None);
    for parameter in arguments.iter().skip(1) {
        match (*parameter, parameter.split_once('=')) {
            ("replica" | "backup", _) if duty.is_some() => {
                return Err(
                    "has \"replica\" and \"backup\" for one server: it is one of them".to_owned()
                );
            }
            ("replica", _) => duty = Some(Duty::Replica),
            ("backup", _) => duty = Some(Duty::Backup),
            (_, Some(("weight", number))) => {
                let allowed = "a number from 1 to 1000";
                once(&mut weight, ranged(number, value::number, 1, HEAVIEST, allowed)?)?;
            }
            (other, _) => return Err(wrong(other, "replica, backup or weight=N")),
        }
    }
    let duty = duty.unwrap_or(Duty::Primary);
    upstream.servers.push(ServerSetting { endpoint, duty, weight });
    Ok(())
}

pub(super) fn sentinel(
    upstream: &mut UpstreamSettings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let (master, sentinels) = arguments.split_first().ok_or("needs a name")?;
    let address = |text: &&str| {
        Address::parse(text, Some(SENTINEL_PORT)).ok_or_else(|| wrong(text, "HOST or HOST:PORT"))
    };
    let sentinels = sentinels.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    once(&mut upstream.sentinel, ((*master).to_owned(), sentinels))
}

pub(super) fn cluster(
    upstream: &mut UpstreamSettings,
    _: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut upstream.cluster, ())
}

pub(super) fn read(
    upstream: &mut UpstreamSettings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let from = match first(arguments) {
        "primary" => ReadFrom::Primary,
        "replica" => ReadFrom::Replica,
        "nearest" => ReadFrom::Nearest,
        other => return Err(wrong(other, "primary, replica or nearest")),
    };
    once(&mut upstream.read, from)
}

pub(super) fn db(
    upstream: &mut UpstreamSettings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let allowed = "a number from 0 to 999999";
    let number = ranged(first(arguments), value::number, 0, 999_999, allowed)?;
    once(&mut upstream.db, i64::from(number))
}

pub(super) fn ssl(
    upstream: &mut UpstreamSettings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut upstream.ssl, on_or_off(first(arguments))?)
}

pub(super) fn sentinel_username(
    upstream: &mut UpstreamSettings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut upstream.sentinel_username, user(arguments)?)
}

pub(super) fn sentinel_password_file(
    upstream: &mut UpstreamSettings,
    arguments: &[&str],
    environment: &mut dyn Environment,
) -> Result<(), String> {
    let password = read_password(first(arguments), environment)?;
    once(&mut upstream.sentinel_password, password)
}
