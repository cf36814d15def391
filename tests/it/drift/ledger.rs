//! What is told of drift: the report's ledger, an event in the tenant's namespace, and a metric.

use kube::api::ListParams;
use serde_json::{Value, json};

use super::{DENY, ENFORCE, Held, Intruder, Way};
use crate::oracles::settled;
use crate::stage::{SOON, api};
use crate::support::eventually;

/// The records of a report, newest first, as control, object, path, expected, found and claimed by.
fn records(report: &Value) -> Vec<[String; 6]> {
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    report["status"]["drift"]["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| ["control", "object", "path", "expected", "found", "claimedBy"].map(|field| text(r, field)))
        .collect()
}

#[tokio::test]
async fn the_ledger_says_what_drifted_where_from_what_to_what_and_who_claims_it() {
    let held = Held::new("ledger").await;
    let namespace = held.namespace.as_str();
    let drifts = [
        (
            "NetworkPolicy",
            DENY,
            json!({"spec": {"policyTypes": ["Ingress", "Egress"]}}),
            ["networkIsolation", "spec.policyTypes[1]", "", "\"Egress\""],
        ),
        (
            "ResourceQuota",
            "security-baseline-compute",
            json!({"spec": {"hard": {"pods": "51"}}}),
            ["resourceQuotas", "spec.hard.pods", "\"50\"", "\"51\""],
        ),
        (
            "LimitRange",
            "security-baseline-defaults",
            json!({"spec": {"limits": []}}),
            ["limitRanges", "spec.limits", "[{", "null"],
        ),
        (
            "Role",
            "security-baseline-developer",
            json!({"rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "update", "delete"]}]}),
            ["access", "rules[0].verbs[4]", "\"patch\"", "\"delete\""],
        ),
        (
            "RoleBinding",
            "security-baseline-viewers",
            json!({"subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "mallory"}]}),
            ["access", "subjects[0].kind", "\"Group\"", "\"User\""],
        ),
        (
            "Namespace",
            namespace,
            json!({"metadata": {"labels": {ENFORCE: "baseline"}}}),
            [
                "podSecurity",
                "metadata.labels[pod-security.kubernetes.io/enforce]",
                "restricted",
                "baseline",
            ],
        ),
    ];
    for (i, (kind, name, change, [control, path, expected, found])) in drifts.iter().enumerate() {
        let place = (*kind != "Namespace").then_some(namespace);
        let intruder = held.admin("kubectl-edit", Way::Update);
        intruder.change(kind, place, name, change).await.unwrap();
        let total = i64::try_from(i).unwrap() + 1;
        let report = held
            .set
            .report_until(namespace, "drift counted", |r| {
                r["status"]["drift"]["repaired"] == total
            })
            .await;
        let drift = &report["status"]["drift"];
        assert_eq!(drift["total"], total);
        assert_eq!(drift["lastClaimedBy"], "kubectl-edit");
        assert_eq!(drift["lastSeen"], drift["records"][0]["seen"]);
        assert!(drift["records"][0]["repaired"].is_string());
        let records = records(&report);
        let of_object: Vec<_> = records.iter().filter(|r| r[1] == format!("{kind}/{name}")).collect();
        assert!(
            of_object.iter().any(|r| r[0] == *control
                && r[2] == *path
                && r[3].starts_with(expected)
                && (r[3].is_empty() == expected.is_empty())
                && r[4] == *found
                && r[5] == "kubectl-edit"),
            "{path} of {kind}/{name} in {records:#?}"
        );
    }
    held.ends_well().await;
}

#[tokio::test]
async fn a_deletion_is_recorded_told_as_an_event_where_the_tenant_sees_it_and_counted() {
    let held = Held::new("told").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let before = repaired(&held).await;
    let tenant = held.plane.tenant(namespace).await.unwrap();
    let policies = api(&tenant.client, "NetworkPolicy", Some(namespace));
    policies.delete(DENY, &Default::default()).await.unwrap();
    let report = set
        .report_until(namespace, "drift counted", |r| r["status"]["drift"]["repaired"] == 1)
        .await;
    let object = format!("NetworkPolicy/{DENY}");
    assert_eq!(
        records(&report),
        [["networkIsolation", &object, "", "present", "absent", "unknown"].map(ToOwned::to_owned)]
    );
    // The tenant reads it with the rights that it has.
    let event = eventually("the event is there", SOON, async || {
        let events = api(&tenant.client, "Event", Some(namespace))
            .list(&ListParams::default())
            .await?;
        let event = events
            .items
            .into_iter()
            .map(|e| serde_json::to_value(e).unwrap())
            .find(|e| e["reason"] == "DriftRepaired");
        anyhow::Context::context(event, "no event")
    })
    .await
    .unwrap();
    assert_eq!(event["type"], "Warning");
    assert_eq!(event["involvedObject"]["kind"], "BaselineReport");
    assert_eq!(event["involvedObject"]["uid"], report["metadata"]["uid"]);
    assert!(event["message"].as_str().unwrap().contains(&object), "{event}");
    assert!(repaired(&held).await > before);
    held.ends_well().await;
}

/// The count of repaired network policies, by the operator's metrics: it is of all tests' namespaces together.
async fn repaired(held: &Held) -> u64 {
    crate::stage::metric(
        &held.stage.operator,
        "security_baseline_drift_repaired_total{section=\"networkIsolation\"}",
    )
    .await
}

#[tokio::test]
async fn the_ledger_keeps_its_totals_and_the_last_twenty_records() {
    let held = Held::new("ring").await;
    let namespace = held.namespace.as_str();
    let admin: Intruder = held.admin("kubectl-edit", Way::Update);
    for i in 1..=23_i64 {
        let change = json!({"spec": {"hard": {"pods": (1000 + i).to_string()}}});
        admin
            .change("ResourceQuota", Some(namespace), "security-baseline-compute", &change)
            .await
            .unwrap();
        held.set
            .report_until(namespace, "drift counted", |r| r["status"]["drift"]["repaired"] == i)
            .await;
    }
    settled(held.plane, &held.set).await;
    let report = held
        .set
        .report_until(namespace, "all counted", |r| r["status"]["drift"]["total"] == 23)
        .await;
    let found: Vec<String> = records(&report).into_iter().map(|r| r[4].clone()).collect();
    let expected: Vec<String> = (4..=23).rev().map(|i| format!("\"{}\"", 1000 + i)).collect();
    assert_eq!(found, expected);
    held.ends_well().await;
}
