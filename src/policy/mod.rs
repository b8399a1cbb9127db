//! Decisions as values with a named reason: may this request be looked up
//! ([`look_up()`]), may this stored page answer it ([`reuse()`])?

mod look_up;
mod reuse;

pub use look_up::{RequestFacts, condition_holds, look_up};
pub use reuse::{ClientFacts, Reuse, reuse};
