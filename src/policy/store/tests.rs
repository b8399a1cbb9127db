use super::*;
use crate::policy::{Heuristic, Ignored, Validity};

/// When every answer below arrives; its Date, if it has one, is [`DATE`].
const NOW: i64 = 784_111_777_000;
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:48:37 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

fn rules() -> StoreRules {
    StoreRules {
        valid: Vec::new(),
        heuristic: None,
        ignored: Ignored::default(),
        revalidate: false,
        cookies_are_in_key: false,
        codes: false,
        uses_stale: false,
        keep: Duration::from_secs(3600),
    }
}

fn revalidating() -> StoreRules {
    StoreRules { revalidate: true, ..rules() }
}

fn with(rules: &StoreRules, status: u16, fields: &[(&str, &str)]) -> Result<Storable, StoreReason> {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect();
    let answer = Received { status, fields: &fields, asked: NOW, arrived: NOW };
    store(&answer, rules, |name| name == "cookie")
}

fn fresh(fields: &[(&str, &str)]) -> Result<i64, StoreReason> {
    with(&rules(), 200, fields).map(|storable| storable.fresh)
}

fn control(value: &str) -> Result<i64, StoreReason> {
    fresh(&[("Cache-Control", value)])
}

#[test]
fn lifetimes_in_their_order() {
    assert_eq!(control("max-age=60"), Ok(60_000));
    assert_eq!(control("max-age=60, S-MaxAge=30"), Ok(30_000));
    assert_eq!(control("public"), Err(StoreReason::NoLifetime));
    assert_eq!(fresh(&[("Expires", LATER), ("Date", DATE)]), Ok(60_000));
    assert_eq!(fresh(&[("Expires", LATER), ("Cache-Control", "max-age=5")]), Ok(5_000));
    assert_eq!(fresh(&[("Expires", "0")]), Err(StoreReason::Expired));
    assert_eq!(fresh(&[("Expires", EARLIER)]), Err(StoreReason::Expired));
    let all = [("X-Accel-Expires", "7"), ("Cache-Control", "max-age=60"), ("Expires", LATER)];
    assert_eq!(fresh(&all), Ok(7_000));
    let cdn = [("CDN-Cache-Control", "max-age=9"), ("Cache-Control", "no-store"), ("Expires", "0")];
    assert_eq!(fresh(&cdn), Ok(9_000));
    let broken = [("CDN-Cache-Control", "max-age"), ("Cache-Control", "max-age=4")];
    assert_eq!(fresh(&broken), Err(StoreReason::NoLifetime));
    let unreadable = [("CDN-Cache-Control", "max-age=,"), ("Cache-Control", "max-age=4")];
    assert_eq!(fresh(&unreadable), Ok(4_000));
}

#[test]
fn what_the_answer_forbids() {
    for (value, reason) in [
        ("max-age=60, no-store", StoreReason::NoStore),
        ("max-age=60, Private", StoreReason::Private),
        ("max-age=60, private=\"x-a\"", StoreReason::Private),
        ("max-age=60, no-cache", StoreReason::NoCache),
        ("max-age=60, no-cache=\"set-cookie\"", StoreReason::NoCache),
        ("max-age=0", StoreReason::Expired),
        ("max-age=1x", StoreReason::Expired),
    ] {
        assert_eq!(control(value), Err(reason), "{value}");
    }
    assert_eq!(control("max-age=60, ext=\"no-store, private\""), Ok(60_000));
    assert_eq!(control("max-age=60, no-store, must-understand"), Ok(60_000));
    let lines = [("Cache-Control", "max-age=60"), ("cache-control", " NO-STORE ")];
    assert_eq!(fresh(&lines), Err(StoreReason::NoStore));
    let age = ("Cache-Control", "max-age=60");
    assert_eq!(fresh(&[age, ("Set-Cookie", "a=b")]), Err(StoreReason::SetCookie));
    assert_eq!(fresh(&[age, ("X-Accel-Expires", "0")]), Err(StoreReason::NoStore));
    assert_eq!(fresh(&[age, ("Content-Range", "bytes 0-1/2")]), Err(StoreReason::Partial));
    assert_eq!(fresh(&[age, ("Age", "60")]), Err(StoreReason::Expired));
}

#[test]
fn x_accel_expires_in_its_forms() {
    let at = (NOW / 1000 + 20).to_string();
    assert_eq!(fresh(&[("X-Accel-Expires", &format!("@{at}"))]), Ok(20_000));
    assert_eq!(fresh(&[("X-Accel-Expires", "@1")]), Err(StoreReason::NoStore));
    assert_eq!(fresh(&[("X-Accel-Expires", "7"), ("Age", "50")]), Ok(57_000));
    for other in ["off", "-1", "", "@", "+5", "1.5"] {
        assert_eq!(fresh(&[("X-Accel-Expires", other)]), Err(StoreReason::NoLifetime), "{other}");
    }
}

#[test]
fn an_explicit_lifetime_counts_for_every_final_status() {
    let lifetimes = [
        ("Cache-Control", "max-age=60"),
        ("Cache-Control", "s-maxage=60"),
        ("Expires", LATER),
        ("CDN-Cache-Control", "max-age=60"),
        ("X-Accel-Expires", "60"),
    ];
    for lifetime in lifetimes {
        for status in
            [200, 204, 205, 299, 302, 303, 307, 400, 404, 405, 410, 414, 451, 499, 503, 599]
        {
            assert!(with(&rules(), status, &[lifetime]).is_ok(), "{status} {lifetime:?}");
        }
    }
    for status in [200, 204, 302, 404, 410, 499, 500, 503, 599] {
        assert_eq!(with(&rules(), status, &[]), Err(StoreReason::NoLifetime), "{status}");
    }
}

/// Every status there is and some that there are not: never stored, whatever is configured.
#[test]
fn statuses_that_are_never_stored() {
    let any = StoreRules { valid: vec![(Validity::Any, Duration::from_secs(1))], ..rules() };
    let never =
        [206, 304, 401, 407, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426, 428, 429, 431];
    for status in 0..=1000 {
        let is_stored = with(&any, status, &[("Cache-Control", "max-age=60")]).is_ok();
        assert_eq!(is_stored, (200..600).contains(&status) && !never.contains(&status), "{status}");
    }
}

#[test]
fn a_lifetime_of_the_configuration() {
    let second = Duration::from_secs(1);
    let any = StoreRules {
        valid: vec![(Validity::Status(404), second * 2), (Validity::Any, second)],
        ..rules()
    };
    assert_eq!(with(&any, 404, &[]).unwrap().fresh, 2_000);
    assert_eq!(with(&any, 500, &[]).unwrap().fresh, 1_000);
    assert_eq!(with(&any, 404, &[("Cache-Control", "max-age=60")]).unwrap().fresh, 60_000);
    assert_eq!(with(&any, 200, &[("Age", "5")]).unwrap().fresh, 6_000);
    let never = StoreRules { valid: vec![(Validity::Status(200), Duration::ZERO)], ..rules() };
    assert_eq!(with(&never, 200, &[]), Err(StoreReason::NoLifetime));
}

/// The lifetime of an answer that was changed a thousand seconds before its Date.
fn estimated(
    rules: &StoreRules,
    status: u16,
    more: &[(&'static str, &'static str)],
) -> Result<i64, StoreReason> {
    let modified = httpdate::fmt_http_date(
        std::time::UNIX_EPOCH + Duration::from_millis(NOW.unsigned_abs())
            - Duration::from_secs(1000),
    );
    let mut fields = vec![("Date", DATE), ("Last-Modified", modified.as_str())];
    fields.extend(more);
    with(rules, status, &fields).map(|storable| storable.fresh)
}

fn estimating(percent: u32, max: u64) -> StoreRules {
    let heuristic = Heuristic { percent, max: Duration::from_secs(max) };
    StoreRules { heuristic: Some(heuristic), ..rules() }
}

#[test]
fn a_lifetime_is_estimated_only_where_it_may_be() {
    let tenth = estimating(10, 86_400);
    for status in [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501] {
        assert_eq!(estimated(&tenth, status, &[]), Ok(100_000), "{status}");
        assert_eq!(estimated(&rules(), status, &[]), Err(StoreReason::NoLifetime), "{status}");
    }
    for status in [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599] {
        assert_eq!(estimated(&tenth, status, &[]), Err(StoreReason::NoLifetime), "{status}");
        let public = [("Cache-Control", "public")];
        assert_eq!(estimated(&tenth, status, &public), Ok(100_000), "{status}");
    }
    for status in [206, 401, 407, 429] {
        let public = [("Cache-Control", "public")];
        assert_eq!(estimated(&tenth, status, &public), Err(StoreReason::Status), "{status}");
    }
}

#[test]
fn an_estimate_comes_last_and_is_bounded() {
    let tenth = estimating(10, 86_400);
    assert_eq!(estimated(&tenth, 200, &[("Cache-Control", "max-age=5")]), Ok(5_000));
    assert_eq!(estimated(&tenth, 200, &[("Expires", "0")]), Err(StoreReason::Expired));
    assert_eq!(estimated(&tenth, 200, &[("X-Accel-Expires", "7")]), Ok(7_000));
    assert_eq!(estimated(&tenth, 200, &[("Cache-Control", "no-store")]), Err(StoreReason::NoStore));
    let valid = |seconds| StoreRules {
        valid: vec![(Validity::Status(200), Duration::from_secs(seconds))],
        ..estimating(10, 86_400)
    };
    assert_eq!(estimated(&valid(3), 200, &[]), Ok(3_000));
    assert_eq!(estimated(&valid(0), 200, &[]), Err(StoreReason::NoLifetime));
    assert_eq!(estimated(&estimating(100, 86_400), 200, &[]), Ok(1_000_000));
    assert_eq!(estimated(&estimating(100, 60), 200, &[]), Ok(60_000));
    assert_eq!(estimated(&tenth, 200, &[("Age", "99")]), Ok(100_000));
    assert_eq!(estimated(&tenth, 200, &[("Age", "100")]), Err(StoreReason::Expired));
    for modified in [LATER, DATE, "x", ""] {
        let fields = [("Date", DATE), ("Last-Modified", modified)];
        assert_eq!(with(&tenth, 200, &fields), Err(StoreReason::NoLifetime), "{modified}");
    }
}

#[test]
fn any_does_not_name_what_a_request_may_provoke() {
    let second = Duration::from_secs(1);
    let any = StoreRules { valid: vec![(Validity::Any, second)], ..rules() };
    for status in [400, 405, 414] {
        assert_eq!(with(&any, status, &[]), Err(StoreReason::NoLifetime), "{status}");
        let named = StoreRules { valid: vec![(Validity::Status(status), second)], ..rules() };
        assert_eq!(with(&named, status, &[]).unwrap().fresh, 1_000, "{status}");
    }
}

#[test]
fn what_must_be_understood() {
    let only = |status, value| with(&rules(), status, &[("Cache-Control", value)]).map(|s| s.fresh);
    for status in [200, 203, 204, 301, 404, 410, 503] {
        assert_eq!(only(status, "max-age=60, no-store, must-understand"), Ok(60_000), "{status}");
    }
    for status in [299, 306, 451, 499, 599] {
        for value in ["max-age=60, no-store, must-understand", "max-age=60, must-understand"] {
            assert_eq!(only(status, value), Err(StoreReason::Status), "{status}");
        }
    }
}

#[test]
fn vary() {
    let varies = |lines: &[&str]| {
        let mut fields: Vec<_> = lines.iter().map(|line| ("Vary", *line)).collect();
        fields.push(("Cache-Control", "max-age=60"));
        with(&rules(), 200, &fields).map(|storable| storable.vary)
    };
    assert_eq!(varies(&["Origin, accept", " Accept,,"]).unwrap(), ["accept", "origin"]);
    for all in [&["*"][..], &["accept, *"], &["accept", " * "]] {
        assert_eq!(varies(all), Err(StoreReason::VaryAll));
    }
    assert_eq!(varies(&["accept,   COOKIE"]), Err(StoreReason::Personal));
    assert_eq!(varies(&["Authorization"]).unwrap(), ["authorization"]);
    assert_eq!(varies(&["a b"]), Err(StoreReason::Entry));
    let many: Vec<_> = (0..17).map(|n| format!("x-{n}")).collect();
    assert_eq!(varies(&[&many.join(",")]), Err(StoreReason::Entry));
}

#[test]
fn an_answer_to_a_request_with_authorization_has_to_be_for_everybody() {
    let authorized = |fields: &[(&'static str, &'static str)], rules: &StoreRules| {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| Field { name, value: value.as_bytes() }).collect();
        let answer = Received { status: 200, fields: &fields, asked: NOW, arrived: NOW };
        store(&answer, rules, |name| name == "authorization").map(|storable| storable.fresh)
    };
    let control = |value| authorized(&[("Cache-Control", value)], &rules());
    for value in ["max-age=60, public", "max-age=60, must-revalidate", "s-maxage=60"] {
        assert_eq!(control(value), Ok(60_000), "{value}");
    }
    for value in ["max-age=60", "max-age=60, proxy-revalidate", "max-age=60, ext=\"public\""] {
        assert_eq!(control(value), Err(StoreReason::Authorization), "{value}");
    }
    assert_eq!(control("max-age=60, public, private"), Err(StoreReason::Private));
    let ignored = Ignored { cache_control: true, ..Ignored::default() };
    let valid = vec![(Validity::Any, Duration::from_secs(5))];
    let ignoring = StoreRules { ignored, valid, ..rules() };
    let public = [("Cache-Control", "public")];
    assert_eq!(authorized(&public, &ignoring), Err(StoreReason::Authorization));
    let varies = [("Cache-Control", "s-maxage=60"), ("Vary", "Authorization")];
    assert_eq!(authorized(&varies, &rules()), Err(StoreReason::Personal));
}

#[test]
fn ignored_fields() {
    let fields = [
        ("Set-Cookie", "a=b"),
        ("Vary", "*"),
        ("Cache-Control", "no-store"),
        ("CDN-Cache-Control", "no-store"),
        ("Expires", "0"),
        ("X-Accel-Expires", "0"),
    ];
    let all = Ignored {
        set_cookie: true,
        vary: true,
        cache_control: true,
        cdn_cache_control: true,
        expires: true,
        accel_expires: true,
    };
    let valid = vec![(Validity::Any, Duration::from_secs(5))];
    let rules = StoreRules { ignored: all, valid, ..rules() };
    assert_eq!(with(&rules, 200, &fields).unwrap().fresh, 5_000);
}

#[test]
fn a_validator_is_worth_keeping_what_is_stale() {
    let etag = ("ETag", "\"1\"");
    let kept = |value: &str| with(&revalidating(), 200, &[etag, ("Cache-Control", value)]);
    let no_cache = kept("max-age=60, no-cache").unwrap();
    assert_eq!((no_cache.fresh, no_cache.ttl), (0, 3_600_000));
    assert_eq!(kept("max-age=0").unwrap().ttl, 3_600_000);
    assert_eq!(kept("max-age=60").unwrap().ttl, 3_660_000);
    let modified = [("Last-Modified", DATE), ("Cache-Control", "no-cache")];
    assert!(with(&revalidating(), 200, &modified).is_ok());
    let useless = [("Last-Modified", "x"), ("Cache-Control", "no-cache")];
    assert_eq!(with(&revalidating(), 200, &useless), Err(StoreReason::NoCache));
    assert_eq!(control("max-age=60"), Ok(60_000));
}

#[test]
fn stale_windows_are_kept_unless_forbidden() {
    let windows = "max-age=60, stale-while-revalidate=30, stale-if-error=90";
    let found = with(&rules(), 200, &[("Cache-Control", windows), ("Age", "10")]).unwrap();
    assert_eq!((found.swr, found.sie, found.age), (30_000, 90_000, 10_000));
    assert_eq!(found.ttl, 50_000 + 90_000);
    let beside = format!("{windows}, s-maxage=60");
    let found = with(&rules(), 200, &[("Cache-Control", &beside)]).unwrap();
    assert_eq!((found.swr, found.sie), (30_000, 90_000));
    for forbids in ["must-revalidate", "proxy-revalidate"] {
        let value = format!("{windows}, {forbids}");
        let found = with(&rules(), 200, &[("Cache-Control", &value)]).unwrap();
        assert_eq!((found.swr, found.sie, found.ttl), (0, 0, 60_000), "{forbids}");
    }
}

#[test]
fn one_coding_for_all_clients_is_no_axis() {
    let codes = StoreRules { codes: true, ..rules() };
    let vary = |control: &str, rules: &StoreRules| {
        with(rules, 200, &[("Cache-Control", control), ("Vary", "Accept, Accept-Encoding")])
    };
    let both = vec!["accept".to_owned(), "accept-encoding".to_owned()];
    assert_eq!(vary("max-age=5", &rules()).unwrap().vary, both);
    assert_eq!(vary("max-age=5", &codes).unwrap().vary, ["accept"]);
    assert_eq!(vary("max-age=5, no-transform", &codes).unwrap().vary, both);
}

#[test]
fn what_may_be_used_stale_is_kept() {
    let keeps = StoreRules { uses_stale: true, ..rules() };
    let ttl = |rules| with(rules, 200, &[("Cache-Control", "max-age=60")]).unwrap().ttl;
    assert_eq!((ttl(&rules()), ttl(&keeps)), (60_000, 3_660_000));
}
