//! Network plugins: what is known to enforce NetworkPolicies.

use crate::cli::Failure;
use crate::cli::check::model::{Check, Outcome};
use crate::engine::ask::{self, Seen};
use crate::engine::client::Connection;

/// DaemonSets of network plugins that enforce NetworkPolicies, by their names.
const PLUGINS: [(&str, &str); 13] = [
    ("calico-node", "Calico"),
    ("cilium", "Cilium"),
    ("antrea-agent", "Antrea"),
    ("kube-router", "kube-router"),
    ("weave-net", "Weave Net"),
    ("canal", "Canal"),
    ("rke2-canal", "Canal"),
    ("anetd", "GKE Dataplane V2"),
    ("kindnet", "kindnet (of kind 0.24 or newer)"),
    ("ovnkube-node", "OVN-Kubernetes"),
    ("kube-network-policies", "kube-network-policies"),
    ("azure-npm", "Azure Network Policy Manager"),
    ("romana-agent", "Romana"),
];

/// CRDs of the same, where their DaemonSets have other names or are not to be seen.
const PLUGIN_CRDS: [(&str, &str); 4] = [
    ("felixconfigurations.crd.projectcalico.org", "Calico"),
    ("ciliumnetworkpolicies.cilium.io", "Cilium"),
    ("antreaagentinfos.crd.antrea.io", "Antrea"),
    (
        "policyendpoints.networking.k8s.aws",
        "the Amazon VPC CNI's policy agent",
    ),
];

/// Whether something is there that enforces NetworkPolicies.
pub(super) async fn enforced(connection: &Connection) -> Result<Check, Failure> {
    const NAME: &str = "NetworkPolicies enforced";
    let named = |found: Seen<Vec<(String, String)>>, known: &[(&str, &'static str)]| {
        let Seen::There(names) = found else { return None };
        known
            .iter()
            .find(|(name, _)| names.iter().any(|(_, is)| is == name))
            .map(|(_, plugin)| *plugin)
    };
    let daemon_sets = ask::names(&connection.client, ("apps", "DaemonSet", "daemonsets")).await?;
    let hidden = matches!(daemon_sets, Seen::Hidden(_));
    if let Some(plugin) = named(daemon_sets, &PLUGINS) {
        return Ok(Check::new(
            NAME,
            Outcome::Ok,
            format!("{plugin} is there; that it is set up to is up to it"),
        ));
    }
    let kind = (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    );
    let crds = ask::names(&connection.client, kind).await?;
    let hidden = hidden || matches!(crds, Seen::Hidden(_));
    if let Some(plugin) = named(crds, &PLUGIN_CRDS) {
        return Ok(Check::new(
            NAME,
            Outcome::Ok,
            format!("kinds of {plugin} are there; that it is set up to is up to it"),
        ));
    }
    let message = if hidden {
        "you may not list daemonsets or CRDs, so that no network plugin could be seen"
    } else {
        "no network plugin is known here; without one that enforces them, NetworkPolicies mean nothing"
    };
    Ok(Check::new(NAME, Outcome::NotVisible, message))
}
