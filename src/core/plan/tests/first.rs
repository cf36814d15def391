//! What waits before it is enforced in a namespace for the first time.

use k8s_openapi::jiff::SignedDuration;

use super::*;
use crate::core::control::Preflight;
use crate::core::plan::first::LOOK_AGAIN;
use crate::core::world::testing::namespace;
use crate::core::world::{Checked, NamespaceFacts};

pub(super) const SINCE: i64 = 500;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A baseline that is enforced since then.
pub(super) fn since(name: &str, second: i64, spec: Value) -> Arc<Baseline> {
    let mut baseline = (*with_spec(name, 1, spec)).clone();
    baseline.since = at(second);
    Arc::new(baseline)
}

/// A namespace that was created then, under these baselines.
pub(super) fn created(second: i64, baselines: Vec<Arc<Baseline>>) -> World {
    let mut world = world(baselines);
    world.now = at(SINCE + 30);
    world.namespace = NamespaceFacts {
        created: Some(at(second)),
        ..namespace()
    };
    world
}

/// An older namespace under one baseline that enforces everything since then.
fn older(change: Value) -> World {
    created(SINCE - 1, vec![since("b", SINCE, full_spec_but(change))])
}

fn admit(world: &mut World) {
    world.admitted.insert("uid-b".to_owned());
}

fn sections(plan: &Plan) -> Vec<&'static str> {
    let mut sections: Vec<_> = plan.actions.iter().map(|action| action.section).collect();
    sections.dedup();
    sections
}

/// Has all looks taken, with what each found.
pub(super) fn look(world: &mut World, plan: &Plan, held: &[Held]) {
    for check in &plan.unchecked {
        let checked = Checked {
            what: check.what,
            at: world.now,
            held: held.to_vec(),
        };
        world.preflight.insert(check.section, checked);
    }
}

pub(super) fn violation() -> Held {
    Held {
        object: "Namespace/team-a".to_owned(),
        id: None,
        reason: "ViolatingPods",
        message: "two pods".to_owned(),
    }
}

#[test]
fn an_older_namespace_waits_for_its_turn_and_a_younger_one_for_nothing() {
    let waits = plan(REGISTRY, &older(json!({})));
    assert_eq!(waits.waits_for.as_deref(), Some("uid-b"));
    assert_eq!(steps(&waits), [""; 0]);
    assert_eq!(findings(&waits).len(), 13, "it is found all the same");
    assert!(waits.sections.iter().all(|s| s.rollout.as_deref() == Some("uid-b")));
    let fraction = SignedDuration::from_millis(900);
    for born in [SINCE, SINCE + 1] {
        let mut world = created(born, vec![since("b", SINCE, full_spec())]);
        // A Namespace's age has no fractions of seconds, and the baseline's has.
        Arc::make_mut(&mut world.baselines[0]).since = at(SINCE) + fraction;
        let plan = plan(REGISTRY, &world);
        assert_eq!(plan.waits_for, None);
        assert_eq!(steps(&plan).len(), 10);
        assert!(plan.unchecked.is_empty());
        assert!(plan.sections.iter().all(|s| s.rollout.is_none()));
    }
}

#[test]
fn in_its_turn_it_is_looked_at_and_what_needs_no_look_is_done() {
    let mut world = older(json!({}));
    admit(&mut world);
    let looked = plan(REGISTRY, &world);
    assert_eq!(looked.waits_for, None);
    assert_eq!(sections(&looked), ["networkIsolation", "limitRanges", "access"]);
    let unchecked: Vec<_> = looked.unchecked.iter().map(|c| (c.section, c.preflight)).collect();
    assert_eq!(
        unchecked,
        [
            ("podSecurity", Preflight::PodSecurity),
            ("resourceQuotas", Preflight::Usage)
        ]
    );
    assert_eq!(looked.unchecked[0].labels.as_ref().unwrap().len(), 4);
    assert_eq!(looked.unchecked[1].children.len(), 2);
    look(&mut world, &looked, &[]);
    let clean = plan(REGISTRY, &world);
    assert_eq!((steps(&clean).len(), clean.unchecked.len()), (10, 0));
}

#[test]
fn another_baselines_turn_is_not_its_own() {
    let mut world = older(json!({}));
    world.admitted.insert("uid-other".to_owned());
    assert_eq!(plan(REGISTRY, &world).waits_for.as_deref(), Some("uid-b"));
}

#[test]
fn what_would_break_holds_its_section_and_no_other_and_is_looked_at_again() {
    let mut world = older(json!({}));
    admit(&mut world);
    let first = plan(REGISTRY, &world);
    look(&mut world, &first, &[violation()]);
    let held = plan(REGISTRY, &world);
    assert_eq!(sections(&held), ["networkIsolation", "limitRanges", "access"]);
    let reasons = |plan: &Plan| -> Vec<_> {
        let held = plan
            .sections
            .iter()
            .flat_map(|s| s.held.iter().map(|h| (s.section, h.reason)));
        held.collect()
    };
    assert_eq!(
        reasons(&held),
        [("podSecurity", "ViolatingPods"), ("resourceQuotas", "ViolatingPods")]
    );
    assert_eq!(held.next_due, Some(world.now + LOOK_AGAIN));
    assert!(held.unchecked.is_empty());
    world.now += LOOK_AGAIN;
    let again = plan(REGISTRY, &world);
    assert_eq!((again.unchecked.len(), reasons(&again).len()), (2, 0));
    // What was found harmless stays so; what somebody wants now is looked at anew.
    look(&mut world, &again, &[]);
    world.now += LOOK_AGAIN * 10;
    assert_eq!(plan(REGISTRY, &world).unchecked.len(), 0);
    let stricter = json!({"podSecurity": {"enforce": {"level": "restricted"}}});
    world.baselines = vec![since("b", SINCE, full_spec_but(stricter))];
    let unchecked: Vec<_> = plan(REGISTRY, &world).unchecked.iter().map(|c| c.section).collect();
    assert_eq!(unchecked, ["podSecurity"]);
}

#[test]
fn preflight_ignore_looks_at_nothing_and_only_where_all_who_enforce_say_so() {
    let mut world = older(json!({"preflight": "Ignore"}));
    admit(&mut world);
    let ignored = plan(REGISTRY, &world);
    assert_eq!((steps(&ignored).len(), ignored.unchecked.len()), (10, 0));
    world.baselines.push(since("a", SINCE, full_spec()));
    assert_eq!(plan(REGISTRY, &world).unchecked.len(), 2);
    // Who only audits has no say.
    world.baselines[1] = since("a", SINCE, full_spec_but(json!({"mode": "Audit"})));
    assert_eq!(plan(REGISTRY, &world).unchecked.len(), 0);
}

#[test]
fn what_is_on_record_is_not_new_and_is_repaired_at_once_also_where_all_of_it_is_gone() {
    let mut world = older(json!({}));
    admit(&mut world);
    let first = plan(REGISTRY, &world);
    look(&mut world, &first, &[]);
    let all = plan(REGISTRY, &world);
    carry_out(&mut world, &all);
    (world.admitted, world.preflight) = Default::default();
    world.live.clear();
    let repair = plan(REGISTRY, &world);
    assert_eq!((steps(&repair).len(), repair.waits_for), (9, None));
    assert!(repair.sections.iter().all(|s| s.rollout.is_none()));
    // Nor is a stricter spec of a section that was enforced before.
    world.baselines = vec![since("b", 900, full_spec())];
    assert_eq!(plan(REGISTRY, &world).waits_for, None);
}

#[test]
fn a_section_that_is_enforced_later_waits_alone() {
    let mut world = older(json!({"access": null}));
    admit(&mut world);
    let first = plan(REGISTRY, &world);
    look(&mut world, &first, &[]);
    let most = plan(REGISTRY, &world);
    carry_out(&mut world, &most);
    world.admitted.clear();
    let deny = id(&world, DENY);
    world.live.remove(&deny);
    world.baselines = vec![since("b", 900, full_spec())];
    let plan = plan(REGISTRY, &world);
    assert_eq!(steps(&plan), [format!("create {DENY}")], "repairs do not wait");
    assert_eq!(plan.waits_for.as_deref(), Some("uid-b"));
}

#[test]
fn of_several_baselines_the_last_one_to_enforce_rolls_it_out() {
    let world = created(
        SINCE,
        vec![since("a", SINCE - 9, full_spec()), since("b", SINCE + 9, full_spec())],
    );
    assert_eq!(plan(REGISTRY, &world).waits_for.as_deref(), Some("uid-b"));
    // Where that one only audits, the namespace was born under what is enforced.
    let audits = since("b", SINCE + 9, full_spec_but(json!({"mode": "Audit"})));
    let world = created(SINCE, vec![since("a", SINCE - 9, full_spec()), audits]);
    assert_eq!(plan(REGISTRY, &world).waits_for, None);
}

#[test]
fn what_is_audited_or_suspended_waits_for_nothing_and_is_looked_at_by_nobody() {
    for change in [json!({"mode": "Audit"}), json!({"suspend": true})] {
        let mut world = older(change);
        let plan = plan(REGISTRY, &world);
        assert_eq!((plan.waits_for, plan.unchecked.len()), (None, 0));
        world.now += LOOK_AGAIN;
    }
}
