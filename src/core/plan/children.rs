//! The part of a plan that is about objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Action, Finding, FindingKind, Plan, Section, Step};
use crate::api::v1alpha1::Mode;
use crate::core::control::{Held, Registry};
use crate::core::drift::{Difference, differences};
use crate::core::object::{Canonical, Child, ChildId, Digest};
use crate::core::select::selects;
use crate::core::text::bounded;
use crate::core::world::{Baseline, Live, Recorded, World};

/// Plans how a child comes to be as asked for, or stays so. Answers what stands in the way, if something does.
pub(super) fn keep(
    world: &World,
    holder: &Baseline,
    section: &'static str,
    mode: Mode,
    child: &Child,
    findings: &mut Vec<Finding>,
    plan: &mut Plan,
) -> Option<Held> {
    let asked = child.canonical();
    let wanted = asked.digest();
    plan.wanted.insert(child.id.clone(), wanted);
    let recorded = world.prior.inventory.get(&child.id);
    let Some(live) = world.live.get(&child.id) else {
        let kind = if recorded.is_some() {
            FindingKind::Deleted
        } else {
            FindingKind::Missing
        };
        findings.push(Finding {
            object: child.id.to_string(),
            kind,
            differences: vec![Difference::whole("present", "absent")],
        });
        // In Audit it is not put back, and stays on record: it is told as deleted, not as missing, until it is there again.
        if mode == Mode::Enforce {
            push(plan, section, child, Step::Create(child.clone()));
        }
        return None;
    };
    if let Some(kept) = &live.kept {
        plan.kept.push((section, child.id.clone(), Arc::clone(kept)));
    }
    if live.digest == wanted {
        plan.inventory.insert(child.id.clone(), record(holder, live, wanted));
        return None;
    }
    let Some(object) = &live.object else {
        plan.unread.push(child.id.clone());
        return None;
    };
    let kind = match recorded {
        None => FindingKind::NameTaken,
        Some(recorded) if recorded.uid == live.uid && recorded.digest == Some(live.digest) => FindingKind::Outdated,
        Some(_) => FindingKind::Changed,
    };
    let canonical = Canonical::of(child.id.kind, object);
    findings.push(Finding {
        object: child.id.to_string(),
        kind,
        differences: differences(&asked, &canonical, object),
    });
    if mode == Mode::Enforce {
        let terminating = object["metadata"]["deletionTimestamp"].is_string();
        let fixed = child
            .id
            .kind
            .immutable
            .iter()
            .any(|p| asked.0.pointer(p) != canonical.0.pointer(p));
        let step = if fixed && terminating {
            // Deleting it once more changes nothing; once it is gone, its deletion brings us back.
            return Some(Held {
                id: child.id.clone(),
                reason: "HeldByFinalizer",
                message: format!(
                    "what differs can only be changed by recreating it, and it is deleted, but another client's finalizer holds it: {}; it is created anew once that is removed",
                    bounded(&object["metadata"]["finalizers"].to_string(), 256)
                ),
            });
        } else if fixed {
            Step::Recreate {
                child: child.clone(),
                uid: live.uid.clone(),
                resource_version: live.resource_version.clone(),
                live: Arc::clone(object),
            }
        } else {
            Step::Replace {
                child: child.clone(),
                live: Arc::clone(object),
            }
        };
        push(plan, section, child, step);
    }
    None
}

/// Plans the removal of what is recorded as ours and no longer asked for: by the UID on record, for the baseline on
/// record, and never of what is only held back.
pub(super) fn remove(registry: Registry, world: &World, holder: &Baseline, sections: &[Section], plan: &mut Plan) {
    let mut on_record = inherited(registry, world, holder);
    plan.inventory.extend(
        on_record
            .iter()
            .filter(|(id, _)| !plan.wanted.contains_key(id))
            .map(|(i, r)| (i.clone(), r.clone())),
    );
    on_record.extend(world.prior.inventory.iter().map(|(i, r)| (i.clone(), r.clone())));
    for (id, recorded) in on_record.iter().rev() {
        let asked = plan.wanted.contains_key(id) || sections.iter().any(|(_, _, r)| r.held.iter().any(|h| &h.id == id));
        if asked {
            continue;
        }
        let Some(live) = world.live.get(id).filter(|live| live.uid == recorded.uid) else {
            // It is gone, or somebody else's: no longer ours to remove.
            plan.inventory.remove(id);
            continue;
        };
        if recorded.baseline != holder.uid {
            continue;
        }
        let Some(control) = registry.iter().find(|c| c.kinds().contains(&id.kind)) else {
            continue;
        };
        let mode = control.mode(&holder.spec).unwrap_or(holder.spec.mode);
        plan.note(
            control.section(),
            mode,
            Finding {
                object: id.to_string(),
                kind: FindingKind::Surplus,
                differences: vec![Difference::whole("absent", "present")],
            },
        );
        if mode == Mode::Enforce {
            plan.actions.push(Action {
                section: control.section(),
                object: id.to_string(),
                step: Step::Delete {
                    id: id.clone(),
                    uid: live.uid.clone(),
                    resource_version: live.resource_version.clone(),
                },
            });
        }
    }
}

/// What an earlier spec asked for that was replaced while the operator did not run: it may have been written just before
/// the end, and then it is on no record. Only until the namespace was judged by the present spec: what stands under such
/// a name later is somebody else's.
fn inherited(registry: Registry, world: &World, holder: &Baseline) -> BTreeMap<ChildId, Recorded> {
    let Some(spec) = &holder.replaced else {
        return BTreeMap::new();
    };
    let judged = world.prior.generations.get(&holder.uid) == Some(&holder.generation);
    if judged || !selects(spec, &world.namespace.name, &world.namespace.labels) {
        return BTreeMap::new();
    }
    registry
        .iter()
        .filter(|control| control.mode(spec) == Some(Mode::Enforce))
        .flat_map(|control| control.render(spec, &world.namespace, &world.cluster).children)
        .filter(|child| !world.prior.inventory.contains_key(&child.id))
        .filter_map(|child| {
            let live = world.live.get(&child.id)?;
            Some((child.id, record(holder, live, live.digest)))
        })
        .collect()
}

fn record(holder: &Baseline, live: &Live, digest: Digest) -> Recorded {
    Recorded {
        uid: live.uid.clone(),
        baseline: holder.uid.clone(),
        digest: Some(digest),
    }
}

fn push(plan: &mut Plan, section: &'static str, child: &Child, step: Step) {
    plan.actions.push(Action {
        section,
        object: child.id.to_string(),
        step,
    });
}
