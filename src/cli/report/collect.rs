//! From a snapshot to a report.

pub(in crate::cli) mod doubts;

use std::collections::BTreeMap;

use doubts::Doubts;

use super::model::{
    API_VERSION, BaselineSummary, ControlSummary, DOCS, Drift, ExceptionSummary, Field, Finding, Holding,
    NamespaceSummary, Report, Source, State, Summary, help,
};
use crate::api::v1alpha1::{ControlReport, ControlState, Mode, Note};
use crate::controls::REGISTRY;
use crate::core::codes::{self, Severity};
use crate::core::plan::SectionPlan;
use crate::core::told::of_the_namespace;
use crate::engine::snapshot::{BaselineView, ExceptionView, NamespaceView, Scope, Snapshot};

/// What a snapshot tells.
pub fn report(snapshot: &Snapshot, source: Source) -> Report {
    let mut doubts = Doubts::new(&snapshot.unknown);
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    let mut namespaces = Vec::new();
    for name in snapshot.namespaces() {
        let Some(view) = snapshot.view(&name) else { continue };
        for baseline in view.plan.baselines() {
            *held.entry(baseline.name.clone()).or_default() += 1;
        }
        namespaces.push(namespace(snapshot, &name, &view, &mut doubts));
    }
    // Where only some namespaces are looked at, what has nothing to do with them is left out.
    let only = match &snapshot.scope {
        Scope::All => None,
        Scope::Only(names) => Some(names),
    };
    let views = snapshot.baselines();
    let baselines = views
        .iter()
        .filter(|view| only.is_none() || held.contains_key(&view.name))
        .map(|view| baseline(snapshot, view, held.get(&view.name).copied().unwrap_or_default()))
        .collect();
    let names_one = |view: &&ExceptionView| {
        let Some(only) = only else { return true };
        let accepted = view.accepted.as_ref();
        accepted.is_some_and(|exception| exception.spec.namespaces.iter().any(|name| only.contains(name)))
    };
    let exceptions = snapshot.exceptions().iter().filter(names_one).map(exception).collect();
    let mut report = Report {
        api_version: API_VERSION,
        kind: "PostureReport",
        generated_at: snapshot.now(),
        tool_version: env!("CARGO_PKG_VERSION"),
        source,
        summary: Summary::default(),
        baselines,
        namespaces,
        exceptions,
        unknown: doubts.told(),
    };
    report.summary = summary(&report);
    report
}

fn summary(report: &Report) -> Summary {
    let held = report.namespaces.iter().filter(|n| n.state != State::NotSelected);
    let count = |severity| report.findings().filter(|(_, f)| f.severity == severity).count();
    Summary {
        namespaces: held.clone().count(),
        compliant: held.filter(|n| n.state == State::Compliant).count(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        notes: count(Severity::Note),
    }
}

/// A finding of this reason.
pub fn finding(section: Option<&str>, reason: &str, object: &str, message: &str) -> Finding {
    let known = codes::reason(reason);
    let code = codes::code(section, reason);
    Finding {
        help: code.as_deref().map(|code| help(DOCS, code)),
        code: code.unwrap_or_else(|| reason.to_owned()),
        reason: reason.to_owned(),
        severity: known.map_or(Severity::Warning, |known| known.severity),
        object: object.to_owned(),
        message: message.to_owned(),
        mend: known.map_or("", |known| known.mend),
        fields: Vec::new(),
    }
}

fn namespace(snapshot: &Snapshot, name: &str, view: &NamespaceView, doubts: &mut Doubts) -> NamespaceSummary {
    let told = &view.settled.report;
    let mut controls: Vec<ControlSummary> = view
        .plan
        .sections
        .iter()
        .zip(&told.controls)
        .map(|(section, told)| control(section, told))
        .collect();
    for (conflict, note) in view.plan.conflicts().zip(&told.conflicts) {
        if let Some(control) = controls.iter_mut().find(|control| control.name == conflict.section) {
            let finding = finding(Some(conflict.section), "Conflict", &note.object, &note.message);
            control.findings.push(finding);
            control.state = control.state.max(State::Conflict);
        }
    }
    for control in &mut controls {
        doubts.about(name, control);
    }
    doubts.of_the_whole(name, &mut controls);
    let of_the_whole = of_the_namespace(name, told);
    let findings = of_the_whole.iter().map(|told| {
        let times = told.times.map(|times| format!(", {times} times so far"));
        let message = told.message.clone() + &times.unwrap_or_default();
        finding(None, &told.reason, &told.object, &message)
    });
    let state = controls.iter().map(|control| control.state).max();
    let ledger = snapshot.report(name).map(|report| &report.drift);
    NamespaceSummary {
        name: name.to_owned(),
        state: match state {
            _ if told.baselines.is_empty() => State::NotSelected,
            state => state.unwrap_or(State::Compliant),
        },
        baselines: told
            .baselines
            .iter()
            .map(|held| Holding {
                name: held.name.clone(),
                state: held.state.clone(),
                generation: held.generation,
                deselected: held.deselected,
            })
            .collect(),
        controls,
        findings: findings.collect(),
        drift: ledger.map_or_else(Drift::default, |ledger| Drift {
            total: ledger.total,
            repaired: ledger.repaired,
            records: ledger.records.clone(),
        }),
    }
}

fn control(section: &SectionPlan, told: &ControlReport) -> ControlSummary {
    let of = Some(section.section);
    let mut findings = Vec::new();
    for (found, note) in section.findings.iter().zip(&told.findings) {
        let fields = found
            .differences
            .iter()
            .filter(|difference| !difference.path.is_empty());
        let fields = fields.map(|difference| Field {
            path: difference.path.clone(),
            declared: difference.expected.clone(),
            found: difference.found.clone(),
            claimed_by: difference.claim.by.clone(),
        });
        findings.push(Finding {
            fields: fields.collect(),
            ..from_note(of, note)
        });
    }
    findings.extend(
        told.blocked
            .iter()
            .chain(&told.warnings)
            .map(|note| from_note(of, note)),
    );
    ControlSummary {
        name: told.name.clone(),
        mode: told.mode,
        state: match told.state {
            ControlState::Compliant => State::Compliant,
            ControlState::Pending => State::Pending,
            ControlState::Weakened => State::Weakened,
            ControlState::Drifted => State::Drifted,
            ControlState::Blocked => State::Blocked,
        },
        effective: told.effective.clone(),
        waived: told.waived.clone(),
        findings,
    }
}

fn from_note(section: Option<&str>, note: &Note) -> Finding {
    finding(section, &note.reason, &note.object, &note.message)
}

fn baseline(snapshot: &Snapshot, view: &BaselineView, namespaces: usize) -> BaselineSummary {
    let object = format!("SecurityBaseline/{}", view.name);
    let mut findings = Vec::new();
    let mut tell = |reason: &str, message: &str| findings.push(finding(None, reason, &object, message));
    for problem in view.problems.clone().into_vec() {
        tell("InvalidSpec", &format!("{}: {}", problem.path, problem.message));
    }
    if let Some(waits) = &view.waits {
        tell("AwaitingConfirmation", waits);
    }
    let stalled = view
        .status
        .conditions
        .iter()
        .find(|c| c.type_ == "Stalled" && c.status == "True");
    if let Some(stalled) = stalled.filter(|c| ["RolloutStopped", "CleanupBlocked"].contains(&c.reason.as_str())) {
        tell(&stalled.reason, &stalled.message);
    }
    if snapshot.config().stop {
        tell("Stopped", "the operator's configuration says stop: nothing is written");
    }
    let accepted = view.accepted.as_ref();
    let suspended = accepted.is_some_and(|baseline| baseline.spec.suspend);
    if suspended {
        tell("Suspended", "spec.suspend is true: nothing is written for it");
    }
    if let Some(baseline) = accepted {
        for warning in REGISTRY.iter().flat_map(|control| control.warnings(&baseline.spec)) {
            tell("SpecWarning", &format!("{}: {}", warning.path, warning.message));
        }
    }
    let enforces = accepted.is_some_and(|baseline| {
        let mut modes = REGISTRY.iter().filter_map(|control| control.mode(&baseline.spec));
        modes.any(|mode| mode == Mode::Enforce)
    });
    BaselineSummary {
        name: view.name.clone(),
        state: match accepted {
            None => "Refused",
            _ if suspended => "Suspended",
            _ if enforces => "Enforced",
            _ => "Audited",
        },
        generation: accepted
            .filter(|_| !view.provisional)
            .map(|baseline| baseline.generation),
        namespaces,
        findings,
    }
}

fn exception(view: &ExceptionView) -> ExceptionSummary {
    let object = format!("BaselineException/{}", view.name);
    let condition = |type_: &str| view.status.conditions.iter().find(|c| c.type_ == type_);
    let active = condition("Active");
    let mut findings = Vec::new();
    if let Some(active) =
        active.filter(|c| c.status != "True" && ["Refused", "MatchesNothing"].contains(&c.reason.as_str()))
    {
        findings.push(finding(None, &active.reason, &object, &active.message));
    }
    if let Some(soon) = condition("ExpiringSoon").filter(|c| c.status == "True") {
        findings.push(finding(None, "ExpiringSoon", &object, &soon.message));
    }
    let accepted = view.accepted.as_ref();
    ExceptionSummary {
        name: view.name.clone(),
        state: active.map(|c| c.reason.clone()).unwrap_or_default(),
        namespaces: accepted.map(|e| e.spec.namespaces.clone()).unwrap_or_default(),
        waives: view
            .status
            .waived
            .iter()
            .map(|waived| {
                format!(
                    "{}: {}",
                    waived.namespace,
                    waived.object.as_deref().unwrap_or(waived.control.as_str())
                )
            })
            .collect(),
        reason: accepted.map(|e| e.spec.reason.clone()).unwrap_or_default(),
        approver: accepted.map(|e| e.spec.approver.clone()).unwrap_or_default(),
        expires_at: accepted.map(|e| e.expires),
        findings,
    }
}
