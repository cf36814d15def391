//! `check`: whether this cluster and this ServiceAccount can do it.

mod looks;
pub(super) mod model;

use super::cluster::{Connect, Progress};
use super::output::{Formatted, Paint, Table};
use super::{Failure, Verdict, print};
use crate::core::codes::Severity;
use model::{Check, ClusterCheck, Outcome};

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

pub(super) async fn check(args: &Args) -> Result<Verdict, Failure> {
    let connection = args.connect.connect().await?;
    let progress = Progress::new();
    let checks = looks::all(&connection, &args.connect, args.pre, &progress).await?;
    drop(progress);
    let all = ClusterCheck::new(checks);
    let text = args.formatted.text(&all, |paint| table(&all.checks, paint))?;
    print(&text)?;
    let of = |outcome| all.checks.iter().filter(move |check| check.result == outcome);
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
