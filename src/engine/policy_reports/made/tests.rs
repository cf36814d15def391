use serde_json::json;

use super::*;
use crate::controls::REGISTRY;
use crate::engine::policy_reports::forms::FORMS;

/// A note.
fn note(object: &str, reason: &str) -> Value {
    json!({"object": object, "reason": reason, "message": format!("{reason} of {object}")})
}

fn status(controls: Value) -> BaselineReportStatus {
    serde_json::from_value(json!({
        "conditions": [{"type": "Ready", "status": "True", "reason": "Compliant", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "baselines": [{"name": "tenants", "uid": "b", "generation": 1, "state": "Enforced"}],
        "controls": controls,
        "drift": {"total": 0, "repaired": 0},
    }))
    .unwrap()
}

fn control(name: &str, state: &str) -> Value {
    json!({"name": name, "mode": "Enforce", "state": state})
}

fn of(status: &BaselineReportStatus) -> Value {
    made(&FORMS[1], "team-a", "owner", status).unwrap()
}

#[test]
fn what_is_as_declared_passes_and_what_departs_fails_by_its_code() {
    let mut drifted = control("networkIsolation", "Drifted");
    drifted["findings"] = json!([note("NetworkPolicy/security-baseline-x", "Changed")]);
    drifted["warnings"] = json!([note("NetworkPolicy/other", "WeakenedInPart")]);
    let mut status = status(json!([drifted, control("limitRanges", "Compliant")]));
    status.drift.open = serde_json::from_value(json!([
        {"object": "NetworkPolicy/security-baseline-x", "path": "spec", "seen": "2026-01-01T00:00:07Z", "number": 1},
    ]))
    .unwrap();
    let report = of(&status);
    assert_eq!(
        report["summary"],
        json!({"pass": 1, "fail": 1, "warn": 1, "error": 0, "skip": 0})
    );
    let [fail, warn, pass] = report["results"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    for (field, value) in [
        ("rule", json!("SB-NET-004")),
        ("severity", json!("high")),
        ("category", json!("Network Isolation")),
        ("source", json!("security-baseline-operator")),
        ("timestamp", json!({"seconds": 1_767_225_607, "nanos": 0})),
    ] {
        assert_eq!(fail[field], value, "{fail}");
    }
    assert_eq!(fail["resources"][0]["apiVersion"], "networking.k8s.io/v1");
    assert_eq!(fail["properties"]["code"], fail["rule"]);
    assert_eq!((&warn["result"], &warn["severity"]), (&json!("warn"), &json!("info")));
    assert_eq!(
        (&pass["policy"], &pass["result"]),
        (&json!("limitRanges"), &json!("pass"))
    );
    assert_eq!(report["metadata"]["ownerReferences"][0]["uid"], "owner");
}

#[test]
fn what_is_waived_is_skipped_and_what_is_at_odds_or_walks_out_is_told_of_its_control_or_of_the_namespace() {
    let mut waived = control("podSecurity", "Compliant");
    waived["waived"] = json!([{"level": "privileged", "exceptions": ["e"], "until": "2026-02-01T00:00:00Z"}]);
    let mut whole = control("limitRanges", "Compliant");
    whole["waived"] = json!([{"exceptions": ["e"], "until": "2026-02-01T00:00:00Z"}]);
    let mut status = status(json!([waived, whole]));
    status.conflicts = serde_json::from_value(json!([
        {"object": "LimitRange/x", "reason": "Conflict", "message": "limitRanges LimitRange/x: a minimum above a maximum"},
    ]))
    .unwrap();
    status.baselines[0].deselected = true;
    let report = of(&status);
    assert_eq!(
        report["summary"],
        json!({"pass": 1, "fail": 1, "warn": 1, "error": 0, "skip": 2})
    );
    let rules: Vec<&Value> = report["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["rule"])
        .collect();
    assert_eq!(rules[..2], [&json!("SB-LIM-301"), &json!("SB-GEN-304")]);
    let skipped = &report["results"][2];
    assert_eq!(
        skipped["message"],
        "waived down to privileged until 2026-02-01T00:00:00Z by e"
    );
}

#[test]
fn a_finding_keeps_its_id_when_its_message_changes_and_when_others_come_and_no_two_share_one() {
    let mut drifted = control("access", "Drifted");
    drifted["findings"] = json!([note("Role/a", "Changed")]);
    let id = |report: &Value, at: usize| report["results"][at]["properties"]["resultID"].clone();
    let before = of(&status(json!([drifted.clone()])));
    drifted["findings"] = json!([
        note("Role/0", "Changed"),
        note("Role/a", "Changed"),
        note("Role/a", "Changed")
    ]);
    drifted["findings"][1]["message"] = json!("otherwise");
    let after = of(&status(json!([drifted])));
    assert_eq!(id(&before, 0), id(&after, 1));
    let ids: std::collections::BTreeSet<String> = (0..3).map(|at| id(&after, at).to_string()).collect();
    assert_eq!(ids.len(), 3);
    let elsewhere = made(
        &FORMS[1],
        "team-b",
        "owner",
        &status(json!([control("access", "Compliant")])),
    )
    .unwrap();
    let here = of(&status(json!([control("access", "Compliant")])));
    assert_ne!(id(&elsewhere, 0), id(&here, 0));
}

#[test]
fn the_list_is_bounded_worst_first_and_the_summary_is_true() {
    let findings: Vec<Value> = (0..32).map(|i| note(&format!("Role/{i}"), "Changed")).collect();
    let controls: Vec<Value> = ["networkIsolation", "resourceQuotas", "limitRanges", "access"]
        .iter()
        .map(|name| {
            let mut control = control(name, "Drifted");
            control["findings"] = json!(findings);
            control["warnings"] = json!([note("", "Suspended")]);
            control
        })
        .collect();
    let report = of(&status(json!(controls)));
    assert_eq!(
        (&report["summary"]["fail"], &report["summary"]["warn"]),
        (&json!(128), &json!(4))
    );
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), MOST_RESULTS);
    assert!(results.iter().all(|r| r["result"] == "fail"));
    assert_eq!(report["metadata"]["annotations"][LEFT_OUT], "32");
}

#[test]
fn nothing_is_told_of_a_namespace_that_no_baseline_holds_or_that_nobody_looks_after() {
    let mut nobody = status(json!([]));
    nobody.baselines.clear();
    assert_eq!(made(&FORMS[0], "a", "owner", &nobody), None);
    let mut excluded = status(json!([]));
    excluded.conditions[0].status = "Unknown".to_owned();
    assert_eq!(made(&FORMS[0], "a", "owner", &excluded), None);
}

#[test]
fn what_the_api_server_adds_means_nothing_and_what_anybody_changes_does() {
    let report = made(
        &FORMS[0],
        "a",
        "owner",
        &status(json!([control("access", "Compliant")])),
    )
    .unwrap();
    assert_eq!(report["source"], "security-baseline-operator");
    let mut there = report.clone();
    there["metadata"]["uid"] = json!("u");
    there["metadata"]["resourceVersion"] = json!("7");
    there["metadata"]["managedFields"] = json!([]);
    there["metadata"]["labels"]["cost-center.example.com"] = json!("7");
    assert_eq!(meaning(&there), meaning(&report));
    for (path, value) in [
        ("/results/0/result", json!("fail")),
        ("/summary/pass", json!(7)),
        ("/metadata/labels", json!({})),
        ("/metadata/labels/app.kubernetes.io~1name", json!("somebody")),
        ("/metadata/ownerReferences", json!([])),
        ("/scope/name", json!("b")),
        ("/source", json!("somebody")),
    ] {
        let mut other = there.clone();
        *other.pointer_mut(path).unwrap() = value;
        assert_ne!(meaning(&other), meaning(&report), "{path}");
    }
}

#[test]
fn every_control_has_a_category_of_its_own() {
    let named = REGISTRY
        .iter()
        .map(|control| (control.section(), category(Some(control.section()))));
    let categories: std::collections::BTreeSet<_> = named.filter(|(section, category)| section != category).collect();
    let distinct: std::collections::BTreeSet<_> = categories.iter().map(|(_, category)| *category).collect();
    assert_eq!(distinct.len(), REGISTRY.len(), "{categories:?}");
}
