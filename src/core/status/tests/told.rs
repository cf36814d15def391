//! What the conditions say of the namespaces behind them.

use super::*;

fn message(status: &SecurityBaselineStatus, type_: ConditionType) -> &str {
    let condition = status.conditions.iter().find(|c| c.type_ == type_.as_str()).unwrap();
    &condition.message
}

#[test]
fn namespaces_that_were_not_looked_at_yet_are_counted_for_themselves() {
    let mut tally = tally(&[(Standing::Compliant, 3), (Standing::Pending, 1)]);
    assert_eq!(tally.unseen_count(), 0, "pending is not unseen");
    tally.unseen();
    tally.unseen();
    assert_eq!(tally.unseen_count(), 2);
}

#[test]
fn a_rollout_that_is_not_done_yet_stays_one_while_its_baseline_is_judged_again() {
    let under_way = tally(&[(Standing::Compliant, 3), (Standing::Pending, 2)]);
    let before = first(&facts(), &under_way);
    let again = status(&facts(), &under_way, &before, now());
    assert_eq!(shown(&again, Ready), (false, "Progressing"));
}

#[test]
fn contested_and_deselected_namespaces_are_counted_and_named_whatever_else_they_are() {
    let mut tally = Tally::default();
    for (name, contested, deselected) in [
        ("a", true, false),
        ("b", true, true),
        ("c", false, true),
        ("d", false, true),
    ] {
        let member = MemberStanding {
            contested: contested.then(|| format!("helm keeps changing it in {name}")),
            deselected,
            ..member(Standing::Compliant, "", "")
        };
        tally.add(name, &member);
    }
    let status = first(&facts(), &tally);
    let counts = status.namespaces;
    assert_eq!((counts.compliant, counts.contested, counts.deselected), (4, 2, 3));
    assert_eq!((status.contested.total, status.deselected.total), (2, 3));
    assert_eq!(status.deselected.items[0].namespace, "b");
    assert_eq!(shown(&status, Contested), (true, "Contested"));
    assert_eq!(
        message(&status, Contested),
        "2 namespaces contested; a: helm keeps changing it in a"
    );
    assert_eq!(shown(&status, Ready), (true, "Enforced"));
}

#[test]
fn what_waits_for_somebody_is_told_with_one_that_does() {
    let mut waits = tally(&[(Standing::Compliant, 1)]);
    waits.add(
        "in-conflict",
        &member(Standing::Conflict, "Conflict", "another one holds"),
    );
    let conflict = first(&facts(), &waits);
    assert_eq!(
        message(&conflict, Stalled),
        "1 of 2 namespaces wait for somebody: in-conflict: another one holds"
    );
    assert_eq!(
        message(&conflict, Degraded),
        "1 namespace in conflict with another baseline; in-conflict: another one holds"
    );
    waits.add(
        "refused",
        &member(Standing::Blocked, "Forbidden", "it may not be written"),
    );
    let blocked = first(&facts(), &waits);
    assert_eq!(
        message(&blocked, Stalled),
        "2 of 3 namespaces wait for somebody: refused: it may not be written"
    );
    assert_eq!(
        message(&blocked, Degraded),
        "1 namespace blocked; refused: it may not be written"
    );
}

#[test]
fn what_something_else_undoes_is_told_with_one_namespace_where_it_does() {
    let mut undone = tally(&[(Standing::Compliant, 1)]);
    undone.add(
        "open",
        &member(Standing::Weakened, "Weakened", "a policy allows everything"),
    );
    let status = first(&facts(), &undone);
    assert_eq!(shown(&status, Degraded), (true, "Weakened"));
    assert_eq!(
        message(&status, Degraded),
        "1 namespace undone by something else; open: a policy allows everything"
    );
}

#[test]
fn what_something_else_undoes_is_told_beside_what_is_blocked_or_drifted() {
    let undone = |standing| MemberStanding {
        weakened: Some("a policy allows everything".to_owned()),
        ..member(standing, "Reason", "in the way")
    };
    let mut tally = tally(&[(Standing::Compliant, 20)]);
    tally.add("a", &undone(Standing::Drifted));
    let drifted = first(&facts(), &tally);
    assert_eq!((drifted.namespaces.drifted, drifted.namespaces.weakened), (1, 0));
    assert_eq!((tally.weakened(), drifted.weakened.total), (1, 1));
    assert_eq!(shown(&drifted, Degraded), (true, "Weakened"));
    tally.add("b", &undone(Standing::Blocked));
    let blocked = first(&facts(), &tally);
    assert_eq!(shown(&blocked, Degraded), (true, "Blocked"));
    assert_eq!(
        message(&blocked, Degraded),
        "1 namespace blocked; b: in the way; 2 namespaces undone by something else; a: a policy allows everything"
    );
}

#[test]
fn the_worst_few_are_told_first_and_those_alike_by_name() {
    let mut tally = Tally::default();
    for (place, told) in [(0, 1), (1, 3), (2, 1), (3, 7)] {
        let member = MemberStanding {
            told,
            ..member(Standing::Blocked, "Forbidden", "no")
        };
        tally.add(&format!("n{place}"), &member);
    }
    for place in 4..40 {
        tally.add(&format!("n{place:02}"), &member(Standing::Blocked, "Forbidden", "no"));
    }
    let blocked = first(&facts(), &tally).blocked;
    let names: Vec<_> = blocked.items.iter().map(|item| item.namespace.as_str()).collect();
    assert_eq!((blocked.total, names.len()), (40, 20));
    assert_eq!(names[..4], ["n3", "n1", "n0", "n04"]);
}
