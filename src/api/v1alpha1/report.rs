//! `BaselineReport`: what holds in one namespace.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ledger::{DriftLedger, TakenOver};
use super::status::{conditions, timestamp};
use super::{Mode, PodSecurityLevel};

/// The shape of a [`BaselineReport`] beside its status: it has none, since the operator alone writes it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "securitybaseline.dev",
    version = "v1alpha1",
    kind = "BaselineReport",
    plural = "baselinereports",
    shortname = "br",
    category = "security",
    namespaced,
    no_spec,
    status = "BaselineReportStatus",
    derive = "PartialEq",
    doc = "What the security baselines hold in this namespace, what drifted, and what is blocked. Written by the operator alone; there is one in each namespace, named baseline.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    ),
    printcolumn(name = "Drift", type_ = "integer", json_path = ".status.drift.total"),
    printcolumn(name = "Last Drift", type_ = "date", json_path = ".status.drift.lastSeen"),
    printcolumn(name = "By", type_ = "string", json_path = ".status.drift.lastClaimedBy"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct BaselineReportFields {}

impl BaselineReport {
    /// The name of the one report of a namespace.
    pub const NAME: &'static str = "baseline";
}

/// What holds in this namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BaselineReportStatus {
    /// Ready, Drifted and Contested; all are always there.
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// The baselines that this namespace is held to, or that select it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    pub baselines: Vec<HeldBaseline>,
    /// Where baselines ask for the same name with something that cannot be merged: which one holds, and which yields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub conflicts: Vec<Note>,
    /// The state of each control.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub controls: Vec<ControlReport>,
    /// What somebody keeps undoing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub contested: Vec<ContestedObject>,
    /// What drifted.
    pub drift: DriftLedger,
    /// What was there under the names of the baseline before the operator took it over, the last few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub taken_over: Vec<TakenOver>,
    /// The objects that the operator wrote here. Nothing but these is ever deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2048))]
    pub inventory: Vec<InventoryEntry>,
    /// The labels of the namespace that the operator wrote, or found as they are to be or stricter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub namespace_labels: Vec<LabelEntry>,
}

/// A label of the namespace that the operator wrote, or found as it is to be or stricter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelEntry {
    /// The label's key.
    #[schemars(length(max = 317))]
    pub key: String,
    /// The value that is asked for, or was.
    #[schemars(length(max = 63))]
    pub value: String,
    /// The UID of the baseline that asked for it.
    #[schemars(length(max = 64))]
    pub baseline: String,
    /// Whether it is enforced now: not where it is only audited, where its baselines are suspended, or where it was let go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enforced: bool,
    /// Whether that baseline let it go and left it in place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orphaned: bool,
}

/// A baseline that selects this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldBaseline {
    /// The baseline's name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The baseline's UID.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The generation of its spec that is held to here.
    pub generation: i64,
    /// Enforced, Audited or Suspended: what becomes of what it declares here.
    #[schemars(length(max = 32))]
    pub state: String,
    /// Whether the namespace lost the labels that selected it. It is held all the same, until the baseline's
    /// releasedNamespaces names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deselected: bool,
    /// What the namespace was selected by: the labels that the selector looks at, as they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub admitted_by: Vec<AdmittingLabel>,
}

/// A label that a selector looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdmittingLabel {
    /// The label's key.
    #[schemars(length(max = 317))]
    pub key: String,
    /// Its value; absent where the namespace did not have the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
}

/// The state of one control in this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlReport {
    /// The control, by the name of its section.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Whether it is enforced or only audited here.
    pub mode: Mode,
    /// How it stands.
    pub state: ControlState,
    /// What applies, value by value, and the baseline that supplied it. What of it is waived is below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub effective: Vec<EffectiveValue>,
    /// What exceptions waive of it. A control of which all is waived is Compliant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub waived: Vec<WaivedItem>,
    /// Whether it was enforced here before what is, or was until now, waived of it was waived: that comes back at once
    /// when the exceptions end, and is not taken for newly enforced or tightened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enforced_before: bool,
    /// What departs from it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub findings: Vec<Note>,
    /// What could not be written or is held, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub blocked: Vec<Note>,
    /// What works, but not as one may think.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub warnings: Vec<Note>,
}

/// Something of a control that exceptions waive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaivedItem {
    /// The object, as kind/name; absent where the whole control is waived, and for podSecurity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub object: Option<String>,
    /// For podSecurity, the level that enforce falls to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<PodSecurityLevel>,
    /// The exceptions that waive it, by name.
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub exceptions: Vec<String>,
    /// When the last of them expires.
    #[schemars(schema_with = "timestamp")]
    pub until: Timestamp,
}

/// How a control stands in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // ControlReport's fields say what each is about
pub enum ControlState {
    Compliant,
    Pending,
    Weakened,
    Drifted,
    Blocked,
}

/// One value that applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveValue {
    /// What it is the value of, such as enforce or compute/requests.cpu.
    #[schemars(length(max = 384))]
    pub field: String,
    /// The value.
    #[schemars(length(max = 256))]
    pub value: String,
    /// The oldest baseline that asked for it.
    #[schemars(length(max = 253))]
    pub baseline: String,
    /// The baselines that asked for less, and for what: the oldest eight of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub asked_less: Vec<AskedLess>,
    /// How many baselines asked for less, if that is more than askedLess lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_less_total: Option<i64>,
}

/// A baseline that asked for less than what applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedLess {
    /// The baseline.
    #[schemars(length(max = 253))]
    pub baseline: String,
    /// What it asked for.
    #[schemars(length(max = 256))]
    pub value: String,
}

/// Something that is told of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The object, as kind/name.
    #[schemars(length(max = 317))]
    pub object: String,
    /// Why, in one word.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Why, in a sentence.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// An object that somebody keeps undoing, or that an admission rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContestedObject {
    /// The object, as kind/name.
    #[schemars(length(max = 317))]
    pub object: String,
    /// The field that is reverted most often; empty for the whole object.
    #[schemars(length(max = 256))]
    pub path: String,
    /// Which client claims to do it, by the field manager that it stated.
    #[schemars(length(max = 256))]
    pub by: String,
    /// Reverted: somebody undoes what is repaired. Rewritten: what is written is changed on its way, by an admission.
    #[schemars(length(max = 32))]
    pub reason: String,
    /// Since when.
    #[schemars(schema_with = "timestamp")]
    pub since: Timestamp,
    /// How often since then.
    pub reverts: i64,
    /// When last.
    #[schemars(schema_with = "timestamp")]
    pub last: Timestamp,
}

/// An object that the operator wrote in this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// The object's kind.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// The object's name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The object's UID.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The UID of the baseline that asked for it.
    #[schemars(length(max = 64))]
    pub baseline: String,
    /// A digest of what was written, to tell drift from a changed baseline.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Whether the baseline that asked for it let it go and left it in place. Nobody repairs it any more; another
    /// baseline that asks for it takes it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orphaned: bool,
}
