//! Several replicas: one leads, the others stand by and take over.

mod cut;
mod elected;
mod takeover;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::oracles::{PATIENCE, converged, quiet, safe, settled};
use crate::stage::{BINARY, Set, everything, get, grant, merge, metric, shared, unbraked};
use crate::support::audit::Mark;
use crate::support::proxy::{Asked, Matching, Proxy};
use crate::support::{ControlPlane, Stage, eventually, install_yaml};

/// Short terms, so that the tests are.
const TERMS: [&str; 4] = [
    "--leader-elect",
    "--leader-elect-lease-duration=6s",
    "--leader-elect-renew-deadline=4s",
    "--leader-elect-retry-period=1s",
];
const LEASE: Duration = Duration::from_secs(6);
const RENEW: Duration = Duration::from_secs(4);
/// How long whoever stands by may be late: it looks once a second, on a busy machine.
const LATE: Duration = Duration::from_secs(4);
/// How soon by the shipped terms somebody else leads, as docs/operations.md says.
const TAKEOVER: Duration = Duration::from_secs(17);
/// How much the replica behind a proxy works on at a time.
const WORKERS: usize = 4;

async fn replica(plane: &ControlPlane) -> Stage {
    Stage::replica(plane, Path::new(BINARY), &TERMS, unbraked)
        .await
        .unwrap()
}

/// A control plane with what is shipped.
async fn installed() -> ControlPlane {
    let plane = ControlPlane::start().await.unwrap();
    plane.install(&install_yaml()).await.unwrap();
    grant(&plane).await;
    plane
}

/// A control plane with what is shipped, a replica that leads, one that stands by, and namespaces.
async fn two(prefix: &str, namespaces: usize) -> (ControlPlane, Stage, Stage, Set, Vec<String>) {
    let plane = installed().await;
    let first = replica(&plane).await;
    until_leads(&first).await;
    let second = replica(&plane).await;
    let set = Set::new(&plane, prefix).await;
    let namespaces = set.namespaces(&plane, namespaces).await;
    (plane, first, second, set, namespaces)
}

/// The same, with a proxy between the one that leads and the API server.
async fn two_of_which_one_is_behind_a_proxy(
    prefix: &str,
    namespaces: usize,
    terms: &[&str],
) -> (ControlPlane, Proxy, Stage, Stage, Set, Vec<String>) {
    let plane = installed().await;
    let proxy = Proxy::start(&plane).await.unwrap();
    let binary = Path::new(BINARY);
    let first = Stage::replica_behind(&proxy, &plane, binary, terms, |config| {
        unbraked(config);
        // As few as one can hold at once.
        config["workers"] = json!(WORKERS);
    });
    let mut first = first.await.unwrap();
    first.operator.ready(PATIENCE).await.unwrap();
    leads_within(&first, TAKEOVER + LATE).await;
    let second = Stage::replica(&plane, binary, terms, unbraked).await.unwrap();
    let set = Set::new(&plane, prefix).await;
    let namespaces = set.namespaces(&plane, namespaces).await;
    (plane, proxy, first, second, set, namespaces)
}

/// Every request that asks for a change, but for those about Leases.
fn writes() -> Matching {
    Matching::such(|asked: &Asked| asked.kind.is_write() && asked.kind.resource != "leases")
}

/// Waits until a replica has ended by itself, and answers what it said.
async fn ended(stage: &mut Stage, within: Duration) -> String {
    let status = eventually("it ends", within, async || {
        stage.operator.exited()?.context("it still runs")
    })
    .await
    .unwrap();
    assert!(!status.success());
    stage.operator.log().unwrap()
}

async fn leads(stage: &Stage) -> bool {
    metric(&stage.operator, "security_baseline_leading").await == 1
}

async fn until_leads(stage: &Stage) {
    leads_within(stage, LEASE + LATE).await;
}

async fn leads_within(stage: &Stage, within: Duration) {
    eventually("it leads", within, async || {
        ensure!(leads(stage).await, "not yet");
        Ok(())
    })
    .await
    .unwrap();
}

async fn holder(set: &Set) -> Value {
    let lease = get(
        &set.admin,
        "Lease",
        Some("security-baseline-system"),
        "security-baseline-operator",
    )
    .await;
    lease.unwrap()["spec"]["holderIdentity"].clone()
}

async fn open(set: &Set, namespace: &str) {
    let change = json!({"spec": {"ingress": [{}]}});
    merge(
        &set.admin,
        "NetworkPolicy",
        Some(namespace),
        "security-baseline-default-deny-ingress",
        change,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn one_replica_alone_never_asks_for_a_lease() {
    let (plane, _) = shared().await;
    let asked = plane.audit().since(Mark::START).unwrap();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|request| request.resource != "leases"));
}

#[tokio::test]
async fn who_stands_by_is_ready_writes_nothing_and_takes_over_with_all_it_knows_when_the_leader_is_killed() {
    let (plane, mut first, second, set, namespaces) = two("replicas", 3).await;
    set.baseline(everything()).await;
    converged(&set, &everything(), &namespaces).await;
    open(&set, &namespaces[0]).await;
    set.report_until(&namespaces[0], "tells the drift", |r| {
        r["status"]["drift"]["repaired"] == 1
    })
    .await;
    settled(&plane, &set).await;
    assert!(leads(&first).await && !leads(&second).await);
    // Nothing waits where nobody works, whatever the watches told.
    for queued in ["queue_depth", "queue_oldest_age_seconds"].map(|name| format!("\nsecurity_baseline_{name}{{")) {
        assert!(first.operator.metrics().await.unwrap().contains(&queued), "{queued}");
        assert!(!second.operator.metrics().await.unwrap().contains(&queued), "{queued}");
    }
    // Of two that run, one works: nothing is written twice.
    quiet(&plane, &set, &namespaces, Duration::from_secs(2)).await;

    let (mark, led) = (plane.audit().mark().unwrap(), holder(&set).await);
    first.operator.kill().unwrap();
    let killed = Instant::now();
    // Nobody leads now; what breaks is repaired by whoever does next.
    open(&set, &namespaces[1]).await;
    eventually("somebody else leads", LEASE + LATE, async || {
        ensure!(holder(&set).await != led, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    println!(
        "taken over {:.1} s after the leader was killed",
        killed.elapsed().as_secs_f64()
    );
    assert!(
        killed.elapsed() >= LEASE - Duration::from_secs(2),
        "no sooner than it may have ended"
    );
    set.report_until(&namespaces[1], "tells the drift", |r| {
        r["status"]["drift"]["repaired"] == 1
    })
    .await;
    println!("repaired {:.1} s after", killed.elapsed().as_secs_f64());
    until_leads(&second).await;
    converged(&set, &everything(), &namespaces).await;
    // It knew everything: it listed nothing anew, and goes on with the ledger where the other one was.
    let asked = plane.audit().since(mark).unwrap();
    assert!(asked.iter().all(|request| request.verb != "list"), "{asked:#?}");
    let report = get(&set.admin, "BaselineReport", Some(&namespaces[0]), "baseline")
        .await
        .unwrap();
    assert_eq!(report["status"]["drift"]["total"], 1);
    quiet(&plane, &set, &namespaces, Duration::from_secs(1)).await;
    safe(&plane, Mark::START);
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_hands_over_at_once() {
    let (_plane, mut first, second, set, namespaces) = two("handed", 1).await;
    set.baseline(everything()).await;
    converged(&set, &everything(), &namespaces).await;
    let ended = first.operator.terminate(Duration::from_secs(20)).await.unwrap();
    assert!(ended.success());
    let began = Instant::now();
    until_leads(&second).await;
    assert!(
        began.elapsed() < LEASE - Duration::from_secs(1),
        "it need not wait for the lease to run out"
    );
    open(&set, &namespaces[0]).await;
    converged(&set, &everything(), &namespaces).await;
}
