//! The operator's configuration file (`--config`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use k8s_openapi::jiff::SignedDuration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::facts::{MOST_ADDRESSES, address};
use crate::core::select::{ALWAYS_EXCLUDED, glob};

/// The configuration. Every key has a default; an unknown key is refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Where metrics and probes are served, as address:port.
    pub listen: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// What is logged, in the notation of `tracing` (such as `info` or `info,security_baseline_operator=debug`).
    pub log_filter: String,
    /// Emergency stop: while true nothing is written but status and reports. Taken up within seconds of a change.
    pub stop: bool,
    /// Namespaces that no baseline reaches, besides kube-system, kube-public, kube-node-lease and the operator's own,
    /// which are always excluded. `*` stands for any characters.
    pub excluded_namespaces: Vec<String>,
    /// How the cluster's DNS Service is found.
    #[serde(rename = "clusterDNS")]
    pub cluster_dns: ClusterDns,
    /// After how long everything is listed anew, to find what a watch did not tell; zero for never. Written as in Go, in
    /// hours: `6h`.
    #[serde(deserialize_with = "duration")]
    pub verification_interval: SignedDuration,
    /// How many namespaces are worked on at a time, at most: less while the API server has too much to do.
    pub workers: u16,
    /// The share of a baseline's namespaces, in percent, that may be blocked or in conflict while it is still Ready.
    pub tolerated_percent: u8,
    /// How much a change of a baseline may loosen, tighten or newly enforce without being confirmed.
    pub brake: Brake,
    /// How fast namespaces that exist already are enforced for the first time.
    pub rollout: Rollout,
    /// The longest pause, in seconds, between two repairs of what somebody keeps undoing. Where what is there is weaker
    /// than what is asked for, it is never more than 5.
    pub contested_pause_seconds: u32,
    /// What holds for all exceptions.
    pub exceptions: Exceptions,
    /// What the metrics tell.
    pub metrics: Metrics,
    /// Whether PolicyReports or Reports are written.
    pub policy_reports: PolicyReports,
    /// The namespace that the operator runs in. From the environment (POD_NAMESPACE), not from the file.
    #[serde(skip)]
    pub own_namespace: String,
}

/// How much a change of a baseline may loosen, tighten or newly enforce without being confirmed: it waits when it is about more
/// namespaces than this and about a larger share of them than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Brake {
    /// Namespaces.
    pub namespaces: u32,
    /// The share of all namespaces that the baseline holds, before or after the change, in percent.
    pub percent: u8,
    /// The most namespaces that are held and that `excludedNamespaces` may let go when the operator starts with it, where
    /// that is above the other two.
    pub confirmed_exclusions: u32,
}

/// What the metrics tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Metrics {
    /// Whether there is one metric with a sample for each namespace that some baseline holds.
    pub namespace_label: bool,
}

/// How fast namespaces that exist already are enforced for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rollout {
    /// The most namespaces in a minute for each baseline, where the baseline states nothing else.
    pub max_namespaces_per_minute: u32,
    /// The share of its writes, in percent, that may be refused before a rollout stops by itself.
    pub stop_at_refused_percent: u8,
}

/// How the cluster's DNS Service is found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterDns {
    /// Its namespace.
    pub namespace: String,
    /// Its labels, as a label selector.
    pub label_selector: String,
    /// Addresses on each node at which pods reach a DNS cache, besides those that are detected.
    pub node_local_addresses: Vec<String>,
}

impl ClusterDns {
    /// The stated addresses of a DNS cache on each node.
    pub fn node_local(&self) -> BTreeSet<IpAddr> {
        self.node_local_addresses.iter().filter_map(|a| address(a)).collect()
    }
}

/// What holds for all exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Exceptions {
    /// How long after its creation an exception may expire, at the most. Written as in Go, in hours: `720h`.
    #[serde(deserialize_with = "duration")]
    pub max_duration: SignedDuration,
    /// How long before its expiry that is told, by an event and a condition. Written as in Go, in hours: `24h`.
    #[serde(deserialize_with = "duration")]
    pub warn_before: SignedDuration,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SignedDuration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| D::Error::custom(format_args!("{text:?} is no duration: write hours, such as 720h")))
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Whether PolicyReports (`wgpolicyk8s.io`) or Reports (`openreports.io`) are written for other tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum PolicyReports {
    /// Where the cluster has one of the kinds.
    #[default]
    Auto,
    /// Never, and it is not looked whether the cluster has them.
    Off,
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be understood.
    #[error("the configuration file {path} cannot be understood: {message}")]
    Malformed {
        /// The file.
        path: String,
        /// Where and why.
        message: String,
    },
    /// A key has a value that cannot be.
    #[error("{key}: {message}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What is wrong, and the mend.
        message: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8080".to_owned(),
            log_format: LogFormat::Json,
            log_filter: "info".to_owned(),
            stop: false,
            excluded_namespaces: shipped_exclusions(),
            cluster_dns: ClusterDns::default(),
            verification_interval: SignedDuration::from_hours(6),
            workers: 64,
            tolerated_percent: 20,
            brake: Brake::default(),
            rollout: Rollout::default(),
            contested_pause_seconds: 300,
            exceptions: Exceptions::default(),
            metrics: Metrics::default(),
            policy_reports: PolicyReports::default(),
            own_namespace: "security-baseline-system".to_owned(),
        }
    }
}

/// The exclusions of the configuration that is shipped: one list, and its reasons, in one place.
fn shipped_exclusions() -> Vec<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shipped {
        excluded_namespaces: Vec<String>,
    }
    serde_saphyr::from_str::<Shipped>(SHIPPED)
        .map(|s| s.excluded_namespaces)
        .unwrap_or_default()
}

/// The configuration that is shipped.
const SHIPPED: &str = include_str!("../../config/manager/config.yaml");

impl Default for Brake {
    fn default() -> Self {
        Self {
            namespaces: 10,
            percent: 10,
            confirmed_exclusions: 0,
        }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            max_namespaces_per_minute: 60,
            stop_at_refused_percent: 20,
        }
    }
}

impl Default for ClusterDns {
    fn default() -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            label_selector: "k8s-app=kube-dns".to_owned(),
            node_local_addresses: Vec::new(),
        }
    }
}

impl Default for Exceptions {
    fn default() -> Self {
        Self {
            max_duration: SignedDuration::from_hours(720),
            warn_before: SignedDuration::from_hours(24),
        }
    }
}

/// The longest limit that may be set: a year. What is to last longer is no exception, but another baseline.
const LONGEST_EXCEPTION: SignedDuration = SignedDuration::from_hours(8760);

/// The longest interval between two lists of everything: what is rarer might as well be never.
const LONGEST_VERIFICATION: SignedDuration = SignedDuration::from_hours(720);

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or the key, and the mend.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: shown.clone(),
            source,
        })?;
        Self::parse(&text, &shown)
    }

    /// Reads and checks the text of a configuration that stands in a place of this name.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, shown: &str) -> Result<Self, ConfigError> {
        let config = if text.trim().is_empty() {
            Self::default()
        } else {
            serde_saphyr::from_str::<Self>(text).map_err(|error| ConfigError::Malformed {
                path: shown.to_owned(),
                message: error.to_string(),
            })?
        };
        config.check()?;
        Ok(config)
    }

    /// Whether a configuration file asks for the emergency stop, whatever else is wrong with it: what somebody writes in an
    /// emergency must not depend on an earlier mistake. A file that cannot be read asks for nothing.
    pub fn asks_to_stop(path: &Path) -> bool {
        std::fs::read_to_string(path).is_ok_and(|text| says_stop(&text))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let invalid = |key, message: &str| {
            Err(ConfigError::Invalid {
                key,
                message: message.to_owned(),
            })
        };
        if self.listen.parse::<std::net::SocketAddr>().is_err() {
            return invalid("listen", "write an address and a port, such as 0.0.0.0:8080");
        }
        if self.log_filter.parse::<tracing_subscriber::EnvFilter>().is_err() {
            return invalid("logFilter", "write a level or a filter, such as info");
        }
        if !(1..=256).contains(&self.workers) {
            return invalid("workers", "write a number from 1 to 256");
        }
        if self.tolerated_percent > 100 {
            return invalid("toleratedPercent", "write a number from 0 to 100");
        }
        if self.brake.percent > 100 {
            return invalid("brake.percent", "write a number from 0 to 100");
        }
        if !(1..=1_000_000).contains(&self.rollout.max_namespaces_per_minute) {
            return invalid("rollout.maxNamespacesPerMinute", "write a number from 1 to 1000000");
        }
        if !(1..=100).contains(&self.rollout.stop_at_refused_percent) {
            return invalid("rollout.stopAtRefusedPercent", "write a number from 1 to 100");
        }
        if self.contested_pause_seconds > 3600 {
            return invalid("contestedPauseSeconds", "write a number from 0 to 3600");
        }
        if self.verification_interval.is_negative() || self.verification_interval > LONGEST_VERIFICATION {
            return invalid(
                "verificationInterval",
                "write a duration of at most 720h, such as 6h, or 0h for never",
            );
        }
        let longest = self.exceptions.max_duration;
        if !longest.is_positive() || longest > LONGEST_EXCEPTION {
            return invalid(
                "exceptions.maxDuration",
                "write a duration of at most 8760h (a year), such as 720h",
            );
        }
        if self.exceptions.warn_before.is_negative() || self.exceptions.warn_before > LONGEST_EXCEPTION {
            return invalid(
                "exceptions.warnBefore",
                "write a duration of at most 8760h (a year), such as 24h, or 0h",
            );
        }
        if self.excluded_namespaces.iter().any(|p| p.is_empty() || p.len() > 63) {
            return invalid(
                "excludedNamespaces",
                "each is the name of a namespace, in which `*` stands for any characters",
            );
        }
        if self.cluster_dns.namespace.is_empty() || self.cluster_dns.label_selector.is_empty() {
            return invalid(
                "clusterDNS",
                "name the namespace and the labels of the cluster's DNS Service",
            );
        }
        let addresses = &self.cluster_dns.node_local_addresses;
        if addresses.len() > MOST_ADDRESSES || addresses.iter().any(|a| address(a).is_none()) {
            return invalid(
                "clusterDNS.nodeLocalAddresses",
                "write at most 16 IP addresses, such as 169.254.20.10, that pods can reach",
            );
        }
        Ok(())
    }

    /// Whether a namespace is out of reach for every baseline, whatever the file says.
    pub fn always_excludes(&self, namespace: &str) -> bool {
        ALWAYS_EXCLUDED.contains(&namespace) || namespace == self.own_namespace
    }

    /// Whether a namespace is out of reach for every baseline.
    pub fn excludes(&self, namespace: &str) -> bool {
        self.always_excludes(namespace) || self.excluded_namespaces.iter().any(|pattern| glob(pattern, namespace))
    }
}

/// Whether the text of a configuration asks for the emergency stop, whatever else is wrong with it. The line alone counts where the rest is not even YAML.
pub(super) fn says_stop(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Only {
        stop: bool,
    }
    let line = |line: &str| line.split('#').next().map(str::trim_end) == Some("stop: true");
    serde_saphyr::from_str::<Only>(text).is_ok_and(|only| only.stop) || text.lines().any(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::load(file.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(load("").unwrap(), Config::default());
        for hours in ["168h", "8760h", "1h30m"] {
            let config = load(&format!("exceptions: {{maxDuration: {hours}}}")).unwrap();
            assert_eq!(config.exceptions.max_duration, hours.parse().unwrap());
        }
        assert_eq!(
            load("stop: true\n").unwrap(),
            Config {
                stop: true,
                ..Config::default()
            }
        );
    }

    #[test]
    fn the_shipped_configuration_states_the_defaults() {
        assert_eq!(load(SHIPPED).unwrap(), Config::default());
        assert!(Config::default().excludes("openshift-dns") && Config::default().excludes("calico-system"));
    }

    #[test]
    fn an_unknown_key_or_a_bad_value_is_refused_by_name() {
        for (text, named) in [
            ("wrkers: 3", "wrkers"),
            ("workers: 0", "workers"),
            ("workers: many", "workers"),
            ("listen: nowhere", "listen"),
            ("toleratedPercent: 101", "toleratedPercent"),
            ("verificationInterval: -1h", "verificationInterval"),
            ("verificationInterval: 721h", "verificationInterval"),
            ("verificationInterval: 6", "write hours"),
            ("contestedPauseSeconds: 3601", "contestedPauseSeconds"),
            ("policyReports: On", "Auto"),
            ("brake: {percent: 101}", "brake.percent"),
            ("brake: {namespace: 1}", "namespace"),
            ("rollout: {maxNamespacesPerMinute: 0}", "rollout.maxNamespacesPerMinute"),
            ("rollout: {stopAtRefusedPercent: 0}", "rollout.stopAtRefusedPercent"),
            ("logFormat: xml", "logFormat"),
            ("excludedNamespaces: ['']", "excludedNamespaces"),
            ("clusterDNS: {namespace: ''}", "clusterDNS"),
            ("exceptions: {maxDuration: 0h}", "exceptions.maxDuration"),
            ("exceptions: {maxDuration: -1h}", "exceptions.maxDuration"),
            ("exceptions: {maxDuration: 8761h}", "exceptions.maxDuration"),
            ("exceptions: {maxDuration: 30d}", "write hours, such as 720h"),
            ("exceptions: {maxDuration: 720}", "write hours, such as 720h"),
            ("exceptions: {max: 720h}", "max"),
            ("metrics: {namespaceLabels: true}", "namespaceLabels"),
            (
                "clusterDNS: {nodeLocalAddresses: [169.254.20.10/32]}",
                "nodeLocalAddresses",
            ),
            (
                "clusterDNS: {nodeLocalAddresses: [169.254.20.10, 0.0.0.0]}",
                "nodeLocalAddresses",
            ),
            ("exceptions: {warnBefore: -1h}", "exceptions.warnBefore"),
            ("exceptions: {warnBefore: 1d}", "write hours, such as 720h"),
        ] {
            let error = load(text).unwrap_err();
            assert!(
                error.contains(named) || error.contains("xml") || error.contains("many"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn the_emergency_stop_is_asked_for_whatever_else_is_wrong_in_the_file() {
        for (text, stops) in [
            ("stop: true", true),
            ("{stop: true, workers: 0}", true),
            ("wrkers: 3\nstop: true # since noon\n", true),
            ("workers: many\nstop: true", true),
            ("workers: [\nstop: true\n", true),
            ("stop: false\nstop: true\n", true),
            ("stop: false\nworkers: 0", false),
            ("# stop: true\nworkers: 0", false),
            ("logFilter: |\n  stop: true\nworkers: 0", false),
            ("stop: perhaps", false),
            ("", false),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(Config::asks_to_stop(file.path()), stops, "{text}");
        }
        assert!(!Config::asks_to_stop(Path::new("/nonexistent")));
    }

    #[test]
    fn stated_addresses_of_node_local_dns_are_taken_as_they_are() {
        let config = load("clusterDNS: {nodeLocalAddresses: [169.254.25.10, 'fd00::a']}").unwrap();
        let found: Vec<_> = config
            .cluster_dns
            .node_local()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["169.254.25.10", "fd00::a"]);
    }

    #[test]
    fn system_namespaces_and_the_operators_own_are_excluded_whatever_the_file_says() {
        let config = Config {
            excluded_namespaces: vec!["openshift-*".into()],
            ..Config::default()
        };
        for name in [
            "kube-system",
            "kube-public",
            "kube-node-lease",
            "security-baseline-system",
            "openshift-dns",
        ] {
            assert!(config.excludes(name), "{name}");
        }
        assert!(!config.excludes("team-a"));
    }
}
