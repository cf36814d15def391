//! The part of a plan that is about exceptions: what they take out of what is asked for, and how that goes and comes back.

use std::borrow::Cow;

use k8s_openapi::jiff::Timestamp;

use super::first::due;
use super::{FindingKind, Plan, Section, labels};
use crate::api::v1alpha1::{Mode, PodSecurityLevel, SecurityBaselineSpec};
use crate::core::control::Registry;
use crate::core::exceptions::Waived;
use crate::core::merge::Effective;
use crate::core::object::{Child, ChildId};
use crate::core::text::bounded;
use crate::core::world::{Baseline, Recorded, World};

/// What the baselines of a namespace mean together, without what is waived there.
pub(super) struct Specs<'a> {
    /// What is enforced.
    pub(super) enforced: Cow<'a, SecurityBaselineSpec>,
    /// What would be if everything were; `None` where that is the same.
    pub(super) asked: Option<Cow<'a, SecurityBaselineSpec>>,
}

/// Takes out what is waived, and notes it, and when that changes by itself.
pub(super) fn take_out<'a>(world: &World, effective: &'a Effective, plan: &mut Plan) -> Specs<'a> {
    if let Some(at) = world.waivers.next {
        due(plan, at);
    }
    let mut left = |spec: &'a SecurityBaselineSpec| {
        if world.waivers.is_empty() {
            return Cow::Borrowed(spec);
        }
        let (left, waived) = world.waivers.apply(spec);
        // What was enforced before may be in it, and asked for by nobody now.
        let asked = |object: &String| effective.children.keys().any(|id| id.to_string() == *object);
        for waived in waived.into_iter().filter(|w| w.object.as_ref().is_none_or(asked)) {
            let known = |w: &Waived| (w.control, &w.object) == (waived.control, &waived.object);
            if !plan.waived.iter().any(known) {
                plan.waived.push(waived);
            }
        }
        Cow::Owned(left)
    };
    Specs {
        enforced: left(&effective.enforced.spec),
        asked: effective.asked.as_ref().map(|asked| left(&asked.spec)),
    }
}

/// Puts on record what is waived and there, and was there before it was waived, as it is asked for else: it would be on
/// record, had the operator not ended just after it wrote it, or had its report not been lost. What came later is
/// somebody else's, however much it is the same.
pub(super) fn adopt(registry: Registry, world: &World, effective: &Effective, plan: &mut Plan) {
    for control in registry {
        let section = control.section();
        if !plan.waived.iter().any(|waived| waived.control.as_str() == section) {
            continue;
        }
        let asked = control.render(&effective.enforced.spec, &world.namespace, &world.cluster);
        for child in asked.children {
            let unrecorded = world
                .live
                .get(&child.id)
                .filter(|_| !plan.inventory.contains_key(&child.id));
            let waived = by(plan, section, &child.id).zip(asker(effective, &child.id));
            let (Some(live), Some((waived, (owner, _)))) = (unrecorded, waived) else {
                continue;
            };
            if live.digest != child.digest() {
                continue;
            }
            let Some(object) = &live.object else {
                plan.unread.push(child.id.clone());
                continue;
            };
            let its = world
                .waivers
                .exceptions
                .iter()
                .filter(|e| waived.exceptions.contains(&e.name));
            let since = its.map(|exception| exception.created).min();
            let created = object["metadata"]["creationTimestamp"]
                .as_str()
                .and_then(|text| text.parse().ok());
            if created.is_some_and(|created: Timestamp| since.is_some_and(|since| created < since)) {
                let recorded = Recorded {
                    uid: live.uid.clone(),
                    baseline: owner.uid.clone(),
                    digest: Some(live.digest),
                };
                plan.inventory.insert(child.id.clone(), recorded);
            }
        }
    }
}

/// Notes the sections of which waivers leave nothing on record although they were enforced here, and those of which what
/// was waived is not back yet: what comes back when the waivers end is neither enforced for the first time nor tightened.
pub(super) fn remember(world: &World, sections: &[Section], plan: &mut Plan) {
    let recorded = &plan.inventory;
    for section in sections {
        let bare = !section
            .children
            .iter()
            .any(|(child, ..)| recorded.contains_key(&child.id));
        let going = || recorded.keys().any(|id| by(plan, section.name, id).is_some());
        let before = world.prior.enforced_before.contains(section.name);
        let comes_back = if bare && section.labels.is_empty() {
            before || going()
        } else {
            (before || ended(world, section, plan)) && departs(world, section)
        };
        if comes_back {
            plan.enforced_before.insert(section.name);
        }
    }
}

/// Whether something of a section was waived and is no longer, or not as far.
fn ended(world: &World, section: &Section, plan: &Plan) -> bool {
    let before = world.prior.waived.iter().filter(|(name, ..)| name == section.name);
    let still = |(_, object, level): &(String, Option<String>, Option<PodSecurityLevel>)| {
        let same = |waived: &Waived| (&waived.object, waived.level) == (object, *level);
        let its = plan
            .waived
            .iter()
            .filter(|waived| waived.control.as_str() == section.name);
        its.into_iter().any(same)
    };
    before.into_iter().any(|waived| !still(waived))
}

/// Whether something of a section is not as it is asked for.
fn departs(world: &World, section: &Section) -> bool {
    let child = |child: &Child| world.live.get(&child.id).map(|live| live.digest) != Some(child.canonical().digest());
    section.children.iter().any(|(asked, ..)| child(asked))
        || section.labels.iter().any(|(asked, ..)| !labels::holds(world, asked))
}

/// What waives an object of a section, if something does.
fn by<'a>(plan: &'a Plan, section: &str, id: &ChildId) -> Option<&'a Waived> {
    let object = id.to_string();
    plan.waived.iter().find(|waived| waived.covers(section, &object))
}

/// If an object is not asked for because it is waived: the baseline that asks for it else, whether it is removed or
/// only told, and the exceptions.
pub(super) fn removal<'a>(
    effective: &'a Effective,
    plan: &Plan,
    section: &str,
    id: &ChildId,
) -> Option<(&'a Baseline, Mode, FindingKind, String)> {
    let exceptions = by(plan, section, id)?.exceptions.join(", ");
    let (owner, mode) = asker(effective, id)?;
    Some((owner, mode, FindingKind::Waived, bounded(&exceptions, 256)))
}

/// The baseline that asks for an object, and whether it is enforced.
fn asker<'a>(effective: &'a Effective, id: &ChildId) -> Option<(&'a Baseline, Mode)> {
    let askers = effective.children.get(id)?;
    Some((effective.baselines.get(askers.owner()?)?, askers.mode()))
}
