//! What begins and what ends a drift.

use super::*;

#[test]
fn a_write_ends_the_drift_of_its_own_object_and_of_no_other() {
    let mut world = at_rest(full_spec());
    quota(&mut world, "pods", "51", 10);
    let other = id(&world, "ResourceQuota/best-effort");
    meddle(&mut world, &other, |object| {
        object["spec"]["hard"]["pods"] = json!("51")
    });
    let plan = plan(REGISTRY, &world);
    assert_eq!(plan.actions.len(), 2);
    let refused = Failure {
        reason: "Forbidden",
        message: String::new(),
    };
    let done = [
        (plan.actions[0].clone(), Ok(())),
        (plan.actions[1].clone(), Err(refused)),
    ];
    let mut attempt = Attempt::default();
    attempt.absorb(&world, &plan, &done, at(11));
    assert_eq!((attempt.drifted, attempt.repaired), (2, 1));
    let repaired = |object: &str| attempt.records.iter().find(|r| r.object == object).unwrap().repaired;
    assert_eq!(repaired(&plan.actions[0].object), Some(at(11)));
    assert_eq!(repaired(&plan.actions[1].object), None);
    assert!(attempt.taken_over.is_empty(), "what is repaired was ours before");
}

#[test]
fn what_a_client_by_name_changes_while_a_new_spec_is_rolled_out_is_its_drift_also_where_something_departed() {
    let mut world = at_rest(audit());
    open(&mut world, "kubectl-edit", 10);
    let mut attempt = Attempt::default();
    let old = write(&mut attempt, &mut world, Report::default());
    respec(&mut world, 2, audit());
    open(&mut world, "helm", 20);
    let report = write(&mut attempt, &mut world, old);
    assert_eq!(told(&report).0, 2);
    assert_eq!(report.drift.records[0].claimed_by, "helm");
}

#[test]
fn what_nobody_is_on_record_for_is_drift_also_while_a_new_spec_is_rolled_out() {
    let mut world = at_rest(full_spec());
    respec(&mut world, 2, full_spec());
    quota(&mut world, "pods", "51", 10);
    let mut attempt = Attempt::default();
    let report = write(&mut attempt, &mut world, Report::default());
    assert_eq!(told(&report).0, 1);
}

#[test]
fn the_ends_that_a_report_is_still_to_tell_are_bounded() {
    let mut world = at_rest(full_spec());
    let since = Since { seen: at(5), number: 0 };
    let open = (0..1_000).map(|i| ((DENY.to_owned(), format!("spec.{i}")), since));
    world.prior.drift.open = open.collect();
    let mut attempt = Attempt::default();
    attempt.unanswered.insert(DENY.to_owned());
    attempt.saw(&world, &plan(REGISTRY, &world));
    assert_eq!(attempt.mended.len(), MOST_MENDED);
}
