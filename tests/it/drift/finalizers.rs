//! A foreign finalizer on a child is left and told; the child is held to its spec, and created anew once it is gone.

use serde_json::{Value, json};

use super::{DENY, Held, Way};
use crate::oracles::{children, requests, settled};
use crate::stage::{api, condition, control};
use crate::tamper::{Intruder, live, version};

/// The warnings of a report about foreign finalizers: objects and messages.
fn warned(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let controls = report["status"]["controls"].as_array().unwrap().iter();
    let warnings = controls.flat_map(|c| c["warnings"].as_array().into_iter().flatten());
    let of_finalizers = warnings.filter(|w| w["reason"] == "ForeignFinalizer");
    of_finalizers
        .map(|w| (text(&w["object"]), text(&w["message"])))
        .collect()
}

fn hold(finalizers: &Value) -> Value {
    json!({"metadata": {"finalizers": finalizers}})
}

#[tokio::test]
async fn a_foreign_finalizer_on_a_child_is_left_and_told_with_who_claims_it_and_breaks_nothing() {
    let held = Held::new("finalizers").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let mark = held.plane.audit().mark().unwrap();
    let all = children(&set.admin, std::slice::from_ref(&held.namespace))
        .await
        .unwrap();
    let admin = held.admin("holder", Way::Update);
    let mut changed = Vec::new();
    for (_, kind, name) in all.keys() {
        let finalizers = hold(&json!(["example.com/hold"]));
        let object = admin.change(kind, Some(namespace), name, &finalizers).await.unwrap();
        changed.push((kind, name, version(&object)));
    }
    let report = set
        .report_until(namespace, "warns of all of them", |r| warned(r).len() == all.len())
        .await;
    for (object, message) in warned(&report) {
        assert!(
            message.contains("example.com/hold") && message.ends_with("claimed by holder"),
            "{object}: {message}"
        );
    }
    assert_eq!(condition(&report, "Ready")["status"], "True");
    assert_eq!(report["status"]["drift"]["total"], 0);
    settled(held.plane, set).await;
    let others = requests(held.plane, set, mark)
        .into_iter()
        .filter(|r| r.resource != "baselinereports")
        .count();
    assert_eq!(others, 0);
    for (kind, name, changed) in changed {
        assert_eq!(version(&live(set, kind, Some(namespace), name).await), changed);
        admin
            .change(kind, Some(namespace), name, &hold(&json!(null)))
            .await
            .unwrap();
    }
    set.report_until(namespace, "warns no longer", |r| warned(r).is_empty())
        .await;
    held.ends_well().await;
}

#[tokio::test]
async fn a_child_that_a_tenant_deletes_behind_a_finalizer_is_held_to_its_spec_and_comes_back_once_it_is_gone() {
    let held = Held::new("lingers").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let tenant = held.plane.tenant(namespace).await.unwrap();
    let intruder = Intruder {
        client: tenant.client.clone(),
        manager: "tenant-tool",
        way: Way::Update,
    };
    let change = async |change: &Value| {
        intruder
            .change("NetworkPolicy", Some(namespace), DENY, change)
            .await
            .unwrap()
    };
    change(&hold(&json!(["example.com/hold"]))).await;
    let policies = api(&tenant.client, "NetworkPolicy", Some(namespace));
    policies.delete(DENY, &Default::default()).await.unwrap();
    let report = set
        .report_until(namespace, "says that it was deleted", |r| {
            warned(r).iter().any(|(_, message)| message.contains("it was deleted"))
        })
        .await;
    assert_eq!(control(&report, "networkIsolation")["state"], "Compliant");

    // It still protects, and so it is still held.
    let before = live(set, "NetworkPolicy", Some(namespace), DENY).await;
    let opened = change(&json!({"spec": {"ingress": [{}]}})).await;
    let repaired = set
        .object_until("NetworkPolicy", namespace, DENY, "is closed again", |p| {
            version(p) > version(&opened) && p["spec"] == before["spec"]
        })
        .await;
    assert_eq!(repaired["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(repaired["metadata"]["finalizers"], json!(["example.com/hold"]));

    change(&hold(&json!(null))).await;
    set.object_until("NetworkPolicy", namespace, DENY, "is there anew", |p| {
        p["metadata"]["uid"] != before["metadata"]["uid"] && p["spec"] == before["spec"]
    })
    .await;
    let report = set
        .report_until(namespace, "tells both, and warns no longer", |r| {
            r["status"]["drift"]["repaired"] == 2 && warned(r).is_empty()
        })
        .await;
    assert_eq!(report["status"]["drift"]["total"], 2);
    held.ends_well().await;
}
