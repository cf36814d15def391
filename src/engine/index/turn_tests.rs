//! Turns in rollouts: each baseline gives and takes back its own.

use serde_json::json;

use super::*;

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
    index.begin_rollout("one");
    assert_eq!(admitted(&index, "a"), ["other"]);
}

#[test]
fn a_rollout_that_stops_leaves_their_turn_to_those_that_were_tried_and_counts_each_once() {
    let mut index = index();
    for name in ["a", "b"] {
        index.give_turn(name, "one", Duration::ZERO);
    }
    assert!(index.tried("a", "one"), "the first time");
    assert!(!index.tried("a", "one"), "however often it is tried");
    assert!(!index.tried("a", "other"), "without a turn it is in no rollout");
    index.stop_rollout("other");
    assert_eq!(admitted(&index, "b"), ["one"]);
    index.stop_rollout("one");
    assert_eq!(
        (admitted(&index, "a"), admitted(&index, "b")),
        (vec!["one".to_owned()], vec![])
    );
}
