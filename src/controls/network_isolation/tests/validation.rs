use serde_json::{Value, json};

use crate::core::world::testing::problem_paths;

/// The paths of what is wrong with a section, below `spec.networkIsolation`.
fn wrong(section: Value) -> Vec<String> {
    problem_paths(json!({"namespaceSelector": {}, "networkIsolation": section}))
        .into_iter()
        .map(|path| path.strip_prefix("spec.networkIsolation").unwrap().to_owned())
        .collect()
}

/// A section that denies both directions, with one rule.
fn allowing(rule: Value) -> Value {
    json!({"defaultDeny": ["Ingress", "Egress"], "allow": [rule]})
}

/// A section with one rule for ingress, from one peer.
fn from(peer: Value) -> Value {
    allowing(json!({"name": "a", "ingress": [{"from": [peer]}]}))
}

/// A section with one rule for egress, on one port.
fn on(port: Value) -> Value {
    allowing(json!({"name": "a", "egress": [{"ports": [port]}]}))
}

#[test]
fn what_is_well_formed_is_accepted() {
    for section in [
        json!({"defaultDeny": ["Ingress"]}),
        json!({"defaultDeny": ["Egress"], "allowDNS": true, "allowKubernetesAPI": true, "allowSameNamespace": true}),
        json!({"defaultDeny": ["Egress"], "dns": {"peers": [{"podSelector": {}}], "ports": [{"port": 53}]}}),
        json!({"defaultDeny": ["Ingress"], "allowKubernetesAPI": false}),
        from(json!({"podSelector": {}})),
        from(json!({"podSelector": {}, "namespaceSelector": {}})),
        from(json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}})),
        from(json!({"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}})),
        on(json!({"port": 1})),
        on(json!({"port": 1000, "endPort": 65535})),
        on(json!({"port": "metrics-8"})),
        on(json!({"protocol": "UDP"})),
    ] {
        assert_eq!(wrong(section.clone()), [""; 0], "{section}");
    }
}

#[test]
fn each_refusal_names_the_field() {
    for (section, path) in [
        (json!({"defaultDeny": []}), ".defaultDeny"),
        (json!({"defaultDeny": ["Ingress"], "allowDNS": true}), ".allowDNS"),
        (json!({"defaultDeny": ["Ingress"], "allowDNS": false}), ".allowDNS"),
        (
            json!({"defaultDeny": ["Ingress"], "allowKubernetesAPI": true}),
            ".allowKubernetesAPI",
        ),
        (
            json!({"defaultDeny": ["Ingress"], "dns": {"peers": [{"podSelector": {}}], "ports": [{"port": 53}]}}),
            ".dns",
        ),
        (
            json!({"defaultDeny": ["Egress"], "allowDNS": false, "dns": {"peers": [{"podSelector": {}}], "ports": [{"port": 53}]}}),
            ".dns",
        ),
        (
            json!({"defaultDeny": ["Egress"], "dns": {"peers": [], "ports": [{"port": 53}]}}),
            ".dns.peers",
        ),
        (
            json!({"defaultDeny": ["Egress"], "dns": {"peers": [{"podSelector": {}}], "ports": []}}),
            ".dns.ports",
        ),
        (
            json!({"defaultDeny": ["Egress"], "dns": {"peers": [{}], "ports": [{"port": 53}]}}),
            ".dns.peers[0]",
        ),
        (
            json!({"defaultDeny": ["Egress"], "dns": {"peers": [{"podSelector": {}}], "ports": [{"port": 0}]}}),
            ".dns.ports[0].port",
        ),
        // Rules.
        (
            json!({"defaultDeny": ["Egress"], "allow": [{"name": "a", "ingress": [{"ports": [{"port": 1}]}]}]}),
            ".allow[0].ingress",
        ),
        (
            json!({"defaultDeny": ["Ingress"], "allow": [{"name": "a", "egress": [{"ports": [{"port": 1}]}]}]}),
            ".allow[0].egress",
        ),
        (
            json!({"defaultDeny": ["Ingress"], "allow": [
                {"name": "a", "ingress": [{"ports": [{"port": 1}]}]},
                {"name": "a", "ingress": [{"ports": [{"port": 2}]}]},
            ]}),
            ".allow[1].name",
        ),
        (
            allowing(json!({"name": "Web", "ingress": [{"ports": [{"port": 1}]}]})),
            ".allow[0].name",
        ),
        (
            allowing(json!({"name": "a".repeat(40), "ingress": [{"ports": [{"port": 1}]}]})),
            ".allow[0].name",
        ),
        (allowing(json!({"name": "a"})), ".allow[0]"),
        (allowing(json!({"name": "a", "ingress": [{}]})), ".allow[0].ingress[0]"),
        (
            allowing(json!({"name": "a", "egress": [{"ports": [{"port": 1}]}, {"to": [], "ports": []}]})),
            ".allow[0].egress[1]",
        ),
        (
            allowing(
                json!({"name": "a", "podSelector": {"matchLabels": {"-": "x"}}, "ingress": [{"ports": [{"port": 1}]}]}),
            ),
            ".allow[0].podSelector.matchLabels",
        ),
        // Peers.
        (from(json!({})), ".allow[0].ingress[0].from[0]"),
        (
            from(json!({"ipBlock": {"cidr": "192.0.2.0/24"}, "podSelector": {}})),
            ".allow[0].ingress[0].from[0]",
        ),
        (
            from(json!({"ipBlock": {"cidr": "192.0.2.0/24"}, "namespaceSelector": {}})),
            ".allow[0].ingress[0].from[0]",
        ),
        (
            from(json!({"podSelector": {"matchLabels": {"a": "not a value"}}})),
            ".allow[0].ingress[0].from[0].podSelector.matchLabels[a]",
        ),
        (
            from(json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}})),
            ".allow[0].ingress[0].from[0].namespaceSelector.matchExpressions[0].values",
        ),
        (
            from(
                json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}),
            ),
            ".allow[0].ingress[0].from[0].namespaceSelector.matchExpressions[0].values",
        ),
        (
            from(json!({"namespaceSelector": {"matchExpressions": [{"key": "a b", "operator": "Exists"}]}})),
            ".allow[0].ingress[0].from[0].namespaceSelector.matchExpressions[0].key",
        ),
        (
            from(json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["198.51.100.0/24"]}})),
            ".allow[0].ingress[0].from[0].ipBlock.except[0]",
        ),
        (
            from(json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.0/24"]}})),
            ".allow[0].ingress[0].from[0].ipBlock.except[0]",
        ),
        (
            from(json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.0.0/16"]}})),
            ".allow[0].ingress[0].from[0].ipBlock.except[0]",
        ),
        (
            from(json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["2001:db8::/64"]}})),
            ".allow[0].ingress[0].from[0].ipBlock.except[0]",
        ),
        (
            from(json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["no range"]}})),
            ".allow[0].ingress[0].from[0].ipBlock.except[0]",
        ),
        // Ports.
        (on(json!({"port": 0})), ".allow[0].egress[0].ports[0].port"),
        (on(json!({"port": 65536})), ".allow[0].egress[0].ports[0].port"),
        (on(json!({"port": "443"})), ".allow[0].egress[0].ports[0].port"),
        (on(json!({"port": ""})), ".allow[0].egress[0].ports[0].port"),
        (on(json!({"port": "HTTPS"})), ".allow[0].egress[0].ports[0].port"),
        (on(json!({"port": "a--b"})), ".allow[0].egress[0].ports[0].port"),
        (on(json!({"port": "-a"})), ".allow[0].egress[0].ports[0].port"),
        (
            on(json!({"port": "sixteen-letters-"})),
            ".allow[0].egress[0].ports[0].port",
        ),
        (
            on(json!({"port": 80, "endPort": 70000})),
            ".allow[0].egress[0].ports[0].endPort",
        ),
        (
            on(json!({"port": 80, "endPort": 79})),
            ".allow[0].egress[0].ports[0].endPort",
        ),
        (
            on(json!({"port": "http", "endPort": 81})),
            ".allow[0].egress[0].ports[0].endPort",
        ),
        (on(json!({"endPort": 81})), ".allow[0].egress[0].ports[0].endPort"),
    ] {
        assert_eq!(wrong(section.clone()), [path], "{section}");
    }
}

/// Kubernetes refuses these since 1.36 (source: `parseCIDR` of its validation).
#[test]
fn a_range_of_addresses_that_the_api_server_would_refuse_is_refused() {
    for cidr in [
        "",
        "192.0.2.0",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/024",
        "192.0.02.0/24",
        "192.0.2.1/24",
        "2001:db8::1/64",
        "::ffff:192.0.2.0/120",
        "192.0.2.0/24 ",
    ] {
        assert_eq!(
            wrong(from(json!({"ipBlock": {"cidr": cidr}}))),
            [".allow[0].ingress[0].from[0].ipBlock.cidr"],
            "{cidr:?}"
        );
    }
    assert_eq!(
        wrong(from(
            json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.5/24"]}})
        )),
        [".allow[0].ingress[0].from[0].ipBlock.except[0]"],
        "all of the range, spelled as a part of it"
    );
}

#[test]
fn a_ports_name_is_one_that_kubernetes_takes() {
    for good in ["http", "a", "8080-tcp", "a-b-c", "abcdefghijklmno"] {
        assert_eq!(wrong(on(json!({"port": good}))), [""; 0], "{good}");
    }
    for bad in ["", "HTTP", "a_b", "80", "a--b", "-a", "a-", "abcdefghijklmnop"] {
        assert_eq!(wrong(on(json!({"port": bad}))).len(), 1, "{bad}");
    }
}
