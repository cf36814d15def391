//! The part of a `BaselineReport` that tells what happened, as a witness would.

use k8s_openapi::jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What drifted in this namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DriftLedger {
    /// How often something drifted, in all: what is seen again, and still as it was, counts once.
    pub total: i64,
    /// How many of these the operator repaired, in all.
    pub repaired: i64,
    /// When something drifted last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub last_seen: Option<Timestamp>,
    /// Which client claims to have caused the last drift.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_claimed_by: Option<String>,
    /// The last drifts, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub records: Vec<DriftRecord>,
    /// What departs at the moment and is counted already, so that it is counted once, also across a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub open: Vec<OpenDrift>,
}

/// Something that departs at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenDrift {
    /// The object, as kind/name.
    #[schemars(length(max = 317))]
    pub object: String,
    /// The field that differs; empty for the whole object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub path: String,
    /// When it was first seen.
    #[schemars(schema_with = "timestamp")]
    pub seen: Timestamp,
    /// Which drift of this namespace it is part of, counted from 1; 0 where the baseline changed since, and that is all
    /// that differs in this field.
    pub number: i64,
}

/// One drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftRecord {
    /// The control, by the name of its section.
    #[schemars(length(max = 63))]
    pub control: String,
    /// The object, as kind/name.
    #[schemars(length(max = 317))]
    pub object: String,
    /// The field that differed, such as spec.ingress[0]; empty for the whole object.
    #[schemars(length(max = 256))]
    pub path: String,
    /// What the baseline asks for, as JSON, cut where it is long.
    #[schemars(length(max = 512))]
    pub expected: String,
    /// What was found, as JSON, cut where it is long; empty where nothing was.
    #[schemars(length(max = 512))]
    pub found: String,
    /// When it was seen.
    #[schemars(schema_with = "timestamp")]
    pub seen: Timestamp,
    /// When the operator repaired it; absent if it was only reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub repaired: Option<Timestamp>,
    /// Which client claims to have done it, by the field manager that it stated; unknown for what was deleted.
    #[schemars(length(max = 256))]
    pub claimed_by: String,
    /// How it wrote, by the same claim: Apply or Update.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub operation: String,
    /// The subresource that it wrote through, if any, by the same claim.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub subresource: String,
    /// When it wrote, by the same claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub claimed_at: Option<Timestamp>,
}

/// What was there under a name of the baseline before the operator took it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenOver {
    /// The object, as kind/name.
    #[schemars(length(max = 317))]
    pub object: String,
    /// When it was taken over.
    #[schemars(schema_with = "timestamp")]
    pub taken: Timestamp,
    /// What it was: the fields that the baseline owns, as JSON, cut after 2 KiB.
    #[schemars(length(max = 2048))]
    pub former: String,
    /// Which client claims to have written it last.
    #[schemars(length(max = 256))]
    pub claimed_by: String,
    /// How that client wrote, by the same claim: Apply or Update.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 16))]
    pub operation: String,
    /// When it wrote, by the same claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub claimed_at: Option<Timestamp>,
}

fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}
