//! The part of a plan that is about labels on the namespace.
//!
//! They are written by one server-side apply of all of ours: a key that is left out of it is removed, if it is ours.

use std::collections::BTreeMap;

use super::{Action, Finding, FindingKind, Plan, Section, Step};
use crate::api::v1alpha1::Mode;
use crate::core::control::LabelRule;
use crate::core::drift::{Claim, Difference};
use crate::core::world::{RecordedLabel, World};

/// The prefix of the labels that an earlier baseline may have left behind.
const POD_SECURITY: &str = "pod-security.kubernetes.io/";

/// Plans how the namespace comes to have the labels that are asked for.
pub(super) fn keep(world: &World, sections: &[Section], plan: &mut Plan) {
    let live = &world.namespace.labels;
    let object = format!("Namespace/{}", world.namespace.name);
    // What we own stays in the apply unless it is to go: leaving it out would remove it, also what was written for a
    // baseline that is gone (its labels are retained) or for a section that is audited by now.
    let asked = |key: &String| {
        sections
            .iter()
            .any(|(_, _, r)| r.labels.iter().any(|rule| &rule.key == key))
    };
    // Another client may state our name, and so make any key of its own look like ours: those are not written.
    let known = |key: &&String| asked(key) || world.prior.labels.contains_key(*key) || key.starts_with(POD_SECURITY);
    let mut apply: BTreeMap<String, String> = world
        .namespace
        .our_labels
        .iter()
        .filter(known)
        .filter_map(|key| Some((key.clone(), live.get(key)?.clone())))
        .collect();
    let mut changed_for = None;
    let Some(holder) = plan.holder.clone() else { return };

    for (section, mode, rendered) in sections {
        for rule in &rendered.labels {
            let value = live.get(&rule.key);
            let departs = !holds(world, rule);
            if departs {
                let finding = Finding {
                    object: object.clone(),
                    kind: kind(world, rule),
                    differences: vec![Difference::label(
                        &rule.key,
                        &rule.value,
                        value.map_or("", String::as_str),
                        world.namespace.claim(&rule.key),
                    )],
                };
                plan.note(section, *mode, finding);
            }
            if *mode != Mode::Enforce {
                continue;
            }
            if departs || value == Some(&rule.value) {
                apply.insert(rule.key.clone(), rule.value.clone());
            }
            if departs {
                changed_for = Some(*section);
            } else {
                let recorded = RecordedLabel {
                    value: rule.value.clone(),
                    baseline: holder.uid.clone(),
                };
                plan.labels.insert(rule.key.clone(), recorded);
            }
        }
    }

    let ours = |recorded: &RecordedLabel| recorded.baseline == holder.uid;
    for (key, _) in world
        .prior
        .labels
        .iter()
        .filter(|(key, recorded)| !asked(key) && ours(recorded))
    {
        if !live.contains_key(key) || !world.namespace.our_labels.contains(key) {
            plan.labels.remove(key);
            continue;
        }
        // Its section decides; where the spec no longer has that, the baseline's own mode does.
        let (section, mode) = sections
            .iter()
            .find(|(_, _, r)| !r.labels.is_empty())
            .map_or(("podSecurity", holder.spec.mode), |(section, mode, _)| {
                (*section, *mode)
            });
        plan.note(
            section,
            mode,
            Finding {
                object: object.clone(),
                kind: FindingKind::Surplus,
                differences: vec![Difference::label(
                    key,
                    "",
                    live.get(key).map_or("", String::as_str),
                    Claim::unknown(),
                )],
            },
        );
        if mode == Mode::Enforce {
            changed_for = Some(section);
            apply.remove(key);
        }
    }
    if let Some(section) = changed_for {
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
        Some(recorded) if live == Some(&recorded.value) => FindingKind::Outdated,
        Some(_) if live.is_none() => FindingKind::Deleted,
        Some(_) => FindingKind::Changed,
    }
}
