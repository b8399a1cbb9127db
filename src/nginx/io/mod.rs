//! nginx's event loop and memory: [`socket`] and its [`tls`], what nginx says of them ([`said`]), the
//! [`events`] of a worker, the [`resolver`] of names, the [`zone`] that workers share, its
//! [`threads`], and clients of our own ([`inner`]).

pub(in crate::nginx) mod events;
pub(in crate::nginx) mod inner;
pub(in crate::nginx) mod resolver;
pub(in crate::nginx) mod said;
pub(in crate::nginx) mod socket;
#[cfg_attr(not(ngx_feature = "threads"), path = "no_threads.rs")]
pub(in crate::nginx) mod threads;
#[cfg_attr(not(ngx_feature = "ssl"), path = "no_tls.rs")]
pub(in crate::nginx) mod tls;
pub(in crate::nginx) mod zone;
