//! A changed baseline: one quota value, over the whole fleet.

use anyhow::{Result, ensure};
use jiff::Timestamp;
use serde_json::json;

use crate::Bench;
use crate::convergence::QUIET;
use crate::fleet::{FLEET, spec};
use crate::measure::{Tally, follow, recording, seconds};
use crate::process::Process;
use crate::reference::{Task, save};
use crate::report::{Goal, Range, Row};
use crate::support::audit::Mark;

async fn operator(bench: &Bench) -> Result<(f64, usize)> {
    let fleet = &bench.fleet;
    fleet.reset(bench.held()?).await?;
    let stage = fleet.operator().await?;
    let baseline = fleet.baseline(FLEET, spec()).await?;
    fleet.idle().await?;
    let log = fleet.plane.audit();
    let mark = log.mark()?;
    let mut quotas = spec()["resourceQuotas"].take();
    quotas["items"][0]["hard"]["pods"] = json!(60);
    let began = baseline.change(json!({ "resourceQuotas": quotas })).await?;
    let whole = |tally: &Tally| tally.children.len() >= fleet.count;
    let tally = follow(&log, mark, QUIET, bench.patience(), whole).await?;
    drop(stage);
    Ok((seconds(began, tally.last_child()?), tally.children.len()))
}

async fn reference(bench: &Bench) -> Result<f64> {
    let fleet = &bench.fleet;
    fleet.reset(bench.held()?).await?;
    let task = Task::Write {
        phases: vec![bench.dir.path().join("changes")],
        connections: bench.recorded()?.connections,
    };
    let log = fleet.plane.audit();
    let mark = log.mark()?;
    let mut process = Process::start(fleet.target(), task).await?;
    process.go().await?;
    let whole = |tally: &Tally| tally.children.len() >= fleet.count;
    let tally = follow(&log, mark, QUIET, bench.patience(), whole).await?;
    let done = process.done().await?;
    ensure!(done.count == fleet.count, "{} writes by the reference", done.count);
    Ok(seconds(Timestamp::from_microsecond(done.began)?, tally.last_child()?))
}

/// Measures it.
pub async fn measure(bench: &mut Bench) -> Result<()> {
    let count = bench.fleet.count as f64;
    let (mut pairs, mut writes) = (Vec::new(), Vec::new());
    for pair in 0..bench.repeats {
        let first = if pair % 2 == 1 {
            Some(reference(bench).await?)
        } else {
            None
        };
        let (took, wrote) = operator(bench).await?;
        if pair == 0 {
            let recorded = recording(&bench.fleet.plane.audit(), Mark::START)?;
            save(&bench.dir.path().join("changes"), &recorded.children)?;
        }
        let other = match first {
            Some(other) => other,
            None => reference(bench).await?,
        };
        pairs.push((count / took, count / other));
        writes.push(wrote as f64 / count);
    }
    let report = &mut bench.report;
    report.add(Row::pairs(
        "a changed quota over the fleet",
        "writes/s",
        &pairs,
        Goal::RatioAtLeast(0.9),
    ));
    report.add(
        Range::of(writes).map(|range| {
            Row::alone("a changed quota", "writes for each namespace", range, Goal::AtMost(1.0)).asserted()
        }),
    );
    Ok(())
}
