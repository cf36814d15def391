//! What the metrics tell. That alerts made of them fire is seen by `make test-alerts`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::stage::{BINARY, SOON, Set, delete, metric, own, shared, unbraked};
use crate::support::proxy::{Answer, Fault, Matching};
use crate::support::{ControlPlane, Operator, Stage, eventually};

/// A quota, in this mode.
fn quota(mode: &str) -> Value {
    json!({"mode": mode, "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": 5}}]}})
}

const QUOTA: &str = "security-baseline-pods";

/// Waits until a sample has this value, or any that will do.
async fn until(operator: &Operator, sample: &str, does: impl Fn(u64) -> bool) {
    eventually(sample, SOON, async || {
        let value = metric(operator, sample).await;
        ensure!(does(value), "{value}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn drift_is_counted_once_by_its_section_where_it_is_repaired_and_where_it_is_only_audited() {
    let (plane, stage) = own().await;
    let set = Set::new(&plane, "counted").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(quota("Enforce")).await;
    set.until_enforced(1).await;
    let found = "security_baseline_drift_detected_total{section=\"resourceQuotas\"}";
    let mended = "security_baseline_drift_repaired_total{section=\"resourceQuotas\"}";
    let values = async || {
        (
            metric(&stage.operator, found).await,
            metric(&stage.operator, mended).await,
        )
    };
    assert_eq!(values().await, (0, 0), "what is created is no drift");
    delete(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
    set.report_until(&namespace, "tells it", |r| r["status"]["drift"]["total"] == 1)
        .await;
    assert_eq!(values().await, (1, 1));

    set.baseline(quota("Audit")).await;
    set.until("Ready", "True").await;
    delete(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
    set.report_until(&namespace, "tells it", |r| r["status"]["drift"]["total"] == 2)
        .await;
    assert_eq!(values().await, (2, 1));
    // In Audit nothing is unrepaired: nobody said that it should be repaired.
    let unrepaired = format!("security_baseline_unrepaired_namespaces{{baseline=\"{}\"}}", set.name);
    let drifted = format!(
        "security_baseline_namespaces{{baseline=\"{}\",state=\"drifted\"}}",
        set.name
    );
    until(&stage.operator, &drifted, |value| value == 1).await;
    assert_eq!(metric(&stage.operator, &unrepaired).await, 0);
}

#[tokio::test]
async fn a_repair_that_fails_at_first_took_as_long_as_all_its_tries() {
    let plane = ControlPlane::start().await.unwrap();
    let behind = Stage::behind_proxy(&plane, Path::new(BINARY), unbraked);
    let (stage, proxy) = behind.await.unwrap();
    let set = Set::new(&plane, "tries").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(quota("Enforce")).await;
    set.until_enforced(1).await;
    let fails = Matching::of("create", "resourcequotas").within(&namespace);
    let fails = proxy.disturb_first(3, fails, Fault::Answer(Answer::status(500)));
    let begun = Instant::now();
    delete(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
    set.present("ResourceQuota", &namespace, QUOTA).await;
    let took = begun.elapsed();
    assert_eq!(fails.hits(), 3);
    let count = "security_baseline_repair_seconds_count";
    until(&stage.operator, count, |value| value == 1).await;
    let text = stage.operator.metrics().await.unwrap();
    let sum = text
        .lines()
        .find_map(|line| line.strip_prefix("security_baseline_repair_seconds_sum "));
    let sum = Duration::from_secs_f64(sum.unwrap().parse().unwrap());
    // Its pauses alone are more than half of 0.5, 1 and 2 s.
    assert!(
        sum > Duration::from_millis(1750) && sum <= took + SOON,
        "{sum:?} of {took:?}"
    );
}

#[tokio::test]
async fn requests_are_counted_by_verb_and_code_and_none_comes_at_rest() {
    let (plane, stage) = own().await;
    let set = Set::new(&plane, "requests").await;
    set.namespace(&plane, "a").await;
    set.baseline(quota("Enforce")).await;
    set.until_enforced(1).await;
    let requests = async |verb: &str, code: u16| {
        let sample = format!("security_baseline_api_requests_total{{code=\"{code}\",verb=\"{verb}\"}}");
        metric(&stage.operator, &sample).await
    };
    assert!(requests("list", 200).await >= 8 && requests("watch", 200).await >= 8);
    assert!(requests("create", 201).await >= 2, "a quota and a report");
    assert!(requests("update", 200).await >= 1, "a status");
    let all = async || metric(&stage.operator, "security_baseline_api_requests_total").await;
    crate::oracles::settled(&plane, &set).await;
    let before = all().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(all().await, before);
}

#[tokio::test]
async fn what_is_covered_is_told_of_all_namespaces_but_the_excluded() {
    let (plane, stage) = own().await;
    let set = Set::new(&plane, "covered").await;
    set.namespaces(&plane, 3).await;
    set.baseline(quota("Enforce")).await;
    set.until_enforced(3).await;
    // Beside these there is `default`; all others that a cluster begins with are excluded.
    let ratio = async || {
        let text = stage.operator.metrics().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("security_baseline_coverage_ratio "));
        line.unwrap().parse::<f64>().unwrap()
    };
    assert!((ratio().await - 0.75).abs() < 1e-9, "{}", ratio().await);
    assert_eq!(
        metric(&stage.operator, "security_baseline_uncovered_namespaces").await,
        1
    );
    let selected = format!("security_baseline_selected_namespaces{{baseline=\"{}\"}}", set.name);
    assert_eq!(metric(&stage.operator, &selected).await, 3);
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    until(&stage.operator, "security_baseline_uncovered_namespaces", |value| {
        value == 4
    })
    .await;
    assert!(ratio().await.abs() < 1e-9);
    let text = stage.operator.metrics().await.unwrap();
    assert!(!text.contains(&set.name), "it is gone, and still told");
}

#[tokio::test]
async fn a_namespace_has_a_series_of_its_own_only_where_the_configuration_asks_for_it() {
    let (plane, stage) = shared().await;
    let set = Set::new(plane, "unasked").await;
    set.namespace(plane, "a").await;
    set.baseline(quota("Enforce")).await;
    set.until_enforced(1).await;
    assert!(!stage.operator.metrics().await.unwrap().contains("namespace=\""));

    let plane = ControlPlane::start().await.unwrap();
    let asked = Stage::with(&plane, Path::new(BINARY), |config| {
        unbraked(config);
        config["metrics"]["namespaceLabel"] = json!(true);
    });
    let stage = asked.await.unwrap();
    assert!(
        !stage.operator.metrics().await.unwrap().contains("namespace=\""),
        "none is held yet"
    );
    let set = Set::new(&plane, "asked").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(quota("Enforce")).await;
    set.until_enforced(1).await;
    let state =
        |state: &str| format!("security_baseline_namespace_state{{namespace=\"{namespace}\",state=\"{state}\"}}");
    assert_eq!(metric(&stage.operator, &state("compliant")).await, 1);
    set.baseline(quota("Audit")).await;
    set.until("Ready", "True").await;
    delete(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
    until(&stage.operator, &state("drifted"), |value| value == 1).await;
    assert!(
        !stage.operator.metrics().await.unwrap().contains(&state("compliant")),
        "it has one state"
    );
}
