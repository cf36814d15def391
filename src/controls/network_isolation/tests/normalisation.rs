use serde_json::{Value, json};

use super::super::NETWORK_POLICY;
use crate::controls::testing::{differ, every_change_shows, foreign_changes_do_not_show, same};

fn policy(spec: Value) -> Value {
    json!({"spec": spec})
}

#[test]
fn what_the_api_server_fills_in_or_leaves_out_is_the_same() {
    for (a, b) in [
        // Defaults.
        (json!({}), json!({"podSelector": {}, "policyTypes": ["Ingress"]})),
        (
            json!({"egress": [{"ports": [{"port": 53}]}]}),
            json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{"ports": [{"port": 53, "protocol": "TCP"}]}]}),
        ),
        (
            json!({"ingress": [{"ports": [{}]}]}),
            json!({"ingress": [{"ports": [{"protocol": "TCP"}]}]}),
        ),
        // Empty and absent.
        (
            json!({"policyTypes": ["Egress"], "ingress": [], "egress": null}),
            json!({"policyTypes": ["Egress"], "egress": []}),
        ),
        (json!({"policyTypes": []}), json!({"policyTypes": ["Ingress"]})),
        (
            json!({"podSelector": {"matchLabels": {}, "matchExpressions": []}}),
            json!({"podSelector": {}}),
        ),
        (
            json!({"ingress": [{"from": [], "ports": [{"port": 1, "endPort": null}]}]}),
            json!({"ingress": [{"ports": [{"port": 1}]}]}),
        ),
        (
            json!({"ingress": [{"from": [{"podSelector": {"matchLabels": null}, "ipBlock": null}]}]}),
            json!({"ingress": [{"from": [{"podSelector": {}}], "ports": []}]}),
        ),
        (
            json!({"egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": []}}]}]}),
            json!({"egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]}),
        ),
        (
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": []}]}}),
            json!({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}),
        ),
    ] {
        same(&NETWORK_POLICY, &policy(a), &policy(b));
    }
}

#[test]
fn what_opens_a_policy_differs_from_what_does_not() {
    let peers = |peers: Value| policy(json!({"policyTypes": ["Ingress"], "ingress": [{"from": peers}]}));
    let rules = |rules: Value| policy(json!({"policyTypes": ["Ingress"], "ingress": rules}));
    let all = [
        peers(json!([{"podSelector": {}}])),
        peers(json!([{"namespaceSelector": {}}])),
        peers(json!([{"podSelector": {}, "namespaceSelector": {}}])),
        peers(json!([{}])),
        // No peers are any peers: a rule that allows everything.
        peers(json!([])),
        rules(json!([])),
        rules(json!([{}, {}])),
        rules(json!([{"ports": [{}]}])),
        rules(json!([{"ports": [{"port": 80}]}])),
        rules(json!([{"ports": [{"port": "80"}]}])),
    ];
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            differ(&NETWORK_POLICY, a, b);
        }
    }
    same(&NETWORK_POLICY, &peers(json!([])), &rules(json!([{}])));
    // An allow-all added to a default deny, which server-side apply would leave in place.
    let deny = json!({"podSelector": {}, "policyTypes": ["Ingress"]});
    let mut open = deny.clone();
    open["ingress"] = json!([{}]);
    differ(&NETWORK_POLICY, &policy(deny), &policy(open));
}

fn sample() -> Value {
    policy(json!({
        "podSelector": {"matchLabels": {"app": "web"}},
        "policyTypes": ["Egress"],
        "ingress": [{"from": [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"a": "b"}}}]}],
        "egress": [
            {
                "to": [{
                    "podSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["edge", "core"]}]},
                    "namespaceSelector": {},
                }],
                "ports": [{"protocol": "UDP", "port": 53, "endPort": 60}, {"protocol": "SCTP", "port": "named"}],
            },
            {"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.7/32"]}}]},
        ],
    }))
}

#[test]
fn every_change_of_a_policy_shows() {
    every_change_shows(&NETWORK_POLICY, sample(), &[]);
    let deny = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"protocol": "TCP"}]}]});
    every_change_shows(
        &NETWORK_POLICY,
        policy(deny),
        // The API server puts these back by itself.
        &["/spec/podSelector", "/spec/egress/0/ports/0/protocol"],
    );
}

#[test]
fn what_is_not_ours_in_a_policy_does_not_show() {
    foreign_changes_do_not_show(&NETWORK_POLICY, sample());
}
