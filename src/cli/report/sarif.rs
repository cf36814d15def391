//! A report as SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).
//!
//! SARIF is about files. An object in a cluster has none, so that each has a place of its own by its names: what shows
//! findings then tells one from another, and the same finding is the same one next time.

use serde_json::{Value, json};

use super::model::{Finding, Place, Report};
use crate::core::codes::{REASONS, Reason, Severity};
use crate::core::object::Digest;

/// The report as a log of one run.
pub fn log(report: &Report) -> Value {
    let codes: Vec<(String, &Reason)> = REASONS
        .iter()
        .flat_map(|reason| reason.codes().into_iter().map(move |(_, code)| (code, reason)))
        .collect();
    let rules: Vec<Value> = codes.iter().map(|(code, reason)| rule(code, reason)).collect();
    let results: Vec<Value> = report
        .findings()
        .map(|(place, finding)| {
            let index = codes.iter().position(|(code, _)| *code == finding.code);
            result(place, finding, index)
        })
        .collect();
    let doubts = report.doubts();
    let notifications: Vec<Value> = doubts
        .iter()
        .map(|doubt| json!({"level": "error", "message": {"text": doubt}}))
        .collect();
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

fn rule(code: &str, reason: &Reason) -> Value {
    json!({
        "id": code,
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
