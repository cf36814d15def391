//! Access: roles and bindings add up; the subjects of bindings to one role under one name do too.

use super::{Conflict, Outcome, Share, Supplied, by_name};
use crate::api::v1alpha1::{Access, Binding, PolicyRule};

pub(super) fn merge(shares: &[Share<Access>]) -> Outcome<Access> {
    let (mut values, mut conflicts) = (Vec::new(), Vec::new());
    let (mut roles, mut bindings) = (Vec::new(), Vec::new());
    // Roles of the younger baselines that another one's stand in place of.
    let mut displaced: Vec<(usize, String)> = Vec::new();
    for (name, asked) in by_name(shares.iter().map(|(p, s)| (*p, &s.roles[..])), |role| &role.name) {
        let Some(((holds, role), others)) = asked.split_first() else {
            continue;
        };
        values.push(Supplied::new("role", &name, *holds));
        for (yields, _) in others.iter().filter(|(_, other)| other.rules != role.rules) {
            displaced.push((*yields, name.clone()));
            conflicts.push(Conflict {
                section: "access",
                object: format!("Role/{name}"),
                holds: *holds,
                yields: *yields,
                message: "the rules differ".to_owned(),
            });
        }
        roles.push((*role).clone());
    }
    for (name, asked) in by_name(shares.iter().map(|(p, s)| (*p, &s.bindings[..])), |binding| {
        &binding.name
    }) {
        // Who lost its role must not bind its subjects to what another baseline calls by that name.
        let lost = |(place, binding): &Share<Binding>| {
            let role = binding.role.as_ref();
            role.is_some_and(|role| displaced.iter().any(|(p, name)| p == place && name == role))
        };
        let (lost, asked): (Vec<_>, Vec<_>) = asked.into_iter().partition(lost);
        let conflict = |holds: usize, yields: usize, message: &str| Conflict {
            section: "access",
            object: format!("RoleBinding/{name}"),
            holds,
            yields,
            message: message.to_owned(),
        };
        conflicts.extend(lost.iter().map(|(place, binding)| {
            let holder = conflicting_role(shares, binding);
            conflict(
                holder,
                *place,
                "the role that it binds is another baseline's, with other rules",
            )
        }));
        let Some(((holds, first), others)) = asked.split_first() else {
            continue;
        };
        let mut merged = (*first).clone();
        values.push(Supplied::new("binding", &name, *holds));
        for (place, other) in others {
            if (&other.role, &other.cluster_role) != (&first.role, &first.cluster_role) {
                conflicts.push(conflict(*holds, *place, "the roles that they bind differ"));
                continue;
            }
            for subject in &other.subjects {
                if !merged.subjects.contains(subject) {
                    merged.subjects.push(subject.clone());
                }
            }
        }
        bindings.push(merged);
    }
    Outcome {
        section: (!shares.is_empty()).then_some(Access {
            mode: None,
            roles,
            bindings,
        }),
        values,
        conflicts,
    }
}

/// The baseline whose role stands under the name that a binding binds.
fn conflicting_role(shares: &[Share<Access>], binding: &Binding) -> usize {
    let has = |access: &Access| {
        access
            .roles
            .iter()
            .any(|role| Some(&role.name) == binding.role.as_ref())
    };
    shares
        .iter()
        .find(|(_, access)| has(access))
        .map_or(0, |(place, _)| *place)
}

/// Takes out of what was enforced last (`kept`) whatever it grants and the present section (`asked`) does not. A role goes
/// whole if any of it was withdrawn: with other rules than another baseline's it would be a conflict, and an audited
/// baseline must not win that. Whoever was bound to it goes too, and is not bound to what another baseline calls so.
pub(super) fn withdraw(kept: &mut Access, asked: &Access) {
    kept.roles.retain(|role| {
        let now = asked.roles.iter().find(|other| other.name == role.name);
        now.is_some_and(|now| {
            let covered = |rule: &PolicyRule| now.rules.iter().any(|other| covers(other, rule));
            role.rules.iter().all(covered)
        })
    });
    let roles = &kept.roles;
    kept.bindings.retain_mut(|binding| {
        let bound = |role: &String| roles.iter().any(|kept| kept.name == *role);
        let now = asked.bindings.iter().find(|other| other.name == binding.name);
        let Some(now) = now.filter(|now| (&now.role, &now.cluster_role) == (&binding.role, &binding.cluster_role))
        else {
            return false;
        };
        binding.subjects.retain(|subject| now.subjects.contains(subject));
        !binding.subjects.is_empty() && binding.role.as_ref().is_none_or(bound)
    });
}

/// Whether a rule allows all that another one does.
fn covers(wide: &PolicyRule, rule: &PolicyRule) -> bool {
    let all = |wide: &[String], list: &[String]| list.iter().all(|one| wide.contains(one));
    let names = wide.resource_names.is_empty()
        || (!rule.resource_names.is_empty() && all(&wide.resource_names, &rule.resource_names));
    names
        && all(&wide.api_groups, &rule.api_groups)
        && all(&wide.resources, &rule.resources)
        && all(&wide.verbs, &rule.verbs)
}
