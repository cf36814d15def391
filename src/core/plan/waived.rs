//! The part of a plan that is about exceptions: what they take out of what is asked for, and how that goes and comes back.

use std::borrow::Cow;

use super::first::due;
use super::{FindingKind, Plan, Section};
use crate::api::v1alpha1::{Mode, SecurityBaselineSpec};
use crate::core::exceptions::Waived;
use crate::core::merge::Effective;
use crate::core::object::ChildId;
use crate::core::text::bounded;
use crate::core::world::{Baseline, World};

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

/// Notes the sections of which waivers leave nothing on record although they were enforced here: what comes back when
/// the waivers end is not enforced for the first time.
pub(super) fn remember(world: &World, sections: &[Section], plan: &mut Plan) {
    let recorded = &world.prior.inventory;
    for section in sections {
        let bare = !section
            .children
            .iter()
            .any(|(child, ..)| recorded.contains_key(&child.id));
        let going = || recorded.keys().any(|id| by(plan, section.name, id).is_some());
        if bare && (world.prior.enforced_before.contains(section.name) || going()) {
            plan.enforced_before.insert(section.name);
        }
    }
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
    let askers = effective.children.get(id)?;
    let owner = effective.baselines.get(askers.owner()?)?;
    Some((owner, askers.mode(), FindingKind::Waived, bounded(&exceptions, 256)))
}
