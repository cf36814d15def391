//! What a baseline tells of itself: conditions, bounded lists, events, metrics.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::api::ListParams;
use kube::runtime::watcher::watch_object;
use serde_json::{Value, json};

use crate::oracles::{ends_quietly, ends_well};
use crate::stage::{SOON, Set, api, condition, create, own, shared};
use crate::support::{eventually, http_get};

const CONDITIONS: [&str; 6] = ["Ready", "Reconciling", "Stalled", "Drifted", "Contested", "Degraded"];

/// Every status that a baseline has had since this was called.
fn recorded(set: &Set) -> (tokio::task::JoinHandle<()>, Arc<Mutex<Vec<Value>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (baselines, name, keep) = (
        api(&set.admin, "SecurityBaseline", None),
        set.name.clone(),
        seen.clone(),
    );
    let watching = tokio::spawn(async move {
        let mut events = pin!(watch_object(baselines, &name));
        while let Some(event) = events.next().await {
            if let Ok(Some(object)) = event {
                keep.lock().unwrap().push(serde_json::to_value(object).unwrap());
            }
        }
    });
    (watching, seen)
}

fn check(object: &Value) {
    let status = &object["status"];
    if status["observedGeneration"] == -1 {
        return;
    }
    let conditions = status["conditions"].as_array().unwrap();
    let types: Vec<&str> = conditions.iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(types, CONDITIONS, "{status}");
    for condition in conditions {
        assert_eq!(
            condition["observedGeneration"], status["observedGeneration"],
            "{status}"
        );
        for field in ["reason", "message", "lastTransitionTime"] {
            assert!(
                condition[field].as_str().is_some_and(|text| !text.is_empty()),
                "{condition}"
            );
        }
    }
    let holds = |type_| condition(object, type_)["status"] == "True";
    assert!(!(holds("Reconciling") && holds("Stalled")), "{status}");
    assert!(
        !(holds("Ready") && (holds("Reconciling") || holds("Stalled"))),
        "{status}"
    );
    let counts = &status["namespaces"];
    let sum: i64 = ["compliant", "drifted", "pending", "blocked", "conflicting"]
        .iter()
        .map(|state| counts[state].as_i64().unwrap())
        .sum();
    assert_eq!(counts["selected"], sum, "{status}");
}

fn pods(most: u32) -> Value {
    json!({"mode": "Enforce", "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": most}}]}})
}

/// A binding that the operator may not make: the namespace is blocked.
fn blocked() -> Value {
    json!({"mode": "Enforce", "access": {"bindings": [{"name": "b", "clusterRole": "edit", "subjects": [{"kind": "User", "name": "u"}]}]}})
}

#[tokio::test]
async fn all_conditions_are_there_in_every_state_and_never_contradict_each_other() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "states").await;
    let namespaces = set.namespaces(plane, 5).await;
    let first = set.baseline(pods(5)).await;
    let (watching, seen) = recorded(&set);
    assert_eq!(first.metadata.generation, Some(1));
    set.until_enforced(5).await;
    set.baseline(blocked()).await;
    set.until("Degraded", "True").await;
    set.until("Stalled", "True").await;
    let mut audit = pods(6);
    audit["mode"] = json!("Audit");
    set.baseline(audit).await;
    set.until("Ready", "True").await;
    set.until("Drifted", "True").await;
    let mut suspended = pods(6);
    suspended["suspend"] = json!(true);
    set.baseline(suspended).await;
    set.until("Stalled", "True").await;
    set.baseline(json!({"resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": "1.5"}}]}}))
        .await;
    let object = set.until("Stalled", "True").await;
    assert_eq!(condition(&object, "Stalled")["reason"], "InvalidSpec");
    set.baseline(pods(7)).await;
    set.until_enforced(5).await;
    let end = set.until("Ready", "True").await;
    let version = end["metadata"]["resourceVersion"].clone();
    eventually("the last status is recorded", SOON, async || {
        let seen = seen.lock().unwrap();
        anyhow::ensure!(
            seen.iter().any(|o| o["metadata"]["resourceVersion"] == version),
            "not yet"
        );
        Ok(())
    })
    .await
    .unwrap();
    ends_well(plane, &set, &pods(7), &namespaces).await;
    watching.abort();
    let seen = seen.lock().unwrap();
    seen.iter().for_each(check);
    let reasons: BTreeSet<&str> = seen
        .iter()
        .filter_map(|o| condition(o, "Ready")["reason"].as_str())
        .collect();
    for reason in ["Enforced", "Blocked", "Audited", "Suspended", "InvalidSpec"] {
        assert!(reasons.contains(reason), "{reason} in {reasons:?}");
    }
}

#[tokio::test]
async fn a_list_of_namespaces_is_capped_beside_its_true_total() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "capped").await;
    for i in 0..25 {
        set.namespace(plane, &format!("n{i:02}")).await;
    }
    set.baseline(blocked()).await;
    let object = set
        .baseline_until(&set.name, "tells all of them", |b| {
            b["status"]["blocked"]["total"] == 25
        })
        .await;
    let items = object["status"]["blocked"]["items"].as_array().unwrap();
    let names: Vec<&str> = items.iter().map(|i| i["namespace"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..20).map(|i| format!("{}-n{i:02}", set.name)).collect();
    assert_eq!(names, expected);
    assert_eq!(object["status"]["namespaces"]["blocked"], 25);
    let stalled = set.until("Stalled", "True").await;
    let message = condition(&stalled, "Stalled")["message"].as_str().unwrap();
    assert!(message.contains("25 of 25"), "{message}");
}

#[tokio::test]
async fn one_blocked_namespace_of_five_degrades_the_baseline_and_leaves_it_ready() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "tolerated").await;
    let mut namespaces = Vec::new();
    for i in 0..5 {
        namespaces.push(set.namespace(plane, &format!("n{i}")).await);
    }
    // What a tenant can do, one way or another: keep the operator's objects out of its namespace.
    let none =
        json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/networkpolicies.networking.k8s.io": "0"}}});
    create(&set.admin, "ResourceQuota", Some(&namespaces[2]), none)
        .await
        .unwrap();
    let spec = json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec.clone()).await;
    let object = set
        .baseline_until(&set.name, "has one blocked of five", |b| {
            b["status"]["namespaces"]["blocked"] == 1 && b["status"]["namespaces"]["compliant"] == 4
        })
        .await;
    for (type_, status) in [("Ready", "True"), ("Degraded", "True"), ("Stalled", "False")] {
        assert_eq!(
            condition(&object, type_)["status"],
            status,
            "{type_}: {}",
            object["status"]
        );
    }
    let item = &object["status"]["blocked"]["items"][0];
    assert_eq!(item["namespace"], json!(namespaces[2]));
    assert!(item["message"].as_str().unwrap().contains("quota"), "{item}");
    // The way is free again: it comes by itself.
    crate::stage::delete(&set.admin, "ResourceQuota", Some(&namespaces[2]), "none").await;
    set.until_enforced(5).await;
    set.until("Degraded", "False").await;
    ends_well(plane, &set, &spec, &namespaces).await;
}

#[tokio::test]
async fn a_quota_that_no_limit_range_completes_is_warned_of() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "warned").await;
    let mut spec = json!({"mode": "Audit", "resourceQuotas": {"items": [{"name": "q", "hard": {"requests.cpu": 1}}]}});
    set.baseline(spec.clone()).await;
    let ready = set.until("Ready", "True").await;
    let warning = &ready["status"]["warnings"][0];
    assert_eq!(
        warning["path"], "spec.resourceQuotas.items[0].hard[requests.cpu]",
        "{ready}"
    );
    assert!(
        warning["message"].as_str().unwrap().contains("limitRanges"),
        "{warning}"
    );
    spec["limitRanges"] =
        json!({"items": [{"name": "l", "limits": [{"type": "Container", "defaultRequest": {"cpu": "100m"}}]}]});
    set.baseline(spec).await;
    let object = set
        .baseline_until(&set.name, "is judged", |b| b["status"]["observedGeneration"] == 2)
        .await;
    assert_eq!(object["status"]["warnings"], Value::Null);
    ends_quietly(plane, &set, &[]).await;
}

/// The events about a baseline, as reasons.
async fn events(set: &Set) -> Vec<(String, String)> {
    let all = api(&set.admin, "Event", None)
        .list(&ListParams::default())
        .await
        .unwrap();
    all.items
        .into_iter()
        .map(|e| serde_json::to_value(e).unwrap())
        .filter(|e| e["involvedObject"]["name"] == json!(set.name))
        .map(|e| {
            (
                e["type"].as_str().unwrap().to_owned(),
                e["reason"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn transitions_are_told_as_events_and_a_rollout_is_not_one_for_each_namespace() {
    let (plane, _stage) = own().await;
    let set = Set::new(&plane, "events").await;
    let namespaces = set.namespaces(&plane, 30).await;
    set.baseline(pods(5)).await;
    set.until_enforced(30).await;
    set.until("Ready", "True").await;
    let told = |type_: &'static str, reason: &'static str| {
        let set = &set;
        async move {
            eventually(reason, SOON, async || {
                let all = events(set).await;
                anyhow::ensure!(all.contains(&(type_.to_owned(), reason.to_owned())), "{all:?}");
                Ok(all.len())
            })
            .await
            .unwrap()
        }
    };
    told("Normal", "Enforced").await;
    set.baseline(blocked()).await;
    set.until("Stalled", "True").await;
    told("Warning", "Blocked").await;
    set.baseline(pods(5)).await;
    set.until_enforced(30).await;
    set.until("Ready", "True").await;
    let count = told("Normal", "NotStalled").await;
    assert!(count <= 15, "{:?}", events(&set).await);
    // In the namespaces nothing happened that was not asked for; some are told how they stand.
    let all = api(&set.admin, "Event", None)
        .list(&ListParams::default())
        .await
        .unwrap();
    let here = all.items.into_iter().filter(|e| {
        let namespace = e.metadata.namespace.as_deref();
        namespace.is_some_and(|namespace| namespace.starts_with(&set.name))
    });
    let (stands, others): (Vec<_>, Vec<_>) = here
        .map(|e| e.data["reason"].as_str().unwrap_or_default().to_owned())
        .partition(|reason| ["Blocked", "Mended"].contains(&reason.as_str()));
    assert_eq!(others, [""; 0]);
    assert!(
        (1..=25).contains(&stands.len()),
        "{} events for 30 namespaces",
        stands.len()
    );
    ends_well(&plane, &set, &pods(5), &namespaces).await;
}

#[tokio::test]
async fn health_and_metrics_are_served() {
    let (plane, stage) = shared().await;
    let set = Set::new(plane, "metrics").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(pods(5)).await;
    set.until_enforced(1).await;
    for path in ["/healthz", "/readyz"] {
        let (code, body) = http_get(stage.operator.port(), path).await.unwrap();
        assert_eq!((code, body.as_str()), (200, "ok\n"), "{path}");
    }
    let metric = |text: &str| {
        let text = text.to_owned();
        async move {
            eventually(&text, SOON, async || {
                let metrics = stage.operator.metrics().await?;
                anyhow::ensure!(metrics.contains(&text), "{metrics}");
                Ok(())
            })
            .await
            .unwrap();
        }
    };
    let of = |state: &str, count: i64| {
        format!(
            "security_baseline_namespaces{{baseline=\"{}\",state=\"{state}\"}} {count}",
            set.name
        )
    };
    metric(&of("compliant", 1)).await;
    metric(&format!(
        "security_baseline_baseline_condition{{baseline=\"{}\",condition=\"Ready\"}} 1",
        set.name
    ))
    .await;
    metric("security_baseline_watch_up{needed=\"true\",watch=\"networkpolicies\"} 1").await;
    metric("security_baseline_watch_up{needed=\"false\",watch=\"exceptions\"} 1").await;
    metric("security_baseline_build_info{version=").await;
    metric("operation=\"create\"").await;
    crate::stage::delete(&set.admin, "Namespace", None, &namespace).await;
    metric(&of("compliant", 0)).await;
    crate::stage::delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    eventually("nothing is shown of what is gone", SOON, async || {
        let metrics = stage.operator.metrics().await?;
        anyhow::ensure!(!metrics.contains(&set.name), "still there");
        Ok(())
    })
    .await
    .unwrap();
}
