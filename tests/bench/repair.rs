//! How soon what an administrator breaks is whole again: at rest, during a rollout, and beside a noisy tenant.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::Bench;
use crate::fleet::{Copy, FLEET, name, spec};
use crate::measure::{follow, recording};
use crate::policies::{DENY, Ruler};
use crate::process::Process;
use crate::reference::{Task, save};
use crate::report::{Goal, Row, Series, percentile};
use crate::support::audit::Mark;
use crate::wire::Call;

/// As many samples as a 99th percentile needs.
const SAMPLES: usize = 1000;
/// From one change to the next, at least: each finds the operator at rest.
const PACE: Duration = Duration::from_millis(40);
/// How long a repair may take at the most.
const PATIENCE: Duration = Duration::from_secs(60);
/// The namespaces that are broken during a rollout to the others.
const WATCHED: &str = "watched";
/// From one edit of the noisy tenant to the next.
const NOISE: Duration = Duration::from_millis(10);

/// How a policy is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    Delete,
    Open,
}

/// Breaks the deny policy of one namespace after the other, and answers how many milliseconds each was broken.
async fn samples(
    bench: &Bench,
    ruler: &mut Ruler,
    namespaces: &[String],
    how: &[Break],
    go_on: impl Fn() -> bool,
) -> Result<Vec<f64>> {
    let client = bench.fleet.admin().await?;
    let mut times = Vec::new();
    let mut next = Instant::now();
    for (number, namespace) in namespaces.iter().enumerate() {
        if !go_on() {
            break;
        }
        sleep_until(next).await;
        next = Instant::now() + PACE;
        let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
        match how.get(number % how.len()) {
            Some(Break::Open) => open(&policies).await?,
            _ => drop(policies.delete(DENY, &DeleteParams::default()).await?),
        }
        times.push(ruler.repaired(namespace, PATIENCE).await?.as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Adds a rule that allows everything.
async fn open(policies: &Api<NetworkPolicy>) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"ingress": [{}]}}));
    policies.patch(DENY, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Who repairs.
enum Side {
    Operator { _stage: crate::support::Stage },
    Reference(Process),
}

/// Puts the cluster back and has one of the two watch over it.
async fn side(bench: &Bench, copy: &Copy, operator: bool, task: Task) -> Result<Side> {
    bench.fleet.reset(copy).await?;
    let side = if operator {
        Side::Operator {
            _stage: bench.fleet.operator().await?,
        }
    } else {
        Side::Reference(Process::start(bench.fleet.target(), task).await?)
    };
    bench.fleet.idle().await?;
    Ok(side)
}

/// The calls that create the deny policies of the namespaces whose creation is in these groups, as a file.
fn creations<'a>(bench: &Bench, file: &str, groups: impl IntoIterator<Item = &'a Vec<Call>>) -> Result<PathBuf> {
    let wanted = format!("\"name\":\"{DENY}\"");
    let calls = groups.into_iter().flatten();
    let calls: Vec<Vec<Call>> = calls
        .filter(|call| call.method == "POST" && call.body.contains(&wanted))
        .map(|call| vec![call.clone()])
        .collect();
    ensure!(!calls.is_empty(), "no creation of a {DENY} was recorded");
    let path = bench.dir.path().join(file);
    save(&path, &calls)?;
    Ok(path)
}

/// Measures all of it.
pub async fn measure(bench: &mut Bench) -> Result<()> {
    let creations = creations(bench, "creations", &bench.recorded()?.recording.children)?;
    let task = || Task::Repair {
        creations: creations.clone(),
        load: None,
    };
    let count = bench.fleet.count.min(SAMPLES);
    let namespaces: Vec<String> = (0..count).map(|number| name(FLEET, number)).collect();
    let mut deleted = Vec::new();
    let mut opened = Vec::new();
    let mut noisy = Vec::new();
    for operator in order(bench) {
        let mut side = side(bench, bench.held()?, operator, task()).await?;
        begin(&mut side).await?;
        let mut ruler = Ruler::begin(&bench.fleet.admin_target()?).await?;
        deleted.push((
            operator,
            samples(bench, &mut ruler, &namespaces, &[Break::Delete], || true).await?,
        ));
        opened.push((
            operator,
            samples(bench, &mut ruler, &namespaces, &[Break::Open], || true).await?,
        ));
        // One tenant opens its policy a hundred times a second.
        let noise = tokio::spawn(noise(Api::namespaced(bench.fleet.admin().await?, &name(FLEET, 0))));
        let others = namespaces.get(1..).unwrap_or_default();
        let how = [Break::Delete, Break::Open];
        noisy.push((operator, samples(bench, &mut ruler, others, &how, || true).await?));
        noise.abort();
    }
    tell(bench, "repair after a deletion", &deleted, (1.25, 2.0));
    tell(bench, "repair after an added `ingress: [{}]`", &opened, (1.25, 2.0));
    tell(
        bench,
        "repair beside a tenant with 100 edits a second",
        &noisy,
        (1.5, 1.5),
    );
    rollout(bench).await
}

/// Has the reference begin; the operator has.
async fn begin(side: &mut Side) -> Result<()> {
    if let Side::Reference(process) = side {
        process.go().await?;
        process.done().await?;
    }
    Ok(())
}

async fn noise(policies: Api<NetworkPolicy>) {
    let mut tick = interval(NOISE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        // It is being repaired at the same time: one that comes too late is one edit less.
        let _ = open(&policies).await;
    }
}

/// Repairs in namespaces that are held, while others are brought to the baseline.
async fn rollout(bench: &mut Bench) -> Result<()> {
    let watched = bench.fleet.count.min(SAMPLES);
    bench.fleet.reset(&bench.bare).await?;
    bench.fleet.namespaces(WATCHED, watched).await?;
    let stage = bench.fleet.operator().await?;
    let log = bench.fleet.plane.audit();
    let mark = log.mark()?;
    bench.fleet.baseline(WATCHED, spec()).await?.create().await?;
    follow(&log, mark, crate::convergence::QUIET, bench.patience(), |tally| {
        tally.reported() == watched
    })
    .await?;
    drop(stage);
    let creations = creations(bench, "watched", &recording(&log, Mark::START)?.children)?;
    let copy = bench.fleet.copy("watched").await?;
    let namespaces: Vec<String> = (0..watched).map(|number| name(WATCHED, number)).collect();
    let mut times = Vec::new();
    for operator in order(bench) {
        let recorded = bench.recorded()?;
        let task = Task::Repair {
            creations: creations.clone(),
            load: Some((recorded.children.clone(), recorded.connections)),
        };
        let mut side = side(bench, &copy, operator, task).await?;
        let mut ruler = Ruler::begin(&bench.fleet.admin_target()?).await?;
        let log = bench.fleet.plane.audit();
        let mark = log.mark()?;
        let (over, ended) = tokio::sync::watch::channel(());
        match &mut side {
            Side::Operator { .. } => drop(bench.fleet.baseline(FLEET, spec()).await?.create().await?),
            Side::Reference(process) => process.go().await?,
        }
        let all = bench.fleet.count * crate::fleet::CHILDREN;
        let patience = bench.patience();
        // Over when the last child of the others is there; repairs are among what is written, so it may end a little early.
        let rollout = tokio::spawn(async move {
            let done = follow(&log, mark, Duration::ZERO, patience, |tally| {
                tally.children.len() >= all
            })
            .await;
            drop(over);
            done
        });
        let how = [Break::Delete, Break::Open];
        let seen = samples(bench, &mut ruler, &namespaces, &how, || ended.has_changed().is_ok()).await?;
        rollout.await?.context("the rollout did not end")?;
        times.push((operator, seen));
    }
    tell(bench, "repair during a rollout", &times, (1.5, 1.5));
    Ok(())
}

/// Who is measured when: each goes first in every other pair.
fn order(bench: &Bench) -> Vec<bool> {
    (0..bench.repeats.min(2))
        .flat_map(|pair| [pair % 2 == 0, pair % 2 == 1])
        .collect()
}

fn tell(bench: &mut Bench, figure: &str, runs: &[(bool, Vec<f64>)], goals: (f64, f64)) {
    let of = |operator: bool, share: f64| -> Vec<f64> {
        let runs = runs.iter().filter(|(whose, _)| *whose == operator);
        runs.filter_map(|(_, times)| percentile(times, share)).collect()
    };
    let counts: Vec<String> = runs
        .iter()
        .map(|(operator, times)| format!("{} {}", if *operator { "operator" } else { "reference" }, times.len()))
        .collect();
    bench
        .report
        .note(format!("{figure}: samples of each run: {}", counts.join(", ")));
    for (percent, share, goal) in [("p50", 0.5, goals.0), ("p99", 0.99, goals.1)] {
        let pairs: Vec<(f64, f64)> = of(true, share).into_iter().zip(of(false, share)).collect();
        bench.report.add(Row::pairs(
            &format!("{figure}, {percent}"),
            "ms",
            &pairs,
            Goal::RatioAtMost(goal),
        ));
    }
    for operator in [true, false] {
        let Some((_, times)) = runs.iter().find(|(whose, _)| *whose == operator) else {
            continue;
        };
        let points = times
            .iter()
            .enumerate()
            .map(|(place, time)| (100.0 * place as f64 / times.len() as f64, *time));
        bench.report.series.push(Series {
            panel: format!("{figure}: milliseconds by percentile"),
            name: if operator { "operator" } else { "reference" }.to_owned(),
            points: points.collect(),
        });
    }
}
