//! Who gets the Lease, and what becomes of it when somebody else meddles.

use rustix::process::Signal;

use super::*;
use crate::stage::{api, delete, own};
use crate::support::proxy::{Fault, When};

const SYSTEM: &str = "security-baseline-system";
const NAME: &str = "security-baseline-operator";

/// Requests of this verb for the Lease.
fn lease(verb: &str) -> Matching {
    Matching::of(verb, "leases").named(NAME)
}

#[tokio::test]
async fn a_lease_that_is_deleted_makes_nobody_lead_before_its_time_and_is_created_anew_by_who_leads() {
    let (plane, mut first, second, set, namespaces) = two("deleted", 1).await;
    // Its holder may lead for as long as it said, for all that is known.
    first.operator.signal(Signal::STOP).unwrap();
    let gone = Instant::now();
    delete(&set.admin, "Lease", Some(SYSTEM), NAME).await;
    until_leads(&second).await;
    assert!(gone.elapsed() >= LEASE, "two might have led");
    first.operator.signal(Signal::CONT).unwrap();
    ended(&mut first, PATIENCE).await;
    first.restart(&plane).await.unwrap();

    let led = holder(&set).await;
    delete(&set.admin, "Lease", Some(SYSTEM), NAME).await;
    let again = eventually("there is a lease", PATIENCE, async || {
        let lease = api(&set.admin, "Lease", Some(SYSTEM)).get(NAME).await?;
        Ok(lease.data["spec"]["holderIdentity"].clone())
    });
    assert_eq!(again.await.unwrap(), led);
    assert!(leads(&second).await && !leads(&first).await);
    set.baseline(everything()).await;
    converged(&set, &everything(), &namespaces).await;
}

#[tokio::test]
async fn who_has_not_read_everything_yet_leaves_the_lease_to_who_has() {
    let plane = installed().await;
    let proxy = Proxy::start(&plane).await.unwrap();
    let lists = proxy.disturb(Matching::of("list", "networkpolicies"), Fault::Hold(When::Before));
    let cold = Stage::replica_behind(&proxy, &plane, Path::new(BINARY), &TERMS, unbraked);
    let mut cold = cold.await.unwrap();
    lists.hit(1).await.unwrap();
    let mut warm = replica(&plane).await;
    until_leads(&warm).await;
    assert!(proxy.asked(&lease("get")).is_empty(), "it wants to lead");

    lists.release();
    cold.operator.ready(PATIENCE).await.unwrap();
    eventually("it stands by", PATIENCE, async || {
        ensure!(!proxy.asked(&lease("get")).is_empty(), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    assert!(leads(&warm).await && !leads(&cold).await);
    warm.operator.terminate(Duration::from_secs(20)).await.unwrap();
    until_leads(&cold).await;
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_while_it_renews_the_lease_hands_over_at_once_too() {
    let (_plane, proxy, mut first, second, _set, _) = two_of_which_one_is_behind_a_proxy("renewing", 1, &TERMS).await;
    // The API server has done it, and the answer does not come.
    let renewal = proxy.disturb_first(1, lease("update"), Fault::Hold(When::After));
    renewal.hit(1).await.unwrap();
    let ended = first.operator.terminate(Duration::from_secs(20)).await.unwrap();
    assert!(ended.success());
    let began = Instant::now();
    until_leads(&second).await;
    assert!(
        began.elapsed() < LEASE - Duration::from_secs(2),
        "it need not wait for the lease to run out"
    );
}

/// As while a Deployment goes from one replica to two: the pod that runs before knows of no Lease.
#[tokio::test]
async fn who_leads_beside_one_that_knows_of_no_lease_ends_as_one_alone_does() {
    let (plane, mut alone) = own().await;
    grant(&plane).await;
    let set = Set::new(&plane, "second").await;
    let namespaces = set.namespaces(&plane, 3).await;
    set.baseline(everything()).await;
    converged(&set, &everything(), &namespaces).await;
    let elected = replica(&plane).await;
    until_leads(&elected).await;
    assert!(leads(&alone).await);
    open(&set, &namespaces[0]).await;
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, Duration::from_secs(1)).await;
    alone.operator.terminate(Duration::from_secs(20)).await.unwrap();
    open(&set, &namespaces[1]).await;
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, Duration::from_secs(1)).await;
    safe(&plane, Mark::START);
}
