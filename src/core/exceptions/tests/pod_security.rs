//! Pod Security, which is waived by a level and not by objects.

use super::*;

fn to_level(name: &str, expires: i64, level: &str) -> Arc<Exception> {
    exception(name, expires, json!([{"control": "podSecurity", "level": level}]))
}

fn with_pod_security() -> Value {
    full_spec_but(json!({"podSecurity": {
        "enforce": {"level": "restricted", "version": "v1.36"},
        "audit": {"level": "restricted", "version": "v1.35"},
        "warn": {"level": "restricted"},
    }}))
}

#[test]
fn enforce_falls_to_the_stated_level_and_audit_warn_and_versions_stay() {
    let (left, told) = applied(&[to_level("low", 9, "privileged")], with_pod_security());
    let mut expected = written(with_pod_security());
    expected["podSecurity"]["enforce"]["level"] = json!("privileged");
    assert_eq!(left, expected);
    assert_eq!(told, ["podSecurity by low until 9"]);
}

#[test]
fn a_level_that_is_not_lower_than_what_holds_waives_nothing() {
    for (asked, stated) in [
        ("baseline", "restricted"),
        ("baseline", "baseline"),
        ("privileged", "privileged"),
    ] {
        let asked = full_spec_but(json!({"podSecurity": {"enforce": {"level": asked}}}));
        let (left, told) = applied(&[to_level("level", 9, stated)], asked.clone());
        assert_eq!((left, told), (written(asked), vec![]));
    }
    // Audit and warn are not what is waived.
    let quiet = full_spec_but(json!({"podSecurity": {"enforce": null}}));
    let (left, told) = applied(&[to_level("level", 9, "privileged")], quiet.clone());
    assert_eq!((left, told), (written(quiet), vec![]));
}

#[test]
fn of_two_levels_the_stricter_holds() {
    let two = [to_level("low", 9, "privileged"), to_level("middle", 5, "baseline")];
    let (left, told) = applied(&two, with_pod_security());
    assert_eq!(left["podSecurity"]["enforce"]["level"], "baseline");
    assert_eq!(told, ["podSecurity by low+middle until 9"]);
    let strict = [to_level("low", 9, "privileged"), to_level("high", 5, "restricted")];
    assert_eq!(
        applied(&strict, with_pod_security()),
        (written(with_pod_security()), vec![])
    );
}
