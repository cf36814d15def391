//! What is known of the cluster: a few dozen bytes for each object, not the objects themselves.
//!
//! Of a child the index keeps its UID, its resourceVersion and the digest of its canonical form. Where that digest is
//! not the wanted one, the event's object is kept beside it as evidence until the namespace is planned.

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
use crate::core::world::{Baseline, ClusterFacts, Live, NamespaceFacts, Prior, Recorded, World};

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
    attempt: Attempt,
    settled: Option<Stand>,
    retries: u32,
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
    prior: Prior,
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

    // ---- namespaces ----

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
            entry.settled = None;
            entry.attempt = Attempt::default();
            entry.retries = 0;
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

    // ---- children ----

    /// Takes up a child as an event or an answer shows it. Answers whether its namespace is to be looked at.
    pub fn child_seen(&mut self, kind: &'static ChildKind, object: Value) -> bool {
        let name = meta(&object, "name");
        if !name.starts_with(RESERVED_PREFIX) {
            return false;
        }
        let id = ChildId {
            kind,
            name: name.to_owned(),
        };
        let namespace = meta(&object, "namespace").to_owned();
        let version = version_number(meta(&object, "resourceVersion"));
        let live = Fingerprint {
            uid: meta(&object, "uid").to_owned(),
            resource_version: meta(&object, "resourceVersion").to_owned(),
            digest: Canonical::of(kind, &object).digest(),
        };
        let (synced, kept) = (self.synced, self.evidence);
        let entry = self.entry(&namespace);
        let child = entry.children.entry(id.clone()).or_default();
        if version < child.version {
            return false;
        }
        child.version = version;
        if child.live.as_ref() == Some(&live) {
            return false;
        }
        let as_wanted = child.wanted == Some(live.digest);
        // Without a wish there is nothing to prove, until there is a plan; it reads what it needs.
        let proof = !as_wanted && child.wanted.is_some() && kept < MOST_EVIDENCE;
        let had = child.evidence.take().is_some();
        child.evidence = proof.then(|| Arc::new(object));
        let recorded = entry
            .report
            .as_ref()
            .and_then(|r| r.prior.inventory.get(&id))
            .map(|r| r.uid.as_str());
        // As wanted, but not the object on record: the report is to be brought up to date.
        let unrecorded = as_wanted && recorded != Some(live.uid.as_str());
        let concerns = child.wanted.is_some() || recorded.is_some();
        child.live = Some(live);
        self.evidence = kept + usize::from(proof) - usize::from(had);
        synced && concerns && (!as_wanted || unrecorded)
    }

    /// Notes that a child is gone. Answers whether its namespace is to be looked at.
    pub fn child_gone(&mut self, kind: &'static ChildKind, namespace: &str, name: &str, last: Last<'_>) -> bool {
        let id = ChildId {
            kind,
            name: name.to_owned(),
        };
        let synced = self.synced;
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return false;
        };
        let Some(child) = entry.children.get_mut(&id) else {
            return false;
        };
        // The deletion of an earlier object of this name says nothing of the one that is there now.
        let version = last.version.map(version_number);
        if version.is_some_and(|version| version < child.version) {
            return false;
        }
        child.version = version.unwrap_or(child.version);
        let another = |live: &Fingerprint| last.uid.is_some_and(|uid| live.uid != uid);
        if child.live.as_ref().is_none_or(another) {
            return false;
        }
        child.live = None;
        self.evidence -= usize::from(child.evidence.take().is_some());
        let recorded = entry
            .report
            .as_ref()
            .is_some_and(|r| r.prior.inventory.contains_key(&id));
        let concerns = entry.facts.is_some() && (child.wanted.is_some() || recorded);
        if child.wanted.is_none() {
            entry.children.remove(&id);
        }
        self.forget_if_empty(namespace);
        synced && concerns
    }

    /// Notes that the children of a kind are listed anew. What the list shows holds, whatever its resourceVersions: a
    /// restored etcd counts from an earlier one.
    pub fn children_listed_anew(&mut self, kind: &'static ChildKind) {
        let children = self.namespaces.values_mut().flat_map(|entry| &mut entry.children);
        for (_, child) in children.filter(|(id, _)| id.kind == kind) {
            child.version = 0;
        }
    }

    /// The same of the namespaces.
    pub fn namespaces_listed_anew(&mut self) {
        for entry in self.namespaces.values_mut() {
            entry.version = 0;
        }
    }

    /// The live children of a kind, as namespace and name.
    pub fn children_of(&self, kind: &'static ChildKind) -> BTreeSet<(String, String)> {
        let live = |(name, entry): (&Arc<str>, &NamespaceEntry)| {
            let of_kind = entry
                .children
                .iter()
                .filter(|(id, child)| id.kind == kind && child.live.is_some());
            of_kind
                .map(|(id, _)| (name.to_string(), id.name.clone()))
                .collect::<Vec<_>>()
        };
        self.namespaces.iter().flat_map(live).collect()
    }

    // ---- reports ----

    /// Takes up a report as it is. Answers whether its namespace is to be looked at: somebody else changed it.
    pub fn report_seen(&mut self, namespace: &str, uid: &str, version: &str, status: &BaselineReportStatus) -> bool {
        let meaning = meaning(status);
        let synced = self.synced;
        let entry = self.entry(namespace);
        if let Some(known) = &entry.report {
            let stale = version_number(version) < version_number(&known.resource_version);
            if known.uid == uid && (stale || known.resource_version == version) {
                return false;
            }
        }
        let changed = entry.report.as_ref().is_none_or(|known| known.meaning != meaning);
        entry.report = Some(ReportEntry {
            uid: uid.to_owned(),
            resource_version: version.to_owned(),
            meaning,
            prior: facts::prior(status),
        });
        synced && changed
    }

    /// Takes up the report that we wrote.
    pub fn report_written(&mut self, namespace: &str, uid: &str, version: &str, status: &BaselineReportStatus) {
        let entry = self.entry(namespace);
        entry.report = Some(ReportEntry {
            uid: uid.to_owned(),
            resource_version: version.to_owned(),
            meaning: meaning(status),
            prior: facts::prior(status),
        });
        entry.reported = Some(Instant::now());
        // What was new is written; what failed is kept until it is tried again.
        entry.attempt.records.clear();
        entry.attempt.drifted = 0;
    }

    /// How long the namespace's next report waits: somebody who breaks things a hundred times a second is repaired each
    /// time, and reported on once a second.
    pub fn report_pause(&self, namespace: &str) -> Duration {
        let written = self.namespaces.get(namespace).and_then(|e| e.reported);
        written
            .map(|at| REPORT_INTERVAL.saturating_sub(at.elapsed()))
            .unwrap_or_default()
    }

    /// Notes that a report is gone. Answers whether its namespace is to be looked at.
    pub fn report_gone(&mut self, namespace: &str) -> bool {
        let synced = self.synced;
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return false;
        };
        let had = entry.report.take().is_some();
        let looks = synced && had && entry.facts.is_some();
        self.forget_if_empty(namespace);
        looks
    }

    /// The namespaces that have a report.
    pub fn reported(&self) -> BTreeSet<String> {
        self.namespaces
            .iter()
            .filter(|(_, e)| e.report.is_some())
            .map(|(n, _)| n.to_string())
            .collect()
    }

    /// The report of a namespace, as it was last seen or written.
    pub fn report(&self, namespace: &str) -> Option<ReportSeen> {
        let report = self.namespaces.get(namespace)?.report.as_ref()?;
        Some(ReportSeen {
            uid: report.uid.clone(),
            resource_version: report.resource_version.clone(),
            meaning: report.meaning,
            drifted: report.prior.drift.total,
        })
    }

    // ---- the work of a namespace ----

    /// All that a plan for the namespace may see; `None` where there is nothing to plan.
    pub fn world(&self, name: &str, now: Timestamp) -> Option<World> {
        let entry = self.namespaces.get(name)?;
        let facts = entry.facts.clone()?;
        if self.config.excludes(name) {
            return None;
        }
        let baselines: Vec<Arc<Baseline>> = self
            .accepted()
            .filter(|b| selects(&b.spec, name, &facts.labels))
            .cloned()
            .collect();
        if baselines.is_empty() && entry.report.is_none() {
            return None;
        }
        let live = entry
            .children
            .iter()
            .filter_map(|(id, child)| {
                let live = child.live.as_ref()?;
                let live = Live {
                    uid: live.uid.clone(),
                    resource_version: live.resource_version.clone(),
                    digest: live.digest,
                    object: child.evidence.clone(),
                };
                Some((id.clone(), live))
            })
            .collect();
        Some(World {
            namespace: facts,
            baselines,
            live,
            prior: entry.report.as_ref().map(|r| r.prior.clone()).unwrap_or_default(),
            cluster: self.cluster.clone(),
            now,
        })
    }

    /// Notes what is wanted from now on. Answers whether something changed since the plan's world was made: then the
    /// namespace is to be looked at again, since an event in between was judged by what was wanted before.
    pub fn planned(&mut self, world: &World, plan: &Plan) -> bool {
        let Some(entry) = self.namespaces.get_mut(world.namespace.name.as_str()) else {
            return false;
        };
        let mut changed = false;
        for (id, child) in &mut entry.children {
            child.wanted = plan.wanted.get(id).copied();
            let seen = world.live.get(id).map(|l| (&l.uid, &l.resource_version));
            changed |= seen != child.live.as_ref().map(|l| (&l.uid, &l.resource_version));
            if child.wanted.is_some() && child.wanted == child.live.as_ref().map(|l| l.digest) {
                self.evidence -= usize::from(child.evidence.take().is_some());
            }
        }
        changed |= world.live.keys().any(|id| !entry.children.contains_key(id));
        for (id, wanted) in &plan.wanted {
            entry.children.entry(id.clone()).or_default().wanted = Some(*wanted);
        }
        entry
            .children
            .retain(|_, child| child.live.is_some() || child.wanted.is_some());
        changed
    }

    /// Keeps an object that was read for a plan.
    pub fn evidence(&mut self, namespace: &str, id: &ChildId, object: Value) {
        let version = meta(&object, "resourceVersion").to_owned();
        self.child_seen(id.kind, object.clone());
        let child = self.entry(namespace).children.entry(id.clone()).or_default();
        // Events may have told of something newer while it was read: it would prove what is no longer so.
        let newest = child.live.as_ref().is_some_and(|live| live.resource_version == version);
        if newest && child.evidence.replace(Arc::new(object)).is_none() {
            self.evidence += 1;
        }
    }

    /// Takes up what we did ourselves before the report tells it: the next plan, which may come first, is not to take it
    /// for somebody else's doing.
    pub fn did(&mut self, name: &str, holder: &Baseline, step: &Step) {
        let Some(entry) = self.namespaces.get_mut(name) else {
            return;
        };
        let Some(report) = &mut entry.report else { return };
        match step {
            Step::Create(child) | Step::Replace { child, .. } | Step::Recreate { child, .. } => {
                let now = entry.children.get(&child.id);
                // Somebody may have changed it since.
                let as_written = now.and_then(|c| c.live.as_ref().filter(|l| c.wanted == Some(l.digest)));
                if let Some(live) = as_written {
                    let recorded = Recorded {
                        uid: live.uid.clone(),
                        baseline: holder.uid.clone(),
                        digest: Some(live.digest),
                    };
                    report.prior.inventory.insert(child.id.clone(), recorded);
                }
            }
            Step::Delete { id, .. } => {
                report.prior.inventory.remove(id);
            }
            Step::Label(labels) => report.prior.labels.retain(|key, value| match labels.get(key) {
                Some(written) => {
                    value.value.clone_from(written);
                    true
                }
                None => false,
            }),
        }
    }

    /// What came of earlier attempts.
    pub fn attempt(&self, name: &str) -> Attempt {
        self.namespaces.get(name).map(|e| e.attempt.clone()).unwrap_or_default()
    }

    /// Changes what came of attempts.
    pub fn update_attempt(&mut self, name: &str, update: impl FnOnce(&mut Attempt)) {
        if let Some(entry) = self.namespaces.get_mut(name) {
            update(&mut entry.attempt);
        }
    }

    /// Counts a failed attempt and answers how many there were in a row; or, after a good one, starts anew.
    pub fn retries(&mut self, name: &str, failed: bool) -> u32 {
        let Some(entry) = self.namespaces.get_mut(name) else {
            return 0;
        };
        entry.retries = if failed { entry.retries.saturating_add(1) } else { 0 };
        entry.retries
    }

    /// Takes up how a namespace stands. Answers the baselines to which that is news.
    pub fn settled(&mut self, name: &str, plan: &Plan, settled: &Settled) -> Vec<Arc<str>> {
        let holder: Option<Arc<str>> = plan.holder.as_ref().map(|b| b.name.as_str().into());
        let generation = plan.holder.as_ref().map(|b| b.generation).unwrap_or_default();
        let Some(entry) = self.namespaces.get_mut(name) else {
            return Vec::new();
        };
        // What the evidence had to show is in the report now.
        for child in entry.children.values_mut() {
            self.evidence -= usize::from(child.evidence.take().is_some());
        }
        let same = entry.settled.as_ref().is_some_and(|s| {
            s.holder == holder
                && s.generation == generation
                && s.standing == settled.standing
                && s.reason == settled.reason
                && s.message == settled.message
        });
        if same {
            return Vec::new();
        }
        let before = entry.settled.replace(Stand {
            holder: holder.clone(),
            generation,
            standing: settled.standing,
            reason: settled.reason.clone(),
            message: settled.message.clone(),
        });
        let others = plan.conflicting.iter().map(|b| Arc::from(b.name.as_str()));
        holder
            .into_iter()
            .chain(before.and_then(|b| b.holder))
            .chain(others)
            .collect()
    }

    // ---- baselines ----

    /// The baselines, by name.
    pub fn baselines(&self) -> impl Iterator<Item = (&Arc<str>, &BaselineEntry)> {
        self.baselines.iter()
    }

    /// One baseline.
    pub fn baseline(&self, name: &str) -> Option<&BaselineEntry> {
        self.baselines.get(name)
    }

    /// One baseline, to be changed.
    pub fn baseline_mut(&mut self, name: &str) -> Option<&mut BaselineEntry> {
        self.baselines.get_mut(name)
    }

    /// Takes up a baseline. Answers the namespaces to be looked at: those that it selected, and those that it selects.
    pub fn baseline_seen(&mut self, name: &str, entry: BaselineEntry) -> Vec<Arc<str>> {
        let before = self.baselines.get(name).and_then(|b| b.accepted.clone());
        let after = entry.accepted.clone();
        self.baselines.insert(name.into(), entry);
        if before == after || !self.synced {
            return Vec::new();
        }
        self.selected_by(&[before, after])
    }

    /// Forgets a baseline. Answers the namespaces to be looked at.
    pub fn baseline_gone(&mut self, name: &str) -> Vec<Arc<str>> {
        let before = self.baselines.remove(name).and_then(|b| b.accepted);
        self.selected_by(&[before])
    }

    fn selected_by(&self, baselines: &[Option<Arc<Baseline>>]) -> Vec<Arc<str>> {
        self.names(|index, name, entry| {
            let Some(facts) = &entry.facts else { return false };
            !index.config.excludes(name)
                && baselines
                    .iter()
                    .flatten()
                    .any(|b| selects(&b.spec, name, &facts.labels))
        })
    }

    /// Counts the namespaces of a baseline.
    pub fn tally(&self, baseline: &Baseline) -> Tally {
        let mut tally = Tally::default();
        for (name, entry) in &self.namespaces {
            let Some(facts) = &entry.facts else { continue };
            if facts.terminating || self.config.excludes(name) || !selects(&baseline.spec, name, &facts.labels) {
                continue;
            }
            match &entry.settled {
                Some(stand) if stand.holder.as_deref() == Some(&*baseline.name) => {
                    // Judged by an earlier generation, it says nothing of this one.
                    if stand.generation == baseline.generation {
                        tally.add(name, stand.standing, &stand.reason, &stand.message);
                    } else {
                        tally.unseen();
                    }
                }
                Some(Stand {
                    holder: Some(holder), ..
                }) => {
                    let message = format!("the older baseline {holder} holds this namespace");
                    tally.add(name, Standing::Conflict, "Conflict", &message);
                }
                _ => tally.unseen(),
            }
        }
        tally
    }

    // ---- the cluster ----

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
