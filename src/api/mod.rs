//! The API group `securitybaseline.dev`: what a user declares, and what the operator answers.
//!
//! The custom resource definitions under `crds/` are generated from these types (`make generate`).

pub mod crds;
pub mod schemas;
pub mod v1alpha1;

/// The API group of all our kinds.
pub const GROUP: &str = "securitybaseline.dev";
