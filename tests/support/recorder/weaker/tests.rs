use serde_json::json;

use super::*;

const INGRESS: &str = "security-baseline-default-deny-ingress";
const QUOTA: &str = "security-baseline-compute";
const BINDING: &str = "security-baseline-developers";

/// States in the order of their writes, the first of resourceVersion 1.
fn states(objects: &[(&str, &str, Value)]) -> Vec<State> {
    let state = |(version, (kind, name, object)): (usize, &(&str, &str, Value))| State {
        kind: (*kind).to_owned(),
        namespace: "a".to_owned(),
        name: (*name).to_owned(),
        version: u64::try_from(version).unwrap() + 1,
        seen: std::time::Instant::now(),
        object: (!object.is_null()).then(|| object.clone()),
    };
    objects.iter().enumerate().map(state).collect()
}

fn spec() -> Value {
    json!({
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "warn": {"level": "restricted"}},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 50}}]},
        "access": {
            "roles": [{"name": "developer", "rules": [{"verbs": ["get"]}]}],
            "bindings": [{"name": "developers", "role": "developer", "subjects": [{"kind": "Group", "name": "of-{namespace}"}]}],
        },
    })
}

fn policy(rules: Value) -> Value {
    json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules}})
}

fn quota(pods: &str, scopes: Value) -> Value {
    json!({"spec": {"hard": {"pods": pods}, "scopes": scopes}})
}

fn binding(kind: &str, role: &str, group: &str) -> Value {
    json!({"roleRef": {"kind": kind, "name": role}, "subjects": [{"kind": "Group", "name": group}]})
}

fn namespace(enforce: &str, version: &str, warn: &str) -> Value {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": enforce,
        "pod-security.kubernetes.io/enforce-version": version,
        "pod-security.kubernetes.io/warn": warn,
        "pod-security.kubernetes.io/warn-version": "latest",
    });
    json!({"metadata": {"labels": labels}})
}

/// The resourceVersions at which something was weaker than [`spec`] declares.
fn found(objects: &[(&str, &str, Value)], tamperings: &[Tampering]) -> Vec<u64> {
    found_of(&[spec()], objects, tamperings)
}

fn found_of(specs: &[Value], objects: &[(&str, &str, Value)], tamperings: &[Tampering]) -> Vec<u64> {
    let found = weaker(&states(objects), &Declared::least(specs), tamperings);
    let version = |text: &String| text.split("resourceVersion ").nth(1)?.split(':').next()?.parse().ok();
    found.iter().map(|text| version(text).unwrap()).collect()
}

#[test]
fn a_deny_policy_counts_from_when_it_first_denied() {
    let of = |object| ("NetworkPolicy", INGRESS, object);
    let named = json!([{"from": [{"podSelector": {}}]}, {"ports": [{"port": 53}]}]);
    assert_eq!(
        found(&[of(policy(json!([{}]))), of(Value::Null), of(policy(named))], &[]),
        [0; 0]
    );
    let good = policy(json!([]));
    let mut narrow = good.clone();
    narrow["spec"]["podSelector"] = json!({"matchLabels": {"app": "web"}});
    let mut other = good.clone();
    other["spec"]["policyTypes"] = json!(["Egress"]);
    let everybody = json!([{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]);
    let all_namespaces = json!([{"from": [{"namespaceSelector": {}}]}]);
    for bad in [
        policy(json!([{}])),
        policy(everybody),
        policy(all_namespaces),
        policy(json!([{"from": []}])),
        narrow,
        other,
        Value::Null,
    ] {
        assert_eq!(
            found(&[of(good.clone()), of(bad.clone()), of(good.clone())], &[]),
            [2],
            "{bad}"
        );
    }
}

#[test]
fn what_a_test_did_is_excused_until_it_is_repaired_and_nothing_else_is() {
    let (good, open) = (policy(json!([])), policy(json!([{}])));
    let of = |object: &Value| ("NetworkPolicy", INGRESS, object.clone());
    let history = [of(&good), of(&open), of(&Value::Null), of(&good), of(&open)];
    let tampering = |name: &str| Tampering {
        kind: "NetworkPolicy",
        namespace: "a".to_owned(),
        name: name.to_owned(),
        versions: 2..=2,
    };
    assert_eq!(found(&history, &[tampering(INGRESS)]), [5]);
    assert_eq!(found(&history, &[tampering("another")]), [2, 3, 5]);
}

#[test]
fn a_lower_level_and_another_version_are_weaker_and_a_higher_level_is_not() {
    let of = |object| ("Namespace", "a", object);
    let good = namespace("baseline", "v1.36", "restricted");
    let history = [
        of(namespace("", "", "")),
        of(good.clone()),
        of(namespace("restricted", "v1.36", "restricted")),
        of(namespace("privileged", "v1.36", "restricted")),
        of(namespace("baseline", "v1.0", "restricted")),
        of(namespace("baseline", "v1.36", "baseline")),
        of(json!({"metadata": {}})),
        of(good),
    ];
    assert_eq!(found(&history, &[]), [4, 5, 6, 7]);
}

#[test]
fn a_quota_may_only_be_gone_to_come_back_with_other_scopes() {
    let of = |object| ("ResourceQuota", QUOTA, object);
    let history = [
        of(quota("50", Value::Null)),
        of(Value::Null),
        of(quota("50", json!(["NotTerminating"]))),
        of(quota("5000", json!(["NotTerminating"]))),
        of(Value::Null),
        of(quota("50", json!(["NotTerminating"]))),
        of(Value::Null),
    ];
    assert_eq!(found(&history, &[]), [4, 5, 7]);
}

#[test]
fn a_grant_is_never_another_one_than_declared_and_an_old_one_never_comes_back() {
    let of = |object| ("RoleBinding", BINDING, object);
    let (old, new) = (
        binding("Role", "security-baseline-developer", "of-a"),
        binding("ClusterRole", "view", "of-a"),
    );
    let history = [
        of(binding("ClusterRole", "admin", "of-a")),
        of(old.clone()),
        of(Value::Null),
        of(new.clone()),
        of(binding("ClusterRole", "view", "of-b")),
        of(new.clone()),
        of(old.clone()),
        ("RoleBinding", "security-baseline-trial-1", new),
        ("RoleBinding", "somebody-elses", binding("ClusterRole", "admin", "x")),
        (
            "Role",
            "security-baseline-developer",
            json!({"rules": [{"verbs": ["get"]}]}),
        ),
        (
            "Role",
            "security-baseline-developer",
            json!({"rules": [{"verbs": ["*"]}]}),
        ),
    ];
    let mut later = spec();
    later["access"]["bindings"][0] =
        json!({"name": "developers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "of-{namespace}"}]});
    assert_eq!(found_of(&[spec(), later], &history, &[]), [1, 5, 7, 8, 11]);
}

#[test]
fn a_namespace_that_is_deleted_takes_everything_along_and_another_one_of_its_name_begins_anew() {
    let good = namespace("baseline", "v1.36", "restricted");
    let mut ending = good.clone();
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let history = [
        ("Namespace", "a", good),
        ("NetworkPolicy", INGRESS, policy(json!([]))),
        ("Namespace", "a", ending),
        ("NetworkPolicy", INGRESS, Value::Null),
        ("Namespace", "a", Value::Null),
        ("Namespace", "a", json!({"metadata": {}})),
        ("NetworkPolicy", INGRESS, policy(json!([{}]))),
    ];
    assert_eq!(found(&history, &[]), [0; 0]);
}

#[test]
fn of_specs_that_take_the_place_of_one_another_the_least_counts() {
    let mut later = spec();
    later["networkIsolation"]["defaultDeny"] = json!([]);
    later["podSecurity"] = json!({"enforce": {"level": "privileged", "version": "v1.35"}});
    later["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(60);
    let history = [
        ("NetworkPolicy", INGRESS, policy(json!([]))),
        ("NetworkPolicy", INGRESS, Value::Null),
        ("Namespace", "a", namespace("baseline", "v1.36", "restricted")),
        ("Namespace", "a", namespace("privileged", "v1.35", "")),
        ("Namespace", "a", namespace("privileged", "v1.34", "")),
        ("ResourceQuota", QUOTA, quota("50", Value::Null)),
        ("ResourceQuota", QUOTA, quota("60", Value::Null)),
        ("ResourceQuota", QUOTA, quota("70", Value::Null)),
    ];
    assert_eq!(found_of(&[spec(), later], &history, &[]), [5, 8]);
}
