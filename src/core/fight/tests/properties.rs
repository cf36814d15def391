//! What holds whatever happens, and in whatever order.

use proptest::prelude::*;

use super::*;

/// Something that happens: after so many seconds, to one of three objects.
fn events() -> impl Strategy<Value = Vec<(f64, u8, u8)>> {
    let gap = prop_oneof![3 => 0.0..10.0_f64, 2 => 0.0..1000.0_f64, 1 => 0.0..200_000.0_f64];
    prop::collection::vec((gap, 0..3_u8, 0..8_u8), 0..200)
}

fn play(fights: &mut Fights, object: &str, what: u8, now: Timestamp) {
    match what {
        0 => fights.rewritten(object, false, now),
        1 => fights.rewritten(object, true, now),
        2 => fights.accepted(object),
        3 => fights.touched(object),
        4 => fights.reverted(object, "spec", "kubectl", now),
        _ => fights.reverted(object, FIELD, "helm", now),
    }
}

proptest! {
    #[test]
    fn no_pause_is_ever_longer_than_what_is_at_stake(events in events(), jitter in 0.0..1.0_f64, asked in 0.0..4000.0_f64) {
        let mut fights = Fights::default();
        let mut now = 0.0;
        for (gap, object, what) in events {
            now += gap;
            let object = format!("Role/{object}");
            play(&mut fights, &object, what, at(now));
            let (rewritten, asked) = (
                fights.contested(at(now)).iter().any(|c| c.object == object && c.reason == Contest::REWRITTEN),
                at(now + asked),
            );
            for weaker in [true, false] {
                let wait = fights.next_try(&object, weaker, jitter, asked).map(|t| t.duration_since(asked).as_secs_f64());
                let bound = if rewritten { 3600.0 } else if weaker { 5.0 } else { 300.0 };
                prop_assert!(wait.is_none_or(|wait| wait > 0.0 && wait <= bound), "{wait:?} above {bound}");
            }
        }
    }

    #[test]
    fn what_is_contested_waits_after_each_repair_and_is_then_tried_again(events in events(), jitter in 0.0..1.0_f64, weaker: bool) {
        let mut fights = Fights::default();
        let mut now = 0.0;
        for (gap, object, what) in events {
            now += gap;
            let object = format!("Role/{object}");
            // What rewrites is left out: this is about the other contest.
            play(&mut fights, &object, what.max(4), at(now));
            let contested = fights.contested(at(now)).iter().any(|c| c.object == object);
            let next = fights.next_try(&object, weaker, jitter, at(now));
            prop_assert_eq!(next.is_some(), contested);
            if let Some(next) = next {
                prop_assert!(next >= at(now + 1.6));
                prop_assert_eq!(fights.next_try(&object, weaker, jitter, next), None);
            }
        }
    }

    #[test]
    fn what_is_contested_changes_by_itself_just_when_it_was_said_to(events in events()) {
        let mut fights = Fights::default();
        let mut now = 0.0;
        for (gap, object, what) in events {
            now += gap;
            play(&mut fights, &format!("Role/{object}"), what, at(now));
        }
        let told = fights.contested(at(now));
        match fights.cools_at(at(now)) {
            None => prop_assert!(told.is_empty()),
            Some(end) => {
                let nanosecond = k8s_openapi::jiff::SignedDuration::from_nanos(1);
                prop_assert_eq!(&fights.contested(end - nanosecond), &told);
                prop_assert!(fights.contested(end).len() < told.len());
            }
        }
    }

    #[test]
    fn every_contest_survives_a_restart(events in events()) {
        let mut fights = Fights::default();
        let mut now = 0.0;
        for (gap, object, what) in events {
            now += gap;
            play(&mut fights, &format!("Role/{object}"), what, at(now));
        }
        let told = fights.contested(at(now));
        prop_assert_eq!(Fights::restore(told.clone()).contested(at(now)), told);
    }
}
