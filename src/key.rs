//! Parts of a request to key bytes: what `redis_cache_key` says, and the two default keys.

use std::borrow::Cow;

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;

use crate::reason::Reason;

/// The longest key that is sent to Redis, in bytes.
pub const MAX_KEY: usize = 64 * 1024;

/// The longest percent-encoded key that is handed to the application, in bytes: application
/// servers refuse header fields of more than about 8 KiB, and a refusal would be our error.
pub const MAX_HEADER: usize = 4096;

/// `hash=` of `redis_cache_key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// 32 lower-case hexadecimal digits.
    Md5,
    /// 40 lower-case hexadecimal digits.
    Sha1,
    /// 64 lower-case hexadecimal digits.
    Sha256,
    /// The text itself, byte for byte.
    None,
}

/// How a text becomes a key: `prefix` and then the text, or its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShape {
    /// What the text goes through.
    pub hash: Hash,
    /// What stands in front.
    pub prefix: Vec<u8>,
}

/// The bytes sent to Redis, and the text they were made of where a hash hides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key, byte for byte as Redis gets it.
    pub bytes: Vec<u8>,
    /// The text before hashing; `None` where the key shows it.
    pub hashed_text: Option<Vec<u8>>,
}

impl KeyShape {
    /// The key of `text`. An empty text, or a key above [`MAX_KEY`], is a bypass.
    pub fn key(&self, text: Cow<'_, [u8]>) -> Result<Key, Reason> {
        if text.is_empty() || text.len() > MAX_KEY - self.prefix.len().min(MAX_KEY) {
            return Err(Reason::Key);
        }
        let room = if self.hash == Hash::None { text.len() } else { 64 };
        let mut bytes = Vec::with_capacity(self.prefix.len() + room);
        bytes.extend_from_slice(&self.prefix);
        match self.hash {
            Hash::None => bytes.extend_from_slice(&text),
            Hash::Md5 => push_hex(&mut bytes, &Md5::digest(&text)),
            Hash::Sha1 => push_hex(&mut bytes, &Sha1::digest(&text)),
            Hash::Sha256 => push_hex(&mut bytes, &Sha256::digest(&text)),
        }
        let hashed_text = (self.hash != Hash::None).then(|| text.into_owned());
        Ok(Key { bytes, hashed_text })
    }
}

/// Appends `digest` in lower-case hexadecimal digits.
pub(crate) fn push_hex(out: &mut Vec<u8>, digest: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in digest {
        for nibble in [byte >> 4, byte & 15] {
            out.extend(DIGITS.get(usize::from(nibble)));
        }
    }
}

/// The parts of `$redis_cache_uri`.
#[derive(Clone, Copy, Debug)]
pub struct RequestUri<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host without its port, as nginx validated it; IPv6 in brackets.
    pub host: &'a [u8],
    /// The port that the client named.
    pub port: Option<u16>,
    /// The request target as it was sent, in origin form.
    pub target: &'a [u8],
}

impl RequestUri<'_> {
    /// Scheme, `://`, host in lower case, `:port` unless it is the scheme's own, target.
    /// A target that does not begin with `/` (`GET http://a?x`) gets one.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(16 + self.host.len() + self.target.len());
        text.extend_from_slice(self.scheme.as_bytes());
        text.extend_from_slice(b"://");
        self.push_authority(&mut text);
        if self.target.first() != Some(&b'/') {
            text.push(b'/');
        }
        text.extend_from_slice(self.target);
        text
    }
}

impl RequestUri<'_> {
    /// Host in lower case, and `:port` unless it is the scheme's own.
    pub fn authority(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.host.len() + 6);
        self.push_authority(&mut text);
        text
    }

    fn push_authority(&self, text: &mut Vec<u8>) {
        text.extend(self.host.iter().map(u8::to_ascii_lowercase));
        let own = if self.scheme == "https" { 443 } else { 80 };
        if let Some(port) = self.port.filter(|&port| port != own) {
            text.push(b':');
            text.extend_from_slice(port.to_string().as_bytes());
        }
    }
}

/// A Host field value, or an `:authority`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host without port and without one trailing dot.
    pub host: &'a [u8],
    /// The port, where one is given.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Takes `value` apart (RFC 9110 4.2, 7.2). An empty port is no port (RFC 3986 3.2.3); one
    /// that is no number up to 65535 makes the whole unusable: [`Reason::Host`].
    pub fn parse(value: &'a [u8]) -> Result<Self, Reason> {
        let end_of_host = match value.first() {
            Some(b'[') => value.iter().position(|&b| b == b']').map(|at| at + 1),
            _ => Some(value.iter().position(|&b| b == b':').unwrap_or(value.len())),
        };
        let (host, rest) =
            end_of_host.and_then(|at| value.split_at_checked(at)).ok_or(Reason::Host)?;
        let port = match rest.split_first() {
            None | Some((b':', [])) => None,
            Some((b':', digits)) if digits.iter().all(u8::is_ascii_digit) => Some(
                std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| digits.parse().ok())
                    .ok_or(Reason::Host)?,
            ),
            Some(_) => return Err(Reason::Host),
        };
        let host = host.strip_suffix(b".").unwrap_or(host);
        if matches!(host, b"" | b"[]") {
            return Err(Reason::Host);
        }
        Ok(Self { host, port })
    }
}

/// The form of a key in the `X-Redis-Cache-Key` header: `%` and every byte outside 0x21 to 0x7E
/// percent-encoded in upper-case digits. `None` above [`MAX_HEADER`] bytes.
pub fn header_form(key: &[u8]) -> Option<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(key.len());
    for &byte in key {
        if byte == b'%' || !(0x21..=0x7e).contains(&byte) {
            out.push(b'%');
            for nibble in [byte >> 4, byte & 15] {
                out.extend(DIGITS.get(usize::from(nibble)));
            }
        } else {
            out.push(byte);
        }
    }
    (out.len() <= MAX_HEADER).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(hash: Hash) -> KeyShape {
        KeyShape { hash, prefix: b"p:".to_vec() }
    }

    #[test]
    fn empty_and_oversized_texts_are_a_bypass() {
        assert_eq!(shape(Hash::None).key(Cow::Borrowed(b"")), Err(Reason::Key));
        assert_eq!(shape(Hash::Md5).key(vec![b'x'; MAX_KEY].into()), Err(Reason::Key));
        assert!(shape(Hash::None).key(vec![b'x'; MAX_KEY - 2].into()).is_ok());
    }

    #[test]
    fn a_hashed_key_remembers_its_text() {
        let key = shape(Hash::Sha1).key(b"abc".as_slice().into()).unwrap();
        assert_eq!(key.bytes, b"p:a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(key.hashed_text.as_deref(), Some(&b"abc"[..]));
        assert_eq!(shape(Hash::None).key(b"a\0b".as_slice().into()).unwrap().bytes, b"p:a\0b");
    }

    #[test]
    fn authorities() {
        let ok = |value: &'static [u8]| Authority::parse(value).unwrap();
        assert_eq!(ok(b"a.b"), Authority { host: b"a.b", port: None });
        assert_eq!(ok(b"a.b.:080"), Authority { host: b"a.b", port: Some(80) });
        assert_eq!(ok(b"a:"), Authority { host: b"a", port: None });
        assert_eq!(ok(b"[::1]:8080"), Authority { host: b"[::1]", port: Some(8080) });
        for bad in [
            &b"a:x"[..],
            b"a:70000",
            b"[::1",
            b"[::1]x",
            b"",
            b":80",
            b"a:+8",
            b"a:1:2",
            b"[]",
            b"[]:80",
            b".:80",
        ] {
            assert_eq!(Authority::parse(bad), Err(Reason::Host), "{bad:?}");
        }
    }

    #[test]
    fn a_header_form_that_no_application_would_take_is_not_made() {
        assert!(header_form(&[b'a'; MAX_HEADER]).is_some());
        assert!(header_form(&[b'%'; MAX_HEADER / 2]).is_none());
    }
}
