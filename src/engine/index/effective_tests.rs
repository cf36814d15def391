//! What baselines mean together is worked out once for each distinct set of them, and forgotten when nobody needs it.

use serde_json::{Value, json};

use super::*;
use crate::core::settle::Standing as State;
use crate::engine::baselines::judge;

fn namespace_seen(index: &mut Index, name: &str, version: u64, labels: &[&str]) {
    let labels: Value = labels.iter().map(|label| ((*label).to_owned(), json!("yes"))).collect();
    let metadata = json!({"name": name, "uid": name, "resourceVersion": version.to_string(), "labels": labels});
    index.namespace_seen(&json!({"metadata": metadata}));
}

/// Takes up a generation of a baseline as accepted; it selects the namespaces that have its name for a label.
fn baseline_seen(index: &mut Index, name: &str, generation: i64) {
    let spec = json!({
        "namespaceSelector": {"matchLabels": {name: "yes"}}, "mode": "Enforce",
        "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": generation}}]},
    });
    let mut object = json!({
        "metadata": {"name": name, "uid": name, "generation": generation, "resourceVersion": generation.to_string()},
        "spec": spec,
    });
    if index.baseline(name).is_none() {
        object["status"] = json!({"appliedGeneration": generation, "applied": spec});
    }
    index.baseline_seen(name, judge(index.baseline(name), &object));
    index.accept(name, Timestamp::UNIX_EPOCH);
}

/// Two baselines; `a` and `b` are under both, `c` is under one.
fn index() -> Index {
    let mut index = Index::new(Config::default());
    for name in ["one", "two"] {
        baseline_seen(&mut index, name, 1);
    }
    namespace_seen(&mut index, "a", 1, &["one", "two"]);
    namespace_seen(&mut index, "b", 1, &["one", "two"]);
    namespace_seen(&mut index, "c", 1, &["two"]);
    index.all_synced();
    index
}

fn effective(index: &mut Index, namespace: &str) -> Arc<Effective> {
    let world = index.world(namespace, Timestamp::UNIX_EPOCH).unwrap();
    world.effective.unwrap()
}

/// What the quota on pods comes to.
fn pods(effective: &Effective) -> String {
    effective.enforced.values["resourceQuotas"][0].value.clone()
}

#[test]
fn namespaces_under_the_same_baselines_share_what_these_mean_together() {
    let mut index = index();
    let [a, b, c] = ["a", "b", "c"].map(|name| effective(&mut index, name));
    assert!(Arc::ptr_eq(&a, &b), "worked out twice for one set");
    assert!(!Arc::ptr_eq(&a, &c), "another set means something else");
    assert_eq!((a.baselines.len(), c.baselines.len()), (2, 1));
    let again = effective(&mut index, "a");
    assert!(Arc::ptr_eq(&a, &again), "worked out anew although nothing changed");
    // Also what comes anew and says the same.
    baseline_seen(&mut index, "one", 1);
    assert!(Arc::ptr_eq(&a, &effective(&mut index, "b")));
}

#[test]
fn what_was_worked_out_counts_no_more_when_one_of_the_baselines_changed() {
    let mut index = index();
    baseline_seen(&mut index, "one", 2);
    baseline_seen(&mut index, "two", 2);
    let before = effective(&mut index, "a");
    baseline_seen(&mut index, "one", 1);
    let after = effective(&mut index, "a");
    assert_eq!((pods(&before), pods(&after)), ("2".to_owned(), "1".to_owned()));
    assert!(Arc::ptr_eq(&after, &effective(&mut index, "b")));
}

#[test]
fn what_edited_baselines_meant_once_is_forgotten() {
    let mut index = index();
    for generation in 2..200 {
        baseline_seen(&mut index, "one", generation);
        for name in ["a", "b", "c"] {
            effective(&mut index, name);
        }
        assert_eq!(index.effective.len(), 2, "after edit {generation}");
    }
    // Nor does a baseline that waits leave what its candidates would have meant.
    for generation in 200..400 {
        let spec = json!({"namespaceSelector": {}, "mode": "Enforce"});
        let metadata = json!({
            "name": "one", "uid": "one", "generation": generation, "resourceVersion": generation.to_string(),
        });
        let entry = judge(index.baseline("one"), &json!({"metadata": metadata, "spec": spec}));
        index.baseline_seen("one", entry);
        let candidate = index.baseline("one").and_then(|b| b.candidate.clone()).unwrap();
        for name in ["a", "b", "c"] {
            index.changed(name, &candidate).unwrap();
        }
        index.wait("one", "for somebody".to_owned());
        assert!(
            index.effective.len() <= 6,
            "{} after edit {generation}",
            index.effective.len()
        );
    }
}

#[test]
fn namespaces_that_come_and_go_leave_nothing_of_the_sets_that_they_were_under() {
    let mut index = Index::new(Config::default());
    let names: Vec<String> = (0..10).map(|i| format!("base-{i}")).collect();
    for name in &names {
        baseline_seen(&mut index, name, 1);
    }
    index.all_synced();
    for set in 1..1024_usize {
        let labels: Vec<&str> = (0..10).filter(|i| set & (1 << i) != 0).map(|i| &*names[i]).collect();
        let name = format!("n{set}");
        namespace_seen(&mut index, &name, 1, &labels);
        assert_eq!(effective(&mut index, &name).baselines.len(), labels.len());
        index.namespace_gone(&name);
    }
    assert!(index.effective.len() <= 4, "{} are kept", index.effective.len());
}

#[test]
fn how_a_namespace_stood_with_the_audited_form_of_a_baseline_says_nothing_once_that_is_enforced() {
    let mut index = Index::new(Config::default());
    namespace_seen(&mut index, "a", 1, &["one"]);
    index.all_synced();
    let spec = json!({"namespaceSelector": {"matchLabels": {"one": "yes"}}, "mode": "Enforce"});
    let metadata = json!({"name": "one", "uid": "one", "generation": 1, "resourceVersion": "1"});
    let entry = judge(None, &json!({"metadata": metadata, "spec": spec}));
    index.baseline_seen("one", entry);
    index.wait("one", "for somebody".to_owned());
    let pending = |index: &Index| {
        let held = index.baseline("one").and_then(|b| b.accepted.clone()).unwrap();
        index.tally(&held).counts().pending
    };
    let stands = MemberStanding {
        baseline: "one".to_owned(),
        generation: 1,
        standing: State::Compliant,
        reason: String::new(),
        message: String::new(),
        told: 0,
        conflict: None,
        deselected: false,
        held: false,
        unrepaired: false,
        contested: None,
        weakened: None,
    };
    let settled = Settled {
        report: BaselineReportStatus::default(),
        members: vec![stands],
    };
    index.settled("a", &settled);
    assert_eq!(pending(&index), 0);
    index.accept("one", Timestamp::UNIX_EPOCH);
    assert_eq!(pending(&index), 1, "it is still to be worked on");
    index.settled("a", &settled);
    assert_eq!(pending(&index), 0);
}
