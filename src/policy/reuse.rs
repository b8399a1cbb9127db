//! May this stored page answer this request? RFC 9111 section 4, as far as a page that came
//! whole out of Redis is concerned.

use super::{freshness_of, is_to_stay_as_it_is};
use crate::entry::Page;
use crate::http::cache_control::{CacheControl, RequestControl};
use crate::http::coding::Coding;
use crate::http::{coding, vary};
use crate::reason::{Reason, Status};

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
    /// `redis_cache_compress`: pages are decoded for those who do not take their coding.
    pub decodes: bool,
    /// The client asks for a part of the page, which only the decoded form has.
    pub range: bool,
    /// The fields that the marker of this page's key names; empty without a marker.
    pub indexed: &'a [String],
    /// `redis_cache_ignore_headers Vary`: a Vary that nobody indexed does not matter.
    pub ignores_vary: bool,
    /// `redis_cache_cookies`: the key has all cookies that the application was sent.
    pub cookies_are_in_key: bool,
    /// The request carries an Authorization header, even an empty one.
    pub authorization: bool,
    /// What the request's Cache-Control asks for; nothing unless `redis_cache_request_control`.
    pub control: RequestControl,
}

/// What a stored page is to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Fresh(Reuse),
    /// It would answer if the application confirmed it.
    Stale(Stale),
    /// It does not answer.
    No(Reason),
}

/// How a stored page answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Seconds since the page was new; `None` where the page does not say.
    pub age: Option<u64>,
    /// Seconds for which the page stays fresh; `None` where Redis alone limits it.
    pub ttl: Option<u64>,
    /// What is sent.
    pub form: Form,
}

/// In which form a stored page is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is stored.
    Stored,
    /// Without its gzip, which nginx's `gunzip` undoes.
    Gunzip,
    /// Without this coding, which the cache undoes.
    Decoded(Coding),
}

/// A page that is no longer fresh, or not fresh enough for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Why it does not answer by itself; its status is [`Status::Expired`].
    pub reason: Reason,
    /// As in [`Reuse`].
    pub form: Form,
}

/// What `page` is to a request at `now` (milliseconds since 1970).
pub fn reuse(page: &Page<'_>, client: &ClientFacts<'_>, now: i64) -> Verdict {
    if let (Some(stored), Some(asked)) = (page.facts.key.as_deref(), client.hashed_text) {
        if stored != asked {
            return Verdict::No(Reason::Collision);
        }
    }
    let fresh = freshness_of(page, now).and_then(|(age, ttl)| {
        if satisfies(&client.control, age, ttl) { Ok((age, ttl)) } else { Err(Reason::Reload) }
    });
    match (fresh, selects(page, client)) {
        (Ok((age, ttl)), Ok(form)) => Verdict::Fresh(Reuse { age, ttl, form }),
        (Err(reason), Ok(form)) if reason.status() == Status::Expired => {
            Verdict::Stale(Stale { reason, form })
        }
        (Err(reason), _) | (Ok(_), Err(reason)) => Verdict::No(reason),
    }
}

/// Whether the page is one for this request, be it fresh or not; if so, in which form.
fn selects(page: &Page<'_>, client: &ClientFacts<'_>) -> Result<Form, Reason> {
    let is_known = |name: &[u8]| {
        (client.cookies_are_in_key && name.eq_ignore_ascii_case(b"cookie"))
            || client.indexed.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    if !client.ignores_vary && !vary::is_indexed(page.values("vary"), is_known) {
        return Err(Reason::Vary);
    }
    if client.authorization && !is_for_authorized(page) {
        return Err(Reason::NotPublic);
    }
    let stored = coding::stored(page.values("content-encoding"));
    let is_accepted = match stored {
        coding::Stored::Identity => return Ok(Form::Stored),
        coding::Stored::Known(coding) => {
            coding::accepts(client.accept_encoding, coding.name().as_bytes())
        }
        coding::Stored::Other(name) => coding::accepts(client.accept_encoding, name),
        coding::Stored::Several => false,
    };
    match stored {
        coding::Stored::Known(coding)
            if client.decodes && (client.range || !is_accepted) && may_be_decoded(page) =>
        {
            Ok(Form::Decoded(coding))
        }
        _ if is_accepted => Ok(Form::Stored),
        coding::Stored::Known(Coding::Gzip) if client.gunzip => Ok(Form::Gunzip),
        _ => Err(Reason::Encoding),
    }
}

/// Whether the coding may be undone: one of the cache's own always, another's where Cache-Control does
/// not say `no-transform` (RFC 9110 section 7.7).
fn may_be_decoded(page: &Page<'_>) -> bool {
    page.facts.coded.is_some() || !is_to_stay_as_it_is(page.fields())
}

/// Whether the page may answer a request with Authorization. Such a request could get another page
/// from the application than the visitors do for whom this one was stored, unless that says that it
/// is for everybody.
fn is_for_authorized(page: &Page<'_>) -> bool {
    let targeted = CacheControl::parse_targeted(page.values("cdn-cache-control"));
    let plain = || CacheControl::parse(page.values("cache-control"));
    targeted.unwrap_or_else(plain).for_authorized
}

/// Whether a fresh page is what the request's Cache-Control asks for (RFC 9111 section 5.2.1); a
/// page of unknown age is not of any age that is asked for.
fn satisfies(control: &RequestControl, age: Option<u64>, ttl: Option<u64>) -> bool {
    let young = control.max_age.is_none_or(|most| age.is_some_and(|age| age <= most));
    let lasting = control.min_fresh.is_none_or(|least| ttl.is_none_or(|ttl| ttl >= least));
    !control.no_cache && young && lasting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Stored, decode};

    const CLIENT: ClientFacts<'static> = ClientFacts {
        hashed_text: None,
        accept_encoding: None,
        gunzip: false,
        decodes: false,
        range: false,
        indexed: &[],
        ignores_vary: false,
        cookies_are_in_key: false,
        authorization: false,
        control: RequestControl {
            no_store: false,
            no_cache: false,
            only_if_cached: false,
            max_age: None,
            min_fresh: None,
        },
    };

    fn try_reuse(head: &str, client: &ClientFacts<'_>) -> Result<Reuse, Reason> {
        let value = format!("HTTP/1.1 200 OK\r\n{head}\r\nbody");
        let Ok(Stored::Page(page)) = decode(value.as_bytes()) else { panic!("no page: {value}") };
        match reuse(&page, client, 1_000_000) {
            Verdict::Fresh(reuse) => Ok(reuse),
            Verdict::Stale(Stale { reason, .. }) | Verdict::No(reason) => Err(reason),
        }
    }

    #[test]
    fn a_stale_page_is_one_that_would_answer() {
        let judged = |head: &str, client: &ClientFacts<'_>| {
            let value =
                format!("HTTP/1.1 200 OK\r\nRedis-Cache: v=1, stored=1, fresh=1\r\n{head}\r\nbody");
            let Ok(Stored::Page(page)) = decode(value.as_bytes()) else {
                panic!("no page: {value}")
            };
            reuse(&page, client, 1_000_000)
        };
        let stale = |form| Verdict::Stale(Stale { reason: Reason::Stale, form });
        let gzip = "Content-Encoding: gzip\r\n";
        assert_eq!(judged("", &CLIENT), stale(Form::Stored));
        assert_eq!(judged(gzip, &ClientFacts { gunzip: true, ..CLIENT }), stale(Form::Gunzip));
        assert_eq!(judged(gzip, &CLIENT), Verdict::No(Reason::Stale));
        assert_eq!(judged("Vary: Cookie\r\n", &CLIENT), Verdict::No(Reason::Stale));
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
            Ok(Reuse { age: Some(4), ttl: Some(0), form: Form::Stored })
        );
        assert_eq!(try_reuse(&at(995_000), &CLIENT), Err(Reason::Stale));
        assert_eq!(try_reuse(&at(1_000_500), &CLIENT).unwrap().age, Some(0));
    }

    #[test]
    fn the_request_may_ask_for_a_newer_page() {
        let head = "Redis-Cache: v=1, stored=990000, fresh=30000\r\n";
        let asks = |control| try_reuse(head, &ClientFacts { control, ..CLIENT });
        let none = RequestControl::default();
        assert!(asks(RequestControl { max_age: Some(10), min_fresh: Some(20), ..none }).is_ok());
        for control in [
            RequestControl { no_cache: true, ..none },
            RequestControl { max_age: Some(9), ..none },
            RequestControl { min_fresh: Some(21), ..none },
        ] {
            assert_eq!(asks(control), Err(Reason::Reload));
        }
        let old = ClientFacts { control: RequestControl { max_age: Some(9), ..none }, ..CLIENT };
        assert_eq!(try_reuse("", &old), Err(Reason::Reload));
    }

    #[test]
    fn a_request_with_authorization_gets_what_is_for_everybody() {
        let authorized = ClientFacts { authorization: true, ..CLIENT };
        for control in ["public", "max-age=60, must-revalidate", "s-maxage=60"] {
            let head = format!("Cache-Control: {control}\r\n");
            assert!(try_reuse(&head, &authorized).is_ok(), "{control}");
        }
        for head in [
            "",
            "Cache-Control: max-age=60\r\n",
            "Cache-Control: proxy-revalidate\r\n",
            "CDN-Cache-Control: max-age=60\r\nCache-Control: public\r\n",
        ] {
            assert_eq!(try_reuse(head, &authorized), Err(Reason::NotPublic), "{head}");
            assert!(try_reuse(head, &CLIENT).is_ok(), "{head}");
        }
    }

    #[test]
    fn codings_and_vary() {
        let accepts = |value| ClientFacts { accept_encoding: Some(value), ..CLIENT };
        let gzip = "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n";
        assert_eq!(try_reuse(gzip, &accepts(b"gzip")).unwrap().form, Form::Stored);
        assert_eq!(try_reuse(gzip, &CLIENT), Err(Reason::Encoding));
        assert_eq!(try_reuse(gzip, &accepts(b"gzip;q=0, *")), Err(Reason::Encoding));
        let gunzip = ClientFacts { gunzip: true, ..CLIENT };
        assert_eq!(try_reuse(gzip, &gunzip).unwrap().form, Form::Gunzip);
        assert_eq!(try_reuse("Content-Encoding: br\r\n", &gunzip), Err(Reason::Encoding));
        assert!(try_reuse("Content-Encoding: br\r\n", &accepts(b"br")).is_ok());
        assert_eq!(
            try_reuse("Content-Encoding: gzip, br\r\n", &accepts(b"*")),
            Err(Reason::Encoding)
        );
        assert_eq!(try_reuse("Vary: Cookie\r\n", &CLIENT), Err(Reason::Vary));
        assert_eq!(try_reuse("Vary: accept-encoding, *\r\n", &CLIENT), Err(Reason::Vary));
        let ignores = ClientFacts { ignores_vary: true, ..CLIENT };
        assert!(try_reuse("Vary: Cookie\r\n", &ignores).is_ok());
        let keyed = ClientFacts { cookies_are_in_key: true, ..CLIENT };
        assert!(try_reuse("Vary: cookie, Accept-Encoding\r\n", &keyed).is_ok());
        assert_eq!(try_reuse("Vary: Cookie, Accept\r\n", &keyed), Err(Reason::Vary));
        let indexed = ["cookie".to_owned()];
        let variant = ClientFacts { indexed: &indexed, ..CLIENT };
        assert!(try_reuse("Vary: Cookie\r\n", &variant).is_ok());
        assert_eq!(try_reuse("Vary: Cookie, Accept\r\n", &variant), Err(Reason::Vary));
        let indexed = ["*".to_owned()];
        let star = ClientFacts { indexed: &indexed, ..CLIENT };
        assert_eq!(try_reuse("Vary: *\r\n", &star), Err(Reason::Vary));
    }

    #[test]
    fn a_coding_that_can_be_undone_serves_everybody() {
        let form = |head: &str, client| try_reuse(head, &client).map(|reuse| reuse.form);
        let client = ClientFacts { decodes: true, ..CLIENT };
        let accepts = |value| ClientFacts { accept_encoding: Some(value), ..client };
        let (gzip, br) = ("Content-Encoding: x-gzip\r\n", "Content-Encoding: br\r\n");
        assert_eq!(form(gzip, client), Ok(Form::Decoded(Coding::Gzip)));
        assert_eq!(form(br, accepts(b"gzip, identity;q=0")), Ok(Form::Decoded(Coding::Br)));
        assert_eq!(form(br, accepts(b"*")), Ok(Form::Stored));
        let part = ClientFacts { range: true, ..accepts(b"br, gzip") };
        assert_eq!(form(br, part), Ok(Form::Decoded(Coding::Br)));
        assert_eq!(form("", part), Ok(Form::Stored));
        assert_eq!(form("Content-Encoding: zstd\r\n", client), Err(Reason::Encoding));
        assert_eq!(form("Content-Encoding: br, gzip\r\n", client), Err(Reason::Encoding));
        let whole = "Cache-Control: No-Transform\r\nContent-Encoding: gzip\r\n";
        assert_eq!(form(whole, client), Err(Reason::Encoding));
        assert_eq!(form(whole, ClientFacts { range: true, ..accepts(b"gzip") }), Ok(Form::Stored));
        let ours = format!("Redis-Cache: v=1, coded=weak\r\n{whole}");
        assert_eq!(form(&ours, client), Ok(Form::Decoded(Coding::Gzip)));
    }
}
