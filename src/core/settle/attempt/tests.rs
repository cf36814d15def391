mod ends;
mod lost_answers;
mod taken_over;

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::controls::REGISTRY;
use crate::core::plan::plan;
use crate::core::settle::{continued, gate, settle};
use crate::core::world::testing::{
    carry_out, converged, full_spec, full_spec_but, id, meddle, put, remember, with_spec, world,
};
use crate::core::world::{Live, PriorDrift};

const DENY: &str = "NetworkPolicy/security-baseline-default-deny-ingress";

fn audit() -> Value {
    full_spec_but(json!({"mode": "Audit"}))
}

/// A namespace at rest under this spec, with a report of it.
fn at_rest(spec: Value) -> World {
    let mut world = converged(full_spec());
    respec(&mut world, 1, spec);
    judged(&mut world);
    world
}

fn respec(world: &mut World, generation: i64, spec: Value) {
    let mut baseline = (*with_spec("b", 1, spec)).clone();
    baseline.generation = generation;
    world.baselines = vec![baseline.into()];
}

/// The report tells of the present spec.
fn judged(world: &mut World) {
    let members = Arc::make_mut(&mut world.prior.members);
    for baseline in &world.baselines {
        let member = members.entry(baseline.uid.as_str().into()).or_default();
        Arc::make_mut(member).generation = baseline.generation;
    }
}

/// Somebody opens the default deny.
fn open(world: &mut World, manager: &str, second: i64) {
    let deny = id(world, "NetworkPolicy/default-deny-ingress");
    meddle(world, &deny, |object| {
        object["spec"]["ingress"].as_array_mut().unwrap().push(json!({}));
        object["metadata"]["managedFields"] = json!([{
            "manager": manager, "operation": "Update", "time": "2026-01-01T00:00:00Z", "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:ingress": {}}},
        }]);
    });
    world.now = Timestamp::from_second(second).unwrap();
}

/// Somebody puts a field of the quota at a value.
fn quota(world: &mut World, key: &str, value: &str, second: i64) {
    let compute = id(world, "ResourceQuota/compute");
    meddle(world, &compute, |object| object["spec"]["hard"][key] = json!(value));
    world.now = Timestamp::from_second(second).unwrap();
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn busy() -> Failure {
    Failure {
        reason: Failure::BUSY,
        message: String::new(),
    }
}

/// One run of the plan of a world in which every write has this outcome; where it is done, the world follows.
fn run(attempt: &mut Attempt, world: &mut World, outcome: Result<(), Failure>) {
    let plan = plan(REGISTRY, world);
    let done: Vec<_> = plan.actions.iter().map(|a| (a.clone(), outcome.clone())).collect();
    attempt.absorb(world, &plan, &done, world.now);
    if outcome.is_ok() {
        carry_out(world, &plan);
    }
}

/// The report that follows, with what an older one told, as it is written.
fn write(attempt: &mut Attempt, world: &mut World, old: crate::api::v1alpha1::BaselineReportStatus) -> Report {
    let plan = plan(REGISTRY, world);
    attempt.saw(world, &plan);
    let new = settle(world, &plan, attempt, gate::Verdict::Go).report;
    let written = continued(new, old, attempt);
    attempt.told();
    let drift = &written.drift;
    world.prior.drift = PriorDrift {
        total: drift.total,
        repaired: drift.repaired,
        last_seen: drift.last_seen,
        last_claimed_by: drift.last_claimed_by.clone(),
        open: drift
            .open
            .iter()
            .map(|o| {
                let since = Since {
                    seen: o.seen,
                    number: o.number,
                };
                ((o.object.clone(), o.path.clone()), since)
            })
            .collect(),
    };
    written
}

type Report = crate::api::v1alpha1::BaselineReportStatus;

/// The ledger, in short: total, repaired, and of each record when it was seen and repaired.
fn told(report: &Report) -> (i64, i64, Vec<(i64, Option<i64>)>) {
    let records = report.drift.records.iter();
    let times = records.map(|r| (r.seen.as_second(), r.repaired.map(Timestamp::as_second)));
    (report.drift.total, report.drift.repaired, times.collect())
}

#[test]
fn repaired_drift_is_counted_and_recorded_with_all_that_is_claimed() {
    let mut world = at_rest(full_spec());
    world.prior.drift.total = 4;
    world.prior.drift.repaired = 3;
    open(&mut world, "kubectl-edit", 10);
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    let report = write(&mut attempt, &mut world, Report::default());
    assert_eq!((report.drift.total, report.drift.repaired), (5, 4));
    assert_eq!(report.drift.last_seen, Some(at(10)));
    assert_eq!(report.drift.last_claimed_by.as_deref(), Some("kubectl-edit"));
    assert_eq!(report.drift.open, []);
    let record = &report.drift.records[0];
    assert_eq!(
        record,
        &DriftRecord {
            control: "networkIsolation".into(),
            object: DENY.into(),
            path: record.path.clone(),
            expected: record.expected.clone(),
            found: "{}".into(),
            seen: at(10),
            repaired: Some(at(10)),
            claimed_by: "kubectl-edit".into(),
            operation: "Update".into(),
            subresource: "scale".into(),
            claimed_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        }
    );
    assert!(record.path == "spec.ingress[2]", "{}", record.path);
}

#[test]
fn drift_in_audit_is_recorded_once_however_often_it_is_seen_also_after_a_restart() {
    let mut world = at_rest(audit());
    open(&mut world, "kubectl-edit", 10);
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    world.now = at(11);
    run(&mut attempt, &mut world, Ok(()));
    let first = write(&mut attempt, &mut world, Report::default());
    assert_eq!(told(&first), (1, 0, vec![(10, None)]));
    assert_eq!(first.drift.open.len(), 1);
    world.now = at(12);
    run(&mut attempt, &mut world, Ok(()));
    let second = write(&mut attempt, &mut world, first.clone());
    assert_eq!(second.drift, first.drift);
    // Another process, which knows only what the report says.
    let mut attempt = Attempt::default();
    world.now = at(13);
    run(&mut attempt, &mut world, Ok(()));
    assert_eq!(write(&mut attempt, &mut world, second).drift, first.drift);
}

#[test]
fn a_recorded_drift_that_is_repaired_later_gets_its_time_in_the_very_record() {
    for restart in [false, true] {
        let mut world = at_rest(audit());
        open(&mut world, "kubectl-edit", 10);
        let mut attempt = Attempt::default();
        run(&mut attempt, &mut world, Ok(()));
        let old = write(&mut attempt, &mut world, Report::default());
        if restart {
            attempt = Attempt::default();
        }
        respec(&mut world, 2, full_spec());
        world.now = at(20);
        run(&mut attempt, &mut world, Ok(()));
        let report = write(&mut attempt, &mut world, old);
        assert_eq!(told(&report), (1, 1, vec![(10, Some(20))]), "restart: {restart}");
        assert_eq!(report.drift.open, []);
    }
}

#[test]
fn drift_that_cannot_be_repaired_is_counted_once_and_repaired_once() {
    let mut world = at_rest(full_spec());
    open(&mut world, "kubectl-edit", 10);
    let mut attempt = Attempt::default();
    let refused = Failure {
        reason: "Forbidden",
        message: String::new(),
    };
    for _ in 0..5 {
        run(&mut attempt, &mut world, Err(refused.clone()));
    }
    let old = write(&mut attempt, &mut world, Report::default());
    assert_eq!(told(&old), (1, 0, vec![(10, None)]));
    world.now = at(30);
    run(&mut attempt, &mut world, Ok(()));
    let report = write(&mut attempt, &mut world, old);
    assert_eq!(told(&report), (1, 1, vec![(10, Some(30))]));
}

#[test]
fn what_its_author_takes_back_is_open_no_longer_and_stays_told_as_only_reported() {
    let mut world = at_rest(audit());
    let deny = id(&world, "NetworkPolicy/default-deny-ingress");
    let good = (**world.live[&deny].object.as_ref().unwrap()).clone();
    open(&mut world, "kubectl-edit", 10);
    let mut attempt = Attempt::default();
    let first = write(&mut attempt, &mut world, Report::default());
    let uid = world.live[&deny].uid.clone();
    put(&mut world, &deny, good, Some(uid));
    let second = write(&mut attempt, &mut world, first);
    assert_eq!(told(&second), (1, 0, vec![(10, None)]));
    assert_eq!(second.drift.open, []);
    // The same again is another drift.
    open(&mut world, "kubectl-edit", 20);
    let third = write(&mut attempt, &mut world, second);
    assert_eq!(told(&third), (2, 0, vec![(20, None), (10, None)]));
}

#[test]
fn two_changes_of_one_object_are_two_drifts_and_one_repair_ends_both() {
    let mut world = at_rest(audit());
    quota(&mut world, "pods", "51", 10);
    let mut attempt = Attempt::default();
    let old = write(&mut attempt, &mut world, Report::default());
    quota(&mut world, "requests.cpu", "11", 20);
    let old = write(&mut attempt, &mut world, old);
    assert_eq!(told(&old), (2, 0, vec![(20, None), (10, None)]));
    respec(&mut world, 2, full_spec());
    world.now = at(30);
    run(&mut attempt, &mut world, Ok(()));
    let report = write(&mut attempt, &mut world, old);
    assert_eq!(told(&report), (2, 2, vec![(20, Some(30)), (10, Some(30))]));
}

#[test]
fn several_fields_of_one_change_are_one_drift() {
    let mut world = at_rest(full_spec());
    quota(&mut world, "pods", "51", 10);
    quota(&mut world, "requests.cpu", "11", 10);
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    let report = write(&mut attempt, &mut world, Report::default());
    assert_eq!(told(&report), (1, 1, vec![(10, Some(10)), (10, Some(10))]));
    let paths: Vec<_> = report.drift.records.iter().map(|r| r.path.as_str()).collect();
    assert_eq!(paths, ["spec.hard.pods", "spec.hard[requests.cpu]"]);
}

#[test]
fn a_changed_spec_is_no_drift_of_an_object_that_had_drifted() {
    let mut world = at_rest(audit());
    quota(&mut world, "pods", "51", 10);
    let mut attempt = Attempt::default();
    let old = write(&mut attempt, &mut world, Report::default());
    let items =
        json!([{"name": "compute", "hard": {"requests.cpu": 99, "limits.memory": "40Gi", "pods": 50, "services": 1}}]);
    respec(
        &mut world,
        2,
        full_spec_but(json!({"mode": "Audit", "resourceQuotas": {"items": items}})),
    );
    world.now = at(20);
    let old = write(&mut attempt, &mut world, old);
    assert_eq!(told(&old), (1, 0, vec![(10, None)]));
    judged(&mut world);
    let old = write(&mut attempt, &mut world, old);
    assert_eq!(told(&old).0, 1, "nor when it is seen again");
    respec(
        &mut world,
        3,
        full_spec_but(json!({"resourceQuotas": {"items": items}})),
    );
    world.now = at(30);
    run(&mut attempt, &mut world, Ok(()));
    let report = write(&mut attempt, &mut world, old);
    assert_eq!(told(&report), (1, 1, vec![(10, Some(30))]));
}

#[test]
fn who_writes_under_our_name_is_told_as_somebody_else() {
    let mut world = at_rest(full_spec());
    open(&mut world, "security-baseline-operator", 10);
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    assert_eq!(
        attempt.records[0].claimed_by,
        "security-baseline-operator (stated by another client)"
    );
    // Unless it may have been us, before a crash, under a spec that was changed since.
    let mut world = at_rest(full_spec());
    open(&mut world, "security-baseline-operator", 10);
    respec(&mut world, 2, full_spec());
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    assert_eq!((attempt.drifted, attempt.records.len()), (0, 0));
}

#[test]
fn a_stripped_label_is_a_drift_for_itself() {
    let mut world = at_rest(full_spec());
    let labels = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}"));
    for label in &labels {
        world.namespace.labels.remove(label);
    }
    let mut attempt = Attempt::default();
    run(&mut attempt, &mut world, Ok(()));
    let report = write(&mut attempt, &mut world, Report::default());
    assert_eq!((report.drift.total, report.drift.repaired), (2, 2));
    assert!(report.drift.records.iter().all(|r| r.claimed_by == "unknown"));
}

#[test]
fn the_ring_of_records_is_bounded_newest_first_and_the_total_is_true() {
    let mut world = at_rest(full_spec());
    let mut attempt = Attempt::default();
    let mut report = Report::default();
    for second in 0..100 {
        open(&mut world, "kubectl-edit", second);
        run(&mut attempt, &mut world, Ok(()));
        if second % 7 == 0 {
            report = write(&mut attempt, &mut world, report);
        }
    }
    assert!(attempt.records.len() <= MOST_RECORDS);
    report = write(&mut attempt, &mut world, report);
    let (total, repaired, records) = told(&report);
    assert_eq!((total, repaired, records.len()), (100, 100, MOST_RECORDS));
    assert_eq!(records[0], (99, Some(99)));
    assert!(records.is_sorted_by(|a, b| a.0 > b.0));
}

#[test]
fn what_drifted_earlier_is_not_forgotten_when_nothing_does() {
    let mut world = at_rest(full_spec());
    world.prior.drift = PriorDrift {
        total: 7,
        repaired: 6,
        last_seen: Some(at(5)),
        last_claimed_by: Some("helm".to_owned()),
        open: Open::new(),
    };
    let drift = write(&mut Attempt::default(), &mut world, Report::default()).drift;
    assert_eq!((drift.total, drift.repaired), (7, 6));
    assert_eq!(drift.last_seen, Some(at(5)));
    assert_eq!(drift.last_claimed_by.as_deref(), Some("helm"));
}

#[test]
fn a_deleted_object_in_audit_is_recorded_once_and_its_return_ends_it() {
    let mut world = at_rest(audit());
    let deny = id(&world, "NetworkPolicy/default-deny-ingress");
    let Live { object, .. } = world.live.remove(&deny).unwrap();
    let mut attempt = Attempt::default();
    world.now = at(10);
    let first = write(&mut attempt, &mut world, Report::default());
    assert_eq!(told(&first), (1, 0, vec![(10, None)]));
    assert_eq!(first.drift.open[0].path, "");
    put(&mut world, &deny, (*object.unwrap()).clone(), None);
    remember(&mut world);
    let second = write(&mut attempt, &mut world, first);
    assert_eq!(second.drift.open, []);
}
