//! What stays and what goes when a namespace is let go, a baseline is deleted, or all of it is.

mod absent;
mod anew;
mod uninstall;

use std::time::Duration;

use serde_json::{Value, json};

use crate::oracles::{children, converged, quiet, safe, settled};
use crate::stage::{LABEL, SOON, Set, api, condition, create, delete, everything, get, grant, merge, shared};
use crate::support::{eventually, watch_gone};

const MOMENT: Duration = Duration::from_secs(1);
const POLICY: &str = "security-baseline-default-deny-ingress";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// Everything, under a deletionPolicy.
fn under(policy: &str) -> Value {
    let mut spec = everything();
    spec["deletionPolicy"] = json!(policy);
    spec
}

async fn relabel(set: &Set, namespace: &str, value: Option<&str>) {
    let label = json!({"metadata": {"labels": {LABEL: value}}});
    merge(&set.admin, "Namespace", None, namespace, label).await.unwrap();
}

async fn deleted(set: &Set, name: &str) {
    watch_gone(&api(&set.admin, "SecurityBaseline", None), name, SOON)
        .await
        .unwrap();
}

/// The names of what stands under reserved names in a namespace.
async fn left(set: &Set, namespace: &String) -> Vec<String> {
    let found = children(&set.admin, std::slice::from_ref(namespace)).await.unwrap();
    found
        .into_keys()
        .map(|(_, kind, name)| format!("{kind}/{name}"))
        .collect()
}

/// The namespace's labels of Pod Security.
async fn labels(set: &Set, namespace: &str) -> Value {
    let live = get(&set.admin, "Namespace", None, namespace).await.unwrap();
    let mut labels = live["metadata"]["labels"].clone();
    let of_pods = |key: &String| key.starts_with("pod-security.kubernetes.io/");
    labels.as_object_mut().unwrap().retain(|key, _| of_pods(key));
    labels
}

#[tokio::test]
async fn under_delete_a_released_namespace_loses_exactly_what_was_created_and_another_one_nothing() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(plane, "released").await;
    let (goes, stays) = (set.namespace(plane, "goes").await, set.namespace(plane, "stays").await);
    set.baseline(under("Delete")).await;
    converged(&set, &under("Delete"), &[goes.clone(), stays.clone()]).await;
    // Somebody else's: by name, by mark, under a reserved name, and a label that was made stricter.
    let ours = get(&set.admin, "ResourceQuota", Some(&goes), "security-baseline-compute")
        .await
        .unwrap();
    let mut forged = json!({"metadata": {"name": "compute"}, "spec": {"hard": {"services": "9"}}});
    forged["metadata"]["labels"] = ours["metadata"]["labels"].clone();
    let other = json!({"metadata": {"name": "security-baseline-other"}, "spec": {"hard": {"services": "9"}}});
    for object in [forged, other] {
        create(&set.admin, "ResourceQuota", Some(&goes), object).await.unwrap();
    }
    let mut weaker = under("Delete");
    weaker["podSecurity"]["enforce"]["level"] = json!("baseline");
    set.baseline(weaker.clone()).await;
    set.until_enforced(2).await;
    let stricter = json!({"metadata": {"labels": {ENFORCE: "restricted"}}});
    merge(&set.admin, "Namespace", None, &goes, stricter).await.unwrap();

    relabel(&set, &goes, None).await;
    let report = set
        .report_until(&goes, "is deselected", |r| {
            r["status"]["baselines"][0]["deselected"] == true
        })
        .await;
    assert_eq!(condition(&report, "Ready")["status"], "True");
    let mut released = weaker.clone();
    released["releasedNamespaces"] = json!([goes]);
    set.baseline(released.clone()).await;
    let report = set
        .report_until(&goes, "has nothing on record", |r| {
            condition(r, "Ready")["reason"] == "NotSelected"
                && r["status"].get("inventory").is_none()
                && r["status"].get("namespaceLabels").is_none()
        })
        .await;
    assert!(report["status"].get("baselines").is_none(), "{report}");
    assert_eq!(left(&set, &goes).await, ["ResourceQuota/security-baseline-other"]);
    assert!(get(&set.admin, "ResourceQuota", Some(&goes), "compute").await.is_some());
    assert_eq!(
        labels(&set, &goes).await,
        json!({ENFORCE: "restricted"}),
        "it is theirs"
    );
    let namespace = get(&set.admin, "Namespace", None, &goes).await.unwrap();
    assert_eq!(namespace["metadata"].get("deletionTimestamp"), None);
    converged(&set, &released, std::slice::from_ref(&stays)).await;
    quiet(plane, &set, &[goes, stays], MOMENT).await;
    safe(plane, mark);
}

#[tokio::test]
async fn a_deleted_baseline_under_delete_takes_everything_along_but_what_another_one_asks_for() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(plane, "along").await;
    let namespace = set.namespace(plane, "a").await;
    let other = format!("{}-other", set.name);
    let quotas = json!({"mode": "Enforce", "resourceQuotas": everything()["resourceQuotas"]});
    set.baseline(under("Delete")).await;
    set.until_enforced(1).await;
    let finalized = set
        .baseline_until(&set.name, "has its finalizer", |b| {
            b["metadata"]["finalizers"].is_array()
        })
        .await;
    assert_eq!(
        finalized["metadata"]["finalizers"],
        json!(["securitybaseline.dev/cleanup"])
    );
    set.baseline_named(&other, quotas).await.unwrap();
    set.until_named(&other, "Ready", "True").await;
    // Retain carries none.
    let plain = get(&set.admin, "SecurityBaseline", None, &other).await.unwrap();
    assert_eq!(plain["metadata"].get("finalizers"), None);

    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    deleted(&set, &set.name).await;
    assert_eq!(
        left(&set, &namespace).await,
        ["ResourceQuota/security-baseline-compute"]
    );
    assert_eq!(labels(&set, &namespace).await, json!({}));
    let report = set
        .report_until(&namespace, "is held by the other one alone", |r| {
            r["status"]["baselines"].as_array().is_some_and(|b| b.len() == 1)
                && condition(r, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(report["status"]["inventory"].as_array().unwrap().len(), 1);
    assert_eq!(report["status"]["drift"]["total"], 0);
    // What is left is held.
    delete(
        &set.admin,
        "ResourceQuota",
        Some(&namespace),
        "security-baseline-compute",
    )
    .await;
    set.present("ResourceQuota", &namespace, "security-baseline-compute")
        .await;
    safe(plane, mark);
}

#[tokio::test]
async fn a_deletion_ends_although_another_baseline_audits_the_same_names() {
    let (plane, _) = shared().await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(plane, "audits").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = |mode: &str, pods: u32, level: &str| {
        json!({
            "mode": mode,
            "deletionPolicy": "Delete",
            "podSecurity": {"enforce": {"level": level}},
            "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": pods}}]},
        })
    };
    set.baseline(spec("Enforce", 5, "baseline")).await;
    set.until_enforced(1).await;
    let audits = format!("{}-audits", set.name);
    set.baseline_named(&audits, spec("Audit", 3, "restricted"))
        .await
        .unwrap();
    set.report_until(&namespace, "is audited by both", |r| {
        r["status"]["baselines"].as_array().is_some_and(|b| b.len() == 2)
    })
    .await;
    set.baseline_until(&set.name, "has its finalizer", |b| {
        b["metadata"]["finalizers"].is_array()
    })
    .await;
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    deleted(&set, &set.name).await;
    assert_eq!(left(&set, &namespace).await, [""; 0]);
    assert_eq!(labels(&set, &namespace).await, json!({}));
    set.report_until(&namespace, "tells what the other one misses", |r| {
        r["status"]["baselines"].as_array().is_some_and(|b| b.len() == 1) && r["status"]["inventory"].is_null()
    })
    .await;
    safe(plane, mark);
}

#[tokio::test]
async fn a_cleanup_that_a_foreign_finalizer_keeps_says_so_and_retain_lets_the_baseline_go() {
    let (plane, _) = shared().await;
    let mark = plane.audit().mark().unwrap();
    let spec = |policy: &str| json!({"mode": "Enforce", "deletionPolicy": policy, "networkIsolation": {"defaultDeny": ["Ingress"]}, "podSecurity": {"warn": {"level": "baseline"}}});
    for way_out in ["the finalizer goes", "Retain"] {
        let set = Set::new(plane, "stuck").await;
        let namespace = set.namespace(plane, "a").await;
        set.baseline(spec("Delete")).await;
        set.until_enforced(1).await;
        set.baseline_until(&set.name, "has its finalizer", |b| {
            b["metadata"]["finalizers"].is_array()
        })
        .await;
        let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
        merge(&set.admin, "NetworkPolicy", Some(&namespace), POLICY, hold)
            .await
            .unwrap();
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
        let stuck = set
            .baseline_until(&set.name, "says what keeps it", |b| {
                condition(b, "Stalled")["reason"] == "CleanupBlocked"
            })
            .await;
        let message = condition(&stuck, "Stalled")["message"].as_str().unwrap();
        for told in [&namespace, POLICY, "example.com/hold", "Retain"] {
            assert!(message.contains(told), "{told}: {message}");
        }
        set.labels_until(&namespace, "are gone all the same", |l| {
            l["pod-security.kubernetes.io/warn"].is_null()
        })
        .await;
        let release = json!({"metadata": {"finalizers": null}});
        if way_out == "Retain" {
            let retain = json!({"spec": {"deletionPolicy": "Retain"}});
            merge(&set.admin, "SecurityBaseline", None, &set.name, retain)
                .await
                .unwrap();
            deleted(&set, &set.name).await;
            // It did not come back on its way out.
            settled(plane, &set).await;
            assert_eq!(labels(&set, &namespace).await, json!({}));
            assert_eq!(left(&set, &namespace).await, [format!("NetworkPolicy/{POLICY}")]);
            merge(&set.admin, "NetworkPolicy", Some(&namespace), POLICY, release)
                .await
                .unwrap();
        } else {
            merge(&set.admin, "NetworkPolicy", Some(&namespace), POLICY, release)
                .await
                .unwrap();
            deleted(&set, &set.name).await;
        }
        set.gone("NetworkPolicy", &namespace, POLICY).await;
    }
    safe(plane, mark);
}

#[tokio::test]
async fn a_baseline_that_left_does_not_come_back_while_somebody_elses_finalizer_keeps_it() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "kept").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"mode": "Enforce", "deletionPolicy": "Delete", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec).await;
    set.until_enforced(1).await;
    let both = json!({"metadata": {"finalizers": ["example.com/hold", "securitybaseline.dev/cleanup"]}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, both)
        .await
        .unwrap();
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    set.baseline_until(&set.name, "has only the foreign finalizer", |b| {
        b["metadata"]["finalizers"] == json!(["example.com/hold"])
    })
    .await;
    settled(plane, &set).await;
    assert_eq!(left(&set, &namespace).await, [""; 0]);
    let release = json!({"metadata": {"finalizers": null}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, release)
        .await
        .unwrap();
    deleted(&set, &set.name).await;
}

#[tokio::test]
async fn a_cleanup_goes_on_although_somebody_deletes_the_report() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "unreported").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"mode": "Enforce", "deletionPolicy": "Delete", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec).await;
    set.until_enforced(1).await;
    set.baseline_until(&set.name, "has its finalizer", |b| {
        b["metadata"]["finalizers"].is_array()
    })
    .await;
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    merge(&set.admin, "NetworkPolicy", Some(&namespace), POLICY, hold)
        .await
        .unwrap();
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    set.baseline_until(&set.name, "is stuck", |b| {
        condition(b, "Stalled")["reason"] == "CleanupBlocked"
    })
    .await;
    delete(&set.admin, "BaselineReport", Some(&namespace), "baseline").await;
    let release = json!({"metadata": {"finalizers": null}});
    merge(&set.admin, "NetworkPolicy", Some(&namespace), POLICY, release)
        .await
        .unwrap();
    deleted(&set, &set.name).await;
    assert_eq!(left(&set, &namespace).await, [""; 0]);
}

#[tokio::test]
async fn a_namespace_that_was_released_and_comes_back_is_like_one_that_was_never_there() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(plane, "back").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(everything()).await;
    set.until_enforced(1).await;
    relabel(&set, &namespace, None).await;
    let mut released = everything();
    released["releasedNamespaces"] = json!([namespace]);
    set.baseline(released).await;
    let report = set
        .report_until(&namespace, "is nobody's", |r| {
            condition(r, "Ready")["reason"] == "NotSelected"
        })
        .await;
    let inventory = report["status"]["inventory"].as_array().unwrap();
    assert_eq!(inventory.len(), 7);
    assert!(inventory.iter().all(|entry| entry["orphaned"] == true), "{report}");
    // Its people do as they like with it.
    delete(&set.admin, "NetworkPolicy", Some(&namespace), POLICY).await;
    let more = json!({"spec": {"hard": {"pods": "500"}}});
    merge(
        &set.admin,
        "ResourceQuota",
        Some(&namespace),
        "security-baseline-compute",
        more,
    )
    .await
    .unwrap();
    settled(plane, &set).await;
    assert!(
        get(&set.admin, "NetworkPolicy", Some(&namespace), POLICY)
            .await
            .is_none()
    );
    // What was left in place once is not taken along later.
    set.baseline(under("Delete")).await;
    set.baseline_until(&set.name, "has its finalizer", |b| {
        b["metadata"]["finalizers"].is_array()
    })
    .await;
    settled(plane, &set).await;
    assert_eq!(left(&set, &namespace).await.len(), 6);

    relabel(&set, &namespace, Some(&set.name)).await;
    converged(&set, &under("Delete"), std::slice::from_ref(&namespace)).await;
    let report = set
        .report_until(&namespace, "is held", |r| condition(r, "Ready")["status"] == "True")
        .await;
    assert_eq!(report["status"]["drift"]["total"], 0, "nobody did wrong: {report}");
    let inventory = report["status"]["inventory"].as_array().unwrap();
    assert!(
        inventory.iter().all(|entry| entry.get("orphaned").is_none()),
        "{report}"
    );
    quiet(plane, &set, &[namespace], MOMENT).await;
    safe(plane, mark);
}

#[tokio::test]
async fn a_renamed_item_comes_under_its_new_name_and_goes_under_the_old_one() {
    let (plane, _) = shared().await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(plane, "renamed").await;
    let namespace = set.namespace(plane, "a").await;
    let spec =
        |name: &str| json!({"mode": "Enforce", "resourceQuotas": {"items": [{"name": name, "hard": {"pods": 5}}]}});
    set.baseline(spec("old")).await;
    set.until_enforced(1).await;
    set.baseline(spec("new")).await;
    converged(&set, &spec("new"), std::slice::from_ref(&namespace)).await;
    eventually("the old one is gone", SOON, async || {
        let left = left(&set, &namespace).await;
        anyhow::ensure!(left == ["ResourceQuota/security-baseline-new"], "{left:?}");
        Ok(())
    })
    .await
    .unwrap();
    safe(plane, mark);
}
