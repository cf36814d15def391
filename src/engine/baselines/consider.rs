//! Letting a change of a baseline through the brake.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Context, PATIENCE, going};
use crate::api::v1alpha1::{Mode, SecurityBaselineSpec};
use crate::controls::REGISTRY;
use crate::core::brake::{self, Change, Count, Effect, Limits};
use crate::core::control::Control;
use crate::core::merge::Effective;
use crate::core::object::Digest;
use crate::core::plan::plan;
use crate::core::world::Baseline;
use crate::engine::errors::in_full;
use crate::engine::index::BaselineEntry;
use crate::engine::queue::{Key, Lane};

/// How long until a change that waits is counted again: the namespaces that it is about may have become fewer.
const AGAIN: Duration = Duration::from_secs(60);

/// Considers what a baseline is to hold from now on, if that is not what it holds. Answers the namespaces to be looked at
/// for it.
#[must_use]
pub async fn consider(context: &Arc<Context>, name: &Arc<str>) -> Vec<Arc<str>> {
    let leaves = |entry: &BaselineEntry| entry.candidate.as_ref().is_some_and(|candidate| candidate.leaving);
    if context.index.lock().baseline(name).is_some_and(leaves) {
        match going::with_its_kind(context).await {
            Ok(false) => {}
            Ok(true) => {
                tracing::info!(baseline = %name, "the baseline goes with its CRD: what was created for it stays");
                context.index.lock().stays(name);
                return Vec::new();
            }
            Err(error) => {
                tracing::info!(baseline = %name, error = in_full(&error), "whether the baseline goes with its CRD is not known yet");
                context
                    .queue
                    .push_after(Key::Baseline(name.clone()), Lane::Status, PATIENCE);
                return Vec::new();
            }
        }
    }
    take_up(context, name)
}

/// The same, where it need not be asked whether the baseline goes with its CRD.
#[must_use]
pub fn take_up(context: &Arc<Context>, name: &Arc<str>) -> Vec<Arc<str>> {
    let Some((candidate, count)) = count(context, name) else {
        return Vec::new();
    };
    let mut index = context.index.lock();
    let Some(entry) = index.baseline(name) else {
        return Vec::new();
    };
    // Meanwhile there may be another one, and then it is considered in its turn.
    if !entry.candidate.as_ref().is_some_and(|c| Arc::ptr_eq(c, &candidate)) {
        return Vec::new();
    }
    let held = entry.accepted.as_ref().filter(|_| !entry.provisional);
    let change = Change {
        name,
        uid: &candidate.uid,
        generation: candidate.generation,
        before: held.map(|held| digest(&held.spec)),
        after: (!candidate.leaving).then(|| digest(&candidate.spec)),
    };
    let limits = Limits {
        namespaces: usize::try_from(context.config.brake.namespaces).unwrap_or(usize::MAX),
        percent: context.config.brake.percent.into(),
    };
    match brake::judge(&change, &count, limits, &entry.confirmed) {
        Ok(()) => {
            tracing::info!(baseline = %name, generation = candidate.generation, affected = count.affected, "a change of a baseline is taken up");
            context.pace.begin(&candidate.uid);
            index.accept(name, context.clock.now())
        }
        Err(waits) => {
            context
                .queue
                .push_after(Key::Baseline(name.clone()), Lane::Status, AGAIN);
            index.wait(name, waits)
        }
    }
}

fn digest(spec: &SecurityBaselineSpec) -> Digest {
    Digest::of(&serde_json::to_value(spec).unwrap_or_default())
}

/// What a change does to those namespaces that are under one set of baselines before and another one after; and the two,
/// so that their addresses stay theirs.
type Known = (Effect, [Arc<Effective>; 2]);

/// What a change does, over all namespaces that it is about. `None` where there is no change, or where not everything
/// was seen yet: absence means nothing then.
pub fn count(context: &Context, name: &str) -> Option<(Arc<Baseline>, Count)> {
    let (candidate, concerned, cluster) = {
        let index = context.index.lock();
        if !index.is_synced() {
            return None;
        }
        let entry = index.baseline(name)?;
        let candidate = entry.candidate.clone()?;
        let concerned = index.concerned(&[entry.accepted.clone(), Some(candidate.clone())]);
        (candidate, concerned, index.cluster().clone())
    };
    let mut count = Count::default();
    // Most namespaces are under the same set of baselines. Both are kept, for as long as they are known by their address.
    let mut effects: HashMap<(usize, usize), Known> = HashMap::new();
    for namespace in concerned {
        let Some([was, is]) = context.index.lock().changed(&namespace, &candidate) else {
            continue;
        };
        let (effect, _) = effects
            .entry((Arc::as_ptr(&was) as usize, Arc::as_ptr(&is) as usize))
            .or_insert_with(|| {
                let effect = brake::effect(REGISTRY, &was, &is, &cluster);
                (effect, [was, is])
            });
        let to_write: BTreeSet<&str> = if effect.enforced.is_empty() && effect.tightened.is_empty() {
            BTreeSet::new()
        } else {
            let now = context.clock.now();
            let Some(mut after) = context.index.lock().world_if(&namespace, &candidate, now) else {
                continue;
            };
            // As in its turn: what is to be written counts, and not what may be written already.
            after.namespace.created = None;
            let plan = plan(REGISTRY, &after);
            let unread = |control: &&&dyn Control| plan.unread.iter().any(|id| control.kinds().contains(&id.kind));
            let unread = REGISTRY.iter().filter(unread).map(|control| control.section());
            plan.actions.iter().map(|action| action.section).chain(unread).collect()
        };
        count.add(effect, &to_write);
    }
    Some((candidate, count))
}

/// A baseline that only audits, whatever it says: what a new one is while it waits.
pub fn only_audited(baseline: &Baseline) -> Baseline {
    let mut spec = baseline.spec.clone();
    for control in REGISTRY {
        control.copy(&baseline.spec, &mut spec);
    }
    spec.mode = Mode::Audit;
    let sections = [
        spec.network_isolation.as_mut().map(|s| &mut s.mode),
        spec.resource_quotas.as_mut().map(|s| &mut s.mode),
        spec.limit_ranges.as_mut().map(|s| &mut s.mode),
        spec.pod_security.as_mut().map(|s| &mut s.mode),
        spec.access.as_mut().map(|s| &mut s.mode),
    ];
    for mode in sections.into_iter().flatten() {
        *mode = Some(Mode::Audit);
    }
    Baseline {
        spec,
        ..baseline.clone()
    }
}
