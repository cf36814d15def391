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

mod access;
mod admission;
mod alerts;
mod baselines;
mod brake;
mod chart;
mod cli;
mod contract;
mod deletion;
mod docs;
mod drift;
mod enforcement;
mod events;
mod exceptions;
mod faults;
mod fights;
mod membership;
mod merging;
mod metrics;
mod network;
mod normalisation;
mod operator_writes;
mod oracles;
mod pacing;
mod pod_security;
mod policy_reports;
mod preflight;
mod quiet;
mod removal;
mod render;
mod replicas;
mod rig;
mod scale;
mod slipped_through;
mod stage;
mod status;
#[path = "../support/mod.rs"]
mod support;
mod tamper;
mod tenants;
mod weakened;
