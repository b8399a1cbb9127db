//! What a directive is: a row of a table.

use std::ffi::CStr;

use super::Environment;
use super::settings::Settings;
use super::upstream::UpstreamSettings;

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// `location`, `if in location`.
    Location,
    /// `http`, `server`, `location`.
    Any,
    /// `http`.
    Http,
    /// `redis_cache_upstream`.
    Upstream,
}

/// What a directive does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// It sets something of its level; in a `redis_cache_upstream`, what a level may set too.
    Level(fn(&mut Settings, &[&str], &mut dyn Environment) -> Result<(), String>),
    /// It sets something of a `redis_cache_upstream`.
    Upstream(fn(&mut UpstreamSettings, &[&str], &mut dyn Environment) -> Result<(), String>),
    /// It begins a `redis_cache_upstream`.
    Block,
}

/// One directive.
#[derive(Clone, Copy, Debug)]
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
    /// What it does to the configuration.
    pub(super) action: Action,
}

/// Two parts of a table as one.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler alone")]
pub(super) const fn joined<const N: usize>(
    one: &[Directive],
    other: &[Directive],
) -> [Directive; N] {
    let mut all = [one[0]; N];
    let mut at = 1;
    while at < N {
        all[at] = if at < one.len() { one[at] } else { other[at - one.len()] };
        at += 1;
    }
    all
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
        let texts = self.texts(arguments)?;
        match self.action {
            Action::Level(set) => set(settings, &texts, environment),
            Action::Upstream(_) | Action::Block => Err("does not stand here".to_owned()),
        }
        .map_err(|sentence| self.complaint(&sentence))
    }

    /// Applies a directive of a `redis_cache_upstream`.
    pub fn apply_to_upstream(
        &self,
        upstream: &mut UpstreamSettings,
        arguments: &[&[u8]],
        environment: &mut dyn Environment,
    ) -> Result<(), String> {
        let texts = self.texts(arguments)?;
        if texts.iter().any(|text| text.contains('$')) {
            return Err(self.complaint("may not contain variables"));
        }
        let (least, largest) = self.arity;
        if !(least..=largest).contains(&texts.len()) {
            return Err(self.complaint(&format!("is written: {}", self.syntax())));
        }
        match self.action {
            Action::Level(set) => set(&mut upstream.settings, &texts, environment),
            Action::Upstream(set) => set(upstream, &texts, environment),
            Action::Block => Err("does not stand here".to_owned()),
        }
        .map_err(|sentence| self.complaint(&sentence))
    }

    /// How it is written.
    pub fn syntax(&self) -> String {
        let name = self.name.to_string_lossy();
        let end = if self.begins_block() { "" } else { ";" };
        let space = if self.arguments.is_empty() { "" } else { " " };
        format!("{name}{space}{}{end}", self.arguments)
    }

    /// Whether it is a block.
    pub const fn begins_block(&self) -> bool {
        matches!(self.action, Action::Block)
    }

    fn texts<'a>(&self, arguments: &[&'a [u8]]) -> Result<Vec<&'a str>, String> {
        let texts = arguments.iter().map(|argument| std::str::from_utf8(argument));
        texts
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| self.complaint("has a value that is not UTF-8"))
    }

    fn complaint(&self, sentence: &str) -> String {
        format!("\"{}\" {sentence}", self.name.to_string_lossy())
    }
}

/// The number that stands for "any number of arguments".
pub const MANY: usize = usize::MAX;
