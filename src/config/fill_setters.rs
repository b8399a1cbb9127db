//! What the directives on who fetches a page do to the settings of their level, and what they refuse.

use std::time::Duration;

use super::setters::{first, on_or_off, once, ranged, wrong};
use super::settings::Settings;
use super::{Environment, value};
use crate::policy::{Failure, UseStale};

pub(super) fn use_stale(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let mut found = UseStale::default();
    for word in arguments.iter().filter(|_| *arguments != ["off"]) {
        match Failure::WORDS.iter().find(|(name, _)| name == word) {
            Some((_, failure)) => found.failures.push(*failure),
            None if *word == "updating" => found.updating = true,
            None => {
                let words = Failure::WORDS.map(|(name, _)| name).join(", ");
                return Err(wrong(word, &format!("off alone, or some of updating, {words}")));
            }
        }
    }
    once(&mut settings.use_stale, found)
}

pub(super) fn lock(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.lock, on_or_off(first(arguments))?)
}

pub(super) fn lock_timeout(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.lock_timeout, short(first(arguments))?)
}

pub(super) fn lock_age(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.lock_age, short(first(arguments))?)
}

/// A time for which requests wait.
fn short(text: &str) -> Result<Duration, String> {
    let (least, most) = (Duration::from_millis(1), Duration::from_secs(600));
    ranged(text, value::time, least, most, "a time of at most 10m")
}

pub(super) fn background_limit(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let number = |text: &str| value::number(text).and_then(|number| usize::try_from(number).ok());
    let found = ranged(first(arguments), number, 0, 1000, "a number from 0 to 1000")?;
    once(&mut settings.background_limit, found)
}

pub(super) fn refresh_early(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.refresh_early, on_or_off(first(arguments))?)
}

pub(super) fn jitter(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let allowed = "a whole number from 0% to 50%";
    once(&mut settings.jitter, ranged(first(arguments), value::percent, 0, 50, allowed)?)
}
