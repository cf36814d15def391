//! What is no drift is left alone.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Held, Way};
use crate::oracles::{children, requests, settled};
use crate::stage::api;
use crate::tamper::{create, live, version};

#[tokio::test]
async fn foreign_labels_and_annotations_on_a_child_stay_and_cause_no_request() {
    let held = Held::new("foreign").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let mark = held.plane.audit().mark().unwrap();
    let foreign = json!({"metadata": {
        "labels": {"example.com/team": "a"},
        "annotations": {"example.com/note": "b"},
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
            version(&live(set, kind, Some(namespace), name).await),
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
}

/// A pod that Pod Security's level `restricted` admits, and that asks for nothing.
fn pod(name: &str) -> Value {
    let context = json!({
        "runAsNonRoot": true,
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    json!({
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "example.com/none", "securityContext": context}]},
    })
}

#[tokio::test]
async fn the_usage_in_a_quotas_status_is_no_drift() {
    let held = Held::new("usage").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let (kind, name) = ("ResourceQuota", "security-baseline-compute");
    let pods = |quota: &Value| {
        quota["status"]["used"]["pods"]
            .as_str()
            .and_then(|used| used.parse::<i64>().ok())
    };
    let counted = |least: i64| move |quota: &Value| pods(quota) >= Some(least);
    let quota = set
        .object_until(kind, namespace, name, "is accounted", counted(0))
        .await;
    settled(held.plane, set).await;
    let mark = held.plane.audit().mark().unwrap();
    for i in 0..10 {
        create(&set.admin, "Pod", namespace, &pod(&format!("pod-{i}")))
            .await
            .unwrap();
    }
    let after = set
        .object_until(kind, namespace, name, "counts all pods", counted(10))
        .await;
    assert!(version(&after) > version(&quota));
    // A status that lies is not the operator's to mend either.
    let lie = json!({"status": {"used": {"pods": "49"}}});
    let quotas = api(&set.admin, kind, Some(namespace));
    quotas
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&lie))
        .await
        .unwrap();
    settled(held.plane, set).await;
    let requests = requests(held.plane, set, mark);
    assert!(requests.is_empty(), "{requests:?}");
}
