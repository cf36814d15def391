//! Baselines: judging their specs, and writing their status.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::Context;
use super::errors::{Failed, judge as judge_error};
use super::facts::meta;
use super::index::BaselineEntry;
use super::metrics::STATES;
use super::queue::{Key, Lane};
use super::work::in_time;
use crate::api::v1alpha1::{SecurityBaseline, SecurityBaselineSpec, SecurityBaselineStatus};
use crate::controls::REGISTRY;
use crate::core::object::FIELD_MANAGER;
use crate::core::status::{BaselineFacts, status};
use crate::core::validate::{Problems, validate};
use crate::core::world::Baseline;

/// How long a status waits for more to come, when it is about namespaces: they come many at a time.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Judges a baseline as it is, object and all: one that cannot be understood is judged too, and stops nobody else.
///
/// What was accepted before keeps holding while the present spec is refused: from memory, or, after a restart, from
/// `status.applied`.
pub fn judge(before: Option<&BaselineEntry>, object: &Value) -> BaselineEntry {
    let uid = meta(object, "uid").to_owned();
    let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
    let status: SecurityBaselineStatus = serde_json::from_value(object["status"].clone()).unwrap_or_default();
    let (spec, problems) = decode(&object["spec"]);
    let known = before.filter(|b| b.uid == uid);
    // What is held to when the operator starts was replaced in the meantime, if its generation is an earlier one.
    let replaced = match known {
        Some(known) => {
            let same = known.accepted.as_ref().filter(|b| b.generation == generation);
            same.and_then(|b| b.replaced.clone())
        }
        None if status.applied_generation.is_some_and(|applied| applied != generation) => status
            .applied
            .as_ref()
            .and_then(|applied| decode(applied).0)
            .map(Arc::new),
        None => None,
    };
    let baseline = |generation, spec| {
        Arc::new(Baseline {
            name: meta(object, "name").to_owned(),
            uid: uid.clone(),
            created: meta(object, "creationTimestamp")
                .parse()
                .unwrap_or(Timestamp::UNIX_EPOCH),
            generation,
            spec,
            replaced: replaced.clone(),
        })
    };
    let accepted = match spec {
        Some(spec) => Some(baseline(generation, spec)),
        None => known.and_then(|b| b.accepted.clone()).or_else(|| {
            let (spec, _) = decode(status.applied.as_ref()?);
            Some(baseline(status.applied_generation?, spec?))
        }),
    };
    // A status that we wrote may be newer than the one in this event.
    let known = known.filter(|b| newer(&b.resource_version, meta(object, "resourceVersion")));
    BaselineEntry {
        resource_version: known
            .map_or(meta(object, "resourceVersion"), |b| &b.resource_version)
            .to_owned(),
        status: known.map_or(status, |b| b.status.clone()),
        uid,
        judged: generation,
        problems,
        accepted,
    }
}

fn newer(known: &str, seen: &str) -> bool {
    matches!((known.parse::<u64>(), seen.parse::<u64>()), (Ok(known), Ok(seen)) if known > seen)
}

/// A spec, if nothing is wrong with it; and what is.
fn decode(spec: &Value) -> (Option<SecurityBaselineSpec>, Problems) {
    let mut problems = Problems::default();
    match serde_path_to_error::deserialize::<_, SecurityBaselineSpec>(spec) {
        Ok(spec) => {
            problems = validate(REGISTRY, &spec);
            (problems.is_empty().then_some(spec), problems)
        }
        Err(error) => {
            let path = error.path().to_string();
            let path = if path == "." {
                "spec".to_owned()
            } else {
                format!("spec.{path}")
            };
            problems.add(path, format_args!("cannot be understood: {}", error.inner()));
            (None, problems)
        }
    }
}

/// Writes the status of a baseline, if it is news.
pub async fn report(context: &Arc<Context>, name: &Arc<str>) {
    let Some((entry, next)) = next_status(context, name) else {
        return;
    };
    if next == entry.before {
        return;
    }
    let body = json!({
        "apiVersion": "securitybaseline.dev/v1alpha1",
        "kind": "SecurityBaseline",
        "metadata": {"name": **name, "uid": entry.uid, "resourceVersion": entry.resource_version},
        "status": next,
    });
    let api: Api<kube::api::DynamicObject> = Api::all_with(
        context.client.clone(),
        &kube::api::ApiResource::erase::<SecurityBaseline>(&()),
    );
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        dry_run: false,
    };
    let Ok(object) = serde_json::from_value(body) else {
        return;
    };
    match in_time(api.replace_status(name, &params, &object)).await {
        Ok(written) => {
            context.metrics.statuses.inc();
            if let Some(known) = context.index.lock().baseline_mut(name).filter(|b| b.uid == entry.uid) {
                let version = written.metadata.resource_version.unwrap_or_default();
                if newer(&version, &known.resource_version) {
                    known.resource_version = version;
                    known.status = next.clone();
                }
            }
            context.events.transitions(name, &entry.uid, &entry.before, &next);
        }
        Err(error) => match judge_error(&error) {
            Failed::Gone => {}
            // A newer version is on its way by the watch.
            Failed::Conflict => context
                .queue
                .push_after(Key::Baseline(name.clone()), Lane::Status, PATIENCE),
            failed @ (Failed::Blocked(_) | Failed::Transient(..)) => {
                context.metrics.status_failures.inc();
                tracing::warn!(baseline = %name, ?failed, "the status could not be written");
                let wait = failed.wait(PATIENCE * 5);
                context
                    .queue
                    .push_after(Key::Baseline(name.clone()), Lane::Status, wait);
            }
        },
    }
}

struct Known {
    uid: String,
    resource_version: String,
    before: SecurityBaselineStatus,
}

fn next_status(context: &Context, name: &Arc<str>) -> Option<(Known, SecurityBaselineStatus)> {
    let index = context.index.lock();
    let entry = index.baseline(name)?;
    let accepted = entry.accepted.as_ref();
    let tally = accepted.map(|b| index.tally(b)).unwrap_or_default();
    let facts = BaselineFacts {
        judged: entry.judged,
        applied: accepted.map(|b| b.generation),
        applied_spec: accepted.and_then(|b| serde_json::to_value(&b.spec).ok()),
        problems: entry.problems.clone().into_vec(),
        warnings: accepted
            .map(|b| REGISTRY.iter().flat_map(|c| c.warnings(&b.spec)).take(16).collect())
            .unwrap_or_default(),
        mode: accepted.map(|b| b.spec.mode).unwrap_or_default(),
        suspended: accepted.is_some_and(|b| b.spec.suspend),
        stopped: index.stopped,
        tolerated_percent: i64::from(context.config.tolerated_percent),
    };
    let known = Known {
        uid: entry.uid.clone(),
        resource_version: entry.resource_version.clone(),
        before: entry.status.clone(),
    };
    let next = status(&facts, &tally, &entry.status, context.clock.now());
    drop(index);

    let counts = tally.counts();
    let values = [
        counts.compliant,
        counts.drifted,
        counts.pending,
        counts.blocked,
        counts.conflicting,
    ];
    for (state, value) in STATES.iter().zip(values) {
        context
            .metrics
            .namespaces
            .with_label_values(&[&**name, *state])
            .set(value);
    }
    for condition in &next.conditions {
        let holds = i64::from(condition.status == "True");
        context
            .metrics
            .conditions
            .with_label_values(&[&**name, &condition.type_])
            .set(holds);
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
