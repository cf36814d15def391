//! What Argo CD applies, prunes and heals, beside what the operator does.

use std::path::Path;

use serde_json::{Value, json};

use crate::argo::{Argo, soon};
use crate::flux::in_git;
use crate::stage::{BINARY, LABEL, Set, condition, get, merge, own_as_shipped};
use crate::support::recorder::{Declared, Recorder};
use crate::support::{ControlPlane, Stage, install_yaml};

const POLICY: &str = "security-baseline-default-deny-ingress";

/// What is shipped, without the Deployment: there is no node that a pod could run on.
fn shipped() -> String {
    let text = std::fs::read_to_string(install_yaml()).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let kept = documents.iter().filter(|d| d["kind"] != "Deployment");
    kept.map(|d| format!("---\n{d}\n")).collect()
}

/// A baseline in a wave after the operator.
fn later(name: &str, spec: &Value) -> String {
    let text = in_git(name, spec);
    let mut object: Value = serde_saphyr::from_str(&text).unwrap();
    object["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": "1"});
    object.to_string()
}

/// A baseline that selects nothing.
fn nobody() -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {LABEL: "nobody"}},
        "networkIsolation": {"defaultDeny": ["Ingress"]},
    })
}

fn spec(set: &Set) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {LABEL: set.name}},
        "mode": "Enforce",
        "deletionPolicy": "Retain",
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": 5}}]},
    })
}

#[tokio::test]
async fn argo_cd_syncs_what_is_shipped_and_then_baselines_heals_them_and_prunes_one_which_weakens_nothing() {
    let plane = ControlPlane::start().await.unwrap();
    let (argo, set) = (Argo::start(&plane).await, Set::new(&plane, "synced").await);
    argo.project(&json!({})).await;
    let namespace = set.namespace(&plane, "a").await;
    let operator = ("install.yaml", shipped());
    let other = format!("{}-other", set.name);
    let others = ("other.yaml", later(&other, &nobody()));
    argo.commit(&[
        operator.clone(),
        ("baseline.yaml", later(&set.name, &spec(&set))),
        others.clone(),
    ]);
    argo.application("all", &json!({})).await;

    // The kinds, then what is of them; and as nobody has looked at the baselines, they are under way.
    argo.until("all", "waits for the baselines", |a| {
        a["status"]["health"]["status"] == "Progressing" && a["status"]["operationState"]["phase"] == "Running"
    })
    .await;
    let manifests = std::fs::read_to_string(install_yaml()).unwrap();
    let _stage = Stage::of(&plane, Path::new(BINARY), &manifests, |_| {}).await.unwrap();
    argo.until_synced("all").await;
    set.until_enforced(1).await;

    // What is changed by hand, Argo CD changes back; what drifts in the namespace, the operator does.
    let recorder = Recorder::start(&plane).await.unwrap();
    let change = json!({"spec": {"deletionPolicy": "Delete"}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, change)
        .await
        .unwrap();
    set.baseline_until(&set.name, "is as in Git again", |b| {
        b["spec"]["deletionPolicy"] == "Retain"
    })
    .await;
    set.until_enforced(1).await;
    // Where Git says nothing of a field, Argo CD leaves it: so a suspension holds.
    merge(
        &set.admin,
        "SecurityBaseline",
        None,
        &set.name,
        json!({"spec": {"suspend": true}}),
    )
    .await
    .unwrap();
    argo.until("all", "shows the suspension", |a| {
        a["status"]["health"]["status"] == "Suspended"
    })
    .await;
    argo.refresh("all").await;
    let live = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert_eq!(
        (&live["spec"]["suspend"], &condition(&live, "Stalled")["reason"]),
        (&json!(true), &json!("Suspended"))
    );
    merge(
        &set.admin,
        "SecurityBaseline",
        None,
        &set.name,
        json!({"spec": {"suspend": false}}),
    )
    .await
    .unwrap();
    argo.until_synced("all").await;

    // At rest, neither writes.
    let before = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    let mark = plane.audit().mark().unwrap();
    for _ in 0..3 {
        argo.refresh("all").await;
    }
    assert_eq!(
        get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap(),
        before
    );
    let written = plane.audit().writes_since(mark).unwrap();
    assert!(written.is_empty(), "{written:?}");

    // Pruned: the baseline goes, and what it enforced stays as it is.
    let held = get(&set.admin, "NetworkPolicy", Some(&namespace), POLICY)
        .await
        .unwrap();
    argo.commit(&[operator, others]);
    argo.refresh("all").await;
    soon("the baseline is pruned", async || {
        let live = get(&set.admin, "SecurityBaseline", None, &set.name).await;
        anyhow::ensure!(live.is_none(), "it is there");
        Ok(())
    })
    .await;
    argo.until_synced("all").await;
    set.report_until(&namespace, "is nobody's", |r| {
        condition(r, "Ready")["reason"] == "NotSelected"
    })
    .await;
    assert_eq!(
        get(&set.admin, "NetworkPolicy", Some(&namespace), POLICY)
            .await
            .unwrap(),
        held
    );
    let until = recorder.version().await.unwrap();
    recorder
        .assert_never_weaker(
            &Declared::least(&[spec(&set)]),
            std::slice::from_ref(&namespace),
            until,
            &[],
        )
        .await;
    // All of the operator goes from Git: the kinds stay, and with them what is of them.
    argo.commit(&[("other.yaml", in_git(&other, &nobody()))]);
    argo.refresh("all").await;
    soon("the operator is pruned", async || {
        let live = get(&set.admin, "ClusterRole", None, "security-baseline-operator").await;
        anyhow::ensure!(live.is_none(), "it is there");
        Ok(())
    })
    .await;
    let kind = get(
        &set.admin,
        "CustomResourceDefinition",
        None,
        "securitybaselines.securitybaseline.dev",
    )
    .await;
    assert_eq!(kind.unwrap()["metadata"]["deletionTimestamp"], Value::Null);
    assert!(get(&set.admin, "SecurityBaseline", None, &other).await.is_some());
}

/// Something that is to come after the baselines.
fn after(name: &str) -> (&'static str, String) {
    let metadata = json!({"name": name, "namespace": "default", "annotations": {"argocd.argoproj.io/sync-wave": "2"}});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    ("after.yaml", object.to_string())
}

#[tokio::test]
async fn the_wave_after_a_baseline_waits_while_it_is_suspended_and_where_syncs_are_retried_until_it_is_confirmed() {
    let (plane, _stage) = own_as_shipped().await;
    let (argo, set) = (Argo::start(&plane).await, Set::new(&plane, "waves").await);
    argo.project(&json!({})).await;
    let namespaces = set.namespaces(&plane, 12).await;
    set.aged(&namespaces).await;
    let quota = |mode: &str, suspend: bool| {
        let mut spec = spec(&set);
        spec["mode"] = json!(mode);
        if suspend {
            spec["suspend"] = json!(true);
        }
        spec
    };
    let there = async |name: &str| get(&set.admin, "ConfigMap", Some("default"), name).await.is_some();
    let phase = |a: &Value| a["status"]["operationState"]["phase"].clone();

    // Suspended by hand, of which Git says nothing.
    set.baseline(quota("Audit", true)).await;
    argo.commit(&[
        ("baseline.yaml", later(&set.name, &quota("Audit", false))),
        after("one"),
    ]);
    let retried = json!({"syncPolicy": {"retry": {"limit": -1, "backoff": {"duration": "1s", "factor": 1}}}});
    argo.application("all", &retried).await;
    argo.until("all", "waits for the suspended baseline", |a| {
        a["status"]["health"]["status"] == "Suspended" && phase(a) == "Running"
    })
    .await;
    assert!(!there("one").await);
    let resume = json!({"spec": {"suspend": false}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, resume)
        .await
        .unwrap();
    argo.until_synced("all").await;
    assert!(there("one").await);

    // What newly enforces much waits for a person, and what comes after it does too.
    argo.commit(&[
        ("baseline.yaml", later(&set.name, &quota("Enforce", false))),
        after("two"),
    ]);
    argo.refresh("all").await;
    let waits = set
        .baseline_until(&set.name, "waits for a confirmation", |b| {
            condition(b, "Stalled")["reason"] == "AwaitingConfirmation"
        })
        .await;
    argo.until("all", "is degraded", |a| {
        a["status"]["health"]["status"] == "Degraded" && a["status"]["operationState"]["retryCount"].as_u64() > Some(0)
    })
    .await;
    assert!(!there("two").await);
    let message = condition(&waits, "Stalled")["message"].as_str().unwrap();
    let (_, command) = message.split_once("To go on: ").unwrap();
    crate::stage::shell(&plane, command).await;
    set.until_enforced(12).await;
    argo.until_synced("all").await;
    assert!(there("two").await);
}
