//! Each section's rule, by example: what applies, who supplied it, and who asked for less.

use super::*;

/// Merges baselines a, b, c … of these sections, the oldest first.
pub(super) fn merged(all: &[Value]) -> Merged {
    let names = ["a", "b", "c", "d"].iter().zip(1..);
    let all: Vec<_> = names
        .zip(all)
        .map(|((name, age), s)| baseline(name, age, s.clone()))
        .collect();
    merge(REGISTRY, &all).enforced
}

/// The values of a section, as `field=value by (less…)`.
pub(super) fn values(merged: &Merged, section: &str) -> Vec<String> {
    let one = |s: &Supplied| format!("{}={} {} {:?}", s.field, s.value, s.by, s.less);
    merged.values[section].iter().map(one).collect()
}

pub(super) fn conflicts(merged: &Merged) -> Vec<(String, usize, usize)> {
    let told = |c: &Conflict| (c.object.clone(), c.holds, c.yields);
    merged.conflicts.iter().map(told).collect()
}

#[test]
fn pod_security_is_the_strictest_level_and_the_newest_version_each_for_itself() {
    let standard =
        |level: &str, version: Option<&str>| json!({"podSecurity": {"enforce": {"level": level, "version": version}}});
    let found = merged(&[
        standard("restricted", Some("v1.9")),
        standard("baseline", Some("v1.36")),
        standard("privileged", Some("v1.10")),
    ]);
    assert_eq!(
        values(&found, "podSecurity"),
        [
            r#"enforce=restricted 0 [(1, "baseline"), (2, "privileged")]"#,
            r#"enforce-version=v1.36 1 [(0, "v1.9"), (2, "v1.10")]"#,
        ]
    );
    let latest = merged(&[standard("baseline", Some("v1.36")), standard("baseline", None)]);
    assert_eq!(
        values(&latest, "podSecurity"),
        ["enforce=baseline 0 []", r#"enforce-version=latest 1 [(0, "v1.36")]"#]
    );
}

#[test]
fn of_each_resource_the_smallest_amount_holds_whatever_its_spelling() {
    let quota = |hard: Value| json!({"resourceQuotas": {"items": [{"name": "q", "hard": hard}]}});
    let found = merged(&[
        quota(json!({"requests.cpu": "2000m", "pods": 9})),
        quota(json!({"requests.cpu": 2, "pods": 10})),
        quota(json!({"requests.memory": "1Gi", "pods": "0.009k"})),
    ]);
    assert_eq!(
        values(&found, "resourceQuotas"),
        [
            r#"q/pods=9 0 [(1, "10")]"#,
            "q/requests.cpu=2000m 0 []",
            "q/requests.memory=1Gi 2 []"
        ]
    );
    assert_eq!(conflicts(&found), []);
}

#[test]
fn quotas_of_one_name_with_other_scopes_are_a_conflict_and_those_that_agree_merge() {
    let quota = |pods: u32, scopes: Value| json!({"resourceQuotas": {"items": [{"name": "q", "hard": {"pods": pods}, "scopes": scopes}]}});
    let found = merged(&[
        quota(5, json!(["NotBestEffort", "Terminating"])),
        quota(1, json!(["BestEffort"])),
        quota(3, json!(["Terminating", "NotBestEffort"])),
    ]);
    assert_eq!(conflicts(&found), [("ResourceQuota/q".to_owned(), 0, 1)]);
    assert_eq!(values(&found, "resourceQuotas"), [r#"q/pods=3 2 [(0, "5")]"#]);
}

pub(super) fn limits(limit: Value) -> Value {
    let mut limit = limit;
    limit["type"] = json!("Container");
    json!({"limitRanges": {"items": [{"name": "l", "limits": [limit]}]}})
}

/// The only limit, as JSON.
pub(super) fn limit(found: &Merged) -> Value {
    serde_json::to_value(&found.spec.limit_ranges.as_ref().unwrap().items[0].limits[0]).unwrap()
}

#[test]
fn of_limit_ranges_the_tighter_bound_holds() {
    let found = merged(&[
        limits(
            json!({"max": {"cpu": 4}, "min": {"cpu": "100m"}, "default": {"cpu": 2}, "maxLimitRequestRatio": {"cpu": 8}}),
        ),
        limits(
            json!({"max": {"cpu": 3}, "min": {"cpu": "200m"}, "default": {"cpu": 1}, "maxLimitRequestRatio": {"cpu": 4}}),
        ),
    ]);
    assert_eq!(
        limit(&found),
        json!({"type": "Container", "max": {"cpu": "3"}, "min": {"cpu": "200m"}, "default": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "4"}})
    );
    assert!(values(&found, "limitRanges").contains(&r#"l/Container/min/cpu=200m 1 [(0, "100m")]"#.to_owned()));
}

#[test]
fn a_minimum_above_anothers_maximum_is_left_out_and_told() {
    let found = merged(&[
        limits(json!({"min": {"cpu": 2}})),
        limits(json!({"max": {"cpu": 1}})),
        limits(json!({"min": {"cpu": "500m"}})),
    ]);
    assert_eq!(
        limit(&found),
        json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "500m"}})
    );
    assert_eq!(conflicts(&found), [("LimitRange/l".to_owned(), 1, 0)]);
    assert!(
        found.conflicts[0]
            .message
            .contains("the minimum 2 of cpu is above the maximum 1")
    );
}

#[test]
fn defaults_are_moved_into_the_bounds_and_a_request_is_never_above_its_limit() {
    let found = merged(&[
        limits(json!({"default": {"cpu": 4}, "defaultRequest": {"memory": "2Gi"}})),
        limits(json!({"max": {"cpu": 1}, "default": {"memory": "1Gi"}})),
        limits(json!({"defaultRequest": {"cpu": "10m"}, "min": {"cpu": "50m"}})),
    ]);
    assert_eq!(
        limit(&found),
        json!({
            "type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "50m"},
            "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "50m", "memory": "1Gi"},
        })
    );
    // And they are told as they hold.
    let told = values(&found, "limitRanges");
    for value in [
        r#"default/cpu=1 1 [(0, "4")]"#,
        r#"defaultRequest/memory=1Gi 1 [(0, "2Gi")]"#,
        "defaultRequest/cpu=50m 2 []",
    ] {
        assert!(told.contains(&format!("l/Container/{value}")), "{value} in {told:?}");
    }
}

#[test]
fn what_is_not_shared_out_beyond_what_there_is_keeps_one_default() {
    let gpu = "example.com/gpu";
    for other in [json!({"default": {gpu: 4}}), json!({"max": {gpu: 4}})] {
        let found = merged(&[limits(json!({"defaultRequest": {gpu: 2}})), limits(other)]);
        assert_eq!(
            (&limit(&found)["default"][gpu], &limit(&found)["defaultRequest"][gpu]),
            (&json!("2"), &json!("2"))
        );
    }
}

#[test]
fn a_ratio_that_the_bounds_make_unreachable_is_left_out() {
    let found = merged(&[
        limits(json!({"maxLimitRequestRatio": {"cpu": 10}, "max": {"cpu": 10}})),
        limits(json!({"min": {"cpu": 2}})),
    ]);
    assert!(limit(&found).get("maxLimitRequestRatio").is_none());
    assert!(!values(&found, "limitRanges").iter().any(|told| told.contains("Ratio")));
}

/// The rules of a deny policy.
fn rules(found: &Merged, direction: &str) -> Vec<Value> {
    let rendered = REGISTRY[1].render(&found.spec, &namespace(), &cluster());
    let name = format!("security-baseline-default-deny-{direction}");
    let policy = rendered.children.iter().find(|c| c.id.name == name);
    policy.unwrap().fields["spec"][direction]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

#[test]
fn denied_directions_add_up_and_who_does_not_deny_one_says_nothing_of_it() {
    let found = merged(&[
        json!({"networkIsolation": {"defaultDeny": ["Ingress"], "allowSameNamespace": true}}),
        json!({"networkIsolation": {"defaultDeny": ["Egress"], "allowDNS": false, "allow": [{"name": "https", "egress": [{"ports": [{"port": 443}]}]}]}}),
    ]);
    assert_eq!(
        values(&found, "networkIsolation"),
        [
            r#"defaultDeny=Ingress 0 [(1, "not denied")]"#,
            r#"defaultDeny=Egress 1 [(0, "not denied")]"#,
            "dns=denied 1 []",
            "allowSameNamespace=Ingress 0 []",
            "allow=https 1 []",
        ]
    );
    assert_eq!(rules(&found, "ingress"), [json!({"from": [{"podSelector": {}}]})]);
    assert_eq!(
        rules(&found, "egress"),
        [json!({"ports": [{"port": 443, "protocol": "TCP"}]})]
    );
}

#[test]
fn dns_is_allowed_where_it_is_found_and_where_any_baseline_states_it() {
    let egress = |dns: Value| {
        let mut section = json!({"defaultDeny": ["Egress"]});
        section
            .as_object_mut()
            .unwrap()
            .extend(dns.as_object().unwrap().clone());
        json!({ "networkIsolation": section })
    };
    let stated = |cidr: &str| egress(json!({"dns": {"peers": [{"ipBlock": {"cidr": cidr}}], "ports": [{"port": 53}]}}));
    let off = egress(json!({"allowDNS": false}));
    assert_eq!(rules(&merged(&[off.clone(), off.clone()]), "egress").len(), 0);
    assert_eq!(rules(&merged(&[off.clone(), egress(json!({}))]), "egress").len(), 1);
    let all = merged(&[
        stated("192.0.2.1/32"),
        stated("192.0.2.2/32"),
        stated("192.0.2.1/32"),
        off,
    ]);
    assert_eq!(rules(&all, "egress").len(), 2);
}

#[test]
fn rules_of_one_name_that_differ_are_a_conflict_and_the_younger_one_is_left_out() {
    let allow = |port: u16| json!({"networkIsolation": {"defaultDeny": ["Ingress"], "allow": [{"name": "web", "ingress": [{"ports": [{"port": port}]}]}]}});
    let found = merged(&[allow(80), allow(8080), allow(80)]);
    assert_eq!(conflicts(&found), [("allow/web".to_owned(), 0, 1)]);
    assert_eq!(
        rules(&found, "ingress"),
        [json!({"ports": [{"port": 80, "protocol": "TCP"}]})]
    );
}

pub(super) fn access(roles: &[(&str, &str)], bindings: &[(&str, Value, &str)]) -> Value {
    let role = |(name, verb): &(&str, &str)| json!({"name": name, "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [verb]}]});
    let binding = |(name, to, user): &(&str, Value, &str)| {
        let mut binding = json!({"name": name, "subjects": [{"kind": "User", "name": user}]});
        binding.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
        binding
    };
    let roles: Vec<_> = roles.iter().map(role).collect();
    let bindings: Vec<_> = bindings.iter().map(binding).collect();
    json!({"access": {"roles": roles, "bindings": bindings}})
}

fn subjects(found: &Merged, binding: &str) -> Vec<String> {
    let bindings = &found.spec.access.as_ref().unwrap().bindings;
    let of = bindings.iter().find(|b| b.name == binding);
    of.into_iter()
        .flat_map(|b| &b.subjects)
        .map(|s| s.name.clone())
        .collect()
}

#[test]
fn roles_bindings_and_their_subjects_add_up() {
    let dev = || json!({"role": "dev"});
    let found = merged(&[
        access(&[("dev", "get")], &[("devs", dev(), "jane")]),
        access(
            &[("dev", "get"), ("ops", "list")],
            &[("devs", dev(), "joe"), ("others", dev(), "ann")],
        ),
        access(&[("dev", "get")], &[("devs", dev(), "jane")]),
    ]);
    assert_eq!(conflicts(&found), []);
    assert_eq!(found.spec.access.as_ref().unwrap().roles.len(), 2);
    assert_eq!(subjects(&found, "devs"), ["jane", "joe"]);
    assert_eq!(subjects(&found, "others"), ["ann"]);
}

#[test]
fn bindings_of_one_name_to_other_roles_are_a_conflict() {
    let to = |name: &str| json!({"clusterRole": name});
    let found = merged(&[
        access(&[], &[("b", to("view"), "jane")]),
        access(&[], &[("b", to("edit"), "joe")]),
        access(&[], &[("b", to("view"), "ann")]),
    ]);
    assert_eq!(conflicts(&found), [("RoleBinding/b".to_owned(), 0, 1)]);
    assert_eq!(subjects(&found, "b"), ["jane", "ann"]);
}

#[test]
fn who_loses_its_role_binds_nobody_to_what_another_baseline_calls_by_that_name() {
    let dev = || json!({"role": "dev"});
    let found = merged(&[
        access(&[("dev", "update")], &[]),
        access(&[("dev", "get")], &[("readers", dev(), "guest")]),
        access(&[("dev", "update")], &[("readers", dev(), "jane")]),
    ]);
    assert_eq!(
        conflicts(&found),
        [("Role/dev".to_owned(), 0, 1), ("RoleBinding/readers".to_owned(), 0, 1)]
    );
    assert_eq!(subjects(&found, "readers"), ["jane"]);
}
