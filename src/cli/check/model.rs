//! What `check` tells, as data.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::report::model::API_VERSION;

/// Whether a cluster, and the operator in it, can do it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterCheck {
    /// The version of this schema.
    pub api_version: &'static str,
    /// What this is: ClusterCheck.
    pub kind: &'static str,
    /// What was checked, in the order in which it matters.
    pub checks: Vec<Check>,
}

/// What a check found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// How it went.
    pub result: Outcome,
    /// What was found, and what to do where that is not well.
    pub message: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Outcome {
    /// It is well.
    Ok,
    /// It cannot be seen from here, and something may depend on it that nobody can check so.
    NotVisible,
    /// Something works, but not as one may think.
    Warning,
    /// Something does not work.
    Failed,
    /// It could be seen by somebody with more rights.
    Unknown,
}

impl Outcome {
    /// The outcome as it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::NotVisible => "NotVisible",
            Self::Warning => "Warning",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }
}

impl ClusterCheck {
    /// What these checks found.
    pub fn new(checks: Vec<Check>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "ClusterCheck",
            checks,
        }
    }
}

impl Check {
    /// A check that went like this.
    pub fn new(name: &'static str, result: Outcome, message: impl Into<String>) -> Self {
        Self {
            name,
            result,
            message: message.into(),
        }
    }
}
