//! What was there before.

use super::*;

#[test]
fn what_was_there_before_is_kept_when_it_is_taken_over_and_bounded() {
    let mut world = world(vec![with_spec("b", 1, full_spec())]);
    let plan_of_bare = plan(REGISTRY, &world);
    let Step::Create(child) = &plan_of_bare.actions[0].step else {
        panic!()
    };
    let theirs = json!({
        "metadata": {"name": child.id.name, "managedFields": [{"manager": "kubectl-create", "operation": "Update"}]},
        "spec": {"podSelector": {}, "ingress": [{}]},
    });
    put(&mut world, &child.id, theirs, None);
    let labels = [("pod-security.kubernetes.io/enforce", "privileged")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    world.namespace.labels.extend(labels);
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    let kept: Vec<_> = attempt
        .taken_over
        .iter()
        .map(|t| (t.object.as_str(), t.former.as_str(), t.claimed_by.as_str()))
        .collect();
    assert_eq!(
        kept,
        [
            (
                "Namespace/team-a",
                r#"{"metadata.labels[pod-security.kubernetes.io/enforce]":"privileged"}"#,
                "unknown"
            ),
            (DENY, r#"{"spec":{"ingress":[{}],"podSelector":{}}}"#, "kubectl-create"),
        ]
    );
    let report = write(&mut attempt, &mut world, Report::default());
    assert_eq!(report.taken_over.len(), 2);
    assert_eq!(report.drift.total, 0, "nobody broke anything");

    // The next report keeps it, newest first, and only so many.
    for i in 0..20 {
        world.prior.inventory.remove(&child.id);
        let peers: Vec<_> = (0..i * 50)
            .map(|n| json!({"ipBlock": {"cidr": format!("10.{i}.{n}.0/24")}}))
            .collect();
        let theirs = json!({"spec": {"podSelector": {}, "ingress": [{"from": peers}]}});
        put(&mut world, &child.id, theirs, None);
        run(&mut attempt, &mut world, Ok(()));
    }
    assert_eq!(attempt.taken_over.len(), MOST_TAKEN_OVER);
    let next = write(&mut attempt, &mut world, report);
    assert_eq!(next.taken_over.len(), MOST_TAKEN_OVER);
    assert!(next.taken_over.iter().all(|t| t.former.len() <= 2048));
    assert!(next.taken_over[0].former.ends_with('…'));
    let again = write(&mut attempt, &mut world, next.clone());
    assert_eq!(again.taken_over, next.taken_over);
}

#[test]
fn what_is_recreated_when_it_is_taken_over_is_kept_too_and_what_is_refused_is_not() {
    let mut world = converged(full_spec());
    let viewers = id(&world, "RoleBinding/viewers");
    meddle(&mut world, &viewers, |object| {
        object["roleRef"]["name"] = json!("cluster-admin");
    });
    world.prior.inventory.remove(&viewers);
    let mut attempt = Attempt::default();
    let refused = Failure {
        reason: "Forbidden",
        message: String::new(),
    };
    run(&mut attempt, &mut world, Err(refused));
    assert_eq!(attempt.taken_over, []);
    run(&mut attempt, &mut world, Err(busy()));
    run(&mut attempt, &mut world, Ok(()));
    assert_eq!(attempt.taken_over.len(), 1, "once, although it was tried twice");
    assert!(attempt.taken_over[0].former.contains("cluster-admin"));
}

#[test]
fn what_is_repaired_beside_something_that_is_taken_over_was_ours_before() {
    let mut world = at_rest(full_spec());
    quota(&mut world, "pods", "51", 10);
    let other = id(&world, "ResourceQuota/best-effort");
    meddle(&mut world, &other, |object| {
        object["spec"]["hard"]["pods"] = json!("51")
    });
    world.prior.inventory.remove(&other);
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    let taken: Vec<_> = attempt.taken_over.iter().map(|t| t.object.clone()).collect();
    assert_eq!(taken, [other.to_string()]);
}
