//! `nginx -t`: how directives are read ([`commands`], [`parse`], [`upstream_block`]), what is checked
//! across them ([`checks`]), where handlers and filters stand ([`phases`], [`order`]).

pub(in crate::nginx) mod checks;
pub(in crate::nginx) mod commands;
pub(in crate::nginx) mod order;
pub(in crate::nginx) mod parse;
pub(in crate::nginx) mod phases;
pub(in crate::nginx) mod upstream_block;
