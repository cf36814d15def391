//! What is wrong with a section `networkIsolation`.

use std::fmt::Display;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::v1alpha1::{Direction, IpBlock, NamedRule, NetworkIsolation, NetworkPeer, NetworkPort};
use crate::core::validate::Problems;

pub(super) fn section(path: &str, section: &NetworkIsolation, problems: &mut Problems) {
    let denies = |direction| section.denies(direction);
    problems.require(
        !section.default_deny.is_empty(),
        format_args!("{path}.defaultDeny"),
        "name the directions that are denied: Ingress, Egress or both",
    );
    let egress_only = [
        ("allowDNS", section.allow_dns.is_some()),
        ("dns", section.dns.is_some()),
        ("allowKubernetesAPI", section.allow_kubernetes_api == Some(true)),
    ];
    for (field, stated) in egress_only {
        problems.require(
            !stated || denies(Direction::Egress),
            format_args!("{path}.{field}"),
            "this is about egress: add Egress to defaultDeny, or leave it out",
        );
    }
    problems.require(
        section.dns.is_none() || section.allow_dns != Some(false),
        format_args!("{path}.dns"),
        "dns states what DNS may reach, but allowDNS is false: leave one of them out",
    );
    if let Some(dns) = &section.dns {
        let path = format!("{path}.dns");
        problems.require(
            !dns.peers.is_empty(),
            format_args!("{path}.peers"),
            "name at least one peer",
        );
        problems.require(
            !dns.ports.is_empty(),
            format_args!("{path}.ports"),
            "name at least one port",
        );
        peers(&format!("{path}.peers"), &dns.peers, problems);
        ports(&format!("{path}.ports"), &dns.ports, problems);
    }
    problems.unique(&format!("{path}.allow"), section.allow.iter().map(|r| r.name.as_str()));
    for (i, rule) in section.allow.iter().enumerate() {
        let path = format!("{path}.allow[{i}]");
        for (field, empty, direction) in [
            ("ingress", rule.ingress.is_empty(), Direction::Ingress),
            ("egress", rule.egress.is_empty(), Direction::Egress),
        ] {
            problems.require(
                empty || denies(direction),
                format_args!("{path}.{field}"),
                format_args!(
                    "nothing is denied in this direction: add {direction:?} to defaultDeny, or remove the rule"
                ),
            );
        }
        named(&path, rule, problems);
    }
}

fn named(path: &str, rule: &NamedRule, problems: &mut Problems) {
    problems.item_name(format_args!("{path}.name"), &rule.name);
    problems.require(
        !rule.ingress.is_empty() || !rule.egress.is_empty(),
        path,
        "a named rule allows something: give it `ingress` or `egress`",
    );
    if let Some(selector) = &rule.pod_selector {
        problems.selector(&format!("{path}.podSelector"), selector);
    }
    let ingress = rule
        .ingress
        .iter()
        .map(|r| ("ingress", "from", &r.from, &r.ports))
        .enumerate();
    let egress = rule
        .egress
        .iter()
        .map(|r| ("egress", "to", &r.to, &r.ports))
        .enumerate();
    for (j, (direction, side, to, on)) in ingress.chain(egress) {
        let path = format!("{path}.{direction}[{j}]");
        problems.require(
            !to.is_empty() || !on.is_empty(),
            &path,
            format_args!(
                "a rule with neither `{side}` nor `ports` would allow everything: name at least one peer or one port"
            ),
        );
        peers(&format!("{path}.{side}"), to, problems);
        ports(&format!("{path}.ports"), on, problems);
    }
}

fn peers(path: &str, peers: &[NetworkPeer], problems: &mut Problems) {
    for (i, peer) in peers.iter().enumerate() {
        let path = format!("{path}[{i}]");
        let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
        problems.require(
            selects || peer.ip_block.is_some(),
            &path,
            "a peer needs podSelector, namespaceSelector or ipBlock",
        );
        problems.require(
            !(selects && peer.ip_block.is_some()),
            &path,
            "a peer has either ipBlock or selectors: write two peers",
        );
        for (field, selector) in [
            ("podSelector", &peer.pod_selector),
            ("namespaceSelector", &peer.namespace_selector),
        ] {
            if let Some(selector) = selector {
                problems.selector(&format!("{path}.{field}"), selector);
            }
        }
        if let Some(block) = &peer.ip_block {
            addresses(&format!("{path}.ipBlock"), block, problems);
        }
    }
}

fn addresses(path: &str, block: &IpBlock, problems: &mut Problems) {
    let net = problems.cidr(format_args!("{path}.cidr"), &block.cidr);
    for (i, except) in block.except.iter().enumerate() {
        let path = format!("{path}.except[{i}]");
        if let (Some(net), Some(except)) = (net, problems.cidr(&path, except)) {
            problems.require(
                net.contains(&except) && net != except,
                path,
                "an exception is a part of its `cidr`, and not all of it",
            );
        }
    }
}

fn ports(path: &str, ports: &[NetworkPort], problems: &mut Problems) {
    for (i, port) in ports.iter().enumerate() {
        let path = format!("{path}[{i}]");
        match &port.port {
            Some(IntOrString::Int(number)) => number_of_port(format_args!("{path}.port"), *number, problems),
            Some(IntOrString::String(name)) => problems.require(
                is_port_name(name),
                format_args!("{path}.port"),
                "write a port's number (1 to 65535, without quotes) or a port's name",
            ),
            None => {}
        }
        if let Some(end) = port.end_port {
            number_of_port(format_args!("{path}.endPort"), end, problems);
            problems.require(
                matches!(&port.port, Some(IntOrString::Int(begin)) if *begin <= end),
                format_args!("{path}.endPort"),
                "endPort ends a range that a numeric `port` not above it begins",
            );
        }
    }
}

fn number_of_port(path: impl Display, number: i32, problems: &mut Problems) {
    problems.require((1..=65535).contains(&number), path, "a port's number is 1 to 65535");
}

/// Source: `IsValidPortName` of Kubernetes.
fn is_port_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && name.bytes().any(|b| b.is_ascii_lowercase())
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
}
