//! What is kept in mind stays small, whatever comes in.

use super::*;

#[test]
fn a_report_that_somebody_wrote_nonsense_into_holds_nothing_back() {
    let contest = |object: &str, last| Contest {
        object: object.into(),
        path: "x".repeat(9999),
        by: "\u{1b}".into(),
        reason: Contest::REVERTED,
        since: Timestamp::MAX,
        reverts: 0,
        last,
    };
    let fights = Fights::restore([
        contest(POLICY, Timestamp::MAX),
        contest("Role/a", Timestamp::MIN),
        contest("Role/b", at(0.0)),
    ]);
    assert_eq!(fights.next_try(POLICY, true, 0.0, at(1.0)), None);
    assert_eq!(fights.next_try("Role/b", true, 0.0, at(1.0)), Some(at(2.0)));
    let told = fights.contested(at(1.0));
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|c| c.path.chars().count() == 256 && c.by == "\u{fffd}"));
    assert!(fights.cools_at(Timestamp::MAX).is_some());
}

#[test]
fn ten_thousand_objects_and_fields_do_not_grow_what_is_kept() {
    let mut fights = Fights::default();
    for i in 0..10_000 {
        for _ in 0..3 {
            fights.reverted(&format!("Role/{i:05}"), FIELD, "helm", at(f64::from(i)));
        }
    }
    assert_eq!(fights.objects.len(), MOST_OBJECTS);
    let told = fights.contested(at(10_000.0));
    assert_eq!(told.len(), MOST_TOLD);
    assert_eq!(told[0].object, "Role/09488", "the least recently reverted went first");

    let mut fights = Fights::default();
    for i in 0..10_000 {
        fights.reverted(
            POLICY,
            &format!("spec.hard.{i}"),
            "helm",
            at(f64::from(i) * 10.0 * MINUTE),
        );
    }
    assert_eq!(fights.objects.len(), 1);
    assert!(format!("{fights:?}").len() < 5_000, "{fights:?}");
}

#[test]
fn an_object_that_is_still_fought_over_is_not_pushed_out_by_others() {
    let (mut fights, end) = after(3);
    for i in 0..2 * MOST_OBJECTS {
        fights.reverted(&format!("Role/{i}"), "rules[0]", "helm", at(end));
        fights.rewritten(POLICY, false, at(end));
    }
    assert_eq!(fights.contested(at(end)).len(), 2);
}

#[test]
fn objects_that_are_fought_over_in_turn_are_all_found_and_all_wait() {
    let mut fights = Fights::default();
    for _ in 0..3 {
        for i in 0..250 {
            fights.reverted(&format!("RoleBinding/{i}"), "subjects[0]", "argocd", at(0.0));
            fights.rewritten(&format!("Role/{i}"), true, at(0.0));
        }
    }
    for i in 0..250 {
        let next = |kind| fights.next_try(&format!("{kind}/{i}"), false, 0.0, at(0.0));
        assert_eq!(next("RoleBinding"), Some(at(2.0)));
        assert_eq!(next("Role"), Some(at(18.0)));
    }
}

#[test]
fn a_field_that_is_reverted_among_many_others_each_time_is_found() {
    let mut fights = Fights::default();
    for i in 0..3 {
        let now = at(f64::from(i) * 10.0 * MINUTE);
        let mut fields: Vec<String> = (0..7).map(|j| format!("spec.hard.{i}-{j}")).collect();
        // First or last among them, as it is sorted.
        fields.insert(if i == 1 { 7 } else { 0 }, "spec.hard.pods".to_owned());
        for field in fields {
            fights.reverted(POLICY, &field, "helm", now);
        }
    }
    assert_eq!(fights.contested(at(20.0 * MINUTE))[0].path, "spec.hard.pods");
}

#[test]
fn what_is_told_of_more_contests_than_fit_stays_the_same() {
    let mut fights = Fights::default();
    for i in 0..30 {
        fights.rewritten(&format!("Role/{:02}", 29 - i), false, at(f64::from(i)));
    }
    let names = |fights: &Fights, now| -> Vec<String> {
        let told = fights.contested(at(now));
        told.into_iter().map(|c| c.object).collect()
    };
    let before = names(&fights, 30.0);
    assert_eq!(before.len(), MOST_TOLD);
    assert!(before.is_sorted());
    assert_eq!(before[15], "Role/29", "those that have been longest");
    fights.rewritten("Role/00", false, at(31.0));
    fights.rewritten("Role/29", false, at(32.0));
    assert_eq!(names(&fights, 32.0), before);
}

#[test]
fn hostile_text_is_bounded_and_made_safe() {
    let mut fights = Fights::default();
    let hostile = "\u{1b}[31m\u{202e}".repeat(100_000);
    for i in 0..3 {
        fights.reverted(&hostile, &hostile, &hostile, at(f64::from(i)));
    }
    let told = &fights.contested(at(3.0))[0];
    for (text, bound) in [(&told.object, 317), (&told.path, 256), (&told.by, 128)] {
        assert_eq!(text.chars().count(), bound);
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }
    assert!(
        fights.next_try(&hostile, true, 0.0, at(2.0)).is_some(),
        "it is found again by its name"
    );
}

#[test]
fn of_more_contests_than_are_kept_a_restart_takes_up_the_latest() {
    let contest = |i: usize| Contest {
        object: format!("Role/{i}"),
        path: String::new(),
        by: "unknown".to_owned(),
        reason: Contest::REWRITTEN,
        since: at(0.0),
        reverts: 1,
        last: at(i as f64 / 1000.0),
    };
    let fights = Fights::restore((0..2 * MOST_OBJECTS).rev().map(contest));
    let known = |i: usize| fights.find(&format!("Role/{i}")).is_some();
    assert!((0..2 * MOST_OBJECTS).all(|i| known(i) == (i >= MOST_OBJECTS)));
}
