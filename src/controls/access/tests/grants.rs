//! What may be handed out.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::{grantable, held, rendered, shown};
use crate::api::v1alpha1::PolicyRule;
use crate::controls::access::missing;
use crate::controls::kinds;
use crate::core::world::GrantableRule;

fn rule(group: &str, resource: &str, names: &[&str], verb: &str) -> PolicyRule {
    let rule = json!({"apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": [verb]});
    serde_json::from_value(rule).unwrap()
}

/// Every case of RBAC's own comparison (source: `ruleCovers` and `resourceCoversAll` of Kubernetes).
#[test]
fn a_rule_is_handed_out_where_rbac_says_that_it_is_covered() {
    let any = ["*"];
    for (asked, allowed, covered) in [
        // Each part by itself, and by a star.
        (
            rule("apps", "deployments", &[], "get"),
            grantable(&["apps"], &["deployments"], &[], &["get"]),
            true,
        ),
        (
            rule("apps", "deployments", &[], "get"),
            grantable(&any, &["deployments"], &[], &["get"]),
            true,
        ),
        (
            rule("apps", "deployments", &[], "get"),
            grantable(&["apps"], &any, &[], &["get"]),
            true,
        ),
        (
            rule("apps", "deployments", &[], "get"),
            grantable(&["apps"], &["deployments"], &[], &any),
            true,
        ),
        (
            rule("apps", "deployments", &[], "get"),
            grantable(&["batch"], &["deployments"], &[], &["get"]),
            false,
        ),
        (
            rule("apps", "deployments", &[], "get"),
            grantable(&["apps"], &["daemonsets"], &[], &["get"]),
            false,
        ),
        (
            rule("apps", "deployments", &[], "get"),
            grantable(&["apps"], &["deployments"], &[], &["list"]),
            false,
        ),
        (
            rule("", "pods", &[], "get"),
            grantable(&["apps"], &["pods"], &[], &["get"]),
            false,
        ),
        (
            rule("", "pods", &[], "get"),
            grantable(&[""], &["pods"], &[], &["get"]),
            true,
        ),
        // Subresources.
        (
            rule("", "pods/log", &[], "get"),
            grantable(&[""], &["pods"], &[], &["get"]),
            false,
        ),
        (
            rule("", "pods", &[], "get"),
            grantable(&[""], &["pods/log"], &[], &["get"]),
            false,
        ),
        (
            rule("", "pods/log", &[], "get"),
            grantable(&[""], &["pods/log"], &[], &["get"]),
            true,
        ),
        (
            rule("", "pods/log", &[], "get"),
            grantable(&[""], &any, &[], &["get"]),
            true,
        ),
        (
            rule("", "pods/log", &[], "get"),
            grantable(&[""], &["*/log"], &[], &["get"]),
            true,
        ),
        (
            rule("", "pods/log", &[], "get"),
            grantable(&[""], &["*/exec"], &[], &["get"]),
            false,
        ),
        (
            rule("", "pods", &[], "get"),
            grantable(&[""], &["*/log"], &[], &["get"]),
            false,
        ),
        (
            rule("", "pods/log", &[], "get"),
            grantable(&[""], &["pods/*"], &[], &["get"]),
            false,
        ),
        // Names.
        (
            rule("", "secrets", &["a"], "get"),
            grantable(&[""], &["secrets"], &[], &["get"]),
            true,
        ),
        (
            rule("", "secrets", &["a"], "get"),
            grantable(&[""], &["secrets"], &["a", "b"], &["get"]),
            true,
        ),
        (
            rule("", "secrets", &["a", "c"], "get"),
            grantable(&[""], &["secrets"], &["a", "b"], &["get"]),
            false,
        ),
        (
            rule("", "secrets", &[], "get"),
            grantable(&[""], &["secrets"], &["a"], &["get"]),
            false,
        ),
        (
            rule("", "secrets", &["a"], "get"),
            grantable(&[""], &["secrets"], &["*"], &["get"]),
            false,
        ),
    ] {
        assert_eq!(
            missing(&asked, std::slice::from_ref(&allowed)).is_none(),
            covered,
            "{asked:?} by {allowed:?}"
        );
    }
}

#[test]
fn several_rules_cover_together_what_none_of_them_covers_alone() {
    let asked = json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]});
    let asked: PolicyRule = serde_json::from_value(asked).unwrap();
    let (get, list) = (
        grantable(&["apps"], &["deployments"], &[], &["get"]),
        grantable(&["*"], &["*"], &[], &["list"]),
    );
    assert!(missing(&asked, std::slice::from_ref(&get)).is_some());
    assert_eq!(missing(&asked, &[get, list]), None);
    // RBAC takes the names one by one, too.
    let (a, b) = (
        grantable(&[""], &["secrets"], &["a"], &["get"]),
        grantable(&[""], &["secrets"], &["b"], &["get"]),
    );
    assert_eq!(missing(&rule("", "secrets", &["a", "b"], "get"), &[a.clone(), b]), None);
    assert!(missing(&rule("", "secrets", &["a", "b"], "get"), &[a]).is_some());
}

#[test]
fn nothing_is_handed_out_where_nothing_may_be() {
    assert!(missing(&rule("", "pods", &[], "get"), &[]).is_some());
    assert!(missing(&rule("", "pods", &[], "get"), &[GrantableRule::default()]).is_some());
}

#[test]
fn the_missing_part_of_a_rule_is_named_and_no_more() {
    let section = json!({"roles": [{"name": "a", "rules": [
        {"apiGroups": ["apps"], "resources": ["deployments", "daemonsets"], "verbs": ["get", "delete"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["ca"], "verbs": ["get"]},
    ]}]});
    let rendered = rendered(
        section,
        "team-a",
        vec![
            grantable(&["apps"], &["deployments"], &[], &["*"]),
            grantable(&["apps"], &["daemonsets"], &[], &["get"]),
        ],
    );
    assert!(shown(&rendered).is_empty());
    assert_eq!(held(&rendered), [("Role/a".to_owned(), "GrantRefused")]);
    let message = &rendered.held[0].message;
    assert!(
        message.contains(r#"apiGroups: ["apps"], resources: ["daemonsets"], verbs: ["delete"]; "#),
        "{message}"
    );
    assert!(
        message.contains(r#"apiGroups: [""], resources: ["secrets"], resourceNames: ["ca"], verbs: ["get"]"#),
        "{message}"
    );
    assert!(
        message.contains("securitybaseline.dev/aggregate-to-grantable"),
        "the way out"
    );
}

#[test]
fn writing_what_is_enforced_is_handed_out_only_by_a_rule_that_names_it() {
    let group = "networking.k8s.io";
    let write = rule(group, "networkpolicies", &[], "update");
    let read = rule(group, "networkpolicies", &[], "watch");
    for (allowed, writes) in [
        (grantable(&["*"], &["*"], &[], &["*"]), false),
        (grantable(&[group], &["networkpolicies"], &[], &["*"]), false),
        (grantable(&[group], &["*"], &[], &["update"]), false),
        (grantable(&["*"], &["networkpolicies"], &[], &["update"]), false),
        (grantable(&[group], &["networkpolicies"], &[], &["update"]), true),
    ] {
        assert_eq!(
            missing(&write, std::slice::from_ref(&allowed)).is_none(),
            writes,
            "{allowed:?}"
        );
    }
    assert_eq!(
        missing(&read, &[grantable(&["*"], &["*"], &[], &["*"])]),
        None,
        "reading is harmless"
    );
}

/// What must never be handed out by a star: all kinds that we enforce, the namespace that carries our labels, and our
/// own API.
fn enforced() -> Vec<(String, String)> {
    let mut all: Vec<_> = kinds()
        .iter()
        .map(|k| (k.group.to_owned(), k.plural.to_owned()))
        .collect();
    for (group, resource) in [
        ("", "namespaces"),
        ("securitybaseline.dev", "securitybaselines"),
        ("securitybaseline.dev", "baselinereports"),
        ("securitybaseline.dev", "baselineexceptions"),
    ] {
        all.push((group.to_owned(), resource.to_owned()));
    }
    all
}

fn some_of(all: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    subsequence(all, 1..=all.len()).prop_map(|list| list.into_iter().map(str::to_owned).collect())
}

const GROUPS: &[&str] = &[
    "*",
    "",
    "apps",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "securitybaseline.dev",
];
const RESOURCES: &[&str] = &[
    "*",
    "*/status",
    "pods",
    "networkpolicies",
    "resourcequotas",
    "limitranges",
    "roles",
    "rolebindings",
    "namespaces",
    "securitybaselines",
    "namespaces/status",
];
const VERBS: &[&str] = &[
    "*",
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

fn any_grantable() -> impl Strategy<Value = GrantableRule> {
    let names = prop_oneof![3 => Just(vec![]), 1 => some_of(&["a", "b", "*"])];
    (some_of(GROUPS), some_of(RESOURCES), names, some_of(VERBS)).prop_map(
        |(api_groups, resources, resource_names, verbs)| GrantableRule {
            api_groups,
            resources,
            resource_names,
            verbs,
        },
    )
}

/// RBAC's own answer for one verb on one resource, without names.
fn rbac_covers(rule: &GrantableRule, group: &str, resource: &str, verb: &str) -> bool {
    let has = |list: &[String], item: &str| list.iter().any(|x| x == "*" || x == item);
    let sub = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
    has(&rule.verbs, verb)
        && has(&rule.api_groups, group)
        && (has(&rule.resources, resource) || sub.is_some_and(|sub| rule.resources.contains(&sub)))
        && rule.resource_names.is_empty()
}

proptest! {
    #[test]
    fn no_star_hands_out_a_write_on_what_is_enforced(
        rules in proptest::collection::vec(any_grantable(), 0..4),
        (group, resource) in select(enforced()),
        sub in select(vec!["", "/status", "/finalizers"]),
        verb in select(vec!["create", "update", "patch", "delete", "deletecollection", "UPDATE"]),
    ) {
        let resource = format!("{resource}{sub}");
        let named = rules.iter().any(|r| {
            r.api_groups.contains(&group) && r.resources.contains(&resource) && r.verbs.iter().any(|v| v == verb)
        });
        let handed_out = missing(&rule(&group, &resource, &[], verb), &rules).is_none();
        prop_assert!(!handed_out || named, "{group} {resource} {verb} by {rules:?}");
    }

    #[test]
    fn nothing_is_handed_out_that_rbac_would_refuse_and_reading_never_less(
        rules in proptest::collection::vec(any_grantable(), 0..4),
        group in select(vec!["", "apps", "networking.k8s.io"]),
        resource in select(vec!["pods", "networkpolicies", "pods/status", "namespaces", "namespaces/status"]),
        verb in select(vec!["get", "list", "create", "delete"]),
    ) {
        let rbac = rules.iter().any(|r| rbac_covers(r, group, resource, verb));
        let ours = missing(&rule(group, resource, &[], verb), &rules).is_none();
        prop_assert!(!ours || rbac);
        if matches!(verb, "get" | "list") || resource.starts_with("pods") {
            prop_assert_eq!(ours, rbac);
        }
    }

    #[test]
    fn a_role_is_rendered_just_where_nothing_of_it_is_missing(
        rules in proptest::collection::vec(any_grantable(), 0..4),
        resource in select(vec!["pods", "networkpolicies", "deployments"]),
        verbs in subsequence(vec!["get", "create", "delete"], 1..=3),
    ) {
        let section = json!({
            "roles": [{"name": "a", "rules": [{"apiGroups": ["", "apps"], "resources": [resource], "verbs": verbs}]}],
            "bindings": [{"name": "b", "role": "a", "subjects": [{"kind": "User", "name": "jane"}]}],
        });
        let asked: PolicyRule = serde_json::from_value(section["roles"][0]["rules"][0].clone()).unwrap();
        let refused = missing(&asked, &rules).is_some();
        let rendered = rendered(section, "team-a", rules);
        let expected: Vec<&str> = if refused { vec![] } else { vec!["Role/a", "RoleBinding/b"] };
        prop_assert_eq!(shown(&rendered), expected);
        prop_assert_eq!(held(&rendered).len(), if refused { 2 } else { 0 });
        for child in &rendered.children {
            prop_assert_ne!(&child.fields, &serde_json::Map::<String, Value>::new());
        }
    }
}
