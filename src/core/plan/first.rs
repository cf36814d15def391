//! The part of a plan that is about enforcing a section in a namespace for the first time: one that existed before waits
//! for its turn in the rollout, and for a look at what it would break.
//!
//! A namespace that is younger than what is enforced in it was born under it: it waits for neither.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Action, Plan, Section, Step};
use crate::api::v1alpha1;
use crate::core::control::{Preflight, Registry};
use crate::core::object::{Child, Digest};
use crate::core::world::World;

/// How long a look counts that found something: then it is taken again, since somebody may have mended it.
pub const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// Something to look at before a section is newly enforced.
#[derive(Clone, Debug)]
pub struct Check {
    /// The section.
    pub section: &'static str,
    /// What to look at.
    pub preflight: Preflight,
    /// The digest of what is to be enforced.
    pub what: Digest,
    /// The labels that would be applied.
    pub labels: Option<std::collections::BTreeMap<String, String>>,
    /// The objects that would be created or replaced.
    pub children: Vec<Child>,
}

/// The baseline in whose rollout a section is in this namespace, if it is new here: the last one to enforce it.
///
/// A Namespace tells its age in whole seconds, so one of the same second counts as born under it.
pub(super) fn rollout(world: &World, section: &Section, plan: &Plan) -> Option<String> {
    let enforcing = section.askers.enforcing.iter();
    let youngest = enforcing
        .filter_map(|i| plan.effective.baselines.get(*i))
        .max_by_key(|b| (b.since, &b.uid))?;
    let older = world.namespace.created?.as_second() < youngest.since.as_second();
    (older && is_new(world, section, plan)).then(|| youngest.uid.clone())
}

/// Whether nothing is on record of a section that is enforced, and not because it was waived.
fn is_new(world: &World, section: &Section, plan: &Plan) -> bool {
    let prior = &world.prior;
    !plan.enforced_before.contains(section.name)
        && !section
            .children
            .iter()
            .any(|(child, _, _)| prior.inventory.get(&child.id).is_some_and(|r| !r.is_orphaned()))
        && !section
            .labels
            .iter()
            .any(|(rule, _, _)| prior.labels.get(&rule.key).is_some_and(|r| !r.is_orphaned()))
}

/// Takes out of the plan what is newly enforced and has to wait.
pub(super) fn hold_back(registry: Registry, world: &World, sections: &[Section], plan: &mut Plan) {
    for section in sections {
        let Some(place) = plan.sections.iter().position(|s| s.section == section.name) else {
            continue;
        };
        let Some(rollout) = plan.sections[place].rollout.clone() else {
            continue;
        };
        let its = |action: &Action| action.section == section.name;
        if !plan.actions.iter().any(its) {
            continue;
        }
        if !world.admitted.contains(&rollout) {
            plan.waits_for = Some(rollout);
            plan.actions.retain(|action| !its(action));
            continue;
        }
        let ignores = |i: &usize| {
            let baseline = plan.effective.baselines.get(*i);
            baseline.is_some_and(|b| b.spec.preflight == Some(v1alpha1::Preflight::Ignore))
        };
        let ignored = section.askers.enforcing.iter().all(ignores);
        let control = registry.iter().find(|control| control.section() == section.name);
        let Some(preflight) = control.and_then(|control| control.preflight()).filter(|_| !ignored) else {
            continue;
        };
        let check = check(section.name, preflight, plan);
        match world.preflight.get(section.name) {
            Some(checked) if checked.what == check.what && !stale(checked.at, checked.held.is_empty(), world.now) => {
                if checked.held.is_empty() {
                    continue;
                }
                plan.sections[place].held.extend(checked.held.iter().cloned());
                due(plan, checked.at.saturating_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX));
            }
            _ => plan.unchecked.push(check),
        }
        plan.actions.retain(|action| !its(action));
    }
}

fn stale(at: Timestamp, clean: bool, now: Timestamp) -> bool {
    !clean && now.duration_since(at) >= LOOK_AGAIN
}

fn check(section: &'static str, preflight: Preflight, plan: &Plan) -> Check {
    let mut labels = None;
    let mut children = Vec::new();
    for action in plan.actions.iter().filter(|action| action.section == section) {
        match &action.step {
            Step::Create(child) | Step::Replace { child, .. } | Step::Recreate { child, .. } => {
                children.push(child.clone());
            }
            Step::Label(apply) => labels = Some(apply.clone()),
            Step::Delete { .. } => {}
        }
    }
    let fields: Vec<_> = children
        .iter()
        .map(|child| (child.id.to_string(), &child.fields))
        .collect();
    Check {
        section,
        preflight,
        what: Digest::of(&json!([labels, fields])),
        labels,
        children,
    }
}

/// Notes that the plan changes by itself then.
pub(super) fn due(plan: &mut Plan, at: Timestamp) {
    plan.next_due = Some(plan.next_due.map_or(at, |known| known.min(at)));
}
