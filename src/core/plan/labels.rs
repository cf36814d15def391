//! The part of a plan that is about labels on the namespace.
//!
//! They are written by one server-side apply of all of ours: a key that is left out of it is removed, if it is ours.

use std::collections::BTreeMap;

use super::{Action, Finding, FindingKind, Plan, Section, Step, goes_along, heir, is_orphaned, remover};
use crate::api::v1alpha1::{Mode, SecurityBaselineSpec};
use crate::core::control::{LabelRule, Registry};
use crate::core::drift::{Claim, Difference};
use crate::core::world::{Baseline, RecordedLabel, World};

/// The prefix of the labels that an earlier baseline may have left behind.
const POD_SECURITY: &str = "pod-security.kubernetes.io/";

/// Plans how the namespace comes to have the labels that are asked for.
pub(super) fn keep(registry: Registry, world: &World, sections: &[Section], plan: &mut Plan) {
    let live = &world.namespace.labels;
    let object = format!("Namespace/{}", world.namespace.name);
    // What we own stays in the apply unless it is to go: leaving it out would remove it, also what was written for a
    // baseline that is gone (its labels are retained) or for a section that is audited by now.
    let asked = |key: &String| {
        sections
            .iter()
            .any(|s| s.labels.iter().any(|(rule, _, _)| &rule.key == key))
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

    for section in sections {
        for (rule, mode, owner) in &section.labels {
            let value = live.get(&rule.key);
            let departs = !holds(world, rule);
            if departs {
                let finding = finding(world, &rule.key, *mode, kind(world, rule), &rule.value);
                plan.note(section.name, finding, owner);
            }
            if *mode != Mode::Enforce {
                continue;
            }
            plan.enforced_labels.insert(rule.key.clone());
            if departs || value == Some(&rule.value) {
                apply.insert(rule.key.clone(), rule.value.clone());
            }
            if departs {
                changed_for = Some((section.name, owner.uid.clone()));
            } else {
                let recorded = RecordedLabel {
                    value: rule.value.clone(),
                    baseline: owner.uid.clone(),
                };
                plan.labels.insert(rule.key.clone(), recorded);
            }
        }
    }

    let effective = plan.effective.clone();
    for (key, recorded) in &world.prior.labels {
        if asked(key) {
            if !goes_along(world, &recorded.baseline) {
                continue;
            }
            let enforced = |spec: &SecurityBaselineSpec| {
                let rendered = registry
                    .iter()
                    .map(|c| c.render(spec, &world.namespace, &world.cluster));
                rendered.flat_map(|r| r.labels).any(|label| label.key == *key)
            };
            if let Some(heir) = heir(&effective, effective.labels.get(key), enforced) {
                if let Some(taken) = plan.labels.get_mut(key) {
                    taken.baseline.clone_from(&heir.uid);
                }
                continue;
            }
        }
        // Its section decides; where the spec no longer has that, the baseline's own mode does.
        let section = sections.iter().find(|s| !s.labels.is_empty());
        let mode = |owner: &Baseline| section.map_or(owner.spec.mode, |s| s.mode);
        if !live.contains_key(key) || !world.namespace.our_labels.contains(key) {
            // It is gone, or somebody else's: no longer ours to remove.
            plan.labels.remove(key);
            continue;
        }
        let Some((owner, mode)) = remover(world, &recorded.baseline, mode) else {
            if is_orphaned(world, &recorded.baseline)
                && let Some(orphan) = plan.labels.get_mut(key)
            {
                orphan.baseline.clear();
            }
            continue;
        };
        let name = section.map_or("podSecurity", |s| s.name);
        plan.note(name, finding(world, key, mode, FindingKind::Surplus, ""), owner);
        if mode == Mode::Enforce {
            changed_for = Some((name, owner.uid.clone()));
            apply.remove(key);
        }
    }
    if let Some((section, baseline)) = changed_for {
        plan.actions.push(Action {
            section,
            baseline,
            object,
            step: Step::Label(apply),
        });
    }
}

/// What an audited baseline asks for beyond what is enforced.
pub(super) fn audited(world: &World, enforced: &LabelRule, asked: &LabelRule) -> Option<Finding> {
    (enforced.value != asked.value).then(|| finding(world, &asked.key, Mode::Audit, FindingKind::Audited, &asked.value))
}

fn finding(world: &World, key: &str, mode: Mode, kind: FindingKind, expected: &str) -> Finding {
    let value = world.namespace.labels.get(key);
    Finding {
        object: format!("Namespace/{}", world.namespace.name),
        mode,
        kind,
        differences: vec![Difference::label(
            key,
            expected,
            value.map_or("", String::as_str),
            if kind.is_drift() || kind == FindingKind::NameTaken {
                world.namespace.claim(key)
            } else {
                Claim::unknown()
            },
        )],
    }
}

/// Whether the namespace has the label, or a stricter value that another client set.
pub(super) fn holds(world: &World, rule: &LabelRule) -> bool {
    match world.namespace.labels.get(&rule.key) {
        Some(value) if *value == rule.value => true,
        Some(value) => rule.stricter.contains(value) && !world.namespace.our_labels.contains(&rule.key),
        None => false,
    }
}

fn kind(world: &World, rule: &LabelRule) -> FindingKind {
    let live = world.namespace.labels.get(&rule.key);
    match world.prior.labels.get(&rule.key).filter(|r| !r.is_orphaned()) {
        None if live.is_some() => FindingKind::NameTaken,
        None => FindingKind::Missing,
        Some(recorded) if live == Some(&recorded.value) => FindingKind::Outdated,
        Some(_) if live.is_none() => FindingKind::Deleted,
        Some(_) => FindingKind::Changed,
    }
}
