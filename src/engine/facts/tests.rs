use serde_json::json;

use super::*;

#[test]
fn dns_is_where_the_services_pods_listen_and_not_their_metrics() {
    let service = json!({
        "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {"selector": {"k8s-app": "kube-dns"}, "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 1053},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": "dns-tcp"},
            {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
        ]},
    });
    let found = serde_json::to_value(dns(&service).unwrap().ports).unwrap();
    assert_eq!(
        found,
        json!([{"protocol": "UDP", "port": 1053}, {"protocol": "TCP", "port": "dns-tcp"}])
    );
    assert!(dns(&json!({"spec": {"ports": [{"port": 53}]}})).is_none());
}

#[test]
fn a_label_is_ours_when_our_apply_owns_it() {
    let object = json!({"metadata": {"name": "a", "managedFields": [
        {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:a/b": {}}}}},
        {"manager": FIELD_MANAGER, "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:c": {}}}}},
        {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:d": {}}}}},
    ]}});
    assert_eq!(namespace(&object).our_labels, BTreeSet::from(["a/b".to_owned()]));
}

const LEVEL: &str = "pod-security.kubernetes.io/enforce";

/// A Namespace with labels, and entries in its `managedFields`: manager, operation, label.
fn labelled(entries: &[(&str, &str, &str)]) -> NamespaceFacts {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(manager, operation, label)| {
            let label = format!("f:{label}");
            json!({"manager": manager, "operation": operation, "fieldsV1": {"f:metadata": {"f:labels": {label: {}}}}})
        })
        .collect();
    namespace(
        &json!({"metadata": {"name": "a", "labels": {LEVEL: "privileged", "team": "a"}, "managedFields": entries}}),
    )
}

#[test]
fn a_label_is_claimed_by_whoever_owns_it_and_only_what_is_not_ours_is_remembered() {
    let mixed = labelled(&[("kubectl-label", "Update", LEVEL), ("helm", "Apply", "team")]);
    assert_eq!(mixed.claim(LEVEL).by, "kubectl-label");
    assert_eq!(mixed.claims.len(), 1, "nobody asks for the other label");
    let ours = labelled(&[(FIELD_MANAGER, "Apply", LEVEL), ("helm", "Apply", "team")]);
    assert!(ours.claims.is_empty(), "as in every namespace at rest");
    assert!(ours.claim(LEVEL).states_our_name());
    let pretended = labelled(&[(FIELD_MANAGER, "Update", LEVEL)]);
    assert!(pretended.claim(LEVEL).states_our_name());
    assert_eq!(pretended.claim(LEVEL).operation, "Update");
    assert_eq!(
        ours.claim("pod-security.kubernetes.io/warn"),
        Claim::unknown(),
        "it is not there"
    );
}

#[test]
fn what_keeps_an_object_is_told_with_who_claims_it() {
    let object = |finalizers: Value, deleted: bool| {
        let mut object = json!({"metadata": {"finalizers": finalizers, "managedFields": [
            {"manager": "kubectl-edit", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:metadata": {"f:finalizers": {".": {}, "v:\"a/b\"": {}}}}},
            {"manager": "helm", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
        ]}});
        if deleted {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        object
    };
    assert_eq!(kept(&object(json!([]), true)), None);
    assert_eq!(kept(&object(json!(null), false)), None);
    let found = kept(&object(json!(["a/b", "x".repeat(5000)]), true)).unwrap();
    assert_eq!((found.by.as_str(), found.deleted), ("kubectl-edit", true));
    assert!(found.finalizers.starts_with("a/b, x") && found.finalizers.chars().count() == 256);
}

fn bound(corefile: &str) -> Vec<String> {
    let found = node_local_dns(&json!({"data": {"Corefile": corefile}}));
    found.into_iter().map(|address| address.to_string()).collect()
}

#[test]
fn node_local_dns_is_where_its_corefile_binds_and_a_placeholder_is_nowhere() {
    let block = |bind: &str| {
        format!(
            "cluster.local:53 {{\n    errors\n    {bind}\n    forward . 10.96.0.11 {{\n    force_tcp\n    }}\n    health 169.254.20.10:8080\n}}\n"
        )
    };
    let template = block("bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__");
    assert_eq!(bound(&template), [""; 0]);
    let filled = block("bind 169.254.20.10 10.96.0.10") + &block("bind 169.254.20.10 10.96.0.10");
    assert_eq!(bound(&filled), ["10.96.0.10", "169.254.20.10"]);
    assert_eq!(bound(&block("bind 169.254.20.10")), ["169.254.20.10"]);
    assert_eq!(bound(&block("bind fd00::a ::ffff:192.0.2.1")), ["192.0.2.1", "fd00::a"]);
    // Neither is what it does not listen on, what pods cannot reach, or what is no address.
    for bind in [
        "# bind 192.0.2.1",
        "bind 0.0.0.0",
        "bind :: 127.0.0.1 ::1",
        "bind eth0 {",
        "bind eth0 { except 192.0.2.1 }",
        "bind 169.254.20.10/16 169.254.20.10:53",
        "bind 224.0.0.1 255.255.255.255",
        "bound 192.0.2.1",
    ] {
        assert_eq!(bound(&block(bind)), [""; 0], "{bind}");
    }
    let many: Vec<_> = (0..200).map(|i| format!("192.0.2.{i}")).collect();
    assert_eq!(bound(&block(&format!("bind {}", many.join(" ")))).len(), MOST_ADDRESSES);
    assert!(node_local_dns(&json!({"metadata": {}})).is_empty());
}
