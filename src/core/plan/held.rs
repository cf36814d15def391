//! The part of a plan that is about objects that are held back: of what is asked for now it cannot be said what that is
//! here. What was written last is known by its digest.

use super::{Finding, FindingKind, Plan, Section};
use crate::api::v1alpha1::Mode;
use crate::core::drift::{Difference, claim};
use crate::core::text::bounded;
use crate::core::world::{Recorded, World};

/// The most that is told of what was found, in characters.
const MOST_FOUND: usize = 256;

/// Tells what departs from what was written last. It is not put back: a digest does not say what that was.
pub(super) fn tell(world: &World, section: &Section, findings: &mut Vec<Finding>, plan: &mut Plan) {
    for id in section.held.iter().filter_map(|held| held.id.as_ref()) {
        let Some(recorded) = world.prior.inventory.get(id).filter(|r| !r.is_orphaned()) else {
            continue;
        };
        let Some(written) = recorded.digest else {
            continue;
        };
        // What is seen of it from now on is compared with that.
        plan.wanted.insert(id.clone(), written);
        let (kind, difference) = match world.live.get(id) {
            None => (FindingKind::Deleted, Difference::whole("present", "absent")),
            Some(live) if live.digest == written => {
                // As it was written, whoever made it anew.
                let uid = live.uid.clone();
                plan.inventory.insert(
                    id.clone(),
                    Recorded {
                        uid,
                        ..recorded.clone()
                    },
                );
                continue;
            }
            Some(live) => {
                let Some(object) = &live.object else {
                    plan.unread.push(id.clone());
                    continue;
                };
                let found: Vec<String> = id.kind.fields.iter().map(|field| object[*field].to_string()).collect();
                let difference = Difference {
                    path: id.kind.fields.join(", "),
                    expected: "as it was written last".to_owned(),
                    found: bounded(&found.join(", "), MOST_FOUND),
                    claim: claim(object, &[], true),
                };
                (FindingKind::Changed, difference)
            }
        };
        findings.push(Finding {
            object: id.to_string(),
            mode: Mode::Audit,
            kind,
            differences: vec![difference],
        });
    }
}
