//! `make test-gitops`: baselines under Flux and Argo CD, with the real programs on a real control plane.
//!
//! The Makefile builds the tools and says where they are: `FLUX` is a folder with `kustomize-controller` and `kstatus`,
//! `ARGOCD` is an executable of parts of Argo CD, `KUSTOMIZE` a folder with what it renders with; it needs `redis-server` and `git`, which are the machine's own.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its name says what it is about"
)]

mod argo;
mod docs;
mod examples;
mod exceptions;
mod flux;
mod health;
mod labels;
mod lua;
mod process;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod tools;

/// What the integration tests play with. (Inline, so that the files find their own modules.)
#[path = "../it"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod it {
    pub mod oracles;
    pub mod stage;
}
use it::{oracles, stage};
