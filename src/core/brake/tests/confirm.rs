//! When a change waits, and what confirms it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LIMITS: Limits = Limits {
    namespaces: 10,
    percent: 10,
};

/// So many of so many namespaces are affected, by one control each.
fn count(affected: usize, namespaces: usize) -> Count {
    let mut count = Count::default();
    for i in 0..namespaces {
        count.add(usize::from(i < affected), 0);
    }
    count
}

fn change(uid: &str, generation: i64, before: &Value, after: &Value) -> Change<'static> {
    Change {
        name: "tenants",
        uid: uid.to_owned().leak(),
        generation,
        before: Some(Digest::of(before)),
        after: Some(Digest::of(after)),
    }
}

/// What an annotation has to say, as the message has it.
fn asked(message: &str) -> String {
    let command = message
        .split_once("kubectl annotate --overwrite securitybaseline tenants ")
        .unwrap()
        .1;
    command
        .strip_prefix("securitybaseline.dev/confirm=")
        .unwrap()
        .to_owned()
}

#[test]
fn a_change_waits_when_it_is_about_more_namespaces_and_a_larger_share_than_may_be() {
    let change = change("uid", 2, &json!(1), &json!(2));
    for (affected, namespaces, waits) in [
        (10, 10, false),
        (11, 11, true),
        (11, 110, false),
        (12, 110, true),
        (0, 500, false),
    ] {
        let judged = judge(&change, &count(affected, namespaces), LIMITS, "");
        assert_eq!(judged.is_err(), waits, "{affected} of {namespaces}");
    }
}

#[test]
fn the_message_says_what_waits_and_how_to_confirm_it_and_that_confirms_it() {
    let mut many = count(20, 40);
    many.add(0, 3);
    let change = change("uid", 2, &json!(1), &json!(2));
    let message = judge(&change, &many, LIMITS, "").unwrap_err();
    assert!(
        message.contains("loosens 20 and newly enforces 3 controls in 21 of 41 namespaces"),
        "{message}"
    );
    assert!(asked(&message).ends_with("-23"), "{message}");
    assert_eq!(judge(&change, &many, LIMITS, &asked(&message)), Ok(()));
}

#[test]
fn the_message_says_nothing_of_what_the_change_does_not_do() {
    let change = change("uid", 2, &json!(1), &json!(2));
    let (mut loosens, mut enforces) = (Count::default(), Count::default());
    for _ in 0..20 {
        loosens.add(1, 0);
        enforces.add(0, 1);
    }
    let told = |count: &Count| judge(&change, count, LIMITS, "").unwrap_err();
    assert!(told(&loosens).starts_with("the change loosens 20 controls in 20 of 20 namespaces"));
    assert!(told(&enforces).starts_with("the change newly enforces 20 controls in 20 of 20 namespaces"));
}

#[test]
fn a_confirmation_is_for_this_change_of_this_baseline_and_for_no_more_than_it_says() {
    let (old, new, other) = (json!(1), json!(2), json!(3));
    let many = count(20, 40);
    let this = || change("uid", 2, &old, &new);
    let confirmed = asked(&judge(&this(), &many, LIMITS, "").unwrap_err());
    for another in [
        change("another", 2, &old, &new),
        change("uid", 3, &old, &new),
        change("uid", 2, &other, &new),
        change("uid", 2, &old, &other),
        Change { after: None, ..this() },
        Change { before: None, ..this() },
    ] {
        assert!(judge(&another, &many, LIMITS, &confirmed).is_err(), "{another:?}");
    }
    assert_eq!(
        judge(&this(), &count(19, 40), LIMITS, &confirmed),
        Ok(()),
        "it became less"
    );
    let message = judge(&this(), &count(21, 40), LIMITS, &confirmed).unwrap_err();
    assert!(message.contains("confirmed for 20"), "{message}");
    let token = confirmed.strip_suffix("-20").unwrap();
    for forged in [
        "",
        token,
        &format!("{token}-"),
        &format!("{token}20"),
        &format!("{token}--20"),
        &format!("{token}-99x"),
        "true",
        &format!("x{confirmed}"),
    ] {
        assert!(judge(&this(), &many, LIMITS, forged).is_err(), "{forged:?}");
    }
}

proptest! {
    #[test]
    fn what_is_confirmed_goes_and_what_is_small_needs_none(affected in 0..60_usize, more in 0..60_usize, namespaces in 0..20_usize, percent in 0..100_usize) {
        let limits = Limits { namespaces, percent };
        let (count, change) = (count(affected, affected + more), change("uid", 1, &json!(1), &json!(2)));
        let small = affected <= namespaces || affected * 100 <= percent * (affected + more);
        match judge(&change, &count, limits, "") {
            Ok(()) => prop_assert!(small),
            Err(message) => {
                prop_assert!(!small);
                prop_assert_eq!(judge(&change, &count, limits, &asked(&message)), Ok(()));
            }
        }
    }
}
