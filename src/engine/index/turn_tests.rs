//! Turns in rollouts: each baseline gives and takes back its own.

use serde_json::json;

use super::*;
use crate::api::v1alpha1::Mode;
use crate::core::merge::Askers;
use crate::core::plan::SectionPlan;

fn index() -> Index {
    let mut index = Index::new(Config::default());
    for name in ["a", "b"] {
        index.namespace_seen(&json!({"metadata": {"name": name, "uid": name, "resourceVersion": "1"}}));
    }
    index
}

fn admitted(index: &Index, name: &str) -> Vec<String> {
    index.namespaces[name].admitted().into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn a_turn_comes_when_it_was_said_to() {
    let mut index = index();
    assert_eq!(index.turn("a", "one"), None);
    index.give_turn("a", "one", Duration::from_secs(3));
    assert_eq!(index.turn("a", "one"), Some(Duration::from_secs(3)));
    assert_eq!(admitted(&index, "a"), [""; 0]);
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(
        (admitted(&index, "a"), admitted(&index, "b")),
        (vec!["one".to_owned()], vec![])
    );
}

#[test]
fn a_rollout_that_begins_anew_takes_no_turn_of_another_one() {
    let mut index = index();
    index.give_turn("a", "one", Duration::ZERO);
    index.give_turn("a", "other", Duration::ZERO);
    index.begin_rollout("one", &[]);
    assert_eq!(admitted(&index, "a"), ["other"]);
}

#[test]
fn a_rollout_that_begins_anew_forgets_what_was_found_only_in_the_namespaces_that_it_is_about() {
    let mut index = index();
    let found = || Checked {
        what: Digest::unseen(),
        at: Timestamp::UNIX_EPOCH,
        held: Vec::new(),
    };
    for name in ["a", "b"] {
        index.looked(name, vec![("podSecurity", found())]);
    }
    index.begin_rollout("one", &["a".into()]);
    let known = |name: &str| index.namespaces[name].preflight.len();
    assert_eq!((known("a"), known("b")), (0, 1));
}

/// A plan that newly enforces a section for this baseline, and does something or not.
fn plan(uid: &str, does: bool) -> Plan {
    let section = SectionPlan {
        section: "networkIsolation",
        askers: Askers::default(),
        mode: Mode::Enforce,
        rollout: Some(uid.to_owned()),
        paused: None,
        findings: Vec::new(),
        held: Vec::new(),
        notes: Vec::new(),
    };
    let action = Action {
        section: "networkIsolation",
        baseline: uid.to_owned(),
        object: "Namespace/a".to_owned(),
        step: Step::Label(BTreeMap::new()),
    };
    Plan {
        sections: vec![section],
        actions: does.then_some(action).into_iter().collect(),
        ..Plan::default()
    }
}

#[test]
fn a_rollout_that_stops_leaves_their_turn_to_those_that_were_tried() {
    let mut index = index();
    for name in ["a", "b"] {
        index.give_turn(name, "one", Duration::ZERO);
    }
    index.tries("a", &plan("one", true));
    index.tries("b", &plan("one", false));
    index.tries("b", &plan("other", true));
    index.stop_rollout("other");
    assert_eq!(admitted(&index, "b"), ["one"]);
    index.stop_rollout("one");
    assert_eq!(
        (admitted(&index, "a"), admitted(&index, "b")),
        (vec!["one".to_owned()], vec![])
    );
}

#[test]
fn a_namespace_counts_once_in_a_rollout_however_often_it_is_tried() {
    let mut index = index();
    index.give_turn("a", "one", Duration::ZERO);
    assert!(index.counts("a", "one"));
    assert!(!index.counts("a", "one"));
    assert!(!index.counts("a", "other"), "without a turn it is in no rollout");
}
