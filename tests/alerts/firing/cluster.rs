//! What is about all namespaces, and whether the operator is there. Each of these would disturb other tests.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use super::{DENY, EVEN};
use crate::alarm::Alarm;
use crate::prometheus::Prometheus;
use crate::stage::{BINARY, Set, delete, own};
use crate::support::{ControlPlane, Stage, eventually};

fn alarm<'a>(plane: &'a ControlPlane, prometheus: &'a Prometheus, name: &'static str) -> Alarm<'a> {
    Alarm {
        plane,
        prometheus,
        name,
        labels: Vec::new(),
        namespace: "default",
    }
}

#[tokio::test]
async fn namespaces_without_a_baseline_are_told_until_they_have_one() {
    let (plane, stage) = own().await;
    let prometheus = Prometheus::scraping(stage.operator.port()).await;
    let set = Set::new(&plane, "coverage").await;
    set.namespaces(&plane, 8).await;
    set.baseline(EVEN.clone()).await;
    set.until_enforced(8).await;
    let dropped = alarm(&plane, &prometheus, "CoverageDropped");
    dropped.is_quiet().await;
    // As many again come that nobody labelled.
    let namespaces: Vec<String> = (0..8).map(|i| format!("{}-bare-{i}", set.name)).collect();
    for namespace in &namespaces {
        plane.namespace(namespace, &[]).await.unwrap();
    }
    dropped.fires().await;
    dropped.runbook().await;
    for namespace in &namespaces {
        let patch = json!({"metadata": {"labels": {crate::stage::LABEL: set.name}}});
        crate::stage::merge(&set.admin, "Namespace", None, namespace, patch)
            .await
            .unwrap();
    }
    // By what was mended, and not since an hour, which is a minute here, is over.
    eventually("all are held", Duration::from_secs(60), async || {
        let ratio = prometheus.query("security_baseline_coverage_ratio > 0.9").await;
        ensure!(!ratio.is_empty(), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    dropped.resolves().await;
}

/// Turns the emergency stop on or off, as the ConfigMap does.
fn stop(stage: &Stage, on: bool) {
    let file = stage.config_file();
    let mut config: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["stop"] = json!(on);
    std::fs::write(file, serde_saphyr::to_string(&config).unwrap()).unwrap();
}

#[tokio::test]
async fn the_emergency_stop_and_then_an_operator_that_is_gone_are_told_until_it_works_again() {
    let plane = ControlPlane::start().await.unwrap();
    let mut stage = Stage::on(&plane, Path::new(BINARY)).await.unwrap();
    let prometheus = Prometheus::scraping(stage.operator.port()).await;
    let set = Set::new(&plane, "absent").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(EVEN.clone()).await;
    set.until_enforced(1).await;
    let stopped = alarm(&plane, &prometheus, "Stopped");
    let unrepaired = alarm(&plane, &prometheus, "DriftUnrepaired");
    let absent = alarm(&plane, &prometheus, "Absent");
    for alarm in [&stopped, &unrepaired, &absent] {
        alarm.is_quiet().await;
    }

    stop(&stage, true);
    stopped.fires().await;
    stopped.runbook().await;
    // What drifts meanwhile is told too.
    delete(&set.admin, "NetworkPolicy", Some(&namespace), DENY).await;
    unrepaired.fires().await;
    stop(&stage, false);
    stopped.resolves().await;
    unrepaired.resolves().await;

    stage.operator.kill().unwrap();
    absent.fires().await;
    absent.runbook().await;
    let restarting = alarm(&plane, &prometheus, "Restarting");
    restarting.is_quiet().await;
    restarted(&mut stage, &plane, &prometheus).await;
    absent.resolves().await;

    // Three times within what is half a minute here, so that nobody waits until it is ready.
    for _ in 0..3 {
        stage.operator.kill().unwrap();
        restarted(&mut stage, &plane, &prometheus).await;
    }
    restarting.fires().await;
    restarting.runbook().await;
    restarting.resolves().await;
}

/// Starts the operator anew, and waits until Prometheus has seen that.
async fn restarted(stage: &mut Stage, plane: &ControlPlane, prometheus: &Prometheus) {
    let name = "security_baseline_start_timestamp_seconds";
    let values = |seen: &[Value]| seen.iter().map(|sample| sample["value"][1].clone()).collect::<Vec<_>>();
    let before = values(&prometheus.query(&format!("last_over_time({name}[1m])")).await);
    // Starts are told apart by the second.
    let newest = before
        .iter()
        .filter_map(|value| value.as_str()?.parse::<i64>().ok())
        .max();
    eventually("a second has passed", Duration::from_secs(5), async || {
        ensure!(
            Some(k8s_openapi::jiff::Timestamp::now().as_second()) > newest,
            "not yet"
        );
        Ok(())
    })
    .await
    .unwrap();
    stage.begin_again(plane).await.unwrap();
    eventually(
        "Prometheus has seen the new start",
        Duration::from_secs(60),
        async || {
            let seen = prometheus.query(name).await;
            ensure!(values(&seen).iter().any(|value| !before.contains(value)), "{seen:?}");
            Ok(())
        },
    )
    .await
    .unwrap();
}
