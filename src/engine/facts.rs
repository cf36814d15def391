//! From API objects to the facts that a plan sees.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::api::v1alpha1::{
    BaselineReportStatus, ContestedObject, HeldBaseline, IpBlock, LabelSelector, NetworkPeer, NetworkPort, Protocol,
};
use crate::controls;
use crate::core::conditions;
use crate::core::drift::{Claim, Segment, Since, claim};
use crate::core::fight::{Contest, Fights};
use crate::core::object::{ChildId, Digest, FIELD_MANAGER};
use crate::core::text::bounded;
use crate::core::world::{
    Destination, GrantableRule, Kept, Membership, NamespaceFacts, Prior, PriorDrift, Recorded, RecordedLabel,
};

/// A text field of an object's metadata; empty where it is missing.
pub fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// What a plan may know of a namespace.
pub fn namespace(object: &Value) -> NamespaceFacts {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    let our_labels = our_labels(object);
    NamespaceFacts {
        name: meta(object, "name").to_owned(),
        uid: meta(object, "uid").to_owned(),
        created: meta(object, "creationTimestamp").parse().ok(),
        labels: labels
            .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
            .collect(),
        claims: claims(object, &our_labels),
        our_labels,
        terminating: object["metadata"]["deletionTimestamp"].is_string(),
    }
}

/// Who claims the present values of the labels that a baseline may ask for. What our own apply owns, and nobody else
/// does, needs no room: there are as many namespaces as the cluster has.
fn claims(object: &Value, ours: &BTreeSet<String>) -> BTreeMap<String, Claim> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels
        .filter(|(key, _)| key.starts_with(controls::POD_SECURITY))
        .map(|(key, _)| {
            let path = ["metadata", "labels", key].map(Segment::Key);
            (key.clone(), claim(object, &path, true))
        })
        .filter(|(key, claim)| !(claim.states_our_name() && ours.contains(key)))
        .collect()
}

/// What keeps an object from going when it is deleted, if something does, and who claims to have set that.
pub fn kept(object: &Value) -> Option<Kept> {
    let finalizers: Vec<&str> = object["metadata"]["finalizers"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if finalizers.is_empty() {
        return None;
    }
    let path = ["metadata", "finalizers"].map(Segment::Key);
    Some(Kept {
        finalizers: bounded(&finalizers.join(", "), 256),
        by: claim(object, &path, true).by,
        deleted: object["metadata"]["deletionTimestamp"].is_string(),
    })
}

/// The keys of the labels that our own server-side apply owns.
fn our_labels(object: &Value) -> BTreeSet<String> {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| {
            entry["manager"] == FIELD_MANAGER && entry["operation"] == "Apply" && !entry["subresource"].is_string()
        })
        .filter_map(|entry| entry["fieldsV1"]["f:metadata"]["f:labels"].as_object())
        .flat_map(|labels| labels.keys().filter_map(|k| k.strip_prefix("f:")))
        .map(ToOwned::to_owned)
        .collect()
}

/// What a report says of earlier work.
pub fn prior(report: &BaselineReportStatus) -> Prior {
    let inventory = report
        .inventory
        .iter()
        .filter_map(|entry| {
            let id = ChildId {
                kind: controls::kind_named(&entry.kind)?,
                name: entry.name.clone(),
            };
            let recorded = Recorded {
                uid: entry.uid.clone(),
                baseline: entry.baseline.clone(),
                digest: Digest::parse(&entry.digest),
            };
            Some((id, recorded))
        })
        .collect();
    Prior {
        inventory,
        members: Arc::new(report.baselines.iter().map(membership).collect()),
        labels: report
            .namespace_labels
            .iter()
            .map(|entry| {
                let recorded = RecordedLabel {
                    value: entry.value.clone(),
                    baseline: entry.baseline.clone(),
                };
                (entry.key.clone(), recorded)
            })
            .collect(),
        enforced_before: report
            .controls
            .iter()
            .filter(|control| control.enforced_before)
            .map(|control| control.name.clone())
            .collect(),
        waived: report
            .controls
            .iter()
            .flat_map(|control| {
                let its = control.waived.iter();
                its.map(|waived| (control.name.clone(), waived.object.clone(), waived.level))
            })
            .collect(),
        conditions: conditions::prior(&report.conditions),
        drift: PriorDrift {
            total: count(report.drift.total),
            repaired: count(report.drift.repaired),
            last_seen: report.drift.last_seen,
            last_claimed_by: report.drift.last_claimed_by.clone(),
            open: report
                .drift
                .open
                .iter()
                .map(|open| {
                    let since = Since {
                        seen: open.seen,
                        number: open.number,
                    };
                    ((open.object.clone(), open.path.clone()), since)
                })
                .collect(),
        },
        taken_over: !report.taken_over.is_empty(),
    }
}

/// A count that a report tells. Somebody may have written what no counting leads to.
const fn count(told: i64) -> i64 {
    if told < 0 { 0 } else { told }
}

/// The fights that a report tells.
pub fn fights(report: &BaselineReportStatus) -> Fights {
    Fights::restore(report.contested.iter().filter_map(contest))
}

fn contest(told: &ContestedObject) -> Option<Contest> {
    let reasons = [Contest::REVERTED, Contest::REWRITTEN];
    Some(Contest {
        object: told.object.clone(),
        path: told.path.clone(),
        by: told.by.clone(),
        reason: reasons.into_iter().find(|reason| *reason == told.reason)?,
        since: told.since,
        reverts: u32::try_from(told.reverts).unwrap_or(u32::MAX),
        last: told.last,
    })
}

fn membership(held: &HeldBaseline) -> (Arc<str>, Arc<Membership>) {
    let admitted = held.admitted_by.iter();
    let membership = Membership {
        generation: held.generation,
        admitted: admitted.map(|label| (label.key.clone(), label.value.clone())).collect(),
    };
    (held.uid.as_str().into(), Arc::new(membership))
}

/// Where the pods behind a DNS Service are: its own selector, and the ports that the pods listen on.
pub fn dns(service: &Value) -> Option<Destination> {
    let selector = service["spec"]["selector"].as_object()?;
    let labels: BTreeMap<String, String> = selector
        .iter()
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
        .collect();
    let ports: Vec<NetworkPort> = service["spec"]["ports"]
        .as_array()?
        .iter()
        // A DNS Service may serve metrics too; only its DNS ports are meant.
        .filter(|port| port["port"] == 53)
        .map(|port| NetworkPort {
            protocol: Some(if port["protocol"] == "UDP" {
                Protocol::Udp
            } else {
                Protocol::Tcp
            }),
            port: serde_json::from_value(port["targetPort"].clone())
                .ok()
                .or(Some(IntOrString::Int(53))),
            end_port: None,
        })
        .collect();
    if labels.is_empty() || ports.is_empty() {
        return None;
    }
    let of_namespace = BTreeMap::from([(
        "kubernetes.io/metadata.name".to_owned(),
        meta(service, "namespace").to_owned(),
    )]);
    let peer = NetworkPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: of_namespace,
            ..LabelSelector::default()
        }),
        pod_selector: Some(LabelSelector {
            match_labels: labels,
            ..LabelSelector::default()
        }),
        ip_block: None,
    };
    Some(Destination {
        peers: vec![peer],
        ports,
    })
}

/// The addresses and ports that an EndpointSlice lists.
pub fn endpoints(slice: &Value) -> Option<Destination> {
    let mut addresses: Vec<String> = slice["endpoints"]
        .as_array()?
        .iter()
        .flat_map(|e| e["addresses"].as_array().into_iter().flatten())
        .filter_map(|a| a.as_str()?.parse::<std::net::IpAddr>().ok())
        .map(|a| format!("{a}/{}", if a.is_ipv4() { 32 } else { 128 }))
        .collect();
    addresses.sort();
    addresses.dedup();
    let ports: Vec<NetworkPort> = slice["ports"]
        .as_array()?
        .iter()
        .filter_map(|p| i32::try_from(p["port"].as_i64()?).ok())
        .map(|port| NetworkPort {
            protocol: Some(Protocol::Tcp),
            port: Some(IntOrString::Int(port)),
            end_port: None,
        })
        .collect();
    if addresses.is_empty() || ports.is_empty() {
        return None;
    }
    let peer = |cidr| NetworkPeer {
        ip_block: Some(IpBlock {
            cidr,
            except: Vec::new(),
        }),
        ..NetworkPeer::default()
    };
    Some(Destination {
        peers: addresses.into_iter().map(peer).collect(),
        ports,
    })
}

/// The addresses on each node at which pods reach a NodeLocal DNSCache, by the `bind` lines of its Corefile: a
/// link-local one, and where kube-proxy works with iptables also the DNS Service's own, which is answered on the node.
/// What is no address (a placeholder that nobody filled in, the name of an interface) is none.
///
/// Sources: `cluster/addons/dns/nodelocaldns/nodelocaldns.yaml` of Kubernetes,
/// <https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/>, <https://coredns.io/plugins/bind/>.
pub fn node_local_dns(config_map: &Value) -> BTreeSet<IpAddr> {
    let corefile = config_map["data"]["Corefile"].as_str().unwrap_or_default();
    let bound = corefile.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        (words.next()? == "bind").then(|| words.take_while(|word| *word != "{"))
    });
    bound.flatten().filter_map(address).take(MOST_ADDRESSES).collect()
}

/// The most addresses of node-local DNS that are allowed.
pub const MOST_ADDRESSES: usize = 16;

/// An address that a pod can reach on its node: none of `0.0.0.0`, loopback and multicast.
pub fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok()?.to_canonical();
    let nowhere = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    (!nowhere && address != Ipv4Addr::BROADCAST).then_some(address)
}

/// The rules of a ClusterRole that are about resources.
pub fn grantable(role: &Value) -> Vec<GrantableRule> {
    let list = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| Some(v.as_str()?.to_owned()))
            .collect()
    };
    role["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| GrantableRule {
            api_groups: list(&rule["apiGroups"]),
            resources: list(&rule["resources"]),
            resource_names: list(&rule["resourceNames"]),
            verbs: list(&rule["verbs"]),
        })
        .filter(|rule| !rule.resources.is_empty())
        .collect()
}

#[cfg(test)]
mod tests;
