use std::collections::BTreeSet;

use super::*;
use crate::controls::REGISTRY;
use crate::core::fight::Contest;
use crate::core::plan::FindingKind;

#[test]
fn every_control_has_an_area_and_every_number_one_reason() {
    let sections: BTreeSet<_> = REGISTRY.iter().map(|control| control.section()).collect();
    assert_eq!(sections, AREAS.iter().map(|(section, _)| *section).collect());
    let numbers: BTreeSet<_> = REASONS.iter().map(|reason| reason.number).collect();
    let reasons: BTreeSet<_> = REASONS.iter().map(|reason| reason.reason).collect();
    assert_eq!((numbers.len(), reasons.len()), (REASONS.len(), REASONS.len()));
    assert!(REASONS.windows(2).all(|pair| pair[0].number < pair[1].number));
}

#[test]
fn every_kind_of_finding_and_contest_has_a_code() {
    let kinds = [
        FindingKind::Missing,
        FindingKind::Outdated,
        FindingKind::NameTaken,
        FindingKind::Audited,
        FindingKind::Weakened,
        FindingKind::Surplus,
        FindingKind::Waived,
        FindingKind::Deleted,
        FindingKind::Changed,
    ];
    // A kind that is added is missing here too.
    const { assert!(FindingKind::Changed as usize == 8) };
    for kind in kinds {
        assert!(code(Some("networkIsolation"), kind.reason()).is_some(), "{kind:?}");
    }
    for contest in [Contest::REVERTED, Contest::REWRITTEN] {
        assert!(code(None, contest).is_some(), "{contest}");
    }
    for known in PREFLIGHT.iter().chain(&FAILURES) {
        assert!(reason(known).is_some_and(|reason| reason.number / 100 == 1), "{known}");
    }
}

#[test]
fn a_code_keeps_its_meaning_for_ever() {
    let pinned: Vec<String> = REASONS
        .iter()
        .map(|reason| format!("{:03} {}", reason.number, reason.reason))
        .collect();
    let told = "001 Missing, 002 Outdated, 003 NameTaken, 004 Changed, 005 Deleted, 006 Surplus, 007 Audited, \
        008 Weakened, 009 WeakenedInPart, 010 Waived, 101 GrantRefused, 102 RoleHeld, 103 SystemSubject, \
        104 DNSNotFound, 105 APIServerNotFound, 106 RoleNotFound, 107 ViolatingPods, 108 QuotaBelowUsage, \
        109 PreflightForbidden, 110 HeldByFinalizer, 111 Forbidden, 112 Refused, 113 WebhookFailed, \
        114 APIServerBusy, 115 APIServerUnavailable, 120 InvalidSpec, 121 AwaitingConfirmation, \
        122 RolloutStopped, 123 CleanupBlocked, 201 ForeignFinalizer, 202 Stopped, 203 Suspended, \
        204 SpecWarning, 205 ExpiringSoon, 206 MatchesNothing, 301 Conflict, 302 Reverted, 303 Rewritten, \
        304 Deselected, 305 Orphaned";
    assert_eq!(pinned.join(", "), told);
    assert_eq!(code(Some("networkIsolation"), "NameTaken").unwrap(), "SB-NET-003");
    assert_eq!(code(None, "Deselected").unwrap(), "SB-GEN-304");
    assert_eq!(code(Some("limitRanges"), "ViolatingPods"), None);
}
