mod confirm;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::controls::REGISTRY;
use crate::core::merge::{frozen, merge};
use crate::core::world::Baseline;
use crate::core::world::testing::{cluster, full_spec, full_spec_but, with_spec};

/// What a change from some baselines to others does.
fn between(before: &[Arc<Baseline>], after: &[Arc<Baseline>]) -> Effect {
    effect(REGISTRY, &merge(REGISTRY, before), &merge(REGISTRY, after), &cluster())
}

/// What an edit of one baseline does, as the operator takes it up.
fn edit(before: Value, after: Value) -> Effect {
    edit_beside(before, after, &[])
}

fn edit_beside(before: Value, after: Value, others: &[Arc<Baseline>]) -> Effect {
    let before = with_spec("b", 1, before);
    let mut after = (*with_spec("b", 1, after)).clone();
    after.frozen = frozen(REGISTRY, &before, &after.spec);
    let beside = |one: Arc<Baseline>| [others, &[one]].concat();
    between(&beside(before), &beside(Arc::new(after)))
}

fn loosened(effect: &Effect) -> Vec<&'static str> {
    effect.loosened.iter().copied().collect()
}

const ALL: [&str; 5] = [
    "access",
    "limitRanges",
    "networkIsolation",
    "podSecurity",
    "resourceQuotas",
];

/// A spec that enforces one section.
fn only(section: &str, content: Value) -> Value {
    json!({"namespaceSelector": {}, "mode": "Enforce", section: content})
}

#[test]
fn a_namespace_that_is_let_go_by_selector_exclusion_release_or_deletion_loses_all_that_was_enforced() {
    let effect = between(&[with_spec("b", 1, full_spec())], &[]);
    assert_eq!(loosened(&effect), ALL);
    // What another baseline enforces as well is not lost; its grants are no longer held to what they were.
    let other = with_spec("other", 2, full_spec_but(json!({"access": null})));
    let effect = between(
        &[with_spec("b", 1, full_spec()), other.clone()],
        std::slice::from_ref(&other),
    );
    assert_eq!(loosened(&effect), ["access"]);
    let twin = with_spec("twin", 2, full_spec());
    assert_eq!(
        between(&[with_spec("b", 1, full_spec()), twin.clone()], &[twin]),
        Effect::default()
    );
    let grants = |names: &[&str]| {
        let bindings: Vec<_> = names
            .iter()
            .map(|n| json!({"name": n, "clusterRole": "view", "subjects": [{"kind": "User", "name": "u"}]}))
            .collect();
        only("access", json!({ "bindings": bindings }))
    };
    let (one, two) = (with_spec("b", 1, grants(&["a"])), with_spec("other", 2, grants(&["b"])));
    assert_eq!(loosened(&between(&[one, two.clone()], &[two])), ["access"]);
}

#[test]
fn audit_and_suspension_loosen_all_that_was_enforced_and_an_overridden_section_just_that() {
    for change in [json!({"mode": "Audit"}), json!({"suspend": true})] {
        assert_eq!(loosened(&edit(full_spec(), full_spec_but(change))), ALL);
    }
    for section in ALL {
        let effect = edit(full_spec(), full_spec_but(json!({section: {"mode": "Audit"}})));
        assert_eq!(loosened(&effect), [section]);
    }
}

#[test]
fn audit_loosens_what_only_it_enforced_also_beside_another_baseline_for_which_its_share_still_counts() {
    let own = |name: &str| json!([{"name": name, "hard": {"pods": 1}}]);
    let other = || with_spec("other", 2, only("resourceQuotas", json!({"items": own("shared")})));
    let both = json!([own("shared")[0], own("own")[0]]);
    let audited = |items: &Value| only("resourceQuotas", json!({"mode": "Audit", "items": items}));
    let enforced = |items: &Value| only("resourceQuotas", json!({"items": items}));
    let effect = edit_beside(enforced(&both), audited(&both), &[other()]);
    assert_eq!(loosened(&effect), ["resourceQuotas"]);
    let effect = edit_beside(enforced(&own("shared")), audited(&own("shared")), &[other()]);
    assert_eq!(effect, Effect::default(), "the other one holds it, as strict as it was");
    // The same of labels: the share of `warn` still counts, but nobody writes it.
    let security = |mode: &str| only("podSecurity", json!({"mode": mode, "warn": {"level": "restricted"}}));
    let enforce = with_spec(
        "other",
        2,
        only("podSecurity", json!({"enforce": {"level": "baseline"}})),
    );
    let effect = edit_beside(security("Enforce"), security("Audit"), &[enforce]);
    assert_eq!(loosened(&effect), ["podSecurity"]);
}

/// Sections before and after a loosening; the other way round it tightens.
fn loosenings() -> Vec<(&'static str, Value, Value)> {
    let quota = |hard: Value| json!({"items": [{"name": "q", "hard": hard}]});
    let limit = |limit: Value| {
        let mut limit = limit;
        // A container's maximum is its default request too, which matters to a quota either way.
        limit["type"] = json!("Pod");
        json!({"items": [{"name": "l", "limits": [limit]}]})
    };
    let deny = |more: Value| {
        let mut section = json!({"defaultDeny": ["Ingress", "Egress"], "allowDNS": false});
        section
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        section
    };
    let rule = |own: bool| {
        let mut rule = json!({"name": "web", "ingress": [{"ports": [{"port": 80}]}]});
        if own {
            rule["podSelector"] = json!({"matchLabels": {"app": "web"}});
        }
        json!([rule])
    };
    let level = |level: &str, version: &str| json!({"enforce": {"level": level, "version": version}});
    let role = |verbs: Value| json!({"name": "r", "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": verbs}]});
    let binding = |users: &[&str]| {
        let subjects: Vec<_> = users.iter().map(|user| json!({"kind": "User", "name": user})).collect();
        json!({"bindings": [{"name": "b", "clusterRole": "view", "subjects": subjects}]})
    };
    let rules = |verbs: &[&str]| {
        let one = |verb: &&str| json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [verb]});
        json!({"roles": [{"name": "r", "rules": verbs.iter().map(one).collect::<Vec<_>>()}]})
    };
    vec![
        ("resourceQuotas", quota(json!({"pods": 5})), quota(json!({"pods": 6}))),
        (
            "resourceQuotas",
            quota(json!({"pods": 5, "services": 1})),
            quota(json!({"pods": 5})),
        ),
        (
            "limitRanges",
            limit(json!({"max": {"cpu": 1}})),
            limit(json!({"max": {"cpu": 2}})),
        ),
        (
            "limitRanges",
            limit(json!({"min": {"cpu": 2}})),
            limit(json!({"min": {"cpu": 1}})),
        ),
        (
            "networkIsolation",
            deny(json!({})),
            deny(json!({"defaultDeny": ["Ingress"], "allowDNS": null})),
        ),
        (
            "networkIsolation",
            deny(json!({})),
            deny(json!({"allowSameNamespace": true})),
        ),
        ("networkIsolation", deny(json!({})), deny(json!({"allowDNS": true}))),
        (
            "networkIsolation",
            deny(json!({})),
            deny(json!({"allowKubernetesAPI": true})),
        ),
        ("networkIsolation", deny(json!({})), deny(json!({"allow": rule(false)}))),
        ("networkIsolation", deny(json!({})), deny(json!({"allow": rule(true)}))),
        ("podSecurity", level("restricted", "v1.36"), level("baseline", "v1.36")),
        ("podSecurity", level("baseline", "v1.10"), level("baseline", "v1.9")),
        ("podSecurity", level("baseline", "latest"), level("baseline", "v1.36")),
        (
            "podSecurity",
            json!({"enforce": {"level": "baseline"}, "warn": {"level": "baseline"}}),
            json!({"enforce": {"level": "baseline"}}),
        ),
        ("access", rules(&["get"]), rules(&["get", "update"])),
        (
            "access",
            rules(&["get"]),
            json!({"roles": [rules(&["get"])["roles"][0], {"name": "more", "rules": role(json!(["get"]))["rules"]}]}),
        ),
        ("access", binding(&["jane"]), binding(&["jane", "joe"])),
    ]
}

#[test]
fn a_lower_level_a_higher_amount_an_allow_and_a_grant_loosen_and_the_other_way_round_what_protects_is_tightened() {
    for (section, strict, loose) in loosenings() {
        let (strict, loose) = (only(section, strict), only(section, loose));
        assert_eq!(
            loosened(&edit(strict.clone(), loose.clone())),
            [section],
            "{strict} to {loose}"
        );
        let back = edit(loose.clone(), strict.clone());
        // That less is granted or allowed waits for nobody.
        let directions = |spec: &Value| spec["networkIsolation"]["defaultDeny"].clone();
        let protects =
            section != "access" && (section != "networkIsolation" || directions(&loose) != directions(&strict));
        let tightened: Vec<_> = back.tightened.iter().copied().collect();
        assert_eq!(
            tightened,
            if protects { vec![section] } else { vec![] },
            "{loose} to {strict}"
        );
        assert!(
            back.loosened.is_empty() && back.enforced.is_empty(),
            "{loose} to {strict}"
        );
    }
}

#[test]
fn a_binding_to_another_role_and_a_quota_of_other_scopes_loosen_either_way() {
    let bind = |role: &str| {
        only(
            "access",
            json!({"bindings": [{"name": "b", "clusterRole": role, "subjects": [{"kind": "User", "name": "u"}]}]}),
        )
    };
    let scoped = |scope: &str| {
        only(
            "resourceQuotas",
            json!({"items": [{"name": "q", "hard": {"pods": 1}, "scopes": [scope]}]}),
        )
    };
    assert_eq!(loosened(&edit(bind("view"), bind("edit"))), ["access"]);
    assert_eq!(
        loosened(&edit(scoped("BestEffort"), scoped("NotBestEffort"))),
        ["resourceQuotas"]
    );
}

#[test]
fn a_protection_that_is_taken_out_loosens_and_a_grant_that_is_does_not() {
    for section in ALL {
        let effect = edit(full_spec(), full_spec_but(json!({section: null})));
        let expected: &[&str] = if section == "access" { &[] } else { &[section] };
        assert_eq!(loosened(&effect), expected, "{section}");
    }
    let access = full_spec_but(json!({"access": {"bindings": null}}));
    assert_eq!(edit(full_spec(), access), Effect::default());
    // It is left in place where somebody still audits it.
    let audits = with_spec("audits", 2, full_spec_but(json!({"mode": "Audit"})));
    let effect = edit_beside(full_spec(), full_spec_but(json!({"access": null})), &[audits]);
    assert_eq!(loosened(&effect), ["access"]);
}

#[test]
fn what_is_only_held_back_is_not_loosened() {
    let before = merge(REGISTRY, &[with_spec("b", 1, full_spec())]);
    // The same cluster before and after: of a change of the cluster itself no baseline is asked.
    assert_eq!(
        effect(REGISTRY, &before, &before, &ClusterFacts::default()),
        Effect::default()
    );
    let api = full_spec_but(json!({"networkIsolation": {"allowKubernetesAPI": true}}));
    let held = merge(REGISTRY, &[with_spec("b", 1, api)]);
    let unknown = ClusterFacts {
        api_server: None,
        ..cluster()
    };
    assert_eq!(effect(REGISTRY, &before, &held, &unknown), Effect::default());
}

#[test]
fn what_was_only_audited_is_newly_enforced_and_what_was_enforced_already_is_not() {
    let audited = full_spec_but(json!({"mode": "Audit"}));
    let found = edit(audited.clone(), full_spec());
    assert!(found.loosened.is_empty());
    assert_eq!(found.enforced.into_iter().collect::<Vec<_>>(), ALL);
    assert_eq!(
        between(&[], &[with_spec("b", 1, audited.clone())]),
        Effect::default(),
        "audits never wait"
    );
    assert_eq!(
        edit(audited.clone(), full_spec_but(json!({"mode": "Audit", "access": null}))),
        Effect::default()
    );
    let more = full_spec_but(
        json!({"resourceQuotas": {"items": [{"name": "compute", "hard": {"requests.cpu": 10, "limits.memory": "40Gi", "pods": "50"}}, {"name": "best-effort", "hard": {"pods": 5}, "scopes": ["BestEffort"]}, {"name": "another", "hard": {"pods": 1}}]}}),
    );
    let more = edit(full_spec(), more);
    assert_eq!((more.enforced.len(), more.loosened.len()), (0, 0));
    assert_eq!(more.tightened.into_iter().collect::<Vec<_>>(), ["resourceQuotas"]);
    let beside = with_spec("other", 2, full_spec());
    assert_eq!(edit_beside(audited, full_spec(), &[beside]), Effect::default());
}
