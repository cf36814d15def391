//! What becomes of what was created for a baseline that lets a namespace go.

use super::*;
use crate::core::world::testing::namespace;

/// The baseline under a deletionPolicy, letting go the namespace in which it enforced everything.
fn released(policy: &str, change: Value) -> World {
    let mut world = converged(full_spec());
    let mut spec = full_spec_but(change);
    spec["deletionPolicy"] = json!(policy);
    world.baselines.clear();
    world.released = vec![with_spec("b", 1, spec)];
    world
}

#[test]
fn under_retain_everything_stays_and_is_nobodys() {
    let world = released("Retain", json!({}));
    let plan = plan(REGISTRY, &world);
    assert_eq!(steps(&plan), [""; 0]);
    assert_eq!(found(&plan), []);
    assert_eq!(plan.inventory.len(), 9);
    assert!(plan.inventory.values().all(Recorded::is_orphaned));
    assert!(plan.labels.values().all(RecordedLabel::is_orphaned));
}

#[test]
fn under_delete_just_what_is_on_record_goes_and_labels_only_while_they_are_ours() {
    for mode in ["Enforce", "Audit"] {
        let mut world = released("Delete", json!({"mode": mode}));
        // One was replaced by somebody else, one is gone, one label is another client's by now.
        let (quota, role) = (id(&world, "ResourceQuota/compute"), id(&world, "Role/developer"));
        put(&mut world, &quota, json!({"spec": {}}), Some("another".to_owned()));
        world.live.remove(&role);
        let enforce = "pod-security.kubernetes.io/enforce";
        world.namespace.our_labels.remove(enforce);
        let mut plan = plan(REGISTRY, &world);
        let deletions = steps(&plan).iter().filter(|s| s.starts_with("delete ")).count();
        assert_eq!(deletions, 7, "{:?}", steps(&plan));
        assert!(
            !steps(&plan)
                .iter()
                .any(|s| s.contains("compute") || s.contains("Role/"))
        );
        assert!(!plan.inventory.contains_key(&quota) && !plan.inventory.contains_key(&role));
        let labels = plan.actions.iter().find_map(|a| match &a.step {
            Step::Label(labels) => Some(labels.clone()),
            _ => None,
        });
        assert_eq!(labels, Some(BTreeMap::new()), "of ours, none stays");
        carry_out(&mut world, &plan);
        assert_eq!(world.namespace.labels.keys().collect::<Vec<_>>(), [enforce]);
        assert_eq!(world.live.keys().collect::<Vec<_>>(), [&quota]);
        plan = super::plan(REGISTRY, &world);
        assert_eq!((steps(&plan), plan.inventory.len(), plan.labels.len()), (vec![], 0, 0));
    }
}

#[test]
fn a_suspended_baseline_takes_nothing_along_until_it_is_resumed() {
    let mut world = released("Delete", json!({"suspend": true}));
    let held = plan(REGISTRY, &world);
    assert_eq!(steps(&held), [""; 0]);
    assert!(!held.inventory.values().any(Recorded::is_orphaned), "it is still to go");
    remember(&mut world);
    world.released = released("Delete", json!({})).released;
    assert_eq!(steps(&plan(REGISTRY, &world)).len(), 10);
}

#[test]
fn what_another_baseline_asks_for_too_stays_and_becomes_that_ones() {
    let mut world = released("Delete", json!({}));
    let quotas = json!({"namespaceSelector": {}, "mode": "Enforce", "resourceQuotas": full_spec()["resourceQuotas"]});
    world.baselines = vec![with_spec("other", 2, quotas)];
    let plan = plan(REGISTRY, &world);
    assert!(
        !steps(&plan).iter().any(|s| s.contains("ResourceQuota")),
        "{:?}",
        steps(&plan)
    );
    let quota = &plan.inventory[&id(&world, "ResourceQuota/compute")];
    assert_eq!(quota.baseline, "uid-other");
}

#[test]
fn what_was_left_in_place_once_is_not_taken_along_when_the_policy_changes_later() {
    let mut world = released("Retain", json!({}));
    remember(&mut world);
    world.released = released("Delete", json!({})).released;
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
}

#[test]
fn a_namespace_that_comes_back_is_like_one_that_was_never_there() {
    let mut world = released("Retain", json!({}));
    remember(&mut world);
    // Meanwhile nobody held it: one is gone, one was changed, and a label was.
    let (deny, web) = (id(&world, DENY), id(&world, "NetworkPolicy/allow-web"));
    world.live.remove(&deny);
    meddle(&mut world, &web, |object| object["spec"]["egress"] = json!([{}]));
    world
        .namespace
        .labels
        .insert("pod-security.kubernetes.io/warn".into(), "privileged".into());
    let baseline = world.released.remove(0);
    world.baselines = vec![baseline];
    let plan = plan(REGISTRY, &world);
    assert_eq!(
        found(&plan),
        [
            (FindingKind::NameTaken, "Namespace/team-a".to_owned()),
            (FindingKind::Missing, DENY.to_owned()),
            (FindingKind::NameTaken, "NetworkPolicy/allow-web".to_owned()),
        ],
        "nobody did wrong"
    );
    assert_eq!(steps(&plan).len(), 3);
    carry_out(&mut world, &plan);
    assert!(world.prior.inventory.values().all(|r| r.baseline == "uid-b"));
    assert_eq!(world.prior.inventory.len(), 9);
}

#[test]
fn a_namespace_that_comes_back_waits_for_its_turn_as_one_that_was_never_there() {
    let mut world = released("Retain", json!({}));
    remember(&mut world);
    world.live.clear();
    world.namespace.labels.clear();
    world.namespace.created = Some(Timestamp::from_second(1).unwrap());
    let mut baseline = (*world.released.remove(0)).clone();
    baseline.since = Timestamp::from_second(2).unwrap();
    world.baselines = vec![Arc::new(baseline)];
    let plan = plan(REGISTRY, &world);
    assert_eq!((steps(&plan), plan.waits_for.as_deref()), (vec![], Some("uid-b")));
}

#[test]
fn a_section_that_is_left_over_from_a_namespace_that_came_back_is_somebody_elses() {
    let mut world = released("Retain", json!({}));
    remember(&mut world);
    world.released.clear();
    world.baselines = vec![with_spec("b", 1, full_spec_but(json!({"access": null})))];
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
}

#[test]
fn a_terminating_namespace_is_left_to_kubernetes() {
    let mut world = released("Delete", json!({}));
    world.namespace.terminating = true;
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
    assert_ne!(world.namespace, namespace());
}

/// What another baseline asks for of the same names, beside one that leaves and takes along what was created for it.
fn beside(other: Arc<Baseline>) -> World {
    let mut world = released("Delete", json!({}));
    world.baselines = vec![other];
    world
}

#[test]
fn what_another_baseline_only_audits_is_taken_along() {
    for change in [
        json!({"mode": "Audit"}),
        // Audited with other values, too, and by a baseline that enforced nothing before it was suspended.
        json!({"mode": "Audit", "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 3}}]}, "podSecurity": {"enforce": {"level": "restricted"}}}),
        json!({"suspend": true}),
    ] {
        let mut world = beside(with_spec("new", 2, full_spec_but(change.clone())));
        let first = plan(REGISTRY, &world);
        assert_eq!(steps(&first).len(), 10, "{change}");
        carry_out(&mut world, &first);
        assert!(world.live.is_empty() && world.namespace.labels.is_empty(), "{change}");
        let over = plan(REGISTRY, &world);
        assert_eq!((over.inventory.len(), over.labels.len()), (0, 0), "{change}");
    }
}

#[test]
fn what_another_baseline_enforces_or_did_before_it_was_audited_or_suspended_becomes_that_ones() {
    for change in [json!({}), json!({"mode": "Audit"}), json!({"suspend": true})] {
        let mut other = (*with_spec("new", 2, full_spec_but(change.clone()))).clone();
        other.frozen = (change != json!({})).then(|| Arc::new(other.spec.clone()));
        let world = beside(Arc::new(other));
        let plan = plan(REGISTRY, &world);
        assert_eq!(steps(&plan), [""; 0], "{change}");
        assert!(plan.inventory.values().all(|r| r.baseline == "uid-new"), "{change}");
        assert!(plan.labels.values().all(|r| r.baseline == "uid-new"), "{change}");
        assert_eq!((plan.inventory.len(), plan.labels.len()), (9, 4));
    }
}
