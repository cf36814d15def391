//! What the operator costs while nothing changes.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::Bench;
use crate::measure::{Tally, follow, usage};
use crate::report::{Goal, Range, Row};
use crate::support::Stage;

/// How long it is at rest before its memory counts.
pub const QUIET: Duration = Duration::from_secs(10);

/// What may be resident, in MB: where all is measured, the goal for ten thousand namespaces; for a few, what each may cost
/// beside what the operator needs without any, and what the allocator keeps of the 64 that were worked on at a time.
pub fn resident(bench: &Bench) -> Goal {
    const WITHOUT: f64 = 32.0;
    const EACH: f64 = 0.004;
    Goal::AtMost(if bench.smoke {
        WITHOUT + EACH * bench.fleet.count as f64
    } else {
        64.0
    })
}

/// Measures memory, requests and CPU of an operator that has just brought the fleet to its baseline.
pub async fn measure(bench: &mut Bench, stage: &Stage) -> Result<()> {
    let window = Duration::from_secs(if bench.smoke { 20 } else { 60 });
    let pid = stage.operator.pid();
    let log = bench.fleet.plane.audit();
    follow(&log, log.mark()?, QUIET, bench.patience(), |_| true).await?;
    let (mark, before) = (log.mark()?, usage(pid)?);
    sleep(window).await;
    let (mut tally, after) = (Tally::default(), usage(pid)?);
    log.visit(mark, |request| {
        tally.add(&request);
        Ok(())
    })?;
    let one = |value: f64| Range::of([value]);
    let seconds = window.as_secs();
    let limit = resident(bench);
    let report = &mut bench.report;
    let rows = [
        one(after.resident).map(|range| Row::alone("memory at rest, after convergence", "MB", range, limit).asserted()),
        one(after.highest).map(|range| {
            Row::alone("memory at its highest, in convergence", "MB", range, Goal::AtMost(96.0)).asserted()
        }),
        one(tally.requests as f64).map(|range| {
            Row::alone("requests at rest", &format!("in {seconds} s"), range, Goal::AtMost(0.0)).asserted()
        }),
        one(after.cpu - before.cpu)
            .map(|range| Row::alone("CPU at rest", &format!("s in {seconds} s"), range, Goal::AtMost(0.1))),
    ];
    for row in rows {
        report.add(row);
    }
    report.note(format!(
        "watches renewed in these {seconds} s: {}",
        tally.by.values().sum::<usize>() - tally.requests
    ));
    Ok(())
}
