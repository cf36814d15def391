//! What the API server writes in another way than it was asked is no drift, and whatever else differs is.

mod walk;

use serde_json::{Value, json};

use crate::oracles::{children, converged, owned, requests, safe, settled};
use crate::stage::{Set, api, metric, shared};
use crate::support::ControlPlane;
use crate::tamper::{live, until_repaired, version};

/// Network rules of every shape.
fn network() -> Value {
    json!({
        "defaultDeny": ["Ingress", "Egress"],
        "allowKubernetesAPI": true,
        "allowSameNamespace": true,
        "dns": {"peers": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]},
        "allow": [
            {"name": "ports", "ingress": [{"ports": [{"port": 80}, {"port": "https"}, {"port": 8000, "endPort": 8080, "protocol": "UDP"}, {"protocol": "SCTP"}]}]},
            {"name": "blocks", "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}}, {"ipBlock": {"cidr": "2001:db8::/64"}}]}]},
            {"name": "web", "podSelector": {"matchLabels": {"app": "web"}, "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]}, {"key": "gone", "operator": "DoesNotExist"},
            ]}, "ingress": [{"from": [
                {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "gateway"}}},
                {"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["dev"]}]}},
            ], "ports": [{"port": "http"}]}]},
            {"name": "out", "podSelector": {"matchExpressions": [{"key": "out", "operator": "Exists"}]}, "egress": [{"to": [{"podSelector": {}}]}]},
        ],
    })
}

fn quotas() -> Value {
    json!({"items": [
        {"name": "compute", "hard": {"requests.cpu": "1000m", "limits.cpu": "1e3", "requests.memory": "1024Mi", "limits.memory": "0.5Gi", "pods": 50}},
        {"name": "odd", "hard": {"cpu": "0.5", "memory": "1E", "requests.example.com/gpu": "4", "count/deployments.apps": "1e1", "services": "+7", "requests.storage": "1500Mi", "gold.storageclass.storage.k8s.io/requests.storage": "123456789012345"}},
        {"name": "tiny", "hard": {"cpu": "0.0001", "memory": "1.", "ephemeral-storage": ".5Gi", "hugepages-2Mi": "4Mi"}},
        {"name": "zero", "hard": {"services.nodeports": 0, "services.loadbalancers": "0.000"}},
        {"name": "scoped", "hard": {"pods": "10"}, "scopes": ["NotBestEffort", "NotTerminating"]},
        {"name": "critical", "hard": {"pods": "5", "requests.cpu": "2500m"}, "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["high", "critical"]},
        ]}},
        {"name": "any-class", "hard": {"pods": "5"}, "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}},
    ]})
}

fn limits() -> Value {
    json!({"items": [
        {"name": "only-max", "limits": [{"type": "Container", "max": {"cpu": "2000m", "memory": "1024Mi"}}]},
        {"name": "only-min", "limits": [{"type": "Container", "min": {"cpu": "0.01", "memory": "1e6"}}]},
        {"name": "all", "limits": [
            {"type": "Container", "max": {"cpu": 4}, "min": {"cpu": "10m"}, "default": {"cpu": "1.5"}, "defaultRequest": {"cpu": "0.1"}, "maxLimitRequestRatio": {"cpu": "20"}},
            {"type": "Pod", "max": {"cpu": "8", "memory": "16384Mi"}},
            {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "0.5Ti"}},
        ]},
        {"name": "tiny", "limits": [{"type": "Container", "default": {"cpu": "0.0001"}}]},
    ]})
}

fn access() -> Value {
    json!({
        "roles": [
            {"name": "deployer", "rules": [
                {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "update"], "resourceNames": ["web", "api"]},
                {"apiGroups": ["", "batch"], "resources": ["pods", "pods/log", "jobs"], "verbs": ["get", "list"]},
            ]},
            {"name": "reader", "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]},
        ],
        "bindings": [
            {"name": "everybody", "role": "deployer", "subjects": [
                {"kind": "Group", "name": "team:{namespace}:developers"},
                {"kind": "User", "name": "jane"},
                {"kind": "ServiceAccount", "name": "ci", "namespace": "{namespace}"},
                {"kind": "ServiceAccount", "name": "robot", "namespace": "default"},
                {"kind": "Group", "name": "system:authenticated"},
            ]},
            {"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "auditors"}]},
        ],
    })
}

/// Lets the operator hand out what these baselines ask for.
async fn allow(plane: &ControlPlane) {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "normalisation-grantable", "labels": {"securitybaseline.dev/aggregate-to-grantable": "true"}},
        "rules": [
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "update"]},
            {"apiGroups": ["", "batch"], "resources": ["pods", "pods/log", "jobs", "configmaps"], "verbs": ["get", "list"]},
        ],
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("role.yaml");
    std::fs::write(&file, role.to_string()).unwrap();
    plane.install(&file).await.unwrap();
}

/// A namespace that a baseline of these sections holds.
async fn held(prefix: &str, mut spec: Value) -> (&'static ControlPlane, Set, Value, String) {
    let (plane, _) = shared().await;
    allow(plane).await;
    spec["mode"] = json!("Enforce");
    // What runs is not looked at: only what is written is counted.
    spec["preflight"] = json!("Ignore");
    let set = Set::new(plane, prefix).await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(spec.clone()).await;
    // `render` cannot say all of it offline: where the API server is, say.
    set.until_enforced(1).await;
    settled(plane, &set).await;
    (plane, set, spec, namespace)
}

#[tokio::test]
async fn no_spelling_and_no_default_of_the_api_server_is_drift() {
    let (_, stage) = shared().await;
    let false_alarms = metric(&stage.operator, "security_baseline_false_alarms_total").await;
    let sections =
        json!({"networkIsolation": network(), "resourceQuotas": quotas(), "limitRanges": limits(), "access": access()});
    let created = shared().await.0.audit().mark().unwrap();
    let (plane, set, _, namespace) = held("spelling", sections).await;
    let begin = plane.audit().mark().unwrap();
    let mut written = requests(plane, &set, created);
    written.retain(|r| r.namespace.is_some() && !matches!(r.resource.as_str(), "baselinereports" | "events"));
    assert!(written.iter().all(|r| r.verb == "create"), "{written:?}");
    let all = children(&set.admin, std::slice::from_ref(&namespace)).await.unwrap();
    assert_eq!(all.len(), 4 + 7 + 4 + 2 + 2);
    assert_eq!(written.len(), all.len());
    // Every object comes by the watch once more, with nothing changed that is ours.
    for (_, kind, name) in all.keys() {
        let touch = json!({"metadata": {"annotations": {"example.com/touched": "true"}}});
        let patch = kube::api::Patch::Merge(&touch);
        api(&set.admin, kind, Some(&namespace))
            .patch(name, &Default::default(), &patch)
            .await
            .unwrap();
    }
    settled(plane, &set).await;
    let requests = requests(plane, &set, begin);
    assert!(requests.is_empty(), "{requests:?}");
    let report = live(&set, "BaselineReport", Some(&namespace), "baseline").await;
    assert_eq!(report["status"]["drift"]["total"], 0, "{report}");
    assert_eq!(
        metric(&stage.operator, "security_baseline_false_alarms_total").await,
        false_alarms
    );
}

/// Makes every change that the API server lets be made to every child of a kind, one after the other, and sees each
/// undone. Answers how many those were.
async fn tamper_with_all(kind: &str, prefix: &str, sections: Value) -> usize {
    let (plane, set, _, namespace) = held(prefix, sections).await;
    let mark = plane.audit().mark().unwrap();
    let all = children(&set.admin, std::slice::from_ref(&namespace)).await.unwrap();
    let api = api(&set.admin, kind, Some(&namespace));
    let mut effective = 0;
    for (_, _, name) in all.keys().filter(|(_, k, _)| k == kind) {
        let original = live(&set, kind, Some(&namespace), name).await;
        for (what, changed) in walk::changes(&owned(&original)) {
            // As it is now, since the quota controller writes a status beside us.
            let mut object = live(&set, kind, Some(&namespace), name).await;
            let before = version(&object);
            assert_eq!(owned(&object), owned(&original), "before {what} of {name}");
            object
                .as_object_mut()
                .unwrap()
                .extend(changed.as_object().unwrap().clone());
            object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
            let object: kube::api::DynamicObject = match serde_json::from_value(object) {
                Ok(object) => object,
                Err(error) => panic!("{what}: {error}"),
            };
            let written = match api.replace(name, &Default::default(), &object).await {
                Ok(written) => serde_json::to_value(written).unwrap(),
                // What cannot be stored cannot be drift.
                Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => continue,
                Err(error) => panic!("{what} of {name}: {error}"),
            };
            if owned(&written) == owned(&original) {
                assert!(version(&written) >= before);
                continue;
            }
            effective += 1;
            until_repaired(&set, kind, Some(&namespace), name, &original, version(&written)).await;
        }
    }
    settled(plane, &set).await;
    set.until_enforced(1).await;
    safe(plane, mark);
    let report = live(&set, "BaselineReport", Some(&namespace), "baseline").await;
    let total = report["status"]["drift"]["total"].as_u64().unwrap();
    assert_eq!(total, u64::try_from(effective).unwrap(), "each is counted once");
    println!("{kind}: {effective} effective changes");
    effective
}

#[tokio::test]
async fn every_field_of_a_network_policy_is_held() {
    let effective = tamper_with_all("NetworkPolicy", "np", json!({"networkIsolation": network()})).await;
    assert!(effective >= 180, "{effective}");
}

#[tokio::test]
async fn every_field_of_a_quota_is_held() {
    let effective = tamper_with_all("ResourceQuota", "quota", json!({"resourceQuotas": quotas()})).await;
    assert!(effective >= 60, "{effective}");
}

#[tokio::test]
async fn every_field_of_a_limit_range_is_held() {
    let effective = tamper_with_all("LimitRange", "limits", json!({"limitRanges": limits()})).await;
    assert!(effective >= 60, "{effective}");
}

#[tokio::test]
async fn every_field_of_a_role_is_held() {
    let effective = tamper_with_all("Role", "role", json!({"access": access()})).await;
    assert!(effective >= 45, "{effective}");
}

#[tokio::test]
async fn every_field_of_a_binding_is_held() {
    let effective = tamper_with_all("RoleBinding", "binding", json!({"access": access()})).await;
    assert!(effective >= 25, "{effective}");
}

#[tokio::test]
async fn what_can_only_be_changed_by_recreating_is_changed_by_recreating() {
    let (plane, set, mut spec, namespace) =
        held("fixed", json!({"resourceQuotas": quotas(), "access": access()})).await;
    let mark = plane.audit().mark().unwrap();
    let names = [
        ("ResourceQuota", "security-baseline-scoped"),
        ("RoleBinding", "security-baseline-everybody"),
    ];
    let [quota, binding] = names;
    // Asked for by the baseline, …
    let before = live(&set, quota.0, Some(&namespace), quota.1).await;
    spec["resourceQuotas"]["items"][4]["scopes"] = json!(["NotBestEffort"]);
    spec["access"]["bindings"][0]["role"] = json!("reader");
    set.baseline(spec.clone()).await;
    converged(&set, &spec, std::slice::from_ref(&namespace)).await;
    let after = live(&set, quota.0, Some(&namespace), quota.1).await;
    assert_ne!(before["metadata"]["uid"], after["metadata"]["uid"]);
    // … and put back after somebody else recreated it otherwise.
    for ((kind, name), change) in [
        (quota, json!({"spec": {"hard": {"pods": "10"}}})),
        (
            binding,
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}}),
        ),
    ] {
        let original = live(&set, kind, Some(&namespace), name).await;
        let mut object = json!({"metadata": {"name": name}});
        object
            .as_object_mut()
            .unwrap()
            .extend(owned(&original).as_object().unwrap().clone());
        object
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let api = api(&set.admin, kind, Some(&namespace));
        api.delete(name, &Default::default()).await.unwrap();
        let _ = crate::tamper::create(&set.admin, kind, &namespace, &object).await;
        until_repaired(&set, kind, Some(&namespace), name, &original, version(&original)).await;
        converged(&set, &spec, std::slice::from_ref(&namespace)).await;
    }
    safe(plane, mark);
}
