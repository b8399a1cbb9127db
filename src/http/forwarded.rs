//! What a balancer in front says of the request that it got: `redis_cache_forwarded`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::list_members;
use crate::key::Authority;
use crate::reason::Reason;

/// Who may say what a request was when it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Addresses.
    Net(IpNet),
    /// Every unix socket.
    Unix,
}

impl Source {
    /// An address, a CIDR, or `unix:`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "unix:" {
            return Some(Self::Unix);
        }
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(alone).map(Self::Net)
    }
}

/// `redis_cache_forwarded`: which fields are believed, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The field with the scheme.
    pub proto: Option<String>,
    /// The field with the host.
    pub host: Option<String>,
    /// Who is believed.
    pub from: Vec<Source>,
}

impl Forwarded {
    /// Whether a peer is believed.
    pub fn trusts(&self, peer: &[u8]) -> bool {
        has(&self.from, peer)
    }
}

/// Whether a peer is one of `sources`: an IP address, or a text that begins with `unix:`, as nginx
/// writes them.
pub fn has(sources: &[Source], peer: &[u8]) -> bool {
    let Ok(peer) = std::str::from_utf8(peer) else { return false };
    if peer.starts_with("unix:") {
        return sources.contains(&Source::Unix);
    }
    let Ok(address) = peer.parse::<IpAddr>() else { return false };
    let address = address.to_canonical();
    sources.iter().any(|source| matches!(source, Source::Net(net) if net.contains(&address)))
}

/// This machine alone.
pub fn local() -> Vec<Source> {
    ["127.0.0.0/8", "::1", "unix:"].into_iter().filter_map(Source::parse).collect()
}

/// The scheme that the values of a field name: the last one counts, which the peer itself has added.
/// `None` where it is neither `http` nor `https`.
pub fn scheme<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<&'static str> {
    let last = last_member(values)?;
    ["http", "https"].into_iter().find(|known| last.eq_ignore_ascii_case(known.as_bytes()))
}

/// The host and port that the values of a field name, the last one likewise; one that can be none is
/// refused with [`Reason::Host`].
pub fn host<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Authority<'a>>, Reason> {
    let Some(last) = last_member(values) else { return Ok(None) };
    let can_be = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(byte);
    if !last.iter().all(can_be) {
        return Err(Reason::Host);
    }
    Authority::parse(last).map(Some)
}

fn last_member<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    values.flat_map(list_members).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(sources: &[&str]) -> Forwarded {
        let from = sources.iter().map(|text| Source::parse(text).unwrap()).collect();
        Forwarded { proto: None, host: None, from }
    }

    #[test]
    fn peers() {
        let balancers = from(&["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]);
        for peer in ["10.1.2.3", "192.0.2.1", "2001:db8::7", "::ffff:10.0.0.1"] {
            assert!(balancers.trusts(peer.as_bytes()), "{peer}");
        }
        for peer in ["11.0.0.1", "192.0.2.2", "2001:db9::1", "unix:", "", "x", "10.0.0.1:80"] {
            assert!(!balancers.trusts(peer.as_bytes()), "{peer}");
        }
        assert!(from(&["unix:"]).trusts(b"unix:") && from(&["unix:"]).trusts(b"unix:/run/x"));
        assert!(!from(&["unix:"]).trusts(b"127.0.0.1") && !from(&["0.0.0.0/0"]).trusts(b"::1"));
        assert!(Source::parse("10.0.0.0/33").is_none() && Source::parse("balancer").is_none());
    }

    #[test]
    fn what_they_say() {
        let say = |values: &[&'static str]| {
            let values = values.to_vec();
            (
                scheme(values.clone().into_iter().map(str::as_bytes)),
                host(values.into_iter().map(str::as_bytes)),
            )
        };
        assert_eq!(say(&["https"]).0, Some("https"));
        assert_eq!(say(&["http, HTTPS"]).0, Some("https"));
        assert_eq!(say(&["https", "http"]).0, Some("http"));
        for none in [&[][..], &["wss"], &[""], &["https://"]] {
            assert_eq!(say(none).0, None, "{none:?}");
        }
        let found = |value| say(&[value]).1;
        assert_eq!(
            found("a.example:8443"),
            Ok(Some(Authority { host: b"a.example", port: Some(8443) }))
        );
        assert_eq!(found("x, [::1]"), Ok(Some(Authority { host: b"[::1]", port: None })));
        assert_eq!(say(&[]).1, Ok(None));
        for bad in ["a/b", "a b", "a@b", "a:x", "ä"] {
            assert_eq!(found(bad), Err(Reason::Host), "{bad}");
        }
    }
}
