//! What holds of every kind: objects that are as asked for, but for one thing.

use serde_json::{Value, json};

use super::*;
use crate::controls::kinds;
use crate::controls::testing::live;
use crate::core::object::{Child, ChildKind};

/// Fields that use all that a kind has.
fn sample(kind: &ChildKind) -> Value {
    match kind.kind {
        "NetworkPolicy" => json!({"spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}]}],
        }}),
        "ResourceQuota" => json!({"spec": {"hard": {"pods": "5"}, "scopes": ["NotBestEffort"]}}),
        "LimitRange" => json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}),
        "Role" => json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        "RoleBinding" => json!({
            "roleRef": {"kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "Group", "name": "auditors"}],
        }),
        other => panic!("a sample of {other} belongs here"),
    }
}

/// Whether a live object is weaker than the sample of its kind, after this change.
fn after(kind: &'static ChildKind, change: impl FnOnce(&mut Value)) -> bool {
    let mut object = live(kind, sample(kind));
    change(&mut object);
    let asked = Child::new(kind, "component", "name", sample(kind)).canonical().clone();
    (kind.weaker)(&asked, &Canonical::of(kind, &object))
}

#[test]
fn an_object_that_is_as_asked_for_is_not_weaker() {
    for kind in kinds() {
        assert!(!after(kind, |_| {}), "{kind:?}");
    }
}

#[test]
fn our_labels_and_annotations_and_what_is_not_ours_do_not_make_an_object_weaker() {
    for kind in kinds() {
        assert!(
            !after(kind, |o| o["metadata"]["labels"] = json!({"team": "a"})),
            "{kind:?}"
        );
        assert!(!after(kind, |o| o["metadata"]["annotations"] = Value::Null), "{kind:?}");
        assert!(
            !after(kind, |o| o["metadata"]["finalizers"] = json!(["example.com/hold"])),
            "{kind:?}"
        );
        assert!(
            !after(kind, |o| o["status"] = json!({"used": {"pods": "9"}})),
            "{kind:?}"
        );
    }
}

#[test]
fn an_object_that_the_garbage_collector_may_take_is_weaker() {
    for kind in kinds() {
        for owners in [
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "bait", "uid": "dead"}]),
            json!([{}]),
            json!("?"),
        ] {
            assert!(after(kind, |o| o["metadata"]["ownerReferences"] = owners), "{kind:?}");
        }
        assert!(
            !after(kind, |o| o["metadata"]["ownerReferences"] = json!([])),
            "{kind:?}"
        );
    }
}

#[test]
fn an_object_that_lost_what_it_protects_with_is_weaker_and_one_that_lost_what_it_grants_is_not() {
    for kind in kinds() {
        for field in kind.fields {
            let grants = kind.grants.contains(field);
            for nothing in [json!(null), json!([])] {
                assert_eq!(after(kind, |o| o[*field] = nothing), !grants, "{kind:?} {field}");
            }
            for garbage in [
                json!({}),
                json!("?"),
                json!(7),
                json!([{}]),
                json!({"unknown": "field"}),
            ] {
                assert!(
                    after(kind, |o| o[*field] = garbage.clone()),
                    "{kind:?} {field} {garbage}"
                );
            }
        }
    }
}

#[test]
fn a_field_that_this_version_does_not_know_may_be_one_that_weakens() {
    for kind in kinds() {
        let inner = match kind.fields[0] {
            "rules" => "/rules/0",
            field => &format!("/{field}"),
        };
        let change = |o: &mut Value| o.pointer_mut(inner).unwrap()["unknown"] = json!("field");
        assert!(after(kind, change), "{kind:?}");
    }
}
