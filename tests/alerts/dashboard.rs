//! The dashboard: every query of every panel has an answer, and units and thresholds are those of what is shown.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::firing::{EVEN, drifts, exception, shared};
use crate::stage::file;
use crate::support::eventually;

fn panels() -> Vec<Value> {
    let text = std::fs::read_to_string(file("config/grafana/security-baseline.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    panels.into_iter().filter(|panel| panel["type"] != "row").collect()
}

/// A panel's queries, as Grafana sends them with everything selected.
fn queries(panel: &Value) -> Vec<String> {
    let targets = panel["targets"].as_array().unwrap();
    let query = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    let chosen = |query: String| query.replace("$baseline", ".*").replace("$__rate_interval", "1m");
    targets.iter().map(query).map(chosen).collect()
}

#[tokio::test]
async fn every_query_of_the_dashboard_has_data_and_none_of_it_is_no_number() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("dashboard", &EVEN).await;
    // Something was repaired, so there is a time that it took.
    drifts(&set, &namespace).await;
    exception(&set, &[&namespace], &json!([{"control": "limitRanges"}]), 3600).await;
    for panel in panels() {
        for query in queries(&panel) {
            let what = format!("{} ({query}) has data", panel["title"]);
            eventually(&what, Duration::from_secs(30), async || {
                let found = scene.prometheus.query(&query).await;
                ensure!(!found.is_empty(), "nothing");
                let number = |sample: &Value| sample["value"][1].as_str().is_some_and(|v| v != "NaN");
                ensure!(found.iter().any(number), "{found:?}");
                Ok(())
            })
            .await
            .unwrap();
        }
    }
}

#[test]
fn units_are_those_of_what_is_shown_and_thresholds_rise() {
    let mut titles = std::collections::BTreeSet::new();
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        assert!(titles.insert(title.to_owned()), "{title} is there twice");
        let defaults = &panel["fieldConfig"]["defaults"];
        let steps = defaults["thresholds"]["steps"].as_array().unwrap();
        assert!(steps[0]["value"].is_null(), "{title}: the first step has no value");
        let values: Vec<f64> = steps[1..].iter().map(|step| step["value"].as_f64().unwrap()).collect();
        assert!(values.is_sorted_by(|a, b| a < b), "{title}: {values:?}");
        if panel["type"] == "stat" {
            assert!(steps.len() > 1, "{title} has one colour");
        }
        for query in queries(&panel) {
            let expected: &[&str] = if query.contains("_ratio") {
                &["percentunit"]
            } else if query.starts_with("sum by (verb)") || query.starts_with("sum by (code)") {
                &["reqps"]
            } else if query.contains("_seconds") {
                &["s"]
            } else if query.contains("rate(") {
                &["ops"]
            } else if query.contains("increase(") {
                &["short"]
            } else {
                &["none"]
            };
            assert!(
                expected.contains(&defaults["unit"].as_str().unwrap()),
                "{title}: {}",
                defaults["unit"]
            );
        }
    }
}

#[test]
fn the_thresholds_of_the_dashboard_are_those_of_the_alerts() {
    let last = |title: &str| {
        let panel = panels().into_iter().find(|panel| panel["title"] == title).unwrap();
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            .as_array()
            .unwrap();
        steps.last().unwrap()["value"].clone()
    };
    for (title, alert) in [
        ("Oldest work", "SecurityBaselineReconcileStale"),
        ("Time until an exception ends", "SecurityBaselineExceptionExpiringSoon"),
    ] {
        let rules = crate::rules::shipped();
        let rule = crate::rules::alerts(&rules)
            .find(|rule| rule["alert"] == alert)
            .unwrap();
        let step = last(title).to_string();
        assert!(
            rule["expr"].as_str().unwrap().contains(&format!(" {step}")),
            "{title}: {step}"
        );
    }
}
