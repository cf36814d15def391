mod bindings;
mod properties;

use serde_json::json;

use super::*;
use crate::controls::kind_named;

fn judged(kind: &str, object: Value) -> Option<Weakening> {
    weakening(kind_named(kind).unwrap(), &object)
}

fn of_policy(spec: Value) -> Option<Weakening> {
    judged("NetworkPolicy", json!({ "spec": spec }))
}

/// What a policy for all pods undoes by these rules of ingress, and what it opens narrower.
fn of_rules(rules: Value) -> (Vec<Undoes>, Vec<Undoes>) {
    of_policy(json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules}))
        .map_or_else(Default::default, |w| (w.undoes, w.narrower))
}

fn undone() -> (Vec<Undoes>, Vec<Undoes>) {
    (vec![Undoes::Ingress], vec![])
}

fn narrower() -> (Vec<Undoes>, Vec<Undoes>) {
    (vec![], vec![Undoes::Ingress])
}

fn nothing() -> (Vec<Undoes>, Vec<Undoes>) {
    (vec![], vec![])
}

#[test]
fn a_rule_that_reaches_everything_undoes_a_default_deny() {
    for rule in [
        json!({}),
        json!({"from": []}),
        json!({"from": null, "ports": []}),
        json!({"from": [{"namespaceSelector": {}}]}),
        json!({"from": [{"namespaceSelector": {}, "podSelector": {}}]}),
        json!({"from": [{"namespaceSelector": {"matchLabels": {}, "matchExpressions": []}, "podSelector": {"matchLabels": null}}]}),
        json!({"from": [{"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}]}}]}),
        json!({"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}),
        json!({"from": [{"namespaceSelector": {}}, {"podSelector": {}}]}),
        json!({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}),
        json!({"from": [{"ipBlock": {"cidr": "::/0", "except": []}}]}),
        json!({"from": [{}]}),
    ] {
        assert_eq!(of_rules(json!([rule])), undone(), "{rule}");
        let among = json!([{"from": [{"podSelector": {}}]}, rule]);
        assert_eq!(of_rules(among), undone(), "{rule}");
    }
}

#[test]
fn a_rule_that_names_particular_peers_is_nothing() {
    for rule in [
        json!({"from": [{"podSelector": {}}]}),
        json!({"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]}),
        json!({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]}),
        json!({"from": [{"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}]}),
        json!({"from": [{"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "DoesNotExist"}]}}]}),
        json!({"from": [{"namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "Exists"}, {"key": "team", "operator": "Exists"},
        ]}}]}),
        json!({"from": [{"namespaceSelector": {
            "matchLabels": {"team": "a"}, "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "Exists"}],
        }}]}),
        json!({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
        json!({"from": [{"ipBlock": {"cidr": "0.0.0.0/1"}}]}),
        json!({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["128.0.0.0/1"]}}]}),
        json!({"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}}]}),
        json!({"from": [{"ipBlock": {"cidr": "nowhere"}}]}),
        json!({"from": "?"}),
        json!({"from": ["?"]}),
    ] {
        assert_eq!(of_rules(json!([rule])), nothing(), "{rule}");
        let mut limited = rule.clone();
        limited["ports"] = json!([{"port": 80}]);
        assert_eq!(of_rules(json!([limited])), nothing(), "{limited}");
    }
    for rules in [json!([]), json!(null), json!("?"), json!(["?"])] {
        assert_eq!(of_rules(rules.clone()), nothing(), "{rules}");
    }
}

#[test]
fn a_rule_for_all_but_a_few_peers_is_information() {
    let but = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]});
    for rule in [
        json!({"from": [{"namespaceSelector": but("NotIn", json!(["a"]))}]}),
        json!({"from": [{"namespaceSelector": but("DoesNotExist", json!(null))}]}),
        json!({"from": [{"namespaceSelector": {}, "podSelector": but("NotIn", json!(["a"]))}]}),
        json!({"from": [{"namespaceSelector": but("NotIn", json!(["a"])), "podSelector": {}}]}),
        json!({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.0.2.1/32"]}}]}),
        json!({"from": [{"ipBlock": {"cidr": "::/0", "except": ["2001:db8::/32"]}}]}),
        json!({"from": [{"ipBlock": {"cidr": "0.0.0.0/1"}}, {"ipBlock": {"cidr": "192.0.0.0/3"}}]}),
        json!({"from": [{"namespaceSelector": but("NotIn", json!(["a"]))}], "ports": [{"port": 80}]}),
    ] {
        assert_eq!(of_rules(json!([rule])), narrower(), "{rule}");
    }
}

/// A rule for each of these lists of blocks; `!` stands before what is excepted.
fn blocks(rules: &[&[&str]]) -> Value {
    let peer = |block: &&str| {
        let mut parts = block.split('!');
        let (cidr, except) = (parts.next(), parts.collect::<Vec<_>>());
        json!({"ipBlock": {"cidr": cidr, "except": except}})
    };
    let rule = |blocks: &&[&str]| json!({"from": blocks.iter().map(peer).collect::<Vec<_>>()});
    Value::Array(rules.iter().map(rule).collect())
}

#[test]
fn blocks_that_together_cover_a_whole_address_family_are_everything() {
    for rules in [
        &[&["0.0.0.0/1", "128.0.0.0/1"] as &[&str]] as &[&[&str]],
        &[&["128.0.0.0/1"], &["0.0.0.0/1"]],
        &[&["::/1"], &["8000::/1"]],
        &[
            &["0.0.0.0/2", "10.0.0.0/8", "64.0.0.0/2"],
            &["10.0.0.0/8", "128.0.0.0/1"],
        ],
        // An exception that another block brings back.
        &[&["0.0.0.0/0!192.0.2.1/32", "192.0.2.1/32"]],
        &[
            &["0.0.0.0/0!192.0.2.0/24!198.51.100.0/24"],
            &["192.0.2.0/24", "198.51.100.0/23"],
        ],
        &[&["::/0!ffff::/16!::/16"], &["::/16", "ffff::/16"]],
        // Spellings that the API server takes.
        &[&["10.1.2.3/0"]],
        &[&["000.0.00.0/00"]],
        &[&["0000:00000::/0"]],
        &[&["::ffff:0:0/96"]],
        &[&["::ffff:0.0.0.0/97", "128.0.0.0/1"]],
    ] {
        assert_eq!(of_rules(blocks(rules)), undone(), "{rules:?}");
    }
    for rules in [
        &[&["0.0.0.0/1", "::/1"] as &[&str]] as &[&[&str]],
        &[&["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3", "224.0.0.0/4"]],
        &[&["128.0.0.0/1", "64.0.0.0/2"]],
        &[&["0.0.0.0/0!192.0.2.0/24", "192.0.2.0/25"]],
        // Exceptions in any order, one in another, or outside of their block.
        &[&["0.0.0.0/0!192.0.2.0/24!10.0.0.0/8", "192.0.2.0/24"]],
        &[&["0.0.0.0/0!10.0.0.0/8!10.1.0.0/16", "10.0.0.0/9"]],
        &[&["0.0.0.0/1!255.0.0.0/8", "255.0.0.0/8"]],
        &[&["0.0.0.0/0!0.0.0.0/32"]],
        &[&["0.0.0.0/0!255.255.255.255/32"]],
        &[&["::/0!::/128"]],
        &[&["::/0!ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"]],
        &[&["::/1", "c000::/2"]],
        &[&["::ffff:0:0/97"]],
        &[&["::/96"]],
    ] {
        assert_eq!(of_rules(blocks(rules)).0, [], "{rules:?}");
    }
}

#[test]
fn an_exception_of_the_other_family_takes_nothing_out() {
    assert_eq!(of_rules(blocks(&[&["0.0.0.0/0!::/0"]])), undone());
    assert_eq!(of_rules(blocks(&[&["::/0!0.0.0.0/0"]])), undone());
}

#[test]
fn ports_limit_a_rule_unless_they_are_all_ports_of_tcp() {
    for (ports, expected) in [
        (json!([{}]), undone()),
        (json!([{"protocol": "TCP"}]), undone()),
        (json!([{"port": null}]), undone()),
        (json!([{"port": 1, "endPort": 65535}]), undone()),
        (json!([{"port": 80}, {"protocol": "TCP"}]), undone()),
        (
            json!([{"port": 30000, "endPort": 65535}, {"port": 1, "endPort": 30000}]),
            undone(),
        ),
        (json!([{"port": 2, "endPort": 65535}]), narrower()),
        (json!([{"port": 1, "endPort": 65534}]), narrower()),
        (
            json!([{"port": 1, "endPort": 100}, {"port": 102, "endPort": 65535}]),
            narrower(),
        ),
        (json!([{"port": 1}]), narrower()),
        (json!([{"port": "web"}]), narrower()),
        (json!([{"protocol": "UDP"}]), narrower()),
        (
            json!([{"protocol": "UDP", "port": 1, "endPort": 65535}, {"protocol": "SCTP"}]),
            narrower(),
        ),
        (json!(["?"]), narrower()),
        (json!("?"), narrower()),
    ] {
        for from in [
            json!(null),
            json!([{"namespaceSelector": {}}]),
            json!([{"ipBlock": {"cidr": "::/0"}}]),
        ] {
            let rules = json!([{"from": from, "ports": ports}]);
            assert_eq!(of_rules(rules.clone()), expected, "{rules}");
        }
    }
}

#[test]
fn what_several_rules_open_counts_together() {
    let low = json!([{"port": 1, "endPort": 1023}]);
    let high = json!([{"port": 1024, "endPort": 65535}]);
    let (lower, upper) = (json!({"cidr": "0.0.0.0/1"}), json!({"cidr": "128.0.0.0/1"}));
    let to = |block: &Value| json!([{"ipBlock": block}]);
    for (rules, expected) in [
        (json!([{"ports": low}, {"ports": high}]), undone()),
        (
            json!([{"ports": low}, {"from": [{"namespaceSelector": {}}], "ports": high}]),
            undone(),
        ),
        (
            json!([{"ports": low}, {"from": [{"ipBlock": lower}, {"ipBlock": upper}], "ports": high}]),
            undone(),
        ),
        (
            json!([{"ports": low}, {"from": [{"podSelector": {}}], "ports": high}]),
            narrower(),
        ),
        // Everything is reached, but nothing of it on all ports.
        (
            json!([{"from": to(&lower), "ports": low}, {"from": to(&upper), "ports": low}]),
            narrower(),
        ),
        (
            json!([{"from": to(&lower), "ports": low}, {"from": to(&upper)}]),
            narrower(),
        ),
        (
            json!([{"from": to(&lower), "ports": [{}]}, {"from": to(&upper)}]),
            undone(),
        ),
        (
            json!([{"from": to(&lower), "ports": low}, {"from": to(&lower), "ports": high}]),
            nothing(),
        ),
    ] {
        assert_eq!(of_rules(rules.clone()), expected, "{rules}");
    }
}

#[test]
fn a_policy_for_some_pods_is_narrower() {
    for (selector, all) in [
        (json!(null), true),
        (json!({}), true),
        (json!({"matchLabels": {}, "matchExpressions": null}), true),
        (json!({"matchLabels": {"app": "web"}}), false),
        // Perhaps all of them, perhaps none: that is for the pods to tell.
        (
            json!({"matchExpressions": [{"key": "none", "operator": "DoesNotExist"}]}),
            false,
        ),
        (json!("?"), false),
    ] {
        let found = of_policy(json!({"podSelector": selector, "ingress": [{}]})).unwrap();
        assert_eq!(
            (found.undoes, found.narrower),
            if all { undone() } else { narrower() },
            "{selector}"
        );
    }
}

#[test]
fn the_policy_types_say_which_directions_count() {
    let (ingress, egress) = (vec![Undoes::Ingress], vec![Undoes::Egress]);
    for (types, rules, expected) in [
        (json!(null), json!({"ingress": [{}]}), ingress.clone()),
        (json!([]), json!({"ingress": [{}]}), ingress.clone()),
        // Without types, rules of egress are what makes a policy one of egress.
        (json!(null), json!({"egress": [{}]}), egress.clone()),
        (
            json!(null),
            json!({"ingress": [{}], "egress": [{}]}),
            [ingress.clone(), egress.clone()].concat(),
        ),
        (
            json!(["Ingress"]),
            json!({"ingress": [{}], "egress": [{}]}),
            ingress.clone(),
        ),
        (
            json!(["Egress"]),
            json!({"ingress": [{}], "egress": [{}]}),
            egress.clone(),
        ),
        (
            json!(["Egress", "Ingress"]),
            json!({"ingress": [{}], "egress": [{}]}),
            [ingress, egress].concat(),
        ),
        (json!(["Ingress"]), json!({"egress": [{}]}), vec![]),
        (json!(["Egress"]), json!({"ingress": [{}]}), vec![]),
        (json!(["Ingress", "Egress"]), json!({}), vec![]),
        (json!("Ingress"), json!({"ingress": [{}]}), vec![]),
    ] {
        let mut spec = rules.clone();
        spec["policyTypes"] = types.clone();
        let undoes = of_policy(spec).map(|w| w.undoes).unwrap_or_default();
        assert_eq!(undoes, expected, "{types} {rules}");
    }
}

#[test]
fn the_peers_of_egress_are_those_in_to() {
    let egress = |rule: Value| of_policy(json!({"policyTypes": ["Egress"], "egress": [rule]}));
    assert_eq!(egress(json!({"to": [{"podSelector": {}}]})), None);
    assert!(egress(json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]})).is_some());
    assert!(egress(json!({"from": [{"podSelector": {}}]})).is_some());
    assert_eq!(of_rules(json!([{"to": [{"podSelector": {}}]}])), undone());
}

#[test]
fn each_direction_of_a_policy_is_judged_by_itself() {
    let found = of_policy(json!({"ingress": [{}], "egress": [{"ports": [{"protocol": "UDP", "port": 53}]}]}));
    assert_eq!(
        found,
        Some(Weakening {
            undoes: vec![Undoes::Ingress],
            narrower: vec![Undoes::Egress],
            what: "it allows all ingress to all pods; all egress from all pods, on some ports only: narrow its rules, or delete it".into(),
        })
    );
    let found = of_policy(json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{}]})).unwrap();
    assert_eq!(
        found.what,
        "it allows all ingress to the pods that it selects: narrow its rules, or delete it"
    );
}

#[test]
fn other_kinds_undo_nothing() {
    for kind in ["Role", "ResourceQuota", "LimitRange"] {
        let object = json!({
            "spec": {"ingress": [{}]},
            "roleRef": {"kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "Group", "name": "system:authenticated"}],
        });
        assert_eq!(judged(kind, object), None);
    }
}

#[test]
fn just_the_kinds_that_may_undo_a_control_are_looked_at() {
    let kinds = crate::controls::kinds().into_iter().filter(|kind| may_weaken(kind));
    assert_eq!(
        kinds.map(|kind| kind.kind).collect::<Vec<_>>(),
        ["NetworkPolicy", "RoleBinding"]
    );
}
