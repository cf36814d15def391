//! What others do to these reports, and what happens where they cannot be written.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::crds::POLICY_REPORT;
use super::{NAME, two, version, with};
use crate::oracles::{ends_well, holding, quiet, settled};
use crate::stage::{create, delete, get, merge, metric};
use crate::support::eventually;

#[tokio::test]
async fn a_report_that_somebody_changes_or_deletes_is_as_it_was_a_second_later() {
    let (plane, _stage) = with(&[POLICY_REPORT]).await;
    let (set, namespaces) = holding(&plane, "polrtamper", &two("Enforce"), 1).await;
    let namespace = namespaces[0].as_str();
    let report = set.present("PolicyReport", namespace, NAME).await;
    settled(&plane, &set).await;

    let forged = json!({"summary": {"pass": 99}, "results": []});
    merge(&set.admin, "PolicyReport", Some(namespace), NAME, forged)
        .await
        .unwrap();
    let same = |r: &Value| r["results"] == report["results"] && r["summary"] == report["summary"];
    let mended = set
        .object_until("PolicyReport", namespace, NAME, "is mended", same)
        .await;
    assert_ne!(version(&mended), version(&report));

    delete(&set.admin, "PolicyReport", Some(namespace), NAME).await;
    set.object_until("PolicyReport", namespace, NAME, "is back", |r| {
        same(r) && r["metadata"]["uid"] != report["metadata"]["uid"]
    })
    .await;

    // It is bound to its report by UID: with a new report comes a new owner.
    delete(&set.admin, "BaselineReport", Some(namespace), "baseline").await;
    let told = set
        .report_until(namespace, "is back", |r| {
            r["status"]["conditions"][0]["status"] == "True"
        })
        .await;
    set.object_until("PolicyReport", namespace, NAME, "has the new owner", |r| {
        r["metadata"]["ownerReferences"][0]["uid"] == told["metadata"]["uid"]
    })
    .await;
    quiet(&plane, &set, &namespaces, Duration::from_secs(3)).await;
    ends_well(&plane, &set, &two("Enforce"), &namespaces).await;
}

#[tokio::test]
async fn what_stands_under_the_name_before_is_written_over_where_a_baseline_holds_and_nowhere_else() {
    let (plane, mut stage) = with(&[POLICY_REPORT]).await;
    let set = crate::stage::Set::new(&plane, "polrtaken").await;
    let namespace = set.namespace(&plane, "a").await;
    plane.namespace("somebody-elses", &[]).await.unwrap();
    let theirs = || json!({"metadata": {"name": NAME}, "summary": {"pass": 99}});
    for place in [namespace.as_str(), "somebody-elses"] {
        create(&set.admin, "PolicyReport", Some(place), theirs()).await.unwrap();
    }
    let before = get(&set.admin, "PolicyReport", Some("somebody-elses"), NAME)
        .await
        .unwrap();
    set.baseline(two("Enforce")).await;
    set.object_until("PolicyReport", &namespace, NAME, "is the operator's", |r| {
        r["summary"]["pass"] == 2
    })
    .await;
    stage.operator.kill().unwrap();
    stage.restart(&plane).await.unwrap();
    set.until_enforced(1).await;
    settled(&plane, &set).await;
    let after = get(&set.admin, "PolicyReport", Some("somebody-elses"), NAME)
        .await
        .unwrap();
    assert_eq!(version(&after), version(&before));
    delete(&set.admin, "Namespace", None, "somebody-elses").await;
}

/// A webhook on policy reports at an address that swallows whatever is sent there.
fn webhook() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "slow"},
        "webhooks": [{
            "name": "slow.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 10,
            // Nobody has this address (RFC 5737): packets to it are lost.
            "clientConfig": {"url": "https://192.0.2.1:9443/"},
            "rules": [{
                "apiGroups": ["wgpolicyk8s.io"], "apiVersions": ["*"], "resources": ["policyreports"],
                "operations": ["CREATE", "UPDATE"],
            }],
        }],
    })
}

#[tokio::test]
async fn a_report_that_cannot_be_written_delays_neither_the_operators_own_nor_a_repair() {
    let (plane, stage) = with(&[POLICY_REPORT]).await;
    let dir = tempfile::tempdir().unwrap();
    let hook = dir.path().join("webhook.yaml");
    std::fs::write(&hook, webhook().to_string()).unwrap();
    plane.install(&hook).await.unwrap();
    let set = crate::stage::Set::new(&plane, "polrslow").await;
    let namespaces = set.namespaces(&plane, 3).await;
    set.baseline(two("Enforce")).await;
    set.until_enforced(3).await;
    // Now each of them has a write under way that takes ten seconds.
    let began = Instant::now();
    for namespace in &namespaces {
        delete(&set.admin, "ResourceQuota", Some(namespace), "security-baseline-pods").await;
        set.report_until(namespace, "counts the repair", |r| {
            r["status"]["drift"]["repaired"] == 1
        })
        .await;
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(
        get(&set.admin, "PolicyReport", Some(&namespaces[0]), NAME)
            .await
            .is_none()
    );
    eventually("a metric tells it", Duration::from_secs(60), async || {
        let failures = metric(&stage.operator, "security_baseline_policy_report_failures_total").await;
        ensure!(failures > 0, "none");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(
        metric(&stage.operator, "security_baseline_status_failures_total").await,
        0
    );
    plane.delete_manifests(&hook).await.unwrap();
    let patience = Duration::from_secs(90);
    for namespace in &namespaces {
        let reports = crate::stage::api(&set.admin, "PolicyReport", Some(namespace));
        crate::support::watch_until(&reports, NAME, "comes later", patience, |_| true)
            .await
            .unwrap();
    }
    ends_well(&plane, &set, &two("Enforce"), &namespaces).await;
}
