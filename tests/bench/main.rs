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

mod convergence;
mod fleet;
mod measure;
mod plot;
mod policies;
mod process;
mod reference;
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
const PARTS: [&str; 2] = ["convergence", "rest"];

/// What all parts share.
pub struct Bench {
    /// The cluster.
    pub fleet: Fleet,
    /// The bare namespaces.
    pub bare: Copy,
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
    let chosen = set("PARTS").unwrap_or_else(|| PARTS.join(","));
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
        recorded: None,
        repeats,
        smoke,
        report: Report {
            namespaces: count,
            ..Report::default()
        },
        dir: tempfile::Builder::new().prefix("bench-").tempdir()?,
    };
    let stage = convergence::measure(&mut bench).await?;
    if chosen("rest") {
        rest::measure(&mut bench, &stage).await?;
    }
    drop(stage);
    finish(&bench.report, smoke)
}

/// Prints the table, and writes the files.
fn finish(report: &Report, smoke: bool) -> Result<bool> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&dir)?;
    let file = |end: &str| -> PathBuf { dir.join(format!("{}.{end}", report.namespaces)) };
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
