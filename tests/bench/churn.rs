//! What must cost nothing: statuses of quotas that change, and baselines that ask for the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::time::sleep;

use crate::Bench;
use crate::fleet::{FLEET, name, spec};
use crate::measure::{Tally, follow, usage};
use crate::reference::{connections, write};
use crate::report::{Goal, Range, Row};
use crate::rest::QUIET;
use crate::wire::Call;

/// In how many namespaces the quota's status changes, at the most.
const NAMESPACES: usize = 1000;
/// How many baselines ask for the same.
const BASELINES: usize = 300;
/// How many connections change statuses.
const WRITERS: usize = 8;
/// How long the operator is at rest while its CPU counts.
const WINDOW: Duration = Duration::from_secs(60);

/// Measures both.
pub async fn measure(bench: &mut Bench) -> Result<()> {
    bench.fleet.reset(bench.held()?).await?;
    let stage = bench.fleet.operator().await?;
    let log = bench.fleet.plane.audit();
    let pid = stage.operator.pid();
    follow(&log, log.mark()?, QUIET, bench.patience(), |_| true).await?;
    let alone = |figure: &str, unit: &str, value: f64, goal: Goal| -> Result<Row> {
        Ok(Row::alone(figure, unit, Range::of([value]).context("one value")?, goal))
    };

    let count = bench.fleet.count.min(NAMESPACES);
    let churn = |number: usize| Call {
        method: "PATCH".to_owned(),
        uri: format!(
            "/api/v1/namespaces/{}/resourcequotas/security-baseline-compute/status",
            name(FLEET, number)
        ),
        body: json!({"status": {"used": {"pods": "7"}}}).to_string(),
    };
    let (mark, before) = (log.mark()?, usage(pid)?);
    let calls: Vec<Vec<Call>> = (0..count).map(|number| vec![churn(number)]).collect();
    write(
        connections(&bench.fleet.admin_target()?, WRITERS).await?,
        Arc::new(calls),
    )
    .await?;
    let tally = follow(&log, mark, QUIET / 3, bench.patience(), |_| true).await?;
    let used = usage(pid)?.cpu - before.cpu;
    bench.report.add(alone(
        &format!("statuses of {count} quotas that change, requests"),
        "requests",
        tally.requests as f64,
        Goal::AtMost(0.0),
    )?);
    bench.report.add(alone(
        &format!("statuses of {count} quotas that change, CPU"),
        "s",
        used,
        Goal::None,
    )?);

    let (mark, before) = (log.mark()?, usage(pid)?);
    let baseline = bench.fleet.baseline(FLEET, spec()).await?;
    let calls = (0..BASELINES).map(|number| Ok(vec![baseline.creation(&format!("overlap-{number:03}"))?]));
    let calls = calls.collect::<Result<Vec<_>>>()?;
    write(
        connections(&bench.fleet.admin_target()?, WRITERS).await?,
        Arc::new(calls),
    )
    .await?;
    let tally = follow(&log, mark, QUIET, bench.patience() * 4, |_| true).await?;
    let after = usage(pid)?;
    bench.report.note(format!(
        "until {BASELINES} baselines that overlap were taken up, the operator made {} requests in {:.1} s of CPU: {}",
        tally.requests,
        after.cpu - before.cpu,
        tally
            .by
            .iter()
            .map(|(what, count)| format!("{what} {count}"))
            .collect::<Vec<_>>()
            .join(", ")
    ));
    let mark = log.mark()?;
    sleep(WINDOW).await;
    let mut tally = Tally::default();
    log.visit(mark, |request| {
        tally.add(&request);
        Ok(())
    })?;
    let rested = usage(pid)?;
    let with = |what: &str| format!("{BASELINES} baselines that overlap, {what}");
    bench.report.add(alone(
        &with("memory at rest"),
        "MB",
        rested.resident,
        Goal::AtMost(64.0),
    )?);
    bench.report.add(alone(
        &with("memory at its highest"),
        "MB",
        rested.highest,
        Goal::AtMost(96.0),
    )?);
    bench.report.add(alone(
        &with("requests at rest"),
        "in 60 s",
        tally.requests as f64,
        Goal::AtMost(0.0),
    )?);
    bench.report.add(alone(
        &with("CPU at rest"),
        "s in 60 s",
        rested.cpu - after.cpu,
        Goal::AtMost(0.1),
    )?);
    Ok(())
}
