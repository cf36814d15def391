use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::super::{ROLE, ROLE_BINDING};
use crate::controls::testing::is_weaker;

#[test]
fn a_role_is_weaker_unless_each_of_its_rules_is_asked_for() {
    let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]});
    let one = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get"]});
    let asked = json!({"rules": [pods, one]});
    for (rules, expected) in [
        (json!([pods, one]), false),
        (json!([one, pods, one]), false),
        (json!([pods]), false),
        (json!([]), false),
        (json!(null), false),
        (
            json!([pods, {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),
            true,
        ),
        // Part of a rule may be more than the rule: no names are all names.
        (
            json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]),
            true,
        ),
        (
            json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]),
            true,
        ),
        (json!({"0": pods}), true),
    ] {
        assert_eq!(
            is_weaker(&ROLE, &asked, &json!({ "rules": rules })),
            expected,
            "{rules}"
        );
    }
    assert!(!is_weaker(&ROLE, &json!({}), &json!({"rules": []})));
    assert!(is_weaker(&ROLE, &json!({}), &json!({"rules": [pods]})));
}

#[test]
fn a_binding_is_weaker_unless_it_binds_the_same_role_to_nobody_else() {
    let binding = |role: &str, kind: &str, subjects: Value| json!({"roleRef": {"kind": kind, "name": role}, "subjects": subjects});
    let view = |subjects: Value| binding("view", "ClusterRole", subjects);
    let team = json!({"kind": "Group", "name": "team"});
    let ci = json!({"kind": "ServiceAccount", "name": "ci", "namespace": "team-a"});
    let asked = view(json!([team, ci]));
    let spelled = json!({"kind": "Group", "name": "team", "apiGroup": "rbac.authorization.k8s.io"});
    for less in [json!([team, ci]), json!([ci]), json!([spelled]), json!([]), json!(null)] {
        assert!(!is_weaker(&ROLE_BINDING, &asked, &view(less.clone())), "{less}");
    }
    for more in [
        view(json!([team, ci, {"kind": "Group", "name": "system:authenticated"}])),
        view(json!([{"kind": "User", "name": "team"}])),
        view(json!([{"kind": "ServiceAccount", "name": "ci", "namespace": "other"}])),
        binding("view", "Role", json!([team])),
        binding("admin", "ClusterRole", json!([team])),
        // It grants nothing now, but whoever is added to it gets another role.
        binding("admin", "ClusterRole", json!([])),
        json!({"subjects": [team]}),
    ] {
        assert!(is_weaker(&ROLE_BINDING, &asked, &more), "{more}");
    }
}

const VERBS: [&str; 3] = ["get", "list", "create"];
const RESOURCES: [&str; 2] = ["pods", "secrets"];
const NAMES: [&str; 2] = ["a", "b"];

fn rule() -> impl Strategy<Value = Value> {
    let some = |all: &'static [&'static str]| subsequence(all, 0..=all.len());
    (some(&VERBS), some(&RESOURCES), some(&NAMES)).prop_map(|(verbs, resources, names)| {
        json!({"apiGroups": [""], "verbs": verbs, "resources": resources, "resourceNames": names})
    })
}

fn rules() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    proptest::collection::vec(rule(), 0..4).prop_flat_map(|rules| {
        let some = subsequence(rules.clone(), 0..=rules.len()).prop_shuffle();
        (Just(rules), some)
    })
}

/// All that a role allows, on objects of any name and on those with names of their own.
fn allowed(rules: &[Value]) -> BTreeSet<(&str, &str, &str)> {
    let has = |list: &Value, item: &str| list.as_array().unwrap().iter().any(|x| x == item);
    let mut all = BTreeSet::new();
    for rule in rules {
        for verb in VERBS.into_iter().filter(|v| has(&rule["verbs"], v)) {
            for resource in RESOURCES.into_iter().filter(|r| has(&rule["resources"], r)) {
                let names = &rule["resourceNames"];
                let named = ["any", "a", "b"]
                    .into_iter()
                    .filter(|n| names == &json!([]) || has(names, n));
                all.extend(named.map(|name| (verb, resource, name)));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_role_that_is_not_weaker_allows_nothing_more(
        (asked, some) in rules(),
        more in proptest::collection::vec(rule(), 0..2),
    ) {
        let weaker = |live: &[Value]| is_weaker(&ROLE, &json!({ "rules": asked }), &json!({ "rules": live }));
        prop_assert!(!weaker(&some));
        let live = [some, more].concat();
        prop_assert!(weaker(&live) || allowed(&live).is_subset(&allowed(&asked)));
    }

    #[test]
    fn a_binding_that_is_not_weaker_binds_nobody_else(
        asked in proptest::collection::btree_set(select(vec!["a", "b", "c"]), 0..=3),
        live in proptest::collection::btree_set(select(vec!["a", "b", "c", "d"]), 0..=4),
    ) {
        let binding = |names: &BTreeSet<&str>| {
            let subjects: Vec<Value> = names.iter().map(|name| json!({"kind": "Group", "name": name})).collect();
            json!({"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": subjects})
        };
        prop_assert_eq!(is_weaker(&ROLE_BINDING, &binding(&asked), &binding(&live)), !live.is_subset(&asked));
    }
}
