use k8s_openapi::jiff::Timestamp;
mod told;
mod waived;

use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::TakenOver;
use crate::controls::REGISTRY;
use crate::core::plan::{Action, plan};
use crate::core::world::testing::{converged, full_spec, full_spec_but, id, meddle, with_spec, world as bare_world};

const GO: gate::Verdict = gate::Verdict::Go;

fn settled(world: &World) -> Settled {
    settle(world, &plan(REGISTRY, world), &Attempt::default(), GO)
}

fn bare(spec: Value) -> World {
    bare_world(vec![with_spec("b", 1, spec)])
}

fn audit() -> Value {
    full_spec_but(json!({"mode": "Audit"}))
}

/// A namespace whose default deny was opened by somebody.
fn drifted(spec: Value) -> World {
    let mut world = converged(full_spec());
    world.baselines = vec![with_spec("b", 1, spec)];
    let deny = id(&world, "NetworkPolicy/default-deny-ingress");
    meddle(&mut world, &deny, |object| {
        object["spec"]["ingress"] = json!([{}]);
        object["metadata"]["managedFields"] =
            json!([{"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:ingress": {}}}}]);
    });
    world
}

/// All actions of a plan, done.
fn all_done(plan: &Plan) -> Vec<(Action, Result<(), Failure>)> {
    plan.actions.iter().map(|a| (a.clone(), Ok(()))).collect()
}

fn state(settled: &Settled, section: &str) -> ControlState {
    settled
        .report
        .controls
        .iter()
        .find(|c| c.name == section)
        .unwrap()
        .state
}

fn condition(settled: &Settled, type_: &str) -> (String, String) {
    let condition = settled.report.conditions.iter().find(|c| c.type_ == type_).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn a_namespace_in_the_declared_state_is_compliant_and_says_what_applies() {
    let settled = settled(&converged(full_spec()));
    assert_eq!(settled.members[0].standing, Standing::Compliant);
    assert_eq!(condition(&settled, "Ready"), pair("True", "Compliant"));
    assert_eq!(condition(&settled, "Drifted"), pair("False", "NoDrift"));
    assert!(
        settled
            .report
            .controls
            .iter()
            .all(|c| c.state == ControlState::Compliant && c.findings.is_empty())
    );
    assert_eq!(settled.report.inventory.len(), 9);
    assert_eq!(settled.report.namespace_labels.len(), 4);
    assert_eq!(settled.report.baselines.len(), 1);
    assert_eq!(settled.report.baselines[0].state, "Enforced");
    let quotas = settled
        .report
        .controls
        .iter()
        .find(|c| c.name == "resourceQuotas")
        .unwrap();
    assert!(
        quotas
            .effective
            .iter()
            .any(|e| (e.field.as_str(), e.value.as_str(), e.baseline.as_str()) == ("compute/pods", "50", "b"))
    );
}

#[test]
fn the_inventory_reads_back_as_it_was_recorded() {
    let world = converged(full_spec());
    let plan = plan(REGISTRY, &world);
    for entry in settled(&world).report.inventory {
        let kind = crate::controls::kind_named(&entry.kind).unwrap();
        let id = crate::core::object::ChildId { kind, name: entry.name };
        assert_eq!(plan.inventory[&id].uid, entry.uid);
        assert_eq!(plan.inventory[&id].baseline, entry.baseline);
        assert_eq!(plan.inventory[&id].digest, Digest::parse(&entry.digest));
    }
}

#[test]
fn work_that_is_still_to_be_done_is_pending_where_it_is_enforced_and_a_departure_where_it_is_audited() {
    let enforced = settled(&bare(full_spec()));
    assert_eq!(enforced.members[0].standing, Standing::Pending);
    assert_eq!(condition(&enforced, "Ready"), pair("False", "Pending"));
    assert_eq!(condition(&enforced, "Drifted"), pair("False", "NoDrift"));
    let audited = settled(&bare(audit()));
    assert_eq!(audited.members[0].standing, Standing::Drifted);
    assert_eq!(condition(&audited, "Ready"), pair("False", "Drifted"));
    assert_eq!(condition(&audited, "Drifted"), pair("True", "Drifted"));
    let notes = |s: &Settled| s.report.controls.iter().map(|c| c.findings.clone()).collect::<Vec<_>>();
    assert_eq!(notes(&enforced), notes(&audited));
    assert_eq!(notes(&audited)[1][0].reason, "Missing");
    assert_eq!(notes(&audited)[1][0].message, "does not exist");
}

#[test]
fn what_somebody_changed_is_a_departure_also_where_it_is_enforced() {
    for spec in [full_spec(), audit()] {
        let settled = settled(&drifted(spec));
        assert_eq!(settled.members[0].standing, Standing::Drifted);
        assert_eq!(state(&settled, "networkIsolation"), ControlState::Drifted);
        assert_eq!(state(&settled, "access"), ControlState::Compliant);
        assert_eq!(settled.members[0].reason, "Changed");
        assert!(
            settled.members[0]
                .message
                .starts_with("networkIsolation NetworkPolicy/security-baseline-default-deny-ingress: spec."),
            "{}",
            settled.members[0].message
        );
    }
}

#[test]
fn what_is_held_or_could_not_be_written_is_blocked() {
    let mut world = bare(full_spec());
    std::sync::Arc::make_mut(&mut world.cluster).dns = None;
    let held = settled(&world);
    assert_eq!(held.members[0].standing, Standing::Blocked);
    assert_eq!(state(&held, "networkIsolation"), ControlState::Blocked);
    assert_eq!(condition(&held, "Ready"), pair("False", "Blocked"));
    assert_eq!(held.members[0].reason, "DNSNotFound");

    let world = bare(full_spec());
    let plan = plan(REGISTRY, &world);
    let mut attempt = Attempt::default();
    let failure = Failure {
        reason: "Forbidden",
        message: "x".repeat(5_000),
    };
    let done = vec![(plan.actions[0].clone(), Err(failure))];
    attempt.absorb(&world, &plan, &done, world.now);
    let failed = settle(&world, &plan, &attempt, GO);
    assert_eq!(failed.members[0].standing, Standing::Blocked);
    assert_eq!(failed.members[0].reason, "Forbidden");
    let blocked = &failed.report.controls[1].blocked;
    assert_eq!(blocked.len(), 1);
    assert_eq!(blocked[0].object, plan.actions[0].object);
    assert_eq!(blocked[0].message.chars().count(), 1024);
    assert_eq!(
        state(&failed, "limitRanges"),
        ControlState::Pending,
        "the others are not"
    );
}

#[test]
fn a_failure_is_forgotten_when_the_next_attempt_succeeds() {
    let world = bare(full_spec());
    let plan = plan(REGISTRY, &world);
    let mut attempt = Attempt::default();
    let failure = Failure {
        reason: "Conflict",
        message: "again".to_owned(),
    };
    attempt.absorb(&world, &plan, &[(plan.actions[0].clone(), Err(failure))], world.now);
    assert_eq!(attempt.failures.len(), 1);
    attempt.absorb(&world, &plan, &all_done(&plan), world.now);
    assert!(attempt.failures.is_empty());
    assert_eq!(attempt.drifted, 0, "what was missing had not drifted");
    assert!(attempt.records.is_empty());
}

#[test]
fn a_foreign_finalizer_is_warned_of_and_the_namespace_is_compliant_all_the_same() {
    use crate::core::world::Kept;
    let mut world = converged(full_spec());
    let deny = id(&world, "NetworkPolicy/default-deny-ingress");
    let kept = |deleted| Kept {
        finalizers: "example.com/hold".into(),
        by: "kubectl-edit".into(),
        deleted,
    };
    let mut messages = Vec::new();
    for deleted in [false, true] {
        world.live.get_mut(&deny).unwrap().kept = Some(kept(deleted).into());
        let settled = settled(&world);
        assert_eq!(settled.members[0].standing, Standing::Compliant);
        let warned: Vec<_> = settled.report.controls.iter().flat_map(|c| &c.warnings).collect();
        assert_eq!(warned.len(), 1);
        assert_eq!(
            (&warned[0].object, warned[0].reason.as_str()),
            (&deny.to_string(), "ForeignFinalizer")
        );
        assert!(
            warned[0]
                .message
                .ends_with(": example.com/hold; claimed by kubectl-edit")
        );
        messages.push(warned[0].message.clone());
    }
    assert_ne!(messages[0], messages[1]);
    // Also of what departs, and with it.
    meddle(&mut world, &deny, |object| object["spec"]["ingress"] = json!([{}]));
    world.live.get_mut(&deny).unwrap().kept = Some(kept(false).into());
    let settled = settled(&world);
    assert_eq!(settled.members[0].standing, Standing::Drifted);
    assert_eq!(settled.report.controls[1].warnings.len(), 1);
}

#[test]
fn what_was_not_read_yet_is_not_called_compliant() {
    let mut world = drifted(full_spec());
    let deny = id(&world, "NetworkPolicy/default-deny-ingress");
    world.live.get_mut(&deny).unwrap().object = None;
    let settled = settled(&world);
    assert_eq!(settled.members[0].standing, Standing::Pending);
    assert_eq!(condition(&settled, "Ready").0, "False");
}

#[test]
fn while_the_gate_holds_nothing_is_called_pending_and_the_reason_is_told() {
    for reason in ["Suspended", "Stopped"] {
        let world = bare(full_spec());
        let held = settle(
            &world,
            &plan(REGISTRY, &world),
            &Attempt::default(),
            gate::Verdict::Hold { reason },
        );
        assert_eq!(held.members[0].standing, Standing::Drifted);
        for control in &held.report.controls {
            assert_eq!(control.warnings[0].reason, reason);
            assert_eq!(control.state, ControlState::Drifted);
        }
    }
}

#[test]
fn a_namespace_that_nothing_selects_says_so() {
    let mut world = converged(full_spec());
    world.baselines.clear();
    let settled = settled(&world);
    assert_eq!(condition(&settled, "Ready"), pair("False", "NotSelected"));
    assert_eq!(settled.report.inventory.len(), 9, "what was created is still told");
    assert!(settled.report.controls.is_empty());
}

#[test]
fn every_baseline_that_holds_the_namespace_is_told_with_what_becomes_of_it() {
    let mut world = converged(full_spec());
    world
        .baselines
        .push(with_spec("audits", 9, full_spec_but(json!({"mode": "Audit"}))));
    world
        .baselines
        .push(with_spec("rests", 10, full_spec_but(json!({"suspend": true}))));
    let told = settled(&world).report.baselines;
    let told: Vec<_> = told.iter().map(|b| (b.name.as_str(), b.state.as_str())).collect();
    assert_eq!(told, [("b", "Enforced"), ("audits", "Audited"), ("rests", "Suspended")]);
}

#[test]
fn a_report_stays_within_the_bounds_of_its_schema_whatever_the_spec_holds() {
    let rules: Vec<Value> = (0..32)
        .map(|i| json!({"name": format!("r{i}"), "podSelector": {"matchLabels": {"a": format!("{i}")}}, "ingress": [{"ports": [{"port": 1}]}]}))
        .collect();
    let quotas: Vec<Value> = (0..32)
        .map(|i| {
            let hard: serde_json::Map<_, _> = (0..32)
                .map(|j| (format!("count/{}{j}.example.com", "x".repeat(40)), json!(1)))
                .collect();
            json!({"name": format!("q{i}"), "hard": hard})
        })
        .collect();
    let spec = full_spec_but(json!({"networkIsolation": {"allow": rules}, "resourceQuotas": {"items": quotas}}));
    let mut world = bare(spec);
    for i in 0..300 {
        world.baselines.push(with_spec(&format!("other-{i}"), 9, full_spec()));
    }
    let report = settled(&world).report;
    assert!(report.baselines.len() <= 1024);
    for control in &report.controls {
        assert!(control.effective.len() <= 128);
        assert!(control.findings.len() <= 32);
        assert!(control.blocked.len() <= 32);
        assert!(control.warnings.len() <= 32);
    }
}

#[test]
fn conditions_keep_their_time_from_report_to_report() {
    let mut world = converged(full_spec());
    let first = settled(&world).report;
    world.prior.conditions = conditions::prior(&first.conditions);
    world.now = Timestamp::from_second(2_000).unwrap();
    assert_eq!(settled(&world).report.conditions, first.conditions);
    assert_eq!(meaning(&settled(&world).report), meaning(&first), "nothing to write");
}

#[test]
fn the_meaning_of_a_report_is_all_of_it_but_the_records_and_what_was_taken_over() {
    let world = drifted(full_spec());
    let before = plan(REGISTRY, &world);
    let mut attempt = Attempt::default();
    attempt.absorb(&world, &before, &all_done(&before), world.now);
    let report = settle(&world, &before, &attempt, GO).report;
    let mut without = report.clone();
    without.drift.records.clear();
    assert_ne!(report, without);
    assert_eq!(meaning(&report), meaning(&without));
    // These are only in the written report, and not in the next one that is made.
    without.taken_over = vec![TakenOver {
        object: "Role/x".into(),
        taken: world.now,
        former: "{}".into(),
        claimed_by: "helm".into(),
        operation: String::new(),
        claimed_at: None,
    }];
    assert_eq!(meaning(&report), meaning(&without));

    let whole = serde_json::to_value(&report).unwrap();
    let mut leaves = Vec::new();
    walk("", &whole, &mut leaves);
    assert!(leaves.len() > 60);
    for pointer in leaves.iter().filter(|p| !p.starts_with("/drift/records")) {
        let mut changed = whole.clone();
        let leaf = changed.pointer_mut(pointer).unwrap();
        *leaf = match &*leaf {
            Value::Number(n) => json!(n.as_i64().unwrap() + 1),
            Value::Bool(told) => json!(!told),
            Value::String(_) if pointer.ends_with("Time") || pointer.ends_with("lastSeen") => {
                json!("2030-01-01T00:00:00Z")
            }
            Value::String(_) if pointer.ends_with("mode") => json!("Audit"),
            Value::String(_) if pointer.ends_with("state") && pointer.starts_with("/controls") => json!("Blocked"),
            Value::String(text) => json!(format!("{text}!")),
            other => panic!("{pointer}: {other}"),
        };
        let changed: BaselineReportStatus = serde_json::from_value(changed).unwrap();
        assert_ne!(meaning(&report), meaning(&changed), "{pointer}");
    }
}

fn walk(pointer: &str, value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(&format!("{pointer}/{key}"), value, leaves);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                walk(&format!("{pointer}/{i}"), value, leaves);
            }
        }
        _ => leaves.push(pointer.to_owned()),
    }
}
