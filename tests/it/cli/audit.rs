//! `audit`, `explain` and `tree` on a cluster.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{codes, namespace_of, reader, run};
use crate::stage::{Set, control, create, delete, everything, grant, merge, shared};

/// What is told of a namespace's controls: the control, the reason, the object and the message.
type Told = BTreeSet<[String; 4]>;

fn by_the_operator(report: &Value) -> Told {
    let mut told = Told::new();
    for control in report["status"]["controls"].as_array().unwrap() {
        for list in ["findings", "blocked", "warnings"] {
            for note in control[list].as_array().into_iter().flatten() {
                told.insert([&control["name"], &note["reason"], &note["object"], &note["message"]].map(text));
            }
        }
    }
    told
}

fn by_the_command(namespace: &Value) -> Told {
    let mut told = Told::new();
    for control in namespace["controls"].as_array().unwrap() {
        for finding in control["findings"].as_array().unwrap() {
            told.insert(
                [
                    &control["name"],
                    &finding["reason"],
                    &finding["object"],
                    &finding["message"],
                ]
                .map(text),
            );
        }
    }
    told
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn audit_tells_just_what_the_operators_report_tells() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "audit").await;
    let namespace = set.namespace(plane, "a").await;
    create(
        &set.admin,
        "NetworkPolicy",
        Some(&namespace),
        json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}}),
    )
    .await
    .unwrap();
    let mut spec = everything();
    spec["mode"] = json!("Audit");
    spec["access"]["roles"][0]["rules"] = json!([{"apiGroups": [""], "resources": ["services"], "verbs": ["delete"]}]);
    set.baseline(spec).await;
    let report = set
        .report_until(&namespace, "tells all of it", |r| {
            control(r, "networkIsolation")["findings"]
                .as_array()
                .is_some_and(|f| f.len() == 3)
        })
        .await;

    let ran = run(&reader, &["audit", "--namespace", &namespace, "--output", "json"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let found = ran.json();
    assert_eq!(
        by_the_command(namespace_of(&found, &namespace)),
        by_the_operator(&report)
    );
    assert_eq!(
        found["source"]["configuration"],
        "ConfigMap security-baseline-system/security-baseline-operator"
    );
    let codes = codes(&found);
    for code in [
        "SB-NET-001",
        "SB-NET-008",
        "SB-PSS-001",
        "SB-QTA-001",
        "SB-LIM-001",
        "SB-RBA-101",
        "SB-RBA-102",
    ] {
        assert!(codes.iter().any(|c| c == code), "{code}: {codes:?}");
    }
    let table = run(&reader, &["audit", "-n", &namespace]).await;
    assert!(
        table.out.contains("SB-NET-008") && table.out.contains("NetworkPolicy/open"),
        "{}",
        table.out
    );
    let zero = run(&reader, &["audit", "-n", &namespace, "--exit-zero"]).await;
    assert_eq!((zero.code, zero.out.lines().count()), (0, table.out.lines().count()));
}

#[tokio::test]
async fn audit_is_clean_where_all_is_as_declared_and_sees_drift_that_is_only_audited() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "clean").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(everything()).await;
    set.until_enforced(1).await;
    set.report_until(&namespace, "is compliant", |r| {
        r["status"]["conditions"][0]["reason"] == "Compliant"
    })
    .await;
    let args = ["audit", "-n", &namespace, "-o", "json"];
    let clean = run(&reader, &args).await;
    assert_eq!(clean.code, 0, "{}{}", clean.out, clean.err);
    assert_eq!(clean.json()["summary"]["compliant"], 1);

    let mut spec = everything();
    spec["mode"] = json!("Audit");
    set.baseline(spec).await;
    set.until("Ready", "True").await;
    delete(
        &set.admin,
        "NetworkPolicy",
        Some(&namespace),
        "security-baseline-default-deny-ingress",
    )
    .await;
    merge(
        &set.admin,
        "ResourceQuota",
        Some(&namespace),
        "security-baseline-compute",
        json!({"spec": {"hard": {"pods": "5000"}}}),
    )
    .await
    .unwrap();
    let drifted = run(&reader, &args).await;
    assert_eq!(
        (drifted.code, codes(namespace_of(&drifted.json(), &namespace))),
        (1, vec!["SB-NET-005".to_owned(), "SB-QTA-004".to_owned()])
    );
    let found = drifted.json();
    let quota = namespace_of(&found, &namespace)["controls"].as_array().unwrap().iter();
    let quota = quota.clone().find(|c| c["name"] == "resourceQuotas").unwrap();
    let field = &quota["findings"][0]["fields"][0];
    assert_eq!(
        (&field["path"], &field["claimedBy"]),
        (&json!("spec.hard.pods"), &json!("somebody"))
    );
}

#[tokio::test]
async fn explain_says_who_set_what_who_asked_for_less_what_is_waived_and_what_to_do() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "explain").await;
    let namespace = set.namespace(plane, "a").await;
    let quota = |pods: i64| json!({"items": [{"name": "compute", "hard": {"pods": pods}}]});
    let other = format!("{}-strict", set.name);
    set.baseline(
        json!({"mode": "Enforce", "resourceQuotas": quota(50), "networkIsolation": {"defaultDeny": ["Ingress"]}}),
    )
    .await;
    set.baseline_named(&other, json!({"mode": "Enforce", "resourceQuotas": quota(10),
        "access": {"bindings": [{"name": "x", "clusterRole": "no-such-role", "subjects": [{"kind": "Group", "name": "g"}]}]}}))
        .await
        .unwrap();
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5);
    create(
        &set.admin,
        "BaselineException",
        None,
        json!({"metadata": {"name": &set.name}, "spec": {"namespaces": [&namespace], "reason": "a test", "approver": "nobody",
            "expiresAt": expires.to_string(), "waive": [{"control": "networkIsolation"}]}}),
    )
    .await
    .unwrap();
    set.report_until(&namespace, "has all of it", |r| {
        control(r, "access")["blocked"][0]["object"] == "RoleBinding/security-baseline-x"
            && control(r, "networkIsolation")["waived"].is_array()
    })
    .await;

    let ran = run(&reader, &["explain", &namespace]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let line = |what: &str| {
        let mut lines = ran.out.lines();
        lines
            .find(|line| line.contains(what))
            .unwrap_or_else(|| panic!("{what}: {}", ran.out))
            .to_owned()
    };
    let pods = line("compute/pods");
    assert!(
        pods.contains(" 10 ") && pods.contains(&other) && pods.contains(&format!("{} (50)", set.name)),
        "{pods}"
    );
    assert!(line("waived: networkIsolation").contains(&set.name));
    assert!(
        line("RoleBinding/security-baseline-x").contains("SB-RBA-"),
        "{}",
        ran.out
    );
    let held = line("held by");
    assert!(held.contains(&set.name) && held.contains(&other), "{held}");

    let tree = run(&reader, &["tree", &other, "-n", &namespace]).await;
    assert_eq!(tree.code, 1, "{}", tree.err);
    let quota = tree
        .out
        .lines()
        .find(|line| line.contains("ResourceQuota/security-baseline-compute"));
    assert_eq!(quota, None, "the older baseline is its owner: {}", tree.out);
    assert!(tree.out.contains("RoleBinding/security-baseline-x"), "{}", tree.out);
    // What is found elsewhere is not this one's.
    let well = format!("{}-well", set.name);
    let selects = json!({"matchLabels": {"kubernetes.io/metadata.name": format!("{}-nobodys", set.name)}});
    set.baseline_named(
        &well,
        json!({"namespaceSelector": selects, "networkIsolation": {"defaultDeny": ["Ingress"]}}),
    )
    .await
    .unwrap();
    let tree = run(&reader, &["tree", &well]).await;
    assert_eq!(tree.code, 0, "{}{}", tree.out, tree.err);
    let whole = run(&reader, &["tree", "-n", &namespace]).await;
    assert!(
        whole
            .out
            .contains("ResourceQuota/security-baseline-compute as declared"),
        "{}",
        whole.out
    );

    let exceptions = run(&reader, &["exceptions", "-n", &namespace]).await;
    assert_eq!(exceptions.code, 0, "{}{}", exceptions.out, exceptions.err);
    let told = exceptions.out.lines().find(|line| line.starts_with(&set.name)).unwrap();
    for part in ["Active", "nobody", "a test"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // By the second in which it is asked.
    assert!(told.contains("4h59m") || told.contains("5h0m"), "{told}");
}

#[tokio::test]
async fn a_namespace_that_nothing_selects_and_one_that_is_not_there_are_told_apart() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let free = crate::support::unique("free");
    plane.namespace(&free, &[]).await.unwrap();
    let ran = run(&reader, &["explain", &free]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("no SecurityBaseline selects it"), "{}", ran.out);
    let system = run(&reader, &["explain", "kube-system"]).await;
    assert!(system.out.contains("excludedNamespaces"), "{}", system.out);
    let none = run(&reader, &["explain", "no-such-namespace"]).await;
    assert_eq!(none.code, 2);
    assert!(
        none.err.contains("there is no namespace no-such-namespace"),
        "{}",
        none.err
    );
}
