use super::*;

fn at(second: i64, nanosecond: i32) -> Timestamp {
    Timestamp::new(second, nanosecond).unwrap()
}

fn verdict(holds: bool) -> Verdict {
    Verdict {
        type_: "Ready",
        holds,
        reason: if holds { "Compliant" } else { "Drifted" },
        message: "text".to_owned(),
    }
}

#[test]
fn a_new_condition_begins_now_in_whole_seconds() {
    let made = conditions(vec![verdict(false)], &[], Some(3), at(10, 500_000_000));
    assert_eq!(
        made,
        [Condition {
            type_: "Ready".to_owned(),
            status: "False".to_owned(),
            reason: "Drifted".to_owned(),
            message: "text".to_owned(),
            observed_generation: Some(3),
            last_transition_time: Time(at(10, 0)),
        }]
    );
}

#[test]
fn a_condition_keeps_its_time_while_its_status_stays_and_only_then() {
    let first = conditions(vec![verdict(true)], &[], None, at(10, 0));
    let mut same = verdict(true);
    same.reason = "Other";
    same.message = "other".to_owned();
    let second = conditions(vec![same], &prior(&first), None, at(20, 0));
    assert_eq!(second[0].last_transition_time, Time(at(10, 0)));
    assert_eq!(second[0].reason, "Other");
    let third = conditions(vec![verdict(false)], &prior(&second), None, at(30, 0));
    assert_eq!(third[0].last_transition_time, Time(at(30, 0)));
    let fourth = conditions(vec![verdict(true)], &prior(&third), None, at(40, 0));
    assert_eq!(fourth[0].last_transition_time, Time(at(40, 0)));
}

#[test]
fn another_conditions_time_is_not_taken() {
    let prior = [PriorCondition {
        type_: "Drifted".to_owned(),
        status: "True".to_owned(),
        since: at(1, 0),
    }];
    let made = conditions(vec![verdict(true)], &prior, None, at(10, 0));
    assert_eq!(made[0].last_transition_time, Time(at(10, 0)));
}
