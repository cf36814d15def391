//! Network isolation: the union of the denied directions; what is allowed adds up.

use super::{Conflict, Outcome, Share, Supplied, by_name, meet};
use crate::api::v1alpha1::{
    Direction, DnsPeers, LabelSelector, NamedRule, NetworkEgressRule, NetworkIngressRule, NetworkIsolation, NetworkPeer,
};

/// The names of the rules that stated DNS becomes, and traffic within the namespace where only one of two denied
/// directions allows it. No item can have them: names of items are lower-case.
const DNS: &str = "DNS";
const SAME_NAMESPACE: &str = "SAME-NAMESPACE";

pub(super) fn merge(shares: &[Share<NetworkIsolation>]) -> Outcome<NetworkIsolation> {
    let (mut values, mut conflicts) = (Vec::new(), Vec::new());
    if shares.is_empty() {
        return Outcome {
            section: None,
            values,
            conflicts,
        };
    }
    let mut default_deny = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        let Some((by, _)) = shares.iter().find(|(_, s)| s.denies(direction)) else {
            continue;
        };
        default_deny.push(direction);
        let open = shares.iter().filter(|(_, s)| !s.denies(direction));
        values.push(Supplied {
            less: open.map(|(place, _)| (*place, "not denied".to_owned())).collect(),
            ..Supplied::new("defaultDeny", format!("{direction:?}"), *by)
        });
    }

    // Who does not deny egress says nothing of DNS.
    let denying: Vec<_> = shares.iter().filter(|(_, s)| s.denies(Direction::Egress)).collect();
    let detects = |s: &NetworkIsolation| s.dns.is_none() && s.allow_dns.unwrap_or(true);
    let detected = denying.iter().find(|(_, s)| detects(s));
    let mut allow: Vec<NamedRule> = Vec::new();
    for (place, stated) in denying.iter().filter_map(|(place, s)| Some((*place, s.dns.as_ref()?))) {
        let rule = NamedRule {
            name: DNS.to_owned(),
            pod_selector: None,
            ingress: Vec::new(),
            egress: vec![NetworkEgressRule {
                to: stated.peers.clone(),
                ports: stated.ports.clone(),
            }],
        };
        if !allow.contains(&rule) {
            allow.push(rule);
            values.push(Supplied::new("dns", "stated", place));
        }
    }
    match (detected, denying.first()) {
        (Some((place, _)), _) => values.push(Supplied::new("dns", "detected", *place)),
        (None, Some((place, _))) if allow.is_empty() => values.push(Supplied::new("dns", "denied", *place)),
        _ => {}
    }

    let api = denying.iter().find(|(_, s)| s.allow_kubernetes_api == Some(true));
    values.extend(api.map(|(place, _)| Supplied::new("allowKubernetesAPI", "true", *place)));
    // Who does not deny a direction says nothing of what is allowed in it.
    let mut within = Vec::new();
    for direction in &default_deny {
        let allows = |s: &NetworkIsolation| s.denies(*direction) && s.allow_same_namespace == Some(true);
        if let Some((place, _)) = shares.iter().find(|(_, s)| allows(s)) {
            values.push(Supplied::new("allowSameNamespace", format!("{direction:?}"), *place));
            within.push(*direction);
        }
    }
    let allow_same_namespace = within == default_deny;
    if !allow_same_namespace {
        allow.extend(within.into_iter().map(within_namespace));
    }

    for (name, asked) in by_name(shares.iter().map(|(p, s)| (*p, &s.allow[..])), |rule| &rule.name) {
        let Some(((holds, rule), others)) = asked.split_first() else {
            continue;
        };
        values.push(Supplied::new("allow", &name, *holds));
        for (yields, _) in others.iter().filter(|(_, other)| other != rule) {
            conflicts.push(Conflict {
                section: "networkIsolation",
                object: format!("allow/{name}"),
                holds: *holds,
                yields: *yields,
                message: "the rules differ".to_owned(),
            });
        }
        allow.push((*rule).clone());
    }
    Outcome {
        section: Some(NetworkIsolation {
            mode: None,
            default_deny,
            allow_dns: (!denying.is_empty()).then_some(detected.is_some()),
            dns: None,
            allow_kubernetes_api: Some(api.is_some()),
            allow_same_namespace: Some(allow_same_namespace),
            allow,
        }),
        values,
        conflicts,
    }
}

/// The rule that allows traffic within the namespace, in one direction.
fn within_namespace(direction: Direction) -> NamedRule {
    let pods = || {
        vec![NetworkPeer {
            pod_selector: Some(LabelSelector::default()),
            ..NetworkPeer::default()
        }]
    };
    let mut rule = NamedRule {
        name: SAME_NAMESPACE.to_owned(),
        pod_selector: None,
        ingress: Vec::new(),
        egress: Vec::new(),
    };
    match direction {
        Direction::Ingress => rule.ingress.push(NetworkIngressRule {
            from: pods(),
            ports: Vec::new(),
        }),
        Direction::Egress => rule.egress.push(NetworkEgressRule {
            to: pods(),
            ports: Vec::new(),
        }),
    }
    rule
}

/// Takes out of what was enforced last (`kept`) whatever it allows and the present section (`asked`) does not. Who does
/// not deny a direction says nothing of what is allowed in it.
pub(super) fn withdraw(kept: &mut NetworkIsolation, asked: &NetworkIsolation) {
    let out = asked.denies(Direction::Egress);
    if kept.denies(Direction::Egress) {
        let was_stated = kept.dns.is_some();
        kept.dns = match (&kept.dns, &asked.dns) {
            (Some(kept), Some(asked)) if out => common_dns(kept, asked),
            _ => None,
        };
        let detects = out && asked.dns.is_none() && asked.allow_dns.unwrap_or(true);
        if kept.dns.is_none() && (was_stated || !detects) {
            kept.allow_dns = Some(false);
        }
    }
    if !(out && asked.allow_kubernetes_api == Some(true)) {
        kept.allow_kubernetes_api = kept.allow_kubernetes_api.map(|_| false);
    }
    let all = kept.default_deny.iter().all(|direction| asked.denies(*direction));
    if !(all && asked.allow_same_namespace == Some(true)) {
        kept.allow_same_namespace = kept.allow_same_namespace.map(|_| false);
    }
    kept.allow = kept
        .allow
        .iter()
        .filter_map(|rule| common_rule(rule, asked.allow.iter().find(|other| other.name == rule.name)?))
        .collect();
}

fn common_dns(a: &DnsPeers, b: &DnsPeers) -> Option<DnsPeers> {
    Some(DnsPeers {
        peers: meet(&a.peers, &b.peers)?,
        ports: meet(&a.ports, &b.ports)?,
    })
}

/// What both rules of one name allow, if that is anything.
fn common_rule(a: &NamedRule, b: &NamedRule) -> Option<NamedRule> {
    let same_pods = a.pod_selector == b.pod_selector || (a.is_for_all_pods() && b.is_for_all_pods());
    let rule = NamedRule {
        ingress: common(&a.ingress, &b.ingress, |a, b| {
            Some(NetworkIngressRule {
                from: meet(&a.from, &b.from)?,
                ports: meet(&a.ports, &b.ports)?,
            })
        }),
        egress: common(&a.egress, &b.egress, |a, b| {
            Some(NetworkEgressRule {
                to: meet(&a.to, &b.to)?,
                ports: meet(&a.ports, &b.ports)?,
            })
        }),
        ..a.clone()
    };
    (same_pods && !(rule.ingress.is_empty() && rule.egress.is_empty())).then_some(rule)
}

/// What is allowed by some rule of each list. A rule that is in both is in the result as it is.
fn common<T: Clone + PartialEq>(a: &[T], b: &[T], meet: impl Fn(&T, &T) -> Option<T>) -> Vec<T> {
    let mut both = Vec::new();
    for rule in a {
        let parts = if b.contains(rule) {
            vec![rule.clone()]
        } else {
            b.iter().filter_map(|other| meet(rule, other)).collect()
        };
        for part in parts {
            if !both.contains(&part) {
                both.push(part);
            }
        }
    }
    both
}
