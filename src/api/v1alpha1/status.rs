//! What the operator answers on a `SecurityBaseline`. Its size does not grow with the cluster: counts, and capped lists
//! beside their true totals.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What holds, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecurityBaselineStatus {
    /// The generation of the spec that was judged last, also when it was refused; -1 before any was.
    #[schemars(schema_with = "unseen_generation")]
    pub observed_generation: i64,
    /// The generation of the spec that is held to; it stays behind while a newer one is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_generation: Option<i64>,
    /// Since when that generation holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub applied_since: Option<Timestamp>,
    /// The spec that is held to, as it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_written")]
    pub applied: Option<Value>,
    /// What was enforced last of the sections that are audited or suspended now. It still counts where another baseline
    /// enforces the same object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_written")]
    pub enforced_before: Option<Value>,
    /// What of the cluster (DNS, DNS caches on the nodes, the API server's endpoints) the egress policies are written
    /// from. While it is not found any more it keeps holding, also after a restart of the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_written")]
    pub detected: Option<Value>,
    /// Ready, Reconciling, Stalled, Drifted, Contested and Degraded; all of them are always there.
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// How many namespaces are in which state.
    pub namespaces: NamespaceCounts,
    /// What is wrong with the spec, field by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub problems: Vec<FieldProblem>,
    /// What works, but not as one may think.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub warnings: Vec<FieldProblem>,
    /// Namespaces that depart from the baseline.
    pub drifted: NamespaceFindings,
    /// Namespaces where something could not be written, or was held.
    pub blocked: NamespaceFindings,
    /// Namespaces where this and another baseline ask for the same name with something that cannot be merged.
    pub conflicts: NamespaceFindings,
    /// Namespaces where something that is not the operator's undoes what is declared.
    pub weakened: NamespaceFindings,
    /// Namespaces where somebody keeps undoing what is repaired.
    pub contested: NamespaceFindings,
    /// Namespaces that lost the labels that selected them, and are held until releasedNamespaces names them.
    pub deselected: NamespaceFindings,
}

/// How many namespaces are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceCounts {
    /// Selected, and not excluded.
    pub selected: i64,
    /// In the declared state.
    pub compliant: i64,
    /// Departing from it: in Audit mode, or not repaired yet.
    pub drifted: i64,
    /// Not worked on yet.
    pub pending: i64,
    /// Where something could not be written, or was held.
    pub blocked: i64,
    /// Where an older baseline holds something that this one asks for otherwise.
    pub conflicting: i64,
    /// As declared, and yet something else there undoes it.
    pub weakened: i64,
    /// Where somebody keeps undoing what is repaired. They are counted above too.
    pub contested: i64,
    /// Held although they lost the labels that selected them. They are counted above too.
    pub deselected: i64,
}

/// What is wrong with one field of the spec, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldProblem {
    /// The field's path, such as spec.resourceQuotas.items[0].hard.
    #[schemars(length(max = 512))]
    pub path: String,
    /// What is wrong, and the mend.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// Namespaces of which something is told: the true total, and the first of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespaceFindings {
    /// How many there are.
    pub total: i64,
    /// The first of them, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub items: Vec<NamespaceFinding>,
}

/// What is told of one namespace. The namespace's BaselineReport says more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceFinding {
    /// The namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Why, in one word.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// The types of conditions that a `SecurityBaseline` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// The accepted spec holds in every selected namespace, within what a tenant can cause.
    Ready,
    /// Work is under way that is expected to end by itself.
    Reconciling,
    /// Something waits for a person.
    Stalled,
    /// Some namespace departs from the baseline.
    Drifted,
    /// Another client keeps reverting what is repaired.
    Contested,
    /// Something is blocked, held or in conflict somewhere, beside what works.
    Degraded,
}

impl ConditionType {
    /// All types, in the order in which they are written.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::Drifted,
        Self::Contested,
        Self::Degraded,
    ];

    /// The type as it stands in `conditions[].type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Drifted => "Drifted",
            Self::Contested => "Contested",
            Self::Degraded => "Degraded",
        }
    }
}

pub(super) fn unseen_generation(_: &mut SchemaGenerator) -> Schema {
    // So that nobody takes an object that was never looked at for a healthy one: -1 is no generation.
    json_schema!({"type": "integer", "format": "int64", "default": -1})
}

/// The schema of a point in time.
pub(crate) fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

fn as_written(_: &mut SchemaGenerator) -> Schema {
    // Out of what was accepted or observed, and checked then: it is not described a second time here.
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// The schema of a list of conditions, by type, with the bounds that Kubernetes' own `Condition` has.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "description": "What the condition is about."},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds."},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0, "description": "The generation of the spec that it was judged by."},
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "Since when its status is what it is."},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "Why, in one word."},
                "message": {"type": "string", "maxLength": 32768, "description": "Why, in a sentence."},
            },
        },
    })
}
