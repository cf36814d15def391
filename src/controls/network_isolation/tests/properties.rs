//! What holds of every rendering, over generated specs.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::super::{NetworkIsolation as NetworkIsolationControl, normalise};
use crate::api::v1alpha1::{Direction, NetworkIsolation, SecurityBaselineSpec};
use crate::controls::REGISTRY;
use crate::core::control::{Control, Rendered};
use crate::core::validate::validate;
use crate::core::world::ClusterFacts;
use crate::core::world::testing::{cluster, namespace};

/// One of these values; unless it must be sound, now and then one of the bad ones.
fn one_of(good: Vec<Value>, bad: Vec<Value>, sound: bool) -> BoxedStrategy<Value> {
    if sound {
        select(good).boxed()
    } else {
        prop_oneof![9 => select(good), 1 => select(bad)].boxed()
    }
}

fn selector(sound: bool) -> impl Strategy<Value = Value> {
    let good = vec![
        json!({}),
        json!({"matchLabels": {"app": "web"}}),
        json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["edge"]}]}),
        json!({"matchLabels": {"a": ""}, "matchExpressions": [{"key": "b/c", "operator": "Exists"}]}),
    ];
    let bad = vec![
        json!({"matchLabels": {"a b": "c"}}),
        json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
    ];
    one_of(good, bad, sound)
}

fn peer(sound: bool) -> impl Strategy<Value = Value> {
    let block = one_of(
        vec![
            json!({"cidr": "192.0.2.0/24"}),
            json!({"cidr": "2001:db8::/32", "except": ["2001:db8:7::/48"]}),
        ],
        vec![
            json!({"cidr": "nowhere"}),
            json!({"cidr": "192.0.2.0/24", "except": ["192.0.2.0/24"]}),
        ],
        sound,
    );
    let shapes = prop_oneof![
        selector(sound).prop_map(|s| json!({"podSelector": s})),
        selector(sound).prop_map(|s| json!({"namespaceSelector": s})),
        (selector(sound), selector(sound)).prop_map(|(p, n)| json!({"podSelector": p, "namespaceSelector": n})),
        block.prop_map(|b| json!({"ipBlock": b})),
    ];
    if sound {
        shapes.boxed()
    } else {
        prop_oneof![9 => shapes, 1 => Just(json!({}))].boxed()
    }
}

fn port(sound: bool) -> impl Strategy<Value = Value> {
    let good = vec![
        json!({"port": 443}),
        json!({"protocol": "UDP", "port": 53}),
        json!({"port": 8000, "endPort": 8080}),
        json!({"port": "metrics"}),
        json!({"protocol": "SCTP"}),
        json!({}),
    ];
    one_of(good, vec![json!({"port": 0}), json!({"endPort": 5})], sound)
}

/// Rules of one direction, under the name that its peers have.
fn rules(side: &'static str, sound: bool) -> impl Strategy<Value = Value> {
    use proptest::collection::vec;
    let rule = (vec(peer(sound), 0..3), vec(port(sound), 0..3)).prop_map(move |(peers, mut ports)| {
        if sound && peers.is_empty() && ports.is_empty() {
            ports.push(json!({"port": 1}));
        }
        json!({side: peers, "ports": ports})
    });
    vec(rule, 0..3).prop_map(Value::Array)
}

/// A section; a sound one is one that must be accepted.
fn section(sound: bool) -> impl Strategy<Value = Value> {
    let rule = (
        prop_oneof![1 => Just(None), 2 => selector(sound).prop_map(Some)],
        rules("from", sound),
        rules("to", sound),
    );
    let directions = subsequence(vec!["Ingress", "Egress"], usize::from(sound)..=2);
    let switch = || select(vec![None, Some(true), Some(false)]);
    let dns = prop_oneof![2 => Just(None), 1 => (peer(sound), port(sound)).prop_map(Some)];
    let switches = (switch(), switch(), switch(), dns);
    (directions, switches, proptest::collection::vec(rule, 0..4)).prop_map(
        move |(directions, (allow_dns, api, same, dns), rules)| {
            let denies = |d| directions.contains(&d);
            let mut section = json!({"defaultDeny": directions, "allowSameNamespace": same});
            // What is sound says nothing of a direction that is not denied.
            if denies("Egress") || !sound {
                section["allowKubernetesAPI"] = json!(api);
                section["allowDNS"] = json!(allow_dns);
                if let Some((peer, port)) = dns.filter(|_| !sound || allow_dns != Some(false)) {
                    section["dns"] = json!({"peers": [peer], "ports": [port]});
                }
            }
            let mut allow = Vec::new();
            for (i, (selector, ingress, egress)) in rules.into_iter().enumerate() {
                let mut rule = json!({"name": format!("rule-{i}"), "podSelector": selector});
                for (field, rules, direction) in [("ingress", ingress, "Ingress"), ("egress", egress, "Egress")] {
                    if denies(direction) || !sound {
                        rule[field] = rules;
                    }
                }
                let says = |field| rule[field].as_array().is_some_and(|r: &Vec<_>| !r.is_empty());
                if says("ingress") || says("egress") || !sound {
                    allow.push(rule);
                }
            }
            section["allow"] = json!(allow);
            section
        },
    )
}

fn decoded(section: &Value) -> SecurityBaselineSpec {
    serde_json::from_value(json!({"namespaceSelector": {}, "networkIsolation": section})).unwrap()
}

fn render(spec: &SecurityBaselineSpec, cluster: &ClusterFacts) -> Rendered {
    NetworkIsolationControl.render(spec, &namespace(), cluster)
}

/// Rules in one spelling.
fn spelled(direction: &str, rules: Value) -> Vec<Value> {
    let fields = json!({"spec": {"policyTypes": ["Ingress"], direction: rules}});
    let Value::Object(mut fields) = fields else {
        unreachable!()
    };
    normalise(&mut fields);
    fields["spec"][direction].as_array().cloned().unwrap_or_default()
}

/// The rules that a deny policy must hold, read off the section by itself.
fn expected(direction: Direction, section: &NetworkIsolation, cluster: &ClusterFacts) -> Vec<Value> {
    let (field, side) = match direction {
        Direction::Ingress => ("ingress", "from"),
        Direction::Egress => ("egress", "to"),
    };
    let mut rules = Vec::new();
    if direction == Direction::Egress && section.allow_dns != Some(false) {
        let (peers, ports) = match (&section.dns, &cluster.dns) {
            (Some(stated), _) => (&stated.peers, &stated.ports),
            (None, Some(found)) => (&found.peers, &found.ports),
            (None, None) => panic!("held"),
        };
        rules.push(json!({"to": peers, "ports": ports}));
    }
    if direction == Direction::Egress && section.allow_kubernetes_api == Some(true) {
        for found in cluster.api_server.iter().flatten() {
            rules.push(json!({"to": found.peers, "ports": found.ports}));
        }
    }
    if section.allow_same_namespace == Some(true) {
        rules.push(json!({side: [{"podSelector": {}}]}));
    }
    for rule in &section.allow {
        let rule = serde_json::to_value(rule).unwrap();
        if is_everything(&rule["podSelector"]) {
            rules.extend(rule[field].as_array().cloned().unwrap_or_default());
        }
    }
    spelled(field, Value::Array(rules))
}

fn is_everything(selector: &Value) -> bool {
    selector.as_object().is_none_or(|s| s.is_empty())
}

/// What must hold of the rendering of every spec that is accepted.
fn check(spec: &SecurityBaselineSpec, cluster: &ClusterFacts) {
    let section = spec.network_isolation.as_ref().unwrap();
    let rendered = render(spec, cluster);
    for direction in [Direction::Ingress, Direction::Egress] {
        let name = format!("security-baseline-default-deny-{direction:?}").to_lowercase();
        let found: Vec<_> = rendered.children.iter().filter(|c| c.id.name == name).collect();
        let held = rendered
            .held
            .iter()
            .any(|h| h.id.as_ref().is_some_and(|id| id.name == name));
        assert_eq!(found.len() + usize::from(held), usize::from(section.denies(direction)));
        let Some(policy) = found.first() else { continue };
        let policy = &policy.fields["spec"];
        assert_eq!(policy["podSelector"], json!({}), "a deny is for all pods");
        assert_eq!(policy["policyTypes"], json!([format!("{direction:?}")]));
        let field = format!("{direction:?}").to_lowercase();
        let rules = spelled(&field, policy.get(&field).cloned().unwrap_or_default());
        assert_eq!(rules, expected(direction, section, cluster));
    }
    let own = rendered
        .children
        .iter()
        .filter(|c| !c.id.name.contains("default-deny-"));
    for child in own {
        let policy = &child.fields["spec"];
        let rule = section
            .allow
            .iter()
            .find(|r| child.id.name == format!("security-baseline-allow-{}", r.name));
        let rule = serde_json::to_value(rule.expect("a policy of its own has a rule")).unwrap();
        assert_eq!(policy["podSelector"], rule["podSelector"]);
        assert!(!is_everything(&policy["podSelector"]));
        let types: Vec<String> = serde_json::from_value(policy["policyTypes"].clone()).unwrap();
        assert!(!types.is_empty(), "no types would mean Ingress");
        for (field, type_, direction) in [
            ("ingress", "Ingress", Direction::Ingress),
            ("egress", "Egress", Direction::Egress),
        ] {
            let rules = spelled(field, policy.get(field).cloned().unwrap_or_default());
            assert_eq!(rules, spelled(field, rule.get(field).cloned().unwrap_or_default()));
            let named = types.iter().any(|t| t == type_);
            assert_eq!(named, !rules.is_empty(), "it isolates just where it allows");
            assert!(!named || section.denies(direction), "it isolates only what is denied");
        }
    }
    for child in &rendered.children {
        for (field, side) in [("ingress", "from"), ("egress", "to")] {
            for rule in child.fields["spec"][field].as_array().into_iter().flatten() {
                let says = |key| rule.get(key).and_then(Value::as_array).is_some_and(|l| !l.is_empty());
                assert!(says(side) || says("ports"), "a rule that allows everything: {rule}");
                for peer in rule[side].as_array().into_iter().flatten() {
                    assert_ne!(peer, &json!({}), "a peer that is anybody");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_well_formed_is_accepted_and_rendered_to_just_what_it_says(section in section(true)) {
        let spec = decoded(&section);
        prop_assert_eq!(validate(REGISTRY, &spec).into_vec(), []);
        check(&spec, &cluster());
    }

    #[test]
    fn whatever_is_accepted_is_rendered_to_just_what_it_says(section in section(false)) {
        let spec = decoded(&section);
        if validate(REGISTRY, &spec).is_empty() {
            check(&spec, &cluster());
        }
    }

    #[test]
    fn in_a_cluster_of_which_nothing_is_known_no_egress_policy_lacks_what_it_needs(section in section(true)) {
        let spec = decoded(&section);
        let section = spec.network_isolation.as_ref().unwrap();
        let needs_dns = section.allow_dns != Some(false) && section.dns.is_none();
        let held = section.denies(Direction::Egress) && (needs_dns || section.allow_kubernetes_api == Some(true));
        let rendered = render(&spec, &ClusterFacts::default());
        prop_assert_eq!(!rendered.held.is_empty(), held);
        check(&spec, &ClusterFacts { api_server: Some(Vec::new()), ..cluster() });
    }
}
