//! Checks across locations, for `nginx -t`.

use super::plan::Connections;

/// The first setting in which two uses of one endpoint differ, as a sentence: settings of
/// connections belong to the endpoint, so all its locations must agree on them.
pub fn conflict(known: &Connections, new: &Connections) -> Option<String> {
    let differs = |directive: &str| {
        Some(format!(
            "{directive} differs from its value in another location for {}: \
             set it once, at the level around both",
            known.upstream
        ))
    };
    if known.upstream.login.password != new.upstream.login.password {
        return differs("the password");
    }
    if known.connections != new.connections {
        return differs("redis_cache_connections");
    }
    if known.queue != new.queue {
        return differs("redis_cache_queue");
    }
    if known.buffers != new.buffers {
        return differs("redis_cache_buffers");
    }
    if known.connect_timeout != new.connect_timeout {
        return differs("redis_cache_connect_timeout");
    }
    if known.breaker != new.breaker {
        return differs("redis_cache_breaker");
    }
    match (&known.tls, &new.tls) {
        (Some(known), Some(new)) => known.difference(new).and_then(differs),
        _ => None,
    }
}

/// Whether following fallbacks from `start` comes back to a location already seen; `next` gives
/// the fallback of the named location, where that one has `redis_cache_pass` too.
pub fn fallback_cycle<'a>(start: &'a str, next: impl Fn(&str) -> Option<&'a str>) -> bool {
    let mut seen = vec![start];
    let mut current = start;
    while let Some(fallback) = next(current) {
        if seen.contains(&fallback) {
            return true;
        }
        seen.push(fallback);
        current = fallback;
    }
    false
}

/// Variables of nginx that are made of the URI, the arguments or the location that a request has
/// at the moment, beside `$arg_...`.
const MOVING: [&str; 10] = [
    "uri",
    "document_uri",
    "args",
    "query_string",
    "is_args",
    "request_filename",
    "document_root",
    "realpath_root",
    "fastcgi_script_name",
    "fastcgi_path_info",
];

/// The first variable in a string that an internal redirect changes.
pub(super) fn moving_variable(text: &str) -> Option<&str> {
    variables(text).find(|name| {
        let name = name.to_ascii_lowercase();
        name.starts_with("arg_") || MOVING.contains(&name.as_str())
    })
}

/// The names of the variables in a string, found as nginx finds them: `$name` or `${name}`;
/// `$1` is a capture.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let name = rest.strip_prefix('{').unwrap_or(rest);
        let end = name.find(|byte: char| !byte.is_ascii_alphanumeric() && byte != '_');
        let name = name.get(..end.unwrap_or(name.len()))?;
        let is_capture = rest.starts_with(|first: char| ('1'..='9').contains(&first));
        (!name.is_empty() && !is_capture).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_move() {
        for (text, found) in [
            ("$uri", "uri"),
            ("$scheme://$host${uri}x", "uri"),
            ("$host$document_uri", "document_uri"),
            ("$request_uri?$args", "args"),
            ("a$is_args$query_string", "is_args"),
            ("$1$arg_page", "arg_page"),
            ("${ARG_page}", "ARG_page"),
            ("$realpath_root/", "realpath_root"),
            ("/$1uri$URI", "URI"),
        ] {
            assert_eq!(moving_variable(text), Some(found), "{text}");
        }
        for text in [
            "uri",
            "",
            "$",
            "${",
            "$1",
            "$1uri",
            "$redis_cache_uri",
            "$request_uri",
            "$uri_x",
            "$arg",
        ] {
            assert_eq!(moving_variable(text), None, "{text}");
        }
    }

    #[test]
    fn cycles() {
        let next = |name: &str| match name {
            "@a" => Some("@b"),
            "@b" => Some("@a"),
            "@self" => Some("@self"),
            "@tier" => Some("@app"),
            _ => None,
        };
        assert!(fallback_cycle("@a", next) && fallback_cycle("@self", next));
        assert!(!fallback_cycle("@tier", next) && !fallback_cycle("@app", next));
    }
}
