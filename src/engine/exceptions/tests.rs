use serde_json::json;

use super::*;

const LIMIT: SignedDuration = SignedDuration::from_hours(720);

fn object(version: u64, expires: &str) -> Value {
    json!({
        "metadata": {
            "name": "e", "uid": "u", "generation": 2, "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"namespaces": ["a"], "waive": [{"control": "access"}], "reason": "r", "approver": "a", "expiresAt": expires},
        "status": {"observedGeneration": 1, "matched": 7},
    })
}

#[test]
fn an_exception_is_accepted_within_the_configured_limit_and_refused_beyond_it() {
    let entry = judge(None, &object(5, "2026-01-31T00:00:00Z"), LIMIT);
    assert_eq!((entry.judged, entry.problems.is_empty()), (2, true));
    assert_eq!(entry.accepted.unwrap().name, "e");
    for (late, limit) in [
        ("2026-01-31T00:00:01Z", LIMIT),
        ("2026-01-02T00:00:00Z", SignedDuration::from_hours(23)),
    ] {
        let entry = judge(None, &object(5, late), limit);
        assert!(entry.accepted.is_none());
        assert_eq!(entry.problems.into_vec()[0].path, "spec.expiresAt");
    }
}

#[test]
fn what_slipped_past_the_schema_is_refused_by_its_path_and_panics_nobody() {
    let mut typo = object(5, "2026-01-31T00:00:00Z");
    typo["spec"]["waive"][0]["object"] = json!("x");
    let entry = judge(None, &typo, LIMIT);
    assert!(entry.accepted.is_none());
    assert_eq!(entry.problems.into_vec()[0].path, "spec.waive[0].object");
    let mut timeless = object(5, "2026-01-31T00:00:00Z");
    timeless["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("creationTimestamp");
    assert!(judge(None, &timeless, LIMIT).accepted.is_none());
    assert!(
        judge(None, &json!({"metadata": {"name": "e"}}), LIMIT)
            .accepted
            .is_none()
    );
}

#[test]
fn a_status_that_was_written_is_not_forgotten_for_an_older_event() {
    let mut known = judge(None, &object(5, "2026-01-31T00:00:00Z"), LIMIT);
    known.resource_version = "9".to_owned();
    known.status.matched = 3;
    let older = judge(Some(&known), &object(8, "2026-01-31T00:00:00Z"), LIMIT);
    assert_eq!((older.status.matched, older.resource_version.as_str()), (3, "9"));
    let newer = judge(Some(&known), &object(10, "2026-01-31T00:00:00Z"), LIMIT);
    assert_eq!((newer.status.matched, newer.resource_version.as_str()), (7, "10"));
}
