//! The part of a plan that is about labels on the namespace.
//!
//! They are written by one server-side apply of all of ours: a key that is left out of it is removed, if it is ours.

use std::collections::BTreeMap;

use super::{Action, Finding, FindingKind, Plan, Section, Step};
use crate::api::v1alpha1::Mode;
use crate::core::control::LabelRule;
use crate::core::drift::Difference;
use crate::core::text::bounded;
use crate::core::world::World;

/// Plans how the namespace comes to have the labels that are asked for.
pub(super) fn keep(world: &World, sections: &[Section], plan: &mut Plan) {
    let live = &world.namespace.labels;
    let object = format!("Namespace/{}", world.namespace.name);
    let mut apply = BTreeMap::new();
    let mut changed_for = None;

    for (section, mode, rendered) in sections {
        for rule in &rendered.labels {
            let value = live.get(&rule.key);
            let departs = !holds(world, rule);
            if departs {
                let finding = Finding {
                    object: object.clone(),
                    kind: kind(world, rule),
                    differences: vec![Difference {
                        path: format!("metadata.labels[{}]", rule.key),
                        expected: rule.value.clone(),
                        found: value.map(|v| bounded(v, 63)).unwrap_or_default(),
                    }],
                    claimed_by: match value {
                        Some(_) => world.namespace.claimed_by.clone(),
                        None => "unknown".to_owned(),
                    },
                };
                plan.note(section, *mode, finding);
            }
            if *mode == Mode::Enforce {
                if departs || value == Some(&rule.value) {
                    apply.insert(rule.key.clone(), rule.value.clone());
                }
                if departs {
                    changed_for = Some(*section);
                } else {
                    plan.labels.insert(rule.key.clone(), rule.value.clone());
                }
            } else if let Some(value) = value
                && world.namespace.our_labels.contains(&rule.key)
            {
                // Enforced earlier, audited now: leaving it out of the apply would remove it.
                apply.insert(rule.key.clone(), value.clone());
            }
        }
    }

    let asked = |key: &String| {
        sections
            .iter()
            .any(|(_, _, r)| r.labels.iter().any(|rule| &rule.key == key))
    };
    for key in world.prior.labels.keys().filter(|key| !asked(key)) {
        let Some(holder) = plan.holder.clone() else { break };
        // Gone, another client's by now, or written for a baseline that holds no more, and what that one wrote stays.
        let theirs = world.prior.holder.as_ref() != Some(&holder.uid);
        if theirs || !live.contains_key(key) || !world.namespace.our_labels.contains(key) {
            plan.labels.remove(key);
            continue;
        }
        // No control asks for the key any more; the baseline's own mode decides.
        let section = sections
            .iter()
            .find(|(_, _, r)| !r.labels.is_empty())
            .map_or("podSecurity", |s| s.0);
        plan.note(
            section,
            holder.spec.mode,
            Finding {
                object: object.clone(),
                kind: FindingKind::Surplus,
                differences: vec![Difference {
                    path: format!("metadata.labels[{key}]"),
                    expected: String::new(),
                    found: live.get(key).cloned().unwrap_or_default(),
                }],
                claimed_by: holder.name.clone(),
            },
        );
        if holder.spec.mode == Mode::Enforce {
            changed_for = Some(section);
        } else if let Some(value) = live.get(key) {
            apply.insert(key.clone(), value.clone());
        }
    }
    if let Some(section) = changed_for {
        // What an earlier baseline left behind is ours to the API server: leaving it out of the apply would remove it.
        for key in world.namespace.our_labels.iter().filter(|key| !asked(key)) {
            if let (false, Some(value)) = (plan.labels.contains_key(key), live.get(key)) {
                apply.insert(key.clone(), value.clone());
            }
        }
        plan.actions.push(Action {
            section,
            object,
            step: Step::Label(apply),
        });
    }
}

/// Whether the namespace has the label, or a stricter value that another client set.
fn holds(world: &World, rule: &LabelRule) -> bool {
    match world.namespace.labels.get(&rule.key) {
        Some(value) if *value == rule.value => true,
        Some(value) => rule.stricter.contains(value) && !world.namespace.our_labels.contains(&rule.key),
        None => false,
    }
}

fn kind(world: &World, rule: &LabelRule) -> FindingKind {
    let live = world.namespace.labels.get(&rule.key);
    match world.prior.labels.get(&rule.key) {
        None if live.is_some() => FindingKind::NameTaken,
        None => FindingKind::Missing,
        Some(recorded) if live == Some(recorded) => FindingKind::Outdated,
        Some(_) if live.is_none() => FindingKind::Deleted,
        Some(_) => FindingKind::Changed,
    }
}
