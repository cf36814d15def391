//! Starting the operator, and stopping it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Context;
use super::baselines;
use super::client::client;
use super::clock::{Clock, SystemClock};
use super::cluster::{self, Source};
use super::config::Config;
use super::events::events;
use super::http::{Probes, routes};
use super::index::Index;
use super::lease::{Candidate, Leadership};
use super::metrics::Metrics;
use super::pace::Pace;
use super::policy_reports::{self, PolicyReports};
use super::queue::{Key, Lane, Queue, SPARE};
use super::watch::{Progress, watch};
use super::work::worker;
use crate::core::election::Terms;

/// How often the configuration file is looked at for its emergency stop.
const LOOK_AT_CONFIG: Duration = Duration::from_secs(2);
/// How long work that is under way may take to end, when the operator is told to end: less than the 30 s after which a
/// kubelet kills it.
const GRACE: Duration = Duration::from_secs(15);

/// Why the operator could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No way to the API server.
    #[error("no configuration for a cluster was found (a kubeconfig, or a pod's own): {0}")]
    Cluster(#[source] kube::Error),
    /// The address for metrics and probes cannot be had.
    #[error("listen: {address} cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The metrics could not be registered.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// A task ended that never should.
    #[error("a task ended that never should: {0}")]
    Ended(String),
}

/// Runs the operator until it is told to end. With the terms of an election it works only while it is the one of several
/// replicas that leads.
///
/// # Errors
/// When it cannot start, a part of it ends by itself, or it does no longer lead.
pub async fn run(config: Config, config_path: Option<PathBuf>, election: Option<Terms>) -> Result<(), RunError> {
    let leadership = Arc::new(election.map_or_else(Leadership::alone, |_| Leadership::elected()));
    let clock = Arc::new(SystemClock);
    let metrics = Metrics::new()?;
    let client = client(leadership.clone(), metrics.requests.clone())
        .await
        .map_err(RunError::Cluster)?;
    let candidate = election.map(|terms| {
        let (namespace, leadership) = (&config.own_namespace, leadership.clone());
        Arc::new(Candidate::new(
            client.clone(),
            namespace,
            identity(&*clock),
            terms,
            leadership,
            clock.clone(),
        ))
    });
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|source| RunError::Listen {
            address: config.listen.clone(),
            source,
        })?;
    let (events, publisher) = events(client.clone());
    let context = Arc::new(Context {
        pace: Pace::default(),
        index: Mutex::new(Index::new(config.clone())),
        queue: Queue::new(config.workers),
        metrics,
        events,
        policy_reports: PolicyReports::default(),
        clock,
        leadership,
        config,
        client,
    });
    context.metrics.started.set(context.clock.now().as_second());
    context.metrics.stopped.set(i64::from(context.config.stop));
    let interval = context.config.verification_interval.as_secs();
    context.metrics.verification_interval.set(interval);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %context.config.listen, "the operator starts");

    let mut tasks = JoinSet::new();
    let (mut first, rest) = (cluster::first_sources(&context), cluster::sources());
    first.extend(policy_reports::definitions(&context));
    let watches = first
        .iter()
        .chain(&rest)
        .map(|s| (s.watched.name, s.watched.needed, s.progress.clone()));
    let probes = Probes {
        context: context.clone(),
        watches: Arc::new(watches.collect()),
    };
    tasks.spawn(async move {
        let served = axum::serve(listener, routes(probes)).await;
        format!("the server of metrics and probes: {served:?}")
    });
    let warm = Arc::new(Notify::new());
    tasks.spawn(work(context.clone(), first, rest, warm.clone()));
    tasks.spawn(async move {
        publisher.run().await;
        "the publisher of events".to_owned()
    });
    if let Some(candidate) = candidate.clone() {
        tasks.spawn(async move {
            // Who has not seen everything yet would lead and do nothing, and keep the Lease from who has.
            warm.notified().await;
            candidate.run().await
        });
    }
    if let Some(path) = config_path {
        tasks.spawn(follow_stop(context.clone(), path));
    }

    tokio::select! {
        () = told_to_end() => {
            tracing::info!("told to end: the operator stops");
            // What is under way is finished: between the two halves of a replaced RoleBinding is no place to stop. What
            // takes longer is dropped; the next start sees what came of it.
            if tokio::time::timeout(GRACE, context.queue.drain()).await.is_err() {
                tracing::warn!("some work did not end in time and is dropped");
            }
            tasks.shutdown().await;
            if let Some(candidate) = candidate {
                candidate.release().await;
            }
            Ok(())
        }
        ended = tasks.join_next() => Err(RunError::Ended(match ended {
            Some(Ok(what)) => what,
            Some(Err(error)) => error.to_string(),
            None => "all of them".to_owned(),
        })),
    }
}

/// Sees everything once, and then works for ever. Baselines come before what they are about, and nothing is judged
/// before everything was seen: absence means nothing until then.
async fn work(context: Arc<Context>, first: Vec<Source>, rest: Vec<Source>, warm: Arc<Notify>) -> String {
    let mut tasks = JoinSet::new();
    for sources in [first, rest] {
        let started: Vec<_> = sources
            .into_iter()
            .map(|source| start(&context, source, &mut tasks))
            .collect();
        for (name, needed, progress) in started {
            if needed {
                progress.listed().await;
            } else if !progress.listed_or_refused().await {
                tracing::warn!(watch = name, "this cannot be read; what depends on it is held");
            }
        }
    }
    policy_reports::start(&context, &mut tasks).await;
    // A replica that stands by is warm from here on: its watches tell it all, and it judges nothing.
    warm.notify_one();
    context.leadership.acquired().await;
    cluster::recall(&context);
    let mut namespaces = context.index.lock().all_synced();
    tracing::info!(
        namespaces = namespaces.len(),
        "everything was seen once; the work begins"
    );
    // What was changed while the operator did not run is taken up, or waits, before anything is done for what held before:
    // a namespace that was released meanwhile is not repaired once more.
    let baselines: Vec<Arc<str>> = context.index.lock().baselines().map(|(name, _)| name.clone()).collect();
    for name in &baselines {
        namespaces.extend(baselines::consider(&context, name).await);
    }
    look_at(&context, namespaces);
    for _ in 0..usize::from(context.config.workers) + SPARE {
        let context = context.clone();
        tasks.spawn(async move {
            worker(context).await;
            "a worker".to_owned()
        });
    }
    match tasks.join_next().await {
        Some(Ok(what)) => what,
        other => format!("{other:?}"),
    }
}

fn start(context: &Arc<Context>, source: Source, tasks: &mut JoinSet<String>) -> (&'static str, bool, Arc<Progress>) {
    let Source {
        watched,
        sink,
        progress,
    } = source;
    let started = (watched.name, watched.needed, progress.clone());
    let context = context.clone();
    tasks.spawn(async move {
        let name = watched.name;
        watch(context, watched, sink, progress).await;
        format!("the watch of {name}")
    });
    started
}

/// Has these namespaces looked at, and the status of every baseline.
fn look_at(context: &Context, namespaces: Vec<Arc<str>>) {
    let baselines: Vec<Arc<str>> = context.index.lock().baselines().map(|(name, _)| name.clone()).collect();
    for name in namespaces {
        context.queue.push(Key::Namespace(name), Lane::Rollout);
    }
    for name in baselines {
        context.queue.push(Key::Baseline(name), Lane::Status);
    }
}

/// Takes up the emergency stop from the configuration file while the operator runs. The other keys need a restart.
async fn follow_stop(context: Arc<Context>, path: PathBuf) -> String {
    // What is as it was read last means the same: to parse it costs more than all else at rest.
    let mut known = None;
    loop {
        tokio::time::sleep(LOOK_AT_CONFIG).await;
        let text = std::fs::read_to_string(&path).ok();
        if text == known {
            continue;
        }
        known = text;
        let stop = match Config::load(&path) {
            Ok(config) => config.stop,
            Err(error) => {
                tracing::warn!(%error, "the configuration is not usable; what was read before holds, but for a stop");
                // Such a file may ask for the stop, and cannot take it back.
                if !Config::asks_to_stop(&path) {
                    continue;
                }
                true
            }
        };
        let mut index = context.index.lock();
        if index.stopped == stop {
            continue;
        }
        index.stopped = stop;
        context.metrics.stopped.set(i64::from(stop));
        tracing::warn!(stop, "the emergency stop was changed");
        let namespaces = index.selected();
        drop(index);
        look_at(&context, namespaces);
    }
}

/// A name for this process that no other has, not even the one before in the same pod.
fn identity(clock: &dyn Clock) -> String {
    let pod = std::env::var("POD_NAME").unwrap_or_else(|_| "security-baseline-operator".to_owned());
    format!("{pod}_{}-{:09.0}", clock.now().as_microsecond(), clock.jitter() * 1e9)
}

async fn told_to_end() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
