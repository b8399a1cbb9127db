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
