//! How soon somebody else leads, by the terms as they are shipped: the figures of docs/operations.md.

use rustix::process::Signal;

use super::*;
use crate::support::proxy::{Fault, When};

/// After its last renewal, a leader leads for so long.
const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn by_the_shipped_terms_somebody_else_leads_17_seconds_after_a_leader_is_killed_frozen_or_cut_off() {
    let (plane, proxy, mut first, mut second, _set, _) =
        two_of_which_one_is_behind_a_proxy("shipped", 1, &["--leader-elect"]).await;
    let measured = async |what: &str, since: Instant, next: &Stage| {
        leads_within(next, TAKEOVER + LATE).await;
        let took = since.elapsed().as_secs_f64();
        println!("{what}: somebody else leads after {took:.1} s (17 s at most, on an idle machine)");
    };
    let since = Instant::now();
    proxy.disturb(Matching::such(|_| true), Fault::Hold(When::Before));
    ended(&mut first, DEADLINE + Duration::from_secs(2)).await;
    println!("cut off: it has ended after {:.1} s", since.elapsed().as_secs_f64());
    measured("cut off", since, &second).await;
    // It begins anew when it is back.
    proxy.forget();
    first.restart(&plane).await.unwrap();

    let since = Instant::now();
    second.operator.kill().unwrap();
    measured("killed", since, &first).await;
    second.restart(&plane).await.unwrap();

    let since = Instant::now();
    first.operator.signal(Signal::STOP).unwrap();
    measured("frozen", since, &second).await;
    first.operator.signal(Signal::CONT).unwrap();
    ended(&mut first, PATIENCE).await;
    assert!(leads(&second).await);
}
