//! How long a repair waits.

use super::*;

#[test]
fn the_first_repairs_never_wait() {
    for weaker in [true, false] {
        for reverts in [0, 1, 2] {
            let (fights, end) = after(reverts);
            assert_eq!(pause(&fights, weaker, 0.0, end), None);
        }
        let (fights, end) = after(3);
        assert_eq!(pause(&fights, weaker, 0.0, end), Some(2.0));
        assert_eq!(fights.next_try("Role/other", weaker, 0.0, at(end)), None);
    }
}

#[test]
fn the_pause_grows_by_three_up_to_five_minutes_and_up_to_five_seconds_where_live_is_weaker() {
    let pauses = |weaker| (3..12).map(move |n| pause(&after(n).0, weaker, 0.0, after(n).1).unwrap());
    assert!(pauses(false).eq([2.0, 6.0, 18.0, 54.0, 162.0, 300.0, 300.0, 300.0, 300.0]));
    assert!(pauses(true).eq([2.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]));
}

#[test]
fn the_pause_is_counted_from_the_last_repair_and_then_over() {
    let (fights, end) = after(8);
    assert_eq!(
        fights.next_try(POLICY, false, 0.0, at(end + 299.0)),
        Some(at(end + 300.0))
    );
    assert_eq!(fights.next_try(POLICY, false, 0.0, at(end + 300.0)), None);
    assert_eq!(fights.next_try(POLICY, true, 0.0, at(end + 5.0)), None);
}

#[test]
fn jitter_takes_up_to_a_fifth_off_and_never_adds() {
    let (fights, end) = after(8);
    for (jitter, expected) in [
        (0.0, 300.0),
        (0.5, 270.0),
        (1.0, 240.0),
        (7.0, 300.0),
        (-1.0, 300.0),
        (f64::NAN, 300.0),
    ] {
        assert_eq!(pause(&fights, false, jitter, end), Some(expected), "{jitter}");
    }
    assert_eq!(pause(&fights, true, 1.0, end), Some(4.0));
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_back() {
    let (mut fights, end) = after(8);
    fights.rewritten(POLICY, true, at(end));
    assert_eq!(fights.next_try(POLICY, true, 0.0, at(end - 7.0 * HOUR)), None);
    assert_eq!(
        fights.contested(at(end - 7.0 * HOUR)).len(),
        2,
        "but the fight is not hidden"
    );
}

#[test]
fn what_is_rewritten_waits_five_minutes_at_most_and_an_hour_where_the_write_changed_nothing() {
    for weaker in [true, false] {
        for (unchanged, expected) in [
            (false, [2.0, 6.0, 18.0, 54.0, 162.0, 300.0, 300.0, 300.0, 300.0]),
            (true, [2.0, 6.0, 18.0, 54.0, 162.0, 486.0, 1458.0, 3600.0, 3600.0]),
        ] {
            let mut fights = Fights::default();
            for (i, expected) in expected.into_iter().enumerate() {
                let now = i as f64 * HOUR;
                fights.rewritten(POLICY, unchanged, at(now));
                assert_eq!(pause(&fights, weaker, 0.0, now), Some(expected), "{unchanged} {i}");
            }
        }
    }
}

#[test]
fn the_last_reply_says_how_long_the_pause_may_be() {
    let mut fights = Fights::default();
    for i in 0..9 {
        fights.rewritten(POLICY, true, at(f64::from(i) * HOUR));
    }
    fights.rewritten(POLICY, false, at(9.0 * HOUR));
    assert_eq!(pause(&fights, false, 0.0, 9.0 * HOUR), Some(300.0));
}

#[test]
fn who_changes_a_rewritten_object_cannot_use_its_pause() {
    let mut fights = Fights::default();
    for i in 0..9 {
        fights.rewritten(POLICY, true, at(f64::from(i) * HOUR));
    }
    let now = 8.0 * HOUR;
    assert_eq!(pause(&fights, true, 0.0, now), Some(3600.0));
    fights.touched("Role/other");
    assert_eq!(pause(&fights, true, 0.0, now), Some(3600.0));
    fights.touched(POLICY);
    assert_eq!(pause(&fights, true, 0.0, now), None);
    assert_eq!(fights.contested(at(now)).len(), 1, "the contest goes on");
    // Whoever does it again and again is an opponent like any other.
    for i in 1..=9 {
        let now = now + f64::from(i) * MINUTE;
        fights.reverted(POLICY, FIELD, "helm", at(now));
        fights.rewritten(POLICY, true, at(now));
        fights.touched(POLICY);
    }
    let now = now + 9.0 * MINUTE;
    assert_eq!(pause(&fights, true, 0.0, now), Some(5.0));
    assert_eq!(pause(&fights, false, 0.0, now), Some(300.0));
    fights.rewritten(POLICY, true, at(now));
    assert_eq!(pause(&fights, true, 0.0, now), Some(3600.0));
}

#[test]
fn a_stated_bound_shortens_the_pause_and_never_makes_it_longer() {
    let bounded = |seconds, weaker| {
        let (mut fights, end) = after(8);
        fights.pause_at_most(seconds);
        pause(&fights, weaker, 0.0, end)
    };
    assert_eq!((bounded(10, false), bounded(10, true)), (Some(10.0), Some(5.0)));
    assert_eq!((bounded(1000, false), bounded(1000, true)), (Some(300.0), Some(5.0)));
}
