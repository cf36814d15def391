//! Each section's rule at its edges: what is equal, and who is meant where several could be.

use super::sections::{access, conflicts, limit, limits, merged, values};
use super::*;

#[test]
fn a_minimum_that_equals_the_maximum_is_no_conflict_and_amounts_keep_the_oldest_spelling() {
    let found = merged(&[
        limits(json!({"min": {"cpu": "1000m"}, "default": {"cpu": "1000m"}})),
        limits(json!({"min": {"cpu": 1}, "max": {"cpu": 1}})),
    ]);
    assert_eq!(conflicts(&found), []);
    assert_eq!(
        limit(&found),
        json!({"type": "Container", "min": {"cpu": "1000m"}, "max": {"cpu": "1"}, "default": {"cpu": "1000m"}})
    );
    // Nor is a default that stands at its minimum moved to it.
    let found = merged(&[
        limits(json!({"default": {"memory": "1024Mi"}})),
        limits(json!({"min": {"memory": "1Gi"}})),
    ]);
    assert_eq!(limit(&found)["default"], json!({"memory": "1024Mi"}));
}

#[test]
fn a_quota_that_counts_in_one_scope_more_is_another_one() {
    let quota =
        |scopes: Value| json!({"resourceQuotas": {"items": [{"name": "q", "hard": {"pods": 1}, "scopes": scopes}]}});
    let (few, many) = (json!(["NotBestEffort"]), json!(["NotBestEffort", "Terminating"]));
    for (older, younger) in [(&few, &many), (&many, &few)] {
        let found = merged(&[quota(older.clone()), quota(younger.clone())]);
        assert_eq!(conflicts(&found), [("ResourceQuota/q".to_owned(), 0, 1)]);
    }
}

#[test]
fn a_quota_for_other_classes_is_another_one_although_neither_has_scopes() {
    let quota = |class: &str| {
        json!({"resourceQuotas": {"items": [{"name": "q", "hard": {"pods": 1}, "scopeSelector": {
            "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": [class]}]
        }}]}})
    };
    let found = merged(&[quota("high"), quota("low")]);
    assert_eq!(conflicts(&found), [("ResourceQuota/q".to_owned(), 0, 1)]);
}

#[test]
fn it_is_told_how_dns_is_allowed_and_by_whom() {
    let of = |sections: &[Value]| {
        let section = |dns: &Value| {
            let mut section = json!({"defaultDeny": ["Egress"]});
            section
                .as_object_mut()
                .unwrap()
                .extend(dns.as_object().unwrap().clone());
            json!({ "networkIsolation": section })
        };
        let found = merged(&sections.iter().map(section).collect::<Vec<_>>());
        let told = values(&found, "networkIsolation").into_iter();
        told.filter(|v| v.starts_with("dns=")).collect::<Vec<_>>()
    };
    let (off, found) = (json!({"allowDNS": false}), json!({}));
    let stated = json!({"dns": {"peers": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 53}]}});
    assert_eq!(of(&[off.clone(), off.clone()]), ["dns=denied 0 []"]);
    assert_eq!(of(&[off.clone(), found.clone()]), ["dns=detected 1 []"]);
    assert_eq!(of(&[off, stated.clone()]), ["dns=stated 1 []"]);
    assert_eq!(of(&[found, stated]), ["dns=stated 1 []", "dns=detected 0 []"]);
}

#[test]
fn who_loses_its_role_is_told_who_has_it() {
    let dev = || json!({"role": "dev"});
    let found = merged(&[
        access(&[("other", "get")], &[]),
        access(&[("dev", "update")], &[]),
        access(&[("dev", "get")], &[("readers", dev(), "guest")]),
    ]);
    assert_eq!(
        conflicts(&found),
        [("Role/dev".to_owned(), 1, 2), ("RoleBinding/readers".to_owned(), 1, 2)]
    );
}
