//! A repair that changes nothing cannot be hidden.

use anyhow::ensure;
use serde_json::json;

use super::{DENY, Way};
use crate::oracles::{PATIENCE, holding};
use crate::stage::{everything, metric, own};
use crate::support::{Operator, eventually, taking_back};
use crate::tamper::Intruder;

/// How many repairs came to nothing. (In the next second the API server notes the time of the write, and calls the object
/// changed.)
async fn tries(operator: &Operator) -> u64 {
    let mut all = 0;
    for outcome in ["nothing", "rewritten"] {
        let name = format!(
            "security_baseline_writes_total{{kind=\"NetworkPolicy\",operation=\"replace\",outcome=\"{outcome}\"}}"
        );
        all += metric(operator, &name).await;
    }
    all
}

#[tokio::test]
async fn a_repair_that_changes_nothing_is_counted_each_time_logged_once_and_never_called_a_repair() {
    let (plane, stage) = own().await;
    if !plane
        .serves("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy")
        .await
        .unwrap()
    {
        return;
    }
    let (set, namespaces) = holding(&plane, "unchanged", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    std::fs::write(&file, taking_back("taking-back", namespace, DENY)).unwrap();
    plane.install(&file).await.unwrap();
    let intruder = Intruder {
        client: set.admin.clone(),
        manager: "kubectl-edit",
        way: Way::Update,
    };
    let name = "security_baseline_false_alarms_total{kind=\"NetworkPolicy\"}";
    // The API server takes up the policy a moment later; until then repairs are repairs.
    let mut round = 0;
    eventually("repairs change nothing", PATIENCE, async || {
        round += 1;
        let open =
            json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}, "spec": {"ingress": [{}]}});
        intruder.change("NetworkPolicy", Some(namespace), DENY, &open).await?;
        ensure!(metric(&stage.operator, name).await >= 3, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    let log = stage.operator.log().unwrap();
    let lines = log.lines().filter(|line| line.contains("a repair changed nothing"));
    assert_eq!(lines.count(), 1);
    let report = set
        .report_until(namespace, "tells what departs", |r| {
            r["status"]["drift"]["open"]
                .as_array()
                .is_some_and(|open| !open.is_empty())
        })
        .await;
    let drift = &report["status"]["drift"];
    assert!(drift["records"][0].get("repaired").is_none(), "{drift}");
    // It is tried again, ever less often, and at once when somebody touches it; and nothing more is told of it.
    let so_far = tries(&stage.operator).await;
    let touch = json!({"metadata": {"annotations": {"example.com/round": "again"}}});
    intruder
        .change("NetworkPolicy", Some(namespace), DENY, &touch)
        .await
        .unwrap();
    eventually("more of the same", PATIENCE, async || {
        ensure!(tries(&stage.operator).await > so_far, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    let later = set.report_until(namespace, "is there", |_| true).await;
    assert_eq!(later["status"]["drift"], *drift);
}
