//! What a tenant does while nobody watches is told of the right one all the same.

use anyhow::ensure;
use serde_json::{Value, json};

use super::{DENY, Way};
use crate::oracles::{PATIENCE, converged, holding, quiet, safe};
use crate::stage::{api, everything, own};
use crate::support::eventually;
use crate::tamper::{Intruder, OUR_MANAGER, create_as};

/// The newest time that a manager has in an object's `managedFields`.
fn time<'a>(object: &'a Value, manager: &str) -> &'a str {
    let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
    let times = entries.filter(|e| e["manager"] == manager);
    times.map(|e| e["time"].as_str().unwrap()).max().unwrap()
}

#[tokio::test]
async fn the_manager_that_covers_the_field_is_named_and_whoever_recreates_under_our_name_is_not_taken_for_us() {
    let (plane, mut stage) = own().await;
    let mark = plane.audit().mark().unwrap();
    let (set, namespaces) = holding(&plane, "down", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    stage.operator.kill().unwrap();

    // One opens the policy, and later another writes something else on it.
    let somebody = |manager| Intruder {
        client: tenant.client.clone(),
        manager,
        way: Way::Update,
    };
    let open = json!({"spec": {"ingress": [{}]}});
    somebody("culprit")
        .change("NetworkPolicy", Some(namespace), DENY, &open)
        .await
        .unwrap();
    let mut round = 0;
    eventually("a newer entry for another field", PATIENCE, async || {
        round += 1;
        let note = json!({"metadata": {"annotations": {"example.com/note": round.to_string()}}});
        let bystander = somebody("bystander");
        let changed = bystander.change("NetworkPolicy", Some(namespace), DENY, &note).await?;
        ensure!(time(&changed, "bystander") > time(&changed, "culprit"), "not newer");
        Ok(())
    })
    .await
    .unwrap();

    // One recreates another child, weaker, under the operator's own name.
    let egress = "security-baseline-default-deny-egress";
    let policies = api(&tenant.client, "NetworkPolicy", Some(namespace));
    let ours = serde_json::to_value(policies.get(egress).await.unwrap()).unwrap();
    policies.delete(egress, &Default::default()).await.unwrap();
    let weaker = json!({
        "metadata": {"name": egress, "labels": ours["metadata"]["labels"], "annotations": ours["metadata"]["annotations"]},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    });
    create_as(&tenant.client, Some(OUR_MANAGER), "NetworkPolicy", namespace, &weaker)
        .await
        .unwrap();

    stage.restart(&plane).await.unwrap();
    let report = set
        .report_until(namespace, "two drifts repaired", |r| {
            r["status"]["drift"]["repaired"] == 2
        })
        .await;
    let drift = &report["status"]["drift"];
    assert_eq!(drift["total"], 2);
    for record in drift["records"].as_array().unwrap() {
        let by = record["claimedBy"].as_str().unwrap();
        assert_eq!(record["operation"], "Update", "{record}");
        assert!(record["claimedAt"].is_string(), "{record}");
        if record["object"] == format!("NetworkPolicy/{DENY}") {
            assert_eq!(by, "culprit");
        } else {
            assert_eq!(by, format!("{OUR_MANAGER} (stated by another client)"));
        }
    }
    // The bystander's annotation is nobody's business.
    let none = json!({"metadata": {"annotations": {"example.com/note": null}}});
    somebody("bystander")
        .change("NetworkPolicy", Some(namespace), DENY, &none)
        .await
        .unwrap();
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, std::time::Duration::from_secs(1)).await;
    safe(&plane, mark);
}
