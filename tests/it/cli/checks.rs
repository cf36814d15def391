//! `check`: can this cluster, and the operator in it, do it?

use serde_json::{Value, json};

use super::{arg, reader, run, written};
use crate::stage::{Set, create, shared};
use crate::support::ControlPlane;

fn result<'a>(checks: &'a Value, name: &str) -> &'a Value {
    let found = checks["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {checks}"))
}

#[tokio::test]
async fn a_cluster_with_the_operators_rights_passes() {
    let (plane, _) = shared().await;
    let ran = run(plane.admin_kubeconfig(), &["check", "--pre", "-o", "json"]).await;
    let checks = ran.json();
    super::formats::valid(&super::formats::closed(super::formats::schema()), &checks);
    for (name, expected) in [
        ("Kubernetes version", "Ok"),
        ("CRD SecurityBaseline", "Ok"),
        ("The operator's rights", "Ok"),
        ("Admission policies", "Ok"),
        ("Configuration", "Ok"),
        ("Cluster DNS", "Ok"),
        ("API server's endpoints", "Ok"),
        // No network plugin runs here.
        ("NetworkPolicies enforced", "NotVisible"),
    ] {
        assert_eq!(result(&checks, name)["result"], expected, "{}", result(&checks, name));
    }
    // Other tests may have put something under a reserved name just now.
    let names = result(&checks, "Reserved names");
    assert_eq!(ran.code, i32::from(names["result"] == "Failed"), "{names}");
    // The Deployment is there, and no kubelet runs it.
    let ran = run(plane.admin_kubeconfig(), &["check"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.out.contains("has no available replica"), "{}", ran.out);
}

#[tokio::test]
async fn policies_that_know_another_operator_are_told_by_name() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "renamed").await;
    let namespace = set.namespace(plane, "a").await;
    let account = json!({"metadata": {"name": "posture"}});
    create(&set.admin, "ServiceAccount", Some(&namespace), account)
        .await
        .unwrap();
    let operator = ["--operator-namespace", &namespace, "--operator-name", "posture"];
    let args = [&["check", "--pre", "-o", "json"][..], &operator].concat();
    let ran = run(plane.admin_kubeconfig(), &args).await;
    let checks = ran.json();
    let told = result(&checks, "Admission policies");
    assert_eq!((ran.code, &told["result"]), (1, &json!("Failed")), "{told}");
    let message = told["message"].as_str().unwrap();
    let user = format!("system:serviceaccount:{namespace}:posture");
    assert!(
        message.contains(&user) && message.contains("security-baseline-operator-writes"),
        "{message}"
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_or_stops_all_is_told_beside_the_other_checks() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "config").await;
    let check = async |namespace: &str, text: &str| {
        let map = json!({"metadata": {"name": "security-baseline-operator"}, "data": {"config.yaml": text}});
        create(&set.admin, "ConfigMap", Some(namespace), map).await.unwrap();
        let args = ["check", "--pre", "--operator-namespace", namespace, "-o", "json"];
        let ran = run(plane.admin_kubeconfig(), &args).await;
        assert!(!ran.out.is_empty(), "{}", ran.err);
        let checks = ran.json();
        assert_eq!(result(&checks, "Kubernetes version")["result"], "Ok");
        assert_eq!(result(&checks, "Cluster DNS")["result"], "Ok");
        (ran.code, result(&checks, "Configuration").clone())
    };
    const STOPS: &str = "the emergency stop is asked for";
    for (name, text, expected, told, stops) in [
        (
            "a",
            "wrkers: 3",
            "Failed",
            &["wrkers", "goes on with what it read before"][..],
            false,
        ),
        (
            "b",
            "wrkers: 3\nstop: true",
            "Failed",
            &["wrkers", "goes on with what it read before"],
            true,
        ),
        ("c", "stop: true", "Warning", &["stop is true"], true),
        ("d", "stop: false", "Ok", &["stop is false"], false),
    ] {
        let namespace = set.namespace(plane, name).await;
        let (code, row) = check(&namespace, text).await;
        assert_eq!(row["result"], expected, "{row}");
        let message = row["message"].as_str().unwrap();
        assert!(told.iter().all(|told| message.contains(told)), "{message}");
        assert_eq!(message.contains(STOPS), stops, "{message}");
        assert_eq!(message.lines().count(), 1, "a row is a line: {message}");
        if expected == "Failed" {
            assert_eq!(code, 1);
        }
    }
}

#[tokio::test]
async fn what_may_not_be_seen_is_unknown() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let ran = run(&reader, &["check", "--pre", "-o", "json"]).await;
    let checks = ran.json();
    assert_eq!(result(&checks, "CRD SecurityBaseline")["result"], "Unknown");
    assert_eq!(result(&checks, "NetworkPolicies enforced")["result"], "NotVisible");
    assert_eq!(result(&checks, "Cluster DNS")["result"], "Ok");
    assert_eq!(result(&checks, "Kubernetes version")["result"], "Ok");
    assert!([1, 2].contains(&ran.code), "{}", ran.err);
}

#[tokio::test]
async fn a_cluster_without_the_operator_is_looked_at_before_it_is_installed() {
    let plane = ControlPlane::start().await.unwrap();
    plane.namespace("team-a", &[]).await.unwrap();
    let container = json!({"name": "a", "image": "a"});
    let pods = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
    let objects = written(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "calico-node", "namespace": "kube-system"},
         "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pods}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "security-baseline-mine", "namespace": "team-a"},
         "spec": {"podSelector": {}}},
    ]}));
    let admin = plane.admin_kubeconfig();
    for change in [
        &["apply", "--server-side", "--filename", arg(&objects)][..],
        &["delete", "service", "kube-dns", "--namespace=kube-system"],
    ] {
        plane.kubectl_as(admin, change).await.unwrap();
    }
    let ran = run(admin, &["check", "--pre", "-o", "json"]).await;
    let checks = ran.json();
    for (name, expected, told) in [
        ("CRD SecurityBaseline", "Ok", "not there yet"),
        ("Your rights to install", "Ok", "you may install it"),
        ("Cluster DNS", "Warning", "not found"),
        ("NetworkPolicies enforced", "Ok", "Calico"),
        (
            "Reserved names",
            "Failed",
            "NetworkPolicy/security-baseline-mine in team-a",
        ),
    ] {
        let found = result(&checks, name);
        assert_eq!(found["result"], expected, "{found}");
        assert!(found["message"].as_str().unwrap().contains(told), "{found}");
    }
    assert_eq!(ran.code, 1, "{}", ran.err);
    let elsewhere = run(admin, &["check", "--operator-name", "other", "-o", "json"]).await;
    let running = result(&elsewhere.json(), "The operator").clone();
    assert!(running["message"].as_str().unwrap().contains("other"), "{running}");
}
