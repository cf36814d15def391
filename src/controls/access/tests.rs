mod grants;
mod normalisation;
mod validation;
mod weaker;

use serde_json::{Value, json};

use super::*;
use crate::core::world::testing::{grantable, namespace, with_spec};

/// What a section is rendered to in a namespace of this name, where these rules may be handed out.
fn rendered(section: Value, name: &str, grantable: Vec<GrantableRule>) -> Rendered {
    let baseline = with_spec("b", 1, json!({"namespaceSelector": {}, "access": section}));
    let namespace = NamespaceFacts {
        name: name.to_owned(),
        ..namespace()
    };
    let cluster = ClusterFacts {
        grantable,
        ..ClusterFacts::default()
    };
    Access.render(&baseline.spec, &namespace, &cluster)
}

/// The objects, as kind/name without the reserved prefix.
fn shown(rendered: &Rendered) -> Vec<String> {
    let ids = rendered.children.iter().map(|c| c.id.to_string());
    ids.map(|id| id.replace(RESERVED_PREFIX, "")).collect()
}

/// What is held, as kind/name without the reserved prefix, and why.
fn held(rendered: &Rendered) -> Vec<(String, &'static str)> {
    let held = rendered.held.iter();
    held.map(|h| (h.id.to_string().replace(RESERVED_PREFIX, ""), h.reason))
        .collect()
}

/// The subjects of one binding to the ClusterRole `view`, or why it is held.
fn subjects(subject: Value, namespace: &str) -> Result<Value, &'static str> {
    let section = json!({"bindings": [{"name": "b", "clusterRole": "view", "subjects": [subject]}]});
    let rendered = rendered(section, namespace, Vec::new());
    match rendered.held.first() {
        Some(held) => Err(held.reason),
        None => Ok(rendered.children[0].fields["subjects"][0].clone()),
    }
}

fn role(name: &str, verbs: &[&str]) -> Value {
    json!({"name": name, "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": verbs}]})
}

fn binding(name: &str, role: &str) -> Value {
    json!({"name": name, "role": role, "subjects": [{"kind": "User", "name": "jane"}]})
}

#[test]
fn roles_come_before_the_bindings_to_them() {
    let section = json!({
        "roles": [role("a", &["get"]), role("b", &["list"])],
        "bindings": [binding("x", "b"), binding("y", "a")],
    });
    let rendered = rendered(section, "team-a", vec![grantable(&["apps"], &["*"], &[], &["*"])]);
    assert_eq!(shown(&rendered), ["Role/a", "Role/b", "RoleBinding/x", "RoleBinding/y"]);
    assert_eq!(
        Value::Object(rendered.children[0].fields.clone()),
        json!({"rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]})
    );
    assert_eq!(
        Value::Object(rendered.children[2].fields.clone()),
        json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "security-baseline-b"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
        })
    );
}

#[test]
fn a_cluster_role_is_bound_by_its_own_name() {
    let section = json!({"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "auditors"}]}]});
    let rendered = rendered(section, "team-a", Vec::new());
    assert_eq!(
        rendered.children[0].fields["roleRef"],
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"})
    );
}

#[test]
fn bindings_to_a_refused_role_are_held_and_the_others_are_not() {
    let section = json!({
        "roles": [role("good", &["get"]), role("bad", &["delete"])],
        "bindings": [binding("of-bad", "bad"), binding("of-good", "good")],
    });
    let rendered = rendered(section, "team-a", vec![grantable(&["apps"], &["*"], &[], &["get"])]);
    assert_eq!(shown(&rendered), ["Role/good", "RoleBinding/of-good"]);
    assert_eq!(
        held(&rendered),
        [
            ("Role/bad".to_owned(), "GrantRefused"),
            ("RoleBinding/of-bad".to_owned(), "RoleHeld")
        ]
    );
    assert!(rendered.held[1].message.contains("bad"));
}

#[test]
fn the_placeholder_is_filled_in_wherever_it_stands() {
    assert_eq!(
        subjects(
            json!({"kind": "Group", "name": "{namespace}:{namespace}:devs"}),
            "team-a"
        )
        .unwrap(),
        json!({"kind": "Group", "name": "team-a:team-a:devs", "apiGroup": "rbac.authorization.k8s.io"})
    );
    assert_eq!(
        subjects(
            json!({"kind": "ServiceAccount", "name": "ci", "namespace": "{namespace}"}),
            "team-a"
        )
        .unwrap(),
        json!({"kind": "ServiceAccount", "name": "ci", "namespace": "team-a"})
    );
    assert_eq!(
        subjects(
            json!({"kind": "ServiceAccount", "name": "ci", "namespace": "tools"}),
            "team-a"
        )
        .unwrap(),
        json!({"kind": "ServiceAccount", "name": "ci", "namespace": "tools"})
    );
}

#[test]
fn a_namespace_called_system_gets_nobody_a_name_of_kubernetes_own() {
    for name in [
        "{namespace}:masters",
        "{namespace}:authenticated",
        "{namespace}:serviceaccounts:kube-system",
    ] {
        for kind in ["User", "Group"] {
            let subject = json!({"kind": kind, "name": name});
            assert_eq!(subjects(subject.clone(), "system"), Err("SystemSubject"), "{name}");
            assert!(subjects(subject, "systems").is_ok(), "{name} elsewhere");
        }
    }
}

#[test]
fn nothing_becomes_the_group_that_is_above_all_authorization() {
    for (name, namespace) in [("system:masters", "team-a"), ("system:{namespace}", "masters")] {
        assert_eq!(
            subjects(json!({"kind": "Group", "name": name}), namespace),
            Err("SystemSubject"),
            "{name} in {namespace}"
        );
    }
}

#[test]
fn a_name_of_kubernetes_own_that_the_spec_writes_out_is_taken_as_written() {
    for (name, becomes) in [
        ("system:serviceaccounts:{namespace}", "system:serviceaccounts:team-a"),
        ("system:authenticated", "system:authenticated"),
    ] {
        let subject = subjects(json!({"kind": "Group", "name": name}), "team-a").unwrap();
        assert_eq!(subject["name"], becomes);
    }
}

#[test]
fn a_role_is_limited_to_the_names_that_it_states() {
    let section = json!({"roles": [{"name": "a", "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["settings"], "verbs": ["get"]},
    ]}]});
    let rendered = rendered(
        section,
        "team-a",
        vec![grantable(&[""], &["configmaps"], &[], &["get"])],
    );
    assert_eq!(
        rendered.children[0].fields["rules"][0]["resourceNames"],
        json!(["settings"])
    );
}
