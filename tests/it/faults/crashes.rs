//! Crashes: the operator is killed at every kind of write, just before the API server sees it and just after it was done.
//!
//! Many namespaces stop at another write each, and then one SIGKILL is for all of them.

mod cleanup;
mod writes;

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::writes::{RECREATION, REMOVAL, REPAIR, REPLACEMENT, ROLLOUT, granted};
pub use self::writes::{Write, granted_for_reports, matching};
use super::acts::{Break, recreated, replaced, steps, undisturbed};
use super::play::{Ends, Play};
use crate::oracles::{assert_same_end, forget_ledger};
use crate::stage::{SOON, Set, create, delete, get};
use crate::support::eventually;
use crate::support::proxy::{Fault, Kind, Matching, Rule, When};

/// What the cases share. There are two namespaces for each write: the operator is killed before that of the first, and
/// after that of the second. The last one is not disturbed.
struct Crashes {
    play: Play,
    /// Two more baselines, with a namespace each: the same for the writes of their status.
    others: Vec<(Set, Vec<String>)>,
    /// How each namespace ended, by step.
    ends: Vec<Ends>,
}

impl Crashes {
    async fn new() -> Self {
        let play = Play::new("crash", 2 * ROLLOUT.len() + 1).await;
        let mut others = Vec::new();
        for _ in 0..2 {
            let other = Set::new(&play.plane, "crash-status").await;
            let namespaces = other.namespaces(&play.plane, 1).await;
            others.push((other, namespaces));
        }
        Self {
            play,
            others,
            ends: Vec::new(),
        }
    }

    /// All baselines, with their namespaces.
    fn sets(&self) -> impl Iterator<Item = (&Set, &Vec<String>)> {
        let others = self.others.iter().map(|(set, namespaces)| (set, namespaces));
        others.chain([(&self.play.set, &self.play.namespaces)])
    }

    /// Holds these writes, each in two namespaces: before, and after.
    fn hold(&self, writes: impl IntoIterator<Item = Write>) -> Vec<Rule> {
        let mut rules = Vec::new();
        for (write, pair) in writes.into_iter().zip(self.play.namespaces.chunks(2)) {
            for (namespace, when) in pair.iter().zip([When::Before, When::After]) {
                rules.push(self.play.proxy.disturb(matching(write, namespace), Fault::Hold(when)));
            }
        }
        rules
    }

    /// Holds the next event.
    fn hold_event(&self, verb: &str, when: When) -> Rule {
        self.play.proxy.disturb(Matching::of(verb, "events"), Fault::Hold(when))
    }

    /// Applies a spec to all baselines, of which the other two are held at their status.
    async fn apply(&self, spec: &Value) -> Vec<Rule> {
        let mut rules = Vec::new();
        for ((other, _), when) in self.others.iter().zip([When::Before, When::After]) {
            let status = Matching::of("update", "securitybaselines")
                .subresource("status")
                .named(&other.name);
            rules.push(self.play.proxy.disturb(status, Fault::Hold(when)));
            other.baseline(spec.clone()).await;
        }
        self.play.set.baseline(spec.clone()).await;
        rules
    }

    /// Makes what has a finalizer, and what waives something, each twice: held at the write of it, before and after.
    async fn once(&self) -> Vec<Rule> {
        let admin = &self.play.set.admin;
        let mut rules = Vec::new();
        for (name, when) in [("crash-before", When::Before), ("crash-after", When::After)] {
            let finalizer = Matching::of("patch", "securitybaselines").named(name);
            rules.push(self.play.proxy.disturb(finalizer, Fault::Hold(when)));
            let nothing = json!({"matchLabels": {"crash.example.com/selects": "nothing"}});
            let baseline = json!({
                "metadata": {"name": name},
                "spec": {"namespaceSelector": nothing, "deletionPolicy": "Delete"},
            });
            create(admin, "SecurityBaseline", None, baseline).await.unwrap();

            let status = Matching::of("update", "baselineexceptions")
                .subresource("status")
                .named(name);
            rules.push(self.play.proxy.disturb(status, Fault::Hold(when)));
            let soon = Timestamp::now().checked_add(SignedDuration::from_hours(1)).unwrap();
            let exception = json!({"metadata": {"name": name}, "spec": {
                "namespaces": ["crash-nobody"], "waive": [{"control": "access"}],
                "reason": "a test", "approver": "tester", "expiresAt": soon.to_string(),
            }});
            create(admin, "BaselineException", None, exception).await.unwrap();
        }
        rules
    }

    /// What [`Crashes::once`] made is there, and goes when it is deleted.
    async fn come_and_gone(&self) {
        for name in ["crash-before", "crash-after"] {
            let admin = &self.play.set.admin;
            self.play
                .set
                .baseline_until(name, "has its finalizer", |b| b["metadata"]["finalizers"].is_array())
                .await;
            delete(admin, "SecurityBaseline", None, name).await;
            eventually("it is gone", SOON, async || {
                anyhow::ensure!(
                    get(admin, "SecurityBaseline", None, name).await.is_none(),
                    "still there"
                );
                Ok(())
            })
            .await
            .unwrap();
            delete(admin, "BaselineException", None, name).await;
        }
    }

    /// Once all of these are held: kills the operator, and starts it again with nothing in its way. What was held before
    /// the API server saw it is lost. Then O1 and O2.
    async fn crash(&mut self, rules: Vec<Rule>, spec: &Value) {
        for rule in rules {
            rule.hit(1).await.unwrap();
        }
        self.play.stage.operator.kill().unwrap();
        self.play.proxy.forget();
        self.play.stage.restart(&self.play.plane).await.unwrap();
        let each = self
            .sets()
            .map(|(set, namespaces)| self.play.ends_of(set, namespaces, spec));
        let ends = join_all(each).await.concat();
        self.ends.push(ends);
    }

    /// Breaks the same thing twice, so that its event is counted up.
    async fn drift_twice(&mut self) {
        let namespace = self.play.namespaces.last().unwrap().clone();
        for _ in 0..2 {
            let report = get(&self.play.set.admin, "BaselineReport", Some(&namespace), "baseline")
                .await
                .unwrap();
            let before = report["status"]["drift"]["total"].as_i64().unwrap();
            self.play.tamper(Break::Open, &namespace).await;
            let counted = |r: &Value| r["status"]["drift"]["total"].as_i64() > Some(before);
            self.play
                .set
                .report_until(&namespace, "the drift is counted", counted)
                .await;
        }
    }

    /// Breaks what [`REPAIR`] mends.
    async fn break_all(&mut self) {
        for ((what, _), pair) in REPAIR.into_iter().zip(self.play.namespaces.clone().chunks(2)) {
            for namespace in pair {
                self.play.tamper(what, namespace).await;
            }
        }
    }
}

#[tokio::test]
async fn an_operator_that_is_killed_before_or_after_any_write_ends_where_it_would_have_without() {
    let specs = steps();
    let (expected, crashed) = tokio::join!(undisturbed(), crashed_everywhere(&specs));

    // O3. Nothing was broken in the first two steps: no repair may be on record either. (Of the third, see below.)
    for (ends, expected) in crashed.ends[..2].iter().zip(expected) {
        for (namespace, end) in ends {
            assert_same_end(namespace, end, expected);
        }
    }
    for (ends, expected) in crashed.ends[2..].iter().zip([2, 2, 3].map(|step| &expected[step])) {
        for (namespace, end) in ends {
            assert_same_end(namespace, &forget_ledger(end), &forget_ledger(expected));
        }
    }

    let others = crashed.others.iter().flat_map(|(_, namespaces)| namespaces);
    let all: Vec<String> = crashed.play.namespaces.iter().chain(others).cloned().collect();
    crashed.play.was_safe(&all).await;
    assert_eq!(crashed.play.recorder.gaps(), Vec::<String>::new());
    forgets_no_kind_of_write(&crashed);
}

#[tokio::test]
async fn a_recreation_that_is_cut_in_two_by_a_crash_is_not_told_as_drift() {
    let specs = [replaced(), recreated()];
    let mut crashes = Crashes::new().await;
    let rules = crashes.apply(&specs[0]).await;
    crashes.crash(rules, &specs[0]).await;
    let mut rules = crashes.hold(RECREATION);
    rules.extend(crashes.apply(&specs[1]).await);
    crashes.crash(rules, &specs[1]).await;
    for (namespace, end) in crashes.ends.last().unwrap() {
        assert_eq!(end["report"]["records"], json!([]), "{namespace}");
    }
}

/// Crashes at every write of these specs, of their repair, and of what is told of it.
async fn crashed_everywhere(specs: &[Value; 4]) -> Crashes {
    let mut crashes = Crashes::new().await;

    let mut rules = crashes.hold(ROLLOUT);
    rules.push(crashes.hold_event("create", When::Before));
    rules.extend(crashes.once().await);
    rules.extend(crashes.apply(&specs[0]).await);
    crashes.crash(rules, &specs[0]).await;
    crashes.come_and_gone().await;

    let mut rules = crashes.hold(REPLACEMENT);
    rules.push(crashes.hold_event("create", When::After));
    rules.extend(crashes.apply(&specs[1]).await);
    crashes.crash(rules, &specs[1]).await;

    let mut rules = crashes.hold(RECREATION);
    rules.extend(crashes.apply(&specs[2]).await);
    crashes.crash(rules, &specs[2]).await;

    let mut rules = vec![crashes.hold_event("patch", When::Before)];
    crashes.drift_twice().await;
    rules.extend(crashes.hold(REPAIR.map(|(_, write)| write)));
    crashes.break_all().await;
    crashes.crash(rules, &specs[2]).await;

    let mut rules = vec![crashes.hold_event("patch", When::After)];
    crashes.drift_twice().await;
    rules.extend(crashes.hold(REMOVAL));
    crashes.play.removal().await;
    rules.extend(crashes.apply(&specs[3]).await);
    crashes.crash(rules, &specs[3]).await;
    crashes
}

/// Every kind of write that the operator did, or may do by its RBAC, was interrupted on both sides.
fn forgets_no_kind_of_write(crashes: &Crashes) {
    let seen = crashes.play.plane.audit().since(crashes.play.begin).unwrap();
    let mut kinds: BTreeSet<Kind> = seen.iter().map(Kind::from).filter(Kind::is_write).collect();
    kinds.extend(granted());
    let disturbed = crashes.play.proxy.disturbed();
    let missed: Vec<String> = kinds
        .iter()
        .flat_map(|kind| [(kind.clone(), When::Before), (kind.clone(), When::After)])
        .filter(|hit| !disturbed.contains(hit))
        .map(|(kind, when)| format!("  {kind}, {when:?}"))
        .collect();
    assert!(
        missed.is_empty(),
        "the operator writes these, and no test kills it there: add a case to tests/it/faults/crashes.rs\n{}",
        missed.join("\n")
    );
}
