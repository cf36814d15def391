//! What a spec tightens where it is enforced already.

use super::first::{SINCE, at, created, look, since, violation};
use super::*;
use crate::core::plan::first::NEW;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const WARN: &str = "pod-security.kubernetes.io/warn";
const COMPUTE: &str = "ResourceQuota/compute";

/// A namespace in which everything was enforced long ago.
fn held() -> World {
    let mut world = created(SINCE - 1, vec![since("b", SINCE, full_spec())]);
    world.admitted.insert("uid-b".to_owned());
    let first = plan(REGISTRY, &world);
    look(&mut world, &first, &[]);
    let all = plan(REGISTRY, &world);
    carry_out(&mut world, &all);
    (world.admitted, world.preflight) = Default::default();
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
    world
}

fn change(world: &mut World, change: Value) {
    world.baselines = vec![since("b", 900, full_spec_but(change))];
    world.now = at(1000);
}

fn level(level: &str) -> Value {
    json!({"podSecurity": {"enforce": {"level": level, "version": "v1.36"}, "warn": {"level": "restricted"}}})
}

fn pods(pods: u32) -> Value {
    json!({"resourceQuotas": {"items": [
        {"name": "compute", "hard": {"requests.cpu": 10, "limits.memory": "40Gi", "pods": pods.to_string()}},
        {"name": "best-effort", "hard": {"pods": 5}, "scopes": ["BestEffort"]},
    ]}})
}

fn unchecked(plan: &Plan) -> Vec<&'static str> {
    plan.unchecked.iter().map(|check| check.section).collect()
}

fn labels(plan: &Plan) -> Option<&BTreeMap<String, String>> {
    plan.actions.iter().find_map(|action| match &action.step {
        Step::Label(labels) => Some(labels),
        _ => None,
    })
}

#[test]
fn a_raised_level_and_a_lowered_or_added_quota_are_looked_at_first_and_wait_for_no_turn() {
    let added = json!({"resourceQuotas": {"items": [
        {"name": "compute", "hard": {"requests.cpu": 10, "limits.memory": "40Gi", "pods": "50"}},
        {"name": "best-effort", "hard": {"pods": 5}, "scopes": ["BestEffort"]},
        {"name": "more", "hard": {"services": 5}},
    ]}});
    let newer =
        json!({"podSecurity": {"enforce": {"level": "baseline", "version": "v1.37"}, "warn": {"level": "restricted"}}});
    for (spec, section) in [
        (level("restricted"), "podSecurity"),
        (newer, "podSecurity"),
        (pods(3), "resourceQuotas"),
        (added, "resourceQuotas"),
    ] {
        let mut world = held();
        change(&mut world, spec.clone());
        let looked = plan(REGISTRY, &world);
        assert_eq!(
            (unchecked(&looked), looked.waits_for.as_deref()),
            (vec![section], None),
            "{spec}"
        );
        assert_eq!(steps(&looked), [""; 0], "{spec}");
        look(&mut world, &looked, &[violation()]);
        let kept = plan(REGISTRY, &world);
        assert_eq!(steps(&kept), [""; 0]);
        assert!(
            kept.sections
                .iter()
                .all(|s| s.held.is_empty() != (s.section == section))
        );
        look(&mut world, &looked, &[]);
        assert_eq!(steps(&plan(REGISTRY, &world)).len(), 1);
    }
}

#[test]
fn what_loosens_or_only_warns_or_is_ignored_is_not_looked_at() {
    let warns =
        json!({"podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "warn": {"level": "baseline"}}});
    let mut ignored = level("restricted");
    ignored["preflight"] = json!("Ignore");
    let older =
        json!({"podSecurity": {"enforce": {"level": "baseline", "version": "v1.30"}, "warn": {"level": "restricted"}}});
    for spec in [level("privileged"), older, pods(100), warns, ignored] {
        let mut world = held();
        change(&mut world, spec.clone());
        let plan = plan(REGISTRY, &world);
        assert_eq!((unchecked(&plan), steps(&plan).len()), (vec![], 1), "{spec}");
    }
}

#[test]
fn a_second_baseline_that_tightens_is_looked_at_too() {
    let mut world = held();
    world
        .baselines
        .push(since("second", 900, full_spec_but(level("restricted"))));
    world.now = at(1000);
    assert_eq!(unchecked(&plan(REGISTRY, &world)), ["podSecurity"]);
}

#[test]
fn while_a_raised_level_is_held_the_other_labels_are_put_right() {
    let mut world = held();
    change(&mut world, level("restricted"));
    let looked = plan(REGISTRY, &world);
    look(&mut world, &looked, &[violation()]);
    let facts = &mut world.namespace;
    facts.labels.insert(WARN.to_owned(), "privileged".to_owned());
    // Somebody applied the same.
    facts.our_labels.remove(ENFORCE);
    let plan = plan(REGISTRY, &world);
    let applied = labels(&plan).unwrap();
    assert_eq!(
        (applied[ENFORCE].as_str(), applied[WARN].as_str()),
        ("baseline", "restricted")
    );
}

/// A namespace in which a raised level is held, since pods violate it.
fn raise_held() -> World {
    let mut world = held();
    change(&mut world, level("restricted"));
    let looked = plan(REGISTRY, &world);
    look(&mut world, &looked, &[violation()]);
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
    world
}

#[test]
fn a_level_that_somebody_lowers_while_a_raise_is_held_is_put_back_at_once_and_not_raised() {
    for tampered in [None, Some("privileged")] {
        let mut world = raise_held();
        let facts = &mut world.namespace;
        facts.our_labels.remove(ENFORCE);
        facts.labels.remove(ENFORCE);
        let theirs = tampered.map(|value| (ENFORCE.to_owned(), value.to_owned()));
        facts.labels.extend(theirs);
        let repair = plan(REGISTRY, &world);
        assert_eq!(labels(&repair).unwrap()[ENFORCE], "baseline", "{tampered:?}");
        carry_out(&mut world, &repair);
        assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0], "{tampered:?}");
    }
}

#[test]
fn a_repair_of_a_level_is_not_looked_at_and_neither_is_what_asks_for_no_more_than_what_is_there() {
    let mut world = held();
    world.now = at(1000);
    world
        .namespace
        .labels
        .insert(ENFORCE.to_owned(), "privileged".to_owned());
    let repair = plan(REGISTRY, &world);
    assert_eq!(labels(&repair).unwrap()[ENFORCE], "baseline");
    assert!(unchecked(&repair).is_empty());

    // A level without a version is held to the newest one.
    for newest in [None, Some("v1.38")] {
        let mut world = held();
        let newer = json!({"podSecurity": {"enforce": {"level": "baseline", "version": "v1.37"}, "warn": {"level": "restricted"}}});
        change(&mut world, newer);
        world.namespace.labels.remove(VERSION);
        let theirs = newest.map(|value| (VERSION.to_owned(), value.to_owned()));
        world.namespace.labels.extend(theirs);
        let stated = plan(REGISTRY, &world);
        assert_eq!(labels(&stated).unwrap()[VERSION], "v1.37", "{newest:?}");
        assert!(unchecked(&stated).is_empty(), "{newest:?}");
    }
}

#[test]
fn a_level_that_somebody_raised_in_part_is_not_lowered_while_the_rest_is_held() {
    let mut world = held();
    change(&mut world, level("privileged"));
    let lowered = plan(REGISTRY, &world);
    carry_out(&mut world, &lowered);
    change(&mut world, level("restricted"));
    let facts = &mut world.namespace;
    facts.our_labels.remove(ENFORCE);
    facts.labels.insert(ENFORCE.to_owned(), "baseline".to_owned());
    let looked = plan(REGISTRY, &world);
    assert_eq!((unchecked(&looked), steps(&looked)), (vec!["podSecurity"], vec![]));
    look(&mut world, &looked, &[violation()]);
    world.namespace.labels.insert(WARN.to_owned(), "privileged".to_owned());
    let repair = plan(REGISTRY, &world);
    assert_eq!(labels(&repair).unwrap().get(ENFORCE), None, "it is theirs");
}

#[test]
fn a_key_that_somebody_claims_under_our_name_makes_no_write_while_a_raise_is_held() {
    let mut world = raise_held();
    let facts = &mut world.namespace;
    facts.labels.insert("a/b".to_owned(), "c".to_owned());
    facts.our_labels.insert("a/b".to_owned());
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
}

#[test]
fn a_level_where_there_was_none_is_held_together_with_its_version() {
    let only_warns = json!({"podSecurity": {"enforce": null}});
    let mut world = held();
    change(&mut world, only_warns);
    let gone = plan(REGISTRY, &world);
    carry_out(&mut world, &gone);
    assert_eq!(world.namespace.labels.get(ENFORCE), None);
    change(&mut world, level("baseline"));
    let looked = plan(REGISTRY, &world);
    assert_eq!((unchecked(&looked), steps(&looked)), (vec!["podSecurity"], vec![]));
}

#[test]
fn a_quota_that_somebody_deletes_while_a_lower_one_is_held_is_put_right_to_what_is_declared() {
    // Of what was written only a digest is on record.
    let mut world = held();
    change(&mut world, pods(3));
    let quota = id(&world, COMPUTE);
    world.live.remove(&quota);
    let repair = plan(REGISTRY, &world);
    assert_eq!(
        (steps(&repair), unchecked(&repair)),
        (vec!["create ResourceQuota/compute".to_owned()], vec![])
    );
}

#[test]
fn what_was_created_without_the_labels_and_got_them_later_may_have_pods_and_waits() {
    let mut world = created(SINCE + 10, vec![since("b", SINCE, full_spec())]);
    world.now = at(SINCE + 10) + NEW;
    assert_eq!(plan(REGISTRY, &world).waits_for, None, "it has only just been created");
    world.now = at(SINCE + 11) + NEW;
    let late = plan(REGISTRY, &world);
    assert_eq!(
        (steps(&late), late.waits_for.as_deref()),
        (Vec::<String>::new(), Some("uid-b"))
    );
    world.admitted.insert("uid-b".to_owned());
    assert_eq!(unchecked(&plan(REGISTRY, &world)), ["podSecurity", "resourceQuotas"]);
}

/// What a report tells of waivers, as it is read back.
fn told(world: &mut World, plan: &Plan) {
    let item = |w: &crate::core::exceptions::Waived| (w.control.as_str().to_owned(), w.object.clone(), w.level);
    world.prior.waived = plan.waived.iter().map(item).collect();
    world.prior.enforced_before = plan.enforced_before.iter().map(|s| (*s).to_owned()).collect();
}

#[test]
fn what_an_exception_waived_in_part_comes_back_without_a_look_also_where_it_takes_several_tries() {
    for waive in [
        json!([{"control": "podSecurity", "level": "privileged"}]),
        json!([{"control": "resourceQuotas", "objects": [COMPUTE.replace("/", "/security-baseline-")]}]),
    ] {
        let mut world = held();
        super::waived::waive(&mut world, waive.clone());
        let lowered = plan(REGISTRY, &world);
        assert_eq!(steps(&lowered).len(), 1, "{waive}");
        carry_out(&mut world, &lowered);
        let plan_while_waived = plan(REGISTRY, &world);
        told(&mut world, &plan_while_waived);
        super::waived::expire(&mut world);
        for _ in 0..2 {
            let back = plan(REGISTRY, &world);
            assert_eq!((steps(&back).len(), unchecked(&back)), (1, vec![]), "{waive}");
            // The write failed, and the report was written.
            told(&mut world, &back);
        }
        let back = plan(REGISTRY, &world);
        carry_out(&mut world, &back);
        let over = plan(REGISTRY, &world);
        assert_eq!((steps(&over).len(), over.enforced_before.len()), (0, 0), "{waive}");
    }
}
