//! Exceptions: whom they concern, what a plan sees of them, and what is known of their namespaces.

use k8s_openapi::jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::controls::REGISTRY;
use crate::core::exceptions::Exception;
use crate::core::exceptions::status::Found;
use crate::core::plan::plan;
use crate::engine::baselines::judge;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An index of the namespaces `a`, `b` and `c`, of which a baseline holds the first two.
fn index() -> Index {
    let mut index = Index::new(Config::default());
    for name in ["a", "b", "c"] {
        let labels = json!({"held": (name != "c").to_string()});
        index.namespace_seen(
            &json!({"metadata": {"name": name, "uid": name, "resourceVersion": "1", "labels": labels}}),
        );
    }
    let spec = json!({
        "namespaceSelector": {"matchLabels": {"held": "true"}}, "mode": "Enforce",
        "limitRanges": {"items": [{"name": "x", "limits": [{"type": "Pod", "max": {"cpu": 1}}]}]},
    });
    let baseline = json!({
        "metadata": {"name": "base", "uid": "u", "generation": 1, "resourceVersion": "1"},
        "spec": spec, "status": {"appliedGeneration": 1, "applied": spec},
    });
    index.baseline_seen("base", judge(None, &baseline));
    index.all_synced();
    index
}

fn entry(generation: i64, namespaces: &[&str]) -> ExceptionEntry {
    let spec: Value = json!({
        "namespaces": namespaces, "waive": [{"control": "limitRanges"}], "reason": "r", "approver": "a",
        "expiresAt": at(100).to_string(),
    });
    let spec = serde_json::from_value(spec).unwrap();
    let hour = SignedDuration::from_hours(1);
    let accepted = Exception::accept("e".into(), "uid-e".into(), generation, at(0), spec, hour).unwrap();
    ExceptionEntry {
        uid: "uid-e".to_owned(),
        resource_version: "1".to_owned(),
        judged: generation,
        problems: Problems::default(),
        accepted: Some(Arc::new(accepted)),
        deleted: false,
        status: Default::default(),
        state: None,
    }
}

fn names(look: Vec<Arc<str>>) -> Vec<String> {
    look.into_iter().map(|name| name.to_string()).collect()
}

#[test]
fn namespaces_are_looked_at_when_an_exception_that_names_them_appears_changes_or_goes() {
    let mut index = index();
    assert_eq!(names(index.exception_seen("e", entry(1, &["a", "absent"]))), ["a"]);
    assert_eq!(
        names(index.exception_seen("e", entry(1, &["a", "absent"]))),
        [""; 0],
        "no news"
    );
    assert_eq!(names(index.exception_seen("e", entry(2, &["b", "c"]))), ["a", "b", "c"]);
    assert!(index.exceptions_naming("a").is_empty());
    assert_eq!(names(index.exceptions_naming("b")), ["e"]);
    let refused = ExceptionEntry {
        accepted: None,
        ..entry(3, &["b"])
    };
    assert_eq!(names(index.exception_seen("e", refused)), ["b", "c"]);
    assert_eq!(names(index.exception_gone("e")), [""; 0]);
    index.exception_seen("e", entry(4, &["b"]));
    assert_eq!(names(index.exception_gone("e")), ["b"]);
}

#[test]
fn an_exception_that_is_being_deleted_holds_no_longer_whatever_keeps_it() {
    let mut index = index();
    index.exception_seen("e", entry(1, &["a"]));
    let deleted = ExceptionEntry {
        deleted: true,
        ..entry(1, &["a"])
    };
    assert_eq!(names(index.exception_seen("e", deleted)), ["a"]);
    assert!(index.world("a", at(1)).unwrap().waivers.is_empty());
}

#[test]
fn a_plan_sees_what_is_waived_and_the_brake_does_not() {
    let mut index = index();
    index.exception_seen("e", entry(1, &["a"]));
    assert!(!index.world("a", at(99)).unwrap().waivers.is_empty());
    assert!(index.world("a", at(100)).unwrap().waivers.is_empty(), "it has expired");
    assert!(
        index.world("b", at(99)).unwrap().waivers.is_empty(),
        "it names another one"
    );
    let held = index.baseline("base").unwrap().accepted.clone().unwrap();
    assert!(index.world_if("a", &held, at(99)).unwrap().waivers.is_empty());
}

/// Works on a namespace: as it is once the plan is carried out, or while it is not.
fn work(index: &mut Index, namespace: &str, now: Timestamp, carried_out: bool) -> Vec<String> {
    let world = index.world(namespace, now).unwrap();
    let mut plan = plan(REGISTRY, &world);
    if carried_out {
        plan.actions.clear();
    }
    names(index.waived(&world, &plan, &Attempt::default()))
}

#[test]
fn what_is_there_of_an_exception_is_known_once_its_namespaces_are_as_it_says() {
    let mut index = index();
    index.exception_seen("e", entry(1, &["a", "c", "absent"]));
    let exception = index.exception("e").unwrap().accepted.clone().unwrap();
    assert_eq!(index.found("absent", &exception, true), Found::Absent);
    assert_eq!(index.found("c", &exception, true), Found::Unheld);
    assert_eq!(index.found("a", &exception, true), Found::Pending);

    assert_eq!(work(&mut index, "a", at(1), true), ["e"], "it is told");
    assert_eq!(work(&mut index, "a", at(1), true), [""; 0], "once");
    let Found::Done(waived) = index.found("a", &exception, true) else {
        panic!("still pending")
    };
    assert_eq!(waived[0].exceptions, ["e"]);

    // It has expired: what it waived is back only once that is carried out.
    assert_eq!(index.found("a", &exception, false), Found::Pending);
    assert_eq!(work(&mut index, "a", at(100), false), [""; 0]);
    assert_eq!(index.found("a", &exception, false), Found::Pending);
    assert_eq!(work(&mut index, "a", at(100), true), ["e"]);
    assert_eq!(index.found("a", &exception, false), Found::Done(Vec::new()));

    // Another generation of it is another matter.
    index.exception_seen("e", entry(2, &["a"]));
    let newer = index.exception("e").unwrap().accepted.clone().unwrap();
    work(&mut index, "a", at(1), true);
    assert_eq!(index.found("a", &exception, true), Found::Pending);
    assert!(matches!(index.found("a", &newer, true), Found::Done(_)));

    let going = json!({"metadata": {"name": "a", "uid": "a", "resourceVersion": "2", "labels": {"held": "true"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    index.namespace_seen(&going);
    assert_eq!(index.found("a", &newer, true), Found::Absent);
}

#[test]
fn what_could_not_be_written_does_not_keep_an_exception_in_progress() {
    let mut index = index();
    index.exception_seen("e", entry(1, &["a"]));
    let exception = index.exception("e").unwrap().accepted.clone().unwrap();
    let world = index.world("a", at(100)).unwrap();
    let plan = plan(REGISTRY, &world);
    let failure = crate::core::settle::Failure {
        reason: "Forbidden",
        message: String::new(),
    };
    let mut attempt = Attempt::default();
    attempt.failures.insert(plan.actions[0].object.clone(), failure);
    assert_eq!(names(index.waived(&world, &plan, &attempt)), ["e"]);
    assert_eq!(index.found("a", &exception, false), Found::Done(Vec::new()));
}

#[test]
fn what_was_enforced_before_it_was_waived_is_known_before_a_report_tells_it() {
    let mut index = index();
    let child = plan(REGISTRY, &index.world("a", at(1)).unwrap()).actions.remove(0);
    let Step::Create(child) = child.step else {
        panic!("{child:?}")
    };
    let mut object = child.to_object("a");
    object["metadata"]["uid"] = json!("child");
    object["metadata"]["resourceVersion"] = json!("5");
    index.child_seen(child.id.kind, object);
    let (namespace, pools) = index.entry_and_pools("a");
    let prior = namespace.prior.get_or_insert_default();
    prior.wrote(&child.id, "child".into(), "u", Digest::unseen(), pools);

    index.exception_seen("e", entry(1, &["a"]));
    let world = index.world("a", at(1)).unwrap();
    let plan = plan(REGISTRY, &world);
    index.planned(&world, &plan);
    index.did("a", &plan.actions[0]);
    let after = index.world("a", at(1)).unwrap();
    assert!(after.prior.inventory.is_empty(), "it is gone");
    assert_eq!(after.prior.enforced_before, ["limitRanges".to_owned()].into());
}
