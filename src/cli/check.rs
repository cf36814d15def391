//! `check`: whether this cluster and this ServiceAccount can do it.

mod looks;

use serde::Serialize;

use super::cluster::{Connect, Progress};
use super::output::{Formatted, Paint, Table};
use super::{Failure, Verdict, print};
use crate::core::codes::Severity;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Before the installation: that the operator is not there yet is no fault, and your own rights to install it count.
    #[arg(long)]
    pre: bool,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    formatted: Formatted,
}

/// What a check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    /// What was checked.
    name: &'static str,
    /// How it went.
    result: Outcome,
    /// What was found, and what to do where that is not well.
    message: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Outcome {
    Ok,
    /// It cannot be seen from here, and something may depend on it that nobody can check so.
    NotVisible,
    Warning,
    Failed,
    /// It could be seen by somebody with more rights.
    Unknown,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "Ok",
            Self::NotVisible => "NotVisible",
            Self::Warning => "Warning",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }
}

impl Check {
    fn new(name: &'static str, result: Outcome, message: impl Into<String>) -> Self {
        Self {
            name,
            result,
            message: message.into(),
        }
    }
}

pub(super) async fn check(args: &Args) -> Result<Verdict, Failure> {
    let connection = args.connect.connect().await?;
    let progress = Progress::new();
    let checks = looks::all(&connection, &args.connect.operator_namespace, args.pre, &progress).await?;
    progress.done();
    let text = args.formatted.text(&checks, |paint| table(&checks, paint))?;
    print(&text)?;
    let of = |outcome| checks.iter().filter(move |check| check.result == outcome);
    let unknown: Vec<String> = of(Outcome::Unknown)
        .map(|check| format!("{} is unknown: {}", check.name, check.message))
        .collect();
    let failed = of(Outcome::Failed).next().is_some();
    if !failed && !unknown.is_empty() {
        return Ok(Verdict::Unknown(unknown));
    }
    Ok(Verdict::found(failed, args.formatted.output.exit_zero))
}

fn table(checks: &[Check], paint: Paint) -> String {
    let mut table = Table::new(&["CHECK", "RESULT", "WHAT"], paint);
    for check in checks {
        table.row([check.name, check.result.as_str(), &check.message]);
        let severity = match check.result {
            Outcome::Ok => Severity::Note,
            Outcome::NotVisible | Outcome::Warning | Outcome::Unknown => Severity::Warning,
            Outcome::Failed => Severity::Error,
        };
        table.paint(1, |text| paint.severity(severity, text));
    }
    table.text("")
}
