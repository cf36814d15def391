mod told;
mod waiting;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_000).unwrap()
}

/// The facts of an accepted baseline in Enforce.
fn facts() -> BaselineFacts {
    BaselineFacts {
        judged: 3,
        applied: Some(3),
        applied_spec: Some(json!({"namespaceSelector": {}})),
        mode: Mode::Enforce,
        tolerated_percent: 10,
        ..BaselineFacts::default()
    }
}

fn tally(standings: &[(Standing, usize)]) -> Tally {
    let mut tally = Tally::default();
    for (standing, count) in standings {
        for i in 0..*count {
            let name = format!("{standing:?}-{i:05}").to_lowercase();
            tally.add(&name, &member(*standing, "Reason", "a message"));
        }
    }
    tally
}

fn first(facts: &BaselineFacts, tally: &Tally) -> SecurityBaselineStatus {
    status(facts, tally, &SecurityBaselineStatus::default(), now())
}

fn shown(status: &SecurityBaselineStatus, type_: ConditionType) -> (bool, &str) {
    let condition = status.conditions.iter().find(|c| c.type_ == type_.as_str()).unwrap();
    (condition.status == "True", &condition.reason)
}

use ConditionType::{Contested, Degraded, Drifted, Ready, Reconciling, Stalled};

#[test]
fn a_baseline_that_holds_everywhere_is_ready_and_nothing_else() {
    let status = first(&facts(), &tally(&[(Standing::Compliant, 5)]));
    assert_eq!(shown(&status, Ready), (true, "Enforced"));
    for type_ in [Reconciling, Stalled, Drifted, Contested, Degraded] {
        assert!(!shown(&status, type_).0, "{type_:?}");
    }
    assert_eq!(status.observed_generation, 3);
    assert_eq!(status.applied_generation, Some(3));
    assert_eq!(status.applied, Some(json!({"namespaceSelector": {}})));
    assert_eq!(status.namespaces.selected, 5);
    assert_eq!(status.namespaces.compliant, 5);
}

#[test]
fn a_baseline_that_selects_nothing_is_ready_and_says_so() {
    let status = first(&facts(), &Tally::default());
    assert_eq!(shown(&status, Ready), (true, "NothingSelected"));
}

#[test]
fn an_audited_baseline_is_ready_when_it_was_audited_and_tells_the_drift() {
    let mut facts = facts();
    facts.mode = Mode::Audit;
    let status = first(&facts, &tally(&[(Standing::Compliant, 1), (Standing::Drifted, 4)]));
    assert_eq!(shown(&status, Ready), (true, "Audited"));
    assert_eq!(shown(&status, Drifted), (true, "Drifted"));
    assert_eq!(status.drifted.total, 4);
    assert_eq!(status.drifted.items[0].namespace, "drifted-00000");
    assert_eq!(status.namespaces.drifted, 4);
}

#[test]
fn a_rollout_is_reconciling_until_every_namespace_was_worked_on() {
    let mut under_way = tally(&[(Standing::Compliant, 3), (Standing::Pending, 1)]);
    under_way.unseen();
    assert_eq!(under_way.counts().pending, 2);
    assert_eq!(under_way.counts().selected, 5);
    let status = first(&facts(), &under_way);
    assert_eq!(shown(&status, Ready), (false, "Progressing"));
    assert_eq!(shown(&status, Reconciling), (true, "Progressing"));
    assert_eq!(shown(&status, Stalled), (false, "NotStalled"));
}

#[test]
fn one_new_namespace_does_not_take_ready_away_but_a_new_generation_does() {
    let before = first(&facts(), &tally(&[(Standing::Compliant, 5)]));
    let mut one_new = tally(&[(Standing::Compliant, 5)]);
    one_new.unseen();
    let after = status(&facts(), &one_new, &before, now());
    assert_eq!(shown(&after, Ready), (true, "Enforced"));
    assert!(!shown(&after, Reconciling).0);

    let mut newer = facts();
    newer.judged = 4;
    let rollout = status(&newer, &one_new, &before, now());
    assert_eq!(shown(&rollout, Ready), (false, "Progressing"));
    assert!(shown(&rollout, Reconciling).0);
}

#[test]
fn a_blocked_namespace_degrades_and_stalls_only_beyond_the_tolerance() {
    for (standing, reason) in [(Standing::Blocked, "Blocked"), (Standing::Conflict, "Conflict")] {
        let within = first(&facts(), &tally(&[(Standing::Compliant, 9), (standing, 1)]));
        assert_eq!(shown(&within, Ready), (true, "Enforced"), "{standing:?}");
        assert!(!shown(&within, Stalled).0);
        assert_eq!(shown(&within, Degraded), (true, reason));
        let beyond = first(&facts(), &tally(&[(Standing::Compliant, 8), (standing, 1)]));
        assert_eq!(shown(&beyond, Ready), (false, reason));
        assert_eq!(shown(&beyond, Stalled), (true, reason));
        assert_eq!(shown(&beyond, Degraded), (true, reason));
    }
    // Both together are judged by one tolerance.
    let both = first(
        &facts(),
        &tally(&[
            (Standing::Compliant, 18),
            (Standing::Blocked, 1),
            (Standing::Conflict, 2),
        ]),
    );
    assert!(shown(&both, Stalled).0);
    let mut none = facts();
    none.tolerated_percent = 0;
    assert!(
        shown(
            &first(&none, &tally(&[(Standing::Compliant, 999), (Standing::Blocked, 1)])),
            Stalled
        )
        .0
    );
    assert!(!shown(&first(&none, &tally(&[(Standing::Compliant, 9)])), Stalled).0);
}

#[test]
fn a_refused_spec_is_stalled_with_the_field_and_what_held_before_keeps_holding() {
    let mut facts = facts();
    facts.judged = 4;
    facts.problems = vec![FieldProblem {
        path: "spec.resourceQuotas.items[0].hard[cpus]".to_owned(),
        message: "not a resource".to_owned(),
    }];
    let status = first(&facts, &tally(&[(Standing::Compliant, 5)]));
    assert_eq!(shown(&status, Stalled), (true, "InvalidSpec"));
    assert_eq!(shown(&status, Ready), (false, "InvalidSpec"));
    assert!(!shown(&status, Reconciling).0);
    let message = &status.conditions.iter().find(|c| c.type_ == "Stalled").unwrap().message;
    assert_eq!(
        message,
        "spec.resourceQuotas.items[0].hard[cpus]: not a resource; generation 3 keeps holding"
    );
    assert_eq!(status.observed_generation, 4, "the one that was judged");
    assert_eq!(status.applied_generation, Some(3), "the one that holds");
    assert_eq!(status.problems, facts.problems);
    facts.applied = None;
    let never = first(&facts, &Tally::default());
    assert!(!never.conditions[2].message.contains("keeps holding"));
}

#[test]
fn suspended_and_stopped_wait_for_a_person() {
    let (mut suspended, mut stopped) = (facts(), facts());
    suspended.suspended = true;
    stopped.stopped = true;
    for (facts, reason) in [(suspended, "Suspended"), (stopped, "Stopped")] {
        let status = first(&facts, &tally(&[(Standing::Pending, 5)]));
        assert_eq!(shown(&status, Stalled), (true, reason));
        assert_eq!(shown(&status, Ready), (false, reason));
        assert!(!shown(&status, Reconciling).0);
    }
}

#[test]
fn lists_name_the_first_by_name_and_the_total_is_true() {
    let mut tally = Tally::default();
    for i in (0..100).rev() {
        tally.add(&format!("ns-{i:03}"), &member(Standing::Blocked, "Forbidden", "no"));
    }
    let status = first(&facts(), &tally);
    assert_eq!(status.blocked.total, 100);
    let names: Vec<_> = status.blocked.items.iter().map(|f| f.namespace.clone()).collect();
    assert_eq!(names, (0..20).map(|i| format!("ns-{i:03}")).collect::<Vec<_>>());
}

/// A status of this many namespaces in each state, with what is told of each of them.
fn size(each: usize, message: &str) -> usize {
    let mut tally = Tally::default();
    for standing in [
        Standing::Compliant,
        Standing::Pending,
        Standing::Drifted,
        Standing::Blocked,
        Standing::Conflict,
    ] {
        for i in 0..each {
            tally.add(&format!("namespace-{i:05}"), &member(standing, "Reason", message));
        }
    }
    let mut facts = facts();
    facts.applied_spec = None;
    serde_json::to_string(&first(&facts, &tally)).unwrap().len()
}

#[test]
fn a_status_does_not_grow_with_the_cluster() {
    let message = "networkIsolation NetworkPolicy/security-baseline-default-deny-ingress: was deleted";
    let (small, large) = (size(100, message), size(10_000, message));
    assert!(large < 16 * 1024, "{large} bytes");
    assert!(large - small < 64, "{small} bytes became {large}");
}

#[test]
fn a_status_is_bounded_whatever_is_told() {
    let hostile = "\u{1b}[31m".repeat(10_000);
    assert!(size(1_000, &hostile) < 512 * 1024);
    let mut facts = facts();
    facts.problems = (0..1_000)
        .map(|i| FieldProblem {
            path: format!("spec.{i}"),
            message: "x".repeat(1_024),
        })
        .collect();
    facts.warnings = facts.problems.clone();
    let status = first(&facts, &Tally::default());
    assert!(status.problems.len() <= 16, "the bound of the schema");
    assert!(status.warnings.len() <= 16, "the bound of the schema");
    for condition in &status.conditions {
        assert!(condition.message.chars().count() <= 4096, "{}", condition.type_);
    }
}

#[test]
fn conditions_keep_their_time_while_their_status_stays() {
    let before = first(&facts(), &tally(&[(Standing::Compliant, 5)]));
    let later = Timestamp::from_second(5_000).unwrap();
    let same = status(&facts(), &tally(&[(Standing::Compliant, 5)]), &before, later);
    assert_eq!(same, before, "nothing to write");
    let drifted = status(&facts(), &tally(&[(Standing::Drifted, 5)]), &before, later);
    for condition in &drifted.conditions {
        let expected = if condition.type_ == "Drifted" { later } else { now() };
        assert_eq!(condition.last_transition_time.0, expected, "{}", condition.type_);
    }
}

fn any_facts() -> impl Strategy<Value = BaselineFacts> {
    (
        (
            0_i64..5,
            proptest::option::of(0_i64..5),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
        ),
        (
            select(vec![0_i64, 10, 50, 100]),
            select(vec![Mode::Audit, Mode::Enforce]),
        ),
    )
        .prop_map(
            |((judged, applied, refused, suspended, stopped), (tolerated_percent, mode))| BaselineFacts {
                judged,
                applied,
                problems: refused
                    .then(|| FieldProblem {
                        path: "spec".into(),
                        message: "bad".into(),
                    })
                    .into_iter()
                    .collect(),
                suspended,
                stopped,
                tolerated_percent,
                mode,
                ..BaselineFacts::default()
            },
        )
}

fn member(standing: Standing, reason: &str, message: &str) -> MemberStanding {
    MemberStanding {
        baseline: "b".to_owned(),
        generation: 1,
        standing,
        reason: reason.to_owned(),
        message: message.to_owned(),
        told: 1,
        conflict: (standing == Standing::Conflict).then(|| message.to_owned()),
        deselected: false,
        held: false,
        unrepaired: false,
        contested: None,
        weakened: (standing == Standing::Weakened).then(|| message.to_owned()),
    }
}

fn any_tally() -> impl Strategy<Value = Tally> {
    let standing = select(vec![
        None,
        Some(Standing::Compliant),
        Some(Standing::Pending),
        Some(Standing::Weakened),
        Some(Standing::Drifted),
        Some(Standing::Blocked),
        Some(Standing::Conflict),
    ]);
    proptest::collection::vec(standing, 0..30).prop_map(|standings| {
        let mut tally = Tally::default();
        for (i, standing) in standings.into_iter().enumerate() {
            match standing {
                Some(standing) => tally.add(&format!("ns-{i}"), &member(standing, "Reason", "message")),
                None => tally.unseen(),
            }
        }
        tally
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn every_condition_is_always_there_and_reconciling_and_stalled_are_never_both_true(
        history in proptest::collection::vec((any_facts(), any_tally()), 1..4),
    ) {
        let mut before = SecurityBaselineStatus::default();
        for (facts, tally) in history {
            let status = status(&facts, &tally, &before, now());
            let types: Vec<_> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
            prop_assert_eq!(types, ConditionType::ALL.map(ConditionType::as_str));
            for condition in &status.conditions {
                prop_assert_eq!(condition.observed_generation, Some(facts.judged));
                prop_assert!(!condition.reason.is_empty());
                prop_assert!(condition.reason.bytes().all(|b| b.is_ascii_alphanumeric()));
                prop_assert!(!condition.message.is_empty());
            }
            let holds = |type_| shown(&status, type_).0;
            prop_assert!(!(holds(Reconciling) && holds(Stalled)));
            // As kstatus reads them: ready is what neither waits nor works.
            prop_assert_eq!(holds(Ready), !holds(Reconciling) && !holds(Stalled));
            prop_assert!(!holds(Ready) || facts.problems.is_empty(), "a refused spec is not ready");
            let counts = status.namespaces;
            prop_assert_eq!(
                counts.selected,
                counts.compliant + counts.drifted + counts.pending + counts.blocked + counts.conflicting + counts.weakened
            );
            prop_assert_eq!(holds(Drifted), counts.drifted > 0);
            prop_assert_eq!(holds(Degraded), counts.blocked + counts.conflicting + tally.weakened() > 0);
            before = status;
        }
    }
}
