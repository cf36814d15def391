//! A leader that is frozen or cut off, and comes back when another one leads.

use rustix::process::Signal;
use tokio::time::Instant;

use super::*;
use crate::support::proxy::{Fault, When};

const MOMENT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_leader_that_is_frozen_in_a_rollout_and_wakes_up_when_another_leads_writes_nothing_more_and_ends() {
    let (plane, proxy, mut first, second, set, namespaces) =
        two_of_which_one_is_behind_a_proxy("frozen", 40, &TERMS).await;
    // In the middle of it all that it works on waits for answers, which are there when it wakes up.
    let held = proxy.disturb(writes(), Fault::Hold(When::After));
    set.baseline(everything()).await;
    held.hit(WORKERS).await.unwrap();
    first.operator.signal(Signal::STOP).unwrap();
    held.release();
    until_leads(&second).await;
    converged(&set, &everything(), &namespaces).await;
    settled(&plane, &set).await;

    let woken = Instant::now();
    first.operator.signal(Signal::CONT).unwrap();
    let log = ended(&mut first, PATIENCE).await;
    assert!(log.contains("the lease could not be renewed in time"), "{log}");
    quiet(&plane, &set, &namespaces, MOMENT).await;
    // Not one that was refused, either.
    let tried = proxy.asked(&writes()).into_iter().filter(|at| *at >= woken).count();
    assert_eq!(tried, 0, "it went on writing");
    // It comes back as one that stands by, and takes over again.
    first.restart(&plane).await.unwrap();
    assert!(!leads(&first).await);
    drop(second);
    until_leads(&first).await;
    open(&set, &namespaces[0]).await;
    converged(&set, &everything(), &namespaces).await;
    safe(&plane, Mark::START);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_ends_before_another_leads_and_writes_nothing_more_when_it_is_back() {
    let (plane, proxy, mut first, second, set, namespaces) = two_of_which_one_is_behind_a_proxy("cut", 3, &TERMS).await;
    set.baseline(everything()).await;
    converged(&set, &everything(), &namespaces).await;
    settled(&plane, &set).await;

    // It still sees what happens, and would repair it.
    let cut = proxy.disturb(Matching::such(|_| true), Fault::Hold(When::Before));
    open(&set, &namespaces[0]).await;
    cut.hit(1).await.unwrap();
    let log = ended(&mut first, RENEW + LATE).await;
    let over = Instant::now();
    assert!(log.contains("the lease could not be renewed in time"), "{log}");
    assert!(!leads(&second).await, "two might have led");
    until_leads(&second).await;
    converged(&set, &everything(), &namespaces).await;

    proxy.forget();
    first.restart(&plane).await.unwrap();
    open(&set, &namespaces[1]).await;
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, MOMENT).await;
    assert!(!leads(&first).await && leads(&second).await);
    let tried = proxy.asked(&writes()).into_iter().filter(|at| *at >= over).count();
    assert_eq!(tried, 0, "who stands by wrote");
    safe(&plane, Mark::START);
}
