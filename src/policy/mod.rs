//! Decisions as values with a named reason: may this request be looked up ([`look_up()`]), may
//! this stored page answer it ([`reuse()`]), may its answer be stored as far as the request
//! ([`fill()`]) and the answer ([`store()`], [`confirm()`]) say, where does it go ([`place()`]), and what is sent when
//! the application fails ([`use_stale()`])?

mod age;
mod compress;
mod confirm;
mod early;
mod fill;
mod look_up;
mod place;
mod reuse;
mod rules;
mod status;
mod store;
mod use_stale;

pub use age::{age_of, freshness_of, staleness_of};
pub use compress::{Compress, Types};
pub use confirm::{Confirmation, confirm};
pub use early::{is_due_early, is_near_its_end};
pub use fill::{FillFacts, fill};
pub use look_up::{Purge, RequestFacts, condition_holds, look_up};
pub use place::{Known, LookedUp, Variant, place};
pub use reuse::{ClientFacts, Form, Reuse, Stale, Verdict, reuse};
pub use rules::{Heuristic, Ignored, Invalidates, StoreRules, Validity};
pub use status::{has_no_body, invalidates, is_never_stored};
pub use store::{Received, Storable, has_validator, is_to_stay_as_it_is, store};
pub use use_stale::{Failure, UseStale, use_stale, use_while_revalidated};
