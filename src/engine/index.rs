//! What is known of the cluster: a few dozen bytes for each object, not the objects themselves.
//!
//! Of a child the index keeps its UID, its resourceVersion and the digest of its canonical form. Where that digest is
//! not the wanted one, the event's object is kept beside it as evidence until the namespace is planned.

mod baselines;
mod children;
mod reports;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::config::Config;
use super::facts::{self, meta};
use crate::api::v1alpha1::{BaselineReportStatus, SecurityBaselineStatus};
use crate::core::gate::Fleet;
use crate::core::object::{Canonical, ChildId, ChildKind, Digest, RESERVED_PREFIX};
use crate::core::plan::{Plan, Step};
use crate::core::select::selects;
use crate::core::settle::{Attempt, Settled, Standing, meaning};
use crate::core::status::Tally;
use crate::core::validate::Problems;
use crate::core::world::{Baseline, ClusterFacts, Live, NamespaceFacts, Prior, PriorDrift, Recorded, World};

/// The most evidence that is kept at a time, in objects: beyond it an object is read again when it is needed.
const MOST_EVIDENCE: usize = 256;

/// The shortest time between two reports of one namespace.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of the cluster.
pub struct Index {
    config: Config,
    namespaces: BTreeMap<Arc<str>, NamespaceEntry>,
    baselines: BTreeMap<Arc<str>, BaselineEntry>,
    cluster: Arc<ClusterFacts>,
    /// Whether every kind was listed once: before that, absence means nothing.
    synced: bool,
    /// How many objects are kept as evidence.
    evidence: usize,
    /// Whether the configuration says stop.
    pub stopped: bool,
}

#[derive(Default)]
struct NamespaceEntry {
    facts: Option<NamespaceFacts>,
    /// The resourceVersion of the newest that is known of the Namespace itself.
    version: u64,
    children: BTreeMap<ChildId, ChildEntry>,
    report: Option<ReportEntry>,
    /// What is on record. It is read from the report once, when the namespace is first seen, and kept here from then on:
    /// what we did counts at once, before a report tells it, and nobody takes it away by changing or deleting the report.
    prior: Option<Prior>,
    attempt: Attempt,
    settled: Option<Stand>,
    /// How many attempts failed in a row, and of which class.
    retries: (u32, Duration),
    /// When its report was written last.
    reported: Option<Instant>,
}

/// How a namespace stands with the baseline that holds it.
struct Stand {
    holder: Option<Arc<str>>,
    /// The generation of the holder's spec that it was judged by.
    generation: i64,
    standing: Standing,
    reason: String,
    message: String,
}

#[derive(Default)]
struct ChildEntry {
    live: Option<Fingerprint>,
    wanted: Option<Digest>,
    evidence: Option<Arc<Value>>,
    /// The resourceVersion of the newest that is known of it, be it an event, an answer or its deletion. Answers to our
    /// own requests overtake events, and are overtaken by them: whatever is older says nothing.
    version: u64,
    /// The UID that we are deleting or have deleted, where the object was as we wrote it: that it is gone is nobody else's
    /// doing.
    leaving: Option<String>,
}

#[derive(Clone, PartialEq)]
struct Fingerprint {
    uid: String,
    resource_version: String,
    digest: Digest,
}

/// What is known of an object that is gone: nothing, if it vanished while nobody watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Last<'a> {
    /// Its UID.
    pub uid: Option<&'a str>,
    /// The resourceVersion of its deletion.
    pub version: Option<&'a str>,
}

/// The report of a namespace, as it was last seen or written.
struct ReportEntry {
    uid: String,
    resource_version: String,
    meaning: Digest,
}

/// A baseline, as it was last seen.
pub struct BaselineEntry {
    /// Its UID.
    pub uid: String,
    /// The resourceVersion that was seen last.
    pub resource_version: String,
    /// The generation that was judged last.
    pub judged: i64,
    /// What is wrong with it.
    pub problems: Problems,
    /// The spec that is held to, if there ever was one that was accepted.
    pub accepted: Option<Arc<Baseline>>,
    /// The status, as it was last seen or written.
    pub status: SecurityBaselineStatus,
}

/// A report as it stands in the cluster.
pub struct ReportSeen {
    /// Its UID.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// The digest of what it means.
    pub meaning: Digest,
    /// How often something drifted, by it.
    pub drifted: i64,
}

impl Index {
    /// An index of nothing.
    pub fn new(config: Config) -> Self {
        Self {
            stopped: config.stop,
            config,
            namespaces: BTreeMap::new(),
            baselines: BTreeMap::new(),
            cluster: Arc::default(),
            synced: false,
            evidence: 0,
        }
    }

    /// What holds for all namespaces.
    pub fn fleet(&self) -> Fleet {
        Fleet { stopped: self.stopped }
    }

    /// Notes that every kind was listed. Answers what is to be looked at: every namespace that something selects, or
    /// that has a report.
    pub fn all_synced(&mut self) -> Vec<Arc<str>> {
        self.synced = true;
        self.names(|index, name, entry| entry.report.is_some() || index.is_selected(name, entry))
    }

    /// Whether every kind was listed.
    pub fn is_synced(&self) -> bool {
        self.synced
    }

    /// The namespaces that something selects.
    pub fn selected(&self) -> Vec<Arc<str>> {
        self.names(Self::is_selected)
    }

    fn names(&self, pick: impl Fn(&Self, &str, &NamespaceEntry) -> bool) -> Vec<Arc<str>> {
        self.namespaces
            .iter()
            .filter(|(name, entry)| pick(self, name, entry))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn is_selected(&self, name: &str, entry: &NamespaceEntry) -> bool {
        let Some(facts) = &entry.facts else { return false };
        !self.config.excludes(name) && self.accepted().any(|b| selects(&b.spec, name, &facts.labels))
    }

    fn accepted(&self) -> impl Iterator<Item = &Arc<Baseline>> {
        self.baselines.values().filter_map(|b| b.accepted.as_ref())
    }

    fn entry(&mut self, name: &str) -> &mut NamespaceEntry {
        if !self.namespaces.contains_key(name) {
            self.namespaces.insert(name.into(), NamespaceEntry::default());
        }
        self.namespaces.entry(name.into()).or_default()
    }

    /// Takes up a namespace as it is. Answers whether it is to be looked at.
    pub fn namespace_seen(&mut self, object: &Value) -> bool {
        let facts = facts::namespace(object);
        let version = version_number(meta(object, "resourceVersion"));
        let name = facts.name.clone();
        let excluded = self.config.excludes(&name);
        let entry = self.entry(&name);
        if version < entry.version {
            return false;
        }
        entry.version = version;
        let known = entry.facts.as_ref();
        // Who touched the namespace last is only told where something else is to be told.
        let same = |known: &NamespaceFacts| {
            *known
                == NamespaceFacts {
                    claimed_by: known.claimed_by.clone(),
                    ..facts.clone()
                }
        };
        if known.is_some_and(same) {
            return false;
        }
        let mut dropped = 0;
        if known.is_some_and(|known| known.uid != facts.uid) {
            // Another namespace of the same name: nothing that was known of the old one counts.
            dropped = entry.children.values().filter(|c| c.evidence.is_some()).count();
            *entry = NamespaceEntry {
                version,
                ..NamespaceEntry::default()
            };
        }
        let had_report = entry.report.is_some();
        entry.facts = Some(facts);
        self.evidence -= dropped;
        let Some(entry) = self.namespaces.get(name.as_str()) else {
            return false;
        };
        self.synced && !excluded && (had_report || self.is_selected(&name, entry))
    }

    /// Forgets a namespace. Answers the baselines whose counts change.
    pub fn namespace_gone(&mut self, name: &str) -> Vec<Arc<str>> {
        let counted = self.counting(name);
        if let Some(entry) = self.namespaces.get_mut(name) {
            entry.facts = None;
            entry.prior = None;
            entry.settled = None;
            entry.attempt = Attempt::default();
            entry.retries = <(u32, Duration)>::default();
        }
        self.forget_if_empty(name);
        counted
    }

    /// The baselines that count a namespace: those that select it, unless it is being deleted.
    pub fn counting(&self, name: &str) -> Vec<Arc<str>> {
        let Some(facts) = self.namespaces.get(name).and_then(|e| e.facts.as_ref()) else {
            return Vec::new();
        };
        if self.config.excludes(name) || facts.terminating {
            return Vec::new();
        }
        self.accepted()
            .filter(|b| selects(&b.spec, name, &facts.labels))
            .map(|b| b.name.as_str().into())
            .collect()
    }

    fn forget_if_empty(&mut self, name: &str) {
        let empty = |e: &NamespaceEntry| {
            e.facts.is_none() && e.report.is_none() && e.children.values().all(|c| c.live.is_none())
        };
        if self.namespaces.get(name).is_some_and(empty)
            && let Some(entry) = self.namespaces.remove(name)
        {
            self.evidence -= entry.children.values().filter(|c| c.evidence.is_some()).count();
        }
    }

    /// The names of all namespaces that are known to exist.
    pub fn namespace_names(&self) -> BTreeSet<String> {
        self.namespaces
            .iter()
            .filter(|(_, e)| e.facts.is_some())
            .map(|(n, _)| n.to_string())
            .collect()
    }

    /// Changes what is true of the cluster. Answers whether that is news.
    pub fn update_cluster(&mut self, update: impl FnOnce(&mut ClusterFacts)) -> bool {
        let mut facts = (*self.cluster).clone();
        update(&mut facts);
        if *self.cluster == facts {
            return false;
        }
        self.cluster = Arc::new(facts);
        self.synced
    }
}

/// A resourceVersion as a number: of one object, a larger one is later (guaranteed from Kubernetes 1.35 on, and true of
/// etcd always). One that is no number counts as the newest, so that it is never taken for an echo.
fn version_number(version: &str) -> u64 {
    version.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod order_tests;
