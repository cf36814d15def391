//! The workers: take a key, make a world of it, plan, apply, report.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::api::DynamicObject;
use tokio::time::Instant;

use super::Context;
use super::apply::{Effect, api, apply};
use super::baselines;
use super::errors::{BELIEVED, Failed, in_full, judge};
use super::exceptions;
use super::index::Last;
use super::pace::Turn;
use super::policy_reports;
use super::preflight;
use super::queue::{Job, Key, Lane};
use super::report;
use crate::controls::REGISTRY;
use crate::core::gate::{self, Verdict};
use crate::core::object::ChildId;
use crate::core::plan::{Action, Plan, Step, plan};
use crate::core::settle::Failure;
use crate::core::world::World;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(20);
/// The pause before something that failed is tried again: doubling, up to a bound. What the API server refuses waits for
/// somebody, and may wait long; what it only failed to do is tried again soon.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
const LONGEST_TRANSIENT: Duration = Duration::from_secs(20);
/// How often a plan may ask for objects to be read before the namespace is put back: they change faster than we read.
const MOST_READS: usize = 3;

/// Bounds the time of one request.
///
/// # Errors
/// The request's own, or that it took too long.
pub async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(done) => done,
        Err(_) => Err(kube::Error::Service("the API server did not answer in time".into())),
    }
}

/// Works for ever.
pub async fn worker(context: Arc<Context>) {
    loop {
        // What fails without waiting for anything must not keep this thread for itself: it could not even be told to end.
        tokio::task::coop::consume_budget().await;
        let job = context.queue.next().await;
        // What panics is contained: one namespace waits, the others go on.
        if AssertUnwindSafe(run(&context, &job)).catch_unwind().await.is_err() {
            context.metrics.panics.inc();
            tracing::error!(?job.key, "a panic was contained; the key is tried again later");
            context.queue.push_after(job.key.clone(), job.lane, LONGEST_RETRY);
        }
        context.queue.done(&job);
    }
}

async fn run(context: &Arc<Context>, job: &Job) {
    match (&job.key, job.lane) {
        (Key::Baseline(name), _) => baselines::attend(context, name).await,
        (Key::Exception(name), _) => exceptions::attend(context, name).await,
        (Key::PolicyReport(name), _) => policy_reports::attend(context, name).await,
        (Key::Namespace(name), Lane::Report | Lane::Record) => report::report(context, name, job.lane).await,
        (Key::Namespace(name), _) => enforce(context, name, job).await,
    }
}

/// Brings a namespace to what is declared, as far as it can be.
async fn enforce(context: &Arc<Context>, name: &Arc<str>, job: &Job) {
    // Whatever happens there meanwhile: `Retry-After` is about the next request, not about the next try of the same one.
    if let Some(wait) = context.index.lock().left_alone(name) {
        context.queue.push_after(job.key.clone(), job.lane, wait);
        return;
    }
    if context.index.lock().to_be_let_go(name) {
        context.queue.push(job.key.clone(), Lane::Report);
        return;
    }
    let stopped = context.index.lock().fleet();
    let verdict = gate::judge(stopped);
    let Some((mut world, mut plan)) = observe(context, name, verdict == Verdict::Go).await else {
        return;
    };
    if verdict == Verdict::Go && turn(context, name, &plan, job) {
        let Some(in_its_turn) = observe(context, name, true).await else {
            return;
        };
        (world, plan) = in_its_turn;
    }
    if context.index.lock().planned(&world, &plan) {
        context.queue.push(job.key.clone(), Lane::Repair);
    }
    let mut run = Run::default();
    if verdict == Verdict::Go {
        context.index.lock().tries(name, &plan);
        carry_out(context, name, &world, &plan, &mut run).await;
    }
    if let Some(due) = plan.next_due {
        let wait = due.duration_since(context.clock.now());
        let wait = Duration::try_from(wait).unwrap_or_default();
        context.queue.push_after(job.key.clone(), Lane::Repair, wait);
    }
    count(context, name, &plan, &run, job);
    rollout(context, name, &plan, &run);
    let now = context.clock.now();
    let (retries, drifted) = {
        let mut index = context.index.lock();
        let drifted = index.update_attempt(name, |attempt| attempt.absorb(&world, &plan, &run.done, now));
        context.metrics.drifted(&drifted);
        index.fought(name, &plan, &run.done, now);
        let retries = index.retries(name, run.later.or(run.again.then_some(Duration::ZERO)));
        (retries, !drifted.is_empty())
    };
    if run.again || run.later.is_some() {
        let wait = match run.later {
            Some(longest) => retry(retries, longest, context.clock.jitter()).max(run.at_least),
            None => FIRST_RETRY.mul_f64(f64::from(retries.min(10)) / 50.0),
        };
        context.queue.push_after(job.key.clone(), Lane::Repair, wait);
    }
    let failed = run.done.iter().any(|(_, done)| done.is_err());
    let lane = if job.lane == Lane::Rollout && !failed && !drifted {
        Lane::Record
    } else {
        Lane::Report
    };
    let pause = context.index.lock().report_pause(name);
    if pause.is_zero() {
        context.queue.push(job.key.clone(), lane);
    } else {
        context.queue.push_after(job.key.clone(), lane, pause);
    }
}

/// What came of one run of a plan.
#[derive(Default)]
struct Run {
    done: Vec<(Action, Result<(), Failure>)>,
    /// What was refused, as against what the API server only failed to do this time.
    refused: Vec<Action>,
    /// Whether something was not as it was thought to be.
    again: bool,
    /// If something failed: the longest that the next try may wait.
    later: Option<Duration>,
    /// And how long it has to, if the API server says so.
    at_least: Duration,
}

async fn carry_out(context: &Arc<Context>, name: &Arc<str>, world: &World, plan: &Plan, run: &mut Run) {
    for action in &plan.actions {
        let began = Instant::now();
        let applied = apply(context, world, action).await;
        let well = !matches!(applied, Err(Failed::Transient(..)));
        context.queue.answered(well, began.elapsed());
        let failed = match applied {
            Ok(effect) => {
                // Anything else repaired nothing, and counts for nothing: what departs is told.
                if effect == Effect::Done {
                    tracing::debug!(namespace = %name, object = action.object, section = action.section, "done");
                    context.index.lock().did(name, action);
                    run.done.push((action.clone(), Ok(())));
                }
                continue;
            }
            Err(failed) => failed,
        };
        let longest = longest_pause(&failed);
        // Where the API server is not there for us, trying the rest would only hold this worker up.
        let ends = matches!(failed, Failed::Transient(..));
        // What was to be replaced may be gone, which its event has not told yet; what was to be created has no namespace.
        let of_something = matches!(action.step, Step::Replace { .. } | Step::Recreate { .. });
        let failure = match failed {
            Failed::Gone if !of_something => continue,
            Failed::Gone | Failed::Conflict => {
                refresh(context, world, action).await;
                run.again = true;
                continue;
            }
            Failed::Blocked(failure) => {
                run.refused.push(action.clone());
                failure
            }
            Failed::Webhook(failure) => failure,
            Failed::Transient(failure, after) => {
                run.at_least = after.unwrap_or_default();
                if !run.at_least.is_zero() {
                    context.index.lock().leave_alone(name, run.at_least);
                }
                failure
            }
        };
        tracing::info!(namespace = %name, object = action.object, reason = failure.reason, message = failure.message, "could not be written");
        run.later = Some(run.later.map_or(longest, |l| l.min(longest)));
        run.done.push((action.clone(), Err(failure)));
        if ends {
            break;
        }
    }
}

/// Gives a namespace its turn in a rollout, if it waits for one. Answers whether that is now.
fn turn(context: &Context, name: &Arc<str>, plan: &Plan, job: &Job) -> bool {
    let Some(uid) = &plan.waits_for else { return false };
    if let Some(left) = context.index.lock().turn(name, uid) {
        context.queue.push_after(job.key.clone(), Lane::Rollout, left);
        return false;
    }
    let baseline = plan.baselines().iter().find(|b| b.uid == *uid);
    let stated = baseline.and_then(|b| u32::try_from(b.spec.rollout.as_ref()?.max_namespaces_per_minute).ok());
    let rate = stated.unwrap_or(context.config.rollout.max_namespaces_per_minute);
    let Turn::In(wait) = context.pace.turn(uid, rate) else {
        return false;
    };
    context.index.lock().give_turn(name, uid, wait);
    if !wait.is_zero() {
        context.queue.push_after(job.key.clone(), Lane::Rollout, wait);
    }
    wait.is_zero()
}

/// The world of a namespace and the plan for it, with every object read that the plan needs to see. Where it is to be
/// carried out, what the plan wants looked at first is looked at.
pub async fn observe(context: &Arc<Context>, name: &Arc<str>, to_be_done: bool) -> Option<(World, Plan)> {
    for _ in 0..MOST_READS {
        let mut world = context.index.lock().world(name, context.clock.now())?;
        world.jitter = context.clock.jitter();
        world.fights.pause_at_most(context.config.contested_pause_seconds);
        let plan = plan(REGISTRY, &world);
        let unchecked = to_be_done && !plan.unchecked.is_empty();
        if plan.unread.is_empty() && !unchecked {
            return Some((world, plan));
        }
        if plan.unread.is_empty() {
            let believed = context.index.lock().failed_in_a_row(name, LONGEST_RETRY) >= BELIEVED;
            match preflight::look(context, &world, &plan.unchecked, believed).await {
                Ok(looks) => context.index.lock().looked(name, looks),
                Err(error) => {
                    tracing::info!(namespace = %name, error = in_full(&error), "what runs could not be looked at; nothing new is enforced");
                    postpone(context, name, &error);
                    return None;
                }
            }
        }
        for id in &plan.unread {
            match read(context, name, id).await {
                Ok(Some(object)) => {
                    if let Ok(object) = serde_json::to_value(object) {
                        context.index.lock().evidence(name, id, object);
                    }
                }
                Ok(None) => {
                    context
                        .index
                        .lock()
                        .child_gone(id.kind, name, &id.name, Last::default());
                }
                Err(error) => {
                    tracing::info!(namespace = %name, object = %id, error = in_full(&error), "could not be read");
                    postpone(context, name, &error);
                    return None;
                }
            }
        }
    }
    context
        .queue
        .push_after(Key::Namespace(name.clone()), Lane::Repair, FIRST_RETRY);
    None
}

/// The longest pause before what failed so is tried again, which is also its class.
const fn longest_pause(failed: &Failed) -> Duration {
    match failed {
        Failed::Blocked(_) => LONGEST_RETRY,
        _ => LONGEST_TRANSIENT,
    }
}

/// Has a namespace wait for the API server.
fn postpone(context: &Context, name: &Arc<str>, error: &kube::Error) {
    let failed = judge(error);
    let longest = longest_pause(&failed);
    let retries = context.index.lock().retries(name, Some(longest));
    let wait = failed.wait(retry(retries, longest, context.clock.jitter()));
    context
        .queue
        .push_after(Key::Namespace(name.clone()), Lane::Repair, wait);
}

/// Reads a child, which may not be there.
async fn read(context: &Context, namespace: &str, id: &ChildId) -> kube::Result<Option<DynamicObject>> {
    match in_time(api(context, namespace, id.kind).get(&id.name)).await {
        Err(error) if judge(&error) == Failed::Gone => Ok(None),
        other => other.map(Some),
    }
}

/// Reads again what turned out not to be as it was thought to be.
async fn refresh(context: &Arc<Context>, world: &World, action: &Action) {
    let namespace = &world.namespace.name;
    let id = match &action.step {
        Step::Create(child) | Step::Replace { child, .. } | Step::Recreate { child, .. } => &child.id,
        Step::Delete { id, .. } => id,
        // The namespace itself is on its way by the watch.
        Step::Label(_) => return,
    };
    match read(context, namespace, id).await {
        Ok(Some(object)) => {
            if let Ok(object) = serde_json::to_value(object) {
                context.index.lock().evidence(namespace, id, object);
            }
        }
        Ok(None) => {
            context
                .index
                .lock()
                .child_gone(id.kind, namespace, &id.name, Last::default());
        }
        Err(error) => tracing::debug!(%namespace, object = %id, ?error, failed = ?judge(&error), "could not be read"),
    }
}

/// How long to wait after so many failures in a row: doubling, and up to half of it less.
fn retry(failures: u32, longest: Duration, jitter: f64) -> Duration {
    let full = FIRST_RETRY
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(longest);
    full.mul_f64(1.0 - jitter / 2.0)
}

/// Counts what was repaired, and how long that took since the first of it was seen.
fn count(context: &Context, name: &str, plan: &Plan, run: &Run, job: &Job) {
    let mut repaired = false;
    let mut waited = job.since.elapsed();
    for (action, _) in run.done.iter().filter(|(_, outcome)| outcome.is_ok()) {
        let section = plan.sections.iter().filter(|s| s.section == action.section);
        let mut findings = section.flat_map(|s| &s.findings);
        if findings.any(|f| f.object == action.object && f.kind.is_drift()) {
            context.metrics.repaired.with_label_values(&[action.section]).inc();
            repaired = true;
            if let Some(seen) = context.index.lock().departs_since(name, &action.object) {
                let departs = Duration::try_from(context.clock.now().duration_since(seen));
                waited = waited.max(departs.unwrap_or_default());
            }
        }
    }
    if repaired {
        context.metrics.repair_seconds.observe(waited.as_secs_f64());
    }
}

/// Counts what became of what was newly enforced, and stops the rollout where too much of it is refused.
fn rollout(context: &Context, name: &Arc<str>, plan: &Plan, run: &Run) {
    let done = run.done.iter().filter(|(_, outcome)| outcome.is_ok());
    let done = done.map(|(action, _)| (action, (1, 0)));
    let refused = run.refused.iter().map(|action| (action, (0, 1)));
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for (action, (done, refused)) in done.chain(refused) {
        let section = plan.sections.iter().find(|s| s.section == action.section);
        if let Some(uid) = section.and_then(|s| s.rollout.as_deref()) {
            let count = counts.entry(uid).or_default();
            *count = (count.0 + done, count.1 + refused);
        }
    }
    let believed = context.index.lock().failed_in_a_row(name, LONGEST_RETRY) >= BELIEVED;
    for (uid, (done, refused)) in counts {
        if (refused > 0 && !believed) || !context.index.lock().counts(name, uid) {
            continue;
        }
        let limit = context.config.rollout.stop_at_refused_percent;
        if !context.pace.count(uid, done, refused, limit) {
            continue;
        }
        context.index.lock().stop_rollout(uid);
        let baseline = plan.baselines().iter().find(|b| b.uid == uid);
        if let Some(baseline) = baseline {
            tracing::warn!(
                baseline = baseline.name,
                "a rollout stops: too many of its writes are refused"
            );
            let key = Key::Baseline(baseline.name.as_str().into());
            context.queue.push(key, Lane::Status);
        }
    }
}

#[cfg(test)]
mod tests;
