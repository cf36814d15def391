//! The API server and etcd are killed and frozen in the middle of a rollout, with requests on their way.

use anyhow::ensure;
use serde_json::Value;

use super::acts::{BINDING, Break, EGRESS, QUOTA, VIEWERS, steps, undisturbed};
use super::crashes::{Write, matching};
use super::play::{Ledger, Play};
use super::until_ready_is;
use crate::oracles::{PATIENCE, converged};
use crate::support::proxy::{Fault, Rule, When};
use crate::support::{Component, Operator, eventually};

/// In half of the namespaces a write is on its way when it happens, in the others another one.
const NAMESPACES: usize = 12;

/// Applies a spec and waits until the first write of each pair is held in one namespace, the second one in the next.
async fn midway(play: &Play, spec: &Value, writes: [Write; 2]) -> Vec<Rule> {
    let writes = writes.into_iter().cycle();
    let hold = |(write, namespace)| {
        play.proxy
            .disturb(matching(write, namespace), Fault::Hold(When::Before))
    };
    let rules: Vec<Rule> = writes
        .zip(&play.namespaces)
        .map(|(write, namespace)| hold((write, namespace.as_str())))
        .collect();
    play.set.baseline(spec.clone()).await;
    for rule in &rules {
        rule.hit(1).await.unwrap();
    }
    rules
}

/// How many writes failed otherwise than by a refusal.
async fn failed(operator: &Operator) -> u64 {
    let metrics = operator.metrics().await.unwrap();
    let failed = metrics
        .lines()
        .filter(|line| line.starts_with("security_baseline_writes_total") && line.contains(r#"outcome="failed""#));
    failed
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

/// Lets what is held go, and waits until it failed for want of an answer.
async fn given_up(play: &Play, rules: Vec<Rule>) {
    let before = failed(&play.stage.operator).await;
    rules.iter().for_each(Rule::release);
    eventually("requests are given up", PATIENCE, async || {
        let now = failed(&play.stage.operator).await;
        ensure!(now >= before + rules.len() as u64, "{before} before, {now} now");
        Ok(())
    })
    .await
    .unwrap();
    play.proxy.forget();
}

#[tokio::test]
async fn an_api_server_that_is_killed_in_the_middle_of_a_rollout_costs_nothing_but_time() {
    let (mut play, _) = tokio::join!(Play::new("killed", NAMESPACES), undisturbed());
    let writes = [
        ("create", "networkpolicies", EGRESS),
        ("create", "rolebindings", VIEWERS),
    ];
    let rules = midway(&play, &steps()[0], writes).await;
    play.plane.kill(Component::ApiServer).await.unwrap();
    given_up(&play, rules).await;
    until_ready_is(&play.stage, 503).await;
    play.plane.start_component(Component::ApiServer).await.unwrap();
    until_ready_is(&play.stage, 200).await;
    play.ends_as_undisturbed(0, Ledger::Same).await;

    // A policy is deleted, another one created weaker; the events are lost on the way, and what the API server knew of
    // them is lost with it: all that tells is a new list.
    play.proxy.freeze("networkpolicies", true);
    for (what, namespace) in [Break::Recreated, Break::Gone("NetworkPolicy", EGRESS)]
        .into_iter()
        .zip(play.namespaces.clone())
    {
        play.tamper(what, &namespace).await;
    }
    play.plane.kill(Component::ApiServer).await.unwrap();
    play.proxy.cut("networkpolicies");
    play.proxy.freeze("networkpolicies", false);
    play.plane.start_component(Component::ApiServer).await.unwrap();
    play.ends_as_undisturbed(0, Ledger::Any).await;
    assert!(play.stage.operator.exited().unwrap().is_none(), "it was restarted");
}

#[tokio::test]
async fn an_api_server_that_is_frozen_in_the_middle_of_a_rollout_costs_nothing_but_time() {
    let (mut play, _) = tokio::join!(Play::new("frozen", NAMESPACES), undisturbed());
    let [first, second, third, _] = steps();
    play.set.baseline(first.clone()).await;
    converged(&play.set, &first, &play.namespaces).await;
    // It takes the requests, and may do them when nobody waits for them any more.
    let writes = [("update", "networkpolicies", EGRESS), ("patch", "namespaces", "")];
    let rules = midway(&play, &second, writes).await;
    play.plane.freeze(Component::ApiServer).await.unwrap();
    given_up(&play, rules).await;
    play.plane.resume(Component::ApiServer).await.unwrap();
    play.ends_as_undisturbed(1, Ledger::Same).await;

    // The operator dies meanwhile: what it asked for may be done after the end of it.
    let writes = [("delete", "rolebindings", BINDING), ("create", "resourcequotas", QUOTA)];
    let rules = midway(&play, &third, writes).await;
    play.plane.freeze(Component::ApiServer).await.unwrap();
    rules.iter().for_each(Rule::release);
    play.stage.operator.kill().unwrap();
    play.proxy.forget();
    play.plane.resume(Component::ApiServer).await.unwrap();
    play.stage.restart(&play.plane).await.unwrap();
    play.ends_as_undisturbed(2, Ledger::Any).await;
}

#[tokio::test]
async fn an_etcd_that_is_frozen_in_the_middle_of_a_rollout_costs_nothing_but_time() {
    let (play, _) = tokio::join!(Play::new("etcd", NAMESPACES), undisturbed());
    let [first, second, third, _] = steps();
    for spec in [first, second] {
        play.set.baseline(spec.clone()).await;
        converged(&play.set, &spec, &play.namespaces).await;
    }
    // Both halves of a recreation are on their way.
    let writes = [("delete", "rolebindings", BINDING), ("create", "resourcequotas", QUOTA)];
    let rules = midway(&play, &third, writes).await;
    play.plane.freeze(Component::Etcd).await.unwrap();
    given_up(&play, rules).await;
    play.plane.resume(Component::Etcd).await.unwrap();
    play.ends_as_undisturbed(2, Ledger::Same).await;
}
