//! Rows of the table of directives that say what is stored.

use super::directive::Action::Level;
use super::directive::{Context, Directive};
use super::store_setters;

pub(super) const HEURISTIC: Directive = Directive {
    name: c"redis_cache_heuristic",
    arguments: "PERCENT [max=TIME] | off",
    default: "off",
    context: Context::Any,
    arity: (1, 2),
    help: "Estimates a freshness lifetime where the answer states none and `redis_cache_valid` \
        has none for its status: so much of the time since its Last-Modified, 1% to 100%, and \
        at most TIME (1s to 10y, 1d where it is left out). `redis_cache_heuristic 10%;` keeps \
        a page that has not changed for a day fresh for 2.4 hours. It is for the statuses 200, \
        203, 204, 300, 301, 308, 404, 405, 410, 414 and 501, and for others where Cache-Control \
        says `public` (RFC 9111 section 4.2.2). A query makes no difference.",
    action: Level(store_setters::heuristic),
};

pub(super) const COMPRESS: Directive = Directive {
    name: c"redis_cache_compress",
    arguments: "gzip|br [level=N] [min_length=SIZE] [types=TYPE,...] | off",
    default: "off",
    context: Context::Any,
    arity: (1, 4),
    help: "Codes a page once, when it is stored, in the place of nginx's `gzip` for every visitor. \
        The one stored page is for all: who does not take the coding gets it decoded. `level` is 1 \
        to 9 of gzip (6) and 1 to 11 of br (5); shorter bodies than `min_length` (0 to 8m, 1k), \
        other types than `types` (those of text; `*` is all) and what does not shrink by a tenth \
        are stored as they came, and so is what is coded already or says `no-transform`. On a fill \
        the application is asked for gzip if the client takes it, else for no coding, and \
        `Vary: Accept-Encoding` makes no variants any more. `ETag` of the coded form is weak; a \
        part (`Range`) is one of the decoded form. Bodies whose coding takes longer than a \
        millisecond are coded by nginx's threads, or where it has none faster and less well. Leave \
        it off where SSI, `sub_filter` or addition change the page: they need it decoded. Needs \
        `redis_cache_format http`.",
    action: Level(store_setters::compress),
};

pub(super) const KEEP: Directive = Directive {
    name: c"redis_cache_keep",
    arguments: "TIME",
    default: "1h",
    context: Context::Any,
    arity: (1, 1),
    help: "For how long Redis keeps a page when it is no longer fresh, 1ms to 10y: one with a \
        validator under `redis_cache_revalidate on`, any under `redis_cache_use_stale`.",
    action: Level(store_setters::keep),
};

pub(super) const AUTHORIZATION: Directive = Directive {
    name: c"redis_cache_authorization",
    arguments: "on|off",
    default: "off",
    context: Context::Any,
    arity: (1, 1),
    help: "Looks up requests with an Authorization header too. They are answered by stored pages \
        whose Cache-Control says `public`, `s-maxage` or `must-revalidate`, and by no others, and \
        only such answers to them are stored: with these words the application says that the \
        answer is the same for every user (RFC 9111 section 3.5). Off, such requests go to the \
        application. Needs `redis_cache_format http`.",
    action: Level(store_setters::authorization),
};
