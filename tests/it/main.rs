//! The integration tests, on a real control plane.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its name says what it is about"
)]

mod contract;
mod docs;
mod enforcement;
mod rig;
mod stage;
#[path = "../support/mod.rs"]
mod support;
