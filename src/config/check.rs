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

#[cfg(test)]
mod tests {
    use super::*;

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
