//! What the egress policies are written from that no spec states, and how it outlives what it was found by.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::detects_dns;
use crate::api::v1alpha1::{Direction, SecurityBaselineSpec};
use crate::core::world::{ClusterFacts, Destination};

/// The most addresses of API servers that are remembered: a status does not grow with the cluster.
const MOST_API_SERVERS: usize = 64;

/// What of the cluster a baseline's egress policies are written from, as its status keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Detected {
    /// Where the cluster's DNS is.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<Destination>,
    /// The addresses on each node at which pods reach a DNS cache, without those that the configuration states.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    node_local_addresses: BTreeSet<IpAddr>,
    /// The API server's own endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_server: Option<Vec<Destination>>,
}

impl Detected {
    /// What a baseline makes use of, of what is known of the cluster; `stated` are the addresses of DNS caches that the
    /// operator's configuration states. `None` where that is nothing.
    pub fn of(spec: &SecurityBaselineSpec, cluster: &ClusterFacts, stated: &BTreeSet<IpAddr>) -> Option<Self> {
        let section = spec.network_isolation.as_ref()?;
        if !section.denies(Direction::Egress) {
            return None;
        }
        let mut detected = Self::default();
        if detects_dns(section) {
            detected.dns.clone_from(&cluster.dns);
            detected.node_local_addresses = &cluster.node_local_dns - stated;
        }
        if section.allow_kubernetes_api == Some(true) {
            let few = |all: &&Vec<Destination>| all.iter().map(|d| d.peers.len()).sum::<usize>() <= MOST_API_SERVERS;
            detected.api_server = cluster.api_server.as_ref().filter(few).cloned();
        }
        (detected != Self::default()).then_some(detected)
    }

    /// Fills in what is not known of the cluster. What was found meanwhile holds.
    pub fn recall(&self, cluster: &mut ClusterFacts, stated: &BTreeSet<IpAddr>) {
        if cluster.dns.is_none() {
            cluster.dns.clone_from(&self.dns);
        }
        if cluster.node_local_dns == *stated {
            cluster.node_local_dns.extend(&self.node_local_addresses);
        }
        if cluster.api_server.is_none() {
            cluster.api_server.clone_from(&self.api_server);
        }
    }
}
