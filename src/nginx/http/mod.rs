//! One request. [`post_read`] sees it first; [`handler`] and [`in_place`] are the two doors by which it
//! is looked up, under a key of [`facts`] and [`origin`]; [`lookup`] is the life of that, with the values
//! that it holds ([`kept`]), [`fate`] that of its answer. A hit is sent by [`serve`], a stale page with
//! it by [`refresh`]; everything else
//! goes to the application by [`fallback`], prepared by [`fill`], [`conditions`] and [`rewrite`], or
//! waits for another request to fetch the page ([`flight`]).
//! [`filter`] hands what is answered to [`answer`]: it is stored ([`collect`]), held ([`hold`]) or
//! replaced ([`revalidate`], [`use_stale`]). [`variables`] tell of it.

pub(in crate::nginx) mod answer;
pub(in crate::nginx) mod collect;
pub(in crate::nginx) mod conditions;
pub(in crate::nginx) mod facts;
pub(in crate::nginx) mod fallback;
pub(in crate::nginx) mod fate;
pub(in crate::nginx) mod fill;
pub(in crate::nginx) mod filter;
pub(in crate::nginx) mod flight;
pub(in crate::nginx) mod handler;
pub(in crate::nginx) mod hold;
pub(in crate::nginx) mod in_place;
pub(in crate::nginx) mod kept;
pub(in crate::nginx) mod lookup;
pub(in crate::nginx) mod origin;
pub(in crate::nginx) mod post_read;
pub(in crate::nginx) mod refresh;
pub(in crate::nginx) mod revalidate;
pub(in crate::nginx) mod rewrite;
pub(in crate::nginx) mod serve;
pub(in crate::nginx) mod use_stale;
pub(in crate::nginx) mod variables;
