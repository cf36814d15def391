//! A report as SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
//!
//! SARIF is about files. An object in a cluster has none, so that each has a place of its own by its names: what shows
//! findings then tells one from another, and the same finding is the same one next time.

use serde_json::{Value, json};

use super::model::{Finding, Place, Report, help};
use crate::core::codes::{REASONS, Reason, Severity};
use crate::core::object::Digest;

/// The most results of a run that GitHub's code scanning takes: it refuses the whole of a larger one.
const MOST_RESULTS: usize = 25_000;

/// The report as a log of one run; its rules are explained by the documentation that is read there.
pub fn log(report: &Report, docs: &str) -> Value {
    let codes: Vec<(String, &Reason)> = REASONS
        .iter()
        .flat_map(|reason| reason.codes().into_iter().map(move |(_, code)| (code, reason)))
        .collect();
    let rules: Vec<Value> = codes.iter().map(|(code, reason)| rule(code, reason, docs)).collect();
    let (findings, left_out) = at_most(MOST_RESULTS, report.findings().collect());
    let results: Vec<Value> = findings
        .into_iter()
        .map(|(place, finding)| {
            let index = codes.iter().position(|(code, _)| *code == finding.code);
            result(place, finding, index)
        })
        .collect();
    let doubts = report.doubts();
    let mut notifications: Vec<Value> = doubts
        .iter()
        .map(|doubt| json!({"level": "error", "message": {"text": doubt}}))
        .collect();
    if left_out > 0 {
        let text = format!(
            "{left_out} more findings, none of them more serious than these, are left out: code scanning takes {MOST_RESULTS} of a run; --output json has them all"
        );
        notifications.push(json!({"level": "warning", "message": {"text": text}}));
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "security-baseline",
                "version": report.tool_version,
                "semanticVersion": report.tool_version,
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": doubts.is_empty(),
                "endTimeUtc": report.generated_at.to_string(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
            "columnKind": "utf16CodeUnits",
        }],
    })
}

/// As many findings as are taken, the most serious ones where there are more; and how many are left out.
fn at_most<'a>(most: usize, mut findings: Vec<(Place<'a>, &'a Finding)>) -> (Vec<(Place<'a>, &'a Finding)>, usize) {
    let left_out = findings.len().saturating_sub(most);
    if left_out > 0 {
        findings.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
        findings.truncate(most);
    }
    (findings, left_out)
}

fn rule(code: &str, reason: &Reason, docs: &str) -> Value {
    json!({
        "id": code,
        "helpUri": help(docs, code),
        "name": reason.reason,
        "shortDescription": {"text": reason.means},
        "fullDescription": {"text": format!("{} {}", reason.means, reason.matters)},
        "help": {
            "text": format!("{} {}", reason.matters, reason.mend),
            "markdown": format!("{}\n\n**What to do:** {}", reason.matters, reason.mend),
        },
        "defaultConfiguration": {"level": reason.severity.as_str()},
        "properties": {
            "tags": ["security", "kubernetes"],
            "problem.severity": match reason.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "recommendation",
            },
        },
    })
}

fn result(place: Place<'_>, finding: &Finding, index: Option<usize>) -> Value {
    let path = path(place, finding);
    let fingerprint = Digest::of(&json!([
        finding.code,
        path,
        finding.fields.iter().map(|f| &f.path).collect::<Vec<_>>()
    ]));
    let mut result = json!({
        "ruleId": finding.code,
        "level": finding.severity.as_str(),
        "message": {"text": format!("{}: {}: {}", place.name, finding.object, finding.message)},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": path},
                "region": {"startLine": 1},
            },
            "logicalLocations": [{
                "name": if finding.object.is_empty() { place.name } else { &finding.object },
                "fullyQualifiedName": path,
                "kind": "resource",
            }],
        }],
        "partialFingerprints": {"finding/v1": fingerprint.to_string()},
        "properties": {"namespace": place.name, "control": place.control, "mend": finding.mend},
    });
    if place.kind != "Namespace"
        && let Some(properties) = result["properties"].as_object_mut()
    {
        properties.remove("namespace");
    }
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    result
}

/// Where a finding is, as a relative URI: the names of Kubernetes need no escaping but for the colon of RBAC's.
fn path(place: Place<'_>, finding: &Finding) -> String {
    let object = if finding.object.is_empty() {
        place.control.unwrap_or("membership")
    } else {
        &finding.object
    };
    let safe = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    let escape = |text: &str| -> String {
        let mut out = String::new();
        for c in text.chars() {
            if safe(c) {
                out.push(c);
            } else {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out += &format!("%{byte:02X}");
                }
            }
        }
        out
    };
    if place.kind == "Namespace" {
        format!("namespaces/{}/{}", escape(place.name), escape(object))
    } else {
        format!("cluster/{}", escape(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::collect::finding;

    #[test]
    fn of_too_many_findings_the_most_serious_are_kept_in_their_order() {
        let all = ["Suspended", "Missing", "Outdated", "Changed"].map(|reason| finding(None, reason, "", ""));
        let place = Place {
            kind: "Namespace",
            name: "a",
            control: None,
        };
        let of = |most| {
            let (kept, left_out) = at_most(most, all.iter().map(|finding| (place, finding)).collect());
            let kept: Vec<&str> = kept.iter().map(|(_, finding)| finding.reason.as_str()).collect();
            (kept, left_out)
        };
        assert_eq!(of(4), (vec!["Suspended", "Missing", "Outdated", "Changed"], 0));
        assert_eq!(of(2), (vec!["Missing", "Changed"], 2));
    }
}
