//! Baselines: judging their specs, letting changes through the brake, and writing their status.

mod consider;
mod finalizer;
mod going;
mod judge;

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::answer::{Asked, answer, newer};
use super::queue::{Key, Lane};
use crate::api::v1alpha1::{SecurityBaseline, SecurityBaselineStatus};
use crate::controls::{Detected, REGISTRY};
use crate::core::status::{BaselineFacts, status};

/// How long a status waits for more to come, when it is about namespaces: they come many at a time.
pub const PATIENCE: Duration = Duration::from_secs(1);

pub use consider::{consider, count, only_audited, take_up};
pub use judge::{judge, understand};

/// Does all that a baseline itself needs: considers a change, keeps its finalizer, and writes its status.
pub async fn attend(context: &Arc<Context>, name: &Arc<str>) {
    let look = consider(context, name).await;
    finalizer::keep(context, name).await;
    // The status names the spec before anything is written for it: if the operator ends before a report tells of that, the
    // next one knows what may be there.
    report(context, name).await;
    for namespace in look {
        context.queue.push(Key::Namespace(namespace), Lane::Rollout);
    }
}

/// Writes the status of a baseline, if it is news.
async fn report(context: &Arc<Context>, name: &Arc<str>) {
    let Some((entry, next)) = next_status(context, name) else {
        return;
    };
    if next == entry.before {
        return;
    }
    let Some(version) = answer::<SecurityBaseline>(context, Key::Baseline(name.clone()), &entry.asked, &next).await
    else {
        return;
    };
    let uid = &entry.asked.uid;
    if let Some(known) = context.index.lock().baseline_mut(name).filter(|b| b.uid == *uid)
        && newer(&version, &known.resource_version)
    {
        known.resource_version = version;
        known.status = next.clone();
    }
    context.events.transitions(name, uid, &entry.before, &next);
}

struct Known {
    asked: Asked,
    before: SecurityBaselineStatus,
}

fn next_status(context: &Context, name: &Arc<str>) -> Option<(Known, SecurityBaselineStatus)> {
    let index = context.index.lock();
    let entry = index.baseline(name)?;
    let accepted = entry.accepted.as_ref();
    let applied = accepted.filter(|_| !entry.provisional);
    let tally = accepted.map(|b| index.tally(b)).unwrap_or_default();
    let facts = BaselineFacts {
        name: name.to_string(),
        judged: entry.judged,
        applied: applied.map(|b| b.generation),
        applied_since: applied.map(|b| b.since),
        applied_spec: applied.and_then(|b| serde_json::to_value(&b.spec).ok()),
        waits: entry.waits.clone().or_else(|| index.unreleased(&entry.uid)),
        rollout_stopped: context.pace.stopped(&entry.uid),
        cleaning: accepted.filter(|b| b.leaving).map(|b| index.remaining(&b.uid)),
        problems: entry.problems.clone().into_vec(),
        enforced_before: accepted
            .and_then(|b| b.frozen.as_ref())
            .and_then(|spec| serde_json::to_value(&**spec).ok()),
        detected: accepted
            .and_then(|b| Detected::of(&b.spec, index.cluster(), &context.config.cluster_dns.node_local()))
            .and_then(|detected| serde_json::to_value(detected).ok()),
        warnings: accepted
            .map(|b| REGISTRY.iter().flat_map(|c| c.warnings(&b.spec)).take(16).collect())
            .unwrap_or_default(),
        mode: accepted.map(|b| b.spec.mode).unwrap_or_default(),
        suspended: accepted.is_some_and(|b| b.spec.suspend),
        stopped: index.stopped,
        tolerated_percent: i64::from(context.config.tolerated_percent),
    };
    let known = Known {
        asked: Asked {
            name: name.to_string(),
            uid: entry.uid.clone(),
            resource_version: entry.resource_version.clone(),
        },
        before: entry.status.clone(),
    };
    let next = status(&facts, &tally, &entry.status, context.clock.now());
    drop(index);

    context.metrics.tallied(name, &tally);
    for condition in &next.conditions {
        let (type_, status, reason) = (&condition.type_, &condition.status, &condition.reason);
        context.metrics.condition(name, type_, status, reason);
    }
    // While namespaces are still to be looked at for the first time (after a start, say), nothing new is known of a
    // generation whose rollout was over already.
    let judged_before = known.before.observed_generation == facts.judged && known.before.applied == facts.applied_spec;
    let rolling_out = known
        .before
        .conditions
        .iter()
        .any(|c| c.type_ == "Reconciling" && c.status == "True");
    if judged_before && !rolling_out && tally.unseen_count() > 0 {
        return None;
    }
    Some((known, next))
}
