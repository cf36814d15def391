//! A recreation that was cut between its two halves, and a deletion that only looks like one.

use super::*;
use crate::core::world::Membership;

const VIEWERS: &str = "RoleBinding/viewers";

/// What is found of an object that is gone after the spec became this one, of generation 1.
fn of_the_gone(shown: &str, spec: Value, judged: Option<i64>) -> Vec<FindingKind> {
    let mut world = converged(full_spec());
    let gone = id(&world, shown);
    world.live.remove(&gone);
    respec(&mut world, spec);
    let judged = judged.map(|generation| Membership {
        generation,
        admitted: BTreeMap::new(),
    });
    Arc::make_mut(&mut world.prior.members).extend(judged.map(|judged| ("uid-b".into(), Arc::new(judged))));
    let plan = plan(REGISTRY, &world);
    assert!(steps(&plan).contains(&format!("create {shown}")));
    let found = found(&plan).into_iter().filter(|(_, object)| object == shown);
    found.map(|(kind, _)| kind).collect()
}

/// The same bindings, but `viewers` is bound to another role: that cannot be changed in place.
fn rebound() -> Value {
    let mut spec = full_spec();
    spec["access"]["bindings"][1]["clusterRole"] = json!("edit");
    spec
}

#[test]
fn what_was_to_be_recreated_for_a_changed_spec_is_work_and_no_deletion_until_the_namespace_was_judged_by_it() {
    assert_eq!(of_the_gone(VIEWERS, rebound(), None), [FindingKind::Outdated]);
    assert_eq!(of_the_gone(VIEWERS, rebound(), Some(0)), [FindingKind::Outdated]);
    assert_eq!(of_the_gone(VIEWERS, rebound(), Some(1)), [FindingKind::Deleted]);
}

#[test]
fn what_need_not_be_recreated_for_the_changed_spec_was_deleted_by_somebody() {
    assert_eq!(of_the_gone(VIEWERS, full_spec(), None), [FindingKind::Deleted]);
    let mut changed = full_spec();
    changed["networkIsolation"]["allow"][1]["egress"] = json!([{"ports": [{"port": 8443}]}]);
    assert_eq!(
        of_the_gone("NetworkPolicy/allow-web", changed, None),
        [FindingKind::Deleted],
        "a policy is changed in place"
    );
}
