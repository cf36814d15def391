use serde_json::{Value, json};

use super::super::{ROLE, ROLE_BINDING};
use crate::controls::testing::{differ, every_change_shows, foreign_changes_do_not_show, same};

const RBAC: &str = "rbac.authorization.k8s.io";

#[test]
fn a_role_without_rules_is_the_same_however_that_is_written() {
    for rules in [json!({}), json!({"rules": null}), json!({"rules": []})] {
        same(&ROLE, &json!({}), &rules);
    }
    let rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
    let mut spelled = rule.clone();
    spelled["resourceNames"] = json!([]);
    spelled["nonResourceURLs"] = json!(null);
    same(&ROLE, &json!({"rules": [rule]}), &json!({"rules": [spelled]}));
    differ(&ROLE, &json!({"rules": []}), &json!({"rules": [{}]}));
    differ(
        &ROLE,
        &json!({"rules": [{"apiGroups": [""]}]}),
        &json!({"rules": [{"apiGroups": []}]}),
    );
}

fn binding(role: Value, subject: Value) -> Value {
    json!({"roleRef": role, "subjects": [subject]})
}

#[test]
fn api_groups_that_the_api_server_fills_in_are_the_same() {
    let full = binding(
        json!({"apiGroup": RBAC, "kind": "Role", "name": "a"}),
        json!({"apiGroup": RBAC, "kind": "Group", "name": "g"}),
    );
    for short in [
        binding(
            json!({"kind": "Role", "name": "a"}),
            json!({"kind": "Group", "name": "g"}),
        ),
        binding(
            json!({"kind": "Role", "name": "a"}),
            json!({"kind": "Group", "name": "g", "apiGroup": "", "namespace": ""}),
        ),
    ] {
        same(&ROLE_BINDING, &full, &short);
    }
    let account = json!({"kind": "ServiceAccount", "name": "ci", "namespace": "a"});
    let mut spelled = account.clone();
    spelled["apiGroup"] = json!("");
    let role = json!({"kind": "Role", "name": "a"});
    same(
        &ROLE_BINDING,
        &binding(role.clone(), account),
        &binding(role.clone(), spelled),
    );
    same(
        &ROLE_BINDING,
        &json!({"roleRef": role}),
        &json!({"roleRef": role, "subjects": []}),
    );
}

#[test]
fn a_subject_of_another_group_or_kind_is_another_subject() {
    let role = json!({"kind": "Role", "name": "a"});
    let all = [
        json!({"kind": "User", "name": "x"}),
        json!({"kind": "Group", "name": "x"}),
        json!({"kind": "User", "name": "x", "apiGroup": "other"}),
        json!({"kind": "ServiceAccount", "name": "x", "namespace": "a"}),
        json!({"kind": "ServiceAccount", "name": "x", "namespace": "b"}),
        json!({"kind": "ServiceAccount", "name": "x"}),
        json!({}),
    ];
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            differ(
                &ROLE_BINDING,
                &binding(role.clone(), a.clone()),
                &binding(role.clone(), b.clone()),
            );
        }
    }
}

fn role_sample() -> Value {
    json!({"rules": [
        {"apiGroups": ["", "apps"], "resources": ["pods"], "resourceNames": ["a"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["list", "watch"]},
    ]})
}

fn binding_sample() -> Value {
    json!({
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "security-baseline-a"},
        "subjects": [
            {"apiGroup": RBAC, "kind": "Group", "name": "g"},
            {"kind": "ServiceAccount", "name": "ci", "namespace": "a"},
        ],
    })
}

#[test]
fn every_change_of_a_role_or_a_binding_shows() {
    every_change_shows(&ROLE, role_sample(), &[]);
    // The API server puts the groups back by itself.
    every_change_shows(
        &ROLE_BINDING,
        binding_sample(),
        &["/roleRef/apiGroup", "/subjects/0/apiGroup"],
    );
}

#[test]
fn what_is_not_ours_in_a_role_or_a_binding_does_not_show() {
    foreign_changes_do_not_show(&ROLE, role_sample());
    foreign_changes_do_not_show(&ROLE_BINDING, binding_sample());
}
