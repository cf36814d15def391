//! `make test-install`: what is shipped is installed by the tools that users install it with, on a real control plane.
//!
//! The Makefile builds the tools and says where they are: `HELM` and `KUBECONFORM` are executables.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its name says what it is about"
)]

mod anywhere;
mod demo;
mod docs;
mod helm;
mod life;
mod objects;
mod refusals;
mod same;
mod schemas;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod valid;

/// What the integration tests play with. (Inline, so that the files find their own modules.)
#[path = "../it"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod it {
    pub mod oracles;
    pub mod stage;
}
use it::{oracles, stage};
