//! What is known of the cluster: a few dozen bytes for each object, not the objects themselves.
//!
//! Of a child the index keeps its UID, its resourceVersion and the digest of its canonical form. Where that digest is
//! not the wanted one, the event's object is kept beside it as evidence until the namespace is planned.

mod baselines;
mod children;
mod coverage;
mod exceptions;
mod foreign;
mod forms;
mod kept;
mod reports;
mod sent;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use litemap::LiteMap;
use serde_json::Value;
use tokio::time::Instant;

use self::forms::Forms;
use self::kept::{Facts, Pools, Record, Uid, Version};
pub use self::sent::Sent;
use super::apply::Effect;
use super::baselines::only_audited;
use super::config::Config;
use super::events::Troubles;
use super::facts::{self, meta};
use crate::api::v1alpha1::{BaselineReportStatus, DeletionPolicy, SecurityBaselineStatus};
use crate::controls::REGISTRY;
use crate::core::fight::Fights;
use crate::core::gate::Fleet;
use crate::core::membership::{Members, OnRecord, Standing, admitted, members, standing};
use crate::core::merge::{Effective, merge};
use crate::core::object::{Canonical, Child, ChildId, ChildKind, Digest, RESERVED_PREFIX};
use crate::core::plan::{Action, Plan, Step};
use crate::core::settle::{Attempt, MemberStanding, Settled, is_excluded, meaning};
use crate::core::status::{Remaining, Tally};
use crate::core::validate::Problems;
use crate::core::world::{
    Baseline, Checked, ClusterFacts, Kept, Live, NamespaceFacts, Prior, PriorDrift, Weakening, World,
};

/// The most evidence that is kept at a time, in objects: beyond it an object is read again when it is needed.
const MOST_EVIDENCE: usize = 256;

/// The shortest time between two reports of one namespace.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What is known of the cluster.
pub struct Index {
    config: Config,
    /// Boxed: a tree's nodes have room for eleven, and are not full.
    namespaces: BTreeMap<Arc<str>, Box<NamespaceEntry>>,
    /// What namespaces share.
    pools: Pools,
    baselines: BTreeMap<Arc<str>, BaselineEntry>,
    exceptions: exceptions::Exceptions,
    cluster: Arc<ClusterFacts>,
    /// Namespaces that are held although the configuration excludes them: too many at once, and nobody confirmed it.
    unreleased: BTreeSet<Arc<str>>,
    /// Whether every kind was listed once: before that, absence means nothing.
    synced: bool,
    /// What distinct sets of baselines mean together, by the addresses of the baselines, which it keeps alive.
    effective: HashMap<Box<[usize]>, Arc<Effective>>,
    /// Every weakening that was seen, once: there are only a few ways to undo something.
    weakenings: Vec<Arc<Weakening>>,
    /// What digests of children stand for, as far as that was asked for lately.
    forms: Forms,
    /// How many objects are kept as evidence.
    evidence: usize,
    /// Whether the configuration says stop.
    pub stopped: bool,
}

#[derive(Default)]
struct NamespaceEntry {
    facts: Option<Facts>,
    /// The resourceVersion of the newest that is known of the Namespace itself.
    version: u64,
    children: LiteMap<Arc<ChildId>, ChildEntry>,
    report: Option<ReportEntry>,
    /// The resourceVersion of the newest that is known of the report, also if that is its deletion.
    report_version: u64,
    /// What is on record. It is read from the report once, when the namespace is first seen, and kept here from then on:
    /// what we did counts at once, before a report tells it, and nobody takes it away by changing or deleting the report.
    prior: Option<Record>,
    attempt: Attempt,
    /// How it stands with each baseline that holds it, by the baselines' names, in order.
    settled: Option<Arc<Vec<MemberStanding>>>,
    /// What is there of exceptions.
    judged: Option<Box<exceptions::Judged>>,
    /// How many attempts failed in a row, and of which class.
    retries: (u32, Duration),
    /// Until when the API server asked to be left alone with it.
    not_before: Option<Instant>,
    /// What of others stands here and undoes a control.
    foreign: BTreeMap<ChildId, Arc<Weakening>>,
    /// When it is its turn to be enforced for the first time, in the rollout of each baseline that gave it one.
    turns: LiteMap<Arc<str>, Turn>,
    /// What was found before anything is newly enforced.
    preflight: LiteMap<&'static str, Checked>,
    /// Who keeps undoing what is repaired here.
    fights: Fights,
    /// When its report was written last.
    reported: Option<Instant>,
    /// Whether a repair of the Namespace itself changed nothing, and that was said.
    false_alarm: bool,
    /// What of ours is on its way there.
    sent: Option<Box<Sent>>,
}

/// How a namespace stands with a baseline of this name, out of how it stands with all of them.
fn standing_of<'a>(all: &'a [MemberStanding], baseline: &str) -> Option<&'a MemberStanding> {
    let place = all.binary_search_by(|member| member.baseline.as_str().cmp(baseline));
    all.get(place.ok()?)
}

/// A namespace's turn in a rollout.
struct Turn {
    at: Instant,
    /// Whether something was tried in it.
    tried: bool,
    /// Whether what came of it was counted.
    counted: bool,
}

#[derive(Default)]
struct ChildEntry {
    live: Option<Fingerprint>,
    wanted: Option<Digest>,
    evidence: Option<Arc<Value>>,
    /// The resourceVersion of the newest that is known of it, be it an event, an answer or its deletion. Answers to our
    /// own requests overtake events, and are overtaken by them: whatever is older says nothing.
    version: u64,
    /// Whether a repair of it changed nothing, and that was said.
    false_alarm: bool,
    /// The UID that we are deleting or have deleted, where the object was as we wrote it: that it is gone is nobody else's
    /// doing.
    leaving: Option<Box<Uid>>,
}

#[derive(Clone, PartialEq)]
struct Fingerprint {
    uid: Uid,
    resource_version: Version,
    digest: Digest,
    /// What keeps it from going; most objects have nothing of that kind.
    kept: Option<Arc<Kept>>,
    /// Whether nobody else put anything on it.
    all_ours: bool,
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
    uid: Uid,
    resource_version: Version,
    meaning: Digest,
    troubles: Troubles,
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
    /// What is held to, if there is anything.
    pub accepted: Option<Arc<Baseline>>,
    /// Whether that is only a new baseline that is audited until it may be enforced.
    pub provisional: bool,
    /// What is to be held to, and is not yet.
    pub candidate: Option<Arc<Baseline>>,
    /// What the candidate waits for.
    pub waits: Option<String>,
    /// What its annotation confirms.
    pub confirmed: String,
    /// What its annotation says to let a stopped rollout go on.
    pub resumed: String,
    /// What its present spec says becomes of its objects, as far as that can be understood.
    pub policy: Option<DeletionPolicy>,
    /// Whether it has our finalizer.
    pub finalizer: bool,
    /// Whether it is being deleted.
    pub deleted: bool,
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
    /// What it tells that its tenant had an event of.
    pub troubles: Troubles,
    /// Whether it holds records that the next one continues.
    pub continued: bool,
}

impl Index {
    /// An index of nothing.
    pub fn new(config: Config) -> Self {
        Self {
            stopped: config.stop,
            namespaces: BTreeMap::new(),
            pools: Pools::default(),
            baselines: BTreeMap::new(),
            unreleased: BTreeSet::new(),
            exceptions: exceptions::Exceptions::default(),
            cluster: Arc::new(ClusterFacts {
                node_local_dns: config.cluster_dns.node_local(),
                ..ClusterFacts::default()
            }),
            config,
            synced: false,
            effective: HashMap::new(),
            weakenings: Vec::new(),
            forms: Forms::default(),
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
        self.brake_exclusions();
        self.names(|index, name, entry| entry.report.is_some() || index.is_selected(name, entry))
    }

    /// Keeps holding what the configuration excludes now, if that is too much at once.
    fn brake_exclusions(&mut self) {
        let held = |entry: &NamespaceEntry| {
            entry
                .prior
                .as_ref()
                .is_some_and(|prior| !prior.rest().members.is_empty())
        };
        let held: Vec<&Arc<str>> = self
            .namespaces
            .iter()
            .filter(|(_, e)| held(e))
            .map(|(name, _)| name)
            .collect();
        let excluded: BTreeSet<Arc<str>> = held
            .iter()
            .filter(|name| self.config.excludes(name) && !self.config.always_excludes(name))
            .map(|name| Arc::clone(name))
            .collect();
        let brake = self.config.brake;
        let at_most = |limit: u32| excluded.len() <= usize::try_from(limit).unwrap_or(usize::MAX);
        let small = at_most(brake.namespaces) || excluded.len() * 100 <= usize::from(brake.percent) * held.len();
        if !small && !at_most(brake.confirmed_exclusions) {
            self.unreleased = excluded;
        }
    }

    /// What is told of namespaces that are held although the configuration excludes them.
    pub fn unreleased(&self, uid: &str) -> Option<String> {
        let count = self.unreleased.len();
        let holds = |name: &&Arc<str>| {
            let prior = self.namespaces.get(*name).and_then(|entry| entry.prior.as_ref());
            prior.is_some_and(|prior| prior.membership(uid).is_some())
        };
        let first = self.unreleased.iter().find(holds)?;
        Some(format!(
            "the operator's configuration excludes {count} namespaces that are held, such as {first}; they stay held until it says brake.confirmedExclusions: {count} (or excludes fewer)"
        ))
    }

    /// Whether a namespace is out of reach for every baseline.
    fn excludes(&self, name: &str) -> bool {
        self.config.excludes(name) && !self.unreleased.contains(name)
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
        !self.excludes(name) && !self.members(name, entry).holding.is_empty()
    }

    /// The baselines of a namespace.
    fn members(&self, name: &str, entry: &NamespaceEntry) -> Members {
        self.members_of(self.accepted(), name, entry)
    }

    /// Those of some baselines that are a namespace's.
    fn members_of<'a>(
        &self,
        baselines: impl IntoIterator<Item = &'a Arc<Baseline>>,
        name: &str,
        entry: &NamespaceEntry,
    ) -> Members {
        match &entry.facts {
            Some(facts) => members(baselines, name, facts, entry.prior.as_ref()),
            None => Members::default(),
        }
    }

    /// What some baselines mean together: worked out once for each distinct set of them.
    fn effective(&mut self, baselines: &[Arc<Baseline>]) -> Arc<Effective> {
        let key: Box<[usize]> = baselines.iter().map(|b| Arc::as_ptr(b) as usize).collect();
        // A namespace is under one set, and would be under another one while a change is considered. What is beyond
        // that, namespaces were under that are gone by now.
        if self.effective.len() > 2 * self.namespaces.len() && !self.effective.contains_key(&key) {
            self.effective.clear();
        }
        let known = self.effective.entry(key);
        known.or_insert_with(|| Arc::new(merge(REGISTRY, baselines))).clone()
    }

    fn accepted(&self) -> impl Iterator<Item = &Arc<Baseline>> {
        self.baselines.values().filter_map(|b| b.accepted.as_ref())
    }

    fn entry(&mut self, name: &str) -> &mut NamespaceEntry {
        self.entry_and_pools(name).0
    }

    fn entry_and_pools(&mut self, name: &str) -> (&mut NamespaceEntry, &mut Pools) {
        let name = self.pools.texts.share(name);
        (self.namespaces.entry(name).or_default(), &mut self.pools)
    }

    /// Takes up a namespace as it is. Answers whether it is to be looked at.
    pub fn namespace_seen(&mut self, object: &Value) -> bool {
        let facts = facts::namespace(object);
        let version = version_number(meta(object, "resourceVersion"));
        let name = facts.name.clone();
        let excluded = self.excludes(&name);
        let closed = Facts::close(facts.clone(), &mut self.pools);
        let entry = self.entry(&name);
        if version < entry.version {
            return false;
        }
        entry.version = version;
        let known = entry.facts.as_ref().map(|known| known.open(&name));
        // Who claims a label is only told where something else is to be told.
        let same = |known: &NamespaceFacts| {
            *known
                == NamespaceFacts {
                    claims: known.claims.clone(),
                    ..facts.clone()
                }
        };
        if known.as_ref().is_some_and(same) {
            return false;
        }
        let ours = known.as_ref().is_some_and(|known| entry.sent_labels(known, &facts));
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
        entry.facts = Some(closed);
        if !ours {
            entry.fights.touched(&format!("Namespace/{name}"));
        }
        self.evidence -= dropped;
        let Some(entry) = self.namespaces.get(name.as_str()) else {
            return false;
        };
        self.synced && !ours && !excluded && (had_report || self.is_selected(&name, entry))
    }

    /// Whether there is another namespace of this name by now.
    pub fn is_another(&self, facts: &NamespaceFacts) -> bool {
        let entry = self.namespaces.get(facts.name.as_str());
        let known = entry.and_then(|entry| entry.facts.as_ref());
        known.is_some_and(|known| known.open(&facts.name).uid != facts.uid)
    }

    /// The resourceVersion of a namespace, if it still is as these facts say.
    pub fn version_of(&self, facts: &NamespaceFacts) -> Option<String> {
        let entry = self.namespaces.get(facts.name.as_str())?;
        let known = entry.facts.as_ref().map(|known| known.open(&facts.name));
        (known.as_ref() == Some(facts)).then(|| entry.version.to_string())
    }

    /// Forgets a namespace. Answers the baselines whose counts change.
    pub fn namespace_gone(&mut self, name: &str) -> Vec<Arc<str>> {
        let counted = self.counting(name);
        if let Some(entry) = self.namespaces.get_mut(name) {
            entry.facts = None;
            entry.prior = None;
            entry.settled = None;
            entry.judged = None;
            entry.attempt = Attempt::default();
            entry.retries = <(u32, Duration)>::default();
        }
        self.forget_if_empty(name);
        counted
    }

    /// The baselines that count a namespace: those that hold it, unless it is being deleted.
    pub fn counting(&self, name: &str) -> Vec<Arc<str>> {
        let Some(entry) = self.namespaces.get(name) else {
            return Vec::new();
        };
        if self.excludes(name) || entry.facts.as_ref().is_none_or(|facts| facts.terminating) {
            return Vec::new();
        }
        let holding = self.members(name, entry).holding;
        holding.iter().map(|b| b.name.as_str().into()).collect()
    }

    fn forget_if_empty(&mut self, name: &str) {
        let empty = |e: &NamespaceEntry| {
            e.facts.is_none()
                && e.report.is_none()
                && e.foreign.is_empty()
                && e.children.values().all(|c| c.live.is_none())
        };
        if self.namespaces.get(name).is_some_and(|entry| empty(entry))
            && let Some(entry) = self.namespaces.remove(name)
        {
            self.evidence -= entry.children.values().filter(|c| c.evidence.is_some()).count();
        }
    }

    /// The namespaces that are known to exist, of those that are picked by their names.
    pub fn existing(&self, pick: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        self.names(|_, name, entry| entry.facts.is_some() && pick(name))
    }

    /// Whether a namespace is known to exist.
    pub fn exists(&self, name: &str) -> bool {
        self.namespaces.get(name).is_some_and(|entry| entry.facts.is_some())
    }

    /// What is true of the cluster.
    pub fn cluster(&self) -> &ClusterFacts {
        &self.cluster
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

pub use exceptions::ExceptionEntry;

#[cfg(test)]
mod effective_tests;
#[cfg(test)]
mod exceptions_tests;
#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod turn_tests;
