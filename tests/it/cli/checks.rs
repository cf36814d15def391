//! `check`: can this cluster, and the operator in it, do it?

use serde_json::Value;

use super::{reader, run};
use crate::stage::shared;

fn result<'a>(checks: &'a Value, name: &str) -> &'a Value {
    let found = checks.as_array().unwrap().iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name}: {checks}"))
}

#[tokio::test]
async fn a_cluster_with_the_operators_rights_passes() {
    let (plane, _) = shared().await;
    let ran = run(plane.admin_kubeconfig(), &["check", "--pre", "-o", "json"]).await;
    let checks = ran.json();
    for (name, expected) in [
        ("Kubernetes version", "Ok"),
        ("CRD SecurityBaseline", "Ok"),
        ("The operator's rights", "Ok"),
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
