//! What the API server, or something before it, answers instead of doing it; and replies that are lost after it was done.
//! The operator tries again, not too often, and takes nothing of it for somebody else's doing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::acts::{BINDING, Break, EGRESS, INGRESS, LIMITS, QUOTA, ROLE, VIEWERS, steps, undisturbed};
use super::crashes::{Write, matching};
use super::play::{Ends, Play};
use crate::oracles::{assert_same_end, converged, settled, versions};
use crate::stage::{create, everything, get};
use crate::support::proxy::{Answer, Fault, Matching, Rule, When};

/// A write, what happens to it and how often, and how many requests there may be for it in all.
type Case = (Write, Fault, usize, usize);

const REPORT: &str = "baseline";

fn lost() -> Fault {
    Fault::Drop(When::After)
}

fn says(code: u16) -> Fault {
    Fault::Answer(Answer::status(code))
}

fn page(code: u16) -> Fault {
    Fault::Answer(Answer::page(code))
}

/// What the API server asks for, in a header alone.
const RETRY_AFTER: u32 = 3;

fn busy() -> Fault {
    Fault::Answer(Answer::busy(RETRY_AFTER))
}

/// For each of the steps, what goes wrong, each in a namespace of its own. What was done and not told is not done again,
/// unless the watch was slower to tell it. Reports change more than once in a step.
fn cases() -> [Vec<Case>; 4] {
    let creation = vec![
        (("create", "networkpolicies", INGRESS), busy(), 2, 3),
        (("create", "networkpolicies", INGRESS), says(500), 4, 5),
        (("create", "networkpolicies", EGRESS), says(503), 3, 4),
        (("create", "networkpolicies", EGRESS), lost(), 1, 2),
        (("create", "networkpolicies", INGRESS), Fault::Truncate, 1, 2),
        (("create", "resourcequotas", QUOTA), Fault::Drop(When::Before), 2, 3),
        (("create", "resourcequotas", QUOTA), lost(), 1, 2),
        (("create", "limitranges", LIMITS), page(200), 1, 2),
        (("create", "limitranges", LIMITS), page(404), 1, 2),
        (("create", "roles", ROLE), page(502), 2, 3),
        (("create", "roles", ROLE), lost(), 1, 2),
        (("create", "rolebindings", BINDING), lost(), 1, 2),
        (("patch", "namespaces", ""), lost(), 1, 2),
        (("patch", "namespaces", ""), says(500), 2, 3),
        (("patch", "namespaces", ""), page(404), 1, 2),
        (("create", "baselinereports", REPORT), lost(), 1, 2),
        (("create", "baselinereports", REPORT), says(500), 1, 2),
        (("create", "baselinereports", REPORT), page(404), 1, 2),
    ];
    let replacement = vec![
        (("update", "networkpolicies", INGRESS), busy(), 2, 3),
        (("update", "networkpolicies", EGRESS), lost(), 1, 2),
        (("update", "networkpolicies", EGRESS), page(404), 1, 2),
        (("update", "resourcequotas", QUOTA), lost(), 1, 2),
        (("update", "resourcequotas", QUOTA), says(500), 3, 4),
        (("update", "limitranges", LIMITS), lost(), 1, 2),
        (("update", "roles", ROLE), Fault::Truncate, 1, 2),
        (("update", "rolebindings", VIEWERS), lost(), 1, 2),
        (("patch", "namespaces", ""), lost(), 1, 2),
        (("update", "baselinereports", REPORT), lost(), 1, 6),
        (("update", "baselinereports", REPORT), says(500), 2, 6),
    ];
    let recreation = vec![
        (("try", "rolebindings", ""), lost(), 1, 2),
        (("try", "resourcequotas", ""), says(500), 2, 3),
        (("delete", "rolebindings", BINDING), says(500), 2, 3),
        (("delete", "rolebindings", BINDING), lost(), 1, 2),
        (("delete", "resourcequotas", QUOTA), lost(), 1, 2),
        (("delete", "rolebindings", BINDING), page(404), 1, 2),
        (("create", "rolebindings", BINDING), says(500), 2, 3),
        (("create", "rolebindings", BINDING), lost(), 1, 2),
        (("create", "resourcequotas", QUOTA), Fault::Drop(When::Before), 1, 2),
    ];
    let removal = vec![
        (("delete", "networkpolicies", EGRESS), lost(), 1, 2),
        (("delete", "networkpolicies", EGRESS), busy(), 2, 3),
        (("delete", "resourcequotas", QUOTA), says(500), 2, 3),
        (("delete", "limitranges", LIMITS), lost(), 1, 2),
        (("delete", "roles", ROLE), Fault::Drop(When::Before), 1, 2),
        (("delete", "rolebindings", BINDING), lost(), 1, 2),
        (("delete", "rolebindings", VIEWERS), page(404), 1, 2),
        (("patch", "namespaces", ""), lost(), 1, 2),
    ];
    [creation, replacement, recreation, removal]
}

/// The pauses between requests, in the order of their coming.
fn pauses(asked: &[Instant]) -> Vec<Duration> {
    asked.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// What came of a step: the pauses between the requests of each case, and how each namespace ended.
struct Step {
    pauses: Vec<Vec<Duration>>,
    ends: Ends,
}

/// Applies a spec while its writes go wrong, and one of its status. Then O1, O2, and how often each was asked for.
async fn step(play: &Play, spec: &Value, cases: Vec<Case>, status: Fault) -> Step {
    let begin = Instant::now();
    let mut rules: Vec<(String, Matching, usize, usize, Rule)> = Vec::new();
    let of_baseline = Matching::of("update", "securitybaselines")
        .subresource("status")
        .named(&play.set.name);
    let status = play.proxy.disturb_first(1, of_baseline, status);
    for ((write, fault, times, at_most), namespace) in cases.into_iter().zip(&play.namespaces) {
        let matching = matching(write, namespace);
        let what = format!("{write:?} in {namespace}: {fault:?}");
        let rule = play.proxy.disturb_first(times, matching.clone(), fault);
        rules.push((what, matching, times, at_most, rule));
    }
    play.set.baseline(spec.clone()).await;
    let mut step = Step {
        ends: play.ends(spec).await,
        pauses: Vec::new(),
    };
    assert_eq!(status.hits(), 1);
    for (what, matching, times, at_most, rule) in rules {
        assert_eq!(rule.hits(), times, "{what}");
        let mut asked = play.proxy.asked(&matching);
        asked.retain(|at| *at >= begin);
        let pauses = pauses(&asked);
        assert!(asked.len() <= at_most, "{what}: {} requests, {pauses:?}", asked.len());
        step.pauses.push(pauses);
    }
    play.proxy.forget();
    step
}

#[tokio::test]
async fn what_fails_or_is_done_and_not_told_is_tried_again_a_bounded_number_of_times_and_is_no_drift() {
    let run = async {
        let cases = cases();
        let mut play = Play::new("retry", cases.iter().map(Vec::len).max().unwrap()).await;
        let mut done = Vec::new();
        let statuses = [lost(), says(500), page(404), busy()];
        for ((spec, cases), status) in steps().iter().zip(cases).zip(statuses) {
            if done.len() == 3 {
                play.removal().await;
            }
            done.push(step(&play, spec, cases, status).await);
        }
        play.was_safe(&play.namespaces).await;
        // The logs are kept of what is still running when a test fails.
        (done, play)
    };
    let (expected, (steps, _play)) = tokio::join!(undisturbed(), run);
    for (step, expected) in steps.iter().zip(expected) {
        for (namespace, end) in &step.ends {
            assert_same_end(namespace, end, expected);
        }
    }
    // The first case is 429 with a `Retry-After`, and the second one 500, after which the pauses double. (The first of
    // them is none: a namespace whose rollout is just beginning has its turn right after it was first looked at.)
    let [busy, failed, ..] = &steps[0].pauses[..] else {
        panic!()
    };
    let asked = Duration::from_secs(RETRY_AFTER.into());
    assert!(!busy.is_empty() && busy.iter().all(|pause| *pause >= asked), "{busy:?}");
    assert!(failed.len() >= 2, "{failed:?}");
    for (pause, least) in failed.iter().skip(1).zip([500, 1000, 2000]) {
        assert!(*pause >= Duration::from_millis(least), "{failed:?}");
    }
}

#[tokio::test]
async fn a_list_that_comes_in_halves_or_as_a_page_for_people_tells_of_nothing_that_is_gone() {
    let mut play = Play::new("halves", 2).await;
    let (plane, proxy, set) = (&play.plane, &play.proxy, &play.set);
    // More than one page of policies, of which those of the set come last.
    plane.namespace("a", &[]).await.unwrap();
    for i in 0..110 {
        let policy = json!({"metadata": {"name": format!("p-{i}")}, "spec": {"podSelector": {}}});
        create(&set.admin, "NetworkPolicy", Some("a"), policy).await.unwrap();
    }
    set.baseline(everything()).await;
    converged(set, &everything(), &play.namespaces).await;
    settled(plane, set).await;

    play.stage.operator.kill().unwrap();
    let (mark, before) = (plane.audit().mark().unwrap(), versions(set, &play.namespaces).await);
    let list = |resource: &str| Matching::of("list", resource);
    let rules = [
        proxy.disturb_first(2, list("networkpolicies").query("continue="), Fault::Truncate),
        proxy.disturb_first(1, list("namespaces"), Fault::Truncate),
        proxy.disturb_first(1, list("baselinereports"), page(200)),
        proxy.disturb_first(1, list("rolebindings"), page(404)),
        proxy.disturb_first(1, list("roles"), says(500)),
        proxy.disturb_first(2, list("resourcequotas"), busy()),
        proxy.disturb_first(1, list("limitranges"), Fault::Drop(When::After)),
        proxy.disturb_first(1, list("securitybaselines"), Fault::Truncate),
    ];
    play.stage.restart(plane).await.unwrap();
    for rule in rules {
        rule.hit(1).await.unwrap();
    }
    settled(plane, set).await;
    assert_eq!(versions(set, &play.namespaces).await, before);
    let writes = plane.audit().writes_since(mark).unwrap();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test]
async fn drift_is_on_record_once_though_the_reply_to_its_report_was_lost() {
    let mut play = Play::new("unheard", 1).await;
    let namespace = play.namespaces[0].clone();
    play.set.baseline(everything()).await;
    play.ends(&everything()).await;
    let report = Matching::of("update", "baselinereports").within(&namespace);
    for (total, fault) in [(1, None), (2, Some(lost())), (3, None)] {
        let rule = fault.map(|fault| play.proxy.disturb_first(1, report.clone(), fault));
        play.tamper(Break::Open, &namespace).await;
        play.set
            .report_until(&namespace, "the drift is counted", |r| {
                r["status"]["drift"]["total"] == total
            })
            .await;
        if let Some(rule) = rule {
            rule.hit(1).await.unwrap();
        }
        settled(&play.plane, &play.set).await;
    }
    let report = get(&play.set.admin, "BaselineReport", Some(&namespace), "baseline")
        .await
        .unwrap();
    assert_eq!(report["status"]["drift"]["total"], 3, "{report}");
    assert_eq!(report["status"]["drift"]["repaired"], 3, "{report}");
    let records = report["status"]["drift"]["records"].as_array().unwrap();
    let once: BTreeSet<String> = records.iter().map(Value::to_string).collect();
    assert_eq!(once.len(), records.len(), "{records:#?}");
}
