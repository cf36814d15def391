//! Roles and RoleBindings: what is handed out, what is held, and how a binding's role changes.

mod bindings;

use serde_json::{Value, json};

use crate::oracles::ends_well;
use crate::stage::{Set, condition, control, create, delete, get, grant, shared};
use crate::support::{ControlPlane, unique};

const RBAC: &str = "rbac.authorization.k8s.io";

fn rule(group: &str, resource: &str, verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [resource], "verbs": verbs})
}

/// A baseline of one role and a binding to it.
fn role(rules: Value) -> Value {
    json!({"mode": "Enforce", "access": {
        "roles": [{"name": "worker", "rules": rules}],
        "bindings": [{"name": "workers", "role": "worker", "subjects": [{"kind": "Group", "name": "{namespace}:workers"}]}],
    }})
}

/// A baseline of one binding to a ClusterRole.
fn bound(cluster_role: &str) -> Value {
    json!({"mode": "Enforce", "access": {
        "bindings": [{"name": "viewers", "clusterRole": cluster_role, "subjects": [{"kind": "Group", "name": "auditors"}]}],
    }})
}

/// Lets the operator hand out these rules, as an administrator does.
async fn grantable(plane: &ControlPlane, rules: Value) -> String {
    let name = unique("grantable");
    let object = json!({
        "metadata": {"name": name, "labels": {"securitybaseline.dev/aggregate-to-grantable": "true"}},
        "rules": rules,
    });
    create(&plane.admin().await.unwrap(), "ClusterRole", None, object)
        .await
        .unwrap();
    name
}

/// Waits until the access section of a namespace's report is blocked, and answers what it says of an object.
async fn blocked(set: &Set, namespace: &str, object: &str) -> Value {
    let find = |r: &Value| {
        let notes = control(r, "access")["blocked"].as_array()?;
        notes.iter().find(|n| n["object"] == object).cloned()
    };
    let report = set.report_until(namespace, "is blocked", |r| find(r).is_some()).await;
    find(&report).unwrap()
}

fn message(note: &Value) -> &str {
    note["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_role_and_its_bindings_are_created_with_the_namespaces_name_filled_in() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "roles").await;
    let namespace = set.namespace(plane, "a").await;
    let mut spec = role(json!([rule("apps", "deployments", &["get", "list"])]));
    spec["access"]["bindings"] = json!([
        {"name": "workers", "role": "worker", "subjects": [
            {"kind": "Group", "name": "team:{namespace}:workers"},
            {"kind": "ServiceAccount", "name": "deployer", "namespace": "{namespace}"},
            {"kind": "User", "name": "jane"},
        ]},
        {"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "system:serviceaccounts"}]},
    ]);
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let role = set.present("Role", &namespace, "security-baseline-worker").await;
    assert_eq!(role["rules"], json!([rule("apps", "deployments", &["get", "list"])]));
    let workers = set
        .present("RoleBinding", &namespace, "security-baseline-workers")
        .await;
    assert_eq!(
        workers["roleRef"],
        json!({"apiGroup": RBAC, "kind": "Role", "name": "security-baseline-worker"})
    );
    assert_eq!(
        workers["subjects"],
        json!([
            {"kind": "Group", "apiGroup": RBAC, "name": format!("team:{namespace}:workers")},
            {"kind": "ServiceAccount", "name": "deployer", "namespace": namespace},
            {"kind": "User", "apiGroup": RBAC, "name": "jane"},
        ])
    );
    // A name that the baseline itself writes with system: is meant.
    let viewers = set
        .present("RoleBinding", &namespace, "security-baseline-viewers")
        .await;
    assert_eq!(viewers["roleRef"]["name"], "view");
    assert_eq!(viewers["subjects"][0]["name"], "system:serviceaccounts");
    ends_well(plane, &set, &spec, &[namespace]).await;
}

#[tokio::test]
async fn a_role_beyond_what_may_be_granted_is_held_until_it_may_and_the_old_one_stays() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "held").await;
    let namespace = set.namespace(plane, "a").await;
    let old = json!([rule("apps", "deployments", &["get"])]);
    set.baseline(role(old.clone())).await;
    set.until_enforced(1).await;
    let before = set.present("Role", &namespace, "security-baseline-worker").await;

    // A group that no other test grants.
    let group = format!("{}.example.com", set.name);
    let more = json!([
        rule("apps", "deployments", &["get"]),
        rule(&group, "widgets", &["get", "update"])
    ]);
    set.baseline(role(more.clone())).await;
    let note = blocked(&set, &namespace, "Role/security-baseline-worker").await;
    assert_eq!(note["reason"], "GrantRefused");
    for part in [
        group.as_str(),
        "widgets",
        "get",
        "update",
        "securitybaseline.dev/aggregate-to-grantable",
    ] {
        assert!(message(&note).contains(part), "{part} in {note}");
    }
    assert!(
        !message(&note).contains("deployments"),
        "only what is missing is told: {note}"
    );
    let status = set
        .baseline_until(&set.name, "tells the blocked namespace", |b| {
            b["status"]["blocked"]["total"] == 1
        })
        .await;
    let item = &status["status"]["blocked"]["items"][0];
    assert_eq!(
        (&item["namespace"], &item["reason"]),
        (&json!(namespace), &json!("GrantRefused"))
    );
    assert!(message(item).contains(&group), "{item}");
    assert_eq!(condition(&status, "Degraded")["status"], "True");
    let live = set.present("Role", &namespace, "security-baseline-worker").await;
    assert_eq!(live["rules"], old);
    set.present("RoleBinding", &namespace, "security-baseline-workers")
        .await;

    grantable(plane, json!([rule(&group, "widgets", &["get", "update"])])).await;
    let live = set
        .object_until("Role", &namespace, "security-baseline-worker", "has the rules", |r| {
            r["rules"] == more
        })
        .await;
    assert_eq!(live["metadata"]["uid"], before["metadata"]["uid"]);
    set.until_enforced(1).await;
    ends_well(plane, &set, &role(more), &[namespace]).await;
}

#[tokio::test]
async fn writing_what_is_enforced_is_handed_out_only_by_a_rule_that_names_it() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "enforced").await;
    let namespace = set.namespace(plane, "a").await;
    // The operator holds this itself; and `*` does not mean it.
    grantable(
        plane,
        json!([rule("*", "*", &["get", "list", "watch"]), rule("policy", "*", &["*"])]),
    )
    .await;
    for (group, resource, verb) in [
        ("networking.k8s.io", "networkpolicies", "update"),
        ("", "resourcequotas", "delete"),
        ("", "namespaces", "patch"),
        (RBAC, "rolebindings", "create"),
    ] {
        set.baseline(role(json!([rule(group, resource, &[verb])]))).await;
        let report = set
            .report_until(&namespace, "tells the missing rule", |r| {
                let note = &control(r, "access")["blocked"][0];
                note["reason"] == "GrantRefused" && message(note).contains(resource) && message(note).contains(verb)
            })
            .await;
        assert_eq!(
            control(&report, "access")["blocked"][1]["reason"],
            "RoleHeld",
            "{report}"
        );
        assert!(
            get(&set.admin, "Role", Some(&namespace), "security-baseline-worker")
                .await
                .is_none()
        );
    }
    // Reading it is no way around it, and is covered by `*`.
    set.baseline(role(json!([rule(
        "networking.k8s.io",
        "networkpolicies",
        &["get", "list"]
    )])))
    .await;
    set.present("Role", &namespace, "security-baseline-worker").await;

    let name = grantable(plane, json!([rule("", "resourcequotas", &["delete"])])).await;
    set.baseline(role(json!([rule("", "resourcequotas", &["delete"])])))
        .await;
    set.object_until("Role", &namespace, "security-baseline-worker", "has the rule", |r| {
        r["rules"][0]["verbs"] == json!(["delete"])
    })
    .await;
    delete(&set.admin, "ClusterRole", None, &name).await;
    blocked(&set, &namespace, "Role/security-baseline-worker").await;
}

#[tokio::test]
async fn a_cluster_role_that_may_not_be_bound_or_is_not_there_is_told_with_what_to_do() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "bind").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(bound("edit")).await;
    let note = blocked(&set, &namespace, "RoleBinding/security-baseline-viewers").await;
    assert_eq!(note["reason"], "GrantRefused");
    assert!(message(&note).contains("security-baseline-operator:bind"), "{note}");

    let missing = unique("missing");
    set.baseline(bound(&missing)).await;
    let told = |r: &Value| message_of_first(r).is_some_and(|m| m.contains(&missing));
    let report = set
        .report_until(&namespace, "names the missing ClusterRole", told)
        .await;
    let note = &control(&report, "access")["blocked"][0];
    assert_eq!(note["object"], "RoleBinding/security-baseline-viewers", "{report}");
    assert_eq!(note["reason"], "RoleNotFound", "{report}");
    set.until("Stalled", "True").await;
    // Made, with no more than may be granted, it is bound without anybody's help.
    let empty = json!({"metadata": {"name": missing}, "rules": []});
    create(&set.admin, "ClusterRole", None, empty).await.unwrap();
    set.present("RoleBinding", &namespace, "security-baseline-viewers")
        .await;
    set.until_enforced(1).await;
    ends_well(plane, &set, &bound(&missing), &[namespace]).await;
}

fn message_of_first(report: &Value) -> Option<&str> {
    control(report, "access")["blocked"][0]["message"].as_str()
}

/// The test needs a namespace of this very name, so there is one such test.
#[tokio::test]
async fn a_namespace_called_system_does_not_make_anybody_a_master() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "masters").await;
    plane
        .namespace("system", &[(crate::stage::LABEL, &set.name)])
        .await
        .unwrap();
    let mut spec = bound("view");
    let subjects = |name: &str| json!([{"kind": "Group", "name": name}]);
    spec["access"]["bindings"] = json!([
        {"name": "masters", "clusterRole": "view", "subjects": subjects("{namespace}:masters")},
        {"name": "nodes", "clusterRole": "view", "subjects": subjects("{namespace}:nodes")},
        {"name": "fine", "clusterRole": "view", "subjects": subjects("team:{namespace}")},
    ]);
    set.baseline(spec).await;
    for name in ["masters", "nodes"] {
        let note = blocked(&set, "system", &format!("RoleBinding/security-baseline-{name}")).await;
        assert_eq!(note["reason"], "SystemSubject");
        assert!(message(&note).contains(&format!("system:{name}")), "{note}");
    }
    set.present("RoleBinding", "system", "security-baseline-fine").await;
    for name in ["masters", "nodes"] {
        let name = format!("security-baseline-{name}");
        assert!(get(&set.admin, "RoleBinding", Some("system"), &name).await.is_none());
    }
}
