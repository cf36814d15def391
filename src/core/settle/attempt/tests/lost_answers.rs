//! A write may have been done although it failed.

use super::*;

#[test]
fn a_repair_whose_answer_was_lost_is_a_repair_once_it_is_seen_to_be_done() {
    let mut world = at_rest(full_spec());
    open(&mut world, "kubectl-edit", 10);
    let mut attempt = Attempt::default();
    let plan = plan(REGISTRY, &world);
    let done = vec![(plan.actions[0].clone(), Err(busy()))];
    attempt.absorb(&world, &plan, &done, world.now);
    let old = write(&mut attempt, &mut world, Report::default());
    assert_eq!(told(&old), (1, 0, vec![(10, None)]));
    carry_out(&mut world, &plan);
    world.now = at(20);
    let report = write(&mut attempt, &mut world, old);
    assert_eq!(told(&report), (1, 1, vec![(10, Some(20))]));
}

#[test]
fn what_we_deleted_to_create_it_anew_is_no_drift_when_the_answer_was_lost() {
    for failure in [
        busy(),
        Failure {
            reason: "Forbidden",
            message: String::new(),
        },
    ] {
        let mut world = at_rest(full_spec());
        let role = json!({"access": {"bindings": [{"name": "viewers", "clusterRole": "edit", "subjects": [{"kind": "User", "name": "auditor"}]}]}});
        respec(&mut world, 2, full_spec_but(role));
        judged(&mut world);
        let viewers = id(&world, "RoleBinding/viewers");
        let mut attempt = Attempt::default();
        let before = plan(REGISTRY, &world);
        let recreation = before
            .actions
            .iter()
            .find(|a| matches!(a.step, Step::Recreate { .. }))
            .unwrap();
        attempt.absorb(&world, &before, &[(recreation.clone(), Err(failure))], world.now);
        world.live.remove(&viewers);
        run(&mut attempt, &mut world, Ok(()));
        assert_eq!((attempt.drifted, attempt.repaired), (0, 0));
        // From then on a deletion is somebody's doing again.
        world.live.remove(&viewers);
        run(&mut attempt, &mut world, Ok(()));
        assert_eq!((attempt.drifted, attempt.repaired), (1, 1));
    }
}

#[test]
fn a_report_that_was_written_although_the_answer_was_lost_tells_nothing_twice() {
    let mut world = at_rest(full_spec());
    open(&mut world, "kubectl-edit", 10);
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    let lost = write(&mut attempt.clone(), &mut world.clone(), Report::default());
    open(&mut world, "kubectl-edit", 20);
    run(&mut attempt, &mut world, Ok(()));
    let report = write(&mut attempt, &mut world, lost);
    assert_eq!(told(&report), (2, 2, vec![(20, Some(20)), (10, Some(10))]));
}

#[test]
fn a_deletion_after_a_recreation_whose_answer_was_lost_is_somebody_elses() {
    let mut world = at_rest(full_spec());
    let viewers = id(&world, "RoleBinding/viewers");
    meddle(&mut world, &viewers, |object| object["roleRef"]["name"] = json!("edit"));
    let mut attempt = Attempt::default();
    let before = plan(REGISTRY, &world);
    assert!(matches!(before.actions[0].step, Step::Recreate { .. }));
    attempt.absorb(&world, &before, &[(before.actions[0].clone(), Err(busy()))], world.now);
    // It was done all the same.
    carry_out(&mut world, &before);
    run(&mut attempt, &mut world, Ok(()));
    assert_eq!((attempt.drifted, attempt.repaired), (1, 1));
    world.live.remove(&viewers);
    run(&mut attempt, &mut world, Ok(()));
    assert_eq!((attempt.drifted, attempt.repaired), (2, 2));
}
