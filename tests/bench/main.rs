//! `make bench`: what the operator costs and how fast it is, beside a bare client that does the same in the same run.
//!
//! `N` namespaces (default 300), `PARTS` of it (default all), `SMOKE=1` for what must hold on any machine and nothing
//! else, `REPEATS` of what is repeated.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the benchmark is a client with a clock"
)]

mod change;
mod churn;
mod cold;
mod convergence;
mod fleet;
mod growth;
mod measure;
mod memory;
mod plot;
mod policies;
mod process;
mod reference;
mod repair;
mod report;
mod rest;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use self::convergence::Recorded;
use self::fleet::{Copy, Fleet};
use self::report::Report;

/// The parts, in the order in which they are measured.
const PARTS: [&str; 8] = [
    "convergence",
    "rest",
    "cold",
    "memory",
    "change",
    "repair",
    "churn",
    "growth",
];
/// Those that say something on any machine.
const SMOKE: [&str; 3] = ["convergence", "rest", "cold"];

/// What all parts share.
pub struct Bench {
    /// The cluster.
    pub fleet: Fleet,
    /// The bare namespaces.
    pub bare: Copy,
    /// The namespaces as the baseline has them, once they were.
    pub held: Option<Copy>,
    /// What the operator wrote, once it was seen.
    pub recorded: Option<Recorded>,
    /// How often what is compared is repeated.
    pub repeats: usize,
    /// Whether only what does not depend on time is measured.
    pub smoke: bool,
    /// The figures.
    pub report: Report,
    /// For files that are needed on the way.
    pub dir: TempDir,
}

impl Bench {
    /// The namespaces as the baseline has them.
    pub fn held(&self) -> Result<&Copy> {
        self.held.as_ref().context("the fleet was never held")
    }

    /// What the operator wrote.
    pub fn recorded(&self) -> Result<&Recorded> {
        self.recorded.as_ref().context("nothing was recorded")
    }

    /// How long the whole fleet may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(120 + self.fleet.count as u64 / 5)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = if arguments.next().as_deref() == Some("--reference") {
        match arguments.next() {
            Some(file) => reference::run(Path::new(&file)).await.map(|()| true),
            None => Err(anyhow::anyhow!("--reference needs a file")),
        }
    } else {
        tokio::select! {
            done = bench() => done,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and answers whether what must hold on any machine holds.
async fn bench() -> Result<bool> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let count: usize = set("N")
        .as_deref()
        .unwrap_or("300")
        .parse()
        .context("N is a number of namespaces")?;
    let smoke = set("SMOKE").is_some();
    let repeats = match set("REPEATS") {
        Some(repeats) => repeats.parse().context("REPEATS is a number")?,
        None if count > 3000 => 2,
        None => 3,
    };
    let all = if smoke { SMOKE.join(",") } else { PARTS.join(",") };
    let chosen = set("PARTS").unwrap_or(all);
    if let Some(unknown) = chosen.split(',').find(|part| !PARTS.contains(part)) {
        bail!("there is no part {unknown}; the parts are {}", PARTS.join(","));
    }
    let chosen = |part: &str| chosen.split(',').any(|name| name == part);

    println!("{count} namespaces are made ...");
    let fleet = Fleet::new(count).await?;
    let bare = fleet.copy("bare").await?;
    let mut bench = Bench {
        fleet,
        bare,
        held: None,
        recorded: None,
        repeats,
        smoke,
        report: Report {
            namespaces: count,
            ..Report::default()
        },
        dir: tempfile::Builder::new().prefix("bench-").tempdir()?,
    };
    let load = std::fs::read_to_string("/proc/loadavg")?;
    bench.report.note(format!(
        "the machine's load before (a busy machine slows both sides, and not alike): {}",
        load.split(' ').next().unwrap_or_default()
    ));
    let stage = convergence::measure(&mut bench, chosen("convergence")).await?;
    if chosen("rest") {
        rest::measure(&mut bench, &stage).await?;
    }
    drop(stage);
    bench.held = Some(bench.fleet.copy("held").await?);
    for part in PARTS.iter().filter(|part| chosen(part)) {
        match *part {
            "cold" => cold::measure(&mut bench).await?,
            "memory" => memory::measure(&mut bench).await?,
            "change" => change::measure(&mut bench).await?,
            "repair" => repair::measure(&mut bench).await?,
            "churn" => churn::measure(&mut bench).await?,
            "growth" => growth::measure(&mut bench.report)?,
            _ => {}
        }
    }
    finish(&bench.report, smoke)
}

/// Where what comes of a run is written to.
pub fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench")
}

/// Prints the table, and writes the files.
fn finish(report: &Report, smoke: bool) -> Result<bool> {
    std::fs::create_dir_all(results())?;
    let file = |end: &str| results().join(format!("{}.{end}", report.namespaces));
    report.write(&file("json"))?;
    plot::draw(&report.series, &file("svg"))?;
    println!("\n{} namespaces\n\n{}", report.namespaces, report.table());
    // What is fast enough depends on the machine; a run that only measures has done its work.
    let broken = if smoke { report.broken() } else { Vec::new() };
    for row in &broken {
        println!("must hold on any machine, and does not: {}", row.figure);
    }
    Ok(broken.is_empty())
}
