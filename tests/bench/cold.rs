//! How long the operator takes, from its start, to know that a cluster is as declared.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::Bench;
use crate::fleet::{BINARY, FLEET, unbraked};
use crate::measure::{Usage, follow, usage};
use crate::process::Process;
use crate::reference::Task;
use crate::report::{Goal, Range, Row};
use crate::rest::{QUIET, resident};
use crate::support::{Stage, http_get};

/// How many namespaces a large cluster has.
const LARGE: usize = 10_000;
/// How often the operator is asked.
const LOOK: Duration = Duration::from_millis(5);
/// As clients in Go have it.
const PAGE: u32 = 500;
/// What is listed: the kinds of which there is something in each namespace, and namespaces.
const KINDS: [&str; 7] = [
    "/api/v1/namespaces",
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/securitybaseline.dev/v1alpha1/baselinereports",
];

struct Start {
    ready: f64,
    counted: f64,
    writes: usize,
    used: Usage,
}

/// Starts the operator, and waits until it is ready, and until it has counted every namespace as compliant.
async fn start(bench: &Bench) -> Result<Start> {
    let fleet = &bench.fleet;
    let log = fleet.plane.audit();
    let mark = log.mark()?;
    let stage = Stage::spawn(&fleet.plane, BINARY.as_ref(), unbraked).await?;
    let (begin, port) = (Instant::now(), stage.operator.port());
    let ready = until(begin, bench.patience(), async || {
        matches!(http_get(port, "/readyz").await, Ok((200, _)))
    })
    .await?;
    let line = format!(
        "security_baseline_namespaces{{baseline=\"{FLEET}\",state=\"compliant\"}} {}\n",
        fleet.count
    );
    let counted = until(begin, bench.patience(), async || {
        http_get(port, "/metrics")
            .await
            .is_ok_and(|(_, text)| text.contains(&line))
    })
    .await?;
    let quiet = if bench.smoke { QUIET / 3 } else { QUIET };
    let tally = follow(&log, mark, quiet, bench.patience(), |_| true).await?;
    Ok(Start {
        ready,
        counted,
        writes: tally.writes,
        used: usage(stage.operator.pid())?,
    })
}

async fn until(begin: Instant, patience: Duration, mut holds: impl AsyncFnMut() -> bool) -> Result<f64> {
    while !holds().await {
        ensure!(
            begin.elapsed() < patience,
            "the operator is not ready within {patience:?}"
        );
        sleep(LOOK).await;
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// A bare paged list of the same kinds, all at the same time.
async fn list(bench: &Bench) -> Result<f64> {
    let task = Task::List {
        paths: KINDS.map(ToOwned::to_owned).into(),
        limit: PAGE,
    };
    let mut process = Process::start(bench.fleet.target(), task).await?;
    process.go().await?;
    let done = process.done().await?;
    let least = bench.fleet.count * (KINDS.len() + 1);
    ensure!(done.count >= least, "{} objects were listed, of {least}", done.count);
    Ok(done.seconds)
}

/// Measures it.
pub async fn measure(bench: &mut Bench) -> Result<()> {
    bench.fleet.reset(bench.held()?).await?;
    let mut starts = Vec::new();
    let mut lists = Vec::new();
    for pair in 0..if bench.smoke { 1 } else { bench.repeats } {
        if pair % 2 == 0 {
            lists.push(list(bench).await?);
        }
        starts.push(start(bench).await?);
        if pair % 2 == 1 {
            lists.push(list(bench).await?);
        }
    }
    let pairs =
        |of: fn(&Start) -> f64| -> Vec<(f64, f64)> { starts.iter().map(of).zip(lists.iter().copied()).collect() };
    let alone = |of: fn(&Start) -> f64, figure: &str, unit: &str, goal: Goal| {
        Some(Row::alone(figure, unit, Range::of(starts.iter().map(of))?, goal).asserted())
    };
    let rows = [
        Row::pairs(
            "cold start, to ready",
            "s",
            &pairs(|start| start.ready),
            // The goal is about a large cluster: a small one is listed sooner than any process is up.
            if bench.fleet.count >= LARGE {
                Goal::RatioAtMost(1.2)
            } else {
                Goal::None
            },
        ),
        Row::pairs(
            "cold start, to all counted as compliant",
            "s",
            &pairs(|start| start.counted),
            Goal::None,
        ),
        alone(
            |start| start.writes as f64,
            "cold start, writes",
            "requests",
            Goal::AtMost(0.0),
        ),
        alone(
            |start| start.used.resident,
            "memory at rest, after a cold start",
            "MB",
            resident(bench),
        ),
        alone(
            |start| start.used.highest,
            "memory at its highest, in a cold start",
            "MB",
            Goal::AtMost(96.0),
        ),
    ];
    rows.into_iter().for_each(|row| bench.report.add(row));
    Ok(())
}
