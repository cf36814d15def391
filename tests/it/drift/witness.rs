//! What a tenant does to our marks is undone, and told with the field, and the client, operation and time that it claims.

use kube::api::ListParams;
use serde_json::{Value, json};

use super::{DENY, Held, Way};
use crate::stage::{SOON, api};
use crate::support::eventually;
use crate::tamper::{Intruder, OUR_MANAGER, create, live, until_repaired, version};

/// The records of a report about the default deny.
fn records(report: &Value) -> Vec<&Value> {
    let records = report["status"]["drift"]["records"].as_array().unwrap().iter();
    records
        .filter(|r| r["object"] == format!("NetworkPolicy/{DENY}"))
        .collect()
}

#[tokio::test]
async fn an_owner_or_a_stripped_marker_of_a_tenant_is_undone_and_told_with_all_that_it_claims() {
    let held = Held::new("marks").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let tenant = held.plane.tenant(namespace).await.unwrap();
    let owner = json!({"metadata": {"name": "owner"}});
    let owner = create(&tenant.client, "ConfigMap", namespace, &owner).await.unwrap();
    // Its deletion would be that of the policy, and as its controller it would be asked first.
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "controller": true});
    let dead =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-4000-8000-000000000000"});
    let policy = json!({"podSelector": {}, "policyTypes": ["Ingress"]});
    let cases = [
        (
            "tenant-tool",
            Way::Update,
            json!({"metadata": {"ownerReferences": [reference]}}),
            "metadata.ownerReferences[0]",
            "tenant-tool",
        ),
        (
            "tenant-apply",
            Way::Apply,
            json!({"metadata": {"ownerReferences": [reference]}, "spec": policy}),
            "metadata.ownerReferences[0]",
            "tenant-apply",
        ),
        (
            OUR_MANAGER,
            Way::Update,
            json!({"metadata": {"ownerReferences": [reference]}}),
            "metadata.ownerReferences[0]",
            "security-baseline-operator (stated by another client)",
        ),
        (
            "relabeller",
            Way::Update,
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "helm"}}}),
            "metadata.labels[app.kubernetes.io/managed-by]",
            "relabeller",
        ),
        (
            "stripper",
            Way::Update,
            json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}),
            "metadata.labels[app.kubernetes.io/managed-by]",
            "unknown",
        ),
        (
            "collector",
            Way::Update,
            json!({"metadata": {"ownerReferences": [dead]}}),
            "",
            "",
        ),
    ];
    for (i, (manager, way, change, path, by)) in cases.iter().enumerate() {
        let before = live(set, "NetworkPolicy", Some(namespace), DENY).await;
        let intruder = Intruder {
            client: tenant.client.clone(),
            manager,
            way: *way,
        };
        let changed = intruder
            .change("NetworkPolicy", Some(namespace), DENY, change)
            .await
            .unwrap();
        until_repaired(set, "NetworkPolicy", Some(namespace), DENY, &before, version(&changed)).await;
        let least = i64::try_from(i).unwrap() + 1;
        let report = set
            .report_until(namespace, "drift counted", |r| {
                r["status"]["drift"]["repaired"].as_i64() >= Some(least)
            })
            .await;
        // The garbage collector may have been faster than the operator: then the policy was deleted and came back.
        if path.is_empty() {
            continue;
        }
        let record = records(&report)[0];
        assert_eq!(
            (&record["path"], &record["claimedBy"]),
            (&json!(path), &json!(by)),
            "{record}"
        );
        if *by == "unknown" {
            assert!(
                record.get("operation").is_none() && record.get("claimedAt").is_none(),
                "{record}"
            );
        } else {
            assert_eq!(record["operation"], format!("{way:?}"), "{record}");
            let time = |field: &str| record[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert!(time("claimedAt") <= time("seen"), "{record}");
        }
    }
    held.ends_well().await;
}

#[tokio::test]
async fn a_tenant_sees_in_one_line_how_often_something_drifted_when_last_and_who_claims_it() {
    let held = Held::new("columns").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let tenant = held.plane.tenant(namespace).await.unwrap();
    let intruder = Intruder {
        client: tenant.client.clone(),
        manager: "quick-fix",
        way: Way::Update,
    };
    let open = json!({"spec": {"ingress": [{}]}});
    intruder
        .change("NetworkPolicy", Some(namespace), DENY, &open)
        .await
        .unwrap();
    set.report_until(namespace, "drift counted", |r| r["status"]["drift"]["repaired"] == 1)
        .await;
    let table = held
        .plane
        .kubectl_as(&tenant.kubeconfig, &["get", "br", "--namespace", namespace])
        .await
        .unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "READY", "DRIFT", "LAST", "DRIFT", "BY", "AGE"]);
    assert_eq!(lines[1][0..3], ["baseline", "True", "1"]);
    assert_eq!(lines[1][4], "quick-fix");

    // And in its events: the object, the field, and the client.
    let event = eventually("the event is there", SOON, async || {
        let events = api(&tenant.client, "Event", Some(namespace));
        let events = events.list(&ListParams::default()).await?;
        let events = events.items.into_iter().map(|e| serde_json::to_value(e).unwrap());
        anyhow::Context::context(events.into_iter().find(|e| e["reason"] == "DriftRepaired"), "no event")
    })
    .await
    .unwrap();
    let note = event["message"].as_str().unwrap();
    for told in [DENY, "spec.ingress", "quick-fix", "is repaired"] {
        assert!(note.contains(told), "{told} in {note}");
    }
    assert!(
        event["related"]["fieldPath"]
            .as_str()
            .unwrap()
            .starts_with("spec.ingress"),
        "{event}"
    );
    held.ends_well().await;
}
