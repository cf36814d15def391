//! A diff for people.

use std::collections::BTreeMap;

use super::model::{Diff, NamespaceDiff, SectionDiff, Verb};
use crate::cli::output::{Paint, Table, count, harmless, listed};
use crate::core::codes::Severity;

/// The diff as text.
pub fn text(diff: &Diff, paint: Paint) -> String {
    let mut text = String::new();
    for object in &diff.objects {
        let change = match object.change {
            "none" => "is as it is there",
            "create" => "is new",
            "delete" => "is deleted",
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
        let sections = namespace.sections.iter().flat_map(told);
        for row in membership(namespace).into_iter().chain(sections) {
            grouped.entry(row).or_default().push(&namespace.name);
        }
    }
    let mut table = Table::new(&["CHANGE", "WHERE", "CONTROL", "OBJECT", "WHAT"], paint);
    for ((section, verb, object, what), places) in &grouped {
        table.row([*verb, &listed(places), section, object, what]);
        table.paint(0, |text| match *verb {
            "loosen" | "leave" | "delete" | "held" => paint.severity(Severity::Error, text),
            "deselect" | "replace" | "recreate" => paint.severity(Severity::Warning, text),
            _ => paint.severity(Severity::Note, text),
        });
    }
    if table.is_empty() {
        return String::new();
    }
    table.text("") + "\n"
}

/// What becomes different in who holds a namespace.
fn membership(namespace: &NamespaceDiff) -> Vec<Row> {
    let rows = [
        (namespace.joins, "join", "a baseline holds it from now on"),
        (
            namespace.leaves,
            "leave",
            "no baseline holds it any more; what is not deleted stays",
        ),
        (
            namespace.deselected,
            "deselect",
            "it loses labels that select it, and is held on until it is released",
        ),
    ];
    let rows = rows.into_iter().filter(|(is, ..)| *is);
    rows.map(|(_, verb, what)| ("-".to_owned(), verb, "Namespace".to_owned(), what.to_owned()))
        .collect()
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
    let counted = |parts: &[(usize, &str)]| {
        let parts = parts.iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> = parts.map(|(number, what)| format!("{number} {what}")).collect();
        parts.join(", ")
    };
    let mut parts = counted(&[
        (summary.create, "to create"),
        (summary.replace, "to replace"),
        (summary.delete, "to delete"),
        (summary.label, "to label"),
        (summary.held, "held"),
    ]);
    if parts.is_empty() {
        "nothing is written".clone_into(&mut parts);
    }
    let mut text = format!(
        "In {}: {parts}.\n",
        count(summary.namespaces, "namespace", "namespaces")
    );
    let moved = counted(&[
        (summary.joins, "held from now on"),
        (summary.leaves, "held no more"),
        (summary.deselected, "held without the labels that select it"),
    ]);
    if !moved.is_empty() {
        text += &format!("Namespaces: {moved}.\n");
    }
    if summary.loosen > 0 {
        let told = format!("It loosens {}.", count(summary.loosen, "control", "controls"));
        text += &paint.severity(Severity::Error, &told);
        text.push('\n');
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
