//! What is held back although it was written before: its DNS is not known any more.

use super::*;

const EGRESS: &str = "NetworkPolicy/default-deny-egress";

/// Everything is in place, and nothing is known of the cluster any more.
fn unknown() -> World {
    let mut world = converged(full_spec());
    world.cluster = Arc::new(ClusterFacts {
        grantable: world.cluster.grantable.clone(),
        ..ClusterFacts::default()
    });
    world
}

#[test]
fn what_is_held_back_and_as_it_was_written_last_is_told_of_in_no_other_way_and_need_not_be_read() {
    let mut world = unknown();
    for live in world.live.values_mut() {
        live.object = None;
    }
    let plan = plan(REGISTRY, &world);
    assert_eq!((steps(&plan), found(&plan)), (vec![], vec![]));
    assert!(plan.unread.is_empty());
    let egress = id(&world, EGRESS);
    // What is seen of it later is drift, unless it is this.
    assert_eq!(plan.wanted[&egress], world.live[&egress].digest);
    assert_eq!(plan.inventory, world.prior.inventory);
    // Deleted and made anew as it was, it is ours like before.
    world.live.get_mut(&egress).unwrap().uid = "new".to_owned();
    assert_eq!(super::plan(REGISTRY, &world).inventory[&egress].uid, "new");
    let held: Vec<_> = plan.sections.iter().flat_map(|s| &s.held).map(|h| h.reason).collect();
    assert_eq!(held, ["DNSNotFound"]);
}

#[test]
fn what_is_held_back_and_changed_is_told_with_who_claims_that_and_is_not_written() {
    let mut world = unknown();
    let egress = id(&world, EGRESS);
    meddle(&mut world, &egress, |object| {
        object["spec"]["egress"] = json!([{}]);
        object["metadata"]["managedFields"] = json!([{"manager": "quick-fix", "time": "2026-01-01T00:00:00Z"}]);
    });
    let told = plan(REGISTRY, &world);
    assert_eq!(steps(&told), [""; 0]);
    assert_eq!(found(&told), [(FindingKind::Changed, EGRESS.to_owned())]);
    let finding = findings(&told)[0];
    assert_eq!(finding.mode, Mode::Audit, "it is only told");
    let difference = &finding.differences[0];
    assert_eq!((&*difference.path, &*difference.claim.by), ("spec", "quick-fix"));
    assert!(difference.found.contains(r#""egress":[{}]"#), "{}", difference.found);
    assert!(told.inventory.contains_key(&egress), "it stays on record");

    // A digest does not say what differs: it is read first.
    world.live.get_mut(&egress).unwrap().object = None;
    let unread = plan(REGISTRY, &world);
    assert_eq!((found(&unread), unread.unread), (vec![], vec![egress]));
}

#[test]
fn what_is_held_back_and_deleted_is_told_until_it_is_created_again() {
    let mut world = unknown();
    let egress = id(&world, EGRESS);
    world.live.remove(&egress);
    let told = plan(REGISTRY, &world);
    assert_eq!(steps(&told), [""; 0]);
    assert_eq!(found(&told), [(FindingKind::Deleted, EGRESS.to_owned())]);
    remember(&mut world);
    assert_eq!(
        found(&plan(REGISTRY, &world)),
        [(FindingKind::Deleted, EGRESS.to_owned())]
    );
    world.cluster = Arc::new(cluster());
    assert_eq!(steps(&plan(REGISTRY, &world)), [format!("create {EGRESS}")]);
}

#[test]
fn of_what_is_held_back_and_was_never_written_nothing_is_said_to_depart() {
    let mut bare = world(vec![with_spec("b", 1, full_spec())]);
    bare.cluster = unknown().cluster;
    assert!(!found(&plan(REGISTRY, &bare)).iter().any(|(_, object)| object == EGRESS));
    // Nor of what was let go and left in place, or of which it is not known what was written.
    for change in [
        |r: &mut Recorded| r.baseline.clear(),
        |r: &mut Recorded| r.digest = None,
    ] {
        let mut world = unknown();
        let egress = id(&world, EGRESS);
        world.live.remove(&egress);
        change(world.prior.inventory.get_mut(&egress).unwrap());
        assert_eq!(found(&plan(REGISTRY, &world)), []);
    }
}
