//! What is no drift is left alone.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Held, Way};
use crate::oracles::{CHILDREN, children, requests, settled};
use crate::stage::api;
use crate::tamper::{create, live, version};

#[tokio::test]
async fn foreign_labels_annotations_and_finalizers_on_a_child_stay_and_cause_no_request() {
    let held = Held::new("foreign").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    settled(held.plane, set).await;
    let mark = held.plane.audit().mark().unwrap();
    let foreign = json!({"metadata": {
        "labels": {"example.com/team": "a"},
        "annotations": {"example.com/note": "b"},
        "finalizers": ["example.com/hold"],
    }});
    let all = children(&set.admin, std::slice::from_ref(&held.namespace))
        .await
        .unwrap();
    let mut changed = Vec::new();
    for (_, kind, name) in all.keys() {
        let admin = held.admin("kubectl-edit", Way::Update);
        changed.push((
            kind,
            name,
            admin.change(kind, Some(namespace), name, &foreign).await.unwrap(),
        ));
    }
    settled(held.plane, set).await;
    assert_eq!(requests(held.plane, set, mark).len(), 0);
    for (kind, name, changed) in &changed {
        assert_eq!(
            version(&live(set, kind, namespace, name).await),
            version(changed),
            "{kind}/{name}"
        );
    }
    // A repair of something else on the same object leaves them too.
    let (kind, name) = ("ResourceQuota", "security-baseline-compute");
    let quota = json!({"spec": {"hard": {"pods": "51"}}});
    let raised = held
        .admin("kubectl-edit", Way::Update)
        .change(kind, Some(namespace), name, &quota)
        .await
        .unwrap();
    let repaired = set
        .object_until(kind, namespace, name, "lowered", |o| {
            version(o) > version(&raised) && o["spec"]["hard"]["pods"] == "50"
        })
        .await;
    assert_eq!(repaired["metadata"]["labels"]["example.com/team"], "a");
    assert_eq!(repaired["metadata"]["annotations"]["example.com/note"], "b");
    assert_eq!(repaired["metadata"]["finalizers"], json!(["example.com/hold"]));
    // So that the namespace can go.
    for (kind, name, _) in &changed {
        let none = json!({"metadata": {"finalizers": null}});
        held.admin("kubectl-edit", Way::Update)
            .change(kind, Some(namespace), name, &none)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_usage_in_a_quotas_status_is_no_drift() {
    let held = Held::new("usage").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    // Counts what needs no kubelet, too.
    let mut spec = crate::stage::everything();
    spec["resourceQuotas"]["items"][0]["hard"]["configmaps"] = json!(100);
    spec["podSecurity"] = Value::Null;
    spec.as_object_mut().unwrap().remove("podSecurity");
    set.baseline(spec).await;
    let used = |resource: &'static str, at_least: i64| {
        move |quota: &Value| {
            let used = quota["status"]["used"][resource]
                .as_str()
                .and_then(|u| u.parse::<i64>().ok());
            used >= Some(at_least)
        }
    };
    let (kind, name) = ("ResourceQuota", "security-baseline-compute");
    let quota = set
        .object_until(kind, namespace, name, "counted", used("configmaps", 0))
        .await;
    set.until_enforced(1).await;
    settled(held.plane, set).await;
    let mark = held.plane.audit().mark().unwrap();
    let first = used("configmaps", 0)(&quota);
    assert!(first);
    for i in 0..10 {
        let map = json!({"metadata": {"name": format!("map-{i}")}});
        create(&set.admin, "ConfigMap", namespace, &map).await.unwrap();
        let pod = json!({
            "metadata": {"name": format!("pod-{i}")},
            "spec": {"containers": [{"name": "c", "image": "example.com/none"}]},
        });
        create(&set.admin, "Pod", namespace, &pod).await.unwrap();
    }
    let counted = set
        .object_until(kind, namespace, name, "counts all pods", used("pods", 10))
        .await;
    assert!(version(&counted) > version(&quota));
    // A status that lies is not the operator's to mend either.
    let lie = json!({"status": {"used": {"pods": "49"}}});
    api(&set.admin, kind, Some(namespace))
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&lie))
        .await
        .unwrap();
    settled(held.plane, set).await;
    let requests = requests(held.plane, set, mark);
    assert!(requests.is_empty(), "{requests:?}");
    assert!(CHILDREN.contains(&kind));
}
