//! The directives of `redis_cache_upstream`: the second part of the table.

use super::directive::Action::{Level, Upstream};
use super::directive::{Context, Directive, MANY};
use super::{setters, tls_setters, upstream_setters};

/// The directive of that name in a `redis_cache_upstream`.
pub fn in_upstream(name: &[u8]) -> Option<&'static Directive> {
    UPSTREAM_DIRECTIVES.iter().find(|directive| directive.name.to_bytes() == name)
}

/// The table, in the order of the docs.
pub const UPSTREAM_DIRECTIVES: &[Directive] = &[
    Directive {
        name: c"server",
        arguments: "URL [replica] [weight=N] [backup]",
        default: "-",
        context: Context::Upstream,
        arity: (1, 3),
        help: "A server, with a URL as in `redis_cache_pass`; all servers of an upstream have the \
            same database, user and password. Of several that are neither `replica` nor `backup` \
            each has its share of the keys, by `weight` (1 to 1000), and every nginx comes to the \
            same shares. A `replica` is read as `read` says, and never written to. A `backup` is \
            asked while the server of a key is out; pages are invalidated on both. Beside \
            `cluster` the servers are where the map of slots is asked for first.",
        action: Upstream(upstream_setters::server),
    },
    Directive {
        name: c"sentinel",
        arguments: "MASTER HOST[:PORT] ...",
        default: "-",
        context: Context::Upstream,
        arity: (2, MANY),
        help: "The servers are those that the sentinels name for MASTER; the port is 26379 where it \
            is left out. The sentinels are asked in turn until one answers, and a new primary is \
            followed as soon as it is announced.",
        action: Upstream(upstream_setters::sentinel),
    },
    Directive {
        name: c"cluster",
        arguments: "",
        default: "-",
        context: Context::Upstream,
        arity: (0, 0),
        help: "The servers are a Redis Cluster: every key is asked for where its slot is. MOVED and \
            ASK are followed once, within `redis_cache_timeout`. The database is 0.",
        action: Upstream(upstream_setters::cluster),
    },
    Directive {
        name: c"read",
        arguments: "primary|replica|nearest",
        default: "primary",
        context: Context::Upstream,
        arity: (1, 1),
        help: "Which servers are read: the primary; replicas, or the primary where none is fit; or \
            the one of both that answers soonest. A replica that is loading, has lost its primary, \
            or has not got by now what the primary had a second ago is not fit. A page that was \
            purged can be read from a replica for about as long. Stores and invalidations go to \
            the primary.",
        action: Upstream(upstream_setters::read),
    },
    Directive {
        name: c"db",
        arguments: "N",
        default: "0",
        context: Context::Upstream,
        arity: (1, 1),
        help: "The database, 0 to 999999, beside `sentinel`.",
        action: Upstream(upstream_setters::db),
    },
    Directive {
        name: c"username",
        arguments: "STRING",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_username`.",
        action: Level(setters::username),
    },
    Directive {
        name: c"password_file",
        arguments: "PATH",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_password_file`.",
        action: Level(setters::password_file),
    },
    Directive {
        name: c"sentinel_username",
        arguments: "STRING",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "The ACL user at the sentinels.",
        action: Upstream(upstream_setters::sentinel_username),
    },
    Directive {
        name: c"sentinel_password_file",
        arguments: "PATH",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "A file with the password at the sentinels, as `redis_cache_password_file`. Without it \
            none is sent to them.",
        action: Upstream(upstream_setters::sentinel_password_file),
    },
    Directive {
        name: c"ssl",
        arguments: "on|off",
        default: "off",
        context: Context::Upstream,
        arity: (1, 1),
        help: "Whether the sentinels, and the servers that they name, are asked over TLS. Beside `server` the URL says so: `rediss://`.",
        action: Upstream(upstream_setters::ssl),
    },
    Directive {
        name: c"ssl_trusted_certificate",
        arguments: "PATH",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_ssl_trusted_certificate`.",
        action: Level(tls_setters::trusted_certificate),
    },
    Directive {
        name: c"ssl_verify",
        arguments: "on|off",
        default: "on",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_ssl_verify`.",
        action: Level(tls_setters::verify),
    },
    Directive {
        name: c"ssl_name",
        arguments: "STRING",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_ssl_name`, for every server. Without it the host of each, as the configuration, the sentinels or the cluster name it.",
        action: Level(tls_setters::name),
    },
    Directive {
        name: c"ssl_certificate",
        arguments: "PATH",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_ssl_certificate`.",
        action: Level(tls_setters::certificate),
    },
    Directive {
        name: c"ssl_certificate_key",
        arguments: "PATH",
        default: "-",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_ssl_certificate_key`.",
        action: Level(tls_setters::certificate_key),
    },
    Directive {
        name: c"ssl_protocols",
        arguments: "[TLSv1.2] [TLSv1.3]",
        default: "TLSv1.2 TLSv1.3",
        context: Context::Upstream,
        arity: (1, 2),
        help: "As `redis_cache_ssl_protocols`.",
        action: Level(tls_setters::protocols),
    },
    Directive {
        name: c"ssl_ciphers",
        arguments: "STRING",
        default: "DEFAULT",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_ssl_ciphers`.",
        action: Level(tls_setters::ciphers),
    },
    Directive {
        name: c"connections",
        arguments: "N",
        default: "2",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_connections`, to each server.",
        action: Level(setters::connections),
    },
    Directive {
        name: c"queue",
        arguments: "N",
        default: "1024",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_queue`, for the upstream as a whole.",
        action: Level(setters::queue),
    },
    Directive {
        name: c"buffers",
        arguments: "SIZE",
        default: "64m",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_buffers`, for the upstream as a whole.",
        action: Level(setters::buffers),
    },
    Directive {
        name: c"connect_timeout",
        arguments: "TIME",
        default: "50ms",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_connect_timeout`.",
        action: Level(setters::connect_timeout),
    },
    Directive {
        name: c"timeout",
        arguments: "TIME",
        default: "100ms",
        context: Context::Upstream,
        arity: (1, 1),
        help: "As `redis_cache_timeout`, for locations that have none of their own.",
        action: Level(setters::timeout),
    },
    Directive {
        name: c"breaker",
        arguments: "[fails=N] [timeout=TIME] | off",
        default: "fails=5 timeout=1s",
        context: Context::Upstream,
        arity: (1, 2),
        help: "As `redis_cache_breaker`, for each server.",
        action: Level(setters::breaker),
    },
];
