mod pod_security;
mod properties;
mod status;
mod validation;

use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::SecurityBaselineSpec;
use crate::controls::REGISTRY;
use crate::core::validate::validate as validate_baseline;
use crate::core::world::testing::{full_spec, full_spec_but};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An accepted exception for `team-a`, created at 0, that expires at this second.
fn exception(name: &str, expires: i64, waive: Value) -> Arc<Exception> {
    let spec = json!({
        "namespaces": ["team-a"],
        "waive": waive,
        "reason": "a test",
        "approver": "tester",
        "expiresAt": at(expires).to_string(),
    });
    let spec = serde_json::from_value(spec).unwrap();
    let month = SignedDuration::from_hours(720);
    let accepted = Exception::accept(name.into(), format!("uid-{name}"), 1, at(0), spec, month);
    Arc::new(accepted.unwrap_or_else(|problems| panic!("{problems:?}")))
}

fn spec(value: Value) -> SecurityBaselineSpec {
    serde_json::from_value(value).unwrap()
}

/// What is left of a spec in `team-a` at second 1, and what was taken: object (or control), exceptions, expiry.
fn applied(exceptions: &[Arc<Exception>], asked: Value) -> (Value, Vec<String>) {
    let (left, waived) = waivers(exceptions, "team-a", at(1)).apply(&spec(asked));
    assert_eq!(
        validate_baseline(REGISTRY, &left).into_vec(),
        [],
        "what is left is a spec that is accepted"
    );
    let told = waived.iter().map(|w| {
        let what = w.object.as_deref().unwrap_or(w.control.as_str());
        let what = what.replace("security-baseline-", "");
        format!("{what} by {} until {}", w.exceptions.join("+"), w.expires.as_second())
    });
    let told = told.collect();
    (serde_json::to_value(left).unwrap(), told)
}

fn objects(control: &str, names: &[&str]) -> Value {
    let names: Vec<String> = names
        .iter()
        .map(|n| n.replacen('/', "/security-baseline-", 1))
        .collect();
    json!([{"control": control, "objects": names}])
}

/// A spec as it is written out.
fn written(value: Value) -> Value {
    serde_json::to_value(spec(value)).unwrap()
}

#[test]
fn a_waived_direction_goes_as_a_whole_with_its_part_of_every_rule() {
    let network = json!({
        "defaultDeny": ["Ingress", "Egress"],
        "allowSameNamespace": true,
        "allowKubernetesAPI": true,
        "dns": {"peers": [{"podSelector": {}}], "ports": [{"port": 53}]},
        "allow": [
            {"name": "all-out", "egress": [{"ports": [{"port": 443}]}]},
            {"name": "all-both", "ingress": [{"ports": [{"port": 80}]}], "egress": [{"ports": [{"port": 443}]}]},
            {"name": "own-out", "podSelector": {"matchLabels": {"a": "b"}}, "egress": [{"ports": [{"port": 443}]}]},
            {"name": "own-both", "podSelector": {"matchLabels": {"a": "b"}}, "ingress": [{"ports": [{"port": 80}]}], "egress": [{"ports": [{"port": 443}]}]},
        ],
    });
    let asked = full_spec_but(json!({"networkIsolation": network}));
    let egress = exception(
        "debug",
        9,
        objects("networkIsolation", &["NetworkPolicy/default-deny-egress"]),
    );
    let (left, told) = applied(&[egress], asked.clone());
    let mut expected = written(asked);
    expected["networkIsolation"] = json!({
        "defaultDeny": ["Ingress"],
        "allowSameNamespace": true,
        "allow": [
            {"name": "all-both", "ingress": [{"ports": [{"port": 80}]}]},
            {"name": "own-both", "podSelector": {"matchLabels": {"a": "b"}}, "ingress": [{"ports": [{"port": 80}]}]},
        ],
    });
    assert_eq!(left, expected);
    // The policy of a rule that is left with neither direction is gone too, and told.
    assert_eq!(
        told,
        [
            "NetworkPolicy/allow-own-out by debug until 9",
            "NetworkPolicy/default-deny-egress by debug until 9"
        ]
    );
}

#[test]
fn a_waived_allow_policy_takes_its_rule_out_and_no_other() {
    let web = exception("web", 9, objects("networkIsolation", &["NetworkPolicy/allow-web"]));
    let (left, told) = applied(&[web], full_spec());
    let mut expected = written(full_spec());
    expected["networkIsolation"]["allow"].as_array_mut().unwrap().remove(1);
    assert_eq!(left, expected);
    assert_eq!(told, ["NetworkPolicy/allow-web by web until 9"]);
}

/// Such a rule is part of the deny policies. To take it out would change those, which nobody named.
#[test]
fn a_rule_for_all_pods_is_no_object_and_is_not_waived_by_its_name() {
    let rule = exception(
        "rule",
        9,
        objects("networkIsolation", &["NetworkPolicy/allow-from-ingress"]),
    );
    assert_eq!(applied(&[rule], full_spec()), (written(full_spec()), vec![]));
}

#[test]
fn a_waived_item_goes_and_its_section_goes_with_the_last_one() {
    let quota = |name: &str, items: &[&str]| exception(name, 9, objects("resourceQuotas", items));
    let (left, told) = applied(&[quota("one", &["ResourceQuota/compute"])], full_spec());
    let mut expected = written(full_spec());
    expected["resourceQuotas"]["items"].as_array_mut().unwrap().remove(0);
    assert_eq!(left, expected);
    assert_eq!(told, ["ResourceQuota/compute by one until 9"]);

    let both = [
        quota("one", &["ResourceQuota/compute"]),
        quota("other", &["ResourceQuota/best-effort"]),
    ];
    let (left, told) = applied(&both, full_spec());
    expected.as_object_mut().unwrap().remove("resourceQuotas");
    assert_eq!(left, expected);
    assert_eq!(
        told,
        [
            "ResourceQuota/best-effort by other until 9",
            "ResourceQuota/compute by one until 9"
        ]
    );

    let limits = exception("limits", 9, objects("limitRanges", &["LimitRange/defaults"]));
    let both = [
        "NetworkPolicy/default-deny-ingress",
        "NetworkPolicy/default-deny-egress",
    ];
    let network = exception("network", 9, objects("networkIsolation", &both));
    let grants = ["Role/developer", "RoleBinding/developers", "RoleBinding/viewers"];
    let access = exception("access", 9, objects("access", &grants));
    let (left, _) = applied(&[limits, network, access], full_spec());
    let gone = json!({"limitRanges": null, "networkIsolation": null, "access": null});
    assert_eq!(left, written(full_spec_but(gone)));
}

#[test]
fn a_waived_control_goes_whole_and_who_waives_a_part_of_it_is_told_too() {
    let whole = |control: &str| json!([{"control": control}]);
    for control in ["networkIsolation", "resourceQuotas", "limitRanges", "access"] {
        let (left, told) = applied(&[exception("all", 9, whole(control))], full_spec());
        assert_eq!(left, written(full_spec_but(json!({control: null}))));
        assert_eq!(told, [format!("{control} by all until 9")]);
    }
    let part = exception("part", 20, objects("limitRanges", &["LimitRange/defaults"]));
    let (_, told) = applied(&[exception("all", 9, whole("limitRanges")), part], full_spec());
    assert_eq!(
        told,
        ["limitRanges by all until 9", "LimitRange/defaults by part until 20"]
    );
}

/// A binding to a Role that is not there grants nothing, and the API server refuses to create it.
#[test]
fn a_waived_role_takes_the_bindings_to_it_along() {
    let role = exception("role", 9, objects("access", &["Role/developer"]));
    let binding = exception("binding", 20, objects("access", &["RoleBinding/developers"]));
    let (left, told) = applied(&[role, binding.clone()], full_spec());
    let mut expected = written(full_spec());
    let access = expected["access"].as_object_mut().unwrap();
    access.remove("roles");
    access["bindings"].as_array_mut().unwrap().remove(0);
    assert_eq!(left, expected);
    assert_eq!(
        told,
        [
            "Role/developer by role until 9",
            "RoleBinding/developers by binding+role until 20"
        ]
    );
    // A binding alone leaves its Role, and the other binding.
    let (left, _) = applied(&[binding], full_spec());
    let mut expected = written(full_spec());
    expected["access"]["bindings"].as_array_mut().unwrap().remove(0);
    assert_eq!(left, expected);
}

#[test]
fn an_exception_ends_at_the_very_instant_that_it_states() {
    let one = [exception("one", 9, json!([{"control": "limitRanges"}]))];
    let nearly = at(9) - SignedDuration::from_nanos(1);
    assert_eq!(waivers(&one, "team-a", nearly).apply(&spec(full_spec())).1.len(), 1);
    let over = waivers(&one, "team-a", at(9));
    assert!(over.is_empty());
    assert_eq!(over, Waivers::default());
}

#[test]
fn an_exception_holds_in_the_namespaces_that_it_names_and_nowhere_else() {
    let one = [exception("one", 9, json!([{"control": "limitRanges"}]))];
    assert!(!waivers(&one, "team-a", at(1)).is_empty());
    for other in ["team-b", "team", "team-a-b", "TEAM-A", ""] {
        assert_eq!(waivers(&one, other, at(1)), Waivers::default(), "{other}");
    }
}

#[test]
fn the_next_change_is_the_earliest_expiry_of_those_that_hold_here() {
    let quota = |name: &str, expires| exception(name, expires, json!([{"control": "resourceQuotas"}]));
    let mut elsewhere = (*quota("elsewhere", 2)).clone();
    elsewhere.spec.namespaces = vec!["team-b".into()];
    let all = [quota("c", 30), quota("a", 10), quota("b", 20), Arc::new(elsewhere)];
    for (now, next) in [(1, Some(10)), (9, Some(10)), (10, Some(20)), (20, Some(30)), (30, None)] {
        assert_eq!(waivers(&all, "team-a", at(now)).next, next.map(at), "at {now}");
    }
    // Until the last of them ends, the quotas stay away.
    let (_, told) = applied(&all, full_spec());
    assert_eq!(told, ["resourceQuotas by a+b+c until 30"]);
}

#[test]
fn what_is_not_asked_for_is_not_waived_and_not_told() {
    let none = json!({"namespaceSelector": {}});
    let names = [
        objects(
            "networkIsolation",
            &["NetworkPolicy/default-deny-egress", "NetworkPolicy/allow-no"],
        ),
        objects("resourceQuotas", &["ResourceQuota/no"]),
        objects("limitRanges", &["LimitRange/no"]),
        objects("access", &["Role/no", "RoleBinding/no"]),
        json!([{"control": "access"}]),
        json!([{"control": "podSecurity", "level": "privileged"}]),
    ];
    for waive in names {
        let one = [exception("one", 9, waive)];
        assert!(!waivers(&one, "team-a", at(1)).is_empty());
        assert_eq!(applied(&one, none.clone()), (written(none.clone()), vec![]));
    }
    // Nor is what another section asks for under the same name, nor a direction that is not denied.
    let ingress = full_spec_but(json!({"networkIsolation": {"defaultDeny": ["Ingress"], "allow": null}}));
    let egress = exception(
        "one",
        9,
        objects("networkIsolation", &["NetworkPolicy/default-deny-egress"]),
    );
    let twin = exception("twin", 9, objects("limitRanges", &["LimitRange/compute"]));
    assert_eq!(applied(&[egress, twin], ingress.clone()), (written(ingress), vec![]));
}

/// The evaluator is told names, and the controls give them: both must mean the same.
#[test]
fn every_control_may_be_waived_by_the_kinds_that_it_creates() {
    for control in REGISTRY {
        let waived: WaivedControl = serde_json::from_value(json!(control.section())).unwrap();
        assert_eq!(waived.as_str(), control.section());
        let kinds: Vec<&str> = control.kinds().iter().map(|kind| kind.kind).collect();
        assert_eq!(waived.kinds(), kinds);
    }
}

/// Nothing of the sort is accepted; should it get here all the same, it must not mean "the whole control".
#[test]
fn a_waiver_that_means_nothing_waives_nothing() {
    let one = exception("one", 9, json!([{"control": "limitRanges"}]));
    for waiver in [
        json!({"control": "podSecurity"}),
        json!({"control": "podSecurity", "objects": ["NetworkPolicy/security-baseline-default-deny-egress"]}),
        json!({"control": "networkIsolation", "level": "privileged"}),
        json!({"control": "networkIsolation", "objects": []}),
    ] {
        let mut one = (*one).clone();
        one.spec.waive = vec![serde_json::from_value(waiver).unwrap()];
        let one = [Arc::new(one)];
        assert!(waivers(&one, "team-a", at(1)).is_empty());
        assert_eq!(applied(&one, full_spec()), (written(full_spec()), vec![]));
    }
}

#[test]
fn a_waived_direction_leaves_the_other_part_of_a_rule_whichever_it_is() {
    let rule = json!({"name": "web", "podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 80}]}], "egress": [{"ports": [{"port": 443}]}]});
    let asked = full_spec_but(json!({"networkIsolation": {"allow": [rule]}}));
    for (direction, gone) in [("ingress", "Ingress"), ("egress", "Egress")] {
        let deny = format!("NetworkPolicy/default-deny-{direction}");
        let waived = exception("debug", 9, objects("networkIsolation", &[&deny]));
        let (left, told) = applied(&[waived], asked.clone());
        let left = &left["networkIsolation"];
        assert_eq!(told, [format!("{deny} by debug until 9")]);
        assert_eq!(left["allow"].as_array().unwrap().len(), 1);
        assert!(left["allow"][0].get(direction).is_none());
        assert!(!left["defaultDeny"].as_array().unwrap().contains(&json!(gone)));
    }
}

#[test]
fn a_section_that_asks_for_nothing_is_not_taken_for_one_that_was_waived() {
    let empty = json!({"namespaceSelector": {}, "limitRanges": {"items": []}});
    let one = [exception("one", 9, objects("limitRanges", &["LimitRange/defaults"]))];
    let (left, waived) = waivers(&one, "team-a", at(1)).apply(&spec(empty));
    assert!(left.limit_ranges.is_some());
    assert_eq!(waived.len(), 0);
}
