//! How namespaces come under a baseline, and leave it.

use serde_json::{Value, json};

use crate::oracles::{ends_quietly, ends_well};
use crate::stage::{LABEL, Set, api, condition, create, delete, get, merge, own, shared, writes_in};
use crate::support::{eventually, unique, watch_gone};

fn spec() -> Value {
    json!({
        "mode": "Enforce",
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "podSecurity": {"enforce": {"level": "baseline"}},
    })
}

const POLICY: &str = "security-baseline-default-deny-ingress";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

#[tokio::test]
async fn a_new_namespace_and_a_newly_labelled_one_come_under_the_baseline_at_once() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "joins").await;
    set.baseline(spec()).await;
    let empty = set.until("Ready", "True").await;
    assert_eq!(condition(&empty, "Ready")["reason"], "NothingSelected");

    let born = set.namespace(plane, "born").await;
    set.present("NetworkPolicy", &born, POLICY).await;
    set.until_enforced(1).await;

    let joined = format!("{}-joined", set.name);
    plane.namespace(&joined, &[]).await.unwrap();
    let label = json!({"metadata": {"labels": {LABEL: set.name}}});
    merge(&set.admin, "Namespace", None, &joined, label).await.unwrap();
    set.present("NetworkPolicy", &joined, POLICY).await;
    set.labels_until(&joined, "has our label", |l| l[ENFORCE] == "baseline")
        .await;
    set.until_enforced(2).await;
    ends_well(plane, &set, &spec(), &[born, joined]).await;
}

#[tokio::test]
async fn a_namespace_that_is_relabelled_away_is_held_until_it_is_released() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "leaves").await;
    let (stays, leaves) = (
        set.namespace(plane, "stays").await,
        set.namespace(plane, "leaves").await,
    );
    set.baseline(spec()).await;
    set.until_enforced(2).await;
    let before = set.present("NetworkPolicy", &leaves, POLICY).await;

    let label = json!({"metadata": {"labels": {LABEL: null}}});
    merge(&set.admin, "Namespace", None, &leaves, label).await.unwrap();
    let report = set
        .report_until(&leaves, "says that it lost the label", |r| {
            r["status"]["baselines"][0]["deselected"] == true
        })
        .await;
    assert_eq!(
        condition(&report, "Ready")["status"],
        "True",
        "and is held all the same"
    );
    set.baseline_until(&set.name, "counts it", |b| b["status"]["namespaces"]["deselected"] == 1)
        .await;
    delete(&set.admin, "NetworkPolicy", Some(&leaves), POLICY).await;
    set.object_until("NetworkPolicy", &leaves, POLICY, "is back", |p| {
        p["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;
    set.until_enforced(2).await;

    // An administrator lets it go: what was created stays, and nobody holds it.
    let mut released = spec();
    released["releasedNamespaces"] = json!([leaves]);
    set.baseline(released.clone()).await;
    let report = set
        .report_until(&leaves, "says that nobody holds it", |r| {
            condition(r, "Ready")["reason"] == "NotSelected"
        })
        .await;
    let inventory = report["status"]["inventory"].as_array().unwrap();
    assert!(inventory.iter().all(|entry| entry["orphaned"] == true), "{report}");
    let mark = plane.audit().mark().unwrap();
    delete(&set.admin, "NetworkPolicy", Some(&leaves), POLICY).await;
    set.fence(&stays, released.clone()).await;
    let written = writes_in(plane, mark, &leaves);
    assert!(written.is_empty(), "{written:?}");
    let labels = get(&set.admin, "Namespace", None, &leaves).await.unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels[ENFORCE], "baseline");
    // And back: to be released does nothing while the labels match.
    let label = json!({"metadata": {"labels": {LABEL: set.name}}});
    merge(&set.admin, "Namespace", None, &leaves, label).await.unwrap();
    set.present("NetworkPolicy", &leaves, POLICY).await;
    set.until_enforced(2).await;
    ends_well(plane, &set, &released, &[stays, leaves]).await;
}

#[tokio::test]
async fn a_namespace_that_moves_to_another_baseline_keeps_what_the_first_one_wrote() {
    let (plane, _) = shared().await;
    let (set, other) = (Set::new(plane, "moves").await, Set::new(plane, "moves-to").await);
    let namespace = set.namespace(plane, "a").await;
    set.baseline(spec()).await;
    set.until_enforced(1).await;
    let quota = json!({"mode": "Enforce", "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": 5}}]}});
    other.baseline(quota.clone()).await;

    let label = json!({"metadata": {"labels": {LABEL: other.name}}});
    merge(&set.admin, "Namespace", None, &namespace, label).await.unwrap();
    set.present("ResourceQuota", &namespace, "security-baseline-pods").await;
    other.until_enforced(1).await;
    // The other one's own labels come and go, and take nothing along.
    let mut warns = quota.clone();
    warns["podSecurity"] = json!({"warn": {"level": "restricted"}});
    other.baseline(warns).await;
    let warn = "pod-security.kubernetes.io/warn";
    set.labels_until(&namespace, "warns", |l| l[warn] == "restricted").await;
    other.until_enforced(1).await;
    other.baseline(quota).await;
    let labels = set
        .labels_until(&namespace, "warns no more", |l| l[warn].is_null())
        .await;
    assert_eq!(labels[ENFORCE], "baseline", "{labels}");
    assert_eq!(
        labels["pod-security.kubernetes.io/enforce-version"], "latest",
        "{labels}"
    );
    set.present("NetworkPolicy", &namespace, POLICY).await;
    ends_quietly(plane, &set, &[namespace]).await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_and_made_again_gets_everything_again() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "again").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(spec()).await;
    set.until_enforced(1).await;
    let before = set.present("NetworkPolicy", &namespace, POLICY).await;

    delete(&set.admin, "Namespace", None, &namespace).await;
    watch_gone(&api(&set.admin, "Namespace", None), &namespace, crate::stage::SOON)
        .await
        .unwrap();
    set.until_enforced(0).await;
    plane.namespace(&namespace, &[(LABEL, &set.name)]).await.unwrap();
    let after = set.present("NetworkPolicy", &namespace, POLICY).await;
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
    set.until_enforced(1).await;
    let report = set
        .report_until(&namespace, "records the new object", |r| {
            r["status"]["inventory"][0]["uid"] == after["metadata"]["uid"]
        })
        .await;
    assert_eq!(
        report["status"]["drift"]["total"], 0,
        "a new namespace has not drifted: {report}"
    );
    ends_well(plane, &set, &spec(), &[namespace]).await;
}

#[tokio::test]
async fn a_namespace_that_is_terminating_is_skipped_without_noise() {
    let (plane, stage) = own().await;
    let set = Set::new(&plane, "ends").await;
    let (stays, ends) = (
        set.namespace(&plane, "stays").await,
        set.namespace(&plane, "ends").await,
    );
    set.baseline(spec()).await;
    set.until_enforced(2).await;
    let service = json!({
        "metadata": {"name": "held", "finalizers": ["test.example.com/hold"]},
        "spec": {"ports": [{"port": 80}]},
    });
    create(&set.admin, "Service", Some(&ends), service).await.unwrap();
    delete(&set.admin, "Namespace", None, &ends).await;
    set.gone("NetworkPolicy", &ends, POLICY).await;
    // It counts no more, and the rest goes on; a change of the baseline does not wake it either.
    set.until_enforced(1).await;
    let mark = plane.audit().mark().unwrap();
    let mut changed = spec();
    changed["networkIsolation"]["allowSameNamespace"] = json!(true);
    set.baseline(changed.clone()).await;
    set.until_enforced(1).await;
    set.fence(&stays, changed.clone()).await;
    let written = writes_in(&plane, mark, &ends);
    assert!(written.is_empty(), "{written:?}");
    let metrics = stage.operator.metrics().await.unwrap();
    for outcome in ["refused", "failed"] {
        assert!(!metrics.contains(&format!("outcome=\"{outcome}\"")), "{metrics}");
    }
    assert!(
        metrics.contains("security_baseline_status_failures_total 0"),
        "{metrics}"
    );
    // A watch may break while the API server still takes up our kinds; that is no noise about the namespace.
    let log = stage.operator.log().unwrap();
    let noise = log.lines().filter(|line| !line.contains("the watch broke"));
    let noise: Vec<_> = noise
        .filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\""))
        .collect();
    assert!(noise.is_empty(), "{noise:?}");

    merge(
        &set.admin,
        "Service",
        Some(&ends),
        "held",
        json!({"metadata": {"finalizers": null}}),
    )
    .await
    .unwrap();
    watch_gone(&api(&set.admin, "Namespace", None), &ends, crate::stage::SOON)
        .await
        .unwrap();
    ends_well(&plane, &set, &changed, &[stays]).await;
}

#[tokio::test]
async fn an_empty_selector_means_every_namespace_that_is_not_excluded() {
    let (plane, stage) = own().await;
    let set = Set::new(&plane, "all").await;
    let (plain, sandbox) = (unique("plain"), unique("sandbox"));
    for name in [&plain, &sandbox] {
        plane.namespace(name, &[]).await.unwrap();
    }
    let spec = json!({
        "namespaceSelector": {},
        "excludedNamespaces": ["sandbox-*"],
        "mode": "Enforce",
        "networkIsolation": {"defaultDeny": ["Ingress"]},
    });
    set.baseline(spec.clone()).await;
    set.until_enforced(2).await;
    let with_policy = async || {
        let policies = api(&set.admin, "NetworkPolicy", None).list(&Default::default()).await?;
        let mut names: Vec<_> = policies
            .items
            .into_iter()
            .filter_map(|p| p.metadata.namespace)
            .collect();
        names.sort();
        anyhow::ensure!(names == ["default", plain.as_str()], "{names:?}");
        Ok(())
    };
    eventually("default and the plain one", crate::stage::SOON, with_policy)
        .await
        .unwrap();
    let late = unique("late");
    plane.namespace(&late, &[]).await.unwrap();
    set.present("NetworkPolicy", &late, POLICY).await;
    set.until_enforced(3).await;
    drop(stage);
    ends_well(&plane, &set, &spec, &[plain, late, "default".to_owned()]).await;
}
