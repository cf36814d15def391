use serde_json::json;

use super::*;
use crate::core::world::{Membership, Prior};

const WEB: &str = "NetworkPolicy/allow-web";

/// [`full_spec`] without the named rules.
fn without_rules() -> Value {
    full_spec_but(json!({"networkIsolation": {"allow": null, "allowSameNamespace": true}}))
}

#[test]
fn what_is_no_longer_asked_for_is_deleted_by_its_recorded_uid() {
    let mut world = converged(full_spec());
    let web = id(&world, WEB);
    respec(&mut world, without_rules());
    let plan = plan(REGISTRY, &world);
    assert!(found(&plan).contains(&(FindingKind::Surplus, WEB.to_owned())));
    assert!(steps(&plan).contains(&format!("delete {WEB}")));
    let delete = plan.actions.iter().find_map(|a| match &a.step {
        Step::Delete {
            id,
            uid,
            resource_version,
        } => Some((id, uid, resource_version)),
        _ => None,
    });
    let live = &world.live[&web];
    assert_eq!(delete, Some((&web, &live.uid, &live.resource_version)));

    carry_out(&mut world, &plan);
    assert!(!world.live.contains_key(&web));
    assert!(
        !world.prior.inventory.contains_key(&web),
        "off the record once it is gone"
    );
}

#[test]
fn audit_tells_what_is_no_longer_asked_for_and_leaves_it() {
    let mut world = converged(full_spec());
    respec(&mut world, audit(without_rules()));
    let plan = plan(REGISTRY, &world);
    assert!(found(&plan).contains(&(FindingKind::Surplus, WEB.to_owned())));
    assert_eq!(steps(&plan), [""; 0]);
    assert!(plan.inventory.contains_key(&id(&world, WEB)));
}

#[test]
fn a_removed_section_takes_what_it_created_with_it_bindings_before_roles() {
    let mut world = converged(full_spec());
    respec(&mut world, full_spec_but(json!({"access": null})));
    let plan = plan(REGISTRY, &world);
    assert_eq!(
        steps(&plan),
        [
            "delete RoleBinding/viewers",
            "delete RoleBinding/developers",
            "delete Role/developer",
        ]
    );
    assert!(
        plan.sections
            .iter()
            .any(|s| s.section == "access" && s.findings.len() == 3),
        "they are told in a section of their own"
    );
}

#[test]
fn a_section_that_is_audited_leaves_what_it_no_longer_asks_for() {
    let mut world = converged(full_spec());
    respec(
        &mut world,
        full_spec_but(json!({"networkIsolation": {"mode": "Audit", "allow": null}})),
    );
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
}

#[test]
fn what_is_only_held_back_is_not_removed() {
    let mut world = converged(full_spec());
    world.cluster = Arc::default();
    let plan = plan(REGISTRY, &world);
    assert_eq!(steps(&plan), [""; 0]);
    for shown in [
        "NetworkPolicy/default-deny-egress",
        "Role/developer",
        "RoleBinding/developers",
    ] {
        let id = id(&world, shown);
        assert!(
            plan.sections
                .iter()
                .flat_map(|s| &s.held)
                .any(|h| h.id == Some(id.clone())),
            "{shown}"
        );
        assert!(plan.inventory.contains_key(&id), "{shown} stays on record");
    }
}

#[test]
fn somebody_elses_object_under_a_name_that_was_ours_is_left_alone_and_forgotten() {
    let mut world = converged(full_spec());
    let web = id(&world, WEB);
    put(&mut world, &web, json!({"spec": {}}), Some("another".to_owned()));
    respec(&mut world, without_rules());
    let plan = plan(REGISTRY, &world);
    assert!(!steps(&plan).iter().any(|s| s.contains("allow-web")));
    assert!(!found(&plan).iter().any(|(_, object)| object == WEB));
    assert!(!plan.inventory.contains_key(&web));
}

#[test]
fn what_is_gone_already_is_forgotten() {
    let mut world = converged(full_spec());
    let web = id(&world, WEB);
    world.live.remove(&web);
    respec(&mut world, without_rules());
    let plan = plan(REGISTRY, &world);
    assert!(!steps(&plan).iter().any(|s| s.contains("allow-web")));
    assert!(!plan.inventory.contains_key(&web));
}

#[test]
fn what_another_baseline_asked_for_is_left_alone_and_stays_on_record() {
    let mut world = converged(full_spec());
    let web = id(&world, WEB);
    let before = world.prior.inventory.clone();
    world.baselines = vec![with_spec(
        "other",
        2,
        json!({"namespaceSelector": {}, "mode": "Enforce"}),
    )];
    let plan = plan(REGISTRY, &world);
    assert!(
        !steps(&plan).iter().any(|s| s.starts_with("delete")),
        "{:?}",
        steps(&plan)
    );
    assert_eq!(plan.inventory[&web].uid, before[&web].uid);
    assert!(plan.inventory.keys().eq(before.keys()));
    assert!(plan.inventory.values().all(Recorded::is_orphaned), "and is nobody's");
}

#[test]
fn a_baseline_takes_over_what_it_asks_for_too() {
    let mut world = converged(full_spec());
    world.baselines = vec![with_spec("other", 2, full_spec())];
    let plan = plan(REGISTRY, &world);
    assert_eq!(steps(&plan), [""; 0]);
    assert!(plan.inventory.values().all(|r| r.baseline == "uid-other"));
}

#[test]
fn an_object_under_a_reserved_name_that_nobody_asks_for_is_left_alone() {
    let mut world = converged(full_spec());
    let web = id(&world, WEB);
    world.prior.inventory.remove(&web);
    respec(&mut world, without_rules());
    let plan = plan(REGISTRY, &world);
    assert!(!steps(&plan).iter().any(|s| s.contains("allow-web")));
}

/// A world in which the operator ended before it could record what it had written, and the spec shrank meanwhile.
fn unrecorded(judged: Option<i64>) -> World {
    let asked = json!({"namespaceSelector": {}, "mode": "Enforce", "resourceQuotas": {"items": [{"name": "a", "hard": {"pods": 1}}]}});
    let mut world = converged(asked.clone());
    world.prior = Prior::default();
    let mut shrunk = (*with_spec("b", 1, json!({"namespaceSelector": {}, "mode": "Enforce"}))).clone();
    shrunk.generation = 2;
    shrunk.replaced = Some(Arc::new(serde_json::from_value(asked).unwrap()));
    let judged = judged.map(|generation| Membership {
        generation,
        admitted: BTreeMap::new(),
    });
    Arc::make_mut(&mut world.prior.members).extend(judged.map(|judged| (shrunk.uid.as_str().into(), Arc::new(judged))));
    world.baselines = vec![Arc::new(shrunk)];
    world
}

#[test]
fn what_was_written_for_a_spec_that_was_replaced_meanwhile_goes_although_it_is_on_no_record() {
    assert_eq!(steps(&plan(REGISTRY, &unrecorded(None))), ["delete ResourceQuota/a"]);
    assert_eq!(steps(&plan(REGISTRY, &unrecorded(Some(1)))), ["delete ResourceQuota/a"]);
}

#[test]
fn once_a_namespace_was_judged_by_the_present_spec_such_a_name_is_somebody_elses() {
    assert_eq!(steps(&plan(REGISTRY, &unrecorded(Some(2)))), [""; 0]);
}

#[test]
fn what_is_held_back_keeps_nothing_else_from_being_removed() {
    let mut world = converged(full_spec());
    world.cluster = Arc::default();
    respec(&mut world, without_rules());
    let plan = plan(REGISTRY, &world);
    assert_eq!(plan.sections.iter().map(|s| s.held.len()).sum::<usize>(), 3);
    assert!(steps(&plan).contains(&format!("delete {WEB}")));
}

#[test]
fn what_an_audited_spec_leaves_of_a_replaced_one_comes_onto_the_record() {
    let mut world = unrecorded(None);
    Arc::make_mut(&mut world.baselines[0]).spec.mode = Mode::Audit;
    let plan = plan(REGISTRY, &world);
    assert_eq!(steps(&plan), [""; 0]);
    assert_eq!(found(&plan), [(FindingKind::Surplus, "ResourceQuota/a".to_owned())]);
    assert!(plan.inventory.contains_key(&id(&world, "ResourceQuota/a")));
}

#[test]
fn what_is_left_over_from_a_section_is_told_for_the_baseline_that_had_it_and_for_no_other() {
    let mut world = converged(full_spec());
    let bare = || json!({"namespaceSelector": {}, "mode": "Enforce"});
    world.baselines = vec![
        with_spec("a", 0, bare()),
        with_spec("b", 1, full_spec_but(json!({"access": null}))),
    ];
    let plan = plan(REGISTRY, &world);
    let access = plan.sections.iter().find(|s| s.section == "access").unwrap();
    assert_eq!(plan.baselines()[1].name, "b");
    assert_eq!(access.askers.enforcing, [1]);
}
