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

/// Whether nothing is on record of a section that is enforced, and not because it was waived.
pub(super) fn is_new(world: &World, section: &Section, plan: &Plan) -> bool {
    let prior = &world.prior;
    section.mode == v1alpha1::Mode::Enforce
        && section.paused.is_none()
        && !plan.enforced_before.contains(section.name)
        && !section
            .children
            .iter()
            .any(|(child, _, _)| prior.inventory.contains_key(&child.id))
        && !section
            .labels
            .iter()
            .any(|(rule, _, _)| prior.labels.contains_key(&rule.key))
}

/// Takes out of the plan what is newly enforced and has to wait.
pub(super) fn hold_back(registry: Registry, world: &World, sections: &[Section], plan: &mut Plan) {
    for section in sections {
        let Some(place) = plan.sections.iter().position(|s| s.section == section.name && s.newly) else {
            continue;
        };
        let its = |action: &Action| action.section == section.name;
        if !plan.actions.iter().any(its) {
            continue;
        }
        let enforcing: Vec<_> = section
            .askers
            .enforcing
            .iter()
            .filter_map(|i| plan.effective.baselines.get(*i))
            .collect();
        let Some(youngest) = enforcing.iter().max_by_key(|b| (b.since, &b.uid)) else {
            continue;
        };
        if world.namespace.created.is_none_or(|created| created >= youngest.since) {
            continue;
        }
        if !world.admitted {
            plan.waits_for = Some(youngest.uid.clone());
            plan.actions.retain(|action| !its(action));
            continue;
        }
        let ignored = enforcing
            .iter()
            .all(|b| b.spec.preflight == Some(v1alpha1::Preflight::Ignore));
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
