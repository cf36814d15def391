//! What makes an exception refused, in code.

use super::*;
use crate::api::v1alpha1::{BaselineException, FieldProblem};

const MONTH: SignedDuration = SignedDuration::from_hours(720);

/// Something to build on, created at 0.
fn good() -> Value {
    json!({
        "namespaces": ["team-a", "team-b"],
        "waive": [
            {"control": "networkIsolation", "objects": ["NetworkPolicy/security-baseline-default-deny-egress", "NetworkPolicy/security-baseline-allow-web"]},
            {"control": "resourceQuotas", "objects": ["ResourceQuota/security-baseline-compute"]},
            {"control": "limitRanges"},
            {"control": "podSecurity", "level": "privileged"},
            {"control": "access", "objects": ["Role/security-baseline-developer", "RoleBinding/security-baseline-viewers"]},
        ],
        "reason": "a reason",
        "approver": "jane",
        "expiresAt": "1970-01-08T00:00:00Z",
    })
}

fn problems(spec: &Value) -> Vec<FieldProblem> {
    validate(&serde_json::from_value(spec.clone()).unwrap(), at(0), MONTH).into_vec()
}

fn paths(spec: &Value) -> Vec<String> {
    problems(spec).into_iter().map(|p| p.path).collect()
}

fn good_but(pointer: &str, value: Value) -> Value {
    let mut spec = good();
    *spec.pointer_mut(pointer).unwrap() = value;
    spec
}

#[test]
fn an_exception_that_uses_everything_is_accepted() {
    assert_eq!(problems(&good()), []);
}

/// The same files are sent to a real API server by the integration tests; here it is what stands behind it.
#[test]
fn every_bad_exception_is_refused_and_the_field_is_named() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/bad-exceptions");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let path = text.lines().next().and_then(|line| line.strip_prefix("# refused: "));
        let path = path.unwrap_or_else(|| panic!("{file:?} does not begin with its path"));
        let text = text.replace("in 168h", "1970-01-08T00:00:00Z");
        match serde_saphyr::from_str::<BaselineException>(&text) {
            Ok(exception) => {
                let problems = validate(&exception.spec, at(0), MONTH).into_vec();
                assert_eq!(problems.len(), 1, "{file:?} is bad in one way: {problems:?}");
                assert!(problems[0].path.starts_with(path), "{file:?}: {problems:?}");
            }
            Err(error) => {
                // The decoder tells the value, or the field that is missing.
                let error = error.without_snippet().to_string();
                let yaml: Value = serde_saphyr::from_str(&text).unwrap();
                let pointer = path.replace(['.', '['], "/").replace(']', "");
                let told = match yaml.pointer(&format!("/{pointer}")) {
                    Some(value) => value.as_str().unwrap(),
                    None => path.rsplit('.').next().unwrap(),
                };
                assert!(
                    error.contains(&format!("`{told}`")),
                    "{file:?}: {told} is not in: {error}"
                );
            }
        }
        files += 1;
    }
    assert!(files > 15, "{files} files");
}

#[test]
fn an_exception_expires_after_its_creation_and_within_the_limit() {
    let expires = |when: &str| good_but("/expiresAt", json!(when));
    for fine in [
        "1970-01-01T00:00:00.000000001Z",
        "1970-01-31T00:00:00Z",
        "1970-01-31T02:00:00+02:00",
    ] {
        assert_eq!(problems(&expires(fine)), [], "{fine}");
    }
    let limit = "this is more than 720h after the exception's creation (1970-01-01T00:00:00Z): write an earlier moment";
    let creation = "this is not after the exception's creation (1970-01-01T00:00:00Z): write a later moment";
    let unreadable = "write a moment with its time zone, such as 2026-10-01T00:00:00Z";
    for (bad, mend) in [
        ("1970-01-31T00:00:00.000000001Z", limit),
        ("1970-01-31T02:00:01+02:00", limit),
        ("9999-12-01T00:00:00Z", limit),
        ("1970-01-01T00:00:00Z", creation),
        ("1969-12-31T23:59:59Z", creation),
        ("-009999-01-02T01:59:59Z", creation),
        ("tomorrow", unreadable),
        ("1970-01-08", unreadable),
        ("1970-01-08T00:00:00", unreadable),
        ("", unreadable),
    ] {
        let found = problems(&expires(bad));
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert_eq!(found[0].path, "spec.expiresAt");
        assert!(found[0].message.starts_with(mend), "{bad}: {found:?}");
    }
}

#[test]
fn everything_is_bounded() {
    let many = |count: usize, prefix: &str| -> Value { (0..count).map(|i| json!(format!("{prefix}{i}"))).collect() };
    let item = "ResourceQuota/security-baseline-q";
    let text = |length: usize| json!("ü".repeat(length));
    for (pointer, fine, more) in [
        ("/namespaces", many(64, "n"), many(65, "n")),
        ("/waive/1/objects", many(64, item), many(65, item)),
        ("/reason", text(1024), text(1025)),
        ("/approver", text(253), text(254)),
    ] {
        assert_eq!(problems(&good_but(pointer, fine)), [], "{pointer}");
        let path = paths(&good_but(pointer, more));
        assert_eq!(path.len(), 1);
        let named = path[0].replace(['.', '['], "/").replace(']', "");
        assert_eq!(named, format!("spec{pointer}"));
    }
    let long = format!("{item}{}", "x".repeat(39));
    assert_eq!(
        paths(&good_but("/waive/1/objects/0", json!(long))),
        ["spec.waive[1].objects[0]"]
    );
}

#[test]
fn an_object_is_one_that_the_control_may_create() {
    let access = |object: &str| problems(&good_but("/waive/4/objects/0", json!(object)));
    let found = access("ClusterRole/security-baseline-developer");
    assert_eq!(found[0].path, "spec.waive[4].objects[0]");
    assert!(
        found[0].message.ends_with("its kinds are: Role, RoleBinding"),
        "{found:?}"
    );
    for bad in [
        "security-baseline-developer",
        "Role/developer",
        "Role/security-baseline-",
        "Role/security-baseline-De",
        "role/security-baseline-developer",
        "Role/security-baseline-developer/x",
        "",
    ] {
        assert_eq!(access(bad).len(), 1, "{bad}");
    }
    for policy in ["default-deny", "default-deny-both", "web", "allow", "allow-"] {
        let object = format!("NetworkPolicy/security-baseline-{policy}");
        assert_eq!(
            paths(&good_but("/waive/0/objects/1", json!(object))),
            ["spec.waive[0].objects[1]"],
            "{policy}"
        );
    }
}

#[test]
fn a_refused_exception_is_not_accepted_and_tells_why() {
    let accept = |spec: Value| {
        let spec = serde_json::from_value(spec).unwrap();
        Exception::accept("e".into(), "uid".into(), 3, at(0), spec, MONTH)
    };
    let accepted = accept(good()).unwrap();
    assert_eq!(accepted.expires, at(7 * 24 * 3600));
    assert_eq!((accepted.name.as_str(), accepted.generation), ("e", 3));
    for (pointer, bad) in [
        ("/reason", ""),
        ("/expiresAt", "never"),
        ("/expiresAt", "1970-03-01T00:00:00Z"),
    ] {
        let problems = accept(good_but(pointer, json!(bad))).unwrap_err().into_vec();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].path, format!("spec.{}", &pointer[1..]));
    }
}
