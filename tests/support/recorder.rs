//! A recorder of every state that what protects a namespace was ever in, so that a test can say that no instant was
//! weaker than declared: the end alone does not tell.

mod declared;
mod weaker;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::{
    core::v1::{Namespace, ResourceQuota},
    networking::v1::NetworkPolicy,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api,
    api::{DynamicObject, ListParams, WatchParams},
    core::{ApiResource, WatchEvent},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

pub use self::{declared::Declared, weaker::Tampering};
use super::{eventually, plane::ControlPlane};

/// Before a watch that broke is begun again.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the watches may take to show what was done already.
const PATIENCE: Duration = Duration::from_secs(60);

/// An object as it was from one write to the next.
#[derive(Clone, Debug)]
pub struct State {
    /// Such as `NetworkPolicy`.
    pub kind: String,
    /// The namespace; of a Namespace its own name.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The resourceVersion of the write. In one cluster they count up over all kinds.
    pub version: u64,
    /// When it was seen, a few milliseconds after the write.
    pub seen: Instant,
    /// The object, without `managedFields`; nothing if the write deleted it.
    pub object: Option<Value>,
}

/// Watches, as the admin, NetworkPolicies, Namespaces, ResourceQuotas, Roles and RoleBindings of a cluster from the
/// moment that it was started, and keeps every state in order.
///
/// A watch that breaks goes on where it was. Where it cannot (an API server that was restarted remembers nothing from
/// before), what is there then is kept, and what was in between is a gap.
pub struct Recorder {
    kept: Arc<Mutex<Kept>>,
    kinds: Vec<(String, Api<DynamicObject>)>,
    /// Aborted when dropped.
    _watches: JoinSet<()>,
}

#[derive(Default)]
struct Kept {
    states: Vec<State>,
    /// The version of what is live now, by kind, namespace and name.
    live: BTreeMap<Key, u64>,
    gaps: Vec<String>,
}

type Key = (String, String, String);

impl Recorder {
    /// Starts one. It ends with the runtime that starts it.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn start(plane: &ControlPlane) -> Result<Self> {
        let client = plane.admin().await?;
        let kept = Arc::new(Mutex::new(Kept::default()));
        let resources = [
            ApiResource::erase::<NetworkPolicy>(&()),
            ApiResource::erase::<Namespace>(&()),
            ApiResource::erase::<ResourceQuota>(&()),
            ApiResource::erase::<Role>(&()),
            ApiResource::erase::<RoleBinding>(&()),
        ];
        let mut watches = JoinSet::new();
        let mut kinds = Vec::new();
        for resource in resources {
            let kind = resource.kind.clone();
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let version = list(&api, &kind, &kept, false).await?;
            kinds.push((kind.clone(), api.clone()));
            watches.spawn(follow(api, kind, kept.clone(), version));
        }
        Ok(Self {
            kept,
            kinds,
            _watches: watches,
        })
    }

    /// The resourceVersion of the cluster's last write: what comes later has a greater one.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn version(&self) -> Result<u64> {
        let one = ListParams::default().limit(1);
        let (_, api) = self.kinds.first().context("nothing is watched")?;
        let version = api.list(&one).await?.metadata.resource_version;
        Ok(version.context("a list without a resourceVersion")?.parse()?)
    }

    /// Every state so far, in the order of the writes.
    pub fn states(&self) -> Vec<State> {
        let mut states = self.kept.lock().states.clone();
        states.sort_by_key(|state| state.version);
        states
    }

    /// Where a watch could not go on.
    pub fn gaps(&self) -> Vec<String> {
        self.kept.lock().gaps.clone()
    }

    /// Waits until the watches have shown all that was written before.
    ///
    /// # Errors
    /// When they have not within a minute.
    pub async fn caught_up(&self) -> Result<()> {
        eventually("the recorder has seen what was written", PATIENCE, async || {
            let mut live = BTreeMap::new();
            for (kind, api) in &self.kinds {
                for object in api.list(&ListParams::default()).await? {
                    let state = state(kind, object, false)?;
                    live.insert((state.kind, state.namespace, state.name), state.version);
                }
            }
            let seen = self.kept.lock().live.clone();
            ensure!(seen == live, "seen {seen:?}, and not {live:?}");
            Ok(())
        })
        .await
    }

    /// Asserts that what protects these namespaces was never weaker than declared, from the moment that it was first
    /// there and up to a resourceVersion; but for what the test itself tampered with, until that was repaired.
    ///
    /// # Panics
    /// When some state was weaker: with all of them.
    #[allow(clippy::panic, reason = "this is how a test fails")]
    pub async fn assert_never_weaker(
        &self,
        declared: &Declared,
        namespaces: &[String],
        until: u64,
        tamperings: &[Tampering],
    ) {
        if let Err(error) = self.caught_up().await {
            panic!("{error:#}");
        }
        let mut states = self.states();
        states.retain(|state| state.version <= until && namespaces.contains(&state.namespace));
        let weaker = weaker::weaker(&states, declared, tamperings);
        assert!(weaker.is_empty(), "weaker than declared:\n{}", weaker.join("\n"));
    }
}

/// Keeps what is there, and what is gone. Answers the version of the list.
async fn list(api: &Api<DynamicObject>, kind: &str, kept: &Mutex<Kept>, again: bool) -> Result<String> {
    let listed = api.list(&ListParams::default()).await?;
    let version = listed
        .metadata
        .resource_version
        .context("a list without a resourceVersion")?;
    let mut found = Vec::new();
    for object in listed.items {
        found.push(state(kind, object, false)?);
    }
    let mut kept = kept.lock();
    let gone: Vec<Key> = kept
        .live
        .keys()
        .filter(|(of, namespace, name)| {
            of == kind
                && !found
                    .iter()
                    .any(|state| &state.namespace == namespace && &state.name == name)
        })
        .cloned()
        .collect();
    for (kind, namespace, name) in gone {
        found.push(State {
            kind,
            namespace,
            name,
            version: version.parse()?,
            seen: Instant::now(),
            object: None,
        });
    }
    if again {
        let at = kept
            .states
            .iter()
            .filter(|state| state.kind == kind)
            .map(|state| state.version)
            .max();
        kept.gaps.push(format!("{kind}s from {at:?} to {version}"));
    }
    for state in found {
        kept.keep(state);
    }
    Ok(version)
}

/// Watches for ever.
async fn follow(api: Api<DynamicObject>, kind: String, kept: Arc<Mutex<Kept>>, mut version: String) {
    loop {
        match watch(&api, &kind, &kept, &mut version).await {
            Ok(Ended::ByItself) => {}
            Ok(Ended::TooOld) => {
                if let Ok(listed) = list(&api, &kind, &kept, true).await {
                    version = listed;
                }
            }
            // The API server is away.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

enum Ended {
    ByItself,
    /// What came after the version is forgotten.
    TooOld,
}

/// Watches until the watch ends.
async fn watch(api: &Api<DynamicObject>, kind: &str, kept: &Mutex<Kept>, version: &mut String) -> Result<Ended> {
    let watched = api.watch(&WatchParams::default(), version).await;
    if let Err(kube::Error::Api(status)) = &watched
        && status.code == 410
    {
        return Ok(Ended::TooOld);
    }
    let mut events = watched?.boxed();
    while let Some(event) = events.next().await {
        let state = match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => state(kind, object, false)?,
            WatchEvent::Deleted(object) => state(kind, object, true)?,
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) if status.code == 410 => return Ok(Ended::TooOld),
            WatchEvent::Error(status) => return Err(kube::Error::Api(status.boxed()).into()),
        };
        *version = state.version.to_string();
        kept.lock().keep(state);
    }
    Ok(Ended::ByItself)
}

fn state(kind: &str, mut object: DynamicObject, deleted: bool) -> Result<State> {
    object.metadata.managed_fields = None;
    let name = object.metadata.name.clone().context("an object without a name")?;
    let version = object
        .metadata
        .resource_version
        .clone()
        .context("an object without a version")?;
    Ok(State {
        kind: kind.to_owned(),
        namespace: object.metadata.namespace.clone().unwrap_or_else(|| name.clone()),
        name,
        version: version.parse()?,
        seen: Instant::now(),
        object: (!deleted).then(|| serde_json::to_value(&object)).transpose()?,
    })
}

impl Kept {
    /// Keeps a state, unless it is known.
    fn keep(&mut self, state: State) {
        let key = (state.kind.clone(), state.namespace.clone(), state.name.clone());
        if self.live.get(&key) == Some(&state.version) {
            return;
        }
        match &state.object {
            Some(_) => self.live.insert(key, state.version),
            None => self.live.remove(&key),
        };
        self.states.push(state);
    }
}
