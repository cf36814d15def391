//! What is on record of what is waived: what comes back is not new, and what is ours is known.

use super::*;

/// A namespace that is older than the baseline that is enforced in it, and whose turn in the rollout has not come.
fn older(mut world: World) -> World {
    world.namespace.created = Some(Timestamp::from_second(10).unwrap());
    let mut baseline = (*world.baselines[0]).clone();
    baseline.since = Timestamp::from_second(20).unwrap();
    world.baselines = vec![Arc::new(baseline)];
    world
}

#[test]
fn what_was_enforced_before_it_was_waived_comes_back_without_waiting_for_a_turn_or_a_look() {
    let mut world = older(converged(full_spec()));
    waive(
        &mut world,
        json!([{"control": "resourceQuotas"}, {"control": "networkIsolation"}]),
    );
    assert!(
        plan_of(&world).sections.iter().all(|s| s.rollout.is_none()),
        "not even the removal is new"
    );
    work(&mut world);
    let during = work(&mut world);
    assert_eq!(during.enforced_before, ["networkIsolation", "resourceQuotas"].into());
    expire(&mut world);
    // Also when the first attempt fails.
    let failed = plan_of(&world);
    world.prior.enforced_before = failed.enforced_before.iter().map(|s| (*s).to_owned()).collect();
    let back = work(&mut world);
    assert_eq!(steps(&back).len(), 5, "{:?}", steps(&back));
    assert!(back.unchecked.is_empty() && back.waits_for.is_none());
    assert!(plan_of(&world).enforced_before.is_empty(), "it is on record by itself");
}

#[test]
fn what_was_never_enforced_here_waits_for_its_turn_when_the_exception_ends() {
    let world = crate::core::world::testing::world(vec![with_spec("b", 1, full_spec())]);
    let mut world = older(world);
    waive(&mut world, json!([{"control": "resourceQuotas"}]));
    assert!(work(&mut world).enforced_before.is_empty());
    expire(&mut world);
    let plan = plan_of(&world);
    assert!(!steps(&plan).iter().any(|step| step.contains("ResourceQuota")));
    assert_eq!(plan.waits_for.as_deref(), Some("uid-b"));
}

#[test]
fn what_is_new_beside_what_goes_does_not_keep_it_from_going() {
    let mut world = older(converged(full_spec()));
    let mut baseline = (*world.baselines[0]).clone();
    let items = json!([{"name": "compute", "hard": {"pods": 50}}, {"name": "best-effort", "hard": {"pods": 1}}, {"name": "new", "hard": {"pods": 5}}]);
    baseline.spec = serde_json::from_value(full_spec_but(json!({"resourceQuotas": {"items": items}}))).unwrap();
    world.baselines = vec![Arc::new(baseline)];
    let both = [
        "ResourceQuota/security-baseline-compute",
        "ResourceQuota/security-baseline-best-effort",
    ];
    waive(&mut world, json!([{"control": "resourceQuotas", "objects": both}]));
    assert_eq!(
        steps(&plan_of(&world)),
        [
            "create ResourceQuota/new",
            "delete ResourceQuota/compute",
            "delete ResourceQuota/best-effort"
        ]
    );
}

#[test]
fn what_replaces_an_item_and_is_waived_was_not_enforced_before() {
    let mut world = older(converged(full_spec()));
    let mut baseline = (*world.baselines[0]).clone();
    let items = json!({"items": [{"name": "new", "hard": {"pods": 5}}]});
    baseline.spec = serde_json::from_value(full_spec_but(json!({"resourceQuotas": items}))).unwrap();
    world.baselines = vec![Arc::new(baseline)];
    waive(&mut world, object("resourceQuotas", "ResourceQuota/new"));
    let plan = plan_of(&world);
    assert_eq!(
        found(&plan)
            .iter()
            .filter(|(kind, _)| *kind == FindingKind::Surplus)
            .count(),
        2
    );
    assert!(plan.enforced_before.is_empty());
}

/// A namespace whose report is lost, with a policy that was created at this second.
fn unrecorded(created: i64) -> World {
    let mut world = converged(full_spec());
    world.prior = crate::core::world::Prior::default();
    let web = id(&world, WEB);
    let created = Timestamp::from_second(created).unwrap().to_string();
    meddle(&mut world, &web, |object| {
        object["metadata"]["creationTimestamp"] = json!(created);
    });
    waive(&mut world, object("networkIsolation", WEB));
    world
}

#[test]
fn what_was_there_before_it_was_waived_goes_although_it_is_on_no_record() {
    let plan = plan_of(&unrecorded(899));
    assert_eq!(found(&plan), [(FindingKind::Waived, WEB.to_owned())]);
    assert_eq!(steps(&plan), [format!("delete {WEB}")]);
    assert_eq!(plan.actions[0].baseline, "uid-b");
    let mut unread = unrecorded(899);
    let web = id(&unread, WEB);
    unread.live.get_mut(&web).unwrap().object = None;
    assert_eq!(plan_of(&unread).unread, [web]);
    let mut other = unrecorded(899);
    let web = id(&other, WEB);
    meddle(&mut other, &web, |object| object["spec"]["ingress"] = json!([{}]));
    assert_eq!(steps(&plan_of(&other)), [""; 0], "somebody wrote something else there");
}

#[test]
fn a_copy_that_somebody_puts_in_the_place_of_what_is_waived_is_theirs() {
    let plan = plan_of(&unrecorded(900));
    assert_eq!((steps(&plan), found(&plan)), (Vec::new(), Vec::new()));
    assert!(!plan.inventory.contains_key(&id(&unrecorded(900), WEB)));
}
