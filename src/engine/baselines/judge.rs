//! Judging a baseline as it is: what of it is sound, what holds so far, and what is to hold.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::v1alpha1::{DeletionPolicy, SecurityBaselineSpec, SecurityBaselineStatus};
use crate::controls::REGISTRY;
use crate::core::brake::{CONFIRM, RESUME};
use crate::core::merge::frozen;
use crate::core::validate::{Problems, validate};
use crate::core::world::Baseline;
use crate::engine::answer::newer;
use crate::engine::facts::meta;
use crate::engine::index::BaselineEntry;

/// Keeps a baseline that is being deleted until what was created for it is removed. Only a baseline with
/// `deletionPolicy: Delete` has it.
pub const FINALIZER: &str = "securitybaseline.dev/cleanup";

/// Judges a baseline, object and all: one that cannot be understood is judged too, and stops nobody else.
///
/// What was accepted before keeps holding while the present spec is refused or waits: from memory, or, after a restart,
/// from `status.applied`.
pub fn judge(before: Option<&BaselineEntry>, object: &Value) -> BaselineEntry {
    let uid = meta(object, "uid").to_owned();
    let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
    let status: SecurityBaselineStatus = serde_json::from_value(object["status"].clone()).unwrap_or_default();
    let (spec, problems) = decode(&object["spec"]);
    let known = before.filter(|b| b.uid == uid);
    let made = |generation, spec| Baseline {
        name: meta(object, "name").to_owned(),
        uid: uid.clone(),
        created: meta(object, "creationTimestamp")
            .parse()
            .unwrap_or(Timestamp::UNIX_EPOCH),
        generation,
        since: status.applied_since.unwrap_or(Timestamp::UNIX_EPOCH),
        spec,
        frozen: None,
        replaced: None,
        leaving: false,
    };
    // What holds so far.
    let accepted = match known {
        Some(known) => known.accepted.clone().map(|held| agreed(held, &status)),
        None => status.applied_generation.and_then(|generation| {
            let (spec, _) = decode(status.applied.as_ref()?);
            let mut baseline = made(generation, spec?);
            baseline.frozen = status.enforced_before.as_ref().and_then(decode_share);
            Some(Arc::new(baseline))
        }),
    };
    let finalizers = object["metadata"]["finalizers"].as_array();
    let finalizer = finalizers.into_iter().flatten().any(|f| f == FINALIZER);
    let deleted = object["metadata"]["deletionTimestamp"].is_string();
    // Also where the rest of the spec is refused: to say Retain is the way out of a deletion that does not end.
    let policy = match &object["spec"]["deletionPolicy"] {
        Value::Null => Some(DeletionPolicy::default()),
        stated => serde_json::from_value(stated.clone()).ok(),
    };
    // Who leaves does not come back: not when our finalizer is off and somebody else's is still on, nor when it is told
    // to leave the rest in place.
    let left = accepted.as_ref().is_some_and(|b| b.leaving);
    let leaving = deleted && (left || policy == Some(DeletionPolicy::Delete));
    let provisional = known.is_some_and(|b| b.provisional);
    let settled = accepted
        .as_ref()
        .is_some_and(|b| !provisional && b.generation == generation && b.leaving == leaving);
    let waiting = known.and_then(|b| b.candidate.clone());
    let candidate = match spec {
        Some(_) if settled => None,
        // Already being considered.
        Some(_)
            if waiting
                .as_ref()
                .is_some_and(|c| c.generation == generation && c.leaving == leaving) =>
        {
            waiting
        }
        Some(spec) => {
            let mut candidate = made(generation, spec);
            candidate.leaving = leaving;
            let held = accepted.as_ref().filter(|_| !provisional);
            candidate.frozen = held.and_then(|held| frozen(REGISTRY, held, &candidate.spec));
            // Replaced while the operator did not run: what was written just before the end may be on no record.
            let earlier = held.filter(|held| known.is_none() && held.generation != generation);
            candidate.replaced = earlier.map(|held| Arc::new(held.spec.clone()));
            Some(Arc::new(candidate))
        }
        // Who leaves with a spec that is refused, leaves as what holds so far.
        None if leaving && !left => match waiting {
            Some(waiting) if waiting.leaving => Some(waiting),
            _ => accepted.as_ref().filter(|_| !provisional).map(|held| {
                Arc::new(Baseline {
                    leaving,
                    ..(**held).clone()
                })
            }),
        },
        None => None,
    };
    let why = known.and_then(|b| b.waits.clone()).filter(|_| candidate.is_some());
    let annotation = |key: &str| object["metadata"]["annotations"][key].as_str().unwrap_or_default();
    let confirmed = annotation(CONFIRM);
    // A status that we wrote may be newer than the one in this event.
    let newest = known.filter(|b| newer(&b.resource_version, meta(object, "resourceVersion")));
    BaselineEntry {
        resource_version: newest
            .map_or(meta(object, "resourceVersion"), |b| &b.resource_version)
            .to_owned(),
        status: newest.map_or(status, |b| b.status.clone()),
        uid,
        judged: generation,
        problems,
        accepted,
        provisional,
        candidate,
        waits: why,
        confirmed: confirmed.to_owned(),
        resumed: annotation(RESUME).to_owned(),
        policy,
        finalizer,
        deleted,
    }
}

/// What holds, since the time that the status tells: where two operators run by mistake, each took it up at a time of its
/// own, and the earlier one is true.
fn agreed(held: Arc<Baseline>, status: &SecurityBaselineStatus) -> Arc<Baseline> {
    let told = status
        .applied_since
        .filter(|_| status.applied_generation == Some(held.generation));
    match told {
        Some(since) if since < held.since => Arc::new(Baseline {
            since,
            ..(*held).clone()
        }),
        _ => held,
    }
}

/// A spec, if nothing is wrong with it; and what is.
fn decode(spec: &Value) -> (Option<SecurityBaselineSpec>, Problems) {
    match understand::<SecurityBaselineSpec>(spec) {
        Ok(spec) => {
            let problems = validate(REGISTRY, &spec);
            (problems.is_empty().then_some(spec), problems)
        }
        Err(problems) => (None, problems),
    }
}

/// A spec as the API server has it: what slipped past its schema is told field by field, and stops nobody else.
pub fn understand<T: DeserializeOwned>(spec: &Value) -> Result<T, Problems> {
    serde_path_to_error::deserialize(spec).map_err(|error| {
        let path = match error.path().to_string().as_str() {
            "." => "spec".to_owned(),
            path => format!("spec.{path}"),
        };
        let mut problems = Problems::default();
        problems.add(path, format_args!("cannot be understood: {}", error.inner()));
        problems
    })
}

/// A share of a spec as it was written into a status.
fn decode_share(share: &Value) -> Option<Arc<SecurityBaselineSpec>> {
    serde_json::from_value(share.clone()).ok().map(Arc::new)
}
