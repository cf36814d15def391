//! What kstatus (and so Flux) and Argo CD make of every state.

use std::collections::BTreeSet;

use security_baseline_operator::core::status::STALLED_REASONS;
use serde_json::Value;

use crate::lua::{SETTINGS, write_fixtures};
use crate::stage::{condition, file};
use crate::states::State;
use crate::support::ControlPlane;
use crate::{states, table, tools};

const DOCUMENT: &str = "docs/gitops.md";
const MARK: &str = "<!-- table: health -->";

/// The row of a state in the documentation.
fn row(state: &State, kstatus: &str, argo: &Value) -> Vec<String> {
    let object = &state.object;
    let kind = object["kind"].as_str().unwrap();
    let reason = condition(object, "Ready")["reason"].as_str().unwrap_or("none");
    // Nobody applies a report, and so nobody waits for one.
    let kstatus = if kind == "BaselineReport" { "" } else { kstatus };
    let health = argo["health"]["status"].as_str().unwrap();
    vec![
        kind.to_owned(),
        state.name.to_owned(),
        format!("`{reason}`"),
        kstatus.to_owned(),
        health.to_owned(),
    ]
}

/// Why a report's `Ready` is as it is.
const REPORT_REASONS: [&str; 7] = [
    "Blocked",
    "Compliant",
    "Drifted",
    "Excluded",
    "NotSelected",
    "Pending",
    "Weakened",
];

/// Sees that a condition was met for each of its reasons.
fn covers(all: &[State], kind: &str, type_: &str, reasons: &[&str]) {
    let its = all.iter().filter(|state| state.object["kind"] == kind);
    let met: BTreeSet<String> = its
        .filter_map(|state| condition(&state.object, type_)["reason"].as_str().map(str::to_owned))
        .collect();
    for reason in reasons {
        assert!(
            met.contains(*reason),
            "no {kind} is {type_} because of {reason}: {met:?}"
        );
    }
}

#[tokio::test]
async fn flux_and_argo_cd_read_every_state_as_the_documentation_says() {
    let plane = ControlPlane::start().await.unwrap();
    let mut all = states::all(&plane).await;
    for State { object, .. } in &mut all {
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
    }
    all.sort_by_key(|state| {
        ["SecurityBaseline", "BaselineException", "BaselineReport"]
            .iter()
            .position(|k| state.object["kind"] == **k)
    });

    covers(&all, "SecurityBaseline", "Stalled", &STALLED_REASONS);
    covers(&all, "BaselineReport", "Ready", &REPORT_REASONS);

    let objects: Vec<Value> = all.iter().map(|state| state.object.clone()).collect();
    let (kstatus, argo) = (tools::kstatus(&objects), tools::argo(&file(SETTINGS), &objects));
    let rows: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(i, state)| row(state, &kstatus[i], &argo[i]))
        .collect();
    if std::env::var_os("WRITE_FIXTURES").is_some() {
        write_fixtures(&all, &argo);
    }
    for (state, answer) in all.iter().zip(&argo) {
        let message = answer["health"]["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{}: Argo CD shows no message", state.name);
    }
    let documented = table::rows(&std::fs::read_to_string(file(DOCUMENT)).unwrap(), MARK);
    assert_eq!(
        table::written(&documented),
        table::written(&rows),
        "{DOCUMENT} is left, what is so is right"
    );
}
