//! Watches that break, that are silent, and that are late; a world that changes while nobody watches; and two who watch.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use super::acts::{BINDING, Break, EGRESS, steps, undisturbed};
use super::play::{Ledger, Play};
use crate::oracles::{PATIENCE, converged, settled};
use crate::stage::{BINARY, LABEL, api, delete, writes_in};
use crate::support::proxy::Matching;
use crate::support::{Stage, eventually, watch_gone};

/// Every kind that the operator watches and works on.
const WATCHED: [&str; 8] = [
    "securitybaselines",
    "namespaces",
    "baselinereports",
    "networkpolicies",
    "resourcequotas",
    "limitranges",
    "roles",
    "rolebindings",
];

/// What is broken of each kind.
const BREAKS: [Break; 6] = [
    Break::Open,
    Break::Gone("NetworkPolicy", EGRESS),
    Break::Raised,
    Break::Widened,
    Break::Stripped,
    Break::Gone("RoleBinding", BINDING),
];

#[tokio::test]
async fn watches_that_are_cut_again_and_again_lose_nothing() {
    let (mut play, _) = tokio::join!(Play::new("cut", BREAKS.len()), undisturbed());
    let [first, second, ..] = steps();
    let cut = |play: &Play| WATCHED.iter().for_each(|kind| play.proxy.cut(kind));
    play.set.baseline(first.clone()).await;
    cut(&play);
    converged(&play.set, &first, &play.namespaces).await;
    for (what, namespace) in BREAKS.into_iter().zip(play.namespaces.clone()) {
        cut(&play);
        play.tamper(what, &namespace).await;
    }
    cut(&play);
    converged(&play.set, &first, &play.namespaces).await;
    play.set.baseline(second).await;
    cut(&play);
    play.ends_as_undisturbed(1, Ledger::Any).await;
}

#[tokio::test]
async fn what_a_silent_watch_hides_is_found_when_it_is_written_and_when_the_watch_ends() {
    let (mut play, _) = tokio::join!(Play::new("silent", 4), undisturbed());
    let [first, second, ..] = steps();
    play.set.baseline(first.clone()).await;
    converged(&play.set, &first, &play.namespaces).await;
    settled(&play.plane, &play.set).await;
    let [opened, gone, another, stripped] = <[String; 4]>::try_from(play.namespaces.clone()).unwrap();

    play.proxy.freeze("networkpolicies", true);
    play.tamper(Break::Open, &opened).await;
    play.tamper(Break::Gone("NetworkPolicy", EGRESS), &gone).await;
    play.tamper(Break::Recreated, &another).await;
    // The other kinds go on.
    play.tamper(Break::Stripped, &stripped).await;
    let enforced = |labels: &Value| labels["pod-security.kubernetes.io/enforce"] == "restricted";
    play.set.labels_until(&stripped, "the level is back", enforced).await;
    // The policies are not as they were thought to be when they are written.
    play.set.baseline(second.clone()).await;
    converged(&play.set, &second, &play.namespaces).await;
    // Nothing is written any more, and so nothing is found before the watch ends.
    play.tamper(Break::Recreated, &opened).await;
    play.proxy.cut("networkpolicies");
    play.proxy.freeze("networkpolicies", false);
    play.ends_as_undisturbed(1, Ledger::Any).await;
}

#[tokio::test]
async fn what_a_watch_never_tells_is_found_by_the_next_full_verification() {
    let (mut play, _) = tokio::join!(
        Play::configured("verified", 3, |config| config["verificationInterval"] = json!("15s")),
        undisturbed()
    );
    let [first, ..] = steps();
    play.set.baseline(first.clone()).await;
    converged(&play.set, &first, &play.namespaces).await;
    let [opened, gone, another] = <[String; 3]>::try_from(play.namespaces.clone()).unwrap();

    // The watch lives, and says nothing for the rest of the test.
    play.proxy.freeze("networkpolicies", true);
    play.tamper(Break::Open, &opened).await;
    play.tamper(Break::Gone("NetworkPolicy", EGRESS), &gone).await;
    play.tamper(Break::Recreated, &another).await;
    converged(&play.set, &first, &play.namespaces).await;

    // To verify what is as it should be writes nothing.
    settled(&play.plane, &play.set).await;
    let lists = Matching::of("list", "networkpolicies");
    let (mark, before) = (play.plane.audit().mark().unwrap(), play.proxy.asked(&lists).len());
    eventually("everything is listed once more", Duration::from_secs(60), || async {
        ensure!(play.proxy.asked(&lists).len() > before, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    settled(&play.plane, &play.set).await;
    for namespace in &play.namespaces {
        let written = writes_in(&play.plane, mark, namespace);
        assert!(written.is_empty(), "{written:#?}");
    }
    play.was_safe(&play.namespaces).await;
}

#[tokio::test]
async fn events_that_are_late_cause_no_second_write_and_are_no_drift() {
    let (play, _) = tokio::join!(Play::new("late", 3), undisturbed());
    let [first, second, third, _] = steps();
    for kind in WATCHED {
        // The operator learns of a new spec at once.
        if kind != "securitybaselines" {
            play.proxy.delay(kind, Duration::from_secs(2));
        }
    }
    for (spec, writes) in [(first, 8), (second, 8), (third, 4)] {
        let mark = play.plane.audit().mark().unwrap();
        play.set.baseline(spec.clone()).await;
        converged(&play.set, &spec, &play.namespaces).await;
        // Also when the echoes of all that are in.
        settled(&play.plane, &play.set).await;
        for namespace in &play.namespaces {
            let written = writes_in(&play.plane, mark, namespace);
            assert_eq!(written.len(), writes, "{written:#?}");
        }
    }
    play.ends_as_undisturbed(2, Ledger::Same).await;
}

#[tokio::test]
async fn whatever_the_world_does_while_the_operator_is_away_it_ends_as_if_it_had_been_there() {
    let (mut play, _) = tokio::join!(Play::new("away", 8), undisturbed());
    let [first, second, ..] = steps();
    play.set.baseline(first.clone()).await;
    converged(&play.set, &first, &play.namespaces).await;
    settled(&play.plane, &play.set).await;
    play.stage.operator.kill().unwrap();

    let all = play.namespaces.clone();
    for (what, namespace) in BREAKS.into_iter().zip(&all) {
        play.tamper(what, namespace).await;
    }
    play.tamper(Break::Recreated, &all[6]).await;
    delete(&play.set.admin, "BaselineReport", Some(&all[0]), "baseline").await;
    // Another namespace of the same name, and one more.
    let namespaces = api(&play.set.admin, "Namespace", None);
    namespaces.delete(&all[7], &Default::default()).await.unwrap();
    watch_gone(&namespaces, &all[7], PATIENCE).await.unwrap();
    play.plane.namespace(&all[7], &[(LABEL, &play.set.name)]).await.unwrap();
    let new = play.set.namespace(&play.plane, "new").await;
    play.namespaces.push(new);
    play.set.baseline(second).await;

    play.stage.restart(&play.plane).await.unwrap();
    play.ends_as_undisturbed(1, Ledger::Any).await;
}

#[tokio::test]
async fn two_operators_at_once_by_mistake_end_as_one_does() {
    let (mut play, _) = tokio::join!(Play::new("two", BREAKS.len()), undisturbed());
    let second = Stage::on(&play.plane, Path::new(BINARY)).await.unwrap();
    let steps = steps();
    for spec in &steps[..2] {
        play.set.baseline(spec.clone()).await;
        converged(&play.set, spec, &play.namespaces).await;
    }
    for (what, namespace) in BREAKS.into_iter().zip(play.namespaces.clone()) {
        play.tamper(what, &namespace).await;
    }
    play.ends_as_undisturbed(1, Ledger::Any).await;
    play.set.baseline(steps[2].clone()).await;
    play.ends_as_undisturbed(2, Ledger::Any).await;
    drop(second);
}
