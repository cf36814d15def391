//! What it takes to list everything anew.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::Bench;
use crate::measure::{follow, usage};
use crate::report::{Goal, Range, Row};
use crate::rest::QUIET;
use crate::support::Component;

/// How many kinds there are of which each namespace has something, with the namespaces.
const KINDS: usize = 7;

/// Measures it: the API server crashes, and comes back without what it remembered of the past.
pub async fn measure(bench: &mut Bench) -> Result<()> {
    let fleet = &bench.fleet;
    fleet.reset(bench.held()?).await?;
    let stage = fleet.operator().await?;
    let log = fleet.plane.audit();
    follow(&log, log.mark()?, QUIET, bench.patience(), |_| true).await?;
    let before = usage(stage.operator.pid())?;
    let mark = log.mark()?;
    fleet.plane.kill(Component::ApiServer).await?;
    fleet.plane.start_component(Component::ApiServer).await?;
    // The operator's watches cannot go on from a version that the new API server has never seen.
    let namespaces: Api<Namespace> = Api::all(fleet.admin().await?);
    for number in 0..10 {
        let patch = json!({"metadata": {"annotations": {"bench.example.com/number": number.to_string()}}});
        namespaces
            .patch("default", &PatchParams::default(), &Patch::Merge(patch))
            .await?;
    }
    let tally = follow(&log, mark, QUIET, bench.patience(), |_| true).await?;
    let after = usage(stage.operator.pid())?;
    let range = |value: f64| Range::of([value]).context("one value");
    let rows = [
        Row::alone(
            "memory at rest, after all was listed anew",
            "MB",
            range(after.resident)?,
            Goal::AtMost(64.0),
        ),
        Row::alone(
            "memory at its highest, all listed anew",
            "MB",
            range(after.highest)?,
            Goal::AtMost(96.0),
        ),
    ];
    let report = &mut bench.report;
    rows.into_iter().for_each(|row| report.add(row));
    report.note(format!(
        "after the API server's crash the operator made {} lists (of {KINDS} large kinds and some small ones) and {} writes; before, {:.1} MB were resident, {:.1} MB at the most",
        tally.lists, tally.writes, before.resident, before.highest
    ));
    Ok(())
}
