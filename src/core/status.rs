//! The status of a baseline: conditions, counts and bounded lists out of all of its namespaces.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::brake::RESUME;
use super::conditions::{Verdict, conditions, prior};
use super::settle::{MemberStanding, Standing};
use super::text::bounded;
use crate::api::v1alpha1::{
    ConditionType, FieldProblem, Mode, NamespaceCounts, NamespaceFinding, NamespaceFindings, SecurityBaselineStatus,
};

/// The most namespaces that a list in a status names.
const MOST_NAMED: usize = 20;

/// The most problems, and the most warnings, that a status tells.
const MOST_PROBLEMS: usize = 16;

/// Why a baseline may be Stalled.
pub const STALLED_REASONS: [&str; 8] = [
    "InvalidSpec",
    "AwaitingConfirmation",
    "Stopped",
    "Suspended",
    "CleanupBlocked",
    "RolloutStopped",
    "Blocked",
    "Conflict",
];

/// What is known of a baseline.
#[derive(Clone, Debug, Default)]
pub struct BaselineFacts {
    /// Its name.
    pub name: String,
    /// The generation of its spec that was judged last.
    pub judged: i64,
    /// The generation that is held to.
    pub applied: Option<i64>,
    /// Since when it holds.
    pub applied_since: Option<Timestamp>,
    /// The spec of that generation.
    pub applied_spec: Option<Value>,
    /// What was enforced last of the sections that are not enforced now.
    pub enforced_before: Option<Value>,
    /// What of the cluster it is written from.
    pub detected: Option<Value>,
    /// What is wrong with the judged spec.
    pub problems: Vec<FieldProblem>,
    /// What works in it, but not as one may think.
    pub warnings: Vec<FieldProblem>,
    /// What the judged spec waits for, in a sentence that gives the command.
    pub waits: Option<String>,
    /// If its rollout stopped by itself: how many of how many writes were refused.
    pub rollout_stopped: Option<(u32, u32)>,
    /// While the baseline is being deleted, what is still to be removed.
    pub cleaning: Option<Remaining>,
    /// Its mode.
    pub mode: Mode,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether the operator writes nothing at all.
    pub stopped: bool,
    /// The share of namespaces, in percent, that may be blocked or in conflict while the baseline is still ready.
    pub tolerated_percent: i64,
}

/// What is still to be removed for a baseline that is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// From how many namespaces.
    pub namespaces: usize,
    /// One of them.
    pub example: Option<String>,
    /// What could not be removed, and why, if there is anything.
    pub stuck: Option<String>,
}

/// How the namespaces of a baseline stand.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: NamespaceCounts,
    unseen: i64,
    drifted: Named,
    blocked: Named,
    conflicts: Named,
    weakened: Named,
    contested: Named,
    deselected: Named,
    held: i64,
    unrepaired: i64,
}

/// Namespaces of which something is told: how many, and the worst few.
#[derive(Clone, Debug, Default)]
struct Named {
    total: i64,
    /// Those of which the most is told first, then by name.
    worst: BTreeMap<(Reverse<usize>, String), NamespaceFinding>,
}

impl Named {
    fn name(&mut self, namespace: &str, told: usize, reason: &str, message: &str) {
        self.total += 1;
        self.worst.insert(
            (Reverse(told), namespace.to_owned()),
            NamespaceFinding {
                namespace: namespace.to_owned(),
                reason: bounded(reason, 128),
                message: bounded(message, 1024),
            },
        );
        if self.worst.len() > MOST_NAMED {
            self.worst.pop_last();
        }
    }

    fn findings(&self) -> NamespaceFindings {
        NamespaceFindings {
            total: self.total,
            items: self.worst.values().cloned().collect(),
        }
    }

    /// The worst of them, in a sentence.
    fn example(&self) -> String {
        let worst = self.worst.values().next();
        worst
            .map(|f| format!("{}: {}", f.namespace, f.message))
            .unwrap_or_default()
    }
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

    /// Counts a namespace.
    pub fn add(&mut self, namespace: &str, member: &MemberStanding) {
        let counts = &mut self.counts;
        counts.selected += 1;
        let (count, list) = match member.standing {
            Standing::Compliant => (&mut counts.compliant, None),
            Standing::Pending => (&mut counts.pending, None),
            Standing::Weakened => (&mut counts.weakened, None),
            Standing::Drifted => (&mut counts.drifted, Some(&mut self.drifted)),
            Standing::Blocked => (&mut counts.blocked, Some(&mut self.blocked)),
            Standing::Conflict => (&mut counts.conflicting, None),
        };
        *count += 1;
        if let Some(list) = list {
            list.name(namespace, member.told, &member.reason, &member.message);
        }
        if let Some(conflict) = &member.conflict {
            self.conflicts.name(namespace, member.told, "Conflict", conflict);
        }
        if let Some(contested) = &member.contested {
            self.counts.contested += 1;
            self.contested.name(namespace, member.told, "Contested", contested);
        }
        if let Some(weakened) = &member.weakened {
            self.weakened.name(namespace, member.told, "Weakened", weakened);
        }
        self.held += i64::from(member.held);
        self.unrepaired += i64::from(member.unrepaired);
        if member.deselected {
            self.counts.deselected += 1;
            let message = "it lost the labels that selected it; it is held until spec.releasedNamespaces names it";
            self.deselected.name(namespace, member.told, "Deselected", message);
        }
    }

    /// How many namespaces are in which state.
    pub fn counts(&self) -> NamespaceCounts {
        self.counts
    }

    /// In how many namespaces something undoes what is declared, in whatever state they are.
    pub fn weakened(&self) -> i64 {
        self.weakened.total
    }

    /// In how many namespaces something is held back.
    pub fn held(&self) -> i64 {
        self.held
    }

    /// In how many namespaces something that is enforced has drifted and is not repaired.
    pub fn unrepaired(&self) -> i64 {
        self.unrepaired
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
    SecurityBaselineStatus {
        observed_generation: facts.judged,
        applied_generation: facts.applied,
        applied_since: facts.applied_since,
        applied: facts.applied_spec.clone(),
        enforced_before: facts.enforced_before.clone(),
        detected: facts.detected.clone(),
        conditions: conditions(
            judge(facts, tally, before),
            &prior(&before.conditions),
            Some(facts.judged),
            now,
        ),
        namespaces: counts,
        problems: facts.problems.iter().take(MOST_PROBLEMS).cloned().collect(),
        warnings: facts.warnings.iter().take(MOST_PROBLEMS).cloned().collect(),
        drifted: tally.drifted.findings(),
        blocked: tally.blocked.findings(),
        conflicts: tally.conflicts.findings(),
        weakened: tally.weakened.findings(),
        contested: tally.contested.findings(),
        deselected: tally.deselected.findings(),
    }
}

fn judge(facts: &BaselineFacts, tally: &Tally, before: &SecurityBaselineStatus) -> Vec<Verdict> {
    let counts = tally.counts;
    // What a tenant can cause (a blocked namespace, a new one that is not worked on yet) must not take Ready away from
    // the whole baseline, or one tenant would halt every GitOps wave.
    let failing = counts.blocked + counts.conflicting;
    let progress = progress(facts, counts);
    let beyond_tolerance = failing * 100 > counts.selected * facts.tolerated_percent;
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
    } else if let Some(waits) = &facts.waits {
        (true, "AwaitingConfirmation", waits.clone())
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
    } else if let Some(stuck) = facts.cleaning.as_ref().and_then(|left| left.stuck.as_ref()) {
        (
            true,
            "CleanupBlocked",
            bounded(
                &format!(
                    "{progress}; {stuck}. Mend that, or set spec.deletionPolicy to Retain: then the rest is left in place"
                ),
                4096,
            ),
        )
    } else if let Some((refused, writes)) = facts.rollout_stopped.filter(|_| counts.pending > 0) {
        let example = Some(tally.blocked.example()).filter(|example| !example.is_empty());
        let example = example.map(|example| format!(": {example}")).unwrap_or_default();
        (
            true,
            "RolloutStopped",
            format!(
                "{refused} of {writes} writes were refused, so nothing more is newly enforced{example}. Mend that, then change the spec, or: kubectl annotate --overwrite securitybaseline {} {RESUME}=$(date +%s)",
                facts.name,
            ),
        )
    } else if beyond_tolerance && !rolling_out {
        let reason = if counts.blocked > 0 { "Blocked" } else { "Conflict" };
        let named = if counts.blocked > 0 {
            &tally.blocked
        } else {
            &tally.conflicts
        };
        let example = named.example();
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
    debug_assert!(!stalled || STALLED_REASONS.contains(&stalled_reason));
    let reconciling = !stalled && (rolling_out || facts.cleaning.is_some());
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
    let degraded_reason = match (counts.blocked, tally.conflicts.total, tally.weakened.total) {
        (1.., _, _) => "Blocked",
        (_, 1.., _) => "Conflict",
        (_, _, 1..) => "Weakened",
        _ => "NotDegraded",
    };
    let weakened = format!(
        "{} undone by something else; {}",
        namespaces(tally.weakened.total),
        tally.weakened.example()
    );
    let mut degraded_message = match degraded_reason {
        "Blocked" => format!("{} blocked; {}", namespaces(counts.blocked), tally.blocked.example()),
        "Conflict" => {
            format!(
                "{} in conflict with another baseline; {}",
                namespaces(tally.conflicts.total),
                tally.conflicts.example()
            )
        }
        "Weakened" => weakened.clone(),
        _ => "nothing is blocked".to_owned(),
    };
    // Whoever mends what is blocked is not to miss that something else is void.
    if tally.weakened.total > 0 && degraded_reason != "Weakened" {
        degraded_message = format!("{}; {weakened}", bounded(&degraded_message, 2048));
    }
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
                        tally.drifted.example()
                    ),
                ),
                ConditionType::Drifted => (false, "NoDrift", "no namespace departs from the baseline".to_owned()),
                ConditionType::Contested if counts.contested > 0 => (
                    true,
                    "Contested",
                    format!(
                        "{} contested; {}",
                        namespaces(counts.contested),
                        tally.contested.example()
                    ),
                ),
                ConditionType::Contested => (false, "NotContested", "nobody reverts what is repaired".to_owned()),
                ConditionType::Degraded => (
                    degraded_reason != "NotDegraded",
                    degraded_reason,
                    bounded(&degraded_message, 4096),
                ),
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

/// What is under way.
fn progress(facts: &BaselineFacts, counts: NamespaceCounts) -> String {
    match &facts.cleaning {
        Some(left) => format!(
            "being deleted; what was created for it is still to be removed from {}{}",
            namespaces(i64::try_from(left.namespaces).unwrap_or(i64::MAX)),
            left.example
                .as_ref()
                .map(|name| format!(", such as {name}"))
                .unwrap_or_default(),
        ),
        None => format!(
            "{} of {} still to be worked on",
            counts.pending,
            namespaces(counts.selected)
        ),
    }
}

/// So many namespaces, in words.
pub(super) fn namespaces(count: i64) -> String {
    if count == 1 {
        "1 namespace".to_owned()
    } else {
        format!("{count} namespaces")
    }
}

#[cfg(test)]
mod tests;
