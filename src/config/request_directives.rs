//! The part of the table on the request that is cached: what of it is in the key, and what its answer
//! is to other pages.

use super::directive::Action::Level;
use super::directive::{Context, Directive, MANY};
use super::request_setters;

/// In the order of the docs.
pub(super) const REQUEST: &[Directive] = &[
    Directive {
        name: c"redis_cache_args",
        arguments: "[drop=PATTERN,...] [keep=NAME,...] [sort] | off",
        default: "off",
        context: Context::Any,
        arity: (1, 3),
        help: "What counts of the query of a request that is looked up. The key is made of what is \
            left, and on a fill the application gets exactly that: in its request line, in `$args` \
            and in `$request_uri`; so nothing of one visitor's query gets into everybody's page. \
            `$request`, logs, and requests that are not filled keep what the client sent. `drop` \
            takes parameters out, `keep` everything else; a name may end in `*`, and `tracking` \
            stands for `utm_*`, `gclid`, `gclsrc`, `dclid`, `gbraid`, `wbraid`, `fbclid`, \
            `msclkid`, `mc_cid`, `mc_eid`, `_ga`, `_gl`, `yclid`, `ttclid`, `igshid`, `twclid` \
            and `srsltid`. `sort` puts parameters in the order of their names; those of one name \
            keep theirs. Names are compared byte for byte: nothing is decoded, and `&` alone \
            separates. At most 64 names each. What an application that redirects makes of the \
            target has lost the parameters as well.",
        action: Level(request_setters::args),
    },
    Directive {
        name: c"redis_cache_cookies",
        arguments: "NAME ... | none | off",
        default: "off",
        context: Context::Any,
        arity: (1, MANY),
        help: "The cookies that change a page. They are part of the key, and the only ones that the \
            application gets on a fill; `Vary: Cookie` of an answer then means them. `none` keeps \
            all cookies from it. Names are exact; a cookie that comes twice, or whose value is \
            longer than 256 bytes, counts as absent. At most 64 names. Never name one that is a \
            visitor's own: whom a session knows goes past the cache by `redis_cache_bypass`. \
            POST and the like invalidate the page without these cookies and that with the \
            client's own; others live as long as they are fresh.",
        action: Level(request_setters::cookies),
    },
    Directive {
        name: c"redis_cache_forwarded",
        arguments: "proto[=FIELD] [host[=FIELD]] from=CIDR ... | off",
        default: "off",
        context: Context::Any,
        arity: (1, MANY),
        help: "Behind a balancer that ends TLS, or a CDN: what the request was when it came in. `proto` \
            is the field with its scheme (`X-Forwarded-Proto` unless named), `host` that with its \
            host (`X-Forwarded-Host`); of several values the last one counts. They are believed \
            from the addresses of `from` alone: CIDRs, addresses, or `unix:`, each as a \
            parameter of its own; with nginx's realip module the address before it counts. \
            `$redis_cache_uri`, and with it the default key, is made of them, and so are \
            `$redis_cache_scheme` and `$redis_cache_host`, which the application is best told by \
            `proxy_set_header`. An answer to anybody else who sends one of these fields is not \
            stored (`forwarded`).",
        action: Level(request_setters::believes),
    },
    Directive {
        name: c"redis_cache_invalidate",
        arguments: "location|target|off",
        default: "location",
        context: Context::Any,
        arity: (1, 1),
        help: "What a 2xx or 3xx answer to POST and the like invalidates where `redis_cache_store` is on: \
            `location`, the page of its target and those that Location and Content-Location name, as \
            RFC 9111 section 4.4 has it; `target`, the page of its target alone, for logins \
            and other forms that send everybody back to the front page; `off`, nothing.",
        action: Level(request_setters::invalidate),
    },
    Directive {
        name: c"redis_cache_purge",
        arguments: "on [from=CIDR ...] | off",
        default: "off",
        context: Context::Any,
        arity: (1, MANY),
        help: "`PURGE /path` purges the page of its target, with all variants, of http:// and of \
            https://; the application is not asked. The answer comes when Redis has confirmed it: \
            200; 202 where it is carried out later, because Redis could not be asked in \
            `redis_cache_timeout`; 503 where it is not. It is taken from the addresses of `from`, as \
            in `redis_cache_forwarded` (with the realip module the address behind it), and from \
            nobody else: 403. Without `from` they are those of this machine and unix sockets. Of pages \
            whose key has cookies, those without them are purged.",
        action: Level(request_setters::purge),
    },
    Directive {
        name: c"redis_cache_min_uses",
        arguments: "N",
        default: "1",
        context: Context::Any,
        arity: (1, 1),
        help: "A page is stored when it is asked for the Nth time, 1 to 100, as with \
            proxy_cache_min_uses: with 2, one that is asked for once costs Redis its lookup \
            and nothing else. The workers of one nginx count together, approximately: what is \
            rare may be stored early, nothing late. Counts halve as they age.",
        action: Level(request_setters::min_uses),
    },
];
