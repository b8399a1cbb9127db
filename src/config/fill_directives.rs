//! The part of the table on who fetches a page, and what is sent meanwhile.

use super::directive::Action::Level;
use super::directive::{Context, Directive, MANY};
use super::fill_setters;

/// In the order of the docs.
pub(super) const FILL: &[Directive] = &[
    Directive {
        name: c"redis_cache_use_stale",
        arguments: "[error] [timeout] [updating] [http_500] [http_502] [http_503] [http_504] [http_403] [http_404] \
            [http_429] | off",
        default: "off",
        context: Context::Any,
        arity: (1, MANY),
        help: "When a stored page that is no longer fresh is sent, in the words of nginx's \
            `proxy_cache_use_stale`. `updating`: at once, while a request of nginx's own fetches the page \
            anew; no visitor waits for it, and it has no visitor's cookies, conditions or ranges. In the \
            place of what the application makes of the request: `error`, it cannot be reached or its answer \
            cannot be read; `timeout`, it takes too long; `http_...`, it answers with this status. The \
            status is STALE, or UPDATING where the page is being fetched already. \
            `stale-while-revalidate` and `stale-if-error` of a page (RFC 5861) do both without the directive, \
            for their time; the second for `error`, `timeout`, 500, 502, 503 and 504. Not where the page says \
            `must-revalidate`, `proxy-revalidate` or `no-cache`, nor, by the directive, `s-maxage`. Pages \
            are kept for `redis_cache_keep` when they are no longer fresh. What was purged or invalidated is \
            gone. A page in the raw form is fresh for as long as it is there. An `error_page` for such a \
            status is not used where there is a stale page.",
        action: Level(fill_setters::use_stale),
    },
    Directive {
        name: c"redis_cache_lock",
        arguments: "on|off",
        default: "on",
        context: Context::Any,
        arity: (1, 1),
        help: "Whether requests that come to a worker while another one of it fetches the same page wait \
            for that, as with nginx's `proxy_cache_lock`, and get the page that it stores. Where \
            `redis_cache_store on` stands. HEAD waits as well; requests with Authorization or Range, \
            subrequests, and those that `redis_cache_bypass` names do not. What an answer showed not to be \
            storable is not waited for again for 10 s. Each worker of each nginx fetches a page by itself.",
        action: Level(fill_setters::lock),
    },
    Directive {
        name: c"redis_cache_lock_timeout",
        arguments: "TIME",
        default: "5s",
        context: Context::Any,
        arity: (1, 1),
        help: "The longest that a request waits for another one, 1ms to 10m; then it goes to the application \
            (`lock_timeout`).",
        action: Level(fill_setters::lock_timeout),
    },
    Directive {
        name: c"redis_cache_lock_age",
        arguments: "TIME",
        default: "5s",
        context: Context::Any,
        arity: (1, 1),
        help: "How long a page is fetched before the next request that wants it fetches it too, 1ms to 10m.",
        action: Level(fill_setters::lock_age),
    },
    Directive {
        name: c"redis_cache_background_limit",
        arguments: "N",
        default: "16",
        context: Context::Any,
        arity: (1, 1),
        help: "How many stale pages a worker fetches anew at a time in the background, 0 to 1000, counted over \
            all locations. Beyond it a stale page that may be sent is sent, and fetched another time. One page \
            is tried once a second at most, by each worker. 0 is none: who comes then waits for the \
            application.",
        action: Level(fill_setters::background_limit),
    },
    Directive {
        name: c"redis_cache_refresh_early",
        arguments: "on|off",
        default: "off",
        context: Context::Any,
        arity: (1, 1),
        help: "Fetches a page anew in the background a moment before it is no longer fresh, at random and \
            the more likely the longer it took to make and the less time is left (XFetch, Vattani and \
            others, 2015): so somebody waits for it seldom, and two nginx seldom fetch it at once. At \
            the earliest in the last fifth of its lifetime, and only where that is 10 s or more. For \
            pages that nginx has stored; `redis_cache_background_limit` counts.",
        action: Level(fill_setters::refresh_early),
    },
    Directive {
        name: c"redis_cache_jitter",
        arguments: "PERCENT",
        default: "0",
        context: Context::Any,
        arity: (1, 1),
        help: "Shortens the lifetime of a page by a random part of at most PERCENT, 0% to 50%, when it is \
            stored, so that pages which were stored together do not expire together. Only lifetimes of \
            10 s or more. Cache-Control of the answer stays as it is.",
        action: Level(fill_setters::jitter),
    },
];
