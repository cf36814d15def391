//! What tests and demos need to run the operator on a real Kubernetes control plane.
//!
//! [`ControlPlane`] is etcd, kube-apiserver and kube-controller-manager as processes of their own, [`Operator`] is the
//! operator's binary as a process of its own, [`audit`] reads what the operator asked of the API server, and
//! [`eventually`] and [`watch_until`] await what should come true. [`proxy`] disturbs what is between the two, and
//! [`recorder`] keeps every state that was.
//!
//! Tests fail by panicking (`unwrap` and `assert!`), not by returning an error: a panic is what makes the logs of the
//! processes be kept, under `target/test-logs/`.
//!
//! Nothing in here knows the operator's own types, so that a test sees the product as its users do: through the API.

#![allow(dead_code, reason = "several programs include this module, and none uses all of it")]
#![allow(unreachable_pub, reason = "each program that includes this module makes it private")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the rig is a client with a clock"
)]

mod access;
pub mod audit;
mod blocks;
mod http;
mod label_policy;
mod launcher;
mod logs;
mod manifests;
mod operator;
mod plane;
pub mod proxy;
mod published;
pub mod recorder;
mod shipped;
mod taking_back;
mod wait;

#[allow(unused_imports, reason = "as above")]
pub use self::{
    access::Tenant,
    blocks::blocks,
    http::{free_port, http_get},
    launcher::{Component, Info},
    operator::{Operator, OperatorOptions},
    plane::ControlPlane,
    published::published,
    shipped::{Stage, install_yaml},
    taking_back::taking_back,
    wait::{eventually, unique, watch_gone, watch_until},
};

/// The namespace that the shipped manifests put the operator in.
pub const OPERATOR_NAMESPACE: &str = "security-baseline-system";

/// The ServiceAccount that the shipped manifests run the operator as. Its requests, and nobody else's, are in the
/// control plane's audit log.
pub const OPERATOR_SERVICE_ACCOUNT: &str = "security-baseline-operator";
