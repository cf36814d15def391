//! `BaselineException`: what a baseline asks for and a namespace is let off, by whom, why, and until when.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::ITEM_NAME;
use super::status::{conditions, unseen_generation};
use super::{FieldProblem, PodSecurityLevel};

/// Lets namespaces off parts of what their baselines ask for, until a date. It waives exactly what it names: while it
/// holds, a waived object is not there, and Pod Security's enforce falls to the stated level; at `expiresAt` all of it
/// comes back. It is cluster-scoped, so that no tenant can write one.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "securitybaseline.dev",
    version = "v1alpha1",
    kind = "BaselineException",
    plural = "baselineexceptions",
    shortname = "be",
    category = "security",
    status = "BaselineExceptionStatus",
    derive = "PartialEq",
    doc = "Lets namespaces off parts of what their security baselines ask for, until a date.",
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Active\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Active\")].reason"
    ),
    printcolumn(name = "Namespaces", type_ = "string", json_path = ".spec.namespaces"),
    // Not of type `date`: that shows how long ago something was, and `<invalid>` for all that is still to come.
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(name = "Approver", type_ = "string", json_path = ".spec.approver"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.waive.all(w, self.waive.exists_one(o, o.control == w.control))")
    .message("a control stands here twice: put all of its objects into one entry").field_path(".waive"))]
pub struct BaselineExceptionSpec {
    /// The namespaces that it is for, by their full names.
    #[schemars(schema_with = "namespace_list")]
    pub namespaces: Vec<String>,
    /// What is waived in them, at most one entry for each control.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["control".into()]))]
    pub waive: Vec<Waiver>,
    /// Why, for those who read it later: what needs it, the ticket, what is being done about it.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("self.trim() != ''").message("say why the exception is needed"))]
    pub reason: String,
    /// Who decided it, such as a person, a group or a ticket. It is a record; what counts is who may write exceptions.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.trim() != ''").message("name who approved the exception"))]
    pub approver: String,
    /// From when on it waives nothing, such as 2026-10-01T00:00:00Z: after its creation, and no later than the
    /// configured limit allows (30 days after its creation). It may be brought forward at any time.
    #[schemars(schema_with = "date_time")]
    pub expires_at: String,
}

/// What is waived of one control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.control != 'podSecurity' || has(self.level)")
        .message("podSecurity is waived by the level that enforce falls to: write privileged, baseline or restricted").field_path(".level"),
    validation = Rule::new("self.control == 'podSecurity' || !has(self.level)")
        .message("only podSecurity has a level: leave it out").field_path(".level"),
    validation = Rule::new("self.control != 'podSecurity' || !has(self.objects)")
        .message("podSecurity has no objects: write `level`, and leave objects out").field_path(".objects"),
    validation = Rule::new("!has(self.objects) || self.control == 'podSecurity' || self.objects.all(o, o.split('/')[0] in {'networkIsolation': ['NetworkPolicy'], 'resourceQuotas': ['ResourceQuota'], 'limitRanges': ['LimitRange'], 'access': ['Role', 'RoleBinding']}[self.control])")
        .message("an object here is of another control: networkIsolation has NetworkPolicy, resourceQuotas has ResourceQuota, limitRanges has LimitRange, access has Role and RoleBinding").field_path(".objects"),
)]
pub struct Waiver {
    /// The control.
    pub control: WaivedControl,
    /// Only these of its objects, as the reports show them: NetworkPolicy/security-baseline-default-deny-egress. Left
    /// out, the whole control is waived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_list")]
    pub objects: Option<Vec<String>>,
    /// The level that Pod Security's enforce falls to, where it is higher; audit, warn and the versions stay. For
    /// podSecurity only, and required there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<PodSecurityLevel>,
}

/// A control of which something may be waived, by the name of its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the sections of a baseline explain them
pub enum WaivedControl {
    NetworkIsolation,
    ResourceQuotas,
    LimitRanges,
    PodSecurity,
    Access,
}

impl WaivedControl {
    /// The name of the control's section.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetworkIsolation => "networkIsolation",
            Self::ResourceQuotas => "resourceQuotas",
            Self::LimitRanges => "limitRanges",
            Self::PodSecurity => "podSecurity",
            Self::Access => "access",
        }
    }

    /// The kinds of the objects that may be waived of it one by one.
    pub const fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::NetworkIsolation => &["NetworkPolicy"],
            Self::ResourceQuotas => &["ResourceQuota"],
            Self::LimitRanges => &["LimitRange"],
            Self::PodSecurity => &[],
            Self::Access => &["Role", "RoleBinding"],
        }
    }
}

/// What the operator answers on an exception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BaselineExceptionStatus {
    /// The generation of the spec that was judged last, also when it was refused; -1 before any was.
    #[schemars(schema_with = "unseen_generation")]
    pub observed_generation: i64,
    /// Ready, Reconciling, Stalled, Active and ExpiringSoon; all of them are always there.
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// How many things it waives now, over all of its namespaces; 0 where it names nothing that is asked for there.
    pub matched: i64,
    /// The first of them, by namespace, control and object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub waived: Vec<WaivedHere>,
    /// What is wrong with the spec, field by field. While there is anything, nothing is waived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub problems: Vec<FieldProblem>,
}

/// Something that an exception waives in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaivedHere {
    /// The namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The control, by the name of its section.
    pub control: WaivedControl,
    /// The object, as kind/name; absent where the whole control is waived, and for podSecurity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub object: Option<String>,
}

/// The types of conditions that a `BaselineException` has.
///
/// By kstatus, an exception is current as soon as it is judged and what follows is done, also when it has expired (what
/// it waived is back then): otherwise every GitOps wave with an expired exception in it would stop. Whether it waives
/// anything now is `Active`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExceptionCondition {
    /// It was accepted, and its namespaces are as it says: without what it waives, or, once it has expired, with it.
    Ready,
    /// Some of its namespaces are still to be worked on.
    Reconciling,
    /// It was refused, and waives nothing until somebody mends it.
    Stalled,
    /// It waives something now. False with the reason: it has expired, was refused, or names nothing that is asked for.
    Active,
    /// It will expire before long.
    ExpiringSoon,
}

impl ExceptionCondition {
    /// All types, in the order in which they are written.
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
        Self::Active,
        Self::ExpiringSoon,
    ];

    /// The type as it stands in `conditions[].type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Active => "Active",
            Self::ExpiringSoon => "ExpiringSoon",
        }
    }
}

fn namespace_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 63,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "message": "write the full name of a namespace: an exception takes no patterns",
            }],
        },
    })
}

fn object_list(_: &mut SchemaGenerator) -> Schema {
    let item = ITEM_NAME.trim_matches(['^', '$']);
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 128,
            "x-kubernetes-validations": [{
                "rule": format!("self.matches('^(NetworkPolicy/security-baseline-(default-deny-(ingress|egress)|allow-{item})|(ResourceQuota|LimitRange|Role|RoleBinding)/security-baseline-{item})$')"),
                "message": "write an object of the operator as the reports show it, kind/name: NetworkPolicy/security-baseline-default-deny-egress",
            }],
        },
    })
}

fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 64})
}
