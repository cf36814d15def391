//! What is left of a share that was enforced last, and is audited or suspended now: what protects stays as it was; what
//! grants or allows goes where the present spec no longer asks for it. That only tightens, and nobody asks for it.

use crate::api::v1alpha1::{Access, Binding, NetworkIsolation, Role, SecurityBaselineSpec};

/// What was enforced last, without the grants that the present spec no longer has.
pub(super) fn without_withdrawn(last: &SecurityBaselineSpec, present: &SecurityBaselineSpec) -> SecurityBaselineSpec {
    let mut left = last.clone();
    if let (Some(last), Some(present)) = (&mut left.network_isolation, &present.network_isolation) {
        network(last, present);
    }
    if let (Some(last), Some(present)) = (&mut left.access, &present.access) {
        access(last, present);
    }
    left
}

fn network(last: &mut NetworkIsolation, present: &NetworkIsolation) {
    last.allow.retain(|rule| present.allow.contains(rule));
    let both = |a: Option<bool>, b: Option<bool>| (a == Some(true) && b == Some(true)).then_some(true);
    last.allow_same_namespace = both(last.allow_same_namespace, present.allow_same_namespace);
    last.allow_kubernetes_api = both(last.allow_kubernetes_api, present.allow_kubernetes_api);
    if (&last.dns, last.allow_dns.unwrap_or(true)) != (&present.dns, present.allow_dns.unwrap_or(true)) {
        last.dns = None;
        last.allow_dns = Some(false);
    }
}

fn access(last: &mut Access, present: &Access) {
    last.roles = last
        .roles
        .iter()
        .filter_map(|role| common(role, &present.roles))
        .collect();
    let bindings = last.bindings.iter();
    last.bindings = bindings
        .filter_map(|binding| still(binding, &present.bindings))
        .collect();
}

fn common(role: &Role, present: &[Role]) -> Option<Role> {
    let now = present.iter().find(|now| now.name == role.name)?;
    let mut left = role.clone();
    left.rules.retain(|rule| now.rules.contains(rule));
    (!left.rules.is_empty()).then_some(left)
}

fn still(binding: &Binding, present: &[Binding]) -> Option<Binding> {
    let same = |now: &&Binding| {
        (&now.name, &now.role, &now.cluster_role) == (&binding.name, &binding.role, &binding.cluster_role)
    };
    let now = present.iter().find(same)?;
    let mut left = binding.clone();
    left.subjects.retain(|subject| now.subjects.contains(subject));
    (!left.subjects.is_empty()).then_some(left)
}
