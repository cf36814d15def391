//! What happens while the operator does not run.

use serde_json::json;

use super::{ENFORCE, POLICY, deleted, labels, left, relabel, under};
use crate::oracles::{assert_same_end, converged, end, ends_well, forget_edits, safe, settled};
use crate::stage::{Set, condition, create, delete, everything, get, grant, merge, own};

#[tokio::test]
async fn a_namespace_that_walks_out_while_the_operator_is_down_is_held_and_repaired_when_it_is_back() {
    let (plane, mut stage) = own().await;
    grant(&plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(&plane, "walks").await;
    let (namespace, released) = (set.namespace(&plane, "a").await, set.namespace(&plane, "b").await);
    set.baseline(everything()).await;
    let both = [namespace.clone(), released.clone()];
    converged(&set, &everything(), &both).await;
    settled(&plane, &set).await;
    stage.operator.kill().unwrap();
    for namespace in &both {
        relabel(&set, namespace, None).await;
        delete(&set.admin, "NetworkPolicy", Some(namespace), POLICY).await;
        let weaker = json!({"metadata": {"labels": {ENFORCE: "privileged"}}});
        merge(&set.admin, "Namespace", None, namespace, weaker).await.unwrap();
    }
    // One of them was let go by an administrator meanwhile.
    let mut spec = everything();
    spec["releasedNamespaces"] = json!([released]);
    set.baseline(spec.clone()).await;
    stage.restart(&plane).await.unwrap();
    converged(&set, &spec, std::slice::from_ref(&namespace)).await;
    let report = set
        .report_until(&namespace, "is deselected and repaired", |r| {
            r["status"]["baselines"][0]["deselected"] == true && condition(r, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(report["status"]["drift"]["repaired"], 2, "{report}");
    set.baseline_until(&set.name, "counts it", |b| b["status"]["namespaces"]["deselected"] == 1)
        .await;
    set.report_until(&released, "is nobody's", |r| {
        condition(r, "Ready")["reason"] == "NotSelected"
    })
    .await;
    assert!(
        get(&set.admin, "NetworkPolicy", Some(&released), POLICY)
            .await
            .is_none()
    );
    assert_eq!(labels(&set, &released).await[ENFORCE], "privileged");
    safe(&plane, mark);
}

#[tokio::test]
async fn a_baseline_that_is_deleted_while_the_operator_is_down_takes_along_only_the_very_objects_on_record() {
    let (plane, mut stage) = own().await;
    grant(&plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(&plane, "down").await;
    let (namespace, walked) = (set.namespace(&plane, "a").await, set.namespace(&plane, "b").await);
    let both = [namespace.clone(), walked.clone()];
    set.baseline(under("Delete")).await;
    converged(&set, &under("Delete"), &both).await;
    set.baseline_until(&set.name, "has its finalizer", |b| {
        b["metadata"]["finalizers"].is_array()
    })
    .await;
    settled(&plane, &set).await;
    stage.operator.kill().unwrap();
    let quota = "security-baseline-compute";
    delete(&set.admin, "ResourceQuota", Some(&namespace), quota).await;
    let theirs = json!({"metadata": {"name": quota}, "spec": {"hard": {"pods": "1"}}});
    create(&set.admin, "ResourceQuota", Some(&namespace), theirs)
        .await
        .unwrap();
    relabel(&set, &walked, None).await;
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    let waiting = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert!(
        waiting["metadata"]["deletionTimestamp"].is_string(),
        "it waits for the operator"
    );
    stage.restart(&plane).await.unwrap();
    deleted(&set, &set.name).await;
    assert_eq!(left(&set, &namespace).await, [format!("ResourceQuota/{quota}")]);
    assert_eq!(left(&set, &walked).await, [""; 0], "also where the label is gone");
    for namespace in &both {
        assert_eq!(labels(&set, namespace).await, json!({}));
        let live = get(&set.admin, "Namespace", None, namespace).await.unwrap();
        assert_eq!(live["metadata"].get("deletionTimestamp"), None);
    }
    safe(&plane, mark);
}

#[tokio::test]
async fn a_namespace_that_was_let_go_and_comes_back_while_the_operator_is_down_ends_as_one_that_was_never_gone() {
    let (plane, mut stage) = own().await;
    grant(&plane).await;
    let (set, other) = (Set::new(&plane, "returns").await, Set::new(&plane, "stays").await);
    let namespaces = set.namespaces(&plane, 2).await;
    let undisturbed = other.namespaces(&plane, 1).await;
    for (set, namespaces) in [(&set, &namespaces), (&other, &undisturbed)] {
        set.baseline(everything()).await;
        converged(set, &everything(), namespaces).await;
    }
    let (seen, unseen) = (&namespaces[0], &namespaces[1]);
    let releases = |names: &[&String]| {
        let mut spec = everything();
        spec["releasedNamespaces"] = json!(names);
        spec
    };
    // One is let go before the operator ends, the other one after; both are back before it is.
    relabel(&set, seen, None).await;
    set.baseline(releases(&[seen])).await;
    set.report_until(seen, "is nobody's", |r| {
        condition(r, "Ready")["reason"] == "NotSelected"
    })
    .await;
    settled(&plane, &set).await;
    stage.operator.kill().unwrap();
    relabel(&set, unseen, None).await;
    set.baseline(releases(&[seen, unseen])).await;
    // Nobody's, it is its people's to change.
    delete(&set.admin, "NetworkPolicy", Some(seen), POLICY).await;
    for namespace in &namespaces {
        relabel(&set, namespace, Some(&set.name)).await;
    }
    set.baseline(everything()).await;
    stage.restart(&plane).await.unwrap();
    ends_well(&plane, &set, &everything(), &namespaces).await;
    ends_well(&plane, &other, &everything(), &undisturbed).await;
    let fresh = forget_edits(&end(&other, &undisturbed[0]).await);
    for namespace in &namespaces {
        assert_same_end(namespace, &forget_edits(&end(&set, namespace).await), &fresh);
    }
}
