//! Pod Security labels: exactly ours, never weaker, and obeyed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::oracles::{ends_quietly, ends_well};
use crate::stage::{Set, create, get, merge, shared, writes_in};
use crate::support::ControlPlane;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";

fn level(level: &str) -> Value {
    json!({"mode": "Enforce", "podSecurity": {"enforce": {"level": level, "version": "v1.36"}}})
}

fn label(key: &str, value: &str) -> Value {
    json!({"metadata": {"labels": {key: value}}})
}

/// A set with one namespace that is held to a level.
async fn held(plane: &ControlPlane, at: &str) -> (Set, String) {
    let set = Set::new(plane, "pss").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(level(at)).await;
    set.until_enforced(1).await;
    (set, namespace)
}

#[tokio::test]
async fn the_labels_are_exactly_those_that_are_asked_for_and_are_ours() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "keys").await;
    let namespace = set.namespace(plane, "a").await;
    merge(&set.admin, "Namespace", None, &namespace, label("team", "blue"))
        .await
        .unwrap();
    let before = set.labels_until(&namespace, "are there", |l| l["team"] == "blue").await;
    let standard = json!({"level": "restricted"});
    let spec = json!({"mode": "Enforce", "podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "audit": standard, "warn": standard}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let live = get(&set.admin, "Namespace", None, &namespace).await.unwrap();
    let mut expected = before;
    for (key, value) in [
        ("enforce", "baseline"),
        ("enforce-version", "v1.36"),
        ("audit", "restricted"),
        ("audit-version", "latest"),
        ("warn", "restricted"),
        ("warn-version", "latest"),
    ] {
        expected[format!("pod-security.kubernetes.io/{key}")] = json!(value);
    }
    assert_eq!(live["metadata"]["labels"], expected);
    let managers = live["metadata"]["managedFields"].as_array().unwrap();
    let ours = managers
        .iter()
        .find(|m| m["manager"] == "security-baseline-operator")
        .unwrap();
    let owned = ours["fieldsV1"]["f:metadata"]["f:labels"].as_object().unwrap();
    let keys: BTreeSet<&str> = owned.keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert!(
        keys.iter().all(|k| k.starts_with("f:pod-security.kubernetes.io/")),
        "{keys:?}"
    );
    assert_eq!(
        ours["fieldsV1"].as_object().unwrap().len(),
        1,
        "nothing but labels: {ours}"
    );
    ends_well(plane, &set, &spec, &[namespace]).await;
}

#[tokio::test]
async fn a_tenant_may_be_stricter_but_not_weaker_and_the_version_is_always_ours() {
    let (plane, _) = shared().await;
    let (set, namespace) = held(plane, "baseline").await;
    let tenant = plane.tenant(&namespace).await.unwrap();
    let mark = plane.audit().mark().unwrap();
    let args = [
        "label",
        "--overwrite",
        "namespace",
        &namespace,
        &format!("{ENFORCE}=restricted"),
    ];
    plane.kubectl_as(&tenant.kubeconfig, &args).await.unwrap();
    let report = set.fence(&namespace, level("baseline")).await;
    assert_eq!(report["status"]["drift"]["total"], 0, "{report}");
    let written = writes_in(plane, mark, &namespace);
    assert!(written.is_empty(), "{written:?}");
    set.until_enforced(1).await;

    // `restricted` as it was in 1.0 asks for nothing.
    let args = [
        "label",
        "--overwrite",
        "namespace",
        &namespace,
        &format!("{VERSION}=v1.0"),
    ];
    plane.kubectl_as(&tenant.kubeconfig, &args).await.unwrap();
    let labels = set
        .labels_until(&namespace, "has our version", |l| l[VERSION] == "v1.36")
        .await;
    assert_eq!(labels[ENFORCE], "restricted", "the tenant's level stays: {labels}");

    for weaker in ["privileged", "baseline-ish", ""] {
        // What is no level at all the API server itself refuses; it is tried to be sure that nothing else happens.
        let changed = merge(&tenant.client, "Namespace", None, &namespace, label(ENFORCE, weaker)).await;
        let labels = set
            .labels_until(&namespace, "is as strict as asked", |l| {
                l[ENFORCE] == "baseline" || l[ENFORCE] == "restricted"
            })
            .await;
        assert_eq!(changed.is_ok(), weaker == "privileged");
        assert_eq!(labels[ENFORCE], "baseline", "{weaker:?}");
    }
    let none = json!({"metadata": {"labels": {ENFORCE: null, VERSION: null}}});
    merge(&tenant.client, "Namespace", None, &namespace, none)
        .await
        .unwrap();
    set.labels_until(&namespace, "has both again", |l| {
        l[ENFORCE] == "baseline" && l[VERSION] == "v1.36"
    })
    .await;
    ends_well(plane, &set, &level("baseline"), &[namespace]).await;
}

#[tokio::test]
async fn our_own_level_is_raised_and_lowered_as_the_baseline_says() {
    let (plane, _) = shared().await;
    let (set, namespace) = held(plane, "baseline").await;
    for next in ["restricted", "privileged", "baseline"] {
        set.baseline(level(next)).await;
        set.labels_until(&namespace, "follows", |l| l[ENFORCE] == next).await;
        let status = set.until_enforced(1).await;
        assert_eq!(status["status"]["drifted"]["total"], 0);
    }
    let report = set.report_until(&namespace, "is there", |_| true).await;
    assert_eq!(
        report["status"]["drift"]["total"], 0,
        "a changed baseline is no drift: {report}"
    );
    ends_well(plane, &set, &level("baseline"), &[namespace]).await;
}

#[tokio::test]
async fn a_level_that_was_there_before_is_raised_and_one_that_is_stricter_is_kept() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "before").await;
    let (weak, strict) = (set.namespace(plane, "weak").await, set.namespace(plane, "strict").await);
    merge(&set.admin, "Namespace", None, &weak, label(ENFORCE, "privileged"))
        .await
        .unwrap();
    merge(&set.admin, "Namespace", None, &strict, label(ENFORCE, "restricted"))
        .await
        .unwrap();
    set.baseline(level("baseline")).await;
    set.until_enforced(2).await;
    set.labels_until(&weak, "is raised", |l| l[ENFORCE] == "baseline").await;
    let labels = set
        .labels_until(&strict, "has our version", |l| l[VERSION] == "v1.36")
        .await;
    assert_eq!(labels[ENFORCE], "restricted");
    // Its own label goes back to what it was when the section leaves the spec; ours goes.
    set.baseline(json!({"mode": "Enforce"})).await;
    let labels = set
        .labels_until(&strict, "has no version", |l| l[VERSION].is_null())
        .await;
    assert_eq!(labels[ENFORCE], "restricted");
    set.labels_until(&weak, "has no level", |l| l[ENFORCE].is_null()).await;
    ends_quietly(plane, &set, &[weak, strict]).await;
}

#[tokio::test]
async fn a_pod_that_violates_the_level_is_refused_afterwards() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "pods").await;
    let namespace = set.namespace(plane, "a").await;
    let pod = |name: &str| {
        json!({"metadata": {"name": name}, "spec": {
            "hostNetwork": true,
            "automountServiceAccountToken": false,
            "containers": [{"name": "c", "image": "example.com/none"}],
        }})
    };
    // The admission that makes ServiceAccounts a must is not what is tried here.
    set.object_until("ServiceAccount", &namespace, "default", "is made", |_| true)
        .await;
    create(&set.admin, "Pod", Some(&namespace), pod("before"))
        .await
        .unwrap();
    let mut spec = level("baseline");
    spec["preflight"] = json!("Ignore");
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let refused = create(&set.admin, "Pod", Some(&namespace), pod("after"))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("violates PodSecurity \"baseline:v1.36\""), "{refused}");
    assert!(
        get(&set.admin, "Pod", Some(&namespace), "before").await.is_some(),
        "what ran goes on"
    );
    ends_well(plane, &set, &spec, &[namespace]).await;
}
