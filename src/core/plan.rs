//! From what is asked for and what is there to what is to be done. The same plan serves Enforce, which carries it out,
//! and Audit, which only tells it.

mod children;
mod labels;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::control::{Held, Registry, Rendered};
use super::drift::Difference;
use super::merge::merge;
use super::object::{Child, ChildId, Digest};
use super::world::{Baseline, Kept, Recorded, RecordedLabel, World};
use crate::api::v1alpha1::Mode;

/// What is to be done in one namespace, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The baseline that holds the namespace.
    pub holder: Option<Arc<Baseline>>,
    /// The baselines that select it too, and do not hold.
    pub conflicting: Vec<Arc<Baseline>>,
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
    /// Objects that have to be read before the plan is whole: their digests differ, and a digest does not say what.
    pub unread: Vec<ChildId>,
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
    /// The baseline that supplied it.
    pub baseline: Arc<Baseline>,
    /// Whether it is enforced.
    pub mode: Mode,
    /// What applies, value by value.
    pub effective: Vec<(String, String)>,
    /// What departs from it.
    pub findings: Vec<Finding>,
    /// What is held back.
    pub held: Vec<Held>,
}

/// Something that departs from what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The object, as kind/name.
    pub object: String,
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
    /// It is no longer asked for.
    Surplus,
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
            Self::Surplus => "Surplus",
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
    let mut plan = Plan::default();
    // What is recorded stays recorded until it is seen to be gone, whatever becomes of the baselines.
    plan.inventory.clone_from(&world.prior.inventory);
    plan.labels.clone_from(&world.prior.labels);
    if world.namespace.terminating {
        return plan;
    }
    let effective = merge(&world.baselines);
    plan.conflicting = effective.conflicting;
    let Some(holder) = effective.holder else { return plan };
    plan.holder = Some(holder.clone());

    let mut sections = Vec::new();
    for control in registry {
        let Some(mode) = control.mode(&holder.spec) else {
            continue;
        };
        let rendered = control.render(&holder.spec, &world.namespace, &world.cluster);
        sections.push((control.section(), mode, rendered));
    }
    for (section, mode, rendered) in &sections {
        let mut findings = Vec::new();
        let mut held = rendered.held.clone();
        for child in &rendered.children {
            held.extend(children::keep(
                world,
                &holder,
                section,
                *mode,
                child,
                &mut findings,
                &mut plan,
            ));
        }
        plan.sections.push(SectionPlan {
            section,
            baseline: holder.clone(),
            mode: *mode,
            effective: rendered.effective.clone(),
            findings,
            held,
        });
    }
    labels::keep(world, &sections, &mut plan);
    children::remove(registry, world, &holder, &sections, &mut plan);
    plan
}

type Section = (&'static str, Mode, Rendered);

impl Plan {
    /// Notes a finding in its section. What is left over from a section that the spec no longer has gets one of its own.
    fn note(&mut self, section: &'static str, mode: Mode, finding: Finding) {
        if let Some(known) = self.sections.iter_mut().find(|s| s.section == section) {
            known.findings.push(finding);
            return;
        }
        let Some(baseline) = self.holder.clone() else { return };
        self.sections.push(SectionPlan {
            section,
            baseline,
            mode,
            effective: Vec::new(),
            findings: vec![finding],
            held: Vec::new(),
        });
    }
}

#[cfg(test)]
mod tests;
