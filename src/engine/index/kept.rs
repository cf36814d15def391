//! What is kept of each namespace, in little room: there may be ten thousand of them, and they look much alike.
//!
//! What a plan sees of a namespace is made of it when it is looked at (`open`), and put away afterwards (`close`).

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use uuid::Uuid;

use super::version_number;
use crate::core::drift::Claim;
use crate::core::membership::OnRecord;
use crate::core::object::{ChildId, Digest};
use crate::core::select::Labels;
use crate::core::settle::MemberStanding;
use crate::core::world::{Membership, NamespaceFacts, Prior, Recorded};

/// Values that many hold, each kept once.
pub(super) struct Pool<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// How many there may be until those that nobody holds any more are dropped.
    most: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            most: 64,
        }
    }
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The one that is kept of this value.
    pub(super) fn share<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.most {
            self.known.retain(|value| Arc::strong_count(value) > 1);
            self.most = (2 * self.known.len()).max(64);
            self.known.shrink_to(self.most);
        }
        let value = value.into();
        self.known.insert(Arc::clone(&value));
        value
    }
}

/// What namespaces share.
#[derive(Default)]
pub(super) struct Pools {
    pub(super) texts: Pool<str>,
    pub(super) ids: Pool<ChildId>,
    pub(super) standings: Pool<Vec<MemberStanding>>,
    keys: Pool<BTreeSet<String>>,
    claims: Pool<BTreeMap<String, Claim>>,
    memberships: Pool<Membership>,
    members: Pool<BTreeMap<Arc<str>, Arc<Membership>>>,
    records: Pool<Prior>,
}

/// A UID: of sixteen bytes, where it is a UUID as all that Kubernetes gives are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Uid {
    Uuid(Uuid),
    Other(Box<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        let uuid = Uuid::try_parse(text).ok();
        let canonical = |uuid: &Uuid| uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
        uuid.filter(canonical)
            .map_or_else(|| Self::Other(text.into()), Self::Uuid)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => uuid.hyphenated().fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl PartialEq<str> for Uid {
    fn eq(&self, other: &str) -> bool {
        self.eq(&Self::from(other))
    }
}

/// A resourceVersion: a number, where it is one as all that etcd gives are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Number(u64),
    Other(Box<str>),
}

impl Version {
    /// By which one version comes after another.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Other(text) => version_number(text),
        }
    }
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        let canonical = |text: &str| !text.starts_with(['0', '+']) || text == "0";
        match text.parse() {
            Ok(number) if canonical(text) => Self::Number(number),
            _ => Self::Other(text.into()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl PartialEq<str> for Version {
    fn eq(&self, other: &str) -> bool {
        self.eq(&Self::from(other))
    }
}

/// What is known of a Namespace.
pub(super) struct Facts {
    pub(super) uid: Uid,
    pub(super) terminating: bool,
    created: Option<Timestamp>,
    /// By their keys, in order.
    labels: Box<[(Arc<str>, Arc<str>)]>,
    our_labels: Arc<BTreeSet<String>>,
    claims: Arc<BTreeMap<String, Claim>>,
}

impl Facts {
    pub(super) fn close(facts: NamespaceFacts, pools: &mut Pools) -> Self {
        let labels = facts.labels.iter();
        Self {
            uid: facts.uid.as_str().into(),
            terminating: facts.terminating,
            created: facts.created,
            labels: labels
                .map(|(key, value)| (pools.texts.share(key.as_str()), pools.texts.share(value.as_str())))
                .collect(),
            our_labels: pools.keys.share(facts.our_labels),
            claims: pools.claims.share(facts.claims),
        }
    }

    /// What a plan may know of the Namespace of this name.
    pub(super) fn open(&self, name: &str) -> NamespaceFacts {
        let labels = self.labels.iter();
        NamespaceFacts {
            name: name.to_owned(),
            uid: self.uid.to_string(),
            created: self.created,
            labels: labels
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            our_labels: (*self.our_labels).clone(),
            claims: (*self.claims).clone(),
            terminating: self.terminating,
        }
    }
}

impl Labels for Facts {
    fn value(&self, key: &str) -> Option<&str> {
        let place = self.labels.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.labels.get(place).map(|(_, value)| &**value)
    }
}

/// An object that we wrote.
#[derive(Clone)]
pub(super) struct Written {
    id: Arc<ChildId>,
    pub(super) uid: Uid,
    baseline: Arc<str>,
    pub(super) digest: Option<Digest>,
}

/// What is on record of a namespace.
#[derive(Clone, Default)]
pub(super) struct Record {
    /// By what they are, in order.
    inventory: Box<[Written]>,
    /// All else: most namespaces have the same.
    rest: Arc<Prior>,
}

impl Record {
    pub(super) fn close(mut prior: Prior, pools: &mut Pools) -> Self {
        let inventory = std::mem::take(&mut prior.inventory).into_iter();
        let written = |(id, recorded): (ChildId, Recorded)| Written {
            id: pools.ids.share(id),
            uid: recorded.uid.as_str().into(),
            baseline: pools.texts.share(recorded.baseline.as_str()),
            digest: recorded.digest,
        };
        let inventory = inventory.map(written).collect();
        // Times differ from one namespace to the next where the baselines do not, and while a baseline is taken up, these do
        // by little.
        let members = prior.members.iter();
        let members: BTreeMap<_, _> = members
            .map(|(uid, member)| {
                let uid = pools.texts.share(Arc::clone(uid));
                (uid, pools.memberships.share(Arc::clone(member)))
            })
            .collect();
        prior.members = pools.members.share(members);
        Self {
            inventory,
            rest: pools.records.share(prior),
        }
    }

    /// What a plan may see of it.
    pub(super) fn open(&self) -> Prior {
        let recorded = |written: &Written| Recorded {
            uid: written.uid.to_string(),
            baseline: written.baseline.to_string(),
            digest: written.digest,
        };
        let inventory = self.inventory.iter();
        Prior {
            inventory: inventory
                .map(|written| ((*written.id).clone(), recorded(written)))
                .collect(),
            ..(*self.rest).clone()
        }
    }

    /// Puts on record that we wrote an object so, for the baseline of this UID.
    pub(super) fn wrote(&mut self, id: &ChildId, uid: Uid, baseline: &str, digest: Digest, pools: &mut Pools) {
        let written = Written {
            id: pools.ids.share(id.clone()),
            uid,
            baseline: pools.texts.share(baseline),
            digest: Some(digest),
        };
        match self.place(id) {
            Ok(place) => self.inventory[place] = written,
            Err(place) => {
                let mut inventory = std::mem::take(&mut self.inventory).into_vec();
                inventory.insert(place, written);
                self.inventory = inventory.into();
            }
        }
    }

    /// Takes an object off the record.
    pub(super) fn removed(&mut self, id: &ChildId) {
        if let Ok(place) = self.place(id) {
            let mut inventory = std::mem::take(&mut self.inventory).into_vec();
            inventory.remove(place);
            self.inventory = inventory.into();
        }
    }

    fn place(&self, id: &ChildId) -> Result<usize, usize> {
        self.inventory.binary_search_by(|known| (*known.id).cmp(id))
    }

    /// Changes it.
    pub(super) fn update(&mut self, pools: &mut Pools, change: impl FnOnce(&mut Prior)) {
        let before = self.open();
        let mut prior = before.clone();
        change(&mut prior);
        if prior != before {
            *self = Self::close(prior, pools);
        }
    }

    /// All of it but the objects that we wrote.
    pub(super) fn rest(&self) -> &Prior {
        &self.rest
    }

    /// What is on record of an object.
    pub(super) fn written(&self, id: &ChildId) -> Option<&Written> {
        self.inventory.get(self.place(id).ok()?)
    }

    /// Whether something was written for a baseline, and is on record.
    pub(super) fn has_written_for(&self, uid: &str) -> bool {
        self.inventory.iter().any(|written| *written.baseline == *uid)
            || self.rest.labels.values().any(|label| label.baseline == uid)
    }
}

impl OnRecord for Record {
    fn membership(&self, uid: &str) -> Option<&Membership> {
        self.rest.members.get(uid).map(|member| &**member)
    }

    fn knows(&self, uid: &str) -> bool {
        self.rest.members.contains_key(uid) || self.has_written_for(uid)
    }
}
