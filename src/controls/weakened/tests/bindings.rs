use super::*;

fn of_binding(role: Value, subjects: Value) -> Option<Weakening> {
    judged("RoleBinding", json!({"roleRef": role, "subjects": subjects}))
}

#[test]
fn an_administrator_role_for_everybody_undoes_access_and_nothing_less_does() {
    let role = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    let subject = |kind: &str, name: &str| json!({"kind": kind, "name": name});
    let everybody = [
        subject("Group", "system:authenticated"),
        subject("Group", "system:unauthenticated"),
        subject("Group", "system:serviceaccounts"),
        subject("User", "system:anonymous"),
    ];
    for everyone in &everybody {
        for name in ["cluster-admin", "admin"] {
            let found = of_binding(role("ClusterRole", name), json!([subject("User", "a"), everyone])).unwrap();
            assert_eq!((found.undoes, found.narrower), (vec![Undoes::Access], vec![]));
            assert!(found.what.contains(name) && found.what.contains(everyone["name"].as_str().unwrap()));
        }
        for role in [
            role("ClusterRole", "edit"),
            role("ClusterRole", "view"),
            role("ClusterRole", "Admin"),
            role("ClusterRole", "system:admin"),
            role("Role", "admin"),
            role("Role", "cluster-admin"),
            json!({"name": "admin"}),
            json!("admin"),
        ] {
            assert_eq!(of_binding(role.clone(), json!([everyone])), None, "{role} {everyone}");
        }
    }
    for narrow in [
        subject("Group", "team"),
        subject("Group", "system:serviceaccounts:team-a"),
        subject("Group", "system:masters"),
        subject("Group", "system:anonymous"),
        subject("User", "system:authenticated"),
        json!({"kind": "ServiceAccount", "name": "system:serviceaccounts", "namespace": "a"}),
        json!({"name": "system:authenticated"}),
        json!("system:authenticated"),
    ] {
        assert_eq!(
            of_binding(role("ClusterRole", "admin"), json!([narrow])),
            None,
            "{narrow}"
        );
    }
    for nobody in [json!([]), json!(null), json!("?")] {
        assert_eq!(
            of_binding(role("ClusterRole", "admin"), nobody.clone()),
            None,
            "{nobody}"
        );
    }
}

#[test]
fn what_a_binding_does_is_told_once_for_each_of_everybody() {
    let everyone = json!({"kind": "Group", "name": "system:authenticated"});
    let anonymous = json!({"kind": "User", "name": "system:anonymous"});
    let role = json!({"kind": "ClusterRole", "name": "admin"});
    assert_eq!(
        of_binding(role, json!([anonymous, everyone, everyone])).unwrap().what,
        "it binds the ClusterRole admin to system:authenticated, system:anonymous: bind it to particular subjects, or delete it"
    );
}
