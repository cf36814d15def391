//! From the shapes of a baseline to those of `networking.k8s.io/v1`.

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use crate::api::v1alpha1::{LabelSelector, NetworkEgressRule, NetworkIngressRule, NetworkPeer, NetworkPort, Protocol};

pub(super) fn ingress_rule(rule: &NetworkIngressRule) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: list(&rule.from, peer),
        ports: list(&rule.ports, port),
    }
}

pub(super) fn egress_rule(rule: &NetworkEgressRule) -> NetworkPolicyEgressRule {
    destination(&rule.to, &rule.ports)
}

pub(super) fn destination(peers: &[NetworkPeer], ports: &[NetworkPort]) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: list(peers, peer),
        ports: list(ports, port),
    }
}

pub(super) fn selector(selector: &LabelSelector) -> meta::LabelSelector {
    meta::LabelSelector {
        match_labels: (!selector.match_labels.is_empty()).then(|| selector.match_labels.clone()),
        match_expressions: list(&selector.match_expressions, |e| meta::LabelSelectorRequirement {
            key: e.key.clone(),
            operator: format!("{:?}", e.operator),
            values: (!e.values.is_empty()).then(|| e.values.clone()),
        }),
    }
}

fn peer(peer: &NetworkPeer) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: peer.pod_selector.as_ref().map(selector),
        namespace_selector: peer.namespace_selector.as_ref().map(selector),
        ip_block: peer.ip_block.as_ref().map(|block| IPBlock {
            cidr: block.cidr.clone(),
            except: (!block.except.is_empty()).then(|| block.except.clone()),
        }),
    }
}

fn port(port: &NetworkPort) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(
            match port.protocol.unwrap_or_default() {
                Protocol::Tcp => "TCP",
                Protocol::Udp => "UDP",
                Protocol::Sctp => "SCTP",
            }
            .to_owned(),
        ),
        port: port.port.clone(),
        end_port: port.end_port,
    }
}

/// An empty list is left out: an empty `from`, `to` or `ports` means any, and is never what somebody wrote.
fn list<A, B>(items: &[A], convert: impl Fn(&A) -> B) -> Option<Vec<B>> {
    (!items.is_empty()).then(|| items.iter().map(convert).collect())
}
