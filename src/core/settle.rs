//! From a plan and what came of it to the namespace's report.

use std::sync::Arc;

mod attempt;
mod excluded;
mod ledger;

use super::conditions::{self, Verdict};
use super::exceptions::Waived;
use super::fight::Contest;
use super::membership::admitted;
use super::merge::{Askers, Conflict, Supplied};
use super::object::Digest;
use super::plan::{Finding, FindingKind, Plan, SectionPlan};
use super::text::bounded;
use super::world::{Baseline, World};
use super::{gate, plan};
use crate::api::v1alpha1::{
    AdmittingLabel, AskedLess, BaselineReportStatus, ContestedObject, ControlReport, ControlState, EffectiveValue,
    HeldBaseline, InventoryEntry, LabelEntry, Mode, Note, WaivedItem,
};

pub use self::attempt::{Attempt, Failure};
pub use self::excluded::{excluded, is_excluded};
pub use self::ledger::continued;

/// The most findings, and the most of what is blocked or warned of, that a report tells of one control.
const MOST_NOTES: usize = 32;

/// The most baselines that a report names beside a value, of those that asked for less.
const MOST_LESS: usize = 8;

/// A namespace's report, and what its baselines are told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The report; its ledger holds only what is new.
    pub report: BaselineReportStatus,
    /// How the namespace stands with each baseline that holds it.
    pub members: Vec<MemberStanding>,
}

/// How a namespace stands with one of the baselines that hold it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberStanding {
    /// The baseline.
    pub baseline: String,
    /// The generation of its spec that the namespace was judged by.
    pub generation: i64,
    /// How it stands.
    pub standing: Standing,
    /// Why, in one word, where that is not plain.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// How much departs there, or is in the way: the more, the worse.
    pub told: usize,
    /// What cannot be merged with another baseline, whichever of them holds.
    pub conflict: Option<String>,
    /// Whether the namespace lost the labels that selected it.
    pub deselected: bool,
    /// Whether something is held back there.
    pub held: bool,
    /// Whether something that is enforced has drifted there, and is not repaired.
    pub unrepaired: bool,
    /// Who keeps undoing what is repaired there of what it asks for, in a sentence.
    pub contested: Option<String>,
    /// What undoes there what it asks for from beside it, in a sentence, whatever else there is.
    pub weakened: Option<String>,
}

/// How a namespace stands with a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// In the declared state.
    Compliant,
    /// Still to be worked on.
    Pending,
    /// As declared, and something else undoes it.
    Weakened,
    /// Departing from it.
    Drifted,
    /// Something could not be written, or is held.
    Blocked,
    /// An older baseline holds what this one asks for.
    Conflict,
}

/// Settles one namespace.
pub fn settle(world: &World, plan: &Plan, attempt: &Attempt, gate: gate::Verdict) -> Settled {
    let mut controls: Vec<ControlReport> = plan.sections.iter().map(|s| control(plan, s, attempt, gate)).collect();
    warn_of_finalizers(plan, &mut controls);
    let held = !plan.baselines().is_empty();
    let (standing, _, message) = standing(plan, controls.iter());
    let ready = Verdict {
        type_: "Ready",
        holds: standing == Standing::Compliant && held,
        reason: match standing {
            _ if !held => "NotSelected",
            Standing::Compliant => "Compliant",
            Standing::Pending => "Pending",
            Standing::Weakened => "Weakened",
            Standing::Drifted => "Drifted",
            Standing::Blocked | Standing::Conflict => "Blocked",
        },
        message: match message.is_empty() {
            _ if !held => "no baseline holds this namespace; what was created here stays".to_owned(),
            true => "the namespace is in the declared state".to_owned(),
            false => message.clone(),
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
    // What the baseline on record let go without taking it along stays, and is nobody's.
    let orphaned = |uid: &str| plan::is_orphaned(world, uid);
    // Where no baseline holds the namespace any more nobody repairs, and so nobody fights.
    let contests = if held {
        world.fights.contested(world.now)
    } else {
        Vec::new()
    };
    let members = members(world, plan, &controls, &contests);
    let contested = Verdict {
        type_: "Contested",
        holds: !contests.is_empty(),
        reason: contests.first().map_or("NotContested", |contest| contest.reason),
        message: contests
            .first()
            .map_or_else(|| "nobody undoes what is repaired".to_owned(), fought_over),
    };
    let report = BaselineReportStatus {
        conditions: conditions::conditions(
            vec![ready, drifted, contested],
            &world.prior.conditions,
            None,
            world.now,
        ),
        baselines: baselines(world, plan),
        conflicts: plan
            .conflicts()
            .take(32)
            .map(|conflict| plan.told_of(conflict))
            .collect(),
        controls,
        contested: contests.into_iter().map(told_contest).collect(),
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
                orphaned: orphaned(&recorded.baseline),
            })
            .collect(),
        namespace_labels: plan
            .labels
            .iter()
            .map(|(key, recorded)| LabelEntry {
                key: key.clone(),
                value: recorded.value.clone(),
                baseline: recorded.baseline.clone(),
                enforced: plan.enforced_labels.contains(key),
                orphaned: orphaned(&recorded.baseline),
            })
            .collect(),
    };
    Settled { report, members }
}

/// The digest of what a report means: two reports with the same one tell the same. The ledger's records are left out,
/// since none comes without its total, and so is what was taken over, which comes with an entry of the inventory.
pub fn meaning(report: &BaselineReportStatus) -> Digest {
    let mut report = report.clone();
    report.drift.records.clear();
    report.taken_over.clear();
    Digest::of(&report)
}

/// A fight, in a sentence.
fn fought_over(contest: &Contest) -> String {
    let Contest {
        object,
        path,
        by,
        reverts,
        ..
    } = contest;
    let told = if contest.reason == Contest::REWRITTEN {
        format!(
            "{object}: what is written is changed on its way ({reverts} times so far): look for a mutating webhook or MutatingAdmissionPolicy that matches it"
        )
    } else {
        let field = if path.is_empty() { "it" } else { path };
        format!(
            "{object}: {by} (as it calls itself) keeps changing {field}, {reverts} times so far; each time it is repaired"
        )
    };
    bounded(&told, 1024)
}

fn told_contest(contest: Contest) -> ContestedObject {
    ContestedObject {
        object: contest.object,
        path: contest.path,
        by: contest.by,
        reason: contest.reason.to_owned(),
        since: contest.since,
        reverts: contest.reverts.into(),
        last: contest.last,
    }
}

fn baselines(world: &World, plan: &Plan) -> Vec<HeldBaseline> {
    let entry = |(place, baseline): (usize, &Arc<Baseline>)| {
        let enforced = plan.sections.iter().any(|s| s.askers.enforcing.contains(&place));
        let deselected = world.deselected.contains(&baseline.uid);
        // What selected it is put on record while it does, and kept when it does no more.
        let kept = world.prior.members.get(baseline.uid.as_str()).filter(|_| deselected);
        let admitted = kept.map_or_else(
            || admitted(&baseline.spec.namespace_selector, &world.namespace.labels),
            |kept| kept.admitted.clone(),
        );
        HeldBaseline {
            name: baseline.name.clone(),
            uid: baseline.uid.clone(),
            generation: baseline.generation,
            state: match (baseline.spec.suspend, enforced) {
                (true, _) => "Suspended",
                (_, true) => "Enforced",
                (_, false) => "Audited",
            }
            .to_owned(),
            deselected,
            admitted_by: admitted
                .into_iter()
                .take(64)
                .map(|(key, value)| AdmittingLabel { key, value })
                .collect(),
        }
    };
    plan.baselines().iter().enumerate().map(entry).take(1024).collect()
}

/// How the namespace stands with each baseline: by the sections that it takes part in.
fn members(world: &World, plan: &Plan, controls: &[ControlReport], contests: &[Contest]) -> Vec<MemberStanding> {
    let member = |(place, baseline): (usize, &Arc<Baseline>)| {
        let takes_part = |section: &&SectionPlan| {
            let askers = &section.askers;
            askers.enforcing.contains(&place) || askers.auditing.contains(&place)
        };
        let its = controls
            .iter()
            .zip(&plan.sections)
            .filter_map(|(control, section)| takes_part(&section).then_some(control));
        let sections = plan.sections.iter().filter(takes_part);
        let told = its.clone().map(|c| c.findings.len() + c.blocked.len()).sum();
        let (mut standing, mut reason, mut message) = standing(plan, its);
        let yields = plan.conflicts().find(|c| c.yields == place);
        let conflict = yields
            .or_else(|| plan.conflicts().find(|c| c.holds == place))
            .map(|c| plan.told_of(c));
        if let (Some(_), Some(conflict), true) = (yields, &conflict, standing < Standing::Blocked) {
            standing = Standing::Conflict;
            reason = "Conflict".to_owned();
            message = conflict.message.clone();
        }
        MemberStanding {
            baseline: baseline.name.clone(),
            generation: baseline.generation,
            standing,
            reason,
            message,
            told,
            conflict: conflict.map(|c| c.message),
            deselected: world.deselected.contains(&baseline.uid),
            held: sections.clone().any(|section| !section.held.is_empty()),
            unrepaired: sections.clone().any(SectionPlan::has_unrepaired),
            contested: contests.iter().find(|c| plan.asks_for(place, c)).map(fought_over),
            weakened: sections.clone().find_map(undone),
        }
    };
    plan.baselines().iter().enumerate().map(member).collect()
}

impl SectionPlan {
    /// Whether something that is enforced has drifted. What is held back is told as if it were only audited, since it is not
    /// put back; it was enforced all the same.
    fn has_unrepaired(&self) -> bool {
        let held = |finding: &Finding| self.held.iter().any(|held| held.object == finding.object);
        let enforced = |finding: &&Finding| finding.mode == Mode::Enforce || held(finding);
        self.findings
            .iter()
            .filter(enforced)
            .any(|finding| finding.kind.is_drift())
    }
}

/// What undoes a section from beside it, in a sentence.
fn undone(section: &SectionPlan) -> Option<String> {
    let undoes = |finding: &&Finding| finding.kind == FindingKind::Weakened;
    let Note { object, message, .. } = section.findings.iter().find(undoes).map(told)?;
    Some(format!("{} {object}: {message}", section.section))
}

impl Plan {
    /// Whether a baseline asks for what is fought over: for the object, or for a label on the namespace.
    fn asks_for(&self, place: usize, contest: &Contest) -> bool {
        let asks = |askers: &Askers| askers.enforcing.contains(&place) || askers.auditing.contains(&place);
        if contest.object.starts_with("Namespace/") {
            return self.effective.labels.values().any(asks);
        }
        let mut children = self.effective.children.iter();
        children.any(|(id, askers)| asks(askers) && id.to_string() == contest.object)
    }

    /// What could not be merged: first of what is enforced, then of what is only asked for.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        let enforced = &self.effective.enforced.conflicts;
        let asked = self.effective.asked.iter().flat_map(|asked| &asked.conflicts);
        enforced.iter().chain(asked.filter(|c| !enforced.contains(c)))
    }

    /// A conflict, in a sentence that names both.
    fn told_of(&self, conflict: &Conflict) -> Note {
        let name = |place: usize| self.baselines().get(place).map(|b| b.name.as_str()).unwrap_or_default();
        Note {
            object: conflict.object.clone(),
            reason: "Conflict".to_owned(),
            message: bounded(
                &format!(
                    "{} {}: {}; what the baseline {} asks for holds, what {} asks for is left out",
                    conflict.section,
                    conflict.object,
                    conflict.message,
                    name(conflict.holds),
                    name(conflict.yields),
                ),
                1024,
            ),
        }
    }

    fn effective_values(&self, section: &'static str) -> Vec<EffectiveValue> {
        let name = |place: usize| self.baselines().get(place).map(|b| b.name.clone()).unwrap_or_default();
        // Where nothing is enforced, what is audited is what would apply.
        let merged = [Some(&self.effective.enforced), self.effective.asked.as_ref()];
        let values = merged
            .into_iter()
            .flatten()
            .find_map(|merged| merged.values.get(section));
        let value = |supplied: &Supplied| EffectiveValue {
            field: bounded(&supplied.field, 384),
            value: bounded(&supplied.value, 256),
            baseline: name(supplied.by),
            asked_less: supplied
                .less
                .iter()
                .take(MOST_LESS)
                .map(|(place, value)| AskedLess {
                    baseline: name(*place),
                    value: bounded(value, 256),
                })
                .collect(),
            asked_less_total: i64::try_from(supplied.less.len())
                .ok()
                .filter(|_| supplied.less.len() > MOST_LESS),
        };
        values.into_iter().flatten().take(128).map(value).collect()
    }

    fn waived_of(&self, section: &'static str) -> Vec<WaivedItem> {
        let its = self.waived.iter().filter(|waived| waived.control.as_str() == section);
        let item = |waived: &Waived| WaivedItem {
            object: waived.object.clone(),
            level: waived.level,
            exceptions: waived.exceptions.iter().take(16).cloned().collect(),
            until: waived.expires,
        };
        its.take(128).map(item).collect()
    }
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

fn control(plan: &Plan, section: &SectionPlan, attempt: &Attempt, gate: gate::Verdict) -> ControlReport {
    let findings = &section.findings;
    let mut blocked: Vec<Note> = section
        .held
        .iter()
        .map(|h| Note {
            object: h.object.clone(),
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
    let paused = match gate {
        gate::Verdict::Go => section.paused,
        gate::Verdict::Hold { reason } => Some(reason),
    };
    if let Some(reason) = paused {
        warnings.push(Note {
            object: String::new(),
            reason: reason.to_owned(),
            message: "nothing is written for now; what was enforced stays in place".to_owned(),
        });
    }
    warnings.extend(section.notes.iter().map(|note| Note {
        object: note.object.clone(),
        reason: note.reason.to_owned(),
        message: bounded(&note.message, 1024),
    }));
    // What is about to be done departs from nothing that anybody has to look at.
    let told_only = |f: &Finding| f.mode == Mode::Audit || paused.is_some();
    let weakened = |f: &Finding| f.kind == FindingKind::Weakened;
    let departs = |f: &Finding| !weakened(f) && (f.kind.is_drift() || told_only(f));
    let state = if !blocked.is_empty() {
        ControlState::Blocked
    } else if findings.is_empty() {
        ControlState::Compliant
    } else if findings.iter().any(departs) {
        ControlState::Drifted
    } else if findings.iter().any(weakened) {
        ControlState::Weakened
    } else {
        ControlState::Pending
    };
    ControlReport {
        name: section.section.to_owned(),
        mode: section.mode,
        state,
        effective: plan.effective_values(section.section),
        waived: plan.waived_of(section.section),
        enforced_before: plan.enforced_before.contains(section.section),
        findings: findings.iter().take(MOST_NOTES).map(told).collect(),
        blocked: blocked.into_iter().take(MOST_NOTES).collect(),
        warnings: warnings.into_iter().take(MOST_NOTES).collect(),
    }
}

/// A finding, in a sentence.
fn told(finding: &Finding) -> Note {
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
        FindingKind::Weakened => finding.differences.iter().map(|d| d.found.as_str()).collect(),
        FindingKind::Waived => {
            let by = finding.differences.first().map_or("", |d| d.claim.by.as_str());
            format!("is still there, and is waived by {by}")
        }
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

fn standing<'a>(plan: &Plan, controls: impl Iterator<Item = &'a ControlReport>) -> (Standing, String, String) {
    let worst = controls
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
        ControlState::Weakened => Standing::Weakened,
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
