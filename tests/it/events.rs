//! Events: what a tenant and an administrator read of how things stand, on transitions, and never many.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use kube::Client;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::oracles::{PATIENCE, ends_quietly, settled};
use crate::stage::{LABEL, SOON, Set, api, create, delete, merge, own};
use crate::support::eventually;

/// How often each event was told in a namespace, by type, reason and action.
type Told = BTreeMap<(String, String, String), i64>;

async fn events(admin: &Client, namespace: Option<&str>) -> Vec<Value> {
    let list = api(admin, "Event", namespace)
        .list(&ListParams::default())
        .await
        .unwrap();
    let all = list.items.into_iter().map(|event| serde_json::to_value(event).unwrap());
    all.filter(|event| event["reportingComponent"] == "security-baseline-operator")
        .collect()
}

async fn told_in(admin: &Client, namespace: &str) -> Told {
    let mut told = Told::new();
    for event in events(admin, Some(namespace)).await {
        assert_eq!(event["involvedObject"]["kind"], "BaselineReport", "{event}");
        let text = |field: &str| event[field].as_str().unwrap().to_owned();
        let times = event["series"]["count"].as_i64().unwrap_or(1);
        *told.entry((text("type"), text("reason"), text("action"))).or_default() += times;
    }
    told
}

/// Waits until a namespace was told this, so often.
async fn until_told(admin: &Client, namespace: &str, (type_, reason, action): (&str, &str, &str), times: i64) {
    let key = (type_.to_owned(), reason.to_owned(), action.to_owned());
    eventually(&format!("{namespace} is told {key:?}"), SOON, async || {
        let told = told_in(admin, namespace).await;
        ensure!(told.get(&key) == Some(&times), "{told:?}");
        Ok(())
    })
    .await
    .unwrap();
}

fn spec() -> Value {
    json!({
        "mode": "Enforce",
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": 5}}]},
    })
}

/// A quota that keeps NetworkPolicies out of a namespace, as a tenant may have one.
fn none() -> Value {
    json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/networkpolicies.networking.k8s.io": "0"}}})
}

/// Pods, so many that the quota is below what is used.
async fn pods(set: &Set, namespace: &str) {
    set.present("ServiceAccount", namespace, "default").await;
    for i in 0..6 {
        let pod = json!({"metadata": {"name": format!("p{i}")}, "spec": {
            "automountServiceAccountToken": false,
            "containers": [{"name": "c", "image": "example.com/none"}],
        }});
        create(&set.admin, "Pod", Some(namespace), pod).await.unwrap();
    }
    set.aged(&[namespace.to_owned()]).await;
}

async fn all_told(set: &Set, namespaces: &[String]) -> Vec<Told> {
    let mut all = Vec::new();
    for namespace in namespaces {
        all.push(told_in(&set.admin, namespace).await);
    }
    all
}

#[tokio::test]
async fn a_tenant_reads_what_is_wrong_in_its_namespace_and_that_it_is_mended_each_once_and_not_again_after_a_restart() {
    let (plane, mut stage) = own().await;
    let set = Set::new(&plane, "stands").await;
    let namespaces = set.namespaces(&plane, 5).await;
    let [blocked, held, weakened, deselected, fine] = [0, 1, 2, 3, 4].map(|i| namespaces[i].as_str());
    let admin = &set.admin;
    create(admin, "ResourceQuota", Some(blocked), none()).await.unwrap();
    pods(&set, held).await;
    set.baseline(spec()).await;
    until_told(admin, blocked, ("Warning", "Blocked", "Blocked"), 1).await;
    until_told(admin, held, ("Warning", "Held", "Held"), 1).await;
    set.report_until(weakened, "is as declared", |r| {
        r["status"]["conditions"][0]["status"] == "True"
    })
    .await;
    let open = json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{}]}});
    create(admin, "NetworkPolicy", Some(weakened), open).await.unwrap();
    until_told(admin, weakened, ("Warning", "Weakened", "Weakened"), 1).await;
    let label = |value: Value| json!({"metadata": {"labels": {LABEL: value}}});
    merge(admin, "Namespace", None, deselected, label(Value::Null))
        .await
        .unwrap();
    until_told(admin, deselected, ("Warning", "Deselected", "Deselected"), 1).await;
    let notes = events(admin, Some(deselected)).await;
    let note = notes[0]["message"].as_str().unwrap();
    assert!(
        note.contains(&set.name) && note.contains("releasedNamespaces"),
        "{note}"
    );
    settled(&plane, &set).await;

    // None of it is told again.
    for how in ["terminated", "killed"] {
        let before = all_told(&set, &namespaces).await;
        let cluster = events(admin, Some("default")).await.len();
        match how {
            "terminated" => assert!(stage.operator.terminate(PATIENCE).await.unwrap().success()),
            _ => stage.operator.kill().unwrap(),
        }
        stage.restart(&plane).await.unwrap();
        settled(&plane, &set).await;
        assert_eq!(all_told(&set, &namespaces).await, before, "after it was {how}");
        let now = events(admin, Some("default")).await.len();
        assert_eq!(now, cluster, "after it was {how}");
    }

    delete(admin, "ResourceQuota", Some(blocked), "none").await;
    until_told(admin, blocked, ("Normal", "Mended", "Blocked"), 1).await;
    let mut higher = spec();
    higher["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(10);
    set.baseline(higher).await;
    until_told(admin, held, ("Normal", "Mended", "Held"), 1).await;
    delete(admin, "NetworkPolicy", Some(weakened), "open").await;
    until_told(admin, weakened, ("Normal", "Mended", "Weakened"), 1).await;
    merge(admin, "Namespace", None, deselected, label(json!(set.name)))
        .await
        .unwrap();
    until_told(admin, deselected, ("Normal", "Mended", "Deselected"), 1).await;
    settled(&plane, &set).await;
    for namespace in [blocked, held, weakened, deselected] {
        let told = told_in(admin, namespace).await;
        assert_eq!(told.len(), 2, "{namespace}: {told:?}");
        assert!(told.values().all(|times| *times == 1), "{namespace}: {told:?}");
    }
    assert_eq!(told_in(admin, fine).await, Told::new());
    ends_quietly(&plane, &set, &namespaces).await;
}

#[tokio::test]
async fn a_namespace_that_somebody_fights_over_is_told_so_once_and_with_the_claimed_name() {
    let (plane, _stage) = own().await;
    let set = Set::new(&plane, "fought").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(spec()).await;
    set.until_enforced(1).await;
    let more = json!({"spec": {"hard": {"pods": "50"}}});
    let quota = "security-baseline-pods";
    let contested = async |report: &Set| {
        let report = crate::stage::get(&report.admin, "BaselineReport", Some(&namespace), "baseline").await;
        // It is written a moment after the baseline's status counts the namespace.
        report.is_some_and(|report| crate::stage::condition(&report, "Contested")["status"] == "True")
    };
    while !contested(&set).await {
        merge(&set.admin, "ResourceQuota", Some(&namespace), quota, more.clone())
            .await
            .unwrap();
        set.object_until("ResourceQuota", &namespace, quota, "is repaired", |q| {
            q["spec"]["hard"]["pods"] == "5"
        })
        .await;
    }
    until_told(&set.admin, &namespace, ("Warning", "Contested", "Contested"), 1).await;
    let all = events(&set.admin, Some(&namespace)).await;
    let event = all.iter().find(|event| event["reason"] == "Contested").unwrap();
    assert!(event["message"].as_str().unwrap().contains("somebody"), "{event}");
    let baseline = set.until("Contested", "True").await;
    assert_eq!(baseline["status"]["namespaces"]["contested"], 1);
    eventually("the baseline's owner is told too", SOON, async || {
        let all = events(&set.admin, Some("default")).await;
        let told = |event: &Value| event["reason"] == "Contested" && event["involvedObject"]["name"] == json!(set.name);
        ensure!(all.iter().filter(|event| told(event)).count() == 1, "{all:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Makes very many namespaces, a few at a time.
async fn crowd(set: &Set, count: usize) {
    use futures::StreamExt;
    let namespaces = api(&set.admin, "Namespace", None);
    let make = |i: usize| {
        let namespaces = namespaces.clone();
        let labels = json!({LABEL: set.name});
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{}-{i}", set.name), "labels": labels}});
        async move {
            let object = serde_json::from_value(object).unwrap();
            namespaces.create(&Default::default(), &object).await.unwrap();
        }
    };
    futures::stream::iter((0..count).map(make))
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
}

#[tokio::test]
async fn a_rollout_that_hundreds_of_namespaces_refuse_and_one_that_mends_them_are_told_by_a_few_dozen_events() {
    const COUNT: usize = 300;
    let (plane, _stage) = own().await;
    let set = Set::new(&plane, "crowd").await;
    crowd(&set, COUNT).await;
    // The operator may not bind this role: it is refused everywhere.
    let refused = json!({"mode": "Enforce", "access": {"bindings": [{"name": "b", "clusterRole": "edit", "subjects": [{"kind": "User", "name": "u"}]}]}});
    set.baseline(refused).await;
    let patience = Duration::from_secs(240);
    set.until_counted("all blocked", patience, |counts| counts["blocked"] == COUNT)
        .await;
    let begun = std::time::Instant::now();
    eventually("the baseline's owner is told how many", SOON, async || {
        let all = events(&set.admin, Some("default")).await;
        let told = |event: &Value| event["reason"] == "Blocked" && event["type"] == "Warning";
        ensure!(all.iter().any(told), "{all:?}");
        Ok(())
    })
    .await
    .unwrap();
    let mut audited = spec();
    audited["mode"] = json!("Audit");
    set.baseline(audited).await;
    set.until_counted("none blocked", patience, |counts| {
        counts["blocked"] == 0 && counts["pending"] == 0
    })
    .await;
    settled(&plane, &set).await;
    let all = events(&set.admin, None).await;
    let in_namespaces = all.iter().filter(|e| e["metadata"]["namespace"] != "default").count();
    println!(
        "{COUNT} namespaces blocked and mended: {} events, {in_namespaces} of them in namespaces, {:?}",
        all.len(),
        begun.elapsed()
    );
    assert!((1..=60).contains(&in_namespaces), "{in_namespaces}");
    assert!(all.len() - in_namespaces <= 20, "{}", all.len());
}
