//! The section `networkIsolation`, in NetworkPolicy's own shapes.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::ITEM_NAME;
use super::{LabelSelector, Mode};

/// Denies traffic by default. Each denied direction is one NetworkPolicy for all pods of the namespace
/// (`security-baseline-default-deny-ingress`, `-egress`), which holds all that is allowed in that direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("'Egress' in self.defaultDeny || !has(self.allowDNS)")
        .message("allowDNS is about egress: add Egress to defaultDeny, or leave allowDNS out").field_path(".allowDNS"),
    validation = Rule::new("'Egress' in self.defaultDeny || !has(self.dns)")
        .message("dns is about egress: add Egress to defaultDeny, or leave dns out").field_path(".dns"),
    validation = Rule::new("!has(self.dns) || !has(self.allowDNS) || self.allowDNS")
        .message("dns states what DNS may reach, but allowDNS is false: leave one of them out").field_path(".dns"),
    validation = Rule::new("'Egress' in self.defaultDeny || !has(self.allowKubernetesAPI) || !self.allowKubernetesAPI")
        .message("allowKubernetesAPI is about egress: add Egress to defaultDeny, or leave it out").field_path(".allowKubernetesAPI"),
    validation = Rule::new("'Ingress' in self.defaultDeny || !has(self.allow) || self.allow.all(r, !has(r.ingress))")
        .message("an ingress rule allows nothing while ingress is not denied: add Ingress to defaultDeny, or remove the rule").field_path(".allow"),
    validation = Rule::new("'Egress' in self.defaultDeny || !has(self.allow) || self.allow.all(r, !has(r.egress))")
        .message("an egress rule allows nothing while egress is not denied: add Egress to defaultDeny, or remove the rule").field_path(".allow"),
)]
pub struct NetworkIsolation {
    /// Overrides the baseline's mode for this section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The directions that are denied by default.
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub default_deny: Vec<Direction>,
    /// Allow egress to the cluster's DNS. Default true where egress is denied.
    #[serde(default, rename = "allowDNS", skip_serializing_if = "Option::is_none")]
    pub allow_dns: Option<bool>,
    /// Where the cluster's DNS is. By default it is detected from the cluster's DNS Service; while none is found,
    /// enforcing egress deny is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsPeers>,
    /// Allow egress to the Kubernetes API server's own endpoints. Default false.
    #[serde(default, rename = "allowKubernetesAPI", skip_serializing_if = "Option::is_none")]
    pub allow_kubernetes_api: Option<bool>,
    /// Allow the pods of one namespace to reach each other, in the denied directions. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_same_namespace: Option<bool>,
    /// What else is allowed, by name, in directions that are denied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub allow: Vec<NamedRule>,
}

impl NetworkIsolation {
    /// Whether the direction is denied by default.
    pub fn denies(&self, direction: Direction) -> bool {
        self.default_deny.contains(&direction)
    }
}

/// A direction of traffic, seen from the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum Direction {
    Ingress,
    Egress,
}

/// Where DNS is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsPeers {
    /// The pods or addresses that answer.
    #[schemars(length(min = 1, max = 8))]
    pub peers: Vec<NetworkPeer>,
    /// The ports that they listen on, as the pod has them (behind the Service).
    #[schemars(length(min = 1, max = 8))]
    pub ports: Vec<NetworkPort>,
}

/// Something that is allowed, with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.ingress) || has(self.egress)")
    .message("a named rule allows something: give it `ingress` or `egress`"))]
pub struct NamedRule {
    /// The rule's name, unique in the list.
    #[schemars(length(min = 1, max = 39), pattern(ITEM_NAME))]
    pub name: String,
    /// Only for these pods of the namespace; then the rule becomes a NetworkPolicy of its own,
    /// `security-baseline-allow-<name>`. Without it the rule is for all pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Allowed ingress, as in a NetworkPolicy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub ingress: Vec<NetworkIngressRule>,
    /// Allowed egress, as in a NetworkPolicy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub egress: Vec<NetworkEgressRule>,
}

impl NamedRule {
    /// Whether the rule is for all pods of the namespace, and so part of the deny policies themselves.
    pub fn is_for_all_pods(&self) -> bool {
        self.pod_selector
            .as_ref()
            .is_none_or(|s| s.match_labels.is_empty() && s.match_expressions.is_empty())
    }
}

/// Allowed ingress: from any of the peers (from anywhere, if there are none) on any of the ports (on any, if there are
/// none). A rule with neither would allow everything, and is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.from) || has(self.ports)")
    .message("a rule with neither `from` nor `ports` would allow everything: name at least one peer or one port"))]
pub struct NetworkIngressRule {
    /// Whom it is allowed from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub from: Vec<NetworkPeer>,
    /// Which ports of the pod it is allowed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub ports: Vec<NetworkPort>,
}

/// Allowed egress: to any of the peers (to anywhere, if there are none) on any of the ports (on any, if there are none).
/// A rule with neither would allow everything, and is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.to) || has(self.ports)")
    .message("a rule with neither `to` nor `ports` would allow everything: name at least one peer or one port"))]
pub struct NetworkEgressRule {
    /// Whom it is allowed to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub to: Vec<NetworkPeer>,
    /// Which ports of the peer it is allowed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub ports: Vec<NetworkPort>,
}

/// A peer: pods by selectors, or a range of addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.podSelector) || has(self.namespaceSelector) || has(self.ipBlock)")
        .message("a peer needs podSelector, namespaceSelector or ipBlock"),
    validation = Rule::new("!has(self.ipBlock) || (!has(self.podSelector) && !has(self.namespaceSelector))")
        .message("a peer has either ipBlock or selectors: write two peers"),
)]
pub struct NetworkPeer {
    /// Pods by label: of this namespace, or of those that namespaceSelector selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// Namespaces by label; `{}` is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// A range of addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_block: Option<IpBlock>,
}

/// A range of addresses in CIDR notation, less some parts of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IpBlock {
    /// The range, such as 192.0.2.0/24 or 2001:db8::/64.
    #[schemars(length(max = 49))]
    #[x_kube(validation = Rule::new("isCIDR(self)").message("write a range of addresses in CIDR notation, such as 192.0.2.0/24"))]
    pub cidr: String,
    /// Parts of the range that are not meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "cidr_list")]
    pub except: Vec<String>,
}

fn cidr_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": {
            "type": "string",
            "maxLength": 49,
            "x-kubernetes-validations": [{
                "rule": "isCIDR(self)",
                "message": "write a range of addresses in CIDR notation, such as 192.0.2.0/24",
            }],
        },
    })
}

/// A port, a named port, or a range of ports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.endPort) || (has(self.port) && type(self.port) == int && self.endPort >= self.port)")
        .message("endPort ends a range that a numeric `port` not above it begins"),
)]
pub struct NetworkPort {
    /// The protocol. Default TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// A port's number (1 to 65535) or name; all ports of the protocol if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "port")]
    pub port: Option<IntOrString>,
    /// The last port of the range that `port` begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub end_port: Option<i32>,
}

fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "maxLength": 15,
        "x-kubernetes-validations": [{
            "rule": "type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') && self.matches('[a-z]')",
            "message": "write a port's number (1 to 65535, without quotes) or a port's name",
        }],
    })
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum Protocol {
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    #[serde(rename = "UDP")]
    Udp,
    #[serde(rename = "SCTP")]
    Sctp,
}
