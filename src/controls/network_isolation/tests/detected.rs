//! What outlives a restart of what the egress policies are written from.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::*;

fn addresses(all: &[&str]) -> BTreeSet<IpAddr> {
    all.iter().map(|address| address.parse().unwrap()).collect()
}

fn known() -> ClusterFacts {
    ClusterFacts {
        node_local_dns: addresses(&["169.254.20.10", "192.0.2.53"]),
        ..cluster()
    }
}

/// What a baseline of this section remembers, where the configuration states the second address; after a restart.
fn remembered(section: Value, cluster: &ClusterFacts) -> Option<Detected> {
    let baseline = with_spec("b", 1, json!({"namespaceSelector": {}, "networkIsolation": section}));
    let detected = Detected::of(&baseline.spec, cluster, &addresses(&["192.0.2.53"]))?;
    Some(serde_json::from_value(serde_json::to_value(detected).unwrap()).unwrap())
}

#[test]
fn what_was_detected_renders_the_same_policy_after_a_restart_that_finds_nothing() {
    let section = json!({"defaultDeny": ["Egress"], "allowKubernetesAPI": true});
    let told = remembered(section.clone(), &known()).unwrap();
    let stated = addresses(&["192.0.2.53"]);
    let mut after = ClusterFacts {
        node_local_dns: stated.clone(),
        ..ClusterFacts::default()
    };
    assert_eq!(rendered_in(section.clone(), &after).held.len(), 1);
    told.recall(&mut after, &stated);
    assert_eq!(rendered_in(section.clone(), &after), rendered_in(section, &known()));
}

#[test]
fn what_is_found_after_a_restart_holds_against_what_was_known_before() {
    let told = remembered(json!({"defaultDeny": ["Egress"], "allowKubernetesAPI": true}), &known()).unwrap();
    let stated = addresses(&["192.0.2.53"]);
    let mut found = ClusterFacts {
        node_local_dns: addresses(&["192.0.2.53", "fd00::a"]),
        ..cluster()
    };
    found.dns.as_mut().unwrap().ports.truncate(1);
    found.api_server.as_mut().unwrap()[0].ports.clear();
    let before = found.clone();
    told.recall(&mut found, &stated);
    assert_eq!(found, before);
    // What the configuration stated earlier and no longer states is not remembered.
    let mut unstated = ClusterFacts::default();
    told.recall(&mut unstated, &BTreeSet::new());
    assert_eq!(unstated.node_local_dns, addresses(&["169.254.20.10"]));
}

#[test]
fn only_what_a_baseline_makes_use_of_is_remembered_for_it() {
    let known = known();
    let none = |section: Value| assert_eq!(remembered(section.clone(), &known), None, "{section}");
    none(json!({"defaultDeny": ["Ingress"]}));
    none(json!({"defaultDeny": ["Egress"], "allowDNS": false}));
    none(
        json!({"defaultDeny": ["Egress"], "dns": {"peers": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 53}]}}),
    );
    assert_eq!(
        remembered(json!({"defaultDeny": ["Egress"]}), &ClusterFacts::default()),
        None
    );
    let dns = remembered(json!({"defaultDeny": ["Egress"]}), &known).unwrap();
    let api = remembered(
        json!({"defaultDeny": ["Egress"], "allowDNS": false, "allowKubernetesAPI": true}),
        &known,
    )
    .unwrap();
    let recalled = |told: &Detected| {
        let mut cluster = ClusterFacts::default();
        told.recall(&mut cluster, &BTreeSet::new());
        (
            cluster.dns.is_some(),
            !cluster.node_local_dns.is_empty(),
            cluster.api_server.is_some(),
        )
    };
    assert_eq!(
        (recalled(&dns), recalled(&api)),
        ((true, true, false), (false, false, true))
    );
}

#[test]
fn a_status_does_not_grow_with_the_number_of_api_servers() {
    let section = json!({"defaultDeny": ["Egress"], "allowDNS": false, "allowKubernetesAPI": true});
    let mut cluster = known();
    let peers = &mut cluster.api_server.as_mut().unwrap()[0].peers;
    *peers = vec![peers[0].clone(); 64];
    assert!(remembered(section.clone(), &cluster).is_some());
    let peers = &mut cluster.api_server.as_mut().unwrap()[0].peers;
    peers.push(peers[0].clone());
    assert_eq!(remembered(section, &cluster), None);
}
