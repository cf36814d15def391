//! `SecurityBaseline`: the posture that a platform team declares.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Access, LabelSelector, LimitRanges, NetworkIsolation, PodSecurity, ResourceQuotas, SecurityBaselineStatus,
};

/// Declares the security posture of the namespaces that it selects, and holds them to it: in Enforce mode whatever
/// departs from it is repaired at once, in Audit mode it is only reported. Objects that it asks for are named
/// `security-baseline-<name>`; that prefix is reserved.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "securitybaseline.dev",
    version = "v1alpha1",
    kind = "SecurityBaseline",
    plural = "securitybaselines",
    shortname = "sb",
    category = "security",
    status = "SecurityBaselineStatus",
    derive = "PartialEq",
    doc = "Declares the security posture of the namespaces that it selects, and holds them to it.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Namespaces", type_ = "integer", json_path = ".status.namespaces.selected"),
    printcolumn(name = "Drifted", type_ = "integer", json_path = ".status.namespaces.drifted"),
    printcolumn(name = "Blocked", type_ = "integer", json_path = ".status.namespaces.blocked"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityBaselineSpec {
    /// Which namespaces are held to this baseline, by their labels. Required; `{}` means every namespace that is not
    /// excluded (here, or in the operator's configuration: kube-system and its like are always excluded).
    pub namespace_selector: LabelSelector,
    /// Names of namespaces to leave alone although they are selected. `*` stands for any characters: `sandbox-*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        inner(length(min = 1, max = 63), pattern(r"^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$"))
    )]
    pub excluded_namespaces: Vec<String>,
    /// Enforce creates and repairs; Audit computes the same and writes nothing but status and reports. Every section
    /// may override it.
    #[serde(default)]
    pub mode: Mode,
    /// While true, nothing is written for this baseline; what it enforced stays in place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// What becomes of the created objects and labels when the baseline is deleted, or releases a namespace: Retain
    /// (the default) leaves them in place, Delete removes what the operator created and nothing else. Never a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Names of namespaces that are let go. A namespace that was selected once stays held when it loses the labels that
    /// selected it (its own people may be able to change them) until it is named here. While its labels match, this
    /// does nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 1024),
        inner(length(min = 1, max = 63), pattern(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    pub released_namespaces: Vec<String>,
    /// What is done where enforcing for the first time, or raising a level or lowering a quota, would break what runs:
    /// Hold (the default) holds that back in that namespace and says why, Ignore enforces all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
    /// How fast namespaces that exist already are enforced for the first time. Repairs and new namespaces never wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Deny traffic by default, with the exceptions stated here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_isolation: Option<NetworkIsolation>,
    /// ResourceQuotas, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_quotas: Option<ResourceQuotas>,
    /// LimitRanges, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ranges: Option<LimitRanges>,
    /// Pod Security Standards, as labels on the namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// Roles and RoleBindings, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
}

/// Whether a baseline, or one section of it, writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // the field that holds it explains both
pub enum Mode {
    #[default]
    Audit,
    Enforce,
}

/// What becomes of the created objects when the baseline is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)]
pub enum DeletionPolicy {
    #[default]
    Retain,
    Delete,
}

/// What is done where enforcing for the first time, or tightening, would break what runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // the field that holds it explains both
pub enum Preflight {
    #[default]
    Hold,
    Ignore,
}

/// How fast namespaces that exist already are enforced for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollout {
    /// The most namespaces in a minute. Where it is not stated, the operator's configuration says.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_namespaces_per_minute: i32,
}
