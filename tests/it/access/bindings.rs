//! Bindings whose role or subjects change, by the baseline or by a tenant.

use serde_json::{Value, json};

use super::{RBAC, blocked, bound, message, role, rule};
use crate::oracles::ends_well;
use crate::stage::{SOON, Set, create, delete, grant, merge, shared, writes_in};
use crate::support::eventually;

#[tokio::test]
async fn a_binding_gets_another_role_only_after_the_new_one_was_tried_out() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "ref").await;
    let namespace = set.namespace(plane, "a").await;
    let name = "security-baseline-viewers";
    set.baseline(bound("view")).await;
    set.until_enforced(1).await;
    let before = set.present("RoleBinding", &namespace, name).await;

    // To what is refused: the old one stays, and not a moment without it.
    let mark = plane.audit().mark().unwrap();
    set.baseline(bound("edit")).await;
    let note = blocked(&set, &namespace, &format!("RoleBinding/{name}")).await;
    assert_eq!(note["reason"], "GrantRefused");
    let live = set.present("RoleBinding", &namespace, name).await;
    assert_eq!(live["metadata"]["uid"], before["metadata"]["uid"]);
    let deleted: Vec<_> = writes_in(plane, mark, &namespace);
    assert!(deleted.iter().all(|w| w.verb != "delete"), "{deleted:?}");

    // To what is not: tried out, deleted, created. (A last trial of the refused one may still come in between.)
    let mark = plane.audit().mark().unwrap();
    let mut spec = role(json!([rule("apps", "deployments", &["get"])]));
    spec["access"]["bindings"] =
        json!([{"name": "viewers", "role": "worker", "subjects": [{"kind": "Group", "name": "auditors"}]}]);
    set.baseline(spec.clone()).await;
    let after = set
        .object_until("RoleBinding", &namespace, name, "binds the role", |b| {
            b["roleRef"]["kind"] == "Role"
        })
        .await;
    assert_eq!(after["subjects"][0]["name"], "auditors");
    let requests = eventually("the creation is logged", SOON, async || {
        let mut requests = plane.audit().since(mark)?;
        requests.retain(|r| {
            r.resource == "rolebindings"
                && r.namespace.as_deref() == Some(&namespace)
                && r.verb != "get"
                && r.code != 403
        });
        anyhow::ensure!(
            requests.iter().any(|r| r.verb == "create" && r.is_write()),
            "{requests:?}"
        );
        Ok(requests)
    })
    .await
    .unwrap();
    assert_eq!(requests.len(), 3, "{requests:?}");
    let (trial, deletion, creation) = (&requests[0], &requests[1], &requests[2]);
    assert!(trial.verb == "create" && trial.uri.contains("dryRun=All"), "{trial:?}");
    let metadata = &trial.body.as_ref().unwrap()["metadata"];
    assert!(
        metadata["generateName"].is_string() && metadata["name"].is_null(),
        "{trial:?}"
    );
    assert_eq!(
        (deletion.verb.as_str(), deletion.name.as_deref()),
        ("delete", Some(name))
    );
    assert_eq!(
        deletion.body.as_ref().unwrap()["preconditions"]["uid"],
        before["metadata"]["uid"]
    );
    assert_eq!((creation.verb.as_str(), creation.code), ("create", 201));
    set.until_enforced(1).await;
    ends_well(plane, &set, &spec, &[namespace]).await;
}

#[tokio::test]
async fn a_tenant_can_change_neither_whom_a_binding_is_for_nor_what_it_binds() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "tenant").await;
    let namespace = set.namespace(plane, "a").await;
    let name = "security-baseline-viewers";
    set.baseline(bound("view")).await;
    set.until_enforced(1).await;
    let tenant = plane.tenant(&namespace).await.unwrap();
    let ours = |b: &Value| b["roleRef"]["name"] == "view" && b["subjects"].as_array().is_some_and(|s| s.len() == 1);

    let me = json!({"subjects": [
        {"kind": "Group", "name": "auditors", "apiGroup": RBAC},
        {"kind": "User", "name": "mallory", "apiGroup": RBAC},
    ]});
    merge(&tenant.client, "RoleBinding", Some(&namespace), name, me)
        .await
        .unwrap();
    set.object_until("RoleBinding", &namespace, name, "is for auditors alone", ours)
        .await;

    let version = |b: &Value| b["metadata"]["uid"].clone();
    let theirs = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "User", "name": "mallory", "apiGroup": RBAC}],
    });
    // Suspended, since the operator is as fast as the tenant: it would be back before the tenant's own is made.
    let mut suspended = bound("view");
    suspended["suspend"] = json!(true);
    set.baseline(suspended).await;
    set.until("Stalled", "True").await;
    delete(&tenant.client, "RoleBinding", Some(&namespace), name).await;
    let made = create(&tenant.client, "RoleBinding", Some(&namespace), theirs)
        .await
        .unwrap();
    set.baseline(bound("view")).await;
    let live = set
        .object_until("RoleBinding", &namespace, name, "is ours again", ours)
        .await;
    assert_ne!(version(&live), version(&made));
    set.report_until(&namespace, "records the drift", |r| {
        let records = r["status"]["drift"]["records"].as_array();
        records.is_some_and(|all| all.iter().any(|d| d["path"].as_str().unwrap().starts_with("roleRef")))
    })
    .await;
    ends_well(plane, &set, &bound("view"), &[namespace]).await;
}

/// A tenant who is admin of its namespace may put a finalizer on the binding.
#[tokio::test]
async fn a_binding_that_somebody_keeps_from_being_deleted_is_told_and_is_not_hammered_at() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "kept").await;
    let (namespace, other) = (set.namespace(plane, "a").await, set.namespace(plane, "b").await);
    let name = "security-baseline-viewers";
    set.baseline(bound("view")).await;
    set.until_enforced(2).await;
    let tenant = plane.tenant(&namespace).await.unwrap();
    let held = json!({"metadata": {"finalizers": ["test.example.com/hold"]}});
    merge(&tenant.client, "RoleBinding", Some(&namespace), name, held)
        .await
        .unwrap();

    let mark = plane.audit().mark().unwrap();
    let mut spec = role(json!([rule("apps", "deployments", &["get"])]));
    spec["access"]["bindings"] =
        json!([{"name": "viewers", "role": "worker", "subjects": [{"kind": "Group", "name": "auditors"}]}]);
    set.baseline(spec.clone()).await;
    let note = blocked(&set, &namespace, &format!("RoleBinding/{name}")).await;
    assert_eq!(note["reason"], "HeldByFinalizer");
    assert!(message(&note).contains("test.example.com/hold"), "{note}");
    set.object_until("RoleBinding", &other, name, "binds the role", |b| {
        b["roleRef"]["kind"] == "Role"
    })
    .await;
    set.fence(&other, spec.clone()).await;
    let deletions = plane.audit().writes_since(mark).unwrap();
    let deletions = deletions
        .iter()
        .filter(|w| w.verb == "delete" && w.namespace.as_deref() == Some(&namespace));
    assert!(deletions.count() <= 4, "it backs off");

    let free = json!({"metadata": {"finalizers": null}});
    merge(&tenant.client, "RoleBinding", Some(&namespace), name, free)
        .await
        .unwrap();
    set.object_until("RoleBinding", &namespace, name, "binds the role", |b| {
        b["roleRef"]["kind"] == "Role"
    })
    .await;
    set.until_enforced(2).await;
    ends_well(plane, &set, &spec, &[namespace, other]).await;
}
