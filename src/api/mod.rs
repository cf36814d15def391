//! The API group `securitybaseline.dev`: what a user declares, and what the operator answers.
//!
//! The custom resource definitions under `crds/` are generated from these types (`make generate`).

pub mod crds;
pub mod schemas;
pub mod v1alpha1;

/// The API group of all our kinds.
pub const GROUP: &str = "securitybaseline.dev";

/// The oldest minor version of Kubernetes 1 that takes the custom resource definitions (decision 19), and the newest that the
/// tests run on. They run on both.
pub const KUBERNETES: std::ops::RangeInclusive<u32> = 34..=37;
