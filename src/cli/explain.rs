//! `explain`: what holds in one namespace, and why.

use super::cluster::Look;
use super::names;
use super::output::{Formatted, Paint, Table, harmless};
use super::report::model::{ControlSummary, NamespaceSummary, Report};
use super::report::{collect, table};
use super::{Failure, Verdict, print};
use crate::api::v1alpha1::{EffectiveValue, WaivedItem};
use crate::core::object::RESERVED_PREFIX;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The namespace.
    #[arg(value_parser = names::namespace)]
    namespace: String,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    formatted: Formatted,
}

pub(super) async fn explain(args: &Args) -> Result<Verdict, Failure> {
    let (snapshot, source) = args.look.one(&args.namespace).await?;
    let report = collect::report(&snapshot, source);
    let text = args.formatted.text(&report, |paint| {
        explained(
            &report,
            &args.namespace,
            snapshot.config().excludes(&args.namespace),
            paint,
        )
    })?;
    print(&text)?;
    Ok(Verdict::of(&report, args.formatted.output.exit_zero))
}

fn explained(report: &Report, name: &str, excluded: bool, paint: Paint) -> String {
    let Some(namespace) = report.namespaces.iter().find(|namespace| namespace.name == name) else {
        let why = if excluded {
            "the operator's configuration excludes it (excludedNamespaces)"
        } else {
            "no SecurityBaseline selects it"
        };
        return format!("{}: {why}, so that nothing is declared for it.\n", paint.strong(name));
    };
    let mut text = format!(
        "{}: {}\n",
        paint.strong(name),
        paint.state(namespace.state, namespace.state.as_str())
    );
    text += &held_by(namespace);
    text += &table::told(&namespace.findings, paint);
    for control in &namespace.controls {
        text.push('\n');
        text += &explained_control(control, paint);
    }
    if namespace.drift.total > 0 {
        text += &format!(
            "\nDrifted {} times so far, repaired {} times; the last ones:\n",
            namespace.drift.total, namespace.drift.repaired
        );
        let mut records = Table::new(&["SEEN", "OBJECT", "FIELD", "CLAIMED BY", "REPAIRED"], paint);
        for record in namespace.drift.records.iter().take(5) {
            let field = if record.path.is_empty() {
                "(all of it)"
            } else {
                &record.path
            };
            let repaired = record.repaired.map_or("no".to_owned(), |at| at.to_string());
            records.row([
                &*record.seen.to_string(),
                &record.object,
                field,
                &record.claimed_by,
                &repaired,
            ]);
        }
        text += &records.text("  ");
    }
    text
}

fn held_by(namespace: &NamespaceSummary) -> String {
    if namespace.baselines.is_empty() {
        return "  no baseline holds it any more; what was created here stays\n".to_owned();
    }
    let held = namespace.baselines.iter().map(|held| {
        let deselected = if held.deselected { ", its labels are gone" } else { "" };
        format!(
            "{} ({}, generation {}{deselected})",
            held.name, held.state, held.generation
        )
    });
    let held = held.collect::<Vec<_>>().join(", ");
    format!("  held by {}\n", harmless(&held))
}

/// What a value is, and that exceptions waive it.
fn is(control: &ControlSummary, value: &EffectiveValue) -> String {
    match control.waived.iter().find(|waived| covers(waived, value)) {
        Some(WaivedItem { level: Some(level), .. }) => format!("{} (waived to {})", value.value, level.as_str()),
        Some(_) => format!("{} (waived)", value.value),
        None => value.value.clone(),
    }
}

/// Whether a value is of what is waived: of the whole control, of the level of Pod Security, or of an object.
fn covers(waived: &WaivedItem, value: &EffectiveValue) -> bool {
    let Some(object) = &waived.object else {
        return waived.level.is_none() || value.field == "enforce";
    };
    let Some((kind, name)) = object.split_once(&format!("/{RESERVED_PREFIX}")) else {
        return false;
    };
    match value.field.as_str() {
        "defaultDeny" => name == format!("default-deny-{}", value.value.to_lowercase()),
        "allow" => name.strip_prefix("allow-") == Some(&value.value),
        "role" => kind == "Role" && name == value.value,
        "binding" => kind == "RoleBinding" && name == value.value,
        field => field.split_once('/').is_some_and(|(item, _)| item == name),
    }
}

fn explained_control(control: &ControlSummary, paint: Paint) -> String {
    let mode = match control.mode {
        crate::api::v1alpha1::Mode::Audit => "audited",
        crate::api::v1alpha1::Mode::Enforce => "enforced",
    };
    let mut text = format!(
        "{}: {}, {mode}\n",
        paint.strong(&control.name),
        paint.state(control.state, control.state.as_str())
    );
    let mut values = Table::new(&["VALUE", "IS", "SET BY", "ASKED FOR LESS"], paint);
    for value in &control.effective {
        let less = value
            .asked_less
            .iter()
            .map(|less| format!("{} ({})", less.baseline, less.value));
        let less = less.collect::<Vec<_>>().join(", ");
        values.row([
            &*value.field,
            &is(control, value),
            &value.baseline,
            if less.is_empty() { "-" } else { &less },
        ]);
    }
    if !values.is_empty() {
        text += &values.text("  ");
    }
    for waived in &control.waived {
        let what = waived.object.as_deref().unwrap_or(&control.name);
        let to = waived
            .level
            .map(|level| format!(" to {}", level.as_str()))
            .unwrap_or_default();
        text += &harmless(&format!(
            "  waived: {what}{to}, by {}, until {}",
            waived.exceptions.join(", "),
            waived.until
        ));
        text.push('\n');
    }
    text + &table::told(&control.findings, paint)
}
