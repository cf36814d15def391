//! Default-deny NetworkPolicies.
//!
//! Each denied direction is one policy for all pods that holds all that is allowed in it: there is no instant with a
//! deny and without its DNS rule, and no allow can isolate a direction that nobody meant to deny.

mod api;
mod detected;
mod validate;
mod weaker;

pub use detected::Detected;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as ApiSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Map, Value, json};

use crate::api::v1alpha1::{
    Direction, FieldProblem, Mode, NamedRule, NetworkIsolation as Section, SecurityBaselineSpec,
};
use crate::core::control::{Control, Held, Rendered};
use crate::core::object::{Child, ChildId, ChildKind, RESERVED_PREFIX, drop_empty, normalise_selector};
use crate::core::validate::Problems;
use crate::core::world::{ClusterFacts, Destination, NamespaceFacts};

/// The section `networkIsolation`.
pub struct NetworkIsolation;

/// The kind that it creates.
static NETWORK_POLICY: ChildKind = ChildKind {
    group: "networking.k8s.io",
    version: "v1",
    kind: "NetworkPolicy",
    plural: "networkpolicies",
    fields: &["spec"],
    normalise,
    immutable: &[],
    grants: &[],
    weaker: weaker::weaker,
};

const COMPONENT: &str = "network-isolation";

/// What the names of policies of named rules begin with, behind the reserved prefix.
const ALLOW: &str = "allow-";

static KINDS: [&ChildKind; 1] = [&NETWORK_POLICY];

impl Control for NetworkIsolation {
    fn section(&self) -> &'static str {
        "networkIsolation"
    }

    fn kinds(&self) -> &'static [&'static ChildKind] {
        &KINDS
    }

    fn mode(&self, spec: &SecurityBaselineSpec) -> Option<Mode> {
        Some(spec.network_isolation.as_ref()?.mode.unwrap_or(spec.mode))
    }

    fn copy(&self, from: &SecurityBaselineSpec, to: &mut SecurityBaselineSpec) {
        to.network_isolation.clone_from(&from.network_isolation);
        // The mode of the section itself: the other spec may have another one for all.
        if let Some(section) = &mut to.network_isolation {
            section.mode = Some(section.mode.unwrap_or(from.mode));
        }
    }

    fn validate(&self, spec: &SecurityBaselineSpec, problems: &mut Problems) {
        if let Some(section) = &spec.network_isolation {
            validate::section("spec.networkIsolation", section, problems);
        }
    }

    fn warnings(&self, spec: &SecurityBaselineSpec) -> Vec<FieldProblem> {
        let message = "NotVisible: whether NetworkPolicies are enforced is up to the cluster's network plugin; policies of its own kinds, and pods on the host's network, are not seen from here";
        let of = |_: &Section| FieldProblem {
            path: "spec.networkIsolation".to_owned(),
            message: message.to_owned(),
        };
        spec.network_isolation.iter().map(of).collect()
    }

    /// The policy of a named rule does, since its direction is denied for all pods by another one.
    fn only_grants(&self, id: &ChildId) -> bool {
        let name = id.name.strip_prefix(RESERVED_PREFIX);
        name.is_some_and(|name| name.starts_with(ALLOW))
    }

    fn tightens(&self, _: &Child, _: &Child) -> bool {
        // Each direction has a policy of its own: what changes in one is what it allows.
        false
    }

    fn render(&self, spec: &SecurityBaselineSpec, _: &NamespaceFacts, cluster: &ClusterFacts) -> Rendered {
        let mut rendered = Rendered::default();
        let Some(section) = &spec.network_isolation else {
            return rendered;
        };
        if section.denies(Direction::Ingress) {
            let policy = policy(Direction::Ingress, None, ingress(section), Vec::new());
            rendered.children.push(child("default-deny-ingress", &policy));
        }
        if section.denies(Direction::Egress) {
            match egress(section, cluster) {
                Ok(rules) => {
                    let policy = policy(Direction::Egress, None, Vec::new(), rules);
                    rendered.children.push(child("default-deny-egress", &policy));
                }
                Err((reason, message)) => {
                    let id = ChildId {
                        kind: &NETWORK_POLICY,
                        name: format!("{RESERVED_PREFIX}default-deny-egress"),
                    };
                    rendered.held.push(Held::child(id, reason, message));
                }
            }
        }
        for rule in section.allow.iter().filter(|rule| !rule.is_for_all_pods()) {
            rendered
                .children
                .push(child(&format!("{ALLOW}{}", rule.name), &own_policy(section, rule)));
        }
        rendered
    }
}

fn ingress(section: &Section) -> Vec<NetworkPolicyIngressRule> {
    let same = section
        .allow_same_namespace
        .unwrap_or(false)
        .then(|| NetworkPolicyIngressRule {
            from: Some(vec![same_namespace()]),
            ports: None,
        });
    let named = section
        .allow
        .iter()
        .filter(|rule| rule.is_for_all_pods())
        .flat_map(|rule| &rule.ingress);
    same.into_iter().chain(named.map(api::ingress_rule)).collect()
}

/// Whether what is allowed out depends on where the cluster's DNS is found.
fn detects_dns(section: &Section) -> bool {
    section.dns.is_none() && section.allow_dns.unwrap_or(true)
}

/// What is allowed out, or why it cannot be said.
fn egress(
    section: &Section,
    cluster: &ClusterFacts,
) -> Result<Vec<NetworkPolicyEgressRule>, (&'static str, &'static str)> {
    let mut rules = Vec::new();
    if let Some(dns) = &section.dns {
        rules.push(api::destination(&dns.peers, &dns.ports));
    }
    if detects_dns(section) {
        let Some(Destination { peers, ports }) = &cluster.dns else {
            return Err((
                "DNSNotFound",
                "the cluster's DNS Service was not found, and denying egress would cut pods off from DNS: state it in networkIsolation.dns, set clusterDNS in the operator's configuration, or set allowDNS to false",
            ));
        };
        rules.push(api::destination(peers, ports));
        rules.extend(node_local_dns(cluster));
    }
    if section.allow_kubernetes_api.unwrap_or(false) {
        match &cluster.api_server {
            Some(destinations) => rules.extend(destinations.iter().map(|d| api::destination(&d.peers, &d.ports))),
            None => {
                return Err((
                    "APIServerNotFound",
                    "the API server's endpoints (EndpointSlices of Service kubernetes in namespace default) were not found: set allowKubernetesAPI to false, or allow their addresses by name in networkIsolation.allow",
                ));
            }
        }
    }
    if section.allow_same_namespace.unwrap_or(false) {
        rules.push(NetworkPolicyEgressRule {
            to: Some(vec![same_namespace()]),
            ports: None,
        });
    }
    let named = section
        .allow
        .iter()
        .filter(|rule| rule.is_for_all_pods())
        .flat_map(|rule| &rule.egress);
    rules.extend(named.map(api::egress_rule));
    Ok(rules)
}

/// A DNS cache on each node, which stands between the pods and the cluster's DNS. It runs in the node's own network, so
/// no selector finds it, and it always listens on port 53.
fn node_local_dns(cluster: &ClusterFacts) -> Option<NetworkPolicyEgressRule> {
    let blocks = cluster.node_local_dns.iter().map(|address| NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: IpNet::from(*address).to_string(),
            except: None,
        }),
        ..NetworkPolicyPeer::default()
    });
    let ports = ["UDP", "TCP"].map(|protocol| NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(53)),
        end_port: None,
    });
    (!cluster.node_local_dns.is_empty()).then(|| NetworkPolicyEgressRule {
        to: Some(blocks.collect()),
        ports: Some(ports.into()),
    })
}

/// All pods of the policy's own namespace.
fn same_namespace() -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(ApiSelector::default()),
        ..NetworkPolicyPeer::default()
    }
}

fn policy(
    direction: Direction,
    pods: Option<ApiSelector>,
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(pods.unwrap_or_default()),
        policy_types: Some(vec![format!("{direction:?}")]),
        ingress: (!ingress.is_empty()).then_some(ingress),
        egress: (!egress.is_empty()).then_some(egress),
    }
}

/// The policy of a named rule that is only for some pods: in the directions that are denied, and no other (a policy
/// isolates its pods in each direction that it names).
fn own_policy(section: &Section, rule: &NamedRule) -> NetworkPolicySpec {
    let for_ingress = section.denies(Direction::Ingress) && !rule.ingress.is_empty();
    let for_egress = section.denies(Direction::Egress) && !rule.egress.is_empty();
    let types = [(for_ingress, "Ingress"), (for_egress, "Egress")];
    NetworkPolicySpec {
        pod_selector: Some(rule.pod_selector.as_ref().map(api::selector).unwrap_or_default()),
        policy_types: Some(types.iter().filter(|t| t.0).map(|t| t.1.to_owned()).collect()),
        ingress: for_ingress.then(|| rule.ingress.iter().map(api::ingress_rule).collect()),
        egress: for_egress.then(|| rule.egress.iter().map(api::egress_rule).collect()),
    }
}

fn child(name: &str, spec: &NetworkPolicySpec) -> Child {
    Child::new(&NETWORK_POLICY, COMPONENT, name, json!({ "spec": spec }))
}

fn normalise(fields: &mut Map<String, Value>) {
    let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    // Source of these defaults: `SetDefaults_NetworkPolicy` and `SetDefaults_NetworkPolicyPort` of Kubernetes.
    drop_empty(spec, &["ingress", "egress", "policyTypes"]);
    normalise_selector(spec.entry("podSelector").or_insert_with(|| json!({})));
    if !spec.contains_key("policyTypes") {
        let types = if spec.contains_key("egress") {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        spec.insert("policyTypes".to_owned(), types);
    }
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec
            .get_mut(direction)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let Some(rule) = rule.as_object_mut() else { continue };
            drop_empty(rule, &[peers, "ports"]);
            for peer in rule.get_mut(peers).and_then(Value::as_array_mut).into_iter().flatten() {
                normalise_peer(peer);
            }
            for port in rule
                .get_mut("ports")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                let Some(port) = port.as_object_mut() else { continue };
                drop_empty(port, &[]);
                port.entry("protocol").or_insert_with(|| "TCP".into());
            }
        }
    }
}

fn normalise_peer(peer: &mut Value) {
    let Some(peer) = peer.as_object_mut() else { return };
    drop_empty(peer, &[]);
    for selector in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = peer.get_mut(selector) {
            normalise_selector(selector);
        }
    }
    if let Some(block) = peer.get_mut("ipBlock").and_then(Value::as_object_mut) {
        drop_empty(block, &["except"]);
    }
}

#[cfg(test)]
mod tests;
