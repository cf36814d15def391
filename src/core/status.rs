//! The status of a baseline: conditions, counts and bounded lists out of all of its namespaces.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::conditions::{Verdict, conditions, prior};
use super::settle::Standing;
use super::text::bounded;
use crate::api::v1alpha1::{
    ConditionType, FieldProblem, Mode, NamespaceCounts, NamespaceFinding, NamespaceFindings, SecurityBaselineStatus,
};

/// The most namespaces that a list in a status names.
const MOST_NAMED: usize = 20;

/// The most problems, and the most warnings, that a status tells.
const MOST_PROBLEMS: usize = 16;

/// What is known of a baseline.
#[derive(Clone, Debug, Default)]
pub struct BaselineFacts {
    /// The generation of its spec that was judged last.
    pub judged: i64,
    /// The generation that is held to.
    pub applied: Option<i64>,
    /// The spec of that generation.
    pub applied_spec: Option<Value>,
    /// What is wrong with the judged spec.
    pub problems: Vec<FieldProblem>,
    /// What works in it, but not as one may think.
    pub warnings: Vec<FieldProblem>,
    /// Its mode.
    pub mode: Mode,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether the operator writes nothing at all.
    pub stopped: bool,
    /// The share of namespaces, in percent, that may be blocked or in conflict while the baseline is still ready.
    pub tolerated_percent: i64,
}

/// How the namespaces of a baseline stand.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: NamespaceCounts,
    unseen: i64,
    drifted: BTreeMap<String, NamespaceFinding>,
    blocked: BTreeMap<String, NamespaceFinding>,
    conflicts: BTreeMap<String, NamespaceFinding>,
}

impl Tally {
    /// Counts a namespace that was not looked at yet.
    pub fn unseen(&mut self) {
        self.unseen += 1;
        self.counts.selected += 1;
        self.counts.pending += 1;
    }

    /// How many namespaces were not looked at yet.
    pub fn unseen_count(&self) -> i64 {
        self.unseen
    }

    /// Counts a namespace, with the reason where it is not as declared.
    pub fn add(&mut self, namespace: &str, standing: Standing, reason: &str, message: &str) {
        let counts = &mut self.counts;
        counts.selected += 1;
        let (count, list) = match standing {
            Standing::Compliant => (&mut counts.compliant, None),
            Standing::Pending => (&mut counts.pending, None),
            Standing::Drifted => (&mut counts.drifted, Some(&mut self.drifted)),
            Standing::Blocked => (&mut counts.blocked, Some(&mut self.blocked)),
            Standing::Conflict => (&mut counts.conflicting, Some(&mut self.conflicts)),
        };
        *count += 1;
        let Some(list) = list else { return };
        list.insert(
            namespace.to_owned(),
            NamespaceFinding {
                namespace: namespace.to_owned(),
                reason: bounded(reason, 128),
                message: bounded(message, 1024),
            },
        );
        if list.len() > MOST_NAMED {
            list.pop_last();
        }
    }

    /// How many namespaces are in which state.
    pub fn counts(&self) -> NamespaceCounts {
        self.counts
    }
}

/// The status that follows.
pub fn status(
    facts: &BaselineFacts,
    tally: &Tally,
    before: &SecurityBaselineStatus,
    now: Timestamp,
) -> SecurityBaselineStatus {
    let counts = tally.counts;
    let list = |total, named: &BTreeMap<String, NamespaceFinding>| NamespaceFindings {
        total,
        items: named.values().cloned().collect(),
    };
    SecurityBaselineStatus {
        observed_generation: facts.judged,
        applied_generation: facts.applied,
        applied: facts.applied_spec.clone(),
        conditions: conditions(
            judge(facts, tally, before),
            &prior(&before.conditions),
            Some(facts.judged),
            now,
        ),
        namespaces: counts,
        problems: facts.problems.iter().take(MOST_PROBLEMS).cloned().collect(),
        warnings: facts.warnings.iter().take(MOST_PROBLEMS).cloned().collect(),
        drifted: list(counts.drifted, &tally.drifted),
        blocked: list(counts.blocked, &tally.blocked),
        conflicts: list(counts.conflicting, &tally.conflicts),
    }
}

fn judge(facts: &BaselineFacts, tally: &Tally, before: &SecurityBaselineStatus) -> Vec<Verdict> {
    let counts = tally.counts;
    let first = |list: &BTreeMap<String, NamespaceFinding>| {
        list.values()
            .next()
            .map(|f| format!("{}: {}", f.namespace, f.message))
            .unwrap_or_default()
    };
    // What a tenant can cause (a blocked namespace, a new one that is not worked on yet) must not take Ready away from
    // the whole baseline, or one tenant would halt every GitOps wave.
    let failing = counts.blocked + counts.conflicting;
    let beyond_tolerance = failing > 0 && failing * 100 > counts.selected * facts.tolerated_percent;
    let was_ready = before.conditions.iter().any(|c| {
        c.type_ == ConditionType::Ready.as_str() && c.status == "True" && c.observed_generation == Some(facts.judged)
    });
    let rolling_out = counts.pending > 0 && !was_ready;

    let (stalled, stalled_reason, stalled_message) = if !facts.problems.is_empty() {
        let named: Vec<String> = facts
            .problems
            .iter()
            .map(|p| format!("{}: {}", p.path, p.message))
            .collect();
        let kept = match facts.applied {
            Some(generation) => format!("; generation {generation} keeps holding"),
            None => String::new(),
        };
        (
            true,
            "InvalidSpec",
            bounded(&format!("{}{kept}", named.join("; ")), 4096),
        )
    } else if facts.stopped {
        (
            true,
            "Stopped",
            "the operator's configuration says stop: nothing is written; set it to false to go on".into(),
        )
    } else if facts.suspended {
        (
            true,
            "Suspended",
            "spec.suspend is true: nothing is written; set it to false to go on".into(),
        )
    } else if beyond_tolerance && !rolling_out {
        let reason = if counts.blocked > 0 { "Blocked" } else { "Conflict" };
        let example = first(if counts.blocked > 0 {
            &tally.blocked
        } else {
            &tally.conflicts
        });
        (
            true,
            reason,
            format!(
                "{failing} of {} wait for somebody: {example}",
                namespaces(counts.selected)
            ),
        )
    } else {
        (false, "NotStalled", "nothing waits for a person".to_owned())
    };
    let reconciling = !stalled && rolling_out;
    let progress = format!(
        "{} of {} still to be worked on",
        counts.pending,
        namespaces(counts.selected)
    );
    let (ready_reason, ready_message) = if stalled {
        (stalled_reason, stalled_message.clone())
    } else if reconciling {
        ("Progressing", progress.clone())
    } else if counts.selected == 0 {
        ("NothingSelected", "no namespace is selected".to_owned())
    } else if facts.mode == Mode::Audit {
        (
            "Audited",
            format!(
                "{} audited, {} not as declared",
                namespaces(counts.selected),
                counts.drifted
            ),
        )
    } else {
        (
            "Enforced",
            format!(
                "{} of {} in the declared state",
                counts.compliant,
                namespaces(counts.selected)
            ),
        )
    };
    let degraded_reason = match (counts.blocked, counts.conflicting) {
        (1.., _) => "Blocked",
        (_, 1..) => "Conflict",
        _ => "NotDegraded",
    };
    let degraded_message = match degraded_reason {
        "Blocked" => format!("{} blocked; {}", namespaces(counts.blocked), first(&tally.blocked)),
        "Conflict" => {
            format!(
                "{} held by an older baseline; {}",
                namespaces(counts.conflicting),
                first(&tally.conflicts)
            )
        }
        _ => "nothing is blocked".to_owned(),
    };
    let drifted = counts.drifted > 0;
    ConditionType::ALL
        .into_iter()
        .map(|type_| {
            let (holds, reason, message) = match type_ {
                ConditionType::Ready => (!stalled && !reconciling, ready_reason, ready_message.clone()),
                ConditionType::Reconciling if reconciling => (true, "Progressing", progress.clone()),
                ConditionType::Reconciling => (false, "NotReconciling", "no rollout is under way".to_owned()),
                ConditionType::Stalled => (stalled, stalled_reason, stalled_message.clone()),
                ConditionType::Drifted if drifted => (
                    true,
                    "Drifted",
                    format!(
                        "{} not as declared; {}",
                        namespaces(counts.drifted),
                        first(&tally.drifted)
                    ),
                ),
                ConditionType::Drifted => (false, "NoDrift", "no namespace departs from the baseline".to_owned()),
                ConditionType::Contested => (false, "NotContested", "nobody reverts what is repaired".to_owned()),
                ConditionType::Degraded => (failing > 0, degraded_reason, bounded(&degraded_message, 4096)),
            };
            Verdict {
                type_: type_.as_str(),
                holds,
                reason,
                message,
            }
        })
        .collect()
}

fn namespaces(count: i64) -> String {
    if count == 1 {
        "1 namespace".to_owned()
    } else {
        format!("{count} namespaces")
    }
}

#[cfg(test)]
mod tests;
