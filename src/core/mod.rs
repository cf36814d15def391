//! What is decided, and nothing of how it is read or written: no client, no clock, no I/O.
//!
//! [`plan::plan`] turns a [`world::World`] into a [`plan::Plan`]; [`settle::settle`] turns what came of it into a report.
//! What each section of a baseline means is in [`crate::controls`], behind the trait [`control::Control`].

pub mod brake;
pub mod codes;
pub mod conditions;
pub mod control;
pub mod drift;
pub mod election;
pub mod exceptions;
pub mod fight;
pub mod gate;
pub mod membership;
pub mod merge;
pub mod object;
pub mod plan;
pub mod quantity;
pub mod select;
pub mod settle;
pub mod status;
pub mod text;
pub mod told;
pub mod usage;
pub mod validate;
pub mod world;
