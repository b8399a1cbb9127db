//! The configuration without nginx: one table of directives ([`directives`]), what they set
//! ([`Settings`]), how levels inherit, and the plan that a location ends up with ([`Plan`]).

mod check;
mod directive;
pub mod directives;
mod fill_directives;
mod fill_setters;
mod plan;
mod request_directives;
mod request_setters;
mod setters;
mod settings;
mod store_directives;
mod store_setters;
mod tls;
mod tls_setters;
mod upstream;
pub mod upstream_directives;
mod upstream_setters;
pub mod value;

pub use check::{conflict, fallback_cycle};
pub use directive::{Context, Directive, MANY};
pub use directives::DIRECTIVES;
pub use plan::{Connections, Door, Fetch, KeySource, Lock, Plan};
pub use setters::is_name as is_upstream_name;
pub use settings::{Format, Io, KeySetting, Settings};
pub use tls::{ClientCertificate, Protocols, TlsSettings};
pub use upstream::{Target, UpstreamSettings};
pub use upstream_directives::{UPSTREAM_DIRECTIVES, in_upstream};

/// A string with nginx variables, compiled by nginx; an index into its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template(pub usize);

/// What directives need of the world outside.
pub trait Environment {
    /// Compiles a string with variables.
    fn template(&mut self, text: &[u8]) -> Result<Template, String>;

    /// Tells the operator of something that is allowed and most likely wrong.
    fn warn(&mut self, sentence: &str);

    /// The content of a file; a relative path starts at nginx's configuration prefix.
    fn read_file(&mut self, path: &str) -> Result<Vec<u8>, String>;
}
