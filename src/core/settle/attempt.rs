//! What came of the work of one namespace since its report was written last.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

use crate::api::v1alpha1::{DriftRecord, TakenOver};
use crate::core::drift::{Claim, Difference, Open, Since, claim};
use crate::core::object::ChildKind;
use crate::core::plan::{Action, Finding, FindingKind, Plan, SectionPlan, Step};
use crate::core::text::bounded_bytes;
use crate::core::world::World;

/// The most records that a report's ledger holds.
pub const MOST_RECORDS: usize = 20;

/// The most objects that were taken over of which a report tells.
pub const MOST_TAKEN_OVER: usize = 8;

/// The most repairs of earlier drifts that wait for their records: more records than that are in no report.
const MOST_MENDED: usize = 256;

/// How much is kept of what an object was before it was taken over, in bytes.
const MOST_FORMER: usize = 2048;

/// What came of carrying out a namespace's plan, since its report was written last, and what is still open of it.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// What could not be written, by object.
    pub failures: BTreeMap<String, Failure>,
    /// Drift that was seen first since then, newest first, at most [`MOST_RECORDS`].
    pub records: Vec<DriftRecord>,
    /// How often something drifted in all, also what `records` no longer holds.
    pub drifted: i64,
    /// How much drift was repaired, of whatever time.
    pub repaired: i64,
    /// When drift was repaired that the report has on record already, by object, path, and when it was seen.
    pub mended: BTreeMap<(String, String, Timestamp), Timestamp>,
    /// What was taken over, newest first, at most [`MOST_TAKEN_OVER`].
    pub taken_over: Vec<TakenOver>,
    /// What departs and is counted; before anything was looked at, that is what the report says.
    pub open: Option<Open>,
    /// The objects of which it is not known whether the last write was done.
    unanswered: BTreeSet<String>,
    /// The objects that were deleted to be created anew, or may have been, and are not yet there again.
    recreating: BTreeSet<String>,
}

/// Why something could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in a sentence.
    pub message: String,
}

impl Failure {
    /// The API server could not be reached, or did not answer.
    pub const UNAVAILABLE: &'static str = "APIServerUnavailable";
    /// The API server answered that it could not do it now.
    pub const BUSY: &'static str = "APIServerBusy";

    /// Whether it may have been done all the same: the answer was lost, or the failure came after the write.
    fn may_have_been_done(&self) -> bool {
        matches!(self.reason, Self::UNAVAILABLE | Self::BUSY)
    }
}

impl Attempt {
    /// Takes up what a plan found, before anything is done about it: what drifted since the last one is counted and
    /// recorded, once for as long as it departs; what departs no longer is open no longer. Answers the section of each
    /// drift that is counted.
    pub fn saw(&mut self, world: &World, plan: &Plan) -> Vec<&'static str> {
        let mut counted = Vec::new();
        let mut before = self.open.take().unwrap_or_else(|| world.prior.drift.open.clone());
        let mut open = Open::new();
        let mut records = Vec::new();
        for (section, finding) in drifts(plan) {
            // What we deleted ourselves is nobody's doing.
            if finding.kind == FindingKind::Deleted && self.recreating.contains(&finding.object) {
                continue;
            }
            let known = before.keys().any(|(object, _)| *object == finding.object);
            let number = world.prior.drift.total.saturating_add(self.drifted + 1);
            let mut news = false;
            for difference in &finding.differences {
                let place = (finding.object.clone(), difference.path.clone());
                let since = before.remove(&place).unwrap_or_else(|| {
                    let drifted = !of_the_spec(world, difference, known);
                    news |= drifted;
                    if drifted {
                        records.push(record(section.section, finding, difference, world.now));
                    }
                    Since {
                        seen: world.now,
                        number: if drifted { number } else { 0 },
                    }
                });
                open.insert(place, since);
            }
            self.drifted += i64::from(news);
            counted.extend(news.then_some(section.section));
        }
        self.records.splice(0..0, records);
        self.records.truncate(MOST_RECORDS);
        // As asked for again, after a write of ours that was not answered: it will have been that.
        let unanswered = std::mem::take(&mut self.unanswered);
        before.retain(|(object, _), _| unanswered.contains(object));
        self.mend(before, world.now);
        let found = |object: &String| findings(plan).any(|(_, finding)| finding.object == *object);
        self.unanswered = unanswered.into_iter().filter(found).collect();
        self.recreating.retain(found);
        self.open = Some(open);
        counted
    }

    /// Takes up what came of one run of a plan: for each of its actions, whether it was done. Answers what
    /// [`saw`](Self::saw) does.
    pub fn absorb(
        &mut self,
        world: &World,
        plan: &Plan,
        done: &[(Action, Result<(), Failure>)],
        now: Timestamp,
    ) -> Vec<&'static str> {
        let counted = self.saw(world, plan);
        self.failures.clear();
        for (action, outcome) in done {
            match outcome {
                Err(failure) => {
                    self.failures.insert(action.object.clone(), failure.clone());
                    if failure.may_have_been_done() {
                        self.unanswered.insert(action.object.clone());
                        self.took_over(plan, action, now);
                    }
                    if matches!(action.step, Step::Recreate { .. }) {
                        self.recreating.insert(action.object.clone());
                    }
                }
                Ok(()) => {
                    self.took_over(plan, action, now);
                    self.repaired(plan, action, now);
                }
            }
        }
        counted
    }

    /// Forgets what the report tells by now.
    pub fn told(&mut self) {
        self.records.clear();
        self.mended.clear();
        self.taken_over.clear();
        self.drifted = 0;
        self.repaired = 0;
    }

    fn repaired(&mut self, plan: &Plan, action: &Action, now: Timestamp) {
        self.unanswered.remove(&action.object);
        self.recreating.remove(&action.object);
        let mut over = Open::new();
        for (section, finding) in drifts(plan) {
            if section.section != action.section || finding.object != action.object {
                continue;
            }
            for difference in &finding.differences {
                let place = (finding.object.clone(), difference.path.clone());
                if let Some(since) = self.open.as_mut().and_then(|open| open.remove(&place)) {
                    over.insert(place, since);
                }
            }
        }
        self.mend(over, now);
    }

    /// Notes that what was open is repaired.
    fn mend(&mut self, over: Open, now: Timestamp) {
        let drifts: BTreeSet<i64> = over.values().map(|since| since.number).filter(|n| *n > 0).collect();
        self.repaired += i64::try_from(drifts.len()).unwrap_or(i64::MAX);
        for ((object, path), since) in over {
            let recorded = self
                .records
                .iter_mut()
                .find(|r| r.object == object && r.path == path && r.seen == since.seen);
            match recorded {
                Some(record) => record.repaired = Some(now),
                None if self.mended.len() < MOST_MENDED => {
                    self.mended.insert((object, path, since.seen), now);
                }
                None => {}
            }
        }
    }

    /// Keeps what was there under a name before we wrote, if that was not ours.
    fn took_over(&mut self, plan: &Plan, action: &Action, now: Timestamp) {
        let taken: Vec<&Difference> = findings(plan)
            .filter(|(section, finding)| {
                section.section == action.section
                    && finding.object == action.object
                    && finding.kind == FindingKind::NameTaken
            })
            .flat_map(|(_, finding)| &finding.differences)
            .collect();
        let Some(first) = taken.first() else { return };
        let (former, by) = match &action.step {
            Step::Replace { child, live } | Step::Recreate { child, live, .. } => {
                (owned(child.id.kind, live), claim(live, &[], true))
            }
            Step::Label(_) => {
                let labels = taken.iter().map(|d| (d.path.clone(), d.found.clone().into()));
                (Value::Object(labels.collect()), first.claim.clone())
            }
            Step::Create(_) | Step::Delete { .. } => return,
        };
        let entry = TakenOver {
            object: action.object.clone(),
            taken: now,
            former: bounded_bytes(&former.to_string(), MOST_FORMER),
            claimed_by: by.by,
            operation: by.operation,
            claimed_at: by.time,
        };
        super::ledger::put_first(&mut self.taken_over, entry);
    }
}

/// What of an object a baseline owns.
fn owned(kind: &ChildKind, object: &Value) -> Value {
    let fields = kind.fields.iter();
    Value::Object(Map::from_iter(fields.map(|f| ((*f).to_owned(), object[*f].clone()))))
}

fn findings(plan: &Plan) -> impl Iterator<Item = (&SectionPlan, &Finding)> {
    plan.sections
        .iter()
        .flat_map(|s| s.findings.iter().map(move |f| (s, f)))
}

fn drifts(plan: &Plan) -> impl Iterator<Item = (&SectionPlan, &Finding)> {
    findings(plan).filter(|(_, finding)| finding.kind.is_drift())
}

/// Whether a difference that is new may be the doing of whoever changed a baseline, and not of whoever changed the object:
/// the namespace was not judged by the present specs yet, and the value is one that we may have written ourselves, or is
/// one more in an object that departs anyway.
fn of_the_spec(world: &World, difference: &Difference, known: bool) -> bool {
    let judged = world.baselines.iter().all(|baseline| world.is_judged(baseline));
    let claim = &difference.claim;
    !judged && (claim.states_our_name() || known && !claim.names_somebody())
}

fn record(control: &str, finding: &Finding, difference: &Difference, seen: Timestamp) -> DriftRecord {
    let Claim {
        by,
        operation,
        subresource,
        time,
    } = difference.claim.clone();
    DriftRecord {
        control: control.to_owned(),
        object: finding.object.clone(),
        path: difference.path.clone(),
        expected: difference.expected.clone(),
        found: difference.found.clone(),
        seen,
        repaired: None,
        // What is not as we wrote it was written by somebody else.
        claimed_by: if difference.claim.states_our_name() {
            format!("{by} (stated by another client)")
        } else {
            by
        },
        operation,
        subresource,
        claimed_at: time,
    }
}

#[cfg(test)]
mod tests;
