//! From a plan and what came of it to the namespace's report.

mod attempt;
mod ledger;

use super::conditions::{self, Verdict};
use super::object::Digest;
use super::plan::{FindingKind, Plan, SectionPlan};
use super::text::bounded;
use super::world::World;
use super::{gate, plan};
use crate::api::v1alpha1::{
    BaselineReportStatus, ControlReport, ControlState, EffectiveValue, HeldBaseline, InventoryEntry, LabelEntry, Mode,
    Note,
};

pub use self::attempt::{Attempt, Failure};
pub use self::ledger::continued;

/// The most findings, and the most of what is blocked or warned of, that a report tells of one control.
const MOST_NOTES: usize = 32;

/// A namespace's report, and what its baselines are told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The report; its ledger holds only what is new.
    pub report: BaselineReportStatus,
    /// How the namespace stands with the baseline that holds it.
    pub standing: Standing,
    /// Why, in one word and in a sentence, where that is not plain.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

/// How a namespace stands with a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// In the declared state.
    Compliant,
    /// Still to be worked on.
    Pending,
    /// Departing from it.
    Drifted,
    /// Something could not be written, or is held.
    Blocked,
    /// Another baseline holds it.
    Conflict,
}

/// Settles one namespace.
pub fn settle(world: &World, plan: &Plan, attempt: &Attempt, gate: gate::Verdict) -> Settled {
    let mut controls: Vec<ControlReport> = plan.sections.iter().map(|s| control(s, attempt, gate)).collect();
    warn_of_finalizers(plan, &mut controls);
    let (standing, reason, message) = standing(plan, &controls);
    let ready = Verdict {
        type_: "Ready",
        holds: standing == Standing::Compliant && plan.holder.is_some(),
        reason: match (&plan.holder, standing) {
            (None, _) => "NotSelected",
            (_, Standing::Compliant) => "Compliant",
            (_, Standing::Pending) => "Pending",
            (_, Standing::Drifted) => "Drifted",
            (_, Standing::Blocked | Standing::Conflict) => "Blocked",
        },
        message: match &plan.holder {
            None => "no baseline selects this namespace; what was created here stays".to_owned(),
            Some(_) if message.is_empty() => "the namespace is in the declared state".to_owned(),
            Some(_) => message.clone(),
        },
    };
    let drifting = controls.iter().filter(|c| c.state == ControlState::Drifted).count();
    let drifted = Verdict {
        type_: "Drifted",
        holds: drifting > 0,
        reason: if drifting > 0 { "Drifted" } else { "NoDrift" },
        message: if drifting > 0 {
            "the namespace departs from what is declared; see controls[].findings".to_owned()
        } else {
            "nothing departs from what is declared".to_owned()
        },
    };
    let report = BaselineReportStatus {
        conditions: conditions::conditions(vec![ready, drifted], &world.prior.conditions, None, world.now),
        baselines: baselines(plan),
        controls,
        drift: ledger::ledger(&world.prior.drift, attempt),
        taken_over: attempt.taken_over.clone(),
        inventory: plan
            .inventory
            .iter()
            .map(|(id, recorded)| InventoryEntry {
                kind: id.kind.kind.to_owned(),
                name: id.name.clone(),
                uid: recorded.uid.clone(),
                baseline: recorded.baseline.clone(),
                digest: recorded.digest.map(|d| d.to_string()).unwrap_or_default(),
            })
            .collect(),
        namespace_labels: plan
            .labels
            .iter()
            .map(|(key, recorded)| LabelEntry {
                key: key.clone(),
                value: recorded.value.clone(),
                baseline: recorded.baseline.clone(),
            })
            .collect(),
    };
    Settled {
        report,
        standing,
        reason,
        message,
    }
}

/// The digest of what a report means: two reports with the same one tell the same. The ledger's records are left out,
/// since none comes without its total, and so is what was taken over, which comes with an entry of the inventory.
pub fn meaning(report: &BaselineReportStatus) -> Digest {
    let mut report = report.clone();
    report.drift.records.clear();
    report.taken_over.clear();
    Digest::of(&serde_json::to_value(&report).unwrap_or_default())
}

fn baselines(plan: &Plan) -> Vec<HeldBaseline> {
    let entry = |state: &str| {
        let state = state.to_owned();
        move |b: &std::sync::Arc<super::world::Baseline>| HeldBaseline {
            name: b.name.clone(),
            uid: b.uid.clone(),
            generation: b.generation,
            state: state.clone(),
        }
    };
    plan.holder
        .iter()
        .map(entry(HeldBaseline::HOLDS))
        .chain(plan.conflicting.iter().map(entry("Conflict")))
        .take(256)
        .collect()
}

/// Tells of the objects that another client's finalizer keeps. They are as asked for, or held to it like any other.
fn warn_of_finalizers(plan: &Plan, controls: &mut [ControlReport]) {
    for (section, id, kept) in &plan.kept {
        let Some(control) = controls.iter_mut().find(|c| c.name == *section) else {
            continue;
        };
        let what = if kept.deleted {
            "it was deleted, and a finalizer keeps it; it is created anew once that is removed"
        } else {
            "a finalizer would keep it from going"
        };
        control.warnings.push(Note {
            object: id.to_string(),
            reason: "ForeignFinalizer".to_owned(),
            message: format!("{what}: {}; claimed by {}", kept.finalizers, kept.by),
        });
        control.warnings.truncate(MOST_NOTES);
    }
}

fn control(section: &SectionPlan, attempt: &Attempt, gate: gate::Verdict) -> ControlReport {
    let findings = &section.findings;
    let mut blocked: Vec<Note> = section
        .held
        .iter()
        .map(|h| Note {
            object: h.id.to_string(),
            reason: h.reason.to_owned(),
            message: h.message.clone(),
        })
        .collect();
    blocked.extend(findings.iter().filter_map(|finding| {
        let failure = attempt.failures.get(&finding.object)?;
        Some(Note {
            object: finding.object.clone(),
            reason: failure.reason.to_owned(),
            message: bounded(&failure.message, 1024),
        })
    }));
    blocked.dedup();
    let mut warnings = Vec::new();
    let writes = match gate {
        gate::Verdict::Go => section.mode == Mode::Enforce,
        gate::Verdict::Hold { reason } => {
            warnings.push(Note {
                object: String::new(),
                reason: reason.to_owned(),
                message: "nothing is written for now; what was enforced stays in place".to_owned(),
            });
            false
        }
    };
    let state = if !blocked.is_empty() {
        ControlState::Blocked
    } else if findings.is_empty() {
        ControlState::Compliant
    } else if writes && !findings.iter().any(|f| f.kind.is_drift()) {
        ControlState::Pending
    } else {
        ControlState::Drifted
    };
    ControlReport {
        name: section.section.to_owned(),
        mode: section.mode,
        state,
        effective: section
            .effective
            .iter()
            .take(128)
            .map(|(field, value)| EffectiveValue {
                field: bounded(field, 384),
                value: bounded(value, 256),
                baseline: section.baseline.name.clone(),
            })
            .collect(),
        findings: findings.iter().take(MOST_NOTES).map(told).collect(),
        blocked: blocked.into_iter().take(MOST_NOTES).collect(),
        warnings: warnings.into_iter().take(MOST_NOTES).collect(),
    }
}

/// A finding, in a sentence.
fn told(finding: &plan::Finding) -> Note {
    let differences: Vec<String> = finding
        .differences
        .iter()
        .filter(|d| !d.path.is_empty())
        .map(|d| {
            let or_nothing = |text: &str| {
                if text.is_empty() {
                    "nothing".to_owned()
                } else {
                    bounded(text, 128)
                }
            };
            format!(
                "{}: declared {}, found {}",
                d.path,
                or_nothing(&d.expected),
                or_nothing(&d.found)
            )
        })
        .collect();
    let message = match finding.kind {
        FindingKind::Missing => "does not exist".to_owned(),
        FindingKind::Deleted => "was deleted".to_owned(),
        FindingKind::Surplus => "is no longer declared".to_owned(),
        _ => differences.join("; "),
    };
    let message = match (finding.kind, differences.is_empty()) {
        (FindingKind::Missing | FindingKind::Deleted | FindingKind::Surplus, false) => differences.join("; "),
        _ => message,
    };
    Note {
        object: finding.object.clone(),
        reason: finding.kind.reason().to_owned(),
        message: bounded(&message, 1024),
    }
}

fn standing(plan: &Plan, controls: &[ControlReport]) -> (Standing, String, String) {
    let worst = controls
        .iter()
        .filter(|c| c.state != ControlState::Compliant)
        .max_by_key(|c| c.state);
    let Some(worst) = worst else {
        // What differs and was not read is no finding yet, and all the same not as declared.
        return match plan.unread.first() {
            Some(id) => (
                Standing::Pending,
                "Unread".to_owned(),
                format!("{id} is still to be read"),
            ),
            None => (Standing::Compliant, String::new(), String::new()),
        };
    };
    let standing = match worst.state {
        ControlState::Compliant => Standing::Compliant,
        ControlState::Pending => Standing::Pending,
        ControlState::Drifted => Standing::Drifted,
        ControlState::Blocked => Standing::Blocked,
    };
    let notes = if standing == Standing::Blocked {
        &worst.blocked
    } else {
        &worst.findings
    };
    let Some(first) = notes.first() else {
        return (standing, String::new(), String::new());
    };
    let more: usize = plan.sections.iter().map(|s| s.findings.len() + s.held.len()).sum();
    let more = match more.saturating_sub(1) {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    (
        standing,
        first.reason.clone(),
        format!("{} {}: {}{more}", worst.name, first.object, first.message),
    )
}

#[cfg(test)]
mod tests;
