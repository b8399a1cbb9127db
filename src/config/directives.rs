//! The one table of directives. nginx's commands are made from it, docs/directives.md is it in
//! words, and a test holds the two together. Those of `redis_cache_upstream` are in
//! [`super::upstream_directives`].

use super::directive::Action::{Block, Level};
use super::directive::{Context, Directive, MANY, joined};
use super::fill_directives::FILL;
use super::request_directives::REQUEST;
use super::{setters, store_directives, store_setters, tls_setters};

/// The table, in the order of the docs.
pub const DIRECTIVES: &[Directive] =
    &joined::<{ WITH_FILL.len() + REQUEST.len() }>(WITH_FILL, REQUEST);

const WITH_FILL: &[Directive] = &joined::<{ CACHE.len() + FILL.len() }>(CACHE, FILL);

/// All but those on the request that is cached, and on who fetches a page.
const CACHE: &[Directive] = &[
    Directive {
        name: c"redis_cache_pass",
        arguments: "URL | NAME",
        default: "-",
        context: Context::Location,
        arity: (1, 1),
        help: "Answers the requests of this location from Redis: computes the key, asks for it and \
            sends the page. `URL` is `redis://[user[:password]@]host[:port][/db]`, \
            `rediss://` for TLS, or `unix:/path[?db=N]` (also `redis+unix:///path?db=N`); \
            `valkey://`, `valkeys://` and `valkey+unix:` are the same. User and password are \
            percent-decoded. `NAME` is a `redis_cache_upstream`. A host is resolved when nginx \
            starts, and with a `resolver` of nginx again when its TTL is over or a connection was \
            lost. Only GET and HEAD are looked \
            up, and a request with an Authorization header with `redis_cache_authorization on` \
            alone. It is the content handler of \
            the location, so no other may stand beside it.",
        action: Level(setters::pass),
    },
    Directive {
        name: c"redis_cache",
        arguments: "URL | NAME | off",
        default: "off",
        context: Context::Any,
        arity: (1, 1),
        help: "The same lookup in place, in front of the location's own handler (proxy_pass, \
            fastcgi_pass, uwsgi_pass, ...) and behind its access rules: a hit is sent, and a miss, \
            a bypass or any trouble with Redis goes on to that handler. A request is looked up \
            once, also where it goes through several locations that inherit the directive. The \
            lookup comes before `try_files`, so that such a location asks Redis for its files \
            too. A location with `redis_cache_pass` does not inherit it.",
        action: Level(setters::in_place),
    },
    Directive {
        name: c"redis_cache_fallback",
        arguments: "@name",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "The named location that answers after a miss, a bypass or any trouble with Redis, \
            with the request's method, body and URI as they came. Without it a miss is 404, a \
            method other than GET and HEAD 405, a timeout 504 and another error 502.",
        action: Level(setters::fallback),
    },
    Directive {
        name: c"redis_cache_key",
        arguments: "STRING [hash=md5|sha1|sha256|none] [prefix=STRING]",
        default: "by format",
        context: Context::Any,
        arity: (1, 3),
        help: "The key: `prefix` and behind it STRING, which may contain variables, or its hash in \
            lower-case hexadecimal digits. Left out, `hash` is `none` and `prefix` empty. Without \
            the directive the http form uses `$redis_cache_uri hash=none prefix=page:` and the \
            raw form `$http_host$request_uri hash=md5 prefix=:1:`, which is the key of the 2014 \
            package; both are computed from the request as it was sent. A key that comes out \
            empty or above 64 KiB is a bypass. `$uri`, `$args` and what else an internal redirect \
            changes do not belong in it, and `nginx -t` warns of them: behind \
            `try_files $uri /index.php` all pages would have the key of `/index.php`.",
        action: Level(setters::key),
    },
    Directive {
        name: c"redis_cache_format",
        arguments: "http|raw",
        default: "http",
        context: Context::Any,
        arity: (1, 1),
        help: "What lies under a key: `http`, a whole HTTP/1.1 message with status, header and \
            body; or `raw`, the body alone, sent as 200 with the type that `types` and \
            `default_type` give. See format.md.",
        action: Level(setters::format),
    },
    Directive {
        name: c"redis_cache_io",
        arguments: "event|blocking",
        default: "event",
        context: Context::Any,
        arity: (1, 1),
        help: "How Redis is asked. `event` does it on nginx's own event loop: the worker never \
            waits, and the lookups of one turn leave in one write. `blocking` queries hold the \
            worker, for at most `redis_cache_timeout` each; they ask one server without TLS, and \
            its name is resolved when nginx starts alone.",
        action: Level(setters::io),
    },
    Directive {
        name: c"redis_cache_connections",
        arguments: "N",
        default: "2",
        context: Context::Any,
        arity: (1, 1),
        help: "Connections that a worker keeps to one endpoint, 1 to 64. Count them against Redis' \
            `maxclients`: boxes times workers times N.",
        action: Level(setters::connections),
    },
    Directive {
        name: c"redis_cache_queue",
        arguments: "N",
        default: "1024",
        context: Context::Any,
        arity: (1, 1),
        help: "Lookups of a worker to one endpoint that may wait at a time, 1 to 1000000. One more \
            goes to the fallback at once, with the reason `overload`.",
        action: Level(setters::queue),
    },
    Directive {
        name: c"redis_cache_buffers",
        arguments: "SIZE",
        default: "64m",
        context: Context::Any,
        arity: (1, 1),
        help: "Memory of a worker for the values of one endpoint, received or being sent, 64k to \
            64g. A lookup that begins while it is used up goes to the fallback, with the reason \
            `overload`. Answers that are being collected to be stored find room in half of it.",
        action: Level(setters::buffers),
    },
    Directive {
        name: c"redis_cache_connect_timeout",
        arguments: "TIME",
        default: "50ms",
        context: Context::Any,
        arity: (1, 1),
        help: "The longest that connecting may take, handshake included, 1ms to 1h. It is part of \
            `redis_cache_timeout`.",
        action: Level(setters::connect_timeout),
    },
    Directive {
        name: c"redis_cache_timeout",
        arguments: "TIME",
        default: "100ms",
        context: Context::Any,
        arity: (1, 1),
        help: "The longest that a lookup may take, waiting and connecting included, 1ms to 1h. \
            After it the fallback answers.",
        action: Level(setters::timeout),
    },
    Directive {
        name: c"redis_cache_breaker",
        arguments: "[fails=N] [timeout=TIME] | off",
        default: "fails=5 timeout=1s",
        context: Context::Any,
        arity: (1, 2),
        help: "After N connection faults in a row (1 to 1000000) a worker asks the endpoint nothing \
            for TIME (1ms to 1h), and then lets one probe decide. Meanwhile the fallback answers \
            at once, with the reason `breaker`.",
        action: Level(setters::breaker),
    },
    Directive {
        name: c"redis_cache_max_size",
        arguments: "SIZE",
        default: "8m",
        context: Context::Any,
        arity: (1, 1),
        help: "Larger values are not served, 1 byte to 512m and not above `redis_cache_buffers`. \
            A key found larger is not asked for again for 5 seconds.",
        action: Level(setters::max_size),
    },
    Directive {
        name: c"redis_cache_bypass",
        arguments: "STRING ...",
        default: "-",
        context: Context::Any,
        arity: (1, MANY),
        help: "Redis is not asked if one of the strings, which contain variables, is neither empty \
            nor `0`, as with proxy_cache_bypass: `redis_cache_bypass $cookie_sessionid;`.",
        action: Level(setters::bypass),
    },
    Directive {
        name: c"redis_cache_username",
        arguments: "STRING",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "The ACL user, where the URL names none. Needs a password.",
        action: Level(setters::username),
    },
    Directive {
        name: c"redis_cache_password_file",
        arguments: "PATH",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "A file with the password and nothing else; one line end behind it does not count. \
            Read when nginx starts and on reload. A relative path starts at nginx's \
            configuration prefix.",
        action: Level(setters::password_file),
    },
    Directive {
        name: c"redis_cache_ssl_trusted_certificate",
        arguments: "PATH",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "A file of certificates in PEM: those of the authorities that the server's certificate \
            may come from. Without it the authorities count that OpenSSL trusts on this machine \
            (Debian: the package ca-certificates). This and the other `redis_cache_ssl_*` count \
            where the URL is `rediss://`. Files are read when nginx starts and on reload; a \
            relative path starts at nginx's configuration prefix.",
        action: Level(tls_setters::trusted_certificate),
    },
    Directive {
        name: c"redis_cache_ssl_verify",
        arguments: "on|off",
        default: "on",
        context: Context::Any,
        arity: (1, 1),
        help: "Whether the server must have a certificate of a trusted authority that is valid now and \
            for the name of `redis_cache_ssl_name`. Off, anybody on the way can read and \
            answer in the server's place.",
        action: Level(tls_setters::verify),
    },
    Directive {
        name: c"redis_cache_ssl_name",
        arguments: "STRING",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "The name or IP address that the server's certificate must be for, and that is sent to \
            the server (SNI) unless it is an address. Without it the host of the URL.",
        action: Level(tls_setters::name),
    },
    Directive {
        name: c"redis_cache_ssl_certificate",
        arguments: "PATH",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "A file with our certificate in PEM, and those between it and its authority, for a server \
            that wants one (`tls-auth-clients`). Needs `redis_cache_ssl_certificate_key`.",
        action: Level(tls_setters::certificate),
    },
    Directive {
        name: c"redis_cache_ssl_certificate_key",
        arguments: "PATH",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "The file of that certificate's key in PEM, without a passphrase.",
        action: Level(tls_setters::certificate_key),
    },
    Directive {
        name: c"redis_cache_ssl_protocols",
        arguments: "[TLSv1.2] [TLSv1.3]",
        default: "TLSv1.2 TLSv1.3",
        context: Context::Any,
        arity: (1, 2),
        help: "The versions of TLS that may be spoken.",
        action: Level(tls_setters::protocols),
    },
    Directive {
        name: c"redis_cache_ssl_ciphers",
        arguments: "STRING",
        default: "DEFAULT",
        context: Context::Any,
        arity: (1, 1),
        help: "The ciphers of TLS 1.2, as `openssl ciphers` writes them. Those of TLS 1.3 are OpenSSL's \
            own.",
        action: Level(tls_setters::ciphers),
    },
    Directive {
        name: c"redis_cache_status_header",
        arguments: "on|off",
        default: "off",
        context: Context::Any,
        arity: (1, 1),
        help: "Adds `Cache-Status` (RFC 9211) with the reason to every answer of the location and \
            of its fallback.",
        action: Level(setters::status_header),
    },
    Directive {
        name: c"redis_cache_store",
        arguments: "on|off",
        default: "off",
        context: Context::Any,
        arity: (1, 1),
        help: "Stores the application's answer after a miss or an expiry, as RFC 9111 lets a shared \
            cache do it: answers to GET that are complete, have a freshness lifetime, and are for \
            everybody. The application is then not told the key. A 2xx or 3xx answer to a method \
            other than GET, HEAD, OPTIONS and TRACE invalidates the stored page of its URI, and \
            with the default key those that its Location and Content-Location name; the answer \
            waits for that, within `redis_cache_timeout`. Where `redis_cache` is in force beside it and \
            the location has no content handler, files on disk are stored too, for \
            `redis_cache_valid`; `nginx -t` warns of that. Needs `redis_cache_format http`. Leave it \
            off where the application stores by itself, as with the Django package.",
        action: Level(store_setters::store),
    },
    Directive {
        name: c"redis_cache_valid",
        arguments: "[CODE ... | any] TIME",
        default: "-",
        context: Context::Any,
        arity: (1, MANY),
        help: "The freshness lifetime of answers that state none themselves, as proxy_cache_valid: \
            for the statuses named, for `any`, or without a status for 200, 301 and 302. It may \
            stand several times; the first that fits counts, and a time of 0 means not to store. \
            `any` does not name 400, 405 and 414, which a request made for it may provoke. 1xx, \
            206, 304, 401, 407, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426, 428, 429 and \
            431 are never stored, whatever lifetime the answer states.",
        action: Level(store_setters::valid),
    },
    store_directives::HEURISTIC,
    store_directives::COMPRESS,
    store_directives::AUTHORIZATION,
    Directive {
        name: c"redis_cache_no_store",
        arguments: "STRING ...",
        default: "-",
        context: Context::Any,
        arity: (1, MANY),
        help: "The answer is not stored if one of the strings, which contain variables, is neither \
            empty nor `0` when its header arrives, as with proxy_no_cache: \
            `redis_cache_no_store $upstream_http_x_private;`. A request that \
            `redis_cache_bypass` names is not stored either way.",
        action: Level(store_setters::no_store),
    },
    Directive {
        name: c"redis_cache_ignore_headers",
        arguments: "NAME ...",
        default: "-",
        context: Context::Any,
        arity: (1, MANY),
        help: "Header fields of an answer that do not count: `X-Accel-Expires`, `Expires`, \
            `Cache-Control`, `CDN-Cache-Control`, `Set-Cookie`, `Vary`. An answer whose Set-Cookie \
            is ignored is stored without it: be sure that its body is for everybody. With Vary \
            ignored, one page is sent to all, also a stored one that another writer made vary.",
        action: Level(store_setters::ignore_headers),
    },
    Directive {
        name: c"redis_cache_hide_header",
        arguments: "NAME",
        default: "-",
        context: Context::Any,
        arity: (1, 1),
        help: "A header field of stored pages that is not sent on a hit, as proxy_hide_header. It \
            may stand several times.",
        action: Level(store_setters::hide_header),
    },
    Directive {
        name: c"redis_cache_revalidate",
        arguments: "on|off",
        default: "off",
        context: Context::Any,
        arity: (1, 1),
        help: "A stored page that is no longer fresh and has ETag or Last-Modified is not thrown \
            away: the application is asked with If-None-Match or If-Modified-Since, and after a \
            304 the stored page is sent and is fresh again. Needs `redis_cache_store on`; what is \
            to be revalidated is kept for `redis_cache_keep`.",
        action: Level(store_setters::revalidate),
    },
    store_directives::KEEP,
    Directive {
        name: c"redis_cache_request_control",
        arguments: "on|off",
        default: "off",
        context: Context::Any,
        arity: (1, 1),
        help: "Obeys the Cache-Control of requests: `no-cache`, `max-age` and `min-fresh` ask for a \
            newer page than the stored one, and `only-if-cached` is answered with 504 where there \
            is none. Off, any visitor's reload is served from Redis. `no-store` of a request is \
            obeyed always.",
        action: Level(store_setters::request_control),
    },
    Directive {
        name: c"redis_cache_upstream",
        arguments: "NAME { ... }",
        default: "-",
        context: Context::Http,
        arity: (1, 1),
        help: "Servers that belong together, under a name for `redis_cache_pass` and `redis_cache`: \
            several servers, a primary and its replicas, the servers that sentinels name, or a \
            cluster. It may stand in front of its use or behind it. What it does not say of \
            connections comes from the location that names it; what it says outweighs the \
            location. `redis_cache_io blocking` takes one with a single server alone.",
        action: Block,
    },
];
