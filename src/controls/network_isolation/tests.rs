mod detected;
mod normalisation;
mod properties;
mod validation;
mod weaker;

use serde_json::{Value, json};

use super::*;
use crate::core::world::testing::{cluster, namespace, with_spec};

/// What a section is rendered to in a cluster.
fn rendered_in(section: Value, cluster: &ClusterFacts) -> Rendered {
    let baseline = with_spec("b", 1, json!({"namespaceSelector": {}, "networkIsolation": section}));
    Control::render(&NetworkIsolation, &baseline.spec, &namespace(), cluster)
}

fn rendered(section: Value) -> Rendered {
    rendered_in(section, &cluster())
}

/// The names of the policies, the reserved prefix left out.
fn names(rendered: &Rendered) -> Vec<&str> {
    let names = rendered.children.iter().map(|c| c.id.name.as_str());
    names.map(|n| n.strip_prefix(RESERVED_PREFIX).unwrap()).collect()
}

/// The spec of a policy, by its name without the reserved prefix.
fn spec(rendered: &Rendered, name: &str) -> Value {
    let name = format!("{RESERVED_PREFIX}{name}");
    rendered.children.iter().find(|c| c.id.name == name).unwrap().fields["spec"].clone()
}

const DNS: &str = r#"{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}"#;

fn dns() -> Value {
    serde_json::from_str(DNS).unwrap()
}

#[test]
fn a_spec_without_the_section_asks_for_nothing() {
    let baseline = with_spec("b", 1, json!({"namespaceSelector": {}}));
    let nothing = Control::render(&NetworkIsolation, &baseline.spec, &namespace(), &cluster());
    assert_eq!(nothing, Rendered::default());
    assert_eq!(NetworkIsolation.mode(&baseline.spec), None);
}

#[test]
fn a_denied_direction_without_rules_denies_all_of_it_for_all_pods_and_leaves_the_other_alone() {
    let ingress = rendered(json!({"defaultDeny": ["Ingress"]}));
    assert_eq!(names(&ingress), ["default-deny-ingress"]);
    assert_eq!(
        spec(&ingress, "default-deny-ingress"),
        json!({"podSelector": {}, "policyTypes": ["Ingress"]})
    );
    let egress = rendered(json!({"defaultDeny": ["Egress"], "allowDNS": false}));
    assert_eq!(names(&egress), ["default-deny-egress"]);
    assert_eq!(
        spec(&egress, "default-deny-egress"),
        json!({"podSelector": {}, "policyTypes": ["Egress"]})
    );
}

#[test]
fn detected_dns_is_part_of_the_egress_policy_itself_and_of_no_other() {
    let both = rendered(json!({"defaultDeny": ["Ingress", "Egress"]}));
    assert_eq!(names(&both), ["default-deny-ingress", "default-deny-egress"]);
    assert_eq!(
        spec(&both, "default-deny-egress"),
        json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [dns()]})
    );
    assert!(spec(&both, "default-deny-ingress").get("ingress").is_none());
    assert!(both.held.is_empty());
}

#[test]
fn a_dns_cache_on_each_node_is_reachable_where_dns_is_detected_and_nowhere_else() {
    let mut cluster = cluster();
    cluster.node_local_dns = ["fd00::a", "169.254.20.10"].map(|a| a.parse().unwrap()).into();
    let node_local = json!({
        "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}, {"ipBlock": {"cidr": "fd00::a/128"}}],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    });
    let egress = |section: Value, cluster: &ClusterFacts| {
        let rendered = rendered_in(section, cluster);
        spec(&rendered, "default-deny-egress").get("egress").cloned()
    };
    let section = json!({"defaultDeny": ["Ingress", "Egress"]});
    assert_eq!(egress(section.clone(), &cluster), Some(json!([dns(), node_local])));
    assert!(
        spec(&rendered_in(section, &cluster), "default-deny-ingress")
            .get("ingress")
            .is_none()
    );
    assert_eq!(
        egress(json!({"defaultDeny": ["Egress"], "allowDNS": false}), &cluster),
        None
    );
    let stated = json!({"defaultDeny": ["Egress"], "dns": {"peers": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 53}]}});
    assert_eq!(
        egress(stated, &cluster).unwrap().as_array().unwrap().len(),
        1,
        "what is stated is all"
    );
    cluster.dns = None;
    let held = rendered_in(json!({"defaultDeny": ["Egress"]}), &cluster);
    assert_eq!(held.held[0].reason, "DNSNotFound", "the cache needs something to ask");
}

#[test]
fn stated_dns_takes_the_place_of_what_was_detected() {
    let stated = json!({"defaultDeny": ["Egress"], "dns": {
        "peers": [{"ipBlock": {"cidr": "169.254.20.10/32"}}],
        "ports": [{"port": 5353, "protocol": "UDP"}],
    }});
    for cluster in [cluster(), ClusterFacts::default()] {
        let rendered = rendered_in(stated.clone(), &cluster);
        assert_eq!(
            spec(&rendered, "default-deny-egress")["egress"],
            json!([{"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [{"protocol": "UDP", "port": 5353}]}])
        );
    }
}

#[test]
fn where_dns_is_neither_found_nor_stated_the_egress_policy_is_held_and_ingress_is_not() {
    for allow_dns in [json!(null), json!(true)] {
        let held = rendered_in(
            json!({"defaultDeny": ["Ingress", "Egress"], "allowDNS": allow_dns}),
            &ClusterFacts::default(),
        );
        assert_eq!(names(&held), ["default-deny-ingress"]);
        assert_eq!(held.held.len(), 1);
        assert_eq!(held.held[0].reason, "DNSNotFound");
        assert_eq!(
            held.held[0].object.clone(),
            "NetworkPolicy/security-baseline-default-deny-egress"
        );
        assert!(held.held[0].message.contains("networkIsolation.dns"), "the way out");
    }
}

#[test]
fn dns_is_denied_only_where_the_spec_says_so() {
    let denied = rendered_in(
        json!({"defaultDeny": ["Egress"], "allowDNS": false}),
        &ClusterFacts::default(),
    );
    assert!(denied.held.is_empty());
    assert!(spec(&denied, "default-deny-egress").get("egress").is_none());
}

#[test]
fn the_api_server_is_reachable_where_the_spec_says_so_and_held_where_it_was_not_found() {
    let section = json!({"defaultDeny": ["Egress"], "allowDNS": false, "allowKubernetesAPI": true});
    assert_eq!(
        spec(&rendered(section.clone()), "default-deny-egress")["egress"],
        json!([{"to": [{"ipBlock": {"cidr": "192.0.2.10/32"}}], "ports": [{"protocol": "TCP", "port": 6443}]}])
    );
    let held = rendered_in(section, &ClusterFacts::default());
    assert!(held.children.is_empty());
    assert_eq!(held.held[0].reason, "APIServerNotFound");
}

#[test]
fn pods_of_the_same_namespace_reach_each_other_in_each_denied_direction() {
    let same = rendered(json!({"defaultDeny": ["Ingress", "Egress"], "allowDNS": false, "allowSameNamespace": true}));
    assert_eq!(
        spec(&same, "default-deny-ingress")["ingress"],
        json!([{"from": [{"podSelector": {}}]}])
    );
    assert_eq!(
        spec(&same, "default-deny-egress")["egress"],
        json!([{"to": [{"podSelector": {}}]}])
    );
    let only = rendered(json!({"defaultDeny": ["Ingress"], "allowSameNamespace": true}));
    assert_eq!(names(&only), ["default-deny-ingress"]);
}

#[test]
fn a_named_rule_for_all_pods_is_part_of_the_deny_policies() {
    for selector in [json!(null), json!({})] {
        let rendered = rendered(json!({
            "defaultDeny": ["Ingress", "Egress"],
            "allow": [{
                "name": "both",
                "podSelector": selector,
                "ingress": [{"from": [{"namespaceSelector": {}}]}],
                "egress": [{"ports": [{"port": 443}]}],
            }],
        }));
        assert_eq!(names(&rendered), ["default-deny-ingress", "default-deny-egress"]);
        assert_eq!(
            spec(&rendered, "default-deny-ingress")["ingress"],
            json!([{"from": [{"namespaceSelector": {}}]}])
        );
        assert_eq!(
            spec(&rendered, "default-deny-egress")["egress"],
            json!([dns(), {"ports": [{"protocol": "TCP", "port": 443}]}])
        );
    }
}

#[test]
fn a_named_rule_for_some_pods_is_a_policy_of_its_own_in_its_own_directions() {
    let web = json!({"matchLabels": {"app": "web"}});
    let rule = |ingress: Value, egress: Value| {
        rendered(json!({
            "defaultDeny": ["Ingress", "Egress"],
            "allow": [{"name": "web", "podSelector": web, "ingress": ingress, "egress": egress}],
        }))
    };
    let from = json!([{"from": [{"podSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["edge"]}]}}]}]);
    let to = json!([{"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"]}}], "ports": [{"protocol": "TCP", "port": 8000, "endPort": 8080}]}]);

    let both = rule(from.clone(), to.clone());
    assert_eq!(
        names(&both),
        ["default-deny-ingress", "default-deny-egress", "allow-web"]
    );
    assert_eq!(
        spec(&both, "allow-web"),
        json!({"podSelector": web, "policyTypes": ["Ingress", "Egress"], "ingress": from, "egress": to})
    );
    assert!(
        spec(&both, "default-deny-ingress").get("ingress").is_none(),
        "the rule is not for all pods"
    );
    assert_eq!(
        spec(&rule(from.clone(), json!([])), "allow-web"),
        json!({"podSelector": web, "policyTypes": ["Ingress"], "ingress": from})
    );
    assert_eq!(
        spec(&rule(json!([]), to.clone()), "allow-web"),
        json!({"podSelector": web, "policyTypes": ["Egress"], "egress": to})
    );
}

#[test]
fn a_rule_in_a_direction_that_is_not_denied_isolates_nothing_even_if_it_slips_through() {
    let rendered = rendered(json!({
        "defaultDeny": ["Ingress"],
        "allow": [{
            "name": "web",
            "podSelector": {"matchLabels": {"app": "web"}},
            "ingress": [{"ports": [{"port": 80}]}],
            "egress": [{"ports": [{"port": 443}]}],
        }],
    }));
    let own = spec(&rendered, "allow-web");
    assert_eq!(own["policyTypes"], json!(["Ingress"]));
    assert!(own.get("egress").is_none());
}

#[test]
fn every_policy_carries_the_labels_that_tell_whose_it_is() {
    let rendered = rendered(json!({"defaultDeny": ["Ingress"]}));
    let object = rendered.children[0].to_object("team-a");
    assert_eq!(
        object["metadata"]["labels"]["app.kubernetes.io/component"],
        "network-isolation"
    );
    assert_eq!(
        object["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "security-baseline-operator"
    );
    assert_eq!(object["metadata"]["namespace"], "team-a");
    assert_eq!(object["apiVersion"], "networking.k8s.io/v1");
}

#[test]
fn whoever_declares_isolation_is_told_what_is_not_visible_from_the_api() {
    let warned = |spec: Value| {
        let baseline = with_spec("b", 1, spec);
        let warnings = Control::warnings(&NetworkIsolation, &baseline.spec).into_iter();
        warnings.map(|w| (w.path, w.message)).collect::<Vec<_>>()
    };
    let [(path, message)] =
        &warned(json!({"namespaceSelector": {}, "networkIsolation": {"defaultDeny": ["Ingress"]}}))[..]
    else {
        panic!()
    };
    assert_eq!(path, "spec.networkIsolation");
    assert!(message.starts_with("NotVisible: "));
    assert_eq!(warned(json!({"namespaceSelector": {}})), []);
}
