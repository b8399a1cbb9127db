//! `ngx_http_redis_cache_module`: cached pages served by nginx straight from Redis.
//!
//! # The rooms
//!
//! The **pure half** knows no nginx type and has no `unsafe`:
//!
//! | room | what it decides |
//! |---|---|
//! | [`config`] | the table of directives, their values, merging, consistency of endpoints |
//! | [`policy`] | may this request be looked up, this page be sent, this answer be stored? |
//! | [`key`] | parts of the request to key bytes |
//! | [`redis`] | URL to endpoint, handshake, commands, what is written over what, breaker, blocking queries |
//! | [`engine`] | the event engine: servers, connections, replies, on any event loop |
//! | [`parking`] | requests and writes that wait for an answer: tickets, deadlines |
//! | [`entry`] | a stored value to a page and back: the raw and the http form |
//! | [`coder`] | a body to its coded form and back |
//! | [`flight`] | one request of a worker fetches a page, others wait for it |
//! | [`refresh`] | which stale pages are fetched anew in the background |
//! | [`uses`] | how often pages were asked for that are not stored |
//! | [`variants`] | how many variants of a page are stored |
//! | [`http`] | Cache-Control, freshness, Vary, content codings, hop-by-hop fields |
//! | [`warnings`] | one line in the error log a reason and interval |
//! | [`fault`] | a reason and its cause, fit for the log |
//! | [`reason`] | the one word that says why, shared by log, variable, docs and tests |
//!
//! The **nginx half**, `nginx`, holds all FFI and every `unsafe` block, in rooms of its own: `setup`,
//! `http`, `worker`, `io`, `sys`.
//!
//! # The path of one request
//!
//! ```text
//! http::post_read   the client's own X-Redis-Cache-Key is removed, Host made of :authority
//! http::handler     (redis_cache_pass) or http::in_place (redis_cache):
//!                   policy::look_up    -> look up, or bypass(reason)
//!                   key::KeyShape      -> key bytes
//!                   worker::ask        -> parking::Lot::park, then the engine is asked
//! engine            engine::client with redis::link, or redis::blocking:
//!                   what was found is deposited under the ticket
//! worker            a posted event takes it out and resumes the request
//! http::handler     entry::decode      -> hit(page), or miss/expired/error(reason)
//! http::serve       a hit: headers and body from the reply's own memory
//! http::fallback    anything else: the named location or on in place, with X-Redis-Cache-Key
//! http::filter      Cache-Status on whatever is answered
//! http::answer      policy::store -> the application's answer is collected, held or replaced
//! worker::writer    redis::write  -> a page, a marker, a tombstone
//! ```
//!
//! # Where each time limit is
//!
//! `config::plan` has the values. `parking` ends what waits for longer than `redis_cache_timeout`;
//! `engine::connection` ends a connection that is silent for that long, or takes longer than
//! `redis_cache_connect_timeout`; `redis::budget` does both for blocking queries; `redis::breaker` and
//! `redis::backoff` say when a server is left alone.
//!
//! # What is stored
//!
//! `policy::store` decides whether, `policy::place` where, `entry::encode` how, and `redis::write` over
//! what.

pub mod coder;
pub mod config;
pub mod engine;
pub mod entry;
pub mod fault;
pub mod flight;
pub mod http;
pub mod key;
#[cfg(feature = "nginx")]
mod nginx;
pub mod parking;
pub mod policy;
pub mod reason;
pub mod redis;
pub mod refresh;
pub mod uses;
pub mod variants;
pub mod warnings;
