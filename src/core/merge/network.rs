//! Network isolation: the union of the denied directions; what is allowed adds up.

use super::{Conflict, Outcome, Share, Supplied, by_name};
use crate::api::v1alpha1::{Direction, NamedRule, NetworkEgressRule, NetworkIsolation};

/// The name of the rules that stated DNS becomes. No item can have it: names of items are lower-case.
const DNS: &str = "DNS";

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

    let mut switch = |field: &str, of: fn(&NetworkIsolation) -> Option<bool>| {
        let by = shares.iter().find(|(_, s)| of(s) == Some(true));
        if let Some((place, _)) = by {
            values.push(Supplied::new(field, "true", *place));
        }
        Some(by.is_some())
    };
    let allow_kubernetes_api = switch("allowKubernetesAPI", |s| s.allow_kubernetes_api);
    let allow_same_namespace = switch("allowSameNamespace", |s| s.allow_same_namespace);

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
            allow_dns: Some(detected.is_some()),
            dns: None,
            allow_kubernetes_api,
            allow_same_namespace,
            allow,
        }),
        values,
        conflicts,
    }
}
