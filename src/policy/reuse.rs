//! May this stored page answer this request? RFC 9111 section 4, as far as a page that came
//! whole out of Redis is concerned.

use crate::entry::Page;
use crate::http::{coding, freshness, vary};
use crate::reason::Reason;

/// What the decision needs to know of the client's request.
#[derive(Clone, Copy, Debug)]
pub struct ClientFacts<'a> {
    /// The text that was hashed into the key; `None` where the key shows it.
    pub hashed_text: Option<&'a [u8]>,
    /// The Accept-Encoding of the client; `None` where it sent none, or where the body becomes
    /// a part of another response (a subrequest).
    pub accept_encoding: Option<&'a [u8]>,
    /// nginx's `gunzip` is on in this location.
    pub gunzip: bool,
    /// The fields that the marker of this page's key names; empty without a marker.
    pub indexed: &'a [String],
}

/// How a stored page answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Seconds since the page was new; `None` where the page does not say.
    pub age: Option<u64>,
    /// Seconds for which the page stays fresh; `None` where Redis alone limits it.
    pub ttl: Option<u64>,
    /// The client itself takes the stored content coding; if not, nginx's `gunzip` undoes it.
    pub coding_accepted: bool,
}

/// Whether `page` may answer a request at `now` (milliseconds since 1970); a refusal names the
/// miss or the expiry.
pub fn reuse(page: &Page<'_>, client: &ClientFacts<'_>, now: i64) -> Result<Reuse, Reason> {
    if let (Some(stored), Some(asked)) = (page.facts.key.as_deref(), client.hashed_text) {
        if stored != asked {
            return Err(Reason::Collision);
        }
    }
    let (age, ttl) = freshness::of(page, now)?;
    let codings = page.values("content-encoding");
    if !vary::is_indexed(page.values("vary"), client.indexed) {
        return Err(Reason::Vary);
    }
    let coding_accepted = match coding::stored(codings) {
        coding::Stored::Identity => true,
        coding::Stored::Gzip if coding::accepts(client.accept_encoding, b"gzip") => true,
        coding::Stored::Gzip if client.gunzip => false,
        coding::Stored::Other(name) if coding::accepts(client.accept_encoding, name) => true,
        _ => return Err(Reason::Encoding),
    };
    Ok(Reuse { age, ttl, coding_accepted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Stored, decode};

    const CLIENT: ClientFacts<'static> =
        ClientFacts { hashed_text: None, accept_encoding: None, gunzip: false, indexed: &[] };

    fn try_reuse(head: &str, client: &ClientFacts<'_>) -> Result<Reuse, Reason> {
        let value = format!("HTTP/1.1 200 OK\r\n{head}\r\nbody");
        let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page: {value}") };
        reuse(&page, client, 1_000_000)
    }

    #[test]
    fn another_text_under_the_same_hash_is_a_collision() {
        let head = "Redis-Cache: v=1, stored=1000000, fresh=1000, key=\"a/b\"\r\n";
        let with = |text| ClientFacts { hashed_text: Some(text), ..CLIENT };
        assert!(try_reuse(head, &with(b"a/b")).is_ok());
        assert_eq!(try_reuse(head, &with(b"a/c")), Err(Reason::Collision));
        assert!(try_reuse(head, &CLIENT).is_ok());
    }

    #[test]
    fn freshness_ends_at_the_very_millisecond() {
        let at = |stored| format!("Redis-Cache: v=1, stored={stored}, fresh=5000\r\n");
        assert_eq!(
            try_reuse(&at(995_001), &CLIENT),
            Ok(Reuse { age: Some(4), ttl: Some(0), coding_accepted: true })
        );
        assert_eq!(try_reuse(&at(995_000), &CLIENT), Err(Reason::Stale));
        assert_eq!(try_reuse(&at(1_000_500), &CLIENT).unwrap().age, Some(0));
    }

    #[test]
    fn codings_and_vary() {
        let accepts = |value| ClientFacts { accept_encoding: Some(value), ..CLIENT };
        let gzip = "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n";
        assert!(try_reuse(gzip, &accepts(b"gzip")).unwrap().coding_accepted);
        assert_eq!(try_reuse(gzip, &CLIENT), Err(Reason::Encoding));
        assert_eq!(try_reuse(gzip, &accepts(b"gzip;q=0, *")), Err(Reason::Encoding));
        let gunzip = ClientFacts { gunzip: true, ..CLIENT };
        assert!(!try_reuse(gzip, &gunzip).unwrap().coding_accepted);
        assert_eq!(try_reuse("Content-Encoding: br\r\n", &gunzip), Err(Reason::Encoding));
        assert!(try_reuse("Content-Encoding: br\r\n", &accepts(b"br")).is_ok());
        assert_eq!(
            try_reuse("Content-Encoding: gzip, br\r\n", &accepts(b"*")),
            Err(Reason::Encoding)
        );
        assert_eq!(try_reuse("Vary: Cookie\r\n", &CLIENT), Err(Reason::Vary));
        assert_eq!(try_reuse("Vary: accept-encoding, *\r\n", &CLIENT), Err(Reason::Vary));
        let indexed = ["cookie".to_owned()];
        let variant = ClientFacts { indexed: &indexed, ..CLIENT };
        assert!(try_reuse("Vary: Cookie\r\n", &variant).is_ok());
        assert_eq!(try_reuse("Vary: Cookie, Accept\r\n", &variant), Err(Reason::Vary));
        let indexed = ["*".to_owned()];
        let star = ClientFacts { indexed: &indexed, ..CLIENT };
        assert_eq!(try_reuse("Vary: *\r\n", &star), Err(Reason::Vary));
    }
}
