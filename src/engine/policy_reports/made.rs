//! From a namespace's report to what other tools read: pure, so that the same report always gives the same object.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::forms::{Form, NAME};
use crate::api::GROUP;
use crate::api::v1alpha1::{BaselineReport, BaselineReportStatus, ControlReport, ControlState, Mode, Note, WaivedItem};
use crate::core::codes::{self, Severity};
use crate::core::object::{Digest, FIELD_MANAGER};
use crate::core::told::{Told, of_the_namespace};
use crate::engine::events::object_reference;
use crate::engine::report::labels;

/// The most results that are listed; the summary counts all.
pub const MOST_RESULTS: usize = 100;

/// How many results are left out of the list, where some are.
pub const LEFT_OUT: &str = "securitybaseline.dev/results-left-out";

/// What results about no control stand under, where the others have their control.
const WHOLE: &str = "namespace";

/// How a result came out. The worst is listed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Fail,
    Warn,
    Skip,
    Pass,
}

/// One result, but for what tells it from all others.
struct Found<'a> {
    /// The control, by its section; `None` where it is about none.
    control: Option<&'a ControlReport>,
    outcome: Outcome,
    /// The reason of a finding; empty of what is as declared.
    reason: &'a str,
    object: &'a str,
    message: String,
}

/// The object that tells other tools what a namespace's report tells; `None` where no baseline holds the namespace, or
/// nobody looks after it any more. `owner` is the UID of that report.
pub fn made(form: &Form, namespace: &str, owner: &str, status: &BaselineReportStatus) -> Option<Value> {
    let looked_after = status.conditions.iter().any(|condition| condition.status != "Unknown");
    if status.baselines.is_empty() || !looked_after {
        return None;
    }
    let general = of_the_namespace(namespace, status);
    let mut found = found(status, &general);
    let mut summary = BTreeMap::from(["pass", "fail", "warn", "error", "skip"].map(|outcome| (outcome, 0_usize)));
    for one in &found {
        *summary.entry(one.outcome.as_str()).or_default() += 1;
    }
    // As they stand in the report, but for that: what is listed stays listed when something is added behind it.
    found.sort_by_key(|one| one.outcome);
    let left_out = found.len().saturating_sub(MOST_RESULTS);
    let mut told_before = HashMap::new();
    let results: Vec<Value> = found
        .iter()
        .take(MOST_RESULTS)
        .map(|one| one.result(namespace, since(status, one), &mut told_before))
        .collect();

    let mut metadata = json!({
        "name": NAME,
        "namespace": namespace,
        "labels": labels(),
        // It goes with the report that it is made from, also where the whole kind is removed.
        "ownerReferences": [{
            "apiVersion": format!("{GROUP}/v1alpha1"),
            "kind": "BaselineReport",
            "name": BaselineReport::NAME,
            "uid": owner,
        }],
    });
    if left_out > 0 {
        metadata["annotations"] = json!({LEFT_OUT: left_out.to_string()});
    }
    let mut object = json!({
        "apiVersion": form.api_version(),
        "kind": form.kind,
        "metadata": metadata,
        "scope": {"apiVersion": "v1", "kind": "Namespace", "name": namespace},
        "summary": summary,
        "results": results,
    });
    if form.states_source {
        object["source"] = json!(FIELD_MANAGER);
        object["configuration"] = json!({"limits": {"maxResults": MOST_RESULTS}});
    }
    Some(object)
}

/// The digest of what such an object means, be it one that was made or one that is there.
pub fn meaning(object: &Value) -> Digest {
    let metadata = &object["metadata"];
    let mut meant: Map<String, Value> = ["scope", "source", "configuration", "summary", "results"]
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), object.get(field)?.clone())))
        .collect();
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    meant.insert("owners".to_owned(), owners.map(|owner| owner["uid"].clone()).collect());
    // What an admission policy of the cluster adds to every object is none of our business.
    let ours = labels().into_keys().map(|key| metadata["labels"][&key].clone());
    meant.insert("labels".to_owned(), ours.collect());
    meant.insert("leftOut".to_owned(), metadata["annotations"][LEFT_OUT].clone());
    Digest::of(&meant)
}

/// Everything that is to be told, control by control and then of the namespace as a whole.
fn found<'a>(status: &'a BaselineReportStatus, general: &'a [Told]) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    for control in &status.controls {
        let notes = control.findings.iter().chain(&control.blocked);
        found.extend(
            notes
                .chain(&control.warnings)
                .map(|note| Found::of(Some(control), note)),
        );
        found.extend(control.waived.iter().map(|item| Found::waived(control, item)));
        let wholly_waived = control
            .waived
            .iter()
            .any(|item| item.object.is_none() && item.level.is_none());
        if control.state == ControlState::Compliant && !wholly_waived {
            found.push(Found {
                control: Some(control),
                outcome: Outcome::Pass,
                reason: "",
                object: "",
                message: "all is as declared".to_owned(),
            });
        }
    }
    for conflict in &status.conflicts {
        // The control that it is about comes first in its message.
        let section = conflict.message.split(' ').next();
        let control = status.controls.iter().find(|control| Some(&*control.name) == section);
        found.push(Found::of(control, conflict));
    }
    found.extend(general.iter().map(|told| Found {
        control: None,
        outcome: outcome(&told.reason),
        reason: &told.reason,
        object: &told.object,
        message: told.message.clone(),
    }));
    found
}

impl<'a> Found<'a> {
    fn of(control: Option<&'a ControlReport>, note: &'a Note) -> Self {
        Self {
            control,
            outcome: outcome(&note.reason),
            reason: &note.reason,
            object: &note.object,
            message: note.message.clone(),
        }
    }

    fn waived(control: &'a ControlReport, item: &'a WaivedItem) -> Self {
        let level = item.level.map(|level| format!(" down to {level:?}").to_lowercase());
        Self {
            control: Some(control),
            outcome: Outcome::Skip,
            reason: "",
            object: item.object.as_deref().unwrap_or_default(),
            message: format!(
                "waived{} until {} by {}",
                level.unwrap_or_default(),
                item.until,
                item.exceptions.join(", ")
            ),
        }
    }

    /// The result. `before` counts those that nothing else tells apart.
    fn result(
        &self,
        namespace: &str,
        since: Option<Timestamp>,
        before: &mut HashMap<(String, String), usize>,
    ) -> Value {
        let section = self.control.map(|control| control.name.as_str());
        let policy = section.unwrap_or(WHOLE);
        let code = codes::code(section, self.reason);
        let rule = code.as_deref().unwrap_or(self.reason);
        // Of what is waived or as declared there is no code.
        let what = if rule.is_empty() { self.outcome.as_str() } else { rule };
        let same = before
            .entry((format!("{policy}/{what}"), self.object.to_owned()))
            .or_default();
        let id = Digest::of(&json!([namespace, policy, what, self.object, *same]));
        *same += 1;

        let mut properties = json!({"resultID": id.to_string()});
        if !rule.is_empty() {
            properties["code"] = json!(rule);
            properties["reason"] = json!(self.reason);
        }
        if let Some(mend) = codes::reason(self.reason).map(|known| known.mend) {
            properties["mend"] = json!(mend);
        }
        if let Some(control) = self.control {
            properties["mode"] = json!(match control.mode {
                Mode::Enforce => "enforce",
                Mode::Audit => "audit",
            });
        }
        let mut result = json!({
            "source": FIELD_MANAGER,
            "policy": policy,
            "category": category(section),
            "result": self.outcome,
            "scored": matches!(self.outcome, Outcome::Pass | Outcome::Fail),
            "message": self.message,
            "properties": properties,
        });
        if !rule.is_empty() {
            result["rule"] = json!(rule);
            result["severity"] = json!(severity(self.reason));
        }
        if let Some(object) = object_reference(namespace, self.object, "") {
            result["resources"] = json!([object]);
        }
        if let Some(since) = since {
            result["timestamp"] = json!({"seconds": since.as_second(), "nanos": 0});
        }
        result
    }
}

/// Since when an object departs, where that is on record.
fn since(status: &BaselineReportStatus, one: &Found<'_>) -> Option<Timestamp> {
    let open = status.drift.open.iter().filter(|open| open.object == one.object);
    let departs = one.outcome == Outcome::Fail || one.outcome == Outcome::Warn;
    open.map(|open| open.seen).min().filter(|_| departs)
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Pass => "pass",
        }
    }
}

/// What a reason comes to: what is declared does not hold, or somebody should look.
fn outcome(reason: &str) -> Outcome {
    match codes::reason(reason).map(|known| known.severity) {
        Some(Severity::Error) => Outcome::Fail,
        _ => Outcome::Warn,
    }
}

fn severity(reason: &str) -> &'static str {
    match codes::reason(reason).map(|known| known.severity) {
        Some(Severity::Error) => "high",
        Some(Severity::Note) => "info",
        Some(Severity::Warning) | None => "medium",
    }
}

/// The category of a control's results, for people.
fn category(section: Option<&str>) -> &str {
    match section {
        Some("networkIsolation") => "Network Isolation",
        Some("resourceQuotas") => "Resource Quotas",
        Some("limitRanges") => "Limit Ranges",
        Some("podSecurity") => "Pod Security",
        Some("access") => "Access to the API",
        Some(other) => other,
        None => "Namespace",
    }
}

#[cfg(test)]
mod tests;
