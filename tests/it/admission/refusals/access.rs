//! Mistakes in the section `access`.

use serde_json::{Value, json};

use super::{Refusal, many, section};

/// Something changed in one good rule of a role.
fn rule(field: &str, value: Value) -> Value {
    let mut rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
    rule[field] = value;
    section("access", json!({"roles": [{"name": "r", "rules": [rule]}]}))
}

/// Something changed in one good binding.
fn binding(field: &str, value: Value) -> Value {
    let mut binding = json!({"name": "b", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "g"}]});
    binding[field] = value;
    section("access", json!({"bindings": [binding]}))
}

fn subject(subject: Value) -> Value {
    binding("subjects", json!([subject]))
}

pub fn access() -> Vec<Refusal> {
    let (of_rule, of_subject) = ("spec.access.roles[0].rules[0]", "spec.access.bindings[0].subjects[0]");
    let role =
        |name: String| json!({"name": name, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let named =
        |name: String| json!({"name": name, "clusterRole": "view", "subjects": [{"kind": "User", "name": "u"}]});
    let verbs = "escalate, bind and impersonate are refused";
    let mut all = vec![
        Refusal(
            "empty access",
            section("access", json!({})),
            "spec.access",
            "give it roles or bindings",
        ),
        Refusal(
            "all groups",
            rule("apiGroups", json!(["*"])),
            "spec.access.roles[0].rules[0].apiGroups",
            "names its API groups",
        ),
        Refusal(
            "all resources",
            rule("resources", json!(["*"])),
            "spec.access.roles[0].rules[0].resources",
            "names its resources",
        ),
        Refusal(
            "all subresources",
            rule("resources", json!(["pods/*"])),
            "spec.access.roles[0].rules[0].resources",
            "names its resources",
        ),
        Refusal(
            "no verbs",
            rule("verbs", json!([])),
            "spec.access.roles[0].rules[0].verbs",
            "at least 1 items",
        ),
        Refusal(
            "a role of nothing",
            section("access", json!({"roles": [{"name": "r", "rules": []}]})),
            "spec.access.roles[0].rules",
            "at least 1 items",
        ),
        Refusal(
            "two roles of one name",
            section("access", json!({"roles": [role("a".into()), role("a".into())]})),
            "spec.access.roles[1]",
            "Duplicate value",
        ),
        Refusal(
            "too many roles",
            section("access", json!({"roles": many(33, role)})),
            "spec.access.roles",
            "at most 32 items",
        ),
        Refusal(
            "two bindings of one name",
            section("access", json!({"bindings": [named("a".into()), named("a".into())]})),
            "spec.access.bindings[1]",
            "Duplicate value",
        ),
        Refusal(
            "too many bindings",
            section("access", json!({"bindings": many(33, named)})),
            "spec.access.bindings",
            "at most 32 items",
        ),
        Refusal(
            "cluster-admin",
            binding("clusterRole", json!("cluster-admin")),
            "spec.access.bindings[0].clusterRole",
            "name a ClusterRole that grants what is needed",
        ),
        Refusal(
            "two roles in a binding",
            binding("role", json!("r")),
            "spec.access.bindings[0]",
            "a binding names one role",
        ),
        Refusal(
            "a role that is not there",
            section(
                "access",
                json!({"bindings": [{"name": "b", "role": "r", "subjects": [{"kind": "User", "name": "u"}]}]}),
            ),
            "spec.access.bindings",
            "must be one of access.roles",
        ),
        Refusal(
            "nobody",
            binding("subjects", json!([])),
            "spec.access.bindings[0].subjects",
            "at least 1 items",
        ),
        Refusal(
            "system:masters",
            subject(json!({"kind": "Group", "name": "system:masters"})),
            "spec.access.bindings[0].subjects[0].name",
            "is never bound",
        ),
        Refusal(
            "an account without a namespace",
            subject(json!({"kind": "ServiceAccount", "name": "a"})),
            of_subject,
            "needs its `namespace`",
        ),
        Refusal(
            "a group with a namespace",
            subject(json!({"kind": "Group", "name": "a", "namespace": "n"})),
            of_subject,
            "a User or Group has none",
        ),
        Refusal(
            "a bad account name",
            subject(json!({"kind": "ServiceAccount", "name": "A b", "namespace": "n"})),
            "spec.access.bindings[0].subjects[0].name",
            "is a DNS name",
        ),
        Refusal(
            "an unknown kind of subject",
            subject(json!({"kind": "Robot", "name": "a"})),
            "spec.access.bindings[0].subjects[0].kind",
            "\"User\", \"Group\", \"ServiceAccount\"",
        ),
    ];
    for verb in ["*", "escalate", "bind", "impersonate"] {
        all.push(Refusal(verb, rule("verbs", json!(["get", verb])), of_rule, verbs));
    }
    all
}
