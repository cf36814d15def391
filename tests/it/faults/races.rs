//! Others who write at the same time.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::oracles::{converged, holding, quiet, requests, safe, settled};
use crate::stage::{Set, api, everything, shared};
use crate::tamper::{Intruder, Way};

const ROUNDS: usize = 50;

fn intruder(set: &Set) -> Intruder {
    Intruder {
        client: set.admin.clone(),
        manager: "kubectl-edit",
        way: Way::Update,
    }
}

/// How often the ledger says that something drifted.
async fn drifted(set: &Set, namespace: &str) -> usize {
    let report = set.report_until(namespace, "is there", |_| true).await;
    usize::try_from(report["status"]["drift"]["total"].as_u64().unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_that_rewrites_an_object_as_fast_as_it_can_does_not_win_and_costs_few_writes() {
    let (plane, _) = shared().await;
    for (kind, name, change) in [
        (
            "NetworkPolicy",
            "security-baseline-default-deny-ingress",
            json!({"spec": {"ingress": [{}]}}),
        ),
        ("Role", "security-baseline-developer", json!({"rules": []})),
        (
            "ResourceQuota",
            "security-baseline-compute",
            json!({"spec": {"hard": {"pods": "5000"}}}),
        ),
    ] {
        let (set, namespaces) = holding(plane, "race", &everything(), 1).await;
        let mark = plane.audit().mark().unwrap();
        for i in 0..ROUNDS {
            let mut change = change.clone();
            // Also while it is as the client wants it, so that each round is a new version.
            change["metadata"] = json!({"annotations": {"example.com/round": i.to_string()}});
            intruder(&set)
                .change(kind, Some(&namespaces[0]), name, &change)
                .await
                .unwrap();
        }
        converged_but_for_annotations(&set, &namespaces).await;
        let about = requests(plane, &set, mark);
        let on_it = about.iter().filter(|r| r.name.as_deref() == Some(name)).count();
        println!("{kind}: {on_it} requests for {ROUNDS} rewrites");
        // One try for each version that was seen, and one look after each that came too late.
        assert!(on_it <= 3 * ROUNDS, "{on_it} requests");
        assert!(drifted(&set, &namespaces[0]).await <= ROUNDS);
        quiet(plane, &set, &namespaces, super::MOMENT).await;
        safe(plane, mark);
    }
}

/// Converged, after the client's own annotations, which nobody takes away, are gone.
async fn converged_but_for_annotations(set: &Set, namespaces: &[String]) {
    for (namespace, kind, name) in crate::oracles::children(&set.admin, namespaces).await.unwrap().keys() {
        let none = json!({"metadata": {"annotations": {"example.com/round": null}}});
        intruder(set).change(kind, Some(namespace), name, &none).await.unwrap();
    }
    converged(set, &everything(), namespaces).await;
}

#[tokio::test]
async fn a_client_that_deletes_and_recreates_as_fast_as_it_can_does_not_win() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "recreate", &everything(), 1).await;
    let mark = plane.audit().mark().unwrap();
    let name = "security-baseline-default-deny-ingress";
    let open = json!({"metadata": {"name": name}, "spec": {"podSelector": {}, "ingress": [{}]}});
    let policies = api(&set.admin, "NetworkPolicy", Some(&namespaces[0]));
    for i in 0..ROUNDS {
        // Either may come too late: the operator is as fast.
        let _ = policies.delete(name, &DeleteParams::default()).await;
        if i % 2 == 0 {
            let _ = crate::tamper::create(&set.admin, "NetworkPolicy", &namespaces[0], &open).await;
        }
    }
    converged(&set, &everything(), &namespaces).await;
    quiet(plane, &set, &namespaces, super::MOMENT).await;
    assert!(drifted(&set, &namespaces[0]).await <= 2 * ROUNDS);
    safe(plane, mark);
}

#[tokio::test]
async fn a_stripped_label_among_other_changes_of_the_namespace_is_put_back_and_counted_once() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "labels", &everything(), 1).await;
    let mark = plane.audit().mark().unwrap();
    let mut strips = 0;
    for i in 0..ROUNDS {
        let mut change = json!({"metadata": {"annotations": {"example.com/round": i.to_string()}, "labels": {"example.com/round": i.to_string()}}});
        if i % 5 == 0 {
            strips += 1;
            change["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = Value::Null;
        }
        intruder(&set)
            .change("Namespace", None, &namespaces[0], &change)
            .await
            .unwrap();
    }
    settled(plane, &set).await;
    converged(&set, &everything(), &namespaces).await;
    let writes = requests(plane, &set, mark)
        .into_iter()
        .filter(|r| r.resource == "namespaces")
        .count();
    println!(
        "{writes} writes for {strips} strips; {} counted",
        drifted(&set, &namespaces[0]).await
    );
    assert!(writes <= strips, "{writes} writes for {strips} strips");
    assert_eq!(drifted(&set, &namespaces[0]).await, writes);
    quiet(plane, &set, &namespaces, super::MOMENT).await;
    safe(plane, mark);
}

#[tokio::test]
async fn what_must_be_recreated_but_is_kept_by_a_foreign_finalizer_is_waited_for_without_a_storm() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "finalizer", &everything(), 1).await;
    let mark = plane.audit().mark().unwrap();
    let (kind, name) = ("RoleBinding", "security-baseline-developers");
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    intruder(&set)
        .change(kind, Some(&namespaces[0]), name, &hold)
        .await
        .unwrap();
    let mut spec = everything();
    spec["access"]["bindings"][0]["role"] = Value::Null;
    spec["access"]["bindings"][0].as_object_mut().unwrap().remove("role");
    spec["access"]["bindings"][0]["clusterRole"] = json!("view");
    set.baseline(spec.clone()).await;
    let report = set
        .report_until(&namespaces[0], "access is blocked", |r| {
            let controls = r["status"]["controls"].as_array().unwrap();
            controls
                .iter()
                .any(|c| c["name"] == "access" && c["state"] == "Blocked")
        })
        .await;
    let told = report["status"].to_string();
    assert!(
        told.contains("HeldByFinalizer") && told.contains("example.com/hold"),
        "{told}"
    );
    // It waits for an event, and asks for nothing until then.
    settled(plane, &set).await;
    let tries = requests(plane, &set, mark)
        .into_iter()
        .filter(|r| r.resource == "rolebindings")
        .count();
    assert!(tries <= 10, "{tries} requests");
    let none = json!({"metadata": {"finalizers": null}});
    intruder(&set)
        .change(kind, Some(&namespaces[0]), name, &none)
        .await
        .unwrap();
    converged(&set, &spec, &namespaces).await;
    quiet(plane, &set, &namespaces, super::MOMENT).await;
    safe(plane, mark);
}
