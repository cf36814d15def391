//! A report for people, on a terminal.

use std::collections::BTreeMap;

use super::model::{Finding, Place, Report, State};
use crate::cli::output::{Paint, Table, count, harmless, listed};
use crate::core::codes::Severity;

/// What is found, most serious first, and a line that sums it up.
pub fn findings(report: &Report, paint: Paint) -> String {
    let mut table = Table::new(&["CODE", "WHERE", "OBJECT", "WHAT"], paint);
    for (finding, places) in grouped(report) {
        table.row([
            finding.code.as_str(),
            &listed(&places),
            shown(finding),
            &finding.message,
        ]);
        table.paint(0, |text| paint.severity(finding.severity, text));
    }
    let mut text = String::new();
    if !table.is_empty() {
        text += &table.text("");
        text.push('\n');
    }
    text += &summed_up(report, paint);
    text
}

/// An object as it is shown: that it is the namespace itself goes without saying.
fn shown(finding: &Finding) -> &str {
    if finding.object.starts_with("Namespace/") {
        "Namespace"
    } else {
        &finding.object
    }
}

/// The findings, most serious first; what is found in several namespaces alike once, with these.
fn grouped(report: &Report) -> Vec<(&Finding, Vec<&str>)> {
    let mut groups: BTreeMap<_, (&Finding, Vec<&str>)> = BTreeMap::new();
    for (Place { name, .. }, finding) in report.findings() {
        let key = (
            std::cmp::Reverse(finding.severity),
            &finding.code,
            shown(finding),
            &finding.message,
        );
        groups.entry(key).or_insert_with(|| (finding, Vec::new())).1.push(name);
    }
    groups.into_values().collect()
}

/// A report in a few lines.
pub fn summed_up(report: &Report, paint: Paint) -> String {
    let summary = &report.summary;
    let mut text = if report.baselines.is_empty() {
        "There is no SecurityBaseline.\n".to_owned()
    } else {
        let counts = [
            (summary.errors, "error", "errors", Severity::Error),
            (summary.warnings, "warning", "warnings", Severity::Warning),
            (summary.notes, "note", "notes", Severity::Note),
        ];
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(number, ..)| *number > 0)
            .map(|(number, one, many, severity)| paint.severity(severity, &count(number, one, many)))
            .collect();
        let found = if counts.is_empty() {
            "nothing departs".to_owned()
        } else {
            counts.join(", ")
        };
        format!(
            "{} of {} in the declared state; {found}.\n",
            summary.compliant,
            count(summary.namespaces, "namespace", "namespaces")
        )
    };
    let unknown = report.namespaces.iter().filter(|n| n.state == State::Unknown).count();
    if unknown > 0 {
        text += &format!(
            "Of {} something is unknown.\n",
            count(unknown, "namespace", "namespaces")
        );
    }
    text += &paint.faint(&format!(
        "Judged by the operator's configuration: {}.",
        report.source.configuration
    ));
    text.push('\n');
    text
}

/// The baselines and namespaces, a line each, with how every control stands.
pub fn overview(report: &Report, paint: Paint) -> String {
    let mut baselines = Table::new(&["BASELINE", "STATE", "GENERATION", "NAMESPACES"], paint);
    for baseline in &report.baselines {
        let generation = baseline
            .generation
            .map_or("-".to_owned(), |generation| generation.to_string());
        baselines.row([
            &*baseline.name,
            baseline.state,
            &generation,
            &baseline.namespaces.to_string(),
        ]);
    }
    let sections: Vec<&str> = crate::controls::REGISTRY
        .iter()
        .map(|control| control.section())
        .collect();
    let mut headings = vec!["NAMESPACE".to_owned(), "STATE".to_owned()];
    headings.extend(sections.iter().map(|section| section.to_uppercase()));
    headings.push("DRIFT".to_owned());
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut namespaces = Table::new(&headings, paint);
    for namespace in &report.namespaces {
        let state = |section: &&str| namespace.controls.iter().find(|c| c.name == **section).map(|c| c.state);
        let states: Vec<Option<State>> = sections.iter().map(state).collect();
        let drift = namespace.drift.total.to_string();
        let cells = [namespace.name.as_str(), namespace.state.as_str()];
        let controls = states.iter().map(|state| state.map_or("-", State::as_str));
        namespaces.row(cells.into_iter().chain(controls).chain([drift.as_str()]));
        namespaces.paint(1, |text| paint.state(namespace.state, text));
        for (column, state) in states.iter().enumerate() {
            if let Some(state) = state {
                namespaces.paint(column + 2, |text| paint.state(*state, text));
            }
        }
    }
    let mut text = String::new();
    for table in [baselines, namespaces] {
        if !table.is_empty() {
            text += &table.text("");
            text.push('\n');
        }
    }
    text + &findings(report, paint)
}

/// Findings of one namespace, a line or two each; what is to be done about several of one code is told once.
pub fn told(findings: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    for (place, finding) in findings.iter().enumerate() {
        text += &format!("  {}", line(finding, paint));
        let next = findings.get(place + 1);
        if finding.severity > Severity::Note && next.is_none_or(|next| next.code != finding.code) {
            text += &format!("    {}\n", paint.faint(finding.mend));
        }
    }
    text
}

fn line(finding: &Finding, paint: Paint) -> String {
    let object = if finding.object.is_empty() {
        String::new()
    } else {
        format!("{}: ", shown(finding))
    };
    let mut text = format!(
        "{} {} {}\n",
        paint.severity(finding.severity, &finding.code),
        finding.reason,
        harmless(&format!("{object}{}", finding.message)),
    );
    for field in finding
        .fields
        .iter()
        .filter(|field| !["", "unknown"].contains(&field.claimed_by.as_str()))
    {
        text += &format!(
            "    {} by {} (a claim)\n",
            harmless(&field.path),
            harmless(&field.claimed_by)
        );
    }
    text
}
