//! `make test-alerts`: the alerts, by the real programs. promtool and amtool check what is shipped; a real Prometheus scrapes
//! the operator on a real control plane while each trouble is caused as a user would cause it, and mended again.
//!
//! The Makefile builds the tools and says where they are: `PROMETHEUS` and `AMTOOL` are folders of executables.
//!
//! One alert is seen firing by promtool alone: [`checks::ONLY_BY_PROMTOOL`] says which, and why.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its name says what it is about"
)]

mod alarm;
mod checks;
mod dashboard;
mod firing;
mod prometheus;
mod rules;
#[path = "../support/mod.rs"]
mod support;
mod tools;

/// What the integration tests play with. (Inline, so that the files find their own modules.)
#[path = "../it"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod it {
    pub mod oracles;
    pub mod policy_reports {
        pub mod crds;
    }
    pub mod stage;
}
use it::{oracles, policy_reports, stage};
