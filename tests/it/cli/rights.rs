//! What may not be read is unknown, and never told as absent.

use std::path::PathBuf;

use serde_json::json;

use super::{namespace_of, run};
use crate::stage::{SOON, Set, create, everything, grant, shared};
use crate::support::{ControlPlane, eventually};

/// A ServiceAccount in a namespace with these rules everywhere; its kubeconfig, once they hold.
async fn somebody(plane: &ControlPlane, set: &Set, namespace: &str, rules: serde_json::Value) -> PathBuf {
    let name = format!("only-{namespace}");
    create(
        &set.admin,
        "ServiceAccount",
        Some(namespace),
        json!({"metadata": {"name": "somebody"}}),
    )
    .await
    .unwrap();
    create(
        &set.admin,
        "ClusterRole",
        None,
        json!({"metadata": {"name": &name}, "rules": rules}),
    )
    .await
    .unwrap();
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": &name});
    let subjects = json!([{"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}]);
    let binding = json!({"metadata": {"name": &name}, "roleRef": role, "subjects": subjects});
    create(&set.admin, "ClusterRoleBinding", None, binding).await.unwrap();
    let kubeconfig = plane
        .kubeconfig_for_service_account(namespace, "somebody")
        .await
        .unwrap();
    eventually("the rights hold", SOON, async || {
        plane.kubectl_as(&kubeconfig, &["get", "namespace", namespace]).await
    })
    .await
    .unwrap();
    kubeconfig
}

fn rule(group: &str, resources: &[&str]) -> serde_json::Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": ["get", "list"]})
}

#[tokio::test]
async fn who_may_not_read_baselines_is_told_which_right_is_missing() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "viewer").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(everything()).await;
    let tenant = plane.tenant(&namespace).await.unwrap();
    for command in ["audit", "report"] {
        let ran = run(&tenant.kubeconfig, &[command, "--namespace", &namespace]).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
        assert!(
            ran.err
                .contains("you may not list securitybaselines.securitybaseline.dev"),
            "{}",
            ran.err
        );
    }
    let all = run(&tenant.kubeconfig, &["audit"]).await;
    assert_eq!(all.code, 2);
    assert!(all.err.contains("you may not list "), "{}", all.err);
}

#[tokio::test]
async fn who_may_list_events_and_not_watch_them_is_told_so_at_once() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "nowatch").await;
    let namespace = set.namespace(plane, "a").await;
    let kubeconfig = somebody(plane, &set, &namespace, json!([rule("", &["namespaces", "events"])])).await;
    let args = ["events", "--watch", "--namespace", &namespace];
    let ran = tokio::time::timeout(SOON, run(&kubeconfig, &args)).await.unwrap();
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains("cannot watch resource"), "{}", ran.err);
}

#[tokio::test]
async fn whoever_impersonates_somebody_is_told_what_they_are_told() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "as").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(everything()).await;
    let rules = json!([rule("", &["namespaces"])]);
    somebody(plane, &set, &namespace, rules).await;
    let admin = plane.admin_kubeconfig();
    let user = format!("system:serviceaccount:{namespace}:somebody");
    let audit = ["audit", "--namespace", &namespace, "--exit-zero"];
    let told = run(admin, &[&audit[..], &["--as", &user]].concat()).await;
    assert_eq!((told.code, told.out.as_str()), (2, ""), "{}", told.err);
    assert!(
        told.err
            .contains("you may not list securitybaselines.securitybaseline.dev"),
        "{}",
        told.err
    );
    // Of several groups each counts.
    let groups = ["--as-group", "nobodys", "--as-group", "system:masters"];
    let told = run(admin, &[&audit[..], &["--as", &user], &groups].concat()).await;
    assert_eq!(told.code, 0, "{}", told.err);
    // A group is somebody's.
    let told = run(admin, &[&audit[..], &groups].concat()).await;
    assert_eq!(told.code, 2);
    assert!(told.err.contains("--as <USER>"), "{}", told.err);
}

#[tokio::test]
async fn a_control_whose_objects_may_not_be_read_is_unknown_and_the_others_are_judged() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "partly").await;
    let namespace = set.namespace(plane, "a").await;
    let mut spec = everything();
    spec["mode"] = json!("Audit");
    set.baseline(spec).await;
    set.until("Ready", "True").await;
    let rules = json!([
        rule(
            "securitybaseline.dev",
            &["securitybaselines", "baselineexceptions", "baselinereports"]
        ),
        rule(
            "",
            &["namespaces", "limitranges", "resourcequotas", "services", "configmaps"]
        ),
        rule("networking.k8s.io", &["networkpolicies"]),
        rule("discovery.k8s.io", &["endpointslices"]),
        rule("rbac.authorization.k8s.io", &["clusterroles"]),
    ]);
    let kubeconfig = somebody(plane, &set, &namespace, rules).await;
    let ran = run(&kubeconfig, &["audit", "-n", &namespace, "-o", "json", "--exit-zero"]).await;
    assert_eq!(ran.code, 2, "what is unknown is no matter of taste: {}", ran.err);
    for told in [
        "list roles.rbac.authorization.k8s.io",
        "list rolebindings.rbac.authorization.k8s.io",
        "access in",
    ] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    let found = ran.json();
    let controls = namespace_of(&found, &namespace)["controls"].as_array().unwrap();
    for control in controls {
        let state = if control["name"] == "access" {
            "Unknown"
        } else {
            "Drifted"
        };
        assert_eq!(control["state"], state, "{control}");
        if control["name"] == "access" {
            assert_eq!(control["findings"], json!([]), "nothing is told as absent");
        }
    }

    let tree = run(&kubeconfig, &["tree", &set.name, "-n", &namespace, "--exit-zero"]).await;
    let roles: Vec<&str> = tree.out.lines().filter(|line| line.contains("Role")).collect();
    assert!(
        !roles.is_empty() && roles.iter().all(|line| line.ends_with(" unknown")),
        "{}",
        tree.out
    );
    assert!(
        tree.out
            .contains("NetworkPolicy/security-baseline-default-deny-ingress Missing"),
        "{}",
        tree.out
    );

    // To a pipeline that reads JUnit, that is an error and no failure.
    let ran = run(&kubeconfig, &["report", "-n", &namespace, "-o", "junit", "--exit-zero"]).await;
    let read = quick_junit::Report::deserialize_from_str(&ran.out).unwrap();
    let cases = read.test_suites.iter().flat_map(|suite| &suite.test_cases);
    let errors: Vec<_> = cases
        .filter(|case| {
            let kind = quick_junit::NonSuccessKind::Error;
            matches!(&case.status, quick_junit::TestCaseStatus::NonSuccess { kind: its, .. } if *its == kind)
        })
        .map(|case| case.name.as_str())
        .collect();
    assert_eq!((errors, read.errors), (vec!["access"], 1), "{}", ran.out);

    // What would be written there is unknown too; what has nothing to do with it is not.
    let propose = |sections: serde_json::Value| {
        let mut spec = sections;
        spec["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": &namespace}});
        spec["mode"] = json!("Enforce");
        let name = format!("{}-new", set.name);
        super::written(
            &json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": name}, "spec": spec}),
        )
    };
    let access = propose(json!({"access": everything()["access"]}));
    let ran = run(&kubeconfig, &["diff", "-f", super::arg(&access)]).await;
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("list roles.rbac.authorization.k8s.io"), "{}", ran.err);
    let quotas = propose(json!({"resourceQuotas": {"items": [{"name": "a", "hard": {"pods": 5}}]}}));
    let ran = run(&kubeconfig, &["diff", "-f", super::arg(&quotas)]).await;
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
}

#[tokio::test]
async fn what_the_operator_found_counts_where_the_dns_service_may_not_be_read() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "dns").await;
    let namespace = set.namespace(plane, "a").await;
    let rules = json!([
        rule(
            "securitybaseline.dev",
            &["securitybaselines", "baselineexceptions", "baselinereports"]
        ),
        rule("", &["namespaces", "limitranges", "resourcequotas"]),
        rule("networking.k8s.io", &["networkpolicies"]),
        rule("rbac.authorization.k8s.io", &["roles", "rolebindings"]),
    ]);
    let kubeconfig = somebody(plane, &set, &namespace, rules).await;
    // What the operator found is in the status of a baseline that needs it.
    set.baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Egress"], "allowDNS": true}}))
        .await;
    set.until_enforced(1).await;
    let ran = run(&kubeconfig, &["audit", "-n", &namespace]).await;
    assert_eq!(ran.code, 0, "the status tells it: {}{}", ran.out, ran.err);
}
