//! `make test-release`: what `make image` and `make release` made, as a user would take it.
//!
//! The Makefile says where that is: `IMAGE` is the folder of `make image`, `RELEASE` that of `make release`, and
//! `AGAIN` holds both from another checkout of the same commit, as `image` and `release-files`. It has to run as root, since it
//! mounts the image.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its name says what it is about"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod support;

/// What the integration tests play with. (Inline, so that the files find their own modules.)
#[path = "../it"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod it {
    pub mod oracles;
    pub mod stage;
}
use it::{oracles, stage};

mod files;
mod image;
