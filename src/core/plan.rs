//! From what is asked for and what is there to what is to be done. The same plan serves Enforce, which carries it out,
//! and Audit, which only tells it.

mod children;
mod contest;
mod first;
mod held;
mod labels;
mod waived;
mod weakened;

pub use first::Check;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::control::{Control, Held, LabelRule, Registry};
use super::drift::Difference;
use super::exceptions::Waived;
use super::merge::{Askers, Effective, Merged, merge};
use super::object::{Child, ChildId, Digest};
use super::world::{Baseline, Kept, Recorded, RecordedLabel, World};
use crate::api::v1alpha1::{DeletionPolicy, Mode, SecurityBaselineSpec};

/// What is to be done in one namespace, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What the baselines that hold the namespace mean together.
    pub effective: Arc<Effective>,
    /// The sections that apply.
    pub sections: Vec<SectionPlan>,
    /// What is to be done, in this order.
    pub actions: Vec<Action>,
    /// The digest that each child has when it is as asked for. A child that changes to another one is drift.
    pub wanted: BTreeMap<ChildId, Digest>,
    /// The objects that are recorded as ours, as far as they are there.
    pub inventory: BTreeMap<ChildId, Recorded>,
    /// The labels that are recorded as ours.
    pub labels: BTreeMap<String, RecordedLabel>,
    /// The labels that are enforced now.
    pub enforced_labels: BTreeSet<String>,
    /// The children that are there as asked for: what their digests stand for, once something else is asked for.
    pub as_asked: Vec<Child>,
    /// Objects that have to be read before the plan is whole: their digests differ, and a digest does not say what.
    pub unread: Vec<ChildId>,
    /// What has to be looked at before a section is newly enforced.
    pub unchecked: Vec<Check>,
    /// What exceptions take out of what the baselines ask for.
    pub waived: Vec<Waived>,
    /// The sections that were enforced before what is, or was until now, waived of them was waived, as long as that is
    /// not back: it comes back at once and as a whole, and is not taken for newly enforced.
    pub enforced_before: BTreeSet<&'static str>,
    /// The UID of the baseline whose rollout this namespace waits for its turn in.
    pub waits_for: Option<String>,
    /// Objects that other clients' finalizers keep, with the section that asks for them.
    pub kept: Vec<(&'static str, ChildId, Arc<Kept>)>,
    /// When the plan changes by itself, if it does.
    pub next_due: Option<Timestamp>,
}

/// One section of the plan.
#[derive(Clone, Debug)]
pub struct SectionPlan {
    /// The section's name.
    pub section: &'static str,
    /// Who takes part in it, as places in the plan's baselines.
    pub askers: Askers,
    /// Whether it is enforced.
    pub mode: Mode,
    /// The UID of the baseline in whose rollout it is: it is enforced here for the first time, and the namespace is older
    /// than that.
    pub rollout: Option<String>,
    /// Why nothing of it is written although it is to be enforced, in one word.
    pub paused: Option<&'static str>,
    /// What departs from it.
    pub findings: Vec<Finding>,
    /// What is held back.
    pub held: Vec<Held>,
    /// What is good to know and departs from nothing.
    pub notes: Vec<Held>,
}

/// Something that departs from what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object, as kind/name.
    pub object: String,
    /// Whether it is to be mended, or only told.
    pub mode: Mode,
    /// In what way.
    pub kind: FindingKind,
    /// What differs, and who claims that.
    pub differences: Vec<Difference>,
}

/// In what way something departs from what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// It was never there.
    Missing,
    /// It is as the baseline asked for earlier.
    Outdated,
    /// It is there, and it was not the operator who wrote it.
    NameTaken,
    /// It is as enforced, and an audited baseline asks for something else.
    Audited,
    /// It is not ours, and undoes what is asked for. It is only told.
    Weakened,
    /// It is no longer asked for.
    Surplus,
    /// An exception waives it.
    Waived,
    /// It was there, and is gone.
    Deleted,
    /// It was as asked for, and was changed.
    Changed,
}

impl FindingKind {
    /// Whether somebody caused it, as against work that is still to be done.
    pub const fn is_drift(self) -> bool {
        matches!(self, Self::Deleted | Self::Changed)
    }

    /// The kind as a reason in a report.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "Missing",
            Self::Outdated => "Outdated",
            Self::NameTaken => "NameTaken",
            Self::Audited => "Audited",
            Self::Weakened => "Weakened",
            Self::Surplus => "Surplus",
            Self::Waived => "Waived",
            Self::Deleted => "Deleted",
            Self::Changed => "Changed",
        }
    }
}

/// Something to be done, for one section.
#[derive(Clone, Debug)]
pub struct Action {
    /// The section that it is done for.
    pub section: &'static str,
    /// The UID of the baseline that it is done for.
    pub baseline: String,
    /// The object that it is done to, as kind/name.
    pub object: String,
    /// What is done.
    pub step: Step,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Step {
    /// Create a child.
    Create(Child),
    /// Replace the live object, under its UID and resourceVersion.
    Replace {
        /// The child as asked for.
        child: Child,
        /// The live object.
        live: Arc<Value>,
    },
    /// Delete and create: what differs cannot be changed. The new object is tried out before the old one goes.
    Recreate {
        /// The child as asked for.
        child: Child,
        /// The UID of the live object.
        uid: String,
        /// The resourceVersion of the live object.
        resource_version: String,
        /// The live object.
        live: Arc<Value>,
    },
    /// Delete what is recorded as ours and no longer asked for.
    Delete {
        /// Which child.
        id: ChildId,
        /// Its recorded UID.
        uid: String,
        /// Its resourceVersion.
        resource_version: String,
    },
    /// Apply exactly these labels to the namespace: ours that are not among them are removed.
    Label(BTreeMap<String, String>),
}

/// Plans the work of one namespace.
pub fn plan(registry: Registry, world: &World) -> Plan {
    // What is recorded stays recorded until it is seen to be gone, whatever becomes of the baselines.
    let mut plan = Plan {
        inventory: world.prior.inventory.clone(),
        labels: world.prior.labels.clone(),
        ..Plan::default()
    };
    if world.namespace.terminating {
        return plan;
    }
    let merged = || Arc::new(merge(registry, &world.baselines));
    plan.effective = world.effective.clone().unwrap_or_else(merged);
    let effective = plan.effective.clone();
    let specs = waived::take_out(world, &effective, &mut plan);
    waived::adopt(registry, world, &effective, &mut plan);

    let sections: Vec<Section> = registry
        .iter()
        .filter_map(|c| section(*c, world, &effective, &specs))
        .collect();
    waived::remember(world, &sections, &mut plan);
    for section in &sections {
        let mut findings = Vec::new();
        let mut held = section.held.clone();
        for (child, mode, owner) in &section.children {
            held.extend(children::keep(
                world,
                section.name,
                child,
                *mode,
                owner,
                &mut findings,
                &mut plan,
            ));
        }
        held::tell(world, section, &mut findings, &mut plan);
        findings.extend(section.audited.iter().cloned());
        plan.sections.push(SectionPlan {
            section: section.name,
            askers: section.askers.clone(),
            mode: section.mode,
            rollout: first::rollout(world, section, &plan),
            paused: section.paused,
            findings,
            held,
            notes: Vec::new(),
        });
    }
    labels::keep(registry, world, &sections, &mut plan);
    children::remove(registry, world, &sections, &mut plan);
    weakened::tell(world, &specs, &mut plan);
    first::hold_back(registry, world, &sections, &mut plan);
    contest::hold_back(world, &mut plan);
    plan
}

/// What a section asks for in a namespace.
struct Section {
    name: &'static str,
    askers: Askers,
    mode: Mode,
    paused: Option<&'static str>,
    /// The objects, with the mode that each is in and the baseline that it is for.
    children: Vec<(Child, Mode, Arc<Baseline>)>,
    /// The labels, likewise.
    labels: Vec<(LabelRule, Mode, Arc<Baseline>)>,
    held: Vec<Held>,
    /// What audited baselines ask for beyond what is enforced.
    audited: Vec<Finding>,
}

/// What a section asks for: what is enforced, and of what is only audited whatever is not the same. Of both, what is
/// waived is left out.
fn section(control: &dyn Control, world: &World, effective: &Effective, specs: &waived::Specs) -> Option<Section> {
    let name = control.section();
    let askers = effective.sections.get(name)?.clone();
    let render = |left: &Cow<SecurityBaselineSpec>, merged: &Merged| match left {
        Cow::Borrowed(_) => merged.rendered(control, &world.namespace, &world.cluster),
        // Something is waived here.
        Cow::Owned(left) => Arc::new(control.render(left, &world.namespace, &world.cluster)),
    };
    let enforced = render(&specs.enforced, &effective.enforced);
    let asked = specs.asked.as_ref().zip(effective.asked.as_ref());
    let asked = asked.map(|(left, merged)| render(left, merged));
    let suspended = |place: &usize| effective.baselines.get(*place).is_some_and(|b| b.spec.suspend);
    let paused = (askers.enforcing.is_empty() && askers.auditing.iter().any(suspended)).then_some("Suspended");
    let mut section = Section {
        name,
        mode: if paused.is_some() { Mode::Enforce } else { askers.mode() },
        askers,
        paused,
        children: Vec::new(),
        labels: Vec::new(),
        held: Vec::new(),
        audited: Vec::new(),
    };
    let of = |askers: Option<&Askers>| {
        let askers = askers?;
        Some((askers.mode(), effective.baselines.get(askers.owner()?)?))
    };
    for child in &enforced.children {
        if let Some((Mode::Enforce, owner)) = of(effective.children.get(&child.id)) {
            section.children.push((child.clone(), Mode::Enforce, owner.clone()));
        }
    }
    for rule in &enforced.labels {
        if let Some((Mode::Enforce, owner)) = of(effective.labels.get(&rule.key)) {
            section.labels.push((rule.clone(), Mode::Enforce, owner.clone()));
        }
    }
    let is_held = |held: &&Held, mode: Mode| {
        held.id
            .as_ref()
            .and_then(|id| of(effective.children.get(id)))
            .is_some_and(|(m, _)| m == mode)
    };
    section.held = enforced
        .held
        .iter()
        .filter(|h| is_held(h, Mode::Enforce))
        .cloned()
        .collect();

    let asked = asked.as_ref().unwrap_or(&enforced);
    for child in &asked.children {
        match of(effective.children.get(&child.id)) {
            Some((Mode::Audit, owner)) => section.children.push((child.clone(), Mode::Audit, owner.clone())),
            Some(_) => {
                let enforced = enforced.children.iter().find(|c| c.id == child.id);
                section
                    .audited
                    .extend(enforced.and_then(|enforced| children::audited(enforced, child)));
            }
            None => {}
        }
    }
    for rule in &asked.labels {
        match of(effective.labels.get(&rule.key)) {
            Some((Mode::Audit, owner)) => section.labels.push((rule.clone(), Mode::Audit, owner.clone())),
            Some(_) => {
                let enforced = enforced.labels.iter().find(|r| r.key == rule.key);
                section
                    .audited
                    .extend(enforced.and_then(|enforced| labels::audited(world, enforced, rule)));
            }
            None => {}
        }
    }
    section
        .held
        .extend(asked.held.iter().filter(|h| is_held(h, Mode::Audit)).cloned());
    Some(section)
}

impl Plan {
    /// The baselines that hold the namespace, the oldest first.
    pub fn baselines(&self) -> &[Arc<Baseline>] {
        &self.effective.baselines
    }

    /// Notes a finding in its section. What is left over from a section that no spec has any more gets one of its own.
    fn note(&mut self, section: &'static str, finding: Finding, owner: &Baseline) {
        if let Some(known) = self.sections.iter_mut().find(|s| s.section == section) {
            known.findings.push(finding);
            return;
        }
        let place = self.baselines().iter().position(|b| b.uid == owner.uid);
        self.sections.push(SectionPlan {
            section,
            askers: Askers {
                enforcing: place.into_iter().collect(),
                auditing: Vec::new(),
            },
            mode: finding.mode,
            rollout: None,
            paused: None,
            findings: vec![finding],
            held: Vec::new(),
            notes: Vec::new(),
        });
    }
}

/// The baseline that something is on record for, if it may say what becomes of it: one that holds the namespace, or one
/// that lets it go and takes along what was created for it. And whether it is removed, or only told.
pub(super) fn remover<'a>(
    world: &'a World,
    uid: &str,
    mode: impl Fn(&Baseline) -> Mode,
) -> Option<(&'a Baseline, Mode)> {
    if let Some(holding) = world.baselines.iter().find(|b| b.uid == uid) {
        let mode = if holding.spec.suspend {
            Mode::Audit
        } else {
            mode(holding)
        };
        return Some((holding, mode));
    }
    let released = world.released.iter().find(|b| b.uid == uid)?;
    (takes_along(released) && !released.spec.suspend).then_some((released, Mode::Enforce))
}

/// Whether what is on record for a baseline is nobody's any more: it does not hold the namespace, and left in place what
/// was created for it. That is for good: a later change of its deletionPolicy reaches what it holds then.
pub(super) fn is_orphaned(world: &World, uid: &str) -> bool {
    let released = world.released.iter().find(|b| b.uid == uid);
    !world.baselines.iter().any(|b| b.uid == uid) && !released.is_some_and(|b| takes_along(b))
}

/// Whether what is on record for a baseline goes with it: it leaves, or let the namespace go, and takes along what was
/// created for it.
fn goes_along(world: &World, uid: &str) -> bool {
    let released = world.released.iter().find(|b| b.uid == uid);
    released.is_some_and(|b| takes_along(b) && !b.spec.suspend)
}

/// Who holds on to something that another baseline takes along when it leaves: who enforces it, else who did before it
/// was audited or suspended. Who has only ever audited it holds nothing.
fn heir<'a>(
    effective: &'a Effective,
    askers: Option<&Askers>,
    enforced: impl Fn(&SecurityBaselineSpec) -> bool,
) -> Option<&'a Arc<Baseline>> {
    let baseline = |place: &usize| effective.baselines.get(*place);
    let before = |baseline: &&Arc<Baseline>| baseline.frozen.as_ref().is_some_and(|spec| enforced(spec));
    let enforcing = askers?.enforcing.first().and_then(baseline);
    enforcing.or_else(|| askers?.auditing.iter().filter_map(baseline).find(before))
}

fn takes_along(released: &Baseline) -> bool {
    released.spec.deletion_policy == Some(DeletionPolicy::Delete)
}

#[cfg(test)]
mod tests;
