//! What the directives of TLS do to the settings of their level, and what they refuse.

use super::Environment;
use super::setters::{first, on_or_off, once, wrong};
use super::settings::Settings;
use super::tls::Protocols;

/// A text that is not empty and holds no variable, which none of these directives evaluates.
fn plain(arguments: &[&str], allowed: &str) -> Result<String, String> {
    let text = first(arguments);
    if text.is_empty() || text.contains('$') {
        return Err(wrong(text, allowed));
    }
    Ok(text.to_owned())
}

fn path(arguments: &[&str]) -> Result<String, String> {
    plain(arguments, "the path of a file, without variables")
}

pub(super) fn trusted_certificate(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.ssl_trusted_certificate, path(arguments)?)
}

pub(super) fn verify(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.ssl_verify, on_or_off(first(arguments))?)
}

pub(super) fn name(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let allowed = "a name of at most 255 bytes or an IP address, without variables";
    let name = plain(arguments, allowed)?;
    if name.len() > 255 {
        return Err(wrong(&name, allowed));
    }
    once(&mut settings.ssl_name, name)
}

pub(super) fn certificate(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.ssl_certificate, path(arguments)?)
}

pub(super) fn certificate_key(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.ssl_certificate_key, path(arguments)?)
}

pub(super) fn protocols(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    let mut protocols = Protocols { v1_2: false, v1_3: false };
    for version in arguments {
        match *version {
            "TLSv1.2" => protocols.v1_2 = true,
            "TLSv1.3" => protocols.v1_3 = true,
            other => return Err(wrong(other, "TLSv1.2 or TLSv1.3")),
        }
    }
    once(&mut settings.ssl_protocols, protocols)
}

pub(super) fn ciphers(
    settings: &mut Settings,
    arguments: &[&str],
    _: &mut dyn Environment,
) -> Result<(), String> {
    once(&mut settings.ssl_ciphers, plain(arguments, "a list of ciphers as OpenSSL writes it")?)
}
