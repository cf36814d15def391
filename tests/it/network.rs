//! Network policies: DNS and the API server stay reachable, and nothing else that was not meant.

use std::path::Path;

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::oracles::{ends_quietly, ends_well};
use crate::stage::{BINARY, Set, api, condition, control, create, delete, get, merge, own, shared};
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, Stage};

const EGRESS: &str = "security-baseline-default-deny-egress";
const INGRESS: &str = "security-baseline-default-deny-ingress";

fn isolation(section: Value) -> Value {
    json!({"mode": "Enforce", "networkIsolation": section})
}

fn both() -> Value {
    isolation(json!({"defaultDeny": ["Ingress", "Egress"]}))
}

/// The rule for DNS, as the cluster's DNS Service says.
fn dns(ports: Value) -> Value {
    json!({
        "to": [{
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }],
        "ports": ports,
    })
}

fn port(protocol: &str, port: Value) -> Value {
    json!({"protocol": protocol, "port": port})
}

#[tokio::test]
async fn both_directions_are_denied_and_the_clusters_dns_stays_reachable() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "dns").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(both()).await;
    set.until_enforced(1).await;
    let service = get(&set.admin, "Service", Some("kube-system"), "kube-dns")
        .await
        .unwrap();
    assert_eq!(service["spec"]["selector"], json!({"k8s-app": "kube-dns"}));
    let ports = json!([port("UDP", json!(53)), port("TCP", json!(53))]);
    let egress = set.present("NetworkPolicy", &namespace, EGRESS).await;
    assert_eq!(
        egress["spec"],
        json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [dns(ports)]})
    );
    let ingress = set.present("NetworkPolicy", &namespace, INGRESS).await;
    assert_eq!(ingress["spec"], json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
    ends_well(plane, &set, &both(), &[namespace]).await;
}

#[tokio::test]
async fn dns_may_be_stated_or_denied_and_the_api_server_allowed() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "stated").await;
    let namespace = set.namespace(plane, "a").await;
    let stated =
        json!({"peers": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [{"protocol": "UDP", "port": 53}]});
    set.baseline(isolation(
        json!({"defaultDeny": ["Egress"], "dns": stated, "allowKubernetesAPI": true, "allowSameNamespace": true}),
    ))
    .await;
    set.until_enforced(1).await;
    let slices = api(&set.admin, "EndpointSlice", Some("default"));
    let slice = serde_json::to_value(slices.get("kubernetes").await.unwrap()).unwrap();
    let address = slice["endpoints"][0]["addresses"][0].as_str().unwrap();
    let policy = set.present("NetworkPolicy", &namespace, EGRESS).await;
    assert_eq!(
        policy["spec"]["egress"],
        json!([
            {"to": [{"ipBlock": {"cidr": format!("{address}/32")}}], "ports": [port("TCP", slice["ports"][0]["port"].clone())]},
            {"to": [{"podSelector": {}}]},
            {"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [port("UDP", json!(53))]},
        ])
    );
    assert!(
        get(&set.admin, "NetworkPolicy", Some(&namespace), INGRESS)
            .await
            .is_none()
    );

    let silent = isolation(json!({"defaultDeny": ["Egress"], "allowDNS": false}));
    set.baseline(silent.clone()).await;
    set.object_until("NetworkPolicy", &namespace, EGRESS, "denies all", |p| {
        p["spec"] == json!({"podSelector": {}, "policyTypes": ["Egress"]})
    })
    .await;
    ends_well(plane, &set, &silent, &[namespace]).await;
}

#[tokio::test]
async fn a_named_rule_for_some_pods_is_a_policy_of_its_own_in_its_directions_only() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "named").await;
    let namespace = set.namespace(plane, "a").await;
    let web = json!({"matchLabels": {"app": "web"}});
    let ingress = json!([{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}], "ports": [{"port": 8080, "endPort": 8090}]}]);
    let egress = json!([{"to": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25"]}}], "ports": [{"protocol": "TCP", "port": "postgres"}]}]);
    let spec = isolation(json!({"defaultDeny": ["Ingress", "Egress"], "allow": [
        {"name": "in", "podSelector": web, "ingress": ingress},
        {"name": "out", "podSelector": web, "egress": egress},
        {"name": "all-pods", "podSelector": {}, "ingress": ingress},
    ]}));
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let mut with_protocol = ingress.clone();
    with_protocol[0]["ports"][0]["protocol"] = json!("TCP");
    let inward = set
        .present("NetworkPolicy", &namespace, "security-baseline-allow-in")
        .await;
    assert_eq!(
        inward["spec"],
        json!({"podSelector": web, "policyTypes": ["Ingress"], "ingress": with_protocol})
    );
    let outward = set
        .present("NetworkPolicy", &namespace, "security-baseline-allow-out")
        .await;
    assert_eq!(
        outward["spec"],
        json!({"podSelector": web, "policyTypes": ["Egress"], "egress": egress})
    );
    // What is for all pods stands in the deny itself.
    let denied = set.present("NetworkPolicy", &namespace, INGRESS).await;
    assert_eq!(denied["spec"]["ingress"], with_protocol);
    let none = get(
        &set.admin,
        "NetworkPolicy",
        Some(&namespace),
        "security-baseline-allow-all-pods",
    )
    .await;
    assert!(none.is_none());
    ends_well(plane, &set, &spec, &[namespace]).await;
}

/// Deletes the cluster's DNS Service; answers it as it can be created again.
async fn without_dns(set: &Set) -> Value {
    let mut service = get(&set.admin, "Service", Some("kube-system"), "kube-dns")
        .await
        .unwrap();
    delete(&set.admin, "Service", Some("kube-system"), "kube-dns").await;
    service["metadata"] = json!({"name": "kube-dns", "labels": service["metadata"]["labels"]});
    service.as_object_mut().unwrap().remove("status");
    service
}

/// Waits until the set's baseline remembers this of the cluster's DNS.
async fn until_remembered(set: &Set, dns: &Value) {
    set.baseline_until(&set.name, "remembers the DNS", |baseline| {
        let told = &baseline["status"]["detected"]["dns"];
        (&told["peers"], &told["ports"]) == (&dns["to"], &dns["ports"])
    })
    .await;
}

/// Opens egress, as a tenant's client would.
async fn open_up(set: &Set, namespace: &str) {
    let open = json!({"spec": {"egress": [{}]}});
    merge(&set.admin, "NetworkPolicy", Some(namespace), EGRESS, open)
        .await
        .unwrap();
}

#[tokio::test]
async fn policies_follow_the_clusters_dns_and_the_last_known_one_is_held_to_after_a_restart_without_it() {
    let (plane, mut stage) = own().await;
    let set = Set::new(&plane, "follows").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(both()).await;
    set.until_enforced(1).await;
    // The pods behind it listen elsewhere: the policies follow without a restart.
    let ports = json!([
        {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 1053},
        {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": "dns-tcp"},
        {"name": "metrics", "protocol": "TCP", "port": 9153, "targetPort": 9153},
    ]);
    merge(
        &set.admin,
        "Service",
        Some("kube-system"),
        "kube-dns",
        json!({"spec": {"ports": ports}}),
    )
    .await
    .unwrap();
    let moved = dns(json!([port("UDP", json!(1053)), port("TCP", json!("dns-tcp"))]));
    let is_moved = |p: &Value| p["spec"]["egress"] == json!([moved]);
    set.object_until("NetworkPolicy", &namespace, EGRESS, "follows", is_moved)
        .await;
    set.until_enforced(1).await;
    until_remembered(&set, &moved).await;

    // An operator that starts without it holds everybody to what was known last.
    stage.operator.kill().unwrap();
    let service = without_dns(&set).await;
    open_up(&set, &namespace).await;
    let late = set.namespace(&plane, "late").await;
    stage.restart(&plane).await.unwrap();
    for namespace in [&namespace, &late] {
        set.object_until("NetworkPolicy", namespace, EGRESS, "is as it was", is_moved)
            .await;
    }
    open_up(&set, &namespace).await;
    set.object_until("NetworkPolicy", &namespace, EGRESS, "is repaired", is_moved)
        .await;
    delete(&set.admin, "NetworkPolicy", Some(&namespace), EGRESS).await;
    set.object_until("NetworkPolicy", &namespace, EGRESS, "is there again", is_moved)
        .await;
    set.report_until(&namespace, "counts what was done to it", |r| {
        r["status"]["drift"]["total"] == 3 && r["status"]["drift"]["repaired"] == 3
    })
    .await;
    set.until_enforced(2).await;

    // And follows it again once it is back.
    let mut elsewhere = service;
    elsewhere["spec"]["ports"][0]["targetPort"] = json!(5353);
    create(&set.admin, "Service", Some("kube-system"), elsewhere)
        .await
        .unwrap();
    let again = dns(json!([port("UDP", json!(5353)), port("TCP", json!("dns-tcp"))]));
    set.object_until("NetworkPolicy", &late, EGRESS, "follows again", |p| {
        p["spec"]["egress"] == json!([again])
    })
    .await;
    until_remembered(&set, &again).await;
    ends_quietly(&plane, &set, &[namespace, late]).await;
}

#[tokio::test]
async fn egress_waits_while_no_dns_is_known_and_what_is_in_place_is_watched() {
    let (plane, mut stage) = own().await;
    let set = Set::new(&plane, "unknown").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(both()).await;
    set.until_enforced(1).await;
    let found = dns(json!([port("UDP", json!(53)), port("TCP", json!(53))]));
    let is_denied = |p: &Value| p["spec"]["egress"] == json!([found]);
    until_remembered(&set, &found).await;
    set.report_until(&namespace, "has both on record", |r| {
        r["status"]["inventory"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await;

    // As after an operator that remembered nothing. It leaves what is there, and denies nobody else's egress.
    stage.operator.kill().unwrap();
    let forgotten = json!({"status": {"detected": null}});
    api(&set.admin, "SecurityBaseline", None)
        .patch_status(&set.name, &PatchParams::default(), &Patch::Merge(forgotten))
        .await
        .unwrap();
    let service = without_dns(&set).await;
    let late = set.namespace(&plane, "late").await;
    stage.restart(&plane).await.unwrap();
    set.present("NetworkPolicy", &late, INGRESS).await;
    let report = set
        .report_until(&late, "says that DNS was not found", |r| {
            control(r, "networkIsolation")["blocked"][0]["reason"] == "DNSNotFound"
        })
        .await;
    let note = &control(&report, "networkIsolation")["blocked"][0];
    assert_eq!(note["object"], format!("NetworkPolicy/{EGRESS}"));
    assert!(
        note["message"].as_str().unwrap().contains("networkIsolation.dns"),
        "{note}"
    );
    let stalled = set.until("Stalled", "True").await;
    assert_eq!(condition(&stalled, "Ready")["reason"], "Blocked");
    assert!(get(&set.admin, "NetworkPolicy", Some(&late), EGRESS).await.is_none());
    let kept = set.present("NetworkPolicy", &namespace, EGRESS).await;
    assert!(is_denied(&kept), "{kept}");

    // What somebody does to it is not undone, since nobody knows what it was; but it is told.
    open_up(&set, &namespace).await;
    let report = set
        .report_until(&namespace, "tells that it was changed", |r| {
            r["status"]["drift"]["total"] == 1
        })
        .await;
    let finding = &control(&report, "networkIsolation")["findings"][0];
    assert_eq!(finding["reason"], "Changed", "{report}");
    assert_eq!(finding["object"], format!("NetworkPolicy/{EGRESS}"));
    let record = &report["status"]["drift"]["records"][0];
    assert!(
        record["found"].as_str().unwrap().contains(r#""egress":[{}]"#),
        "{record}"
    );
    assert_ne!(record["claimedBy"], "unknown", "{record}");
    delete(&set.admin, "NetworkPolicy", Some(&namespace), EGRESS).await;
    set.report_until(&namespace, "tells that it was deleted", |r| {
        control(r, "networkIsolation")["findings"][0]["reason"] == "Deleted" && r["status"]["drift"]["total"] == 2
    })
    .await;

    create(&set.admin, "Service", Some("kube-system"), service)
        .await
        .unwrap();
    for namespace in [&namespace, &late] {
        set.object_until("NetworkPolicy", namespace, EGRESS, "is there", is_denied)
            .await;
    }
    set.until_enforced(2).await;
    ends_well(&plane, &set, &both(), &[namespace, late]).await;
}

const CACHE: &str = "node-local-dns";

/// A Corefile that binds to these addresses.
fn corefile(bind: &str) -> Value {
    let zone = |zone: &str| {
        format!(
            "{zone}:53 {{\n    errors\n    cache 30\n    bind {bind}\n    forward . 10.96.0.11 {{\n        force_tcp\n    }}\n}}\n"
        )
    };
    json!({"Corefile": zone("cluster.local") + &zone("in-addr.arpa")})
}

/// The rule for a DNS cache on each node.
fn node_local(cidrs: &[&str]) -> Value {
    let peers: Vec<Value> = cidrs.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect();
    json!({"to": peers, "ports": [port("UDP", json!(53)), port("TCP", json!(53))]})
}

#[tokio::test]
async fn policies_follow_the_dns_cache_on_each_node_and_keep_what_was_found_when_it_goes() {
    let plane = ControlPlane::start().await.unwrap();
    let stated = |configuration: &mut Value| {
        configuration["clusterDNS"]["nodeLocalAddresses"] = json!(["169.254.25.10"]);
    };
    let mut stage = Stage::with(&plane, Path::new(BINARY), stated).await.unwrap();
    let set = Set::new(&plane, "cache").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(both()).await;
    set.until_enforced(1).await;
    let cluster = dns(json!([port("UDP", json!(53)), port("TCP", json!(53))]));
    let until = async |cidrs: &[&str]| {
        let rules = json!([cluster, node_local(cidrs)]);
        set.object_until("NetworkPolicy", &namespace, EGRESS, "allows the cache", |p| {
            p["spec"]["egress"] == rules
        })
        .await;
    };
    until(&["169.254.25.10/32"]).await;

    // As it is shipped, with placeholders, it says nothing; once they are filled in, it does.
    let map = |bind: &str| json!({"metadata": {"name": CACHE}, "data": corefile(bind)});
    let template = "__PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__";
    create(&set.admin, "ConfigMap", Some("kube-system"), map(template))
        .await
        .unwrap();
    let filled = json!({"data": corefile("169.254.20.10 10.96.0.10")});
    merge(&set.admin, "ConfigMap", Some("kube-system"), CACHE, filled)
        .await
        .unwrap();
    until(&["10.96.0.10/32", "169.254.20.10/32", "169.254.25.10/32"]).await;
    let moved = json!({"data": corefile("fd00::a")});
    merge(&set.admin, "ConfigMap", Some("kube-system"), CACHE, moved)
        .await
        .unwrap();
    until(&["169.254.25.10/32", "fd00::a/128"]).await;

    let emptied = json!({"data": corefile(template)});
    merge(&set.admin, "ConfigMap", Some("kube-system"), CACHE, emptied)
        .await
        .unwrap();
    set.fence(&namespace, both()).await;
    delete(&set.admin, "ConfigMap", Some("kube-system"), CACHE).await;
    set.fence(&namespace, both()).await;
    until(&["169.254.25.10/32", "fd00::a/128"]).await;
    let report = set.report_until(&namespace, "is there", |_| true).await;
    assert_eq!(report["status"]["drift"]["total"], 0, "nobody broke anything: {report}");

    // After a restart, too.
    stage.operator.kill().unwrap();
    stage.restart(&plane).await.unwrap();
    set.fence(&namespace, both()).await;
    until(&["169.254.25.10/32", "fd00::a/128"]).await;

    // It may read this ConfigMap, and no other.
    let operator = plane
        .client_for_service_account(OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT)
        .await
        .unwrap();
    let maps = api(&operator, "ConfigMap", Some("kube-system"));
    assert!(maps.get_opt(CACHE).await.unwrap().is_none());
    for refused in [
        maps.get("other").await.map(drop),
        maps.list(&Default::default()).await.map(drop),
    ] {
        assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 403));
    }
    ends_quietly(&plane, &set, &[namespace]).await;
}
