//! What leaves a spec leaves the cluster; nothing else does.

mod readded;

use serde_json::{Value, json};

use crate::oracles::{ends_quietly, ends_well};
use crate::stage::{Set, control, create, delete, get, grant, merge, own, shared, writes_in};

/// Two items of each section, so that one can go.
fn full() -> Value {
    let role = |name: &str| json!({"name": name, "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]});
    let binding = |name: &str| json!({"name": name, "role": name, "subjects": [{"kind": "Group", "name": name}]});
    let limit = |name: &str| json!({"name": name, "limits": [{"type": "Pod", "max": {"cpu": 4}}]});
    let quota = |name: &str| json!({"name": name, "hard": {"pods": 5}});
    let own = |name: &str| json!({"name": name, "podSelector": {"matchLabels": {"app": name}}, "ingress": [{"ports": [{"port": 80}]}]});
    json!({
        "mode": "Enforce",
        "networkIsolation": {"defaultDeny": ["Ingress"], "allow": [own("keep"), own("drop")]},
        "resourceQuotas": {"items": [quota("keep"), quota("drop")]},
        "limitRanges": {"items": [limit("keep"), limit("drop")]},
        "podSecurity": {"enforce": {"level": "baseline"}, "warn": {"level": "restricted"}},
        "access": {"roles": [role("keep"), role("drop")], "bindings": [binding("keep"), binding("drop")]},
    })
}

/// The same without the second items.
fn less() -> Value {
    let mut spec = full();
    for list in [
        "/networkIsolation/allow",
        "/resourceQuotas/items",
        "/limitRanges/items",
        "/access/roles",
        "/access/bindings",
    ] {
        spec.pointer_mut(list).and_then(Value::as_array_mut).unwrap().pop();
    }
    spec
}

/// What stands for an item's name, by kind.
const CHILDREN: [(&str, &str); 5] = [
    ("NetworkPolicy", "security-baseline-allow-"),
    ("ResourceQuota", "security-baseline-"),
    ("LimitRange", "security-baseline-"),
    ("Role", "security-baseline-"),
    ("RoleBinding", "security-baseline-"),
];

#[tokio::test]
async fn an_item_that_leaves_the_spec_leaves_the_cluster_and_its_neighbours_stay() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "items").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(full()).await;
    set.until_enforced(1).await;
    for (kind, prefix) in CHILDREN {
        set.present(kind, &namespace, &format!("{prefix}drop")).await;
    }
    let mark = plane.audit().mark().unwrap();
    set.baseline(less()).await;
    for (kind, prefix) in CHILDREN {
        set.gone(kind, &namespace, &format!("{prefix}drop")).await;
        set.present(kind, &namespace, &format!("{prefix}keep")).await;
    }
    set.until_enforced(1).await;
    let deletions: Vec<_> = writes_in(plane, mark, &namespace);
    assert_eq!(deletions.len(), CHILDREN.len(), "{deletions:?}");
    for deletion in deletions {
        let preconditions = &deletion.body.as_ref().unwrap()["preconditions"];
        assert!(
            preconditions["uid"].is_string() && preconditions["resourceVersion"].is_string(),
            "{deletion:?}"
        );
    }
    set.report_until(&namespace, "forgets them", |r| {
        let inventory = r["status"]["inventory"].as_array().unwrap();
        !inventory.iter().any(|i| i["name"].as_str().unwrap().ends_with("drop"))
    })
    .await;
    ends_well(plane, &set, &less(), &[namespace]).await;
}

#[tokio::test]
async fn a_section_that_leaves_the_spec_leaves_the_cluster_and_takes_only_our_labels_along() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "sections").await;
    let namespace = set.namespace(plane, "a").await;
    let theirs = json!({"metadata": {"labels": {"team": "a", "pod-security.kubernetes.io/audit": "baseline"}}});
    merge(&set.admin, "Namespace", None, &namespace, theirs).await.unwrap();
    set.baseline(full()).await;
    set.until_enforced(1).await;
    set.labels_until(&namespace, "has ours", |l| {
        l["pod-security.kubernetes.io/warn"] == "restricted"
    })
    .await;

    let mut spec = full();
    spec["podSecurity"] = json!({"enforce": {"level": "baseline"}});
    set.baseline(spec.clone()).await;
    let labels = set
        .labels_until(&namespace, "without warn", |l| {
            l["pod-security.kubernetes.io/warn"].is_null()
        })
        .await;
    assert!(labels["pod-security.kubernetes.io/warn-version"].is_null(), "{labels}");
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");

    set.baseline(json!({"mode": "Enforce"})).await;
    for (kind, prefix) in CHILDREN {
        set.gone(kind, &namespace, &format!("{prefix}keep")).await;
    }
    set.gone("NetworkPolicy", &namespace, "security-baseline-default-deny-ingress")
        .await;
    let labels = set
        .labels_until(&namespace, "without ours", |l| {
            l["pod-security.kubernetes.io/enforce"].is_null()
        })
        .await;
    assert!(
        labels["pod-security.kubernetes.io/enforce-version"].is_null(),
        "{labels}"
    );
    assert_eq!(labels["team"], "a");
    assert_eq!(labels["pod-security.kubernetes.io/audit"], "baseline");
    set.until_enforced(1).await;
    ends_quietly(plane, &set, &[namespace]).await;
}

#[tokio::test]
async fn in_audit_what_is_no_longer_declared_is_told_and_stays() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "told").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(full()).await;
    set.until_enforced(1).await;
    let mark = plane.audit().mark().unwrap();
    let mut spec = less();
    spec["mode"] = json!("Audit");
    spec.as_object_mut().unwrap().remove("podSecurity");
    set.baseline(spec.clone()).await;
    let report = set
        .report_until(&namespace, "tells all that is left over", |r| {
            [
                "networkIsolation",
                "resourceQuotas",
                "limitRanges",
                "access",
                "podSecurity",
            ]
            .iter()
            .all(|section| control(r, section)["findings"][0]["reason"] == "Surplus")
        })
        .await;
    assert_eq!(control(&report, "access")["findings"].as_array().unwrap().len(), 2);
    set.fence(&namespace, spec).await;
    let written = writes_in(plane, mark, &namespace);
    assert!(written.is_empty(), "{written:?}");
    // Enforced again, they go.
    let mut spec = less();
    spec.as_object_mut().unwrap().remove("podSecurity");
    set.baseline(spec.clone()).await;
    for (kind, prefix) in CHILDREN {
        set.gone(kind, &namespace, &format!("{prefix}drop")).await;
    }
    set.labels_until(&namespace, "without ours", |l| {
        l["pod-security.kubernetes.io/enforce"].is_null()
    })
    .await;
    ends_well(plane, &set, &spec, &[namespace]).await;
}

fn quota(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"hard": {"pods": "5"}}})
}

#[tokio::test]
async fn only_the_very_object_on_record_is_removed() {
    let (plane, mut stage) = own().await;
    grant(&plane).await;
    let set = Set::new(&plane, "uid").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(full()).await;
    set.until_enforced(1).await;
    let name = "security-baseline-drop";
    let recorded = set.present("ResourceQuota", &namespace, name).await["metadata"]["uid"].clone();
    set.report_until(&namespace, "has it on record", |r| {
        let inventory = r["status"]["inventory"].as_array();
        inventory.is_some_and(|all| all.iter().any(|i| i["uid"] == recorded))
    })
    .await;
    // While the operator is away it leaves the spec, and somebody puts an object of their own in its place.
    stage.operator.kill().unwrap();
    delete(&set.admin, "ResourceQuota", Some(&namespace), name).await;
    let theirs = create(&set.admin, "ResourceQuota", Some(&namespace), quota(name))
        .await
        .unwrap();
    set.baseline(less()).await;
    stage.restart(&plane).await.unwrap();
    set.gone("LimitRange", &namespace, name).await;
    set.fence(&namespace, less()).await;
    set.until_enforced(1).await;
    let live = get(&set.admin, "ResourceQuota", Some(&namespace), name).await.unwrap();
    assert_eq!(live["metadata"]["uid"], theirs["metadata"]["uid"]);
    ends_quietly(&plane, &set, &[namespace]).await;
}

#[tokio::test]
async fn what_merely_looks_like_ours_is_left_alone() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "forged").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"mode": "Enforce", "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 5}}]}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let ours = set
        .present("ResourceQuota", &namespace, "security-baseline-compute")
        .await;
    // All of our marks under another name, and our prefix under a name that nothing asks for.
    let mut forged = quota("compute");
    for field in ["labels", "annotations"] {
        forged["metadata"][field] = ours["metadata"][field].clone();
    }
    let foreign = quota("security-baseline-other");
    let mut versions = Vec::new();
    for object in [forged, foreign] {
        let made = create(&set.admin, "ResourceQuota", Some(&namespace), object)
            .await
            .unwrap();
        versions.push((
            made["metadata"]["name"].as_str().unwrap().to_owned(),
            made["metadata"]["uid"].clone(),
        ));
    }
    let mark = plane.audit().mark().unwrap();
    // It keeps its own, beside them, and removes its own.
    merge(
        &set.admin,
        "ResourceQuota",
        Some(&namespace),
        "security-baseline-compute",
        json!({"spec": {"hard": {"pods": "9"}}}),
    )
    .await
    .unwrap();
    set.object_until(
        "ResourceQuota",
        &namespace,
        "security-baseline-compute",
        "is repaired",
        |q| q["spec"]["hard"]["pods"] == "5",
    )
    .await;
    set.baseline(json!({"mode": "Enforce"})).await;
    set.gone("ResourceQuota", &namespace, "security-baseline-compute").await;
    set.fence(&namespace, json!({"mode": "Enforce"})).await;
    for (name, uid) in versions {
        let live = get(&set.admin, "ResourceQuota", Some(&namespace), &name).await.unwrap();
        assert_eq!(live["metadata"]["uid"], uid);
    }
    let written = writes_in(plane, mark, &namespace);
    assert!(
        written
            .iter()
            .all(|w| w.name.as_deref() == Some("security-baseline-compute")),
        "{written:?}"
    );
    ends_quietly(plane, &set, &[namespace]).await;
}

#[tokio::test]
async fn a_grant_that_is_taken_out_grants_nothing_although_a_finalizer_keeps_it() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "kept-grant").await;
    let namespace = set.namespace(plane, "a").await;
    let binding =
        |name: &str| json!({"name": name, "clusterRole": "view", "subjects": [{"kind": "Group", "name": "guests"}]});
    set.baseline(json!({"mode": "Enforce", "access": {"bindings": [binding("kept"), binding("other")]}}))
        .await;
    set.until_enforced(1).await;
    let (kept, hold) = (
        "security-baseline-kept",
        json!({"metadata": {"finalizers": ["example.com/hold"]}}),
    );
    merge(&set.admin, "RoleBinding", Some(&namespace), kept, hold)
        .await
        .unwrap();
    let spec = json!({"mode": "Enforce", "access": {"bindings": [binding("other")]}});
    set.baseline(spec.clone()).await;
    set.object_until("RoleBinding", &namespace, kept, "grants nothing", |b| {
        b["metadata"]["deletionTimestamp"].is_string() && b["subjects"].as_array().is_none_or(Vec::is_empty)
    })
    .await;
    let release = json!({"metadata": {"finalizers": null}});
    merge(&set.admin, "RoleBinding", Some(&namespace), kept, release)
        .await
        .unwrap();
    set.gone("RoleBinding", &namespace, kept).await;
    ends_well(plane, &set, &spec, &[namespace]).await;
}
