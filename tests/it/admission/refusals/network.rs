//! Mistakes in the section `networkIsolation`.

use serde_json::{Value, json};

use super::{Refusal, many, section};

/// An ingress rule, where ingress is denied.
fn ingress(rule: Value) -> Value {
    section(
        "networkIsolation",
        json!({"defaultDeny": ["Ingress"], "allow": [{"name": "a", "ingress": [rule]}]}),
    )
}

pub fn network() -> Vec<Refusal> {
    let network = |value: Value| section("networkIsolation", value);
    let allow = |rules: Value| network(json!({"defaultDeny": ["Ingress"], "allow": rules}));
    let named = |name: String| json!({"name": name, "ingress": [{"ports": [{"port": 80}]}]});
    vec![
        Refusal(
            "an empty networkIsolation",
            network(json!({})),
            "spec.networkIsolation.defaultDeny",
            "Required value",
        ),
        Refusal(
            "nothing denied",
            network(json!({"defaultDeny": []})),
            "spec.networkIsolation.defaultDeny",
            "at least 1 items",
        ),
        Refusal(
            "an unknown direction",
            network(json!({"defaultDeny": ["In"]})),
            "spec.networkIsolation.defaultDeny[0]",
            "\"Ingress\", \"Egress\"",
        ),
        Refusal(
            "ingress that is not denied",
            network(json!({"defaultDeny": ["Egress"], "allow": [named("a".into())]})),
            "spec.networkIsolation.allow",
            "add Ingress to defaultDeny",
        ),
        Refusal(
            "egress that is not denied",
            allow(json!([{"name": "a", "egress": [{"ports": [{"port": 80}]}]}])),
            "spec.networkIsolation.allow",
            "add Egress to defaultDeny",
        ),
        Refusal(
            "DNS that is not denied",
            network(json!({"defaultDeny": ["Ingress"], "allowDNS": true})),
            "spec.networkIsolation.allowDNS",
            "add Egress to defaultDeny",
        ),
        Refusal(
            "an API server that is not denied",
            network(json!({"defaultDeny": ["Ingress"], "allowKubernetesAPI": true})),
            "spec.networkIsolation.allowKubernetesAPI",
            "add Egress to defaultDeny",
        ),
        Refusal(
            "a stated DNS that is not allowed",
            network(
                json!({"defaultDeny": ["Egress"], "allowDNS": false, "dns": {"peers": [{"podSelector": {}}], "ports": [{"port": 53}]}}),
            ),
            "spec.networkIsolation.dns",
            "leave one of them out",
        ),
        Refusal(
            "a rule that allows nothing",
            allow(json!([{"name": "a"}])),
            "spec.networkIsolation.allow[0]",
            "give it `ingress` or `egress`",
        ),
        Refusal(
            "two rules of one name",
            allow(json!([named("a".into()), named("a".into())])),
            "spec.networkIsolation.allow[1]",
            "Duplicate value",
        ),
        Refusal(
            "too many rules",
            allow(many(33, named)),
            "spec.networkIsolation.allow",
            "at most 32 items",
        ),
        Refusal(
            "an ingress rule for everything",
            ingress(json!({})),
            "spec.networkIsolation.allow[0].ingress[0]",
            "name at least one peer or one port",
        ),
        Refusal(
            "an egress rule for everything",
            network(json!({"defaultDeny": ["Egress"], "allow": [{"name": "a", "egress": [{}]}]})),
            "spec.networkIsolation.allow[0].egress[0]",
            "name at least one peer or one port",
        ),
        Refusal(
            "a rule of empty lists",
            ingress(json!({"from": [], "ports": []})),
            "spec.networkIsolation.allow[0].ingress[0].from",
            "at least 1 items",
        ),
    ]
}

pub fn peers() -> Vec<Refusal> {
    let peer = |peer: Value| ingress(json!({"from": [peer]}));
    let port = |port: Value| ingress(json!({"ports": [port]}));
    let (from, ports) = (
        "spec.networkIsolation.allow[0].ingress[0].from[0]",
        "spec.networkIsolation.allow[0].ingress[0].ports[0]",
    );
    let number = "1 to 65535";
    vec![
        Refusal(
            "a peer of nothing",
            peer(json!({})),
            from,
            "needs podSelector, namespaceSelector or ipBlock",
        ),
        Refusal(
            "a peer of two sorts",
            peer(json!({"podSelector": {}, "ipBlock": {"cidr": "192.0.2.0/24"}})),
            from,
            "write two peers",
        ),
        Refusal(
            "a bad CIDR",
            peer(json!({"ipBlock": {"cidr": "192.0.2.0"}})),
            "from[0].ipBlock.cidr",
            "such as 192.0.2.0/24",
        ),
        Refusal(
            "a bad exception",
            peer(json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["x"]}})),
            "from[0].ipBlock.except[0]",
            "such as 192.0.2.0/24",
        ),
        Refusal(
            "a bad label in a peer",
            peer(json!({"podSelector": {"matchLabels": {"app": "-"}}})),
            "from[0].podSelector.matchLabels.app",
            "should match",
        ),
        Refusal("port zero", port(json!({"port": 0})), ports, number),
        Refusal("a port beyond all", port(json!({"port": 65536})), ports, number),
        Refusal("a port's number in quotes", port(json!({"port": "80"})), ports, number),
        Refusal("a bad port name", port(json!({"port": "Web_Port"})), ports, number),
        Refusal(
            "a range that ends before it begins",
            port(json!({"port": 80, "endPort": 79})),
            ports,
            "a numeric `port` not above it",
        ),
        Refusal(
            "an unknown protocol",
            port(json!({"port": 80, "protocol": "tcp"})),
            "ports[0].protocol",
            "\"TCP\"",
        ),
    ]
}
