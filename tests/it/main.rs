//! The integration tests, on a real control plane.
mod support {}
