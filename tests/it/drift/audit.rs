//! In Audit drift is told and not repaired: once.

use serde_json::{Value, json};

use super::{DENY, Way, drifts};
use crate::oracles::{holding, settled};
use crate::stage::{Set, api, everything, own};
use crate::tamper::Intruder;

/// The ledger of a report.
fn ledger(report: &Value) -> &Value {
    &report["status"]["drift"]
}

async fn break_everything(set: &Set, tenant: &kube::Client, namespace: &str) {
    for drift in drifts() {
        // A ClusterRole `admin` may not write quotas.
        let client = match drift.kind {
            "ResourceQuota" => &set.admin,
            _ => tenant,
        };
        let intruder = Intruder {
            client: client.clone(),
            manager: "tenant-tool",
            way: Way::Update,
        };
        let (place, name) = match drift.kind {
            "Namespace" => (None, namespace),
            _ => (Some(namespace), drift.name),
        };
        let change = drift.change(Way::Update);
        intruder.change(drift.kind, place, name, &change).await.unwrap();
    }
    let policies = api(tenant, "NetworkPolicy", Some(namespace));
    let egress = "security-baseline-default-deny-egress";
    policies.delete(egress, &Default::default()).await.unwrap();
}

#[tokio::test]
async fn drift_in_audit_is_recorded_once_also_across_a_restart_and_its_repair_enters_the_very_record() {
    let (plane, mut stage) = own().await;
    let (set, namespaces) = holding(&plane, "audit", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    let mut spec = everything();
    spec["mode"] = json!("Audit");
    set.fence(namespace, spec.clone()).await;
    let mark = plane.audit().mark().unwrap();

    break_everything(&set, &tenant.client, namespace).await;
    let report = set
        .report_until(namespace, "all five are told", |r| ledger(r)["total"] == 5)
        .await;
    let first = ledger(&report).clone();
    assert_eq!(first["repaired"], 0);
    let records = first["records"].as_array().unwrap();
    assert!(records.iter().all(|r| r["repaired"].is_null()), "{first}");
    let claimed = |object: &str| {
        let record = records.iter().find(|r| r["object"] == object);
        record.unwrap_or_else(|| panic!("{object} in {first}"))["claimedBy"].clone()
    };
    assert_eq!(claimed(&format!("NetworkPolicy/{DENY}")), "tenant-tool");
    assert_eq!(claimed("ResourceQuota/security-baseline-compute"), "tenant-tool");
    assert_eq!(
        claimed("NetworkPolicy/security-baseline-default-deny-egress"),
        "unknown"
    );

    // It is planned anew, again and again, and by another process.
    let again = |report: &Value| assert_eq!(*ledger(report), first);
    again(&set.fence(namespace, spec.clone()).await);
    let note = json!({"metadata": {"annotations": {"example.com/note": "a"}}});
    let admin = Intruder {
        client: set.admin.clone(),
        manager: "annotator",
        way: Way::Update,
    };
    admin
        .change("NetworkPolicy", Some(namespace), DENY, &note)
        .await
        .unwrap();
    settled(&plane, &set).await;
    stage.operator.kill().unwrap();
    stage.restart(&plane).await.unwrap();
    again(&set.fence(namespace, spec.clone()).await);
    assert_eq!(crate::stage::writes_in(&plane, mark, namespace).len(), 0);

    spec["mode"] = json!("Enforce");
    set.baseline(spec).await;
    let report = set
        .report_until(namespace, "all five are repaired", |r| ledger(r)["repaired"] == 5)
        .await;
    let last = ledger(&report);
    assert_eq!(last["total"], 5);
    assert!(last.get("open").is_none(), "{last}");
    let mut records = last["records"].clone();
    for record in records.as_array_mut().unwrap() {
        let repaired = record.as_object_mut().unwrap().remove("repaired").unwrap();
        let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert!(time(&repaired) > time(&record["seen"]), "{last}");
    }
    assert_eq!(records, first["records"], "nothing but the time of the repair is new");
}
