//! The section `podSecurity`: Pod Security Standards
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mode;

/// The Pod Security Standard that the namespace's labels ask for. A namespace that another client holds to a stricter
/// level keeps it; the version is always the one stated here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.enforce) || has(self.audit) || has(self.warn)")
    .message("an empty section does nothing: give it enforce, audit or warn, or leave podSecurity out"))]
pub struct PodSecurity {
    /// Overrides the baseline's mode for this section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Pods that violate this are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<PodSecurityStandard>,
    /// Pods that violate this are noted in the API server's audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<PodSecurityStandard>,
    /// Whoever creates pods that violate this is warned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<PodSecurityStandard>,
}

/// A level of the Pod Security Standards at a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSecurityStandard {
    /// The level: privileged (anything goes), baseline, or restricted.
    pub level: PodSecurityLevel,
    /// The version of Kubernetes whose definition of the level is meant, such as v1.36. Default latest, which changes
    /// when the cluster is upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(validation = Rule::new("self.matches('^(latest|v1\\\\.(0|[1-9][0-9]{0,2}))$')")
        .message("write latest or a version of Kubernetes such as v1.36"))]
    pub version: Option<String>,
}

/// A level of the Pod Security Standards, from the weakest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the Pod Security Standards' own names
pub enum PodSecurityLevel {
    Privileged,
    Baseline,
    Restricted,
}

impl PodSecurityLevel {
    /// The level as it stands in a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }

    /// The level that a label's value names.
    pub fn parse(value: &str) -> Option<Self> {
        [Self::Privileged, Self::Baseline, Self::Restricted]
            .into_iter()
            .find(|level| level.as_str() == value)
    }
}
