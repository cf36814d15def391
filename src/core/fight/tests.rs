mod bounds;
mod pauses;
mod properties;

use super::*;

const POLICY: &str = "NetworkPolicy/security-baseline-default-deny-ingress";
const FIELD: &str = "spec.ingress[0]";

/// A moment, in seconds after the test began.
fn at(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + (seconds * 1000.0) as i64).unwrap()
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;

/// How many repairs it takes until an opponent who comes at this interval is found, if it takes fewer than `most`.
fn found_after(interval: f64, most: usize, field: impl Fn(usize) -> String) -> Option<usize> {
    let mut fights = Fights::default();
    (1..=most).find(|i| {
        let now = at(*i as f64 * interval);
        fights.reverted(POLICY, &field(*i), "helm", now);
        !fights.contested(now).is_empty()
    })
}

/// Fights in which the policy was reverted so often, a minute apart, and when that was last.
fn after(reverts: u32) -> (Fights, f64) {
    let mut fights = Fights::default();
    for i in 1..=reverts {
        fights.reverted(POLICY, FIELD, "helm", at(f64::from(i) * MINUTE));
    }
    (fights, f64::from(reverts) * MINUTE)
}

/// The pause in seconds, just after something happened to the policy at this second.
fn pause(fights: &Fights, weaker: bool, jitter: f64, now: f64) -> Option<f64> {
    let next = fights.next_try(POLICY, weaker, jitter, at(now))?;
    Some(next.duration_since(at(now)).as_secs_f64())
}

#[test]
fn who_reverts_one_field_every_second_two_minutes_or_ten_is_found_at_the_third_time() {
    for interval in [1.0, 2.0 * MINUTE, 10.0 * MINUTE, 11.9 * HOUR] {
        assert_eq!(found_after(interval, 99, |_| FIELD.to_owned()), Some(3), "{interval}");
    }
}

#[test]
fn who_reverts_another_field_each_time_is_found_by_its_speed() {
    let fields = |i: usize| format!("spec.ingress[{i}]");
    assert_eq!(found_after(1.0, 99, fields), Some(6));
    assert_eq!(found_after(10.0, 99, fields), Some(9));
    assert_eq!(found_after(15.0, 999, fields), None);
}

#[test]
fn a_clock_that_stands_still_hides_no_opponent() {
    assert_eq!(found_after(0.0, 99, |_| FIELD.to_owned()), Some(3));
    let mut fights = Fights::default();
    for _ in 0..6 {
        fights.reverted(POLICY, FIELD, "helm", at(0.0));
    }
    assert_eq!(fights.contested(at(0.0))[0].reverts, 4);
}

#[test]
fn a_clock_that_was_set_back_makes_no_opponent() {
    let mut fights = Fights::default();
    fights.reverted(POLICY, FIELD, "kubectl-edit", at(7.0 * HOUR));
    fights.reverted(POLICY, "spec.policyTypes[0]", "kubectl-edit", at(0.0));
    assert_eq!(fights.contested(at(0.0)), []);
}

#[test]
fn a_single_edit_of_many_fields_is_no_fight() {
    let mut fights = Fights::default();
    for i in 0..16 {
        fights.reverted(POLICY, &format!("spec.ingress[{i}]"), "kubectl-edit", at(0.0));
    }
    assert_eq!(fights.contested(at(0.0)), []);
    assert_eq!(fights.next_try(POLICY, true, 0.0, at(0.0)), None);
    assert_eq!(fights.cools_at(at(0.0)), None);
}

#[test]
fn two_edits_a_day_are_no_fight_however_long_it_goes_on() {
    assert_eq!(found_after(12.0 * HOUR, 1000, |_| FIELD.to_owned()), None);
}

#[test]
fn edits_of_several_objects_are_not_added_up() {
    let mut fights = Fights::default();
    for i in 0..100 {
        fights.reverted(&format!("Role/{i}"), "rules[0]", "helm", at(f64::from(i)));
    }
    assert_eq!(fights.contested(at(100.0)), []);
}

#[test]
fn a_contest_names_the_field_that_is_reverted_most_and_who_claims_it() {
    let (mut fights, end) = after(4);
    fights.reverted(POLICY, "metadata.labels", "kubectl-label", at(end + 30.0));
    assert_eq!(
        fights.contested(at(end + 30.0)),
        [Contest {
            object: POLICY.into(),
            path: FIELD.into(),
            by: "helm".into(),
            reason: Contest::REVERTED,
            since: at(3.0 * MINUTE),
            reverts: 3,
            last: at(end + 30.0),
        }]
    );
}

#[test]
fn the_fields_of_one_repair_count_once() {
    let (mut fights, end) = after(3);
    fights.reverted(POLICY, "spec.policyTypes[0]", "helm", at(end));
    assert_eq!(fights.contested(at(end))[0].reverts, 1);
}

#[test]
fn a_write_that_is_rewritten_is_a_contest_at_once_until_one_is_not() {
    let mut fights = Fights::default();
    fights.rewritten(POLICY, false, at(0.0));
    fights.rewritten(POLICY, false, at(1.0));
    assert_eq!(
        fights.contested(at(1.0)),
        [Contest {
            object: POLICY.into(),
            path: String::new(),
            by: "unknown".into(),
            reason: Contest::REWRITTEN,
            since: at(0.0),
            reverts: 2,
            last: at(1.0),
        }]
    );
    fights.accepted("Role/other");
    assert_eq!(fights.contested(at(1.0)).len(), 1);
    fights.accepted(POLICY);
    assert_eq!(fights, Fights::default(), "nothing of it is kept");
}

#[test]
fn a_write_that_stands_ends_no_contest_with_somebody_who_reverts_it() {
    let (mut fights, end) = after(4);
    fights.rewritten(POLICY, false, at(end));
    let reasons = |fights: &Fights| -> Vec<_> { fights.contested(at(end)).iter().map(|c| c.reason).collect() };
    assert_eq!(reasons(&fights), [Contest::REVERTED, Contest::REWRITTEN]);
    fights.accepted(POLICY);
    assert_eq!(reasons(&fights), [Contest::REVERTED]);
    assert_eq!(pause(&fights, false, 0.0, end), Some(6.0));
}

#[test]
fn a_contest_ends_a_day_after_it_was_last_seen_and_all_begins_anew() {
    let (mut fights, end) = after(9);
    fights.rewritten("Role/a", true, at(end - 1.0 * HOUR));
    let (first, second) = (end + 23.0 * HOUR, end + 24.0 * HOUR);
    assert_eq!(fights.cools_at(at(end)), Some(at(first)));
    assert_eq!(fights.contested(at(first - 1.0)).len(), 2);
    assert_eq!(fights.contested(at(first)).len(), 1);
    assert_eq!(fights.cools_at(at(first)), Some(at(second)));
    assert_eq!(fights.contested(at(second - 1.0)).len(), 1);
    assert_eq!(fights.contested(at(second)), []);
    assert_eq!(fights.cools_at(at(second)), None);
    for i in 0..2 {
        let now = second + f64::from(i);
        fights.reverted(POLICY, FIELD, "helm", at(now));
        assert_eq!(fights.contested(at(now)), []);
        assert_eq!(pause(&fights, false, 0.0, now), None);
    }
    fights.reverted(POLICY, FIELD, "helm", at(second + 2.0));
    assert_eq!(pause(&fights, false, 0.0, second + 2.0), Some(2.0));
}

#[test]
fn nothing_of_a_fight_that_is_over_counts_in_the_next_one() {
    let mut fights = Fights::default();
    for i in 0..9 {
        fights.reverted(POLICY, FIELD, "helm", at(f64::from(i)));
        fights.rewritten(POLICY, true, at(f64::from(i)));
    }
    // The other contest over the object goes on.
    fights.rewritten(POLICY, true, at(20.0 * HOUR));
    let later = 25.0 * HOUR;
    for i in 0..3 {
        let now = later + f64::from(i) * MINUTE;
        let told = fights.contested(at(now));
        assert!(told.len() == 1 && told[0].reason == Contest::REWRITTEN, "{told:?}");
        fights.reverted(POLICY, "spec.policyTypes[0]", "argocd", at(now));
    }
    let told = fights.contested(at(later + 2.0 * MINUTE));
    assert_eq!((told[0].path.as_str(), told[0].reverts), ("spec.policyTypes[0]", 1));
    assert_eq!((told[1].since, told[1].reverts), (at(0.0), 10));
}

#[test]
fn a_contest_over_what_is_rewritten_begins_anew_after_a_day() {
    let mut fights = Fights::default();
    fights.rewritten(POLICY, true, at(0.0));
    fights.rewritten(POLICY, true, at(24.0 * HOUR));
    assert_eq!(fights.contested(at(24.0 * HOUR))[0].since, at(24.0 * HOUR));
}

#[test]
fn an_opponent_who_comes_every_ten_minutes_for_days_does_not_flap() {
    let mut fights = Fights::default();
    for i in 1..1000 {
        let now = f64::from(i) * 10.0 * MINUTE;
        fights.reverted(POLICY, FIELD, "helm", at(now));
        for later in [0.0, 5.0 * MINUTE, 9.9 * MINUTE] {
            let contests = fights.contested(at(now + later));
            assert_eq!(contests.len(), usize::from(i >= 3), "{i}");
            assert!(contests.iter().all(|c| c.since == at(30.0 * MINUTE)));
        }
    }
}

#[test]
fn a_restart_neither_forgets_a_contest_nor_hides_it() {
    let (mut fights, end) = after(6);
    fights.rewritten("Role/a", false, at(end));
    let told = fights.contested(at(end));
    let mut again = Fights::restore(told.clone());
    assert_eq!(again.contested(at(end)), told);
    assert_eq!(again.cools_at(at(end)), fights.cools_at(at(end)));
    assert_eq!(pause(&again, false, 0.0, end), pause(&fights, false, 0.0, end));
    // What happened to a rewritten object meanwhile nobody saw: no pause may hide it.
    assert_eq!(again.next_try("Role/a", false, 0.0, at(end)), None);
    again.reverted(POLICY, FIELD, "helm", at(end + 60.0));
    fights.reverted(POLICY, FIELD, "helm", at(end + 60.0));
    assert_eq!(again.contested(at(end + 60.0)), fights.contested(at(end + 60.0)));
    assert_eq!(
        Fights::restore(told).contested(at(end + 25.0 * HOUR)),
        [],
        "it ends by itself all the same"
    );
}
