use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use super::super::NETWORK_POLICY;
use crate::controls::testing::is_weaker;

fn weaker(asked: Value, live: Value) -> bool {
    is_weaker(&NETWORK_POLICY, &json!({ "spec": asked }), &json!({ "spec": live }))
}

#[test]
fn a_policy_that_lost_rules_is_not_weaker_and_one_that_gained_one_is() {
    let dns = json!({"ports": [{"protocol": "UDP", "port": 53}]});
    let web = json!({"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]});
    let policy = |rules: Value| json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules});
    let asked = policy(json!([dns, web]));
    for less in [
        json!([dns, web]),
        json!([web, dns]),
        json!([dns]),
        json!([]),
        json!(null),
        // The API server's spelling of the same rule.
        json!([{"to": [], "ports": [{"protocol": "UDP", "port": 53, "endPort": null}]}]),
    ] {
        assert!(!weaker(asked.clone(), policy(less.clone())), "{less}");
    }
    for more in [
        json!([dns, web, {}]),
        json!([{}]),
        json!([{"ports": [{"port": 53}]}]),
        json!([{"to": [{"namespaceSelector": {}}]}]),
        // Part of a rule may be more than the rule: no peers are all peers.
        json!([{"to": []}]),
        json!([null]),
        json!("?"),
    ] {
        assert!(weaker(asked.clone(), policy(more.clone())), "{more}");
    }
}

#[test]
fn a_rule_in_the_other_direction_or_other_pods_or_directions_make_a_policy_weaker() {
    let asked = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]});
    for (field, value) in [
        ("podSelector", json!({"matchLabels": {"app": "web"}})),
        (
            "podSelector",
            json!({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}),
        ),
        ("policyTypes", json!(["Egress"])),
        ("policyTypes", json!(["Ingress", "Egress"])),
        ("egress", json!([{}])),
        (
            "ingress",
            json!([{"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}]),
        ),
        ("unknown", json!({})),
    ] {
        let mut live = asked.clone();
        live[field] = value.clone();
        assert!(weaker(asked.clone(), live), "{field} {value}");
    }
    for (field, value) in [
        ("podSelector", json!(null)),
        ("policyTypes", json!([])),
        ("egress", json!([])),
    ] {
        let mut live = asked.clone();
        live[field] = value.clone();
        assert!(!weaker(asked.clone(), live), "{field} {value} means the same");
    }
}

/// Rules, and what each lets through, as a set of bits.
const RULES: [(&str, u8); 5] = [
    ("{}", 0b1111),
    (r#"{"ports": [{"port": 80}]}"#, 0b0011),
    (r#"{"PEERS": [{"podSelector": {}}]}"#, 0b0101),
    (r#"{"PEERS": [{"podSelector": {}}], "ports": [{"port": 80}]}"#, 0b0001),
    (r#"{"PEERS": [{"podSelector": {"matchLabels": {"app": "none"}}}]}"#, 0),
];

#[derive(Clone, Debug)]
struct Policy {
    for_all: bool,
    types: Vec<&'static str>,
    ingress: Vec<(&'static str, u8)>,
    egress: Vec<(&'static str, u8)>,
}

impl Policy {
    fn spec(&self) -> Value {
        let rules = |rules: &[(&str, u8)], side: &str| -> Vec<Value> {
            let texts = rules.iter().map(|(rule, _)| rule.replace("PEERS", side));
            texts.map(|rule| serde_json::from_str(&rule).unwrap()).collect()
        };
        json!({
            "podSelector": if self.for_all { json!({}) } else { json!({"matchLabels": {"app": "web"}}) },
            "policyTypes": self.types,
            "ingress": rules(&self.ingress, "from"),
            "egress": rules(&self.egress, "to"),
        })
    }

    /// What it lets through, of a pod that it may be for or not.
    fn lets(&self, selected: bool, direction: &str) -> u8 {
        let rules = if direction == "Ingress" {
            &self.ingress
        } else {
            &self.egress
        };
        if !selected && !self.for_all || !self.types.contains(&direction) {
            return 0b1111;
        }
        rules.iter().fold(0, |all, (_, bits)| all | bits)
    }
}

fn policy() -> impl Strategy<Value = Policy> {
    let rules = || subsequence(RULES.to_vec(), 0..=3).prop_shuffle();
    let types = subsequence(vec!["Ingress", "Egress"], 1..=2);
    (any::<bool>(), types, rules(), rules()).prop_map(|(for_all, types, ingress, egress)| Policy {
        for_all,
        types,
        ingress,
        egress,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_policy_that_is_not_weaker_lets_nothing_more_through(asked in policy(), other in policy(), same_pods: bool) {
        let mut live = other;
        if same_pods {
            // Else they would rarely be comparable.
            (live.for_all, live.types) = (asked.for_all, asked.types.clone());
        }
        if !weaker(asked.spec(), live.spec()) {
            for direction in ["Ingress", "Egress"] {
                for selected in [true, false] {
                    let more = live.lets(selected, direction) & !asked.lets(selected, direction);
                    prop_assert_eq!(more, 0, "{:?} {:?}", asked, live);
                }
            }
        }
    }

    #[test]
    fn a_policy_with_some_of_the_rules_is_never_weaker(asked in policy(), keep in any::<[bool; 8]>()) {
        let mut live = asked.clone();
        let mut keep = keep.into_iter();
        live.ingress.retain(|_| keep.next().unwrap());
        live.egress.retain(|_| keep.next().unwrap());
        prop_assert!(!weaker(asked.spec(), live.spec()));
    }
}
