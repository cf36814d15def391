use serde_json::{Value, json};

use crate::core::world::testing::{problem_paths, problems};

/// The paths of what is wrong with a section, below `spec.access`.
fn wrong(section: Value) -> Vec<String> {
    problem_paths(json!({"namespaceSelector": {}, "access": section}))
        .into_iter()
        .map(|path| path.strip_prefix("spec.access").unwrap().to_owned())
        .collect()
}

fn rule(rule: Value) -> Value {
    let mut whole = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
    for (field, value) in rule.as_object().unwrap() {
        whole[field] = value.clone();
    }
    json!({"roles": [{"name": "a", "rules": [whole]}]})
}

fn binding(binding: Value) -> Value {
    let mut whole = json!({"name": "a", "clusterRole": "view", "subjects": [{"kind": "User", "name": "jane"}]});
    for (field, value) in binding.as_object().unwrap() {
        whole[field] = value.clone();
    }
    json!({"bindings": [whole]})
}

fn subject(subject: Value) -> Value {
    binding(json!({"subjects": [subject]}))
}

#[test]
fn what_is_well_formed_is_accepted() {
    for section in [
        rule(json!({})),
        rule(json!({"apiGroups": ["", "apps"], "resources": ["pods/log"], "resourceNames": ["a"]})),
        binding(json!({})),
        binding(json!({"clusterRole": "example.com:auditor"})),
        subject(json!({"kind": "Group", "name": "{namespace}:devs"})),
        subject(json!({"kind": "Group", "name": "system:serviceaccounts:{namespace}"})),
        subject(json!({"kind": "ServiceAccount", "name": "ci.bot", "namespace": "{namespace}"})),
        subject(json!({"kind": "ServiceAccount", "name": "ci", "namespace": "tools"})),
        // A role and a binding of one name are two objects.
        json!({
            "roles": [{"name": "a", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}],
            "bindings": [{"name": "a", "role": "a", "subjects": [{"kind": "User", "name": "jane"}]}],
        }),
    ] {
        assert_eq!(wrong(section.clone()), [""; 0], "{section}");
    }
}

#[test]
fn each_refusal_names_the_field() {
    for (section, path) in [
        (json!({}), ""),
        (
            json!({"roles": [{"name": "A", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}]}),
            ".roles[0].name",
        ),
        (json!({"roles": [{"name": "a", "rules": []}]}), ".roles[0].rules"),
        (rule(json!({"apiGroups": []})), ".roles[0].rules[0].apiGroups"),
        (rule(json!({"apiGroups": ["*"]})), ".roles[0].rules[0].apiGroups"),
        (rule(json!({"resources": []})), ".roles[0].rules[0].resources"),
        (rule(json!({"resources": ["*"]})), ".roles[0].rules[0].resources"),
        (
            rule(json!({"resources": ["pods", "*/log"]})),
            ".roles[0].rules[0].resources",
        ),
        (rule(json!({"resources": [""]})), ".roles[0].rules[0].resources"),
        (rule(json!({"verbs": []})), ".roles[0].rules[0].verbs"),
        (rule(json!({"verbs": ["*"]})), ".roles[0].rules[0].verbs"),
        (rule(json!({"verbs": [""]})), ".roles[0].rules[0].verbs"),
        (rule(json!({"verbs": ["get", "escalate"]})), ".roles[0].rules[0].verbs"),
        (rule(json!({"verbs": ["bind"]})), ".roles[0].rules[0].verbs"),
        (rule(json!({"verbs": ["impersonate"]})), ".roles[0].rules[0].verbs"),
        (binding(json!({"name": ""})), ".bindings[0].name"),
        (binding(json!({"clusterRole": null})), ".bindings[0]"),
        (binding(json!({"clusterRole": ""})), ".bindings[0].clusterRole"),
        (binding(json!({"clusterRole": "a/b"})), ".bindings[0].clusterRole"),
        (binding(json!({"clusterRole": ".."})), ".bindings[0].clusterRole"),
        (binding(json!({"clusterRole": "50%"})), ".bindings[0].clusterRole"),
        (
            binding(json!({"clusterRole": "cluster-admin"})),
            ".bindings[0].clusterRole",
        ),
        (
            binding(json!({"clusterRole": null, "role": "unknown"})),
            ".bindings[0].role",
        ),
        (binding(json!({"subjects": []})), ".bindings[0].subjects"),
        (
            subject(json!({"kind": "Group", "name": "system:masters"})),
            ".bindings[0].subjects[0].name",
        ),
        (
            subject(json!({"kind": "User", "name": "system:masters"})),
            ".bindings[0].subjects[0].name",
        ),
        (
            subject(json!({"kind": "User", "name": ""})),
            ".bindings[0].subjects[0].name",
        ),
        (
            subject(json!({"kind": "User", "name": "a", "namespace": "b"})),
            ".bindings[0].subjects[0].namespace",
        ),
        (
            subject(json!({"kind": "ServiceAccount", "name": "a"})),
            ".bindings[0].subjects[0].namespace",
        ),
        (
            subject(json!({"kind": "ServiceAccount", "name": "a", "namespace": "{other}"})),
            ".bindings[0].subjects[0].namespace",
        ),
        (
            subject(json!({"kind": "ServiceAccount", "name": "A b", "namespace": "b"})),
            ".bindings[0].subjects[0].name",
        ),
        (
            subject(json!({"kind": "ServiceAccount", "name": "", "namespace": "b"})),
            ".bindings[0].subjects[0].name",
        ),
    ] {
        assert_eq!(wrong(section.clone()), [path], "{section}");
    }
}

#[test]
fn a_binding_names_one_role_and_not_two() {
    let both = json!({
        "roles": [{"name": "a", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}],
        "bindings": [{"name": "a", "role": "a", "clusterRole": "view", "subjects": [{"kind": "User", "name": "jane"}]}],
    });
    assert_eq!(wrong(both), [".bindings[0]"]);
}

#[test]
fn names_are_unique() {
    let role = json!({"name": "a", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let binding = json!({"name": "b", "role": "a", "subjects": [{"kind": "User", "name": "jane"}]});
    let section = json!({"roles": [role, role], "bindings": [binding, binding]});
    assert_eq!(wrong(section), [".roles[1].name", ".bindings[1].name"]);
}

#[test]
fn the_placeholder_is_explained_as_it_is_written() {
    let section = subject(json!({"kind": "ServiceAccount", "name": "a"}));
    let problems = problems(json!({"namespaceSelector": {}, "access": section}));
    assert!(problems[0].message.contains("{namespace}"), "{}", problems[0].message);
}
