//! The part of a plan that is about objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Action, Finding, FindingKind, Plan, Section, Step, goes_along, heir, is_orphaned, remover, waived};
use crate::api::v1alpha1::{Mode, SecurityBaselineSpec};
use crate::core::control::{Held, Registry};
use crate::core::drift::{Claim, Difference, differences};
use crate::core::object::{Canonical, Child, ChildId, Digest};
use crate::core::select::selects;
use crate::core::text::bounded;
use crate::core::world::{Baseline, Live, Recorded, World};

/// Plans how a child comes to be as asked for, or stays so. Answers what stands in the way, if something does.
pub(super) fn keep(
    world: &World,
    section: &'static str,
    child: &Child,
    mode: Mode,
    owner: &Baseline,
    findings: &mut Vec<Finding>,
    plan: &mut Plan,
) -> Option<Held> {
    let asked = child.canonical();
    let wanted = child.digest();
    plan.wanted.insert(child.id.clone(), wanted);
    let recorded = world.prior.inventory.get(&child.id).filter(|r| !r.is_orphaned());
    let Some(live) = world.live.get(&child.id) else {
        let kind = match recorded {
            None => FindingKind::Missing,
            Some(recorded) if between_the_halves(world, child, owner, recorded, wanted) => FindingKind::Outdated,
            Some(_) => FindingKind::Deleted,
        };
        findings.push(Finding {
            object: child.id.to_string(),
            mode,
            kind,
            differences: vec![Difference::whole("present", "absent")],
        });
        // In Audit it is not put back, and stays on record: it is told as deleted, not as missing, until it is there again.
        if mode == Mode::Enforce {
            push(plan, section, owner, child, Step::Create(child.clone()));
        }
        return None;
    };
    if let Some(kept) = &live.kept {
        plan.kept.push((section, child.id.clone(), Arc::clone(kept)));
    }
    if live.digest == wanted {
        plan.inventory.insert(child.id.clone(), record(owner, live, wanted));
        plan.as_asked.push(child.clone());
        return None;
    }
    let kind = match recorded {
        None => FindingKind::NameTaken,
        Some(recorded) if recorded.uid == live.uid && recorded.digest == Some(live.digest) => FindingKind::Outdated,
        Some(_) => FindingKind::Changed,
    };
    // Of what is as we wrote it, nobody has to be found who claims it.
    let ours = live.object.is_none() && kind == FindingKind::Outdated;
    let known = || ours.then(|| live.known(&world.namespace.name)).flatten();
    let Some(object) = &live.object.clone().or_else(|| known().map(Arc::new)) else {
        plan.unread.push(child.id.clone());
        return None;
    };
    let canonical = Canonical::of(child.id.kind, object);
    let mut differences = differences(asked, &canonical, object);
    if ours {
        differences.iter_mut().for_each(|d| d.claim = Claim::ours());
    }
    findings.push(Finding {
        object: child.id.to_string(),
        mode,
        kind,
        differences,
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
            let message = format!(
                "what differs can only be changed by recreating it, and it is deleted, but another client's finalizer holds it: {}; it is created anew once that is removed",
                bounded(&object["metadata"]["finalizers"].to_string(), 256)
            );
            return Some(Held::child(child.id.clone(), "HeldByFinalizer", message));
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
        push(plan, section, owner, child, step);
    }
    None
}

/// What an audited baseline asks for beyond what is enforced.
pub(super) fn audited(enforced: &Child, asked: &Child) -> Option<Finding> {
    let (enforced, canonical) = (enforced.canonical(), asked.canonical());
    (enforced != canonical).then(|| Finding {
        object: asked.id.to_string(),
        mode: Mode::Audit,
        kind: FindingKind::Audited,
        // Nobody did this: there is no live object to claim it.
        differences: differences(canonical, enforced, &serde_json::Value::Null),
    })
}

/// Plans the removal of what is recorded as ours and no longer asked for, or waived: by the UID on record, for the
/// baseline on record (what is waived, for the one that asks for it), and never of what is only held back.
pub(super) fn remove(registry: Registry, world: &World, sections: &[Section], plan: &mut Plan) {
    let effective = Arc::clone(&plan.effective);
    let mut on_record = inherited(registry, world);
    plan.inventory.extend(
        on_record
            .iter()
            .filter(|(id, _)| !plan.wanted.contains_key(id))
            .map(|(i, r)| (i.clone(), r.clone())),
    );
    on_record.extend(plan.inventory.clone());
    for (id, recorded) in on_record.iter().rev() {
        let asked = plan.wanted.contains_key(id)
            || sections
                .iter()
                .any(|s| s.held.iter().any(|h| h.id.as_ref() == Some(id)));
        // As it was before this plan: an audited baseline puts on record what is as it asks.
        let recorded = world.prior.inventory.get(id).filter(|_| asked).unwrap_or(recorded);
        if asked && !goes_along(world, &recorded.baseline) {
            continue;
        }
        let enforced = |spec: &SecurityBaselineSpec| {
            let rendered = registry
                .iter()
                .map(|c| c.render(spec, &world.namespace, &world.cluster));
            rendered.flat_map(|r| r.children).any(|child| child.id == *id)
        };
        if let (true, Some(heir)) = (asked, heir(&effective, effective.children.get(id), enforced)) {
            if let Some(taken) = plan.inventory.get_mut(id) {
                taken.baseline.clone_from(&heir.uid);
            }
            continue;
        }
        let Some(live) = world.live.get(id).filter(|live| live.uid == recorded.uid) else {
            // It is gone, or somebody else's: no longer ours to remove.
            plan.inventory.remove(id);
            continue;
        };
        let Some(control) = registry.iter().find(|c| c.kinds().contains(&id.kind)) else {
            continue;
        };
        let mode = |owner: &Baseline| control.mode(&owner.spec).unwrap_or(owner.spec.mode);
        let waived = waived::removal(&effective, plan, control.section(), id);
        let surplus =
            || remover(world, &recorded.baseline, mode).map(|(b, m)| (b, m, FindingKind::Surplus, b.name.clone()));
        let Some((owner, mode, kind, claimed_by)) = waived.or_else(surplus) else {
            if is_orphaned(world, &recorded.baseline)
                && let Some(orphan) = plan.inventory.get_mut(id)
            {
                orphan.baseline.clear();
            }
            continue;
        };
        plan.note(
            control.section(),
            Finding {
                object: id.to_string(),
                mode,
                kind,
                differences: vec![Difference {
                    claim: Claim {
                        by: claimed_by,
                        ..Claim::unknown()
                    },
                    ..Difference::whole("absent", "present")
                }],
            },
            owner,
        );
        if mode == Mode::Enforce {
            plan.actions.push(Action {
                section: control.section(),
                baseline: owner.uid.clone(),
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
fn inherited(registry: Registry, world: &World) -> BTreeMap<ChildId, Recorded> {
    let mut inherited = BTreeMap::new();
    for baseline in &world.baselines {
        let Some(spec) = &baseline.replaced else { continue };
        if world.is_judged(baseline) || !selects(spec, &world.namespace.name, &world.namespace.labels) {
            continue;
        }
        let children = registry
            .iter()
            .filter(|control| control.mode(spec) == Some(Mode::Enforce))
            .flat_map(|control| control.render(spec, &world.namespace, &world.cluster).children);
        for child in children.filter(|child| !world.prior.inventory.contains_key(&child.id)) {
            if let Some(live) = world.live.get(&child.id) {
                inherited.insert(child.id.clone(), record(baseline, live, live.digest));
            }
        }
    }
    inherited
}

/// Whether what is gone may be gone by our own hand: a recreation for a changed spec that was cut between its two halves.
/// Only until the namespace was judged by that spec, and only where the spec asks for something else than what was there.
fn between_the_halves(world: &World, child: &Child, owner: &Baseline, recorded: &Recorded, wanted: Digest) -> bool {
    !child.id.kind.immutable.is_empty() && recorded.digest != Some(wanted) && !world.is_judged(owner)
}

fn record(owner: &Baseline, live: &Live, digest: Digest) -> Recorded {
    Recorded {
        uid: live.uid.clone(),
        baseline: owner.uid.clone(),
        digest: Some(digest),
    }
}

fn push(plan: &mut Plan, section: &'static str, owner: &Baseline, child: &Child, step: Step) {
    plan.actions.push(Action {
        section,
        baseline: owner.uid.clone(),
        object: child.id.to_string(),
        step,
    });
}
