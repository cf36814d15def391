//! What an exception is told: whether it waives anything now, what and where, and what it names in vain.

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Exception, Waived};
use crate::api::v1alpha1::{BaselineExceptionStatus, ExceptionCondition, FieldProblem, WaivedHere, Waiver};
use crate::core::conditions::{Verdict, conditions, prior};
use crate::core::status::namespaces;
use crate::core::text::bounded;

/// The most things that the list of what is waived names.
const MOST_WAIVED: usize = 20;
/// The most problems that are told.
const MOST_PROBLEMS: usize = 16;
/// The most names of one sort that a message tells.
const MOST_NAMED: usize = 5;

/// What is known of an exception.
#[derive(Clone, Debug)]
pub struct ExceptionFacts<'a> {
    /// The generation of its spec that was judged last.
    pub judged: i64,
    /// The exception, if nothing is wrong with it.
    pub accepted: Option<&'a Exception>,
    /// What is wrong with it.
    pub problems: Vec<FieldProblem>,
    /// Whether it is being deleted: it waives nothing any more.
    pub deleted: bool,
    /// The namespaces that it names, and what of it is there.
    pub namespaces: BTreeMap<String, Found>,
    /// How long before its expiry that is told.
    pub warn_before: SignedDuration,
}

/// What is there of an exception in a namespace that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The namespace does not exist, or is being deleted.
    Absent,
    /// No baseline holds it.
    Unheld,
    /// It is still to be worked on, by what the exception says now.
    Pending,
    /// It is as the exception says, and this is waived in it, by this and other exceptions.
    Done(Vec<Waived>),
}

/// How an exception stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Something is wrong with it.
    Refused,
    /// It is being deleted.
    Deleted,
    /// Its time is over.
    Expired,
    /// It waives something.
    Active,
    /// It would, and its namespaces are still to be worked on.
    Progressing,
    /// It names nothing that is asked for.
    Unmatched,
}

impl State {
    /// The state as a reason of the condition `Active`.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Refused => "Refused",
            Self::Deleted => "Deleted",
            Self::Expired => "Expired",
            Self::Active => "Active",
            Self::Progressing => "Progressing",
            Self::Unmatched => "MatchesNothing",
        }
    }
}

/// When the status of an exception changes by itself, if it does.
pub fn next_change(exception: &Exception, warn_before: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    let moments = [warns_from(exception, warn_before), exception.expires];
    moments.into_iter().find(|at| now < *at)
}

fn warns_from(exception: &Exception, warn_before: SignedDuration) -> Timestamp {
    exception.expires.saturating_sub(warn_before).unwrap_or(Timestamp::MIN)
}

impl ExceptionFacts<'_> {
    /// How the exception stands.
    pub fn state(&self, now: Timestamp) -> State {
        match self.accepted {
            _ if self.deleted => State::Deleted,
            None => State::Refused,
            Some(exception) if exception.expires <= now => State::Expired,
            Some(exception) if !self.waived(exception).is_empty() => State::Active,
            Some(_) if self.pending() > 0 => State::Progressing,
            Some(_) => State::Unmatched,
        }
    }

    /// Whether it still waives something, and will not before long.
    fn ends_soon(&self, now: Timestamp) -> Option<Timestamp> {
        let exception = self.accepted.filter(|_| !self.deleted)?;
        let soon = warns_from(exception, self.warn_before) <= now && now < exception.expires;
        soon.then_some(exception.expires)
    }

    fn pending(&self) -> usize {
        self.namespaces
            .values()
            .filter(|found| **found == Found::Pending)
            .count()
    }

    /// What the exception waives, by namespace, control and object.
    fn waived(&self, exception: &Exception) -> Vec<WaivedHere> {
        let mut all = Vec::new();
        for (namespace, found) in &self.namespaces {
            let Found::Done(waived) = found else { continue };
            let its = waived.iter().filter(|w| w.exceptions.contains(&exception.name));
            all.extend(its.map(|waived| WaivedHere {
                namespace: namespace.clone(),
                control: waived.control,
                object: waived.object.clone(),
            }));
        }
        all.sort();
        all
    }

    /// What the exception names in vain, in a few words; empty where there is nothing.
    fn in_vain(&self, exception: &Exception, waived: &[WaivedHere]) -> String {
        let of = |found: &Found| {
            let its = self.namespaces.iter().filter(|(_, f)| *f == found);
            its.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let mut unasked = Vec::new();
        for (namespace, found) in &self.namespaces {
            if !matches!(found, Found::Done(_)) {
                continue;
            }
            for waiver in &exception.spec.waive {
                for object in named(waiver) {
                    let is = |w: &WaivedHere| {
                        (&w.namespace, w.control, w.object.as_deref()) == (namespace, waiver.control, object)
                    };
                    if !waived.iter().any(is) {
                        unasked.push(format!("{} in {namespace}", shown(waiver, object)));
                    }
                }
            }
        }
        let parts = [
            ("there is no namespace", of(&Found::Absent)),
            ("no baseline holds the namespace", of(&Found::Unheld)),
            ("no baseline asks for", unasked),
        ];
        let told = parts.into_iter().filter(|(_, names)| !names.is_empty());
        told.map(|(what, names)| format!("{what} {}", listed(&names)))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// What a waiver names: objects, or the whole control.
fn named(waiver: &Waiver) -> Vec<Option<&str>> {
    match &waiver.objects {
        Some(objects) => objects.iter().map(|object| Some(object.as_str())).collect(),
        None => vec![None],
    }
}

fn shown(waiver: &Waiver, object: Option<&str>) -> String {
    let control = waiver.control.as_str();
    match (object, waiver.level) {
        (Some(object), _) => object.to_owned(),
        (None, Some(level)) => format!("{control} above {}", level.as_str()),
        (None, None) => control.to_owned(),
    }
}

/// The first of some names, and how many more there are.
fn listed(names: &[String]) -> String {
    let first = names.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The status that follows.
pub fn status(facts: &ExceptionFacts, before: &BaselineExceptionStatus, now: Timestamp) -> BaselineExceptionStatus {
    let state = facts.state(now);
    let waived = match (state, facts.accepted) {
        (State::Active, Some(exception)) => facts.waived(exception),
        _ => Vec::new(),
    };
    let verdicts = judge(facts, state, &waived, now);
    BaselineExceptionStatus {
        observed_generation: facts.judged,
        conditions: conditions(verdicts, &prior(&before.conditions), Some(facts.judged), now),
        matched: count(waived.len()),
        waived: waived.into_iter().take(MOST_WAIVED).collect(),
        problems: facts.problems.iter().take(MOST_PROBLEMS).cloned().collect(),
    }
}

fn judge(facts: &ExceptionFacts, state: State, waived: &[WaivedHere], now: Timestamp) -> Vec<Verdict> {
    let refused = state == State::Refused;
    let pending = facts.pending();
    let reconciling = !refused && pending > 0;
    let progress = format!("{} still to be worked on", namespaces(count(pending)));
    let message = message(facts, state, waived);
    let (ready_reason, ready_message) = match (refused, reconciling) {
        (true, _) => ("InvalidSpec", message.clone()),
        (_, true) => ("Progressing", progress.clone()),
        _ => (state.reason(), message.clone()),
    };
    let verdict = |type_: ExceptionCondition, holds, reason, message: &str| Verdict {
        type_: type_.as_str(),
        holds,
        reason,
        message: bounded(message, 4096),
    };
    let of = |type_| match type_ {
        ExceptionCondition::Ready => verdict(type_, !refused && !reconciling, ready_reason, &ready_message),
        ExceptionCondition::Reconciling if reconciling => verdict(type_, true, "Progressing", &progress),
        ExceptionCondition::Reconciling => verdict(
            type_,
            false,
            "NotReconciling",
            "its namespaces are as it says, or it waives nothing",
        ),
        ExceptionCondition::Stalled if refused => verdict(type_, true, "InvalidSpec", &message),
        ExceptionCondition::Stalled => verdict(type_, false, "NotStalled", "nothing waits for a person"),
        ExceptionCondition::Active => verdict(type_, state == State::Active, state.reason(), &message),
        ExceptionCondition::ExpiringSoon => match facts.ends_soon(now) {
            Some(at) => verdict(
                type_,
                true,
                "ExpiringSoon",
                &format!("it waives nothing from {at} on; to renew it, create another one"),
            ),
            None => verdict(
                type_,
                false,
                "NotExpiringSoon",
                "it does not expire before long, or has expired",
            ),
        },
    };
    ExceptionCondition::ALL.into_iter().map(of).collect()
}

fn message(facts: &ExceptionFacts, state: State, waived: &[WaivedHere]) -> String {
    let in_vain = facts
        .accepted
        .map(|exception| facts.in_vain(exception, waived))
        .unwrap_or_default();
    let expires = facts.accepted.map(|exception| exception.expires).unwrap_or_default();
    match state {
        State::Refused => {
            let problems = facts.problems.iter().map(|p| format!("{}: {}", p.path, p.message));
            format!("it waives nothing: {}", problems.collect::<Vec<_>>().join("; "))
        }
        State::Deleted => "it is being deleted, and waives nothing any more".to_owned(),
        State::Expired => format!("it expired at {expires}, and waives nothing any more"),
        State::Progressing => format!("{} still to be worked on", namespaces(count(facts.pending()))),
        State::Unmatched => format!("it waives nothing: {in_vain}"),
        State::Active => {
            let mut places: Vec<&str> = waived.iter().map(|w| w.namespace.as_str()).collect();
            places.dedup();
            let vain = if in_vain.is_empty() {
                String::new()
            } else {
                format!("; and nothing where {in_vain}")
            };
            let things = if waived.len() == 1 { "thing" } else { "things" };
            let places = namespaces(count(places.len()));
            format!("it waives {} {things} in {places} until {expires}{vain}", waived.len())
        }
    }
}

fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}
