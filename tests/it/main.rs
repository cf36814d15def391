//! The integration tests, on a real control plane.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and its name says what it is about"
)]

mod access;
mod admission;
mod baselines;
mod enforcement;
mod membership;
mod network;
mod pod_security;
mod removal;
mod render;
mod rig;
mod slipped_through;
mod stage;
mod status;
#[path = "../support/mod.rs"]
mod support;
