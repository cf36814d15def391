//! What `audit` and `report` tell, as data: the one schema of `--output json` and `yaml`
//! (`docs/reference/report.schema.json`), of which every other format is a view.

use k8s_openapi::jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::api::v1alpha1::{DriftRecord, EffectiveValue, Mode, WaivedItem};
use crate::core::codes::Severity;

/// The version of this schema: fields are added to it, and none is taken away or given another meaning.
pub const API_VERSION: &str = "report.securitybaseline.dev/v1";

/// Where the folder `docs/` is to be read, as the runbooks of alerts are, where nobody states another place.
pub const DOCS: &str = "https://example.com/security-baseline-operator/docs";

/// Where a code is explained, of the documentation that is read there; the page has an anchor for each.
pub fn help(docs: &str, code: &str) -> String {
    format!(
        "{}/reference/findings.md#{}",
        docs.trim_end_matches('/'),
        code.to_lowercase()
    )
}

/// The posture of a cluster at one moment, worked out by the operator's own planner.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this schema.
    pub api_version: &'static str,
    /// What this is: PostureReport.
    pub kind: &'static str,
    /// When it was made.
    #[schemars(schema_with = "timestamp")]
    pub generated_at: Timestamp,
    /// The version of the program that made it.
    pub tool_version: &'static str,
    /// What it was made from.
    pub source: Source,
    /// It in numbers.
    pub summary: Summary,
    /// The baselines, by name.
    pub baselines: Vec<BaselineSummary>,
    /// The namespaces that a baseline holds or held, by name.
    pub namespaces: Vec<NamespaceSummary>,
    /// The exceptions, by name.
    pub exceptions: Vec<ExceptionSummary>,
    /// What could not be seen, and is unknown for that. Where this is not empty, the report is not whole.
    pub unknown: Vec<UnknownRight>,
}

/// What a report was made from.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The API server's address; absent where it was made from files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The kubeconfig's context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The files that it was made from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Where the operator's configuration is from, by which it was judged.
    pub configuration: String,
    /// The namespaces that were looked at, where not all were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
}

/// A report in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many namespaces a baseline holds.
    pub namespaces: usize,
    /// How many of them are in the declared state.
    pub compliant: usize,
    /// How many findings say that what is declared does not hold.
    pub errors: usize,
    /// How many say that somebody should look.
    pub warnings: usize,
    /// How many are good to know.
    pub notes: usize,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub enum State {
    /// No baseline holds it any more.
    NotSelected,
    /// In the declared state.
    Compliant,
    /// Still to be worked on.
    Pending,
    /// As declared, and something else undoes it.
    Weakened,
    /// Departing from what is declared.
    Drifted,
    /// An older baseline holds what another one asks for.
    Conflict,
    /// Something could not be written, or is held.
    Blocked,
    /// It could not be seen.
    Unknown,
}

impl State {
    /// The state as it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSelected => "NotSelected",
            Self::Compliant => "Compliant",
            Self::Pending => "Pending",
            Self::Weakened => "Weakened",
            Self::Drifted => "Drifted",
            Self::Conflict => "Conflict",
            Self::Blocked => "Blocked",
            Self::Unknown => "Unknown",
        }
    }
}

/// A baseline.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaselineSummary {
    /// Its name.
    pub name: String,
    /// Enforced, Audited, Suspended, or Refused where no spec of it was ever accepted.
    pub state: &'static str,
    /// The generation that holds, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// How many namespaces it holds.
    pub namespaces: usize,
    /// What is to be said of the baseline itself.
    pub findings: Vec<Finding>,
}

/// A namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSummary {
    /// Its name.
    pub name: String,
    /// The worst of its controls.
    pub state: State,
    /// The baselines that hold it.
    pub baselines: Vec<Holding>,
    /// Its controls.
    pub controls: Vec<ControlSummary>,
    /// What is of no control.
    pub findings: Vec<Finding>,
    /// What drifted, by the operator's report.
    pub drift: Drift,
}

/// A baseline that holds a namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Its name.
    pub name: String,
    /// Enforced, Audited or Suspended: what becomes of what it declares here.
    pub state: String,
    /// The generation that holds.
    pub generation: i64,
    /// Whether the namespace lost the labels that selected it.
    pub deselected: bool,
}

/// A control in a namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlSummary {
    /// The control, by the name of its section.
    pub name: String,
    /// Whether it is enforced or only audited here.
    pub mode: Mode,
    /// How it stands.
    pub state: State,
    /// What applies, value by value, and who supplied it.
    pub effective: Vec<EffectiveValue>,
    /// What exceptions waive of it.
    pub waived: Vec<WaivedItem>,
    /// What is to be said of it.
    pub findings: Vec<Finding>,
}

/// Something that is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Its stable code, such as SB-NET-003; docs/reference/findings.md explains each.
    pub code: String,
    /// The reason, in one word.
    pub reason: String,
    /// error, warning or note.
    #[schemars(with = "String")]
    #[serde(serialize_with = "severity")]
    pub severity: Severity,
    /// The object, as kind/name; empty where it is about no single one.
    pub object: String,
    /// What is found, in a sentence.
    pub message: String,
    /// What to do.
    pub mend: &'static str,
    /// Where its code is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What differs, field by field, where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its path.
    pub path: String,
    /// What is declared.
    pub declared: String,
    /// What was found.
    pub found: String,
    /// Which client claims to have done it; a claim, and no proof.
    pub claimed_by: String,
}

/// What drifted in a namespace, as the operator's report tells it.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// How often something drifted, in all.
    pub total: i64,
    /// How many of these the operator repaired.
    pub repaired: i64,
    /// The last drifts, newest first.
    pub records: Vec<DriftRecord>,
}

/// An exception.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionSummary {
    /// Its name.
    pub name: String,
    /// Active, Progressing, Expired, Refused, Deleted or MatchesNothing.
    pub state: String,
    /// The namespaces that it names.
    pub namespaces: Vec<String>,
    /// What it waives, where it waives something now.
    pub waives: Vec<String>,
    /// Why it was granted.
    pub reason: String,
    /// Who granted it.
    pub approver: String,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp")]
    pub expires_at: Option<Timestamp>,
    /// What is to be said of it.
    pub findings: Vec<Finding>,
}

/// A right that is missing.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnknownRight {
    /// The right, such as `list roles.rbac.authorization.k8s.io in all namespaces`.
    pub right: String,
    /// What the API server said.
    pub message: String,
    /// What cannot be told without it; empty where nothing depends on it.
    pub affects: Vec<String>,
}

impl Report {
    /// All findings, each with where it is: a namespace, a baseline or an exception, and the control.
    pub fn findings(&self) -> impl Iterator<Item = (Place<'_>, &Finding)> {
        let of_baselines = self.baselines.iter().flat_map(|baseline| {
            let place = Place::of("SecurityBaseline", &baseline.name);
            baseline.findings.iter().map(move |finding| (place, finding))
        });
        let of_exceptions = self.exceptions.iter().flat_map(|exception| {
            let place = Place::of("BaselineException", &exception.name);
            exception.findings.iter().map(move |finding| (place, finding))
        });
        let of_namespaces = self.namespaces.iter().flat_map(|namespace| {
            let place = Place::of("Namespace", &namespace.name);
            let controls = namespace.controls.iter().flat_map(move |control| {
                let place = Place {
                    control: Some(&control.name),
                    ..place
                };
                control.findings.iter().map(move |finding| (place, finding))
            });
            let own = namespace.findings.iter().map(move |finding| (place, finding));
            controls.chain(own)
        });
        of_baselines.chain(of_exceptions).chain(of_namespaces)
    }

    /// Has every finding explained by the documentation that is read there.
    pub fn explained_at(&mut self, docs: &str) {
        let of_baselines = self.baselines.iter_mut().map(|baseline| &mut baseline.findings);
        let of_exceptions = self.exceptions.iter_mut().map(|exception| &mut exception.findings);
        let of_namespaces = self.namespaces.iter_mut().flat_map(|namespace| {
            let of_controls = namespace.controls.iter_mut().map(|control| &mut control.findings);
            of_controls.chain([&mut namespace.findings])
        });
        for finding in of_baselines.chain(of_exceptions).chain(of_namespaces).flatten() {
            if finding.help.is_some() {
                finding.help = Some(help(docs, &finding.code));
            }
        }
    }

    /// Whether something is found for which a pipeline is to fail.
    pub fn has_findings(&self) -> bool {
        self.findings().any(|(_, finding)| finding.counts())
    }

    /// What the verdict depends on and could not be seen.
    pub fn doubts(&self) -> Vec<String> {
        let doubted = self.unknown.iter().filter(|unknown| !unknown.affects.is_empty());
        let told = doubted.map(|unknown| {
            format!(
                "you may not {}; without that it is unknown: {}",
                unknown.right,
                unknown.affects.join(", ")
            )
        });
        told.collect()
    }
}

/// Where a finding is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What it is in: Namespace, SecurityBaseline or BaselineException.
    pub kind: &'static str,
    /// The name of that.
    pub name: &'a str,
    /// The control, if it is about one.
    pub control: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(kind: &'static str, name: &'a str) -> Self {
        Self {
            kind,
            name,
            control: None,
        }
    }
}

impl Finding {
    /// Whether a pipeline is to fail for it.
    pub fn counts(&self) -> bool {
        crate::core::codes::reason(&self.reason).is_some_and(|reason| reason.is_finding())
    }
}

fn severity<S: serde::Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.as_str())
}

fn timestamp(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_where_its_help_says() {
        let page = include_str!("../../../docs/reference/findings.md");
        for (_, code) in crate::core::codes::REASONS.iter().flat_map(|reason| reason.codes()) {
            let help = help(DOCS, &code);
            let (file, anchor) = help.split_once('#').unwrap();
            assert!(file.ends_with("/docs/reference/findings.md"), "{file}");
            assert!(page.contains(&format!("<a id=\"{anchor}\"></a>")), "{anchor}");
        }
    }
}
