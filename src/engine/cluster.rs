//! What the watches feed: one sink for each kind of thing.

use std::sync::Arc;

use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use kube::runtime::watcher;
use serde_json::Value;

use super::Context;
use super::baselines;
use super::exceptions::{Exceptions, tell_exceptions};
use super::facts::{self, meta};
use super::index::Last;
use super::queue::{Key, Lane};
use super::watch::{Progress, Shown, Sink, Watched};
use crate::api::GROUP;
use crate::api::v1alpha1::{BaselineReport, BaselineReportStatus};
use crate::controls::{self, Detected, weakened};
use crate::core::object::{ChildKind, RESERVED_PREFIX};
use crate::core::world::ClusterFacts;

/// The ClusterRole whose rules the operator may hand out.
pub const GRANTABLE: &str = "security-baseline:grantable";

/// The ConfigMap of the DNS cache on each node, if the cluster has one.
pub const NODE_LOCAL_DNS: &str = "node-local-dns";

/// A watch, what it feeds, and how far it is.
pub struct Source {
    /// What is watched.
    pub watched: Watched,
    /// What it feeds.
    pub sink: Arc<dyn Sink>,
    /// How far it is.
    pub progress: Arc<Progress>,
}

/// What is to be known before anything else: baselines, and what is true of the cluster. Only baselines are needed:
/// where something else cannot be read, the controls hold what depends on it, and say so.
pub fn first_sources(context: &Context) -> Vec<Source> {
    let dns = &context.config.cluster_dns;
    vec![
        source(
            "baselines",
            GROUP,
            "v1alpha1",
            "SecurityBaseline",
            "securitybaselines",
            watcher::Config::default(),
            Baselines,
        ),
        // A cluster that has no such kind has no exceptions.
        optional_within(
            None,
            source(
                "exceptions",
                GROUP,
                "v1alpha1",
                "BaselineException",
                "baselineexceptions",
                watcher::Config::default(),
                Exceptions,
            ),
        ),
        optional_within(
            Some(&dns.namespace),
            source(
                "dns",
                "",
                "v1",
                "Service",
                "services",
                watcher::Config::default().labels(&dns.label_selector),
                Dns::default(),
            ),
        ),
        optional_within(
            Some(&dns.namespace),
            source(
                "node-local-dns",
                "",
                "v1",
                "ConfigMap",
                "configmaps",
                watcher::Config::default().fields(&format!("metadata.name={NODE_LOCAL_DNS}")),
                NodeLocalDns,
            ),
        ),
        optional_within(
            Some("default"),
            source(
                "api-server",
                "discovery.k8s.io",
                "v1",
                "EndpointSlice",
                "endpointslices",
                watcher::Config::default().labels("kubernetes.io/service-name=kubernetes"),
                ApiServer::default(),
            ),
        ),
        optional_within(
            None,
            source(
                "grantable",
                "rbac.authorization.k8s.io",
                "v1",
                "ClusterRole",
                "clusterroles",
                watcher::Config::default().fields(&format!("metadata.name={GRANTABLE}")),
                Grantable,
            ),
        ),
    ]
}

/// The rest: namespaces, reports, and every kind that a control creates.
pub fn sources() -> Vec<Source> {
    let all = watcher::Config::default;
    let mut sources = vec![
        source("namespaces", "", "v1", "Namespace", "namespaces", all(), Namespaces),
        source(
            "reports",
            GROUP,
            "v1alpha1",
            "BaselineReport",
            "baselinereports",
            all(),
            Reports,
        ),
    ];
    // Without a label selector: a stripped label must not hide an object.
    sources.extend(
        controls::kinds()
            .into_iter()
            .map(|k| source(k.plural, k.group, k.version, k.kind, k.plural, all(), Children(k))),
    );
    sources
}

fn source(
    name: &'static str,
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
    config: watcher::Config,
    sink: impl Sink,
) -> Source {
    Source {
        watched: Watched {
            resource: ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural),
            namespace: None,
            config,
            name,
            needed: true,
        },
        sink: Arc::new(sink),
        progress: Arc::default(),
    }
}

fn optional_within(namespace: Option<&str>, mut source: Source) -> Source {
    source.watched.namespace = namespace.map(ToOwned::to_owned);
    source.watched.needed = false;
    source
}

fn enqueue(context: &Context, namespace: &str, lane: Lane) {
    context.queue.push(Key::Namespace(namespace.into()), lane);
}

/// Has a namespace's report written, and not sooner after the last one than any other: what others do a hundred times a
/// second is told once a second.
fn enqueue_report(context: &Context, namespace: &str) {
    let pause = context.index.lock().report_pause(namespace);
    context
        .queue
        .push_after(Key::Namespace(namespace.into()), Lane::Report, pause);
}

fn tell(context: &Context, told: impl IntoIterator<Item = Arc<str>>) {
    for name in told {
        context
            .queue
            .push_after(Key::Baseline(name), Lane::Status, baselines::PATIENCE);
    }
}

struct Namespaces;

impl Sink for Namespaces {
    fn applied(&self, context: &Context, object: Value) {
        let name = meta(&object, "name");
        let mut index = context.index.lock();
        let before = index.counting(name);
        let news = index.namespace_seen(&object);
        let after = index.counting(name);
        let moved = before != after;
        // Also by a label of our own, by which another baseline selects it.
        let look = news || (moved && index.is_synced());
        let naming = index.exceptions_naming(name);
        drop(index);
        if moved {
            tell(context, before.into_iter().chain(after));
        }
        tell_exceptions(context, naming);
        if look {
            enqueue(context, name, Lane::Repair);
        }
    }

    fn deleted(&self, context: &Context, _: &str, name: &str, _: Last<'_>) {
        let mut index = context.index.lock();
        let counted = index.namespace_gone(name);
        let naming = index.exceptions_naming(name);
        drop(index);
        tell(context, counted);
        tell_exceptions(context, naming);
    }

    fn listed_anew(&self, context: &Context) {
        context.index.lock().namespaces_listed_anew();
    }

    fn unshown(&self, context: &Context, shown: &Shown) -> Vec<(String, String)> {
        let gone = context.index.lock().existing(|name| !shown.has("", name));
        gone.into_iter().map(|name| (String::new(), name.to_string())).collect()
    }
}

/// Has a namespace looked at: for a repair where what is there differs, and else for its report where what others put
/// there is news.
fn look(context: &Context, namespace: &str, differs: bool, news: bool) {
    if differs {
        enqueue(context, namespace, Lane::Repair);
    } else if news {
        enqueue_report(context, namespace);
    }
}

struct Children(&'static ChildKind);

impl Sink for Children {
    fn concerns(&self, name: &str) -> bool {
        name.starts_with(RESERVED_PREFIX) || weakened::may_weaken(self.0)
    }

    fn knows(&self, context: &Context, namespace: &str, name: &str, version: &str) -> bool {
        name.starts_with(RESERVED_PREFIX) && context.index.lock().knows_child(self.0, namespace, name, version)
    }

    fn applied(&self, context: &Context, object: Value) {
        let namespace = meta(&object, "namespace").to_owned();
        let ours = meta(&object, "name").starts_with(RESERVED_PREFIX);
        let mut index = context.index.lock();
        // Also under a reserved name: nobody may ask for it.
        let weakens = index.foreign_seen(self.0, &object);
        let differs = ours && index.child_seen(self.0, object);
        drop(index);
        look(context, &namespace, differs, weakens);
    }

    fn deleted(&self, context: &Context, namespace: &str, name: &str, last: Last<'_>) {
        let mut index = context.index.lock();
        let weakened = index.foreign_gone(self.0, namespace, name);
        let differs = name.starts_with(RESERVED_PREFIX) && index.child_gone(self.0, namespace, name, last);
        drop(index);
        look(context, namespace, differs, weakened);
    }

    fn unlisted(&self, context: &Context, namespace: &str, name: &str) {
        if context.index.lock().child_in_doubt(self.0, namespace, name) {
            enqueue(context, namespace, Lane::Repair);
        } else {
            self.deleted(context, namespace, name, Last::default());
        }
    }

    fn listed_anew(&self, context: &Context) {
        context.index.lock().children_listed_anew(self.0);
    }

    fn unshown(&self, context: &Context, shown: &Shown) -> Vec<(String, String)> {
        context
            .index
            .lock()
            .objects_of(self.0, |namespace, name| !shown.has(namespace, name))
    }
}

struct Reports;

impl Sink for Reports {
    fn knows(&self, context: &Context, namespace: &str, name: &str, version: &str) -> bool {
        name == BaselineReport::NAME && context.index.lock().knows_report(namespace, version)
    }

    fn applied(&self, context: &Context, object: Value) {
        if meta(&object, "name") != BaselineReport::NAME {
            return;
        }
        // A report that cannot be read counts as an empty one: it is written anew.
        let status: BaselineReportStatus = serde_json::from_value(object["status"].clone()).unwrap_or_default();
        let namespace = meta(&object, "namespace");
        let (uid, version) = (meta(&object, "uid"), meta(&object, "resourceVersion"));
        if context.index.lock().report_seen(namespace, uid, version, &status) {
            enqueue_report(context, namespace);
        }
    }

    fn deleted(&self, context: &Context, namespace: &str, name: &str, last: Last<'_>) {
        if name == BaselineReport::NAME && context.index.lock().report_gone(namespace, last) {
            enqueue_report(context, namespace);
        }
    }

    fn listed_anew(&self, context: &Context) {
        context.index.lock().reports_listed_anew();
    }

    /// Where the kind was gone for a while, so are all reports, and whoever wrote one meanwhile was told that there is no
    /// such kind. (At a start every namespace is looked at in any case.)
    fn listed(&self, context: &Context) {
        let unreported = {
            let index = context.index.lock();
            if !index.is_synced() {
                return;
            }
            index.unreported()
        };
        for namespace in unreported {
            enqueue_report(context, &namespace);
        }
    }

    fn unshown(&self, context: &Context, shown: &Shown) -> Vec<(String, String)> {
        let name = BaselineReport::NAME;
        let gone = context.index.lock().reported(|namespace| !shown.has(namespace, name));
        gone.into_iter().map(|ns| (ns.to_string(), name.to_owned())).collect()
    }
}

struct Baselines;

impl Sink for Baselines {
    fn applied(&self, context: &Context, object: Value) {
        let name: Arc<str> = meta(&object, "name").into();
        let mut index = context.index.lock();
        let before = index.baseline(&name);
        // Until the work begins, what is accepted is what the status says: another replica may lead, and change it.
        let entry = baselines::judge(before.filter(|_| index.is_synced()), &object);
        let news = before.is_none_or(|b| {
            (&b.uid, b.judged, &b.confirmed, b.deleted, b.finalizer)
                != (
                    &entry.uid,
                    entry.judged,
                    &entry.confirmed,
                    entry.deleted,
                    entry.finalizer,
                )
        });
        let resumed = before.is_some_and(|b| b.resumed != entry.resumed);
        let uid = entry.uid.clone();
        let mut look = index.baseline_seen(&name, entry);
        if resumed {
            context.pace.begin(&uid);
            let accepted = index.baseline(&name).and_then(|b| b.accepted.clone());
            let concerned = index.concerned(&[accepted]);
            index.begin_rollout(&uid, &concerned);
            look.extend(concerned);
        }
        drop(index);
        for namespace in look {
            enqueue(context, &namespace, Lane::Rollout);
        }
        if news || resumed {
            // Its owner waits for an answer, or just gave one.
            context.queue.push(Key::Baseline(name), Lane::Status);
        } else {
            // Only its status changed: by ourselves, most often.
            tell(context, [name]);
        }
    }

    fn deleted(&self, context: &Context, _: &str, name: &str, _: Last<'_>) {
        let mut index = context.index.lock();
        if let Some(gone) = index.baseline(name) {
            context.pace.begin(&gone.uid);
        }
        let look = index.baseline_gone(name);
        // Who else selects these namespaces holds them from now on, and counts them anew.
        let others: Vec<Arc<str>> = index.baselines().map(|(name, _)| name.clone()).collect();
        drop(index);
        context.metrics.forget(name);
        for namespace in look {
            enqueue(context, &namespace, Lane::Rollout);
        }
        tell(context, others);
    }

    fn listed_anew(&self, context: &Context) {
        context.index.lock().baselines_listed_anew();
    }

    fn unshown(&self, context: &Context, shown: &Shown) -> Vec<(String, String)> {
        let index = context.index.lock();
        let gone = index.baselines().filter(|(name, _)| !shown.has("", name));
        gone.map(|(name, _)| (String::new(), name.to_string())).collect()
    }
}

/// Takes up from the baselines' status what was known of the cluster before a restart, and is not found now. Before
/// anything is planned: what was written from it would else be left to whoever changes it.
pub fn recall(context: &Context) {
    let stated = context.config.cluster_dns.node_local();
    let mut index = context.index.lock();
    let status = index.baselines().filter_map(|(_, b)| b.status.detected.clone());
    let told: Vec<Detected> = status.filter_map(|told| serde_json::from_value(told).ok()).collect();
    let before = index.cluster().clone();
    index.update_cluster(|cluster| told.iter().for_each(|told| told.recall(cluster, &stated)));
    if *index.cluster() != before {
        tracing::warn!("DNS or the API server was not found as it was before; what was known last holds");
    }
}

/// Changes what is true of the cluster, and has every namespace looked at if that is news, and every baseline, whose
/// status remembers it.
fn learn(context: &Context, update: impl FnOnce(&mut ClusterFacts)) {
    let mut index = context.index.lock();
    let (look, told) = if index.update_cluster(update) {
        let names: Vec<Arc<str>> = index.baselines().map(|(name, _)| name.clone()).collect();
        (index.selected(), names)
    } else {
        <(Vec<_>, Vec<_>)>::default()
    };
    drop(index);
    tell(context, told);
    for namespace in look {
        enqueue(context, &namespace, Lane::Rollout);
    }
}

/// Objects of which a few matter together, such as the EndpointSlices of one Service.
type Kept<T> = parking_lot::Mutex<std::collections::BTreeMap<String, T>>;

#[derive(Default)]
struct Dns(Kept<crate::core::world::Destination>);

impl Sink for Dns {
    fn applied(&self, context: &Context, object: Value) {
        let mut known = self.0.lock();
        match facts::dns(&object) {
            Some(found) => known.insert(meta(&object, "name").to_owned(), found),
            None => known.remove(meta(&object, "name")),
        };
        let Some(first) = known.values().next().cloned() else {
            return;
        };
        learn(context, |cluster| cluster.dns = Some(first));
    }

    fn deleted(&self, _: &Context, _: &str, name: &str, _: Last<'_>) {
        // What was found last stays true for what is enforced: without its DNS Service a cluster has no DNS to cut off,
        // and most often the Service is only being replaced.
        self.0.lock().remove(name);
    }

    fn unshown(&self, _: &Context, _: &Shown) -> Vec<(String, String)> {
        Vec::new()
    }
}

struct NodeLocalDns;

impl Sink for NodeLocalDns {
    fn applied(&self, context: &Context, object: Value) {
        let found = facts::node_local_dns(&object);
        // As of the DNS Service: what was found last stays true for what is enforced.
        if !found.is_empty() {
            let stated = context.config.cluster_dns.node_local();
            learn(context, |cluster| cluster.node_local_dns = &found | &stated);
        }
    }

    fn deleted(&self, _: &Context, _: &str, _: &str, _: Last<'_>) {}

    fn unshown(&self, _: &Context, _: &Shown) -> Vec<(String, String)> {
        Vec::new()
    }
}

#[derive(Default)]
struct ApiServer(Kept<crate::core::world::Destination>);

impl Sink for ApiServer {
    fn applied(&self, context: &Context, object: Value) {
        let mut known = self.0.lock();
        match facts::endpoints(&object) {
            Some(found) => known.insert(meta(&object, "name").to_owned(), found),
            None => known.remove(meta(&object, "name")),
        };
        let all: Vec<_> = known.values().cloned().collect();
        if !all.is_empty() {
            learn(context, |cluster| cluster.api_server = Some(all));
        }
    }

    fn deleted(&self, _: &Context, _: &str, name: &str, _: Last<'_>) {
        self.0.lock().remove(name);
    }

    fn unshown(&self, _: &Context, shown: &Shown) -> Vec<(String, String)> {
        let known = self.0.lock();
        let gone = known.keys().filter(|name| !shown.has("default", name));
        gone.map(|name| ("default".to_owned(), name.clone())).collect()
    }
}

struct Grantable;

impl Sink for Grantable {
    fn applied(&self, context: &Context, object: Value) {
        learn(context, |cluster| cluster.grantable = facts::grantable(&object));
    }

    fn deleted(&self, context: &Context, _: &str, _: &str, _: Last<'_>) {
        learn(context, |cluster| cluster.grantable = Vec::new());
    }

    fn unshown(&self, _: &Context, shown: &Shown) -> Vec<(String, String)> {
        let gone = Some(GRANTABLE).filter(|name| !shown.has("", name));
        gone.map(|name| (String::new(), name.to_owned())).into_iter().collect()
    }
}
