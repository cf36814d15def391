//! The part of a plan that is about enforcing a section in a namespace for the first time: one that existed before waits
//! for its turn in the rollout, and for a look at what it would break. Where a spec tightens what is enforced already, it
//! waits for the look alone.
//!
//! A namespace that has only just been created, under what is enforced in it, was born under it: it waits for neither.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Action, Plan, Section, Step};
use crate::api::v1alpha1;
use crate::core::brake::strictness;
use crate::core::control::{Preflight, Registry};
use crate::core::object::{Canonical, Child, Digest};
use crate::core::world::{Baseline, World};

/// How old a namespace may be and still count as new. One that is older when something is enforced in it for the first
/// time may have running pods, whatever the age of the baseline: it was created without the labels that select it, say,
/// and got them later.
pub const NEW: SignedDuration = SignedDuration::from_mins(1);

/// The labels that have pods refused; the others of Pod Security only tell.
const REFUSING: [&str; 2] = [
    "pod-security.kubernetes.io/enforce",
    "pod-security.kubernetes.io/enforce-version",
];

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
pub(super) fn rollout(world: &World, section: &Section, plan: &Plan) -> Option<String> {
    let youngest = youngest(section, plan)?;
    (was_there(world, youngest) && is_new(world, section, plan)).then(|| youngest.uid.clone())
}

/// The last baseline to enforce a section.
fn youngest<'a>(section: &Section, plan: &'a Plan) -> Option<&'a Baseline> {
    let enforcing = section.askers.enforcing.iter();
    enforcing
        .filter_map(|i| plan.effective.baselines.get(*i))
        .max_by_key(|b| (b.since, &b.uid))
        .map(AsRef::as_ref)
}

/// Whether the namespace existed before something was enforced in it, and may have running pods.
///
/// A Namespace tells its age in whole seconds, so one of the same second as the baseline is no older than that.
fn was_there(world: &World, baseline: &Baseline) -> bool {
    world.namespace.created.is_some_and(|created| {
        created.as_second() < baseline.since.as_second() || world.now.duration_since(created) > NEW
    })
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

/// Takes out of the plan what is newly enforced, or tightened, and has to wait.
pub(super) fn hold_back(registry: Registry, world: &World, sections: &[Section], plan: &mut Plan) {
    for section in sections {
        let Some(place) = plan.sections.iter().position(|s| s.section == section.name) else {
            continue;
        };
        let rollout = plan.sections[place].rollout.clone();
        let waits = waiting(world, section, rollout.is_some(), plan);
        if waits.is_empty() {
            continue;
        }
        if let Some(rollout) = rollout.filter(|rollout| !world.admitted.contains(rollout)) {
            plan.waits_for = Some(rollout);
            without(&waits, section, world, plan);
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
        let check = check(section.name, preflight, &waits, plan);
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
        without(&waits, section, world, plan);
    }
}

/// The places of a section's actions that wait: all of them where it is new here, else those that tighten.
fn waiting(world: &World, section: &Section, new: bool, plan: &Plan) -> Vec<usize> {
    // What was waived comes back as a whole, and at once.
    let comes_back = plan.enforced_before.contains(section.name);
    let known = !new
        && !comes_back
        && !is_new(world, section, plan)
        && youngest(section, plan).is_some_and(|b| was_there(world, b));
    let waits = |action: &Action| action.section == section.name && (new || known && tightens(world, section, action));
    let places = plan.actions.iter().enumerate();
    places
        .filter_map(|(place, action)| waits(action).then_some(place))
        .collect()
}

/// Whether an action asks for more than what is enforced already, as against putting that right. An object has to be as it
/// was written, or it was somebody who loosened it: then it is put right, and to what is declared now, since of what was
/// written only a digest is on record. Of a label the value is, which it is put back to (see [`raised`]).
fn tightens(world: &World, section: &Section, action: &Action) -> bool {
    let recorded = |child: &Child| world.prior.inventory.get(&child.id).filter(|r| !r.is_orphaned());
    match &action.step {
        Step::Create(child) => recorded(child).is_none(),
        Step::Replace { child, live } | Step::Recreate { child, live, .. } => {
            let live = Canonical::of(child.id.kind, live);
            let as_written = recorded(child).is_none_or(|recorded| recorded.digest == Some(live.digest()));
            as_written && (child.id.kind.weaker)(child.canonical(), &live)
        }
        Step::Label(_) => !raised(world, section).is_empty(),
        Step::Delete { .. } => false,
    }
}

/// The labels that have pods refused and that a spec raises above what is there and what was written; with each, what it
/// is held to until then, if that has to be written or kept: somebody may have lowered it meanwhile.
fn raised<'a>(world: &'a World, section: &'a Section) -> Vec<(&'a str, Option<&'a String>)> {
    let live = |key: &str| world.namespace.labels.get(key);
    let none = live(REFUSING[0]).is_none();
    let mut raised = Vec::new();
    for (rule, mode, _) in &section.labels {
        if *mode != v1alpha1::Mode::Enforce || !REFUSING.contains(&rule.key.as_str()) {
            continue;
        }
        let recorded = world.prior.labels.get(&rule.key).filter(|r| !r.is_orphaned());
        let (live, recorded) = (live(&rule.key), recorded.map(|r| &r.value));
        let less = match live {
            Some(live) => strictness(live) < strictness(&rule.value),
            // Where there is a level, no version is the newest.
            None => none,
        };
        if !less || recorded.is_some_and(|recorded| strictness(recorded) >= strictness(&rule.value)) {
            continue;
        }
        let no_more = |written: &&String| live.is_none_or(|live| strictness(live) <= strictness(written));
        let ours = || live.filter(|_| world.namespace.our_labels.contains(&rule.key));
        raised.push((rule.key.as_str(), recorded.filter(no_more).or_else(ours)));
    }
    raised
}

/// Takes actions out of the plan. Labels are put right all the same: those that are raised, to what was written.
fn without(places: &[usize], section: &Section, world: &World, plan: &mut Plan) {
    let new = plan
        .sections
        .iter()
        .any(|s| s.section == section.name && s.rollout.is_some());
    let raised = raised(world, section);
    let live = &world.namespace.labels;
    let mut place = 0;
    plan.actions.retain_mut(|action| {
        let stays = !places.contains(&place);
        place += 1;
        let Step::Label(apply) = &mut action.step else {
            return stays;
        };
        if stays || new {
            return stays;
        }
        for (key, meanwhile) in &raised {
            match meanwhile {
                Some(value) => apply.insert((*key).to_owned(), (*value).clone()),
                None => apply.remove(*key),
            };
        }
        let missing = apply.iter().any(|(key, value)| live.get(key) != Some(value));
        // Another client may state our name for a key of its own, which is none to remove.
        let recorded = world.prior.labels.keys();
        let surplus = recorded
            .filter(|key| world.namespace.our_labels.contains(*key))
            .any(|key| !apply.contains_key(key));
        missing || surplus
    });
}

fn stale(at: Timestamp, clean: bool, now: Timestamp) -> bool {
    !clean && now.duration_since(at) >= LOOK_AGAIN
}

fn check(section: &'static str, preflight: Preflight, waits: &[usize], plan: &Plan) -> Check {
    let mut labels = None;
    let mut children = Vec::new();
    for action in waits.iter().filter_map(|place| plan.actions.get(*place)) {
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
