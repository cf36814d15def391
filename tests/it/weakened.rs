//! Objects of others that undo a control are told, and left alone.

use serde_json::{Value, json};

use crate::oracles::{ends_quietly, ends_well, holding, requests, settled};
use crate::stage::{Set, condition, control, create, delete, everything, merge, metric, shared};

const POLICY: &str = "NetworkPolicy";

async fn policy(set: &Set, namespace: &str, name: &str, spec: Value) {
    let object = json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec});
    create(&set.admin, POLICY, Some(namespace), object).await.unwrap();
}

fn told<'a>(report: &'a Value, section: &str, list: &str) -> Vec<(&'a str, &'a str)> {
    let notes = control(report, section)[list].as_array();
    let notes = notes.into_iter().flatten();
    notes
        .map(|n| (n["object"].as_str().unwrap(), n["reason"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_tenants_policy_that_allows_everything_is_told_as_weakened_and_never_deleted() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "weakened", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    let mark = plane.audit().mark().unwrap();

    let open =
        json!({"metadata": {"name": "open", "namespace": namespace}, "spec": {"podSelector": {}, "ingress": [{}]}});
    create(&tenant.client, POLICY, Some(namespace), open).await.unwrap();
    let report = set
        .report_until(namespace, "tells that it is weakened", |r| {
            condition(r, "Ready")["reason"] == "Weakened"
        })
        .await;
    assert_eq!(
        told(&report, "networkIsolation", "findings"),
        [("NetworkPolicy/open", "Weakened")]
    );
    assert_eq!(control(&report, "networkIsolation")["state"], "Weakened");
    assert_eq!(
        condition(&report, "Drifted")["status"],
        "False",
        "nothing of ours was changed"
    );
    let baseline = set
        .baseline_until(&set.name, "counts it", |b| b["status"]["namespaces"]["weakened"] == 1)
        .await;
    assert_eq!(condition(&baseline, "Degraded")["reason"], "Weakened");
    assert_eq!(
        condition(&baseline, "Ready")["status"],
        "True",
        "one tenant does not halt the others"
    );
    assert!(
        condition(&baseline, "Degraded")["message"]
            .as_str()
            .unwrap()
            .contains("NetworkPolicy/open")
    );

    settled(plane, &set).await;
    let writes = requests(plane, &set, mark);
    assert!(
        writes.iter().all(|r| r.resource != "networkpolicies"),
        "it is not ours to delete, nor is anything else to be written"
    );
    delete(&tenant.client, POLICY, Some(namespace), "open").await;
    set.report_until(namespace, "is ready again", |r| {
        condition(r, "Ready")["status"] == "True"
    })
    .await;
    ends_well(plane, &set, &everything(), &namespaces).await;
}

#[tokio::test]
async fn what_undoes_an_enforced_section_is_told_beside_a_drift_of_an_audited_one() {
    let (plane, stage) = shared().await;
    let mut spec = everything();
    spec["resourceQuotas"]["mode"] = json!("Audit");
    let (set, namespaces) = holding(plane, "beside", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    set.baseline(spec.clone()).await;
    set.until("Ready", "True").await;
    delete(
        &set.admin,
        "ResourceQuota",
        Some(namespace),
        "security-baseline-compute",
    )
    .await;
    policy(&set, namespace, "open", json!({"podSelector": {}, "ingress": [{}]})).await;
    let baseline = set
        .baseline_until(&set.name, "tells both", |b| {
            b["status"]["namespaces"]["drifted"] == 1 && b["status"]["weakened"]["total"] == 1
        })
        .await;
    assert_eq!(condition(&baseline, "Drifted")["status"], "True");
    let degraded = condition(&baseline, "Degraded");
    assert_eq!(degraded["reason"], "Weakened");
    assert!(
        degraded["message"].as_str().unwrap().contains("NetworkPolicy/open"),
        "{degraded}"
    );
    let weakened = format!("security_baseline_weakened_namespaces{{baseline=\"{}\"}}", set.name);
    assert_eq!(metric(&stage.operator, &weakened).await, 1);
    delete(&set.admin, POLICY, Some(namespace), "open").await;
    set.until("Degraded", "False").await;
    set.baseline(everything()).await;
    ends_well(plane, &set, &everything(), &namespaces).await;
}

#[tokio::test]
async fn what_opens_everything_is_told_apart_from_what_opens_a_part_and_from_what_is_narrow() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "opened", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let all = json!({});
    let web = json!({"matchLabels": {"app": "web"}});
    for (name, spec) in [
        (
            "a-halves",
            json!({"podSelector": all, "policyTypes": ["Egress"], "egress": [{"to": [
                {"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "128.0.0.0/1"}},
            ]}]}),
        ),
        (
            "a-namespaces",
            json!({"podSelector": all, "ingress": [{"from": [{"namespaceSelector": {}}]}]}),
        ),
        (
            "a-v6",
            json!({"podSelector": all, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "::/0"}}]}]}),
        ),
        (
            "b-ports",
            json!({"podSelector": all, "ingress": [{"ports": [{"port": 443}]}]}),
        ),
        ("b-web", json!({"podSelector": web, "ingress": [{}]})),
        (
            "b-but-one",
            json!({"podSelector": all, "policyTypes": ["Egress"], "egress": [{"to": [
                {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.0.2.1/32"]}},
            ]}]}),
        ),
        (
            "c-half",
            json!({"podSelector": all, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/1"}}]}]}),
        ),
        (
            "c-monitoring",
            json!({"podSelector": all, "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}]}]}),
        ),
    ] {
        policy(&set, namespace, name, spec).await;
    }
    let report = set
        .report_until(namespace, "tells all of them", |r| {
            told(r, "networkIsolation", "findings").len() == 3 && told(r, "networkIsolation", "warnings").len() == 3
        })
        .await;
    assert_eq!(
        told(&report, "networkIsolation", "findings"),
        ["a-halves", "a-namespaces", "a-v6"]
            .map(|n| (format!("NetworkPolicy/{n}"), "Weakened"))
            .each_ref()
            .map(|(n, r)| (n.as_str(), *r))
    );
    assert_eq!(
        told(&report, "networkIsolation", "warnings"),
        ["b-but-one", "b-ports", "b-web"]
            .map(|n| (format!("NetworkPolicy/{n}"), "WeakenedInPart"))
            .each_ref()
            .map(|(n, r)| (n.as_str(), *r))
    );
    ends_quietly(plane, &set, &namespaces).await;
}

#[tokio::test]
async fn a_binding_of_a_wide_group_to_admin_is_told_and_one_of_a_team_is_not() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "wide", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    for (name, group) in [("everybody", "system:authenticated"), ("team", "team-a")] {
        let binding = json!({
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
        });
        create(&set.admin, "RoleBinding", Some(namespace), binding)
            .await
            .unwrap();
    }
    let report = set
        .report_until(namespace, "tells that access is undone", |r| {
            condition(r, "Ready")["reason"] == "Weakened"
        })
        .await;
    assert_eq!(
        told(&report, "access", "findings"),
        [("RoleBinding/everybody", "Weakened")]
    );
    delete(&set.admin, "RoleBinding", Some(namespace), "everybody").await;
    set.report_until(namespace, "is ready again", |r| {
        condition(r, "Ready")["status"] == "True"
    })
    .await;
    ends_well(plane, &set, &everything(), &namespaces).await;
}

#[tokio::test]
async fn what_undoes_a_control_from_behind_a_reserved_name_that_nobody_asks_for_is_told() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "reserved", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    let open = json!({
        "metadata": {"name": "security-baseline-mine", "namespace": namespace},
        "spec": {"podSelector": {}, "ingress": [{}]},
    });
    create(&tenant.client, POLICY, Some(namespace), open).await.unwrap();
    let everybody = json!({
        "metadata": {"name": "security-baseline-everybody", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"}],
    });
    create(&tenant.client, "RoleBinding", Some(namespace), everybody)
        .await
        .unwrap();
    let report = set
        .report_until(namespace, "tells both", |r| {
            told(r, "networkIsolation", "findings").len() == 1 && told(r, "access", "findings").len() == 1
        })
        .await;
    assert_eq!(
        (
            told(&report, "networkIsolation", "findings"),
            told(&report, "access", "findings")
        ),
        (
            vec![("NetworkPolicy/security-baseline-mine", "Weakened")],
            vec![("RoleBinding/security-baseline-everybody", "Weakened")],
        )
    );
    // Under a name that is asked for it is no weakening, but drift, and repaired.
    let deny = "security-baseline-default-deny-ingress";
    delete(&tenant.client, POLICY, Some(namespace), "security-baseline-mine").await;
    delete(
        &tenant.client,
        "RoleBinding",
        Some(namespace),
        "security-baseline-everybody",
    )
    .await;
    merge(
        &tenant.client,
        POLICY,
        Some(namespace),
        deny,
        json!({"spec": {"ingress": [{}]}}),
    )
    .await
    .unwrap();
    let report = set
        .report_until(namespace, "is ready again, and tells the drift", |r| {
            condition(r, "Ready")["status"] == "True" && r["status"]["drift"]["repaired"] == 1
        })
        .await;
    assert_eq!(report["status"]["drift"]["total"], 1);
    ends_well(plane, &set, &everything(), &namespaces).await;
}

#[tokio::test]
async fn what_undoes_a_direction_that_nobody_denies_is_nothing() {
    let (plane, _) = shared().await;
    let spec = json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    let (set, namespaces) = holding(plane, "one-way", &spec, 1).await;
    let namespace = namespaces[0].as_str();
    let out = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]});
    policy(&set, namespace, "out", out).await;
    policy(&set, namespace, "in", json!({"podSelector": {}, "ingress": [{}]})).await;
    let report = set
        .report_until(namespace, "tells the one that matters", |r| {
            condition(r, "Ready")["reason"] == "Weakened"
        })
        .await;
    assert_eq!(
        told(&report, "networkIsolation", "findings"),
        [("NetworkPolicy/in", "Weakened")]
    );
    ends_quietly(plane, &set, &namespaces).await;
}

#[tokio::test]
async fn what_cannot_be_seen_from_here_is_said_in_the_status_of_a_baseline_that_isolates() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "unseen").await;
    set.baseline(json!({"networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    let baseline = set.until("Ready", "True").await;
    let warnings = baseline["status"]["warnings"].as_array().unwrap();
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert_eq!(warning["path"], "spec.networkIsolation");
    let warning = warning["message"].as_str().unwrap();
    for told in [
        "NotVisible: ",
        "the cluster's network plugin",
        "policies of its own kinds",
        "the host's network",
    ] {
        assert!(warning.contains(told), "{told}: {warning}");
    }
    // Of what is seen, nothing is said.
    set.baseline(json!({"podSecurity": {"enforce": {"level": "baseline"}}}))
        .await;
    let baseline = set.until("Ready", "True").await;
    assert_eq!(baseline["status"]["warnings"], Value::Null);
}
