//! What waits for a person, and what is told of it.

use super::*;

fn message(status: &SecurityBaselineStatus, type_: ConditionType) -> &str {
    let condition = status.conditions.iter().find(|c| c.type_ == type_.as_str()).unwrap();
    &condition.message
}

#[test]
fn a_change_that_waits_is_stalled_and_tells_the_command() {
    let facts = BaselineFacts {
        waits: Some("kubectl annotate …".to_owned()),
        ..facts()
    };
    let status = first(&facts, &tally(&[(Standing::Compliant, 5)]));
    assert_eq!(shown(&status, Stalled), (true, "AwaitingConfirmation"));
    assert_eq!(shown(&status, Ready), (false, "AwaitingConfirmation"));
    assert_eq!(message(&status, Stalled), "kubectl annotate …");
}

#[test]
fn a_stopped_rollout_tells_a_refusal_and_the_command_while_anything_waits_for_it() {
    let facts = BaselineFacts {
        name: "tenants".to_owned(),
        rollout_stopped: Some((7, 20)),
        ..facts()
    };
    let status = first(&facts, &tally(&[(Standing::Blocked, 1), (Standing::Pending, 9)]));
    assert_eq!(shown(&status, Stalled), (true, "RolloutStopped"));
    for told in [
        "7 of 20",
        "blocked-00000: a message",
        "kubectl annotate --overwrite securitybaseline tenants securitybaseline.dev/resume-rollout=",
    ] {
        assert!(message(&status, Stalled).contains(told), "{told}");
    }
    // Once all of them were tried, nothing waits for anybody to go on.
    let over = first(&facts, &tally(&[(Standing::Compliant, 10)]));
    assert_eq!(shown(&over, Ready), (true, "Enforced"));
}

#[test]
fn a_cleanup_is_progress_and_one_that_is_stuck_says_where_and_why() {
    let left = Remaining {
        namespaces: 3,
        example: Some("team-a".to_owned()),
        stuck: None,
    };
    let mut facts = BaselineFacts {
        cleaning: Some(left),
        ..facts()
    };
    let status = first(&facts, &Tally::default());
    assert_eq!(shown(&status, Reconciling), (true, "Progressing"));
    assert!(message(&status, Ready).contains("3 namespaces, such as team-a"));
    facts.cleaning.as_mut().unwrap().stuck = Some("team-b: Role/x: a finalizer".to_owned());
    let status = first(&facts, &Tally::default());
    assert_eq!(shown(&status, Stalled), (true, "CleanupBlocked"));
    assert!(!shown(&status, Reconciling).0);
    for told in [
        "3 namespaces",
        "team-b: Role/x: a finalizer",
        "spec.deletionPolicy to Retain",
    ] {
        assert!(message(&status, Ready).contains(told), "{told}");
    }
}
