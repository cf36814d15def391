//! How long it takes from bare namespaces to the baseline, and how many requests.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use crate::Bench;
use crate::fleet::{CHILDREN, FLEET, spec};
use crate::measure::{Recording, Tally, follow, recording, seconds, usage};
use crate::process::Process;
use crate::reference::{Task, save};
use crate::report::{Goal, Range, Row, Series};
use crate::support::Stage;
use crate::support::audit::Mark;

/// At how many connections the reference is tried.
const CONNECTIONS: [usize; 5] = [8, 16, 32, 64, 128];
/// How long it must be quiet before what was written is counted: longer than a status waits to be written.
pub const QUIET: Duration = Duration::from_millis(2500);
/// How many namespaces with each number of connections are enough to choose: several for each connection.
const TRIAL: usize = 250;

/// What one run took.
pub struct Run {
    /// To the last child, in seconds.
    pub children: f64,
    /// To the last report, in seconds.
    pub reports: f64,
    /// What was asked of the API server.
    pub tally: Tally,
    /// When it began.
    pub began: Timestamp,
    /// User and system time meanwhile, in seconds.
    pub cpu: f64,
    /// The same of the control plane's processes.
    pub server: f64,
}

/// From the bare cluster to the baseline, by the operator, which then rests.
pub async fn operator(bench: &Bench) -> Result<(Run, Stage)> {
    let fleet = &bench.fleet;
    fleet.reset(&bench.bare).await?;
    let stage = fleet.operator().await?;
    let baseline = fleet.baseline(FLEET, spec()).await?;
    fleet.idle().await?;
    let log = fleet.plane.audit();
    let mark = log.mark()?;
    let before = usage(stage.operator.pid())?;
    let server = fleet.server_cpu().await?;
    let began = baseline.create().await?;
    let whole = |tally: &Tally| tally.reported() == fleet.count && tally.children.len() >= fleet.count * CHILDREN;
    let tally = follow(&log, mark, QUIET, bench.patience(), whole).await?;
    baseline.compliant(fleet.count).await?;
    let cpu = usage(stage.operator.pid())?.cpu - before.cpu;
    let server = fleet.server_cpu().await? - server;
    Ok((run(began, tally, cpu, server)?, stage))
}

fn run(began: Timestamp, tally: Tally, cpu: f64, server: f64) -> Result<Run> {
    let last_report = tally.last_report.unwrap_or(began);
    Ok(Run {
        children: seconds(began, tally.last_child()?),
        reports: seconds(began, last_report),
        tally,
        began,
        cpu,
        server,
    })
}

/// The same by the reference.
async fn reference(bench: &Bench, recorded: &Recorded) -> Result<Run> {
    let fleet = &bench.fleet;
    fleet.reset(&bench.bare).await?;
    let log = fleet.plane.audit();
    let mark = log.mark()?;
    let task = Task::Write {
        phases: vec![recorded.children.clone(), recorded.reports.clone()],
        connections: recorded.connections,
    };
    let mut process = Process::start(fleet.target(), task).await?;
    let server = fleet.server_cpu().await?;
    process.go().await?;
    let whole = |tally: &Tally| tally.reported() == fleet.count;
    let tally = follow(&log, mark, QUIET, bench.patience(), whole).await?;
    let done = process.done().await?;
    ensure!(
        done.count == tally.requests,
        "{} calls, {} in the audit log",
        done.count,
        tally.requests
    );
    let sent = recording(&log, mark)?;
    let different = sent.difference(&recorded.recording);
    ensure!(different == 0, "{different} calls differ from the operator's");
    let server = fleet.server_cpu().await? - server;
    run(Timestamp::from_microsecond(done.began)?, tally, done.cpu, server)
}

/// What the operator was seen to write, for the reference to write.
pub struct Recorded {
    /// The writes.
    pub recording: Recording,
    /// As a file.
    pub children: PathBuf,
    /// As a file.
    pub reports: PathBuf,
    /// The number of connections at which the reference is fastest.
    pub connections: usize,
}

/// Reads what the operator wrote, and finds the reference's best number of connections.
async fn record(bench: &mut Bench, best: bool) -> Result<Recorded> {
    let log = bench.fleet.plane.audit();
    // The log was empty when the operator began.
    let recording = recording(&log, Mark::START)?;
    let writes: usize = recording.children.iter().map(Vec::len).sum();
    ensure!(writes == bench.fleet.count * CHILDREN, "{writes} writes were recorded");
    let (children, reports) = (bench.dir.path().join("children"), bench.dir.path().join("reports"));
    save(&children, &recording.children)?;
    save(&reports, &recording.reports)?;
    let mut recorded = Recorded {
        recording,
        children,
        reports,
        connections: 32,
    };
    if best {
        recorded.connections = tune(bench, &recorded).await?;
    }
    Ok(recorded)
}

/// Tries the reference with each number of connections, up and down again, on a share of the fleet each.
async fn tune(bench: &mut Bench, recorded: &Recorded) -> Result<usize> {
    let groups = &recorded.recording.children;
    let share = groups.len().min(TRIAL);
    let down = CONNECTIONS.iter().rev();
    // Where each trial needs a cluster of its own, one way has to do.
    let down = down.take(if groups.len() / TRIAL < CONNECTIONS.len() {
        0
    } else {
        CONNECTIONS.len()
    });
    let mut rates = std::collections::BTreeMap::<usize, Vec<f64>>::new();
    let mut left = groups.get(..0).unwrap_or_default();
    for connections in CONNECTIONS.iter().chain(down).copied() {
        if left.len() < share {
            bench.fleet.reset(&bench.bare).await?;
            left = groups;
        }
        let path = bench.dir.path().join("trial");
        let (now, later) = left.split_at(share);
        left = later;
        save(&path, now)?;
        let task = Task::Write {
            phases: vec![path],
            connections,
        };
        let mut process = Process::start(bench.fleet.target(), task).await?;
        process.go().await?;
        let done = process.done().await?;
        rates
            .entry(connections)
            .or_default()
            .push(done.count as f64 / done.seconds);
    }
    let means: Vec<(usize, f64)> = rates
        .into_iter()
        .map(|(connections, rates)| (connections, rates.iter().sum::<f64>() / rates.len() as f64))
        .collect();
    let told: Vec<String> = means
        .iter()
        .map(|(connections, rate)| format!("{connections}: {rate:.0}"))
        .collect();
    bench.report.note(format!(
        "the reference's writes per second by its number of connections: {}",
        told.join(", ")
    ));
    let best = means.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    Ok(best.map_or(32, |(connections, _)| *connections))
}

/// Measures it, or only has the operator do it once. The operator of the last run rests, for what is measured next.
pub async fn measure(bench: &mut Bench, compare: bool) -> Result<Stage> {
    let pairs = if compare && !bench.smoke { bench.repeats } else { 0 };
    let (first, stage) = operator(bench).await?;
    let mut resting = Some(stage);
    let recorded = record(bench, pairs > 0).await?;
    let (mut operators, mut references) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        drop(resting.take());
        // Each goes first in every other pair, the operator last of all: what drifts with time favours neither.
        let reference_first = (pairs - pair) % 2 == 1;
        if reference_first {
            references.push(reference(bench, &recorded).await?);
        }
        let (run, stage) = operator(bench).await?;
        operators.push(run);
        if reference_first {
            resting = Some(stage);
        } else {
            drop(stage);
            references.push(reference(bench, &recorded).await?);
        }
    }
    // The first run is for the recording and its requests; its time does not count where there are others.
    if operators.is_empty() {
        operators.push(first);
    }
    if compare {
        tell(bench, &operators, &references);
    }
    bench.recorded = Some(recorded);
    resting.context("the last run is the operator's")
}

fn tell(bench: &mut Bench, operators: &[Run], references: &[Run]) {
    let writes = (bench.fleet.count * CHILDREN) as f64;
    let all = (bench.fleet.count * (CHILDREN + 1)) as f64;
    let pairs = |rate: &dyn Fn(&Run) -> f64| -> Vec<(f64, f64)> {
        operators.iter().map(rate).zip(references.iter().map(rate)).collect()
    };
    let report = &mut bench.report;
    report.add(Row::pairs(
        "CPU in convergence and until all is quiet",
        "s",
        &pairs(&|run| run.cpu),
        Goal::None,
    ));
    report.add(Row::pairs(
        "CPU of the control plane meanwhile",
        "s",
        &pairs(&|run| run.server),
        Goal::None,
    ));
    report.add(Row::pairs(
        "convergence to the last child",
        "writes/s",
        &pairs(&|run| writes / run.children),
        Goal::RatioAtLeast(0.9),
    ));
    report.add(Row::pairs(
        "convergence to the last report",
        "writes/s",
        &pairs(&|run| all / run.reports),
        Goal::RatioAtLeast(0.85),
    ));
    let each = operators
        .iter()
        .map(|run| run.tally.requests as f64 / run.tally.objects() as f64);
    if let Some(range) = Range::of(each) {
        report.add(Row::alone("requests", "per object written", range, Goal::AtMost(1.02)).asserted());
    }
    for (name, runs) in [("operator", operators), ("reference", references)] {
        let Some(run) = runs.first() else { continue };
        let mut times: Vec<f64> = run
            .tally
            .children
            .iter()
            .map(|done| seconds(run.began, *done))
            .collect();
        times.sort_by(f64::total_cmp);
        let step = (times.len() / 500).max(1);
        let points = times
            .iter()
            .enumerate()
            .step_by(step)
            .map(|(count, at)| (*at, count as f64))
            .collect();
        report.series.push(Series {
            panel: "children written over seconds".to_owned(),
            name: name.to_owned(),
            points,
        });
    }
    if let Some(run) = operators.first() {
        report.note(format!(
            "the operator's requests of its first run: {}",
            run.tally
                .by
                .iter()
                .map(|(what, count)| format!("{what} {count}"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
        report.note(format!(
            "{} objects were written by it, {} writes were refused",
            run.tally.objects(),
            run.tally.refused
        ));
    }
}
