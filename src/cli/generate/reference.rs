//! Pages of the reference that are made from the code: the command line, the codes of findings, the metrics, and the schema
//! of what is printed as data.

use clap::Command;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::cli::check::model::ClusterCheck;
use crate::cli::diff::model::Diff;
use crate::cli::report::model::Report;
use crate::core::codes::{REASONS, Severity};
use crate::engine::metrics::Metrics;

/// Every command, as its `--help` says.
pub(super) fn commands(mut root: Command) -> String {
    let mut text = String::from(
        "<!-- Generated from src/cli by `make generate`. Do not edit. -->\n# Command line\n\nWhat `--help` says of every command. How to use them is in [the command line](../cli.md).\n\nExit codes: 0, nothing is found; 1, something is; 2, something went wrong, or could not be seen.\n",
    );
    root.build();
    for command in root.get_subcommands().filter(|command| !command.is_hide_set()) {
        if command.get_name() == "help" {
            continue;
        }
        let mut command = command.clone();
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        text += &format!(
            "\n## {}\n\n```text\n{}\n```\n",
            command.get_name(),
            lines.join("\n").trim_end()
        );
    }
    text
}

/// Every code, with what is to be said of it.
pub(super) fn findings() -> String {
    let mut text = String::from(
        "<!-- Generated from src/core/codes by `make generate`. Do not edit. -->\n# Findings\n\nThe codes in what the command line prints. A code is `SB-`, the control (`NET` network isolation, `QTA` resource quotas, `LIM`\nlimit ranges, `PSS` Pod Security, `RBA` access, `GEN` none of them), and a number that stands for the reason: 0xx departs,\n1xx is blocked or held, 2xx is a warning, 3xx is at odds. A code keeps its meaning for ever.\n\nA command exits with 1 for findings of 0xx, 1xx and 3xx that are errors or warnings.\n",
    );
    for reason in REASONS {
        text += &format!("\n## {:03} {}\n\n", reason.number, reason.reason);
        let codes: Vec<String> = reason
            .codes()
            .iter()
            .map(|(_, code)| format!("<a id=\"{}\"></a>`{code}`", code.to_lowercase()))
            .collect();
        let severity = match reason.severity {
            Severity::Error => "an error",
            Severity::Warning => "a warning",
            Severity::Note => "a note",
        };
        text += &format!(
            "{}: {severity}\n\n{}\n\n**Why it matters.** {}\n\n**What to do.** {}\n",
            codes.join(" "),
            reason.means,
            reason.matters,
            reason.mend
        );
    }
    text
}

/// Every metric, with its labels and what it tells.
///
/// # Errors
/// When the metrics cannot be made.
pub(super) fn metrics() -> Result<String, prometheus::Error> {
    let mut text = String::from(
        "<!-- Generated from src/engine/metrics by `make generate`. Do not edit. -->\n# Metrics\n\nWhat the operator serves at `/metrics`, in Prometheus' text format. How to scrape it, and what to be woken for, is in\n[alerts](../alerts.md).\n\nNo label's values come from tenants, and none grows with the number of namespaces, but for\n`security_baseline_namespace_state`, which the configuration has to ask for. What is about baselines and namespaces comes\nfrom the replica that leads; one that stands by shows none of it.\n\n| Metric | Type | Labels | |\n|---|---|---|---|\n",
    );
    for metric in Metrics::new()?.described() {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            metric.full_name(),
            metric.kind,
            labels.join(", "),
            metric.help
        );
    }
    Ok(text)
}

/// The schema of what `--output json` and `yaml` print.
pub(super) fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let report = generator.subschema_for::<Report>();
    let diff = generator.subschema_for::<Diff>();
    let check = generator.subschema_for::<ClusterCheck>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What security-baseline prints as data",
        "description": "A PostureReport (audit, explain, report), a BaselineDiff (diff) or a ClusterCheck (check).",
        "anyOf": [report, diff, check],
        "$defs": generator.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::codes::{AREAS, GENERAL};

    #[test]
    fn the_page_of_findings_says_what_every_area_stands_for() {
        let text = findings();
        for area in AREAS.iter().map(|(_, area)| *area).chain([GENERAL]) {
            assert!(text.contains(&format!("`{area}`")), "{area} is not explained");
        }
    }
}
