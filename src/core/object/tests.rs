use proptest::prelude::*;

use super::testing::hostile_object;
use super::*;
use crate::controls::kind_named;

fn child() -> Child {
    Child::new(
        kind_named("NetworkPolicy").unwrap(),
        "network-isolation",
        "deny",
        json!({"spec": {"policyTypes": ["Ingress"]}}),
    )
}

/// The child as it is live: created, and then worked on by others.
fn live() -> Value {
    let mut live = child().to_object("team-a");
    live["metadata"]["uid"] = json!("u-1");
    live["metadata"]["resourceVersion"] = json!("42");
    live
}

#[test]
fn a_created_object_says_what_it_is_whose_it_is_and_what_was_asked_for() {
    assert_eq!(
        child().to_object("team-a"),
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": "security-baseline-deny",
                "namespace": "team-a",
                "labels": {
                    "app.kubernetes.io/name": "security-baseline",
                    "app.kubernetes.io/component": "network-isolation",
                    "app.kubernetes.io/part-of": "security-baseline-operator",
                    "app.kubernetes.io/managed-by": "security-baseline-operator",
                },
                "annotations": {"argocd.argoproj.io/ignore-resource-updates": "true"},
            },
            "spec": {"policyTypes": ["Ingress"]},
        })
    );
    assert_eq!(kind_named("ResourceQuota").unwrap().api_version(), "v1");
}

#[test]
fn a_replacement_is_bound_to_the_object_that_was_seen() {
    let replacement = child().to_replacement("team-a", &live());
    assert_eq!(replacement["metadata"]["uid"], "u-1");
    assert_eq!(replacement["metadata"]["resourceVersion"], "42");
}

#[test]
fn a_replacement_keeps_what_others_put_there_and_is_not_ours_to_judge() {
    let mut live = live();
    live["metadata"]["labels"]["team"] = json!("a");
    live["metadata"]["annotations"]["note"] = json!("text");
    live["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let replacement = child().to_replacement("team-a", &live);
    assert_eq!(replacement["metadata"]["labels"]["team"], "a");
    assert_eq!(replacement["metadata"]["annotations"]["note"], "text");
    assert_eq!(replacement["metadata"]["finalizers"], json!(["example.com/hold"]));
}

#[test]
fn a_replacement_undoes_every_change_of_what_is_ours() {
    let mut live = live();
    live["spec"] = json!({"policyTypes": ["Ingress"], "ingress": [{}]});
    live["metadata"]["labels"] = json!({"app.kubernetes.io/name": "mine", "team": "a"});
    live["metadata"]["annotations"] = json!({"argocd.argoproj.io/ignore-resource-updates": "false"});
    live["metadata"]["ownerReferences"] = json!([{"kind": "ConfigMap", "name": "bait", "uid": "u"}]);
    live["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    live["status"] = json!({});
    let replacement = child().to_replacement("team-a", &live);
    assert_eq!(
        Canonical::of(child().id.kind, &replacement),
        *child().canonical(),
        "it is as asked for"
    );
    assert_eq!(replacement["spec"], json!({"policyTypes": ["Ingress"]}));
    assert_eq!(
        replacement["metadata"]["labels"]["app.kubernetes.io/name"],
        "security-baseline"
    );
    for field in ["ownerReferences", "managedFields"] {
        assert!(replacement["metadata"].get(field).is_none(), "{field}");
    }
    assert!(replacement.get("status").is_none());
}

#[test]
fn a_digest_reads_back_as_itself_and_nothing_else_reads_as_one() {
    let digest = Digest::of(&json!({"a": [1, null]}));
    assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
    let shown = digest.to_string();
    for bad in [
        "",
        "abc",
        &shown[1..],
        &format!("{shown}0"),
        &"g".repeat(32),
        &"+1".repeat(16),
        &"A".repeat(32),
        "ääääääääääääääää",
    ] {
        assert_eq!(Digest::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_digest_does_not_depend_on_the_order_of_fields_but_on_that_of_items() {
    let digest = |text: &str| Digest::of(&serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(
        digest(r#"{"a": {"c": 1, "d": 2}, "b": 0}"#),
        digest(r#"{"b": 0, "a": {"d": 2, "c": 1}}"#)
    );
    assert_ne!(digest("[1, 2]"), digest("[2, 1]"));
    assert_ne!(digest("[1, 2]"), digest("[12]"));
    assert_ne!(digest(r#"{"a": "1"}"#), digest(r#"{"a": 1}"#));
    assert_ne!(digest("null"), digest("{}"));
}

#[test]
fn children_of_different_kinds_or_names_are_different_children() {
    let id = |kind, name: &str| ChildId {
        kind: kind_named(kind).unwrap(),
        name: name.to_owned(),
    };
    assert_eq!(id("Role", "a"), id("Role", "a"));
    assert_ne!(id("Role", "a"), id("RoleBinding", "a"));
    assert_ne!(id("Role", "a"), id("Role", "b"));
    // Kinds sort so that what comes last is a grant: removal begins there.
    assert!(id("RoleBinding", "a") > id("Role", "z"));
    assert!(id("Role", "a") > id("NetworkPolicy", "z"));
    assert_eq!(id("Role", "a").to_string(), "Role/a");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn no_json_makes_a_canonical_form_panic_and_one_is_its_own((kind, object) in hostile_object()) {
        let once = Canonical::of(kind, &object);
        let twice = Canonical::of(kind, &once.0);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn no_live_object_makes_the_question_whether_it_is_weaker_panic((kind, live) in hostile_object()) {
        let live = Canonical::of(kind, &live);
        (kind.weaker)(&live, &Canonical::of(kind, &json!({})));
        (kind.weaker)(&Canonical::of(kind, &json!({})), &live);
    }

    #[test]
    fn no_live_object_makes_a_replacement_panic_or_depart_from_what_is_asked_for((kind, live) in hostile_object()) {
        let child = Child::new(kind, "network-isolation", "deny", json!({"spec": {"policyTypes": ["Ingress"]}}));
        let replacement = child.to_replacement("team-a", &live);
        prop_assert_eq!(&Canonical::of(kind, &replacement), child.canonical());
        prop_assert_eq!(&replacement["metadata"]["name"], "security-baseline-deny");
    }

    #[test]
    fn what_differs_is_told_without_a_panic_and_within_bounds((kind, live) in hostile_object()) {
        use crate::core::drift::{claim, differences};
        let canonical = Canonical::of(kind, &live);
        let told = differences(child().canonical(), &canonical, &live);
        prop_assert!(told.len() <= 8);
        prop_assert_eq!(told.is_empty(), canonical == *child().canonical());
        for difference in told {
            prop_assert!(difference.path.chars().count() <= 256);
            prop_assert!(difference.found.chars().count() <= 512);
            prop_assert!(difference.claim.by.chars().count() <= 128);
        }
        prop_assert!(claim(&live, &[], true).by.chars().count() <= 128);
    }
}
