//! `diff`: what is foreseen is what happens.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{arg, namespace_of, reader, run, written};
use crate::stage::{LABEL, Set, create, delete, everything, get, grant, shared, writes_in};

fn baseline(set: &Set, spec: &Value) -> Value {
    let mut spec = spec.clone();
    if spec["namespaceSelector"].is_null() {
        spec["namespaceSelector"] = json!({"matchLabels": {LABEL: set.name}});
    }
    json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": set.name}, "spec": spec})
}

/// What is written to a namespace by a diff: verb and object.
fn foreseen(diff: &Value, namespace: &str) -> BTreeSet<(String, String)> {
    let sections = namespace_of(diff, namespace)["sections"]
        .as_array()
        .into_iter()
        .flatten();
    let writes = sections.flat_map(|section| section["writes"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    writes
        .map(|write| (text(&write["verb"]), text(&write["object"])))
        .collect()
}

#[tokio::test]
async fn what_a_diff_foresees_is_just_what_the_operator_writes() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "diff").await;
    let namespaces = set.namespaces(plane, 2).await;
    let mut spec = everything();
    spec["mode"] = json!("Audit");
    set.baseline(spec.clone()).await;
    set.until("Ready", "True").await;

    let same = written(&baseline(&set, &spec));
    let none = run(&reader, &["diff", "-f", arg(&same)]).await;
    assert_eq!(none.code, 0, "{}{}", none.out, none.err);
    assert!(none.out.contains("It changes nothing."), "{}", none.out);

    spec["mode"] = json!("Enforce");
    let file = written(&baseline(&set, &spec));
    let ran = run(&reader, &["diff", "-f", arg(&file), "-o", "json"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let diff = ran.json();
    assert_eq!(diff["summary"]["namespaces"], 2);
    assert_eq!(diff["objects"][0]["brake"]["newlyEnforces"], 10, "{}", diff["objects"]);

    let mark = plane.audit().mark().unwrap();
    set.baseline(spec).await;
    set.until_enforced(2).await;
    for namespace in &namespaces {
        let kinds = |resource: &str| match resource {
            "networkpolicies" => "NetworkPolicy",
            "resourcequotas" => "ResourceQuota",
            "limitranges" => "LimitRange",
            "roles" => "Role",
            "rolebindings" => "RoleBinding",
            other => panic!("{other}"),
        };
        let mut written = BTreeSet::new();
        for write in writes_in(plane, mark, namespace) {
            if write.resource == "namespaces" {
                written.insert(("label".to_owned(), format!("Namespace/{namespace}")));
            } else {
                let name = &write.body.unwrap()["metadata"]["name"];
                written.insert((
                    write.verb,
                    format!("{}/{}", kinds(&write.resource), name.as_str().unwrap()),
                ));
            }
        }
        assert_eq!(foreseen(&diff, namespace), written);
    }
}

#[tokio::test]
async fn a_change_that_loosens_is_called_that() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "loosen").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 10}}]}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let mut looser = spec;
    looser.as_object_mut().unwrap().remove("networkIsolation");
    looser["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(20);
    let file = written(&baseline(&set, &looser));
    let ran = run(&reader, &["diff", "-f", arg(&file), "-o", "json"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let diff = ran.json();
    assert_eq!(diff["summary"]["loosen"], 2, "{}", diff["namespaces"]);
    let expected = [
        ("delete", "NetworkPolicy/security-baseline-default-deny-ingress"),
        ("replace", "ResourceQuota/security-baseline-compute"),
    ];
    let expected = expected.map(|(verb, object)| (verb.to_owned(), object.to_owned()));
    assert_eq!(foreseen(&diff, &namespace), expected.into());
    let text = run(&reader, &["diff", "-f", arg(&file)]).await.out;
    assert!(
        text.contains("It loosens 2 controls.") && text.contains("spec.hard.pods: \"10\" to \"20\""),
        "{text}"
    );
}

#[tokio::test]
async fn what_a_person_wrote_beside_the_file_stays_when_the_file_is_applied_again() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "beside").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let admin = plane.admin_kubeconfig();
    for command in [&["suspend", &set.name][..], &["release", &set.name, &namespace]] {
        let ran = run(admin, command).await;
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }
    let before = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    let file = written(&baseline(&set, &spec));
    let ran = run(&reader, &["diff", "-f", arg(&file)]).await;
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("It changes nothing."), "{}", ran.out);

    set.baseline(spec).await;
    let after = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"]);
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["spec"]["suspend"], true);

    // What the file states is another thing: it is written, and foreseen.
    let stated = json!({"mode": "Enforce", "suspend": false, "networkIsolation": {"defaultDeny": ["Ingress"]}});
    let file = written(&baseline(&set, &stated));
    let ran = run(&reader, &["diff", "-f", arg(&file)]).await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
}

#[tokio::test]
async fn an_exception_and_a_namespace_are_changes_too() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "waive").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    set.until_enforced(1).await;
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5);
    let exception = written(
        &json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "BaselineException",
        "metadata": {"name": set.name}, "spec": {"namespaces": [&namespace], "reason": "a test", "approver": "nobody",
        "expiresAt": expires.to_string(), "waive": [{"control": "networkIsolation"}]}}),
    );
    let fresh = format!("{}-new", set.name);
    let new = written(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": fresh, "labels": {LABEL: set.name}}}),
    );
    let ran = run(&reader, &["diff", "-f", arg(&exception), "-f", arg(&new), "-o", "json"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let diff = ran.json();
    let policy = |verb: &str| {
        [(
            verb.to_owned(),
            "NetworkPolicy/security-baseline-default-deny-ingress".to_owned(),
        )]
    };
    assert_eq!(foreseen(&diff, &namespace), policy("delete").into());
    assert_eq!(foreseen(&diff, &fresh), policy("create").into());
    assert_eq!(namespace_of(&diff, &fresh)["joins"], true);
    assert_eq!(
        (&diff["summary"]["loosen"], &diff["summary"]["joins"]),
        (&json!(1), &json!(1)),
        "an exception lets off, and what is new is not let off"
    );
}

#[tokio::test]
async fn what_a_deletion_takes_along_is_foreseen_and_goes() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "deletion").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"mode": "Enforce", "deletionPolicy": "Delete", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    set.report_until(&namespace, "has the policy on record", |r| {
        r["status"]["inventory"].as_array().is_some_and(|all| !all.is_empty())
    })
    .await;
    let file = written(&baseline(&set, &spec));
    let ran = run(&reader, &["diff", "--deleted", arg(&file), "-o", "json"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let diff = ran.json();
    assert_eq!(diff["objects"][0]["change"], "delete");
    assert_eq!(
        (
            &diff["objects"][0]["brake"]["loosens"],
            &diff["summary"]["loosen"],
            &diff["summary"]["leaves"]
        ),
        (&json!(1), &json!(1), &json!(1)),
        "{diff}"
    );
    let policy = "security-baseline-default-deny-ingress";
    let expected = [("delete".to_owned(), format!("NetworkPolicy/{policy}"))];
    assert_eq!(foreseen(&diff, &namespace), expected.into());
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    set.gone("NetworkPolicy", &namespace, policy).await;
}

#[tokio::test]
async fn a_diff_asks_what_would_break_where_it_is_told_to() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "break").await;
    let namespace = set.namespace(plane, "a").await;
    create(
        &set.admin,
        "ServiceAccount",
        Some(&namespace),
        json!({"metadata": {"name": "runs"}}),
    )
    .await
    .unwrap();
    let pod = json!({"metadata": {"name": "privileged"}, "spec": {"serviceAccountName": "runs", "containers": [{"name": "a", "image": "a", "securityContext": {"privileged": true}}]}});
    create(&set.admin, "Pod", Some(&namespace), pod).await.unwrap();
    set.aged(std::slice::from_ref(&namespace)).await;
    let spec = json!({"mode": "Enforce", "podSecurity": {"enforce": {"level": "restricted"}}});
    let file = written(&baseline(&set, &spec));
    let admin = plane.admin_kubeconfig();
    let ran = run(admin, &["diff", "-f", arg(&file), "-o", "json"]).await;
    assert_eq!(foreseen(&ran.json(), &namespace).len(), 1, "{}{}", ran.out, ran.err);
    let ran = run(admin, &["diff", "-f", arg(&file), "--preflight", "-o", "json"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let diff = ran.json();
    assert_eq!(foreseen(&diff, &namespace), BTreeSet::new());
    let held = &namespace_of(&diff, &namespace)["sections"][0]["held"][0];
    assert_eq!(held["code"], "SB-PSS-107");
    assert!(held["message"].as_str().unwrap().contains("privileged"), "{held}");
}

#[tokio::test]
async fn a_change_that_would_be_refused_is_an_error_that_names_the_field() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "bad").await;
    let file = written(&baseline(
        &set,
        &json!({"podSecurity": {"enforce": {"level": "strict"}}}),
    ));
    let ran = run(&reader, &["diff", "-f", arg(&file)]).await;
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("spec.podSecurity.enforce.level"), "{}", ran.err);
    let other = written(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}));
    let ran = run(&reader, &["diff", "-f", arg(&other)]).await;
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("no SecurityBaseline") && ran.err.contains("Secret"),
        "{}",
        ran.err
    );
}
