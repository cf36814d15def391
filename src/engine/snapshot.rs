//! The cluster at one moment, for commands that look and do not stay: what is listed, or read from files, goes through
//! the sinks of the watches into the operator's own index. So there is one planner, one merge and one judge, and a
//! preview cannot say anything else than what the operator does.

mod applied;
mod change;
mod files;
mod foreseen;
mod read;
mod view;

pub use change::{Changed, NoProposal, Proposal};
pub use files::{FileError, objects};
pub use foreseen::{Foreseen, Loosening};
pub use read::{ReadError, Scope, config_of};
pub use view::{BaselineView, ExceptionView, NamespaceView};

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use serde_json::Value;

use super::Context;
use super::baselines;
use super::clock::Clock;
use super::cluster::{self, Source};
use super::config::Config;
use super::events::events;
use super::facts::meta;
use super::index::Index;
use super::lease::Leadership;
use super::metrics::Metrics;
use super::pace::Pace;
use super::policy_reports::PolicyReports;
use super::queue::Queue;
use crate::api::v1alpha1::{BaselineReport, BaselineReportStatus};
use crate::controls::{REGISTRY, kind_named};
use crate::core::codes;
use crate::core::control::{Control, Held};
use crate::core::object::{ChildId, RESERVED_PREFIX};
use crate::core::plan::{Plan, plan};
use crate::core::world::{Checked, ClusterFacts, World};

/// How often a plan may ask for more before it is taken as it is: for objects, for a turn, for a look.
const MOST_ROUNDS: usize = 5;

/// The cluster at one moment.
pub struct Snapshot {
    context: Arc<Context>,
    /// The objects under reserved names: a fingerprint cannot say what differs.
    children: BTreeMap<(String, ChildId), Value>,
    /// What a change may be about, as it is there, by kind and name.
    originals: HashMap<(String, String), Value>,
    reports: BTreeMap<String, BaselineReportStatus>,
    /// What could not be seen: it is unknown, which is not the same as absent.
    pub unknown: Vec<Unknown>,
    /// Which namespaces were looked at.
    pub scope: Scope,
    /// Whether the cluster has the kinds.
    pub installed: bool,
}

/// Something that could not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The operator's name for what feeds its index, such as `networkpolicies` or `dns`.
    pub source: &'static str,
    /// The right that is missing, such as `list networkpolicies.networking.k8s.io in all namespaces`.
    pub right: String,
    /// What the API server said.
    pub message: String,
}

impl Unknown {
    /// The section that depends on it, where that is one; the rest depends on it where there is none.
    pub fn section(&self) -> Option<&'static str> {
        match self.source {
            "dns" | "node-local-dns" | "api-server" => Some("networkIsolation"),
            "grantable" => Some("access"),
            plural => {
                let has = |control: &&&dyn Control| control.kinds().iter().any(|kind| kind.plural == plural);
                REGISTRY.iter().find(has).map(|control| control.section())
            }
        }
    }
}

impl Snapshot {
    /// A snapshot of nothing yet.
    fn empty(client: Client, config: Config, clock: Arc<dyn Clock>, scope: Scope) -> Result<Self, prometheus::Error> {
        let (events, _) = events(client.clone());
        let context = Arc::new(Context {
            pace: Pace::default(),
            index: Mutex::new(Index::new(config.clone())),
            queue: Queue::new(config.workers),
            metrics: Metrics::new()?,
            events,
            policy_reports: PolicyReports::default(),
            clock,
            leadership: Arc::new(Leadership::alone()),
            config,
            client,
        });
        Ok(Self {
            context,
            children: BTreeMap::new(),
            originals: HashMap::new(),
            reports: BTreeMap::new(),
            unknown: Vec::new(),
            scope,
            installed: true,
        })
    }

    /// What is to be seen, baselines first, as the operator sees it.
    fn sources(&self) -> Vec<Source> {
        let mut sources = cluster::first_sources(&self.context);
        sources.extend(cluster::sources());
        sources
    }

    /// Takes up an object as the watch does.
    fn take_up(&mut self, source: &Source, object: Value) {
        if !source.sink.concerns(meta(&object, "name")) {
            return;
        }
        let namespace = meta(&object, "namespace").to_owned();
        if source.watched.name == "reports" && meta(&object, "name") == BaselineReport::NAME {
            let told = serde_json::from_value(object["status"].clone()).unwrap_or_default();
            self.reports.insert(namespace, told);
        } else if let Some(kind) = kind_named(&source.watched.resource.kind)
            && meta(&object, "name").starts_with(RESERVED_PREFIX)
        {
            let id = ChildId {
                kind,
                name: meta(&object, "name").to_owned(),
            };
            self.children.insert((namespace, id), object.clone());
        } else if change::KINDS.contains(&source.watched.resource.kind.as_str()) {
            let place = (source.watched.resource.kind.clone(), meta(&object, "name").to_owned());
            self.originals.insert(place, object.clone());
        }
        source.sink.applied(&self.context, object);
    }

    /// Notes that all was seen, and has what is new of baselines taken up, or wait, as the operator does at its start.
    async fn complete(&self) {
        cluster::recall(&self.context);
        self.context.index.lock().all_synced();
        for name in self.baseline_names() {
            self.consider(&name).await;
        }
    }

    /// Lets a change of a baseline through the brake, or has it wait. Where only some namespaces were looked at nothing
    /// can be counted, and what the operator said of it last is believed.
    async fn consider(&self, name: &Arc<str>) {
        if self.scope == Scope::All {
            let _ = baselines::consider(&self.context, name).await;
            return;
        }
        let now = self.context.clock.now();
        let mut index = self.context.index.lock();
        let Some(entry) = index.baseline(name).filter(|entry| entry.candidate.is_some()) else {
            return;
        };
        let waits = entry
            .status
            .conditions
            .iter()
            .find(|c| c.reason == "AwaitingConfirmation" && c.observed_generation == Some(entry.judged))
            .map(|c| c.message.clone());
        let _ = match waits {
            Some(why) => index.wait(name, why),
            None => index.accept(name, now),
        };
    }

    fn baseline_names(&self) -> Vec<Arc<str>> {
        let index = self.context.index.lock();
        index.baselines().map(|(name, _)| name.clone()).collect()
    }

    /// When it was taken.
    pub fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// The configuration that it is judged by.
    pub fn config(&self) -> &Config {
        &self.context.config
    }

    /// What is true of the cluster, as far as it was seen.
    pub fn cluster(&self) -> ClusterFacts {
        self.context.index.lock().cluster().clone()
    }

    /// The namespaces that some baseline holds, or held.
    pub fn namespaces(&self) -> Vec<String> {
        let index = self.context.index.lock();
        let mut names: std::collections::BTreeSet<String> = index.selected().iter().map(ToString::to_string).collect();
        names.extend(
            index
                .reported(|name| index.exists(name))
                .iter()
                .map(ToString::to_string),
        );
        names.into_iter().collect()
    }

    /// Whether a namespace exists.
    pub fn exists(&self, namespace: &str) -> bool {
        self.context.index.lock().exists(namespace)
    }

    /// What the operator's report of a namespace says, if there is one.
    pub fn report(&self, namespace: &str) -> Option<&BaselineReportStatus> {
        self.reports.get(namespace)
    }

    /// What stands under a reserved name, if it was seen.
    fn child(&self, namespace: &str, id: &ChildId) -> Option<&Value> {
        self.children.get(&(namespace.to_owned(), id.clone()))
    }

    /// All that stands under reserved names, as namespace and object.
    pub fn children(&self) -> impl Iterator<Item = (&str, &ChildId, &Value)> {
        let all = self.children.iter();
        all.map(|((namespace, id), object)| (namespace.as_str(), id, object))
    }

    /// The world of a namespace and the plan for it, as the operator makes them; `None` where nothing holds it. What an
    /// earlier look of the operator found is taken from its report.
    pub fn observe(&self, namespace: &str) -> Option<(World, Plan)> {
        for round in 0.. {
            let now = self.context.clock.now();
            let mut world = self.context.index.lock().world(namespace, now)?;
            world.fights.pause_at_most(self.context.config.contested_pause_seconds);
            let plan = plan(REGISTRY, &world);
            if round == MOST_ROUNDS || !self.supply(namespace, &plan, now) {
                return Some((world, plan));
            }
        }
        None
    }

    /// Supplies what a plan lacks, as far as it is at hand. Answers whether something was.
    fn supply(&self, namespace: &str, plan: &Plan, now: Timestamp) -> bool {
        let mut supplied = self.supply_unread(namespace, plan);
        let mut index = self.context.index.lock();
        let told = self.reports.get(namespace);
        let looked = |section: &str| told.map(|told| looked(told, section)).unwrap_or_default();
        if let Some(uid) = &plan.waits_for
            && plan.sections.iter().any(|s| !looked(s.section).is_empty())
        {
            index.give_turn(namespace, uid, Duration::ZERO);
            supplied = true;
        }
        for check in &plan.unchecked {
            let held = looked(check.section);
            if !held.is_empty() {
                let checked = Checked {
                    what: check.what,
                    at: now,
                    held,
                };
                index.looked(namespace, vec![(check.section, checked)]);
                supplied = true;
            }
        }
        supplied
    }

    /// Supplies the objects that a plan has to see. Answers whether there were any.
    fn supply_unread(&self, namespace: &str, plan: &Plan) -> bool {
        let mut index = self.context.index.lock();
        let mut supplied = false;
        for id in &plan.unread {
            if let Some(object) = self.child(namespace, id) {
                index.evidence(namespace, id, object.clone());
                supplied = true;
            }
        }
        supplied
    }
}

/// What the operator found when it looked whether enforcing would break something, as its report tells it.
fn looked(told: &BaselineReportStatus, section: &str) -> Vec<Held> {
    let its = told.controls.iter().filter(|control| control.name == section);
    its.flat_map(|control| &control.blocked)
        .filter_map(|note| {
            let reason = codes::PREFLIGHT.iter().find(|reason| **reason == note.reason)?;
            let id = note.object.split_once('/').and_then(|(kind, name)| {
                Some(ChildId {
                    kind: kind_named(kind)?,
                    name: name.to_owned(),
                })
            });
            Some(Held {
                object: note.object.clone(),
                id,
                reason,
                message: note.message.clone(),
            })
        })
        .collect()
}
