//! Network isolation: the union of the denied directions; what is allowed adds up.

use super::{Conflict, Outcome, Share, Supplied, by_name};
use crate::api::v1alpha1::{
    Direction, LabelSelector, NamedRule, NetworkEgressRule, NetworkIngressRule, NetworkIsolation, NetworkPeer,
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
