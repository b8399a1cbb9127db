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
//! | [`redis`] | URL to endpoint, handshake, commands, what is written over what, breaker; the event engine without its sockets, blocking queries |
//! | [`parking`] | requests and writes that wait for an answer: tickets, deadlines |
//! | [`entry`] | a stored value to a page and back: the raw and the http form |
//! | [`variants`] | how many variants of a page are stored |
//! | [`http`] | Cache-Control, freshness, Vary, content codings, hop-by-hop fields |
//! | [`warnings`] | one line in the error log a reason and interval |
//! | [`fault`] | a reason and its cause, fit for the log |
//! | [`reason`] | the one word that says why, shared by log, variable, docs and tests |
//!
//! The **nginx half**, `nginx`, holds all FFI and every `unsafe` block: the module record,
//! the view of a request, the two doors, the response, the filters and the variables.
//!
//! # The path of one request
//!
//! ```text
//! nginx::post_read  the client's own X-Redis-Cache-Key is removed, Host made of :authority
//! nginx::handler    (redis_cache_pass) or nginx::in_place (redis_cache):
//!                   policy::look_up    -> look up, or bypass(reason)
//!                   key::KeyShape      -> key bytes
//!                   nginx::worker      -> parking::Lot::park, then the engine is asked
//! engine            nginx::client with redis::link, or redis::blocking:
//!                   an Answer is deposited under the ticket
//! nginx::worker     a posted event takes the reply out and resumes the request
//! nginx::handler    entry::decode      -> hit(page), or miss/expired/error(reason)
//! nginx::serve      a hit: headers and body from the reply's own memory
//! nginx::fallback   anything else: the named location or on in place, with X-Redis-Cache-Key
//! nginx::filter     Cache-Status on whatever is answered
//! nginx::answer     policy::store -> the application's answer is collected, held or replaced
//! nginx::writer     redis::write  -> a page, a marker, a tombstone
//! ```

pub mod config;
pub mod entry;
pub mod fault;
pub mod http;
pub mod key;
#[cfg(feature = "nginx")]
mod nginx;
pub mod parking;
pub mod policy;
pub mod reason;
pub mod redis;
pub mod variants;
pub mod warnings;
