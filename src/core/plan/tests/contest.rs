//! Repairs of what somebody keeps undoing.

use super::*;

fn now(world: &mut World, second: i64) -> Timestamp {
    world.now = Timestamp::from_second(1_700_000_000 + second).unwrap();
    world.now
}

/// A world in which this object, the prefix left out, was repaired so often, a second apart, and needs it again.
fn contested(shown: &str, times: i64, change: impl FnOnce(&mut Value)) -> World {
    let mut world = converged(full_spec());
    let child = id(&world, shown);
    meddle(&mut world, &child, change);
    for second in 0..times {
        let now = now(&mut world, second);
        world.fights.reverted(&child.to_string(), "spec", "helm", now);
    }
    world
}

fn loosened(object: &mut Value) {
    object["spec"]["hard"]["pods"] = json!("5000");
}

fn tightened(object: &mut Value) {
    object["spec"]["hard"]["pods"] = json!("1");
}

const QUOTA: &str = "ResourceQuota/compute";

/// How long its repair waits, in seconds, and what is done meanwhile.
fn waits(world: &World) -> (Option<i64>, Vec<String>) {
    let plan = plan(REGISTRY, world);
    let due = plan.next_due.map(|due| due.duration_since(world.now).as_secs());
    (due, steps(&plan))
}

#[test]
fn the_first_repairs_come_at_once_and_those_of_a_contested_object_wait() {
    assert_eq!(
        waits(&contested(QUOTA, 2, loosened)),
        (None, vec![format!("replace {QUOTA}")])
    );
    assert_eq!(waits(&contested(QUOTA, 3, loosened)), (Some(2), vec![]));
}

#[test]
fn where_the_live_state_is_weaker_no_pause_is_longer_than_five_seconds() {
    assert_eq!(waits(&contested(QUOTA, 10, loosened)).0, Some(5));
    assert_eq!(waits(&contested(QUOTA, 10, tightened)).0, Some(300));
    let deny = contested(DENY, 10, |object| object["spec"]["ingress"] = json!([{}]));
    assert_eq!(waits(&deny).0, Some(5));
    let fewer = contested("NetworkPolicy/default-deny-egress", 10, |o| {
        o["spec"]["egress"] = json!([])
    });
    assert_eq!(waits(&fewer).0, Some(300));
}

#[test]
fn what_is_gone_is_weaker_unless_it_only_granted() {
    for (shown, expected) in [
        (DENY, 5),
        (QUOTA, 5),
        ("Role/developer", 300),
        ("RoleBinding/viewers", 300),
    ] {
        let mut world = contested(shown, 10, |_| ());
        let child = id(&world, shown);
        world.live.remove(&child);
        assert_eq!(waits(&world).0, Some(expected), "{shown}");
    }
}

#[test]
fn it_is_tried_when_it_is_due_and_the_pause_begins_anew() {
    let mut world = contested(QUOTA, 10, loosened);
    now(&mut world, 9 + 4);
    assert_eq!(waits(&world), (Some(1), vec![]));
    now(&mut world, 9 + 5);
    assert_eq!(waits(&world).1, [format!("replace {QUOTA}")]);
}

#[test]
fn the_other_objects_of_the_namespace_do_not_wait() {
    let mut world = contested(QUOTA, 10, loosened);
    let deny = id(&world, DENY);
    world.live.remove(&deny);
    assert_eq!(waits(&world), (Some(5), vec![format!("create {DENY}")]));
}

#[test]
fn labels_that_are_fought_over_wait_no_longer_than_five_seconds() {
    let mut world = converged(full_spec());
    let enforce = "pod-security.kubernetes.io/enforce";
    world.namespace.labels.insert(enforce.into(), "privileged".into());
    world.namespace.our_labels.remove(enforce);
    for second in 0..10 {
        let now = now(&mut world, second);
        world.fights.reverted("Namespace/team-a", enforce, "kubectl", now);
    }
    assert_eq!(waits(&world), (Some(5), vec![]));
}

#[test]
fn what_is_rewritten_on_its_way_waits_although_it_is_weaker_until_somebody_else_touches_it() {
    let mut world = converged(full_spec());
    let quota = id(&world, QUOTA);
    meddle(&mut world, &quota, loosened);
    for second in 0..10 {
        let now = now(&mut world, second);
        world.fights.rewritten(&quota.to_string(), second > 5, now);
    }
    assert_eq!(waits(&world), (Some(3600), vec![]));
    world.fights.touched(&quota.to_string());
    assert_eq!(waits(&world).1, [format!("replace {QUOTA}")]);
}

#[test]
fn a_namespace_is_looked_at_again_when_a_contest_is_over() {
    let mut world = contested(QUOTA, 10, loosened);
    let quota = id(&world, QUOTA);
    let asked = converged(full_spec());
    world.live.insert(quota.clone(), asked.live[&quota].clone());
    assert_eq!(waits(&world), (Some(24 * 3600), vec![]));
}
