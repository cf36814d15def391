//! `exceptions`: what is waived, by whom, and for how long.

use k8s_openapi::jiff::Timestamp;

use super::cluster::{Look, Namespaces};
use super::output::{Output, Table, harmless};
use super::report::collect;
use super::report::model::{ExceptionSummary, Finding};
use super::{Failure, Verdict, print};
use crate::core::codes::Severity;
use crate::engine::snapshot::Scope;

/// Arguments of `exceptions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    namespaces: Namespaces,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn exceptions(args: &Args) -> Result<Verdict, Failure> {
    let (snapshot, source) = args.look.snapshot(args.namespaces.scope()).await?;
    if let Some(unknown) = snapshot.unknown.iter().find(|unknown| unknown.source == "exceptions") {
        return Err(format!("you may not {}", unknown.right).into());
    }
    let report = collect::report(&snapshot, source);
    let paint = args.output.paint();
    let mut table = Table::new(
        &[
            "NAME",
            "STATE",
            "TIME LEFT",
            "NAMESPACES",
            "WAIVES NOW",
            "APPROVER",
            "REASON",
        ],
        paint,
    );
    for exception in &report.exceptions {
        let left = exception
            .expires_at
            .map_or("-".to_owned(), |at| left(at, report.generated_at));
        table.row([
            &*exception.name,
            &exception.state,
            &left,
            &exception.namespaces.join(","),
            &waives(exception),
            &exception.approver,
            &exception.reason,
        ]);
        if exception
            .findings
            .iter()
            .any(|finding| finding.severity >= Severity::Warning)
        {
            table.paint(1, |text| paint.severity(Severity::Warning, text));
        }
    }
    let mut text = if table.is_empty() {
        match &snapshot.scope {
            Scope::Only(names) if !snapshot.exceptions().is_empty() => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                format!("There is no BaselineException that is about {}.\n", names.join(" or "))
            }
            _ => "There is no BaselineException.\n".to_owned(),
        }
    } else {
        table.text("")
    };
    for finding in report.exceptions.iter().flat_map(|exception| &exception.findings) {
        let what = harmless(&format!("{}: {}", finding.object, finding.message));
        text += &format!("\n{} {what}\n", paint.severity(finding.severity, &finding.code));
    }
    print(&text)?;
    let found = report
        .exceptions
        .iter()
        .flat_map(|exception| &exception.findings)
        .any(Finding::counts);
    Ok(Verdict::found(found, args.output.exit_zero))
}

fn waives(exception: &ExceptionSummary) -> String {
    match exception.waives.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// How long it is until then, in the largest two units.
fn left(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    if seconds <= 0 {
        return "over".to_owned();
    }
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_in_two_units() {
        let at = |seconds| left(Timestamp::from_second(seconds).unwrap(), Timestamp::UNIX_EPOCH);
        for (seconds, told) in [(0, "over"), (30, "30s"), (90, "1m"), (3_700, "1h1m"), (90_000, "1d1h")] {
            assert_eq!(at(seconds), told);
        }
    }
}
