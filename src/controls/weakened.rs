//! Objects of others that undo a control: they stand beside what a baseline asks for, and open what it closes. They are
//! told, and never touched.
//!
//! The line is this. A **NetworkPolicy undoes** a direction that it applies to (`policyTypes`, with the API's defaults)
//! when it is for all pods (its `podSelector` is empty) and lets everything through, that is,
//!
//! - a rule has no `ports`, or such as cover every port of TCP: one without a number, or ranges that together are
//!   1 to 65535; several rules that each reach everything count together;
//! - and it reaches everything: it has no `from` or `to`; or a peer is all namespaces (an empty selector, or nothing but
//!   that `kubernetes.io/metadata.name` exists) with all of their pods; or its `ipBlock`s, together with those of
//!   the direction's other rules without a limit to ports, cover all of IPv4 or all of IPv6. What an `except` takes out
//!   is not covered, unless another block brings it back.
//!
//! It is **narrower**, which is information, when it does the same for some pods only, on some ports only, or for most
//! peers: all but particular namespaces or pods (a selector of nothing but `NotIn` and `DoesNotExist`), or more than half
//! of all addresses. Whether a selector that names something selects all the same (such as one for pods that lack a label
//! which none has), only the pods can tell: it counts as some. A rule that names particular peers is nothing.
//!
//! A **RoleBinding undoes** what access says when it gives the ClusterRole `cluster-admin` or `admin` to everybody: to
//! one of the groups `system:authenticated`, `system:unauthenticated` and `system:serviceaccounts`, or to the user
//! `system:anonymous`, who is all of the second. The service accounts of one namespace
//! (`system:serviceaccounts:<namespace>`) are not everybody.
//!
//! Each object is judged by itself: what two policies, or a role of another name, open together is not seen.

mod cover;

use serde_json::{Map, Value};

use crate::core::object::{Canonical, ChildKind};
use crate::core::world::{Undoes, Weakening};
use cover::{Blocks, PORTS, covers, ports};

/// Whether objects of a kind may undo a control.
pub fn may_weaken(kind: &ChildKind) -> bool {
    matches!(kind.kind, "NetworkPolicy" | "RoleBinding")
}

/// What an object undoes, if it does. It may hold anything that JSON can.
pub fn weakening(kind: &ChildKind, object: &Value) -> Option<Weakening> {
    // Most objects plainly undo nothing, and need not be taken apart.
    let is_list = |field: &str| object["spec"][field].as_array().is_some_and(|rules| !rules.is_empty());
    let judge = match kind.kind {
        "NetworkPolicy" if is_list("ingress") || is_list("egress") => policy,
        "RoleBinding" if wide_role(&object["roleRef"]).is_some() => binding,
        _ => return None,
    };
    judge(&Canonical::of(kind, object).0)
}

/// How far a policy opens a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Everything,
    SomePorts,
    MostPeers,
}

fn policy(object: &Value) -> Option<Weakening> {
    let spec = &object["spec"];
    let all_pods = is_empty(&spec["podSelector"]);
    let types = spec["policyTypes"].as_array()?;
    let (mut undoes, mut narrower, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for (name, direction, field, peers, preposition) in [
        ("Ingress", Undoes::Ingress, "ingress", "from", "to"),
        ("Egress", Undoes::Egress, "egress", "to", "from"),
    ] {
        let Some(rules) = spec[field].as_array().filter(|_| types.iter().any(|t| t == name)) else {
            continue;
        };
        let Some(opening) = opening(rules, peers) else { continue };
        if all_pods && opening == Opening::Everything {
            undoes.push(direction);
        } else {
            narrower.push(direction);
        }
        let pods = if all_pods {
            "all pods"
        } else {
            "the pods that it selects"
        };
        let limit = match opening {
            Opening::Everything => "",
            Opening::SomePorts => ", on some ports only",
            Opening::MostPeers => ", but for a few peers or ports",
        };
        told.push(format!("all {field} {preposition} {pods}{limit}"));
    }
    (!told.is_empty()).then(|| Weakening {
        undoes,
        narrower,
        what: format!("it allows {}: narrow its rules, or delete it", told.join("; ")),
    })
}

/// How far the rules of one direction open it.
fn opening(rules: &[Value], peers: &str) -> Option<Opening> {
    let (mut on, mut unlimited, mut all) = (Vec::new(), Blocks::default(), Blocks::default());
    let mut most = false;
    for rule in rules.iter().filter_map(Value::as_object) {
        let mut ports = ports(rule);
        let (reach, mut blocks) = reach(rule, peers);
        most |= reach == Reach::Most;
        if covers(&mut ports, PORTS) {
            unlimited.extend(&blocks);
        }
        all.extend(&blocks);
        if reach == Reach::All || blocks.is_everything() {
            // A rule that reaches everything, if only on ports of another protocol.
            all.add_everything();
            on.append(&mut ports);
        }
    }
    if covers(&mut on, PORTS) || unlimited.is_everything() {
        Some(Opening::Everything)
    } else if all.is_everything() {
        Some(Opening::SomePorts)
    } else {
        (most || all.is_most()).then_some(Opening::MostPeers)
    }
}

/// Whom a rule reaches by its selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Some,
    Most,
    All,
}

/// Whom a rule reaches by its selectors, or by having none, and the addresses that it reaches besides.
fn reach(rule: &Map<String, Value>, peers: &str) -> (Reach, Blocks) {
    let mut blocks = Blocks::default();
    let Some(peers) = rule.get(peers) else {
        return (Reach::All, blocks);
    };
    let mut reach = Reach::Some;
    for peer in peers.as_array().into_iter().flatten().filter_map(Value::as_object) {
        match peer.get("ipBlock") {
            Some(block) => blocks.add(block),
            None => reach = reach.max(of_peer(peer)),
        }
    }
    (reach, blocks)
}

/// How much of all pods of all namespaces a peer is. (One that says nothing would be all; the API server refuses it.)
fn of_peer(peer: &Map<String, Value>) -> Reach {
    let of = |selector: &Value| match selector {
        selector if is_empty(selector) || is_any_name(selector) => Reach::All,
        selector if is_all_but(selector) => Reach::Most,
        _ => Reach::Some,
    };
    let pods = peer.get("podSelector").map_or(Reach::All, of);
    let namespaces = match peer.get("namespaceSelector") {
        Some(selector) => of(selector),
        // Without it, the pods are those of the policy's own namespace.
        None if peer.is_empty() => Reach::All,
        None => Reach::Some,
    };
    pods.min(namespaces)
}

fn is_empty(selector: &Value) -> bool {
    selector.as_object().is_some_and(Map::is_empty)
}

/// Whether a selector asks for nothing but the label that the API server puts on every namespace.
fn is_any_name(selector: &Value) -> bool {
    let Some(selector) = selector.as_object().filter(|s| s.len() == 1) else {
        return false;
    };
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    expressions.is_some_and(|all| {
        all.iter()
            .all(|e| e["key"] == "kubernetes.io/metadata.name" && e["operator"] == "Exists")
    })
}

/// Whether a selector only leaves something out.
fn is_all_but(selector: &Value) -> bool {
    let Some(selector) = selector.as_object().filter(|s| s.len() == 1) else {
        return false;
    };
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    // Every namespace has this label: to lack it is to be none.
    let none = |e: &Value| e["key"] == "kubernetes.io/metadata.name" && e["operator"] == "DoesNotExist";
    let leaves_out = |e: &Value| (e["operator"] == "NotIn" || e["operator"] == "DoesNotExist") && !none(e);
    expressions.is_some_and(|all| all.iter().all(leaves_out))
}

/// The role that a reference names, if it is one that allows everything.
fn wide_role(reference: &Value) -> Option<&'static str> {
    ["cluster-admin", "admin"]
        .into_iter()
        .find(|name| reference["name"] == *name)
}

fn binding(object: &Value) -> Option<Weakening> {
    const WIDE: [(&str, &str); 4] = [
        ("Group", "system:authenticated"),
        ("Group", "system:unauthenticated"),
        ("Group", "system:serviceaccounts"),
        ("User", "system:anonymous"),
    ];
    let role = &object["roleRef"];
    let name = wide_role(role)?;
    let subjects = object["subjects"]
        .as_array()
        .filter(|_| role["kind"] == "ClusterRole")?;
    let bound: Vec<&str> = WIDE
        .into_iter()
        .filter(|(kind, name)| subjects.iter().any(|s| s["kind"] == *kind && s["name"] == *name))
        .map(|(_, name)| name)
        .collect();
    (!bound.is_empty()).then(|| Weakening {
        undoes: vec![Undoes::Access],
        narrower: Vec::new(),
        what: format!(
            "it binds the ClusterRole {name} to {}: bind it to particular subjects, or delete it",
            bound.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests;
