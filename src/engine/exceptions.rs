//! Exceptions: judging their specs, writing their status, and telling before they end.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Context;
use super::answer::{Asked, answer, newer};
use super::baselines::{PATIENCE, understand};
use super::facts::meta;
use super::index::{ExceptionEntry, Index, Last};
use super::queue::{Key, Lane};
use super::watch::{Shown, Sink};
use crate::api::v1alpha1::{BaselineException, BaselineExceptionStatus};
use crate::core::exceptions::Exception;
use crate::core::exceptions::status::{ExceptionFacts, State, next_change, status};
use crate::core::validate::Problems;

/// Takes up exceptions.
pub struct Exceptions;

impl Sink for Exceptions {
    fn applied(&self, context: &Context, object: Value) {
        let name: Arc<str> = meta(&object, "name").into();
        let limit = context.config.exceptions.max_duration;
        let mut index = context.index.lock();
        let before = index.exception(&name);
        let entry = judge(before, &object, limit);
        let news = before.is_none_or(|b| (&b.uid, b.judged, b.deleted) != (&entry.uid, entry.judged, entry.deleted));
        let look = index.exception_seen(&name, entry);
        drop(index);
        look_at(context, look);
        if news {
            context.queue.push(Key::Exception(name), Lane::Status);
        } else {
            tell_exceptions(context, vec![name]);
        }
    }

    fn deleted(&self, context: &Context, _: &str, name: &str, _: Last<'_>) {
        let mut index = context.index.lock();
        let look = index.exception_gone(name);
        count(context, index.exceptions().filter_map(|(_, entry)| entry.state));
        drop(index);
        look_at(context, look);
    }

    fn listed_anew(&self, context: &Context) {
        context.index.lock().exceptions_listed_anew();
    }

    fn unshown(&self, context: &Context, shown: &Shown) -> Vec<(String, String)> {
        let index = context.index.lock();
        let gone = index.exceptions().filter(|(name, _)| !shown.has("", name));
        gone.map(|(name, _)| (String::new(), name.to_string())).collect()
    }
}

/// Has namespaces looked at at once: something of them is let off, or no longer.
fn look_at(context: &Context, namespaces: Vec<Arc<str>>) {
    for namespace in namespaces {
        context.queue.push(Key::Namespace(namespace), Lane::Repair);
    }
}

/// Tells exceptions that what is there of them may have changed.
pub fn tell_exceptions(context: &Context, told: Vec<Arc<str>>) {
    for name in told {
        context.queue.push_after(Key::Exception(name), Lane::Status, PATIENCE);
    }
}

/// Judges an exception, object and all; `limit` is how long after its creation it may expire.
fn judge(before: Option<&ExceptionEntry>, object: &Value, limit: SignedDuration) -> ExceptionEntry {
    let uid = meta(object, "uid").to_owned();
    let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
    let known = before.filter(|before| before.uid == uid);
    // A status that we wrote may be newer than the one in this event.
    let newest = known.filter(|b| newer(&b.resource_version, meta(object, "resourceVersion")));
    let (accepted, problems) = match accept(object, &uid, generation, limit) {
        Ok(exception) => (Some(Arc::new(exception)), Problems::default()),
        Err(problems) => (None, problems),
    };
    ExceptionEntry {
        resource_version: newest
            .map_or(meta(object, "resourceVersion"), |b| &b.resource_version)
            .to_owned(),
        status: newest.map_or_else(
            || serde_json::from_value(object["status"].clone()).unwrap_or_default(),
            |b| b.status.clone(),
        ),
        uid,
        judged: generation,
        problems,
        accepted,
        deleted: object["metadata"]["deletionTimestamp"].is_string(),
        state: known.and_then(|b| b.state),
    }
}

fn accept(object: &Value, uid: &str, generation: i64, limit: SignedDuration) -> Result<Exception, Problems> {
    let name = meta(object, "name").to_owned();
    // Without a time of creation no expiry is within the limit.
    let created = meta(object, "creationTimestamp").parse().unwrap_or(Timestamp::MIN);
    Exception::accept(
        name,
        uid.to_owned(),
        generation,
        created,
        understand(&object["spec"])?,
        limit,
    )
}

/// Writes the status of an exception, if it is news, and comes back when it changes by itself.
pub async fn attend(context: &Arc<Context>, name: &Arc<str>) {
    let now = context.clock.now();
    let Some((asked, before, next, unseen)) = next_status(context, name, now) else {
        return;
    };
    // While namespaces are still to be looked at for the first time (after a start, say), nothing new is known of what
    // was judged before.
    if next == before || (unseen && before.observed_generation == next.observed_generation) {
        return;
    }
    let key = Key::Exception(name.clone());
    let Some(version) = answer::<BaselineException>(context, key, &asked, &next).await else {
        return;
    };
    if let Some(known) = context.index.lock().exception_mut(name).filter(|e| e.uid == asked.uid)
        && newer(&version, &known.resource_version)
    {
        known.resource_version = version;
        known.status = next.clone();
    }
    context.events.exception(name, &asked.uid, &before, &next);
}

/// What is known of an exception.
fn facts<'a>(
    index: &Index,
    entry: &'a ExceptionEntry,
    warn_before: SignedDuration,
    now: Timestamp,
) -> ExceptionFacts<'a> {
    let holds = |exception: &Exception| !entry.deleted && now < exception.expires;
    let found = |exception: &Arc<Exception>| {
        let holds = holds(exception);
        let namespaces = exception.spec.namespaces.iter();
        let found = namespaces.map(|ns| (ns.clone(), index.found(ns, exception, holds)));
        found.collect()
    };
    ExceptionFacts {
        judged: entry.judged,
        accepted: entry.accepted.as_deref(),
        problems: entry.problems.clone().into_vec(),
        deleted: entry.deleted,
        namespaces: entry.accepted.as_ref().map(found).unwrap_or_default(),
        warn_before,
    }
}

/// What the status of an exception is to say now.
pub fn status_of(
    index: &Index,
    name: &str,
    warn_before: SignedDuration,
    now: Timestamp,
) -> Option<BaselineExceptionStatus> {
    let entry = index.exception(name)?;
    Some(status(&facts(index, entry, warn_before, now), &entry.status, now))
}

type Next = (Asked, BaselineExceptionStatus, BaselineExceptionStatus, bool);

fn next_status(context: &Context, name: &Arc<str>, now: Timestamp) -> Option<Next> {
    let warn_before = context.config.exceptions.warn_before;
    let mut index = context.index.lock();
    let entry = index.exception(name)?;
    let accepted = entry.accepted.clone();
    let facts = facts(&index, entry, warn_before, now);
    let unseen = facts.namespaces.keys().any(|namespace| !index.looked_at(namespace));
    let next = status(&facts, &entry.status, now);
    let asked = Asked {
        name: name.to_string(),
        uid: entry.uid.clone(),
        resource_version: entry.resource_version.clone(),
    };
    let before = entry.status.clone();
    let state = facts.state(now);
    if let Some(entry) = index.exception_mut(name) {
        entry.state = Some(state);
    }
    count(context, index.exceptions().filter_map(|(_, entry)| entry.state));
    drop(index);

    if let Some(at) = accepted.and_then(|exception| next_change(&exception, warn_before, now)) {
        let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        context
            .queue
            .push_after(Key::Exception(name.clone()), Lane::Status, wait);
    }
    Some((asked, before, next, unseen))
}

/// Counts the exceptions by how they stand.
fn count(context: &Context, states: impl Iterator<Item = State>) {
    let mut counts = [0; STATES.len()];
    for state in states {
        counts[match state {
            // What is still being worked on is in force.
            State::Active | State::Progressing => 0,
            State::Expired | State::Deleted => 1,
            State::Refused => 2,
            State::Unmatched => 3,
        }] += 1;
    }
    for (state, count) in STATES.iter().zip(counts) {
        context.metrics.exceptions.with_label_values(&[*state]).set(count);
    }
}

/// The states of the metric `security_baseline_exceptions`.
const STATES: [&str; 4] = ["active", "expired", "refused", "unmatched"];

#[cfg(test)]
mod tests;
