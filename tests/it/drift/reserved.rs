//! Names decide, not marks: what stands under a reserved name is held to the baseline, whoever put it there, and what only
//! looks like ours is nobody's business.

use serde_json::{Value, json};

use super::{DENY, ENFORCE, Way};
use crate::oracles::{converged, ends_well, quiet, safe, settled};
use crate::stage::{Set, api, condition, everything, get, grant, shared, writes_in};
use crate::tamper::{Intruder, OUR_MANAGER, create_as};

const VIEWERS: &str = "security-baseline-viewers";

/// The reasons of a report's findings, by object.
fn reason<'a>(report: &'a Value, object: &str) -> Vec<&'a str> {
    let controls = report["status"]["controls"].as_array().unwrap().iter();
    let findings = controls.flat_map(|c| c["findings"].as_array().into_iter().flatten());
    let of_object = findings.filter(|f| f["object"] == object);
    of_object.map(|f| f["reason"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_tenant_put_under_a_reserved_name_is_told_in_audit_and_kept_in_the_report_when_it_is_taken_over() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(plane, "taken").await;
    let namespace = set.namespace(plane, "a").await;
    let tenant = plane.tenant(&namespace).await.unwrap();
    let policy = json!({"metadata": {"name": DENY}, "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [{}]}});
    let binding = json!({
        "metadata": {"name": VIEWERS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}],
    });
    for (kind, object) in [("NetworkPolicy", &policy), ("RoleBinding", &binding)] {
        create_as(&tenant.client, Some("tenant-tool"), kind, &namespace, object)
            .await
            .unwrap();
    }
    let intruder = Intruder {
        client: tenant.client.clone(),
        manager: "tenant-tool",
        way: Way::Update,
    };
    let labels = json!({"metadata": {"labels": {ENFORCE: "privileged"}}});
    intruder.change("Namespace", None, &namespace, &labels).await.unwrap();

    let (policy_id, binding_id, namespace_id) = (
        format!("NetworkPolicy/{DENY}"),
        format!("RoleBinding/{VIEWERS}"),
        format!("Namespace/{namespace}"),
    );
    let mut spec = everything();
    spec["mode"] = json!("Audit");
    set.baseline(spec).await;
    let report = set
        // Of what was created a moment ago a first report may not know yet.
        .report_until(&namespace, "tells what has the names of ours", |r| {
            condition(r, "Ready")["reason"] == "Drifted"
                && [&policy_id, &binding_id]
                    .iter()
                    .all(|id| reason(r, id) == ["NameTaken"])
        })
        .await;
    assert!(reason(&report, &namespace_id).contains(&"NameTaken"));
    assert_eq!(report["status"]["drift"]["total"], 0, "it was there before");
    assert!(report["status"].get("takenOver").is_none());
    settled(plane, &set).await;
    assert_eq!(writes_in(plane, mark, &namespace).len(), 0);

    set.baseline(everything()).await;
    converged(&set, &everything(), std::slice::from_ref(&namespace)).await;
    let report = set
        .report_until(&namespace, "tells of all three", |r| {
            r["status"]["takenOver"].as_array().is_some_and(|t| t.len() == 3)
        })
        .await;
    let taken = report["status"]["takenOver"].clone();
    let of = |object: &str| {
        let all = taken.as_array().unwrap();
        let entry = all.iter().find(|t| t["object"] == object).unwrap();
        assert_eq!(entry["claimedBy"], "tenant-tool", "{entry}");
        assert!(entry["taken"].is_string() && entry["claimedAt"].is_string(), "{entry}");
        serde_json::from_str::<Value>(entry["former"].as_str().unwrap()).unwrap()
    };
    assert_eq!(of(&policy_id), json!({"spec": policy["spec"]}));
    assert_eq!(
        of(&binding_id),
        json!({"roleRef": binding["roleRef"], "subjects": binding["subjects"]})
    );
    assert_eq!(
        of(&namespace_id),
        json!({format!("metadata.labels[{ENFORCE}]"): "privileged"})
    );
    assert_eq!(report["status"]["drift"]["total"], 0);

    // A later report keeps it.
    let policies = api(&tenant.client, "NetworkPolicy", Some(&namespace));
    policies.delete(DENY, &Default::default()).await.unwrap();
    let report = set
        .report_until(&namespace, "drift counted", |r| r["status"]["drift"]["repaired"] == 1)
        .await;
    assert_eq!(report["status"]["takenOver"], taken);
    quiet(
        plane,
        &set,
        std::slice::from_ref(&namespace),
        std::time::Duration::from_secs(1),
    )
    .await;
    safe(plane, mark);
}

#[tokio::test]
async fn a_forged_marker_on_an_object_under_another_name_changes_nothing() {
    let (plane, _) = shared().await;
    let (set, namespaces) = crate::oracles::holding(plane, "marker", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    let ours = get(&set.admin, "NetworkPolicy", Some(namespace), DENY).await.unwrap();
    let mark = plane.audit().mark().unwrap();
    let names = [
        "default-deny-ingress",
        "security-baseline",
        "x-security-baseline-default-deny-ingress",
    ];
    let mut made = Vec::new();
    for name in names {
        let forged = json!({
            "metadata": {"name": name, "labels": ours["metadata"]["labels"], "annotations": ours["metadata"]["annotations"]},
            "spec": {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]},
        });
        let object = create_as(&tenant.client, Some(OUR_MANAGER), "NetworkPolicy", namespace, &forged)
            .await
            .unwrap();
        made.push(object);
    }
    settled(plane, &set).await;
    assert_eq!(crate::oracles::requests(plane, &set, mark).len(), 0);
    // Nor does it when the baseline is planned anew.
    let report = set.fence(namespace, everything()).await;
    assert_eq!(report["status"]["drift"]["total"], 0);
    assert_eq!(report["status"]["inventory"].as_array().unwrap().len(), 7);
    assert_eq!(writes_in(plane, mark, namespace).len(), 0);
    for object in made {
        let name = object["metadata"]["name"].as_str().unwrap();
        let live = get(&set.admin, "NetworkPolicy", Some(namespace), name).await.unwrap();
        assert_eq!(
            live["metadata"]["resourceVersion"],
            object["metadata"]["resourceVersion"]
        );
    }
    ends_well(plane, &set, &everything(), &namespaces).await;
}
