//! What of a request counts: args.json and cookies.json.

use ngx_http_redis_cache_module::http::cookie::Cookies;
use ngx_http_redis_cache_module::http::query::{Args, Pattern, TRACKING};
use serde::Deserialize;

use super::{optional_bytes, vectors};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArgsVector {
    name: String,
    args: Vec<String>,
    target: Option<String>,
    target_base64: Option<String>,
    left: Option<String>,
    left_base64: Option<String>,
}

fn patterns(names: &str) -> Vec<Pattern> {
    let of = |name| match name {
        "tracking" => TRACKING.map(Pattern::parse).to_vec(),
        name => vec![Pattern::parse(name)],
    };
    names.split(',').flat_map(of).collect()
}

#[test]
fn what_is_left_of_a_query() {
    for vector in vectors("args.json", |v: &ArgsVector| &v.name) {
        let mut args = Args::default();
        for argument in &vector.args {
            match argument.split_once('=') {
                Some(("drop", names)) => args.drop = patterns(names),
                Some(("keep", names)) => args.keep = Some(patterns(names)),
                _ => args.sort = argument == "sort",
            }
        }
        let target = bytes!(vector, target, target_base64).unwrap();
        let left = bytes!(vector, left, left_base64).unwrap();
        assert_eq!(*args.target(&target), *left, "{}", vector.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CookiesVector {
    name: String,
    names: Vec<String>,
    cookie: Option<String>,
    cookie_base64: Option<String>,
    suffix: Option<String>,
    suffix_base64: Option<String>,
    field: Option<String>,
    field_base64: Option<String>,
}

#[test]
fn which_cookies_count() {
    for vector in vectors("cookies.json", |v: &CookiesVector| &v.name) {
        let mut names = vector.names.clone();
        names.sort_unstable();
        let line = bytes!(vector, cookie, cookie_base64).unwrap();
        let found = Cookies::select(&names, [line.as_slice()].into_iter());
        let mut suffix = Vec::new();
        found.append_to(&mut suffix);
        assert_eq!(suffix, bytes!(vector, suffix, suffix_base64).unwrap(), "{}", vector.name);
        assert_eq!(found.field(), bytes!(vector, field, field_base64), "{}", vector.name);
    }
}
