//! Decisions as values with a named reason: may this request be looked up ([`look_up()`]), may
//! this stored page answer it ([`reuse()`]), may its answer be stored as far as the request
//! ([`fill()`]) and the answer ([`store()`]) say?

mod fill;
mod look_up;
mod reuse;
mod store;

pub use fill::{FillFacts, fill};
pub use look_up::{RequestFacts, condition_holds, look_up};
pub use reuse::{ClientFacts, Reuse, reuse, selects};
pub use store::{Answer, Storable, has_validator, is_never_stored, store};
