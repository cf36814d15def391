//! A diff for people.

use std::collections::BTreeMap;

use super::model::{Diff, SectionDiff, Verb};
use crate::cli::output::{Paint, Table, count, harmless, listed};
use crate::core::codes::Severity;

/// The diff as text.
pub fn text(diff: &Diff, paint: Paint) -> String {
    let mut text = String::new();
    for object in &diff.objects {
        let change = match object.change {
            "none" => "is as it is there",
            "create" => "is new",
            _ => "changes",
        };
        text += &format!(
            "{} {change}\n",
            paint.strong(&format!("{}/{}", object.kind, object.name))
        );
    }
    text.push('\n');
    text += &rows(diff, paint);
    text += &summed_up(diff, paint);
    text
}

/// What is told in one row: the control, the verb, the object and the rest.
type Row = (String, &'static str, String, String);

fn rows(diff: &Diff, paint: Paint) -> String {
    let mut grouped: BTreeMap<Row, Vec<&str>> = BTreeMap::new();
    for namespace in &diff.namespaces {
        for section in &namespace.sections {
            for row in told(section) {
                grouped.entry(row).or_default().push(&namespace.name);
            }
        }
    }
    let mut table = Table::new(&["CHANGE", "WHERE", "CONTROL", "OBJECT", "WHAT"], paint);
    for ((section, verb, object, what), places) in &grouped {
        table.row([*verb, &listed(places), section, object, what]);
        table.paint(0, |text| match *verb {
            "loosen" | "delete" | "held" => paint.severity(Severity::Error, text),
            "replace" | "recreate" => paint.severity(Severity::Warning, text),
            _ => paint.severity(Severity::Note, text),
        });
    }
    if table.is_empty() {
        return String::new();
    }
    table.text("") + "\n"
}

fn told(section: &SectionDiff) -> Vec<Row> {
    let name = &section.name;
    let row = |verb, object: &str, what: String| (name.clone(), verb, object.to_owned(), what);
    let mut rows = Vec::new();
    if section.loosens {
        rows.push(row(
            "loosen",
            "-",
            "protects less, or grants more, than before".to_owned(),
        ));
    }
    if let Some(mode) = &section.mode {
        rows.push(row("mode", "-", format!("from {mode}")));
    }
    for write in &section.writes {
        let fields: Vec<String> = write
            .fields
            .iter()
            .map(|field| match (field.from.as_str(), field.to.as_str()) {
                ("", to) => format!("{}: {to}", field.path),
                (from, "") => format!("{}: {from} goes", field.path),
                (from, to) => format!("{}: {from} to {to}", field.path),
            })
            .collect();
        let object = if write.verb == Verb::Label {
            "Namespace"
        } else {
            &write.object
        };
        rows.push(row(write.verb.as_str(), object, fields.join("; ")));
    }
    for held in &section.held {
        let object = held.object.split_once('/').filter(|(kind, _)| *kind == "Namespace");
        let object = object.map_or(held.object.as_str(), |(kind, _)| kind);
        rows.push(row("held", object, format!("{}: {}", held.code, held.message)));
    }
    if section.audits > 0 {
        rows.push(row(
            "audit",
            "-",
            count(section.audits, "finding more", "findings more"),
        ));
    }
    rows
}

fn summed_up(diff: &Diff, paint: Paint) -> String {
    let summary = &diff.summary;
    if !diff.is_something() {
        return "It changes nothing.\n".to_owned();
    }
    let parts = [
        (summary.create, "to create"),
        (summary.replace, "to replace"),
        (summary.delete, "to delete"),
        (summary.label, "to label"),
        (summary.held, "held"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    let parts = if parts.is_empty() {
        "nothing is written".to_owned()
    } else {
        parts.join(", ")
    };
    let mut text = format!(
        "In {}: {parts}.\n",
        count(summary.namespaces, "namespace", "namespaces")
    );
    if summary.loosen > 0 {
        let told = format!("It loosens {}.\n", count(summary.loosen, "control", "controls"));
        text += &paint.severity(Severity::Error, &told);
    }
    for object in &diff.objects {
        let Some(brake) = &object.brake else { continue };
        let counts = format!(
            "loosens {}, newly enforces {} and tightens {} controls in {} of {} namespaces",
            brake.loosens, brake.newly_enforces, brake.tightens, brake.affected, brake.namespaces
        );
        let name = harmless(&object.name);
        text += &if brake.waits {
            let told = format!("The brake would have {name} wait: it {counts}. It goes on once somebody confirms it.");
            paint.severity(Severity::Warning, &told) + "\n"
        } else {
            format!("The brake lets {name} pass: it {counts}.\n")
        };
    }
    if !diff.preflight
        && diff
            .namespaces
            .iter()
            .any(|n| n.sections.iter().any(|s| !s.writes.is_empty()))
    {
        text += &paint.faint("Whether it would break what runs was not asked; --preflight does.");
        text.push('\n');
    }
    text
}
