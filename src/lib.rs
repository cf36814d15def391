//! A Kubernetes operator that holds every selected namespace at the security posture which one cluster-scoped
//! `SecurityBaseline` declares.
//!
//! Data flows one way:
//!
//! ```text
//! watch events ──▶ index ──▶ queue ──▶ observe ──▶ plan ──▶ apply ──▶ settle ──▶ report
//!                  (engine)            World       Plan     Outcomes  Status     status, events, metrics
//! ```
//!
//! and dependencies point one way too: `cli, engine → controls → core → api`. `core` and `controls` are pure: no
//! client, no clock, no I/O (`clippy.toml` keeps them so).

pub mod api;
pub mod cli;
pub mod controls;
pub mod core;
pub mod engine;
