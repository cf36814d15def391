//! All that a plan may see.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::control::Held;
use super::drift::{Claim, Open};
use super::exceptions::Waivers;
use super::fight::Fights;
use super::merge::Effective;
use super::object::{Child, ChildId, Digest};
use crate::api::v1alpha1::{NetworkPeer, NetworkPort, PodSecurityLevel, SecurityBaselineSpec};

/// A baseline with an accepted spec.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The baseline's name.
    pub name: String,
    /// The baseline's UID.
    pub uid: String,
    /// When it was created: the older of two baselines holds.
    pub created: Timestamp,
    /// The generation of the spec.
    pub generation: i64,
    /// Since when that spec holds.
    pub since: Timestamp,
    /// The spec.
    pub spec: SecurityBaselineSpec,
    /// What was enforced last of the sections that are audited or suspended now.
    pub frozen: Option<Arc<SecurityBaselineSpec>>,
    /// The spec that this one replaced while the operator did not run: what was written for it may not be on record.
    pub replaced: Option<Arc<SecurityBaselineSpec>>,
    /// Whether it is being deleted, and takes with it what was created for it.
    pub leaving: bool,
}

/// One namespace, at one moment.
#[derive(Clone, Debug)]
pub struct World {
    /// The namespace itself.
    pub namespace: NamespaceFacts,
    /// All baselines that hold it: that select it, or selected it until it lost its labels.
    pub baselines: Vec<Arc<Baseline>>,
    /// The UIDs of those that do not select it any more.
    pub deselected: BTreeSet<String>,
    /// The baselines that held it and let it go, or leave.
    pub released: Vec<Arc<Baseline>>,
    /// What the baselines mean together, if that was made for another namespace already.
    pub effective: Option<Arc<Effective>>,
    /// What of that is waived here.
    pub waivers: Waivers,
    /// What is live under reserved names.
    pub live: BTreeMap<ChildId, Live>,
    /// What the namespace's report says of earlier work.
    pub prior: Prior,
    /// What is true of the cluster.
    pub cluster: Arc<ClusterFacts>,
    /// What of others stands there and undoes a control.
    pub foreign: BTreeMap<ChildId, Arc<Weakening>>,
    /// The UIDs of the baselines in whose rollouts this namespace had its turn.
    pub admitted: BTreeSet<String>,
    /// What was found before anything is newly enforced, by section.
    pub preflight: BTreeMap<&'static str, Checked>,
    /// Who keeps undoing what is repaired.
    pub fights: Fights,
    /// A number from 0 to 1: spreads what would else come at the same time.
    pub jitter: f64,
    /// Now.
    pub now: Timestamp,
}

impl World {
    /// Whether the report tells of the namespace as the present spec of this baseline found it.
    pub fn is_judged(&self, baseline: &Baseline) -> bool {
        let member = self.prior.members.get(baseline.uid.as_str());
        member.is_some_and(|member| member.generation == baseline.generation)
    }

    /// A namespace under these baselines of which nothing is known yet.
    pub fn bare(
        namespace: NamespaceFacts,
        baselines: Vec<Arc<Baseline>>,
        cluster: Arc<ClusterFacts>,
        now: Timestamp,
    ) -> Self {
        Self {
            namespace,
            baselines,
            deselected: BTreeSet::new(),
            released: Vec::new(),
            effective: None,
            waivers: Waivers::default(),
            live: BTreeMap::new(),
            prior: Prior::default(),
            cluster,
            foreign: BTreeMap::new(),
            admitted: BTreeSet::new(),
            preflight: BTreeMap::new(),
            fights: Fights::default(),
            jitter: 0.0,
            now,
        }
    }
}

/// What an object of somebody else undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Undoes {
    /// The default deny of ingress.
    Ingress,
    /// The default deny of egress.
    Egress,
    /// That access is what the baseline says.
    Access,
}

/// An object of somebody else that opens what a control closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakening {
    /// What it undoes. Where this is empty, the object is information.
    pub undoes: Vec<Undoes>,
    /// What it opens for some pods only, or on some ports only.
    pub narrower: Vec<Undoes>,
    /// What it does, in a sentence of at most 512 characters. Nothing that its author wrote is in it.
    pub what: String,
}

/// What a look at what runs in a namespace found, before a section is newly enforced there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The digest of what is to be enforced: the look was about this and nothing else.
    pub what: Digest,
    /// When it was taken.
    pub at: Timestamp,
    /// What enforcing would break; nothing if it would break nothing.
    pub held: Vec<Held>,
}

/// What a plan may know of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was created, if that is known.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The label keys whose present values we wrote, by `managedFields`.
    pub our_labels: BTreeSet<String>,
    /// Who claims the present values of labels that a baseline may ask for, where that is not plainly us.
    pub claims: BTreeMap<String, Claim>,
    /// Whether it is being deleted.
    pub terminating: bool,
}

impl NamespaceFacts {
    /// Who claims the present value of a label. One that was removed is claimed by nobody.
    pub fn claim(&self, key: &str) -> Claim {
        match self.claims.get(key) {
            _ if !self.labels.contains_key(key) => Claim::unknown(),
            Some(claim) => claim.clone(),
            None if self.our_labels.contains(key) => Claim::ours(),
            None => Claim::unknown(),
        }
    }
}

/// A live object under a reserved name.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its UID.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// The digest of its canonical form.
    pub digest: Digest,
    /// The object itself, where it is at hand: a digest cannot say what differs.
    pub object: Option<Arc<Value>>,
    /// What the digest stands for, where that is something that was asked for before and nobody else put anything on the
    /// object: then it need not be read.
    pub form: Option<Child>,
    /// The finalizers of other clients that keep it, if there are any.
    pub kept: Option<Arc<Kept>>,
}

impl Live {
    /// The object, put together from what its digest stands for. Who claims to have written it is not in it.
    pub fn known(&self, namespace: &str) -> Option<Value> {
        let mut object = self.form.as_ref()?.to_object(namespace);
        object["metadata"]["uid"] = self.uid.as_str().into();
        object["metadata"]["resourceVersion"] = self.resource_version.as_str().into();
        Some(object)
    }
}

/// What keeps an object from going when it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The finalizers, bounded.
    pub finalizers: String,
    /// Who claims to have set them.
    pub by: String,
    /// Whether it was deleted already.
    pub deleted: bool,
}

/// What the report says of earlier work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prior {
    /// The objects that we wrote.
    pub inventory: BTreeMap<ChildId, Recorded>,
    /// The baselines that held the namespace, by their UIDs. There may be hundreds, and much the same of many namespaces.
    pub members: Arc<BTreeMap<Arc<str>, Arc<Membership>>>,
    /// The labels that we wrote on the namespace.
    pub labels: BTreeMap<String, RecordedLabel>,
    /// The sections that were enforced before what is, or was until now, waived of them was waived.
    pub enforced_before: BTreeSet<String>,
    /// What was waived when the report was written: the section, and the object or the level that it fell to.
    pub waived: Vec<(String, Option<String>, Option<PodSecurityLevel>)>,
    /// How its conditions stand: type, status, reason and since when.
    pub conditions: Vec<PriorCondition>,
    /// How often something drifted so far, how often that was repaired, when last, and who claims that.
    pub drift: PriorDrift,
    /// Whether the report keeps what objects were before they were taken over.
    pub taken_over: bool,
}

/// How a baseline held a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Membership {
    /// The generation of its spec.
    pub generation: i64,
    /// The labels that the namespace was selected by: each key that the selector looks at, with its value if there was
    /// one.
    pub admitted: BTreeMap<String, Option<String>>,
}

/// A condition as it stood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PriorCondition {
    /// Its type.
    pub type_: String,
    /// Its status.
    pub status: String,
    /// Since when its status is what it is.
    pub since: Timestamp,
}

/// Drift so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PriorDrift {
    /// How often something drifted.
    pub total: i64,
    /// How often that was repaired.
    pub repaired: i64,
    /// When last.
    pub last_seen: Option<Timestamp>,
    /// Who claims that.
    pub last_claimed_by: Option<String>,
    /// What departs since then, and is on record.
    pub open: Open,
}

/// An object that we wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// Its UID.
    pub uid: String,
    /// The UID of the baseline that asked for it; empty once it was let go and left in place.
    pub baseline: String,
    /// The digest of what we wrote.
    pub digest: Option<Digest>,
}

impl Recorded {
    /// Whether it was let go and left in place: to whoever asks for it again, it is as if somebody else had made it.
    pub fn is_orphaned(&self) -> bool {
        self.baseline.is_empty()
    }
}

/// A label that we wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordedLabel {
    /// Its value.
    pub value: String,
    /// The UID of the baseline that asked for it; empty once it was let go and left in place.
    pub baseline: String,
}

impl RecordedLabel {
    /// Whether it was let go and left in place.
    pub fn is_orphaned(&self) -> bool {
        self.baseline.is_empty()
    }
}

/// What is true of the cluster, for all namespaces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterFacts {
    /// Where the cluster's DNS is, once it was found.
    pub dns: Option<Destination>,
    /// The addresses on each node at which pods reach a DNS cache, if there is one.
    pub node_local_dns: BTreeSet<IpAddr>,
    /// The API server's own endpoints, once they were found.
    pub api_server: Option<Vec<Destination>>,
    /// What the operator may hand out in Roles: the rules of the ClusterRole `security-baseline:grantable`.
    pub grantable: Vec<GrantableRule>,
}

/// Peers, and the ports that they listen on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// The peers.
    pub peers: Vec<NetworkPeer>,
    /// Their ports.
    pub ports: Vec<NetworkPort>,
}

/// A rule that may be handed out. Unlike in a baseline, `*` is possible here: an administrator wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantableRule {
    /// API groups.
    pub api_groups: Vec<String>,
    /// Resources.
    pub resources: Vec<String>,
    /// Names of objects; empty for all.
    pub resource_names: Vec<String>,
    /// Verbs.
    pub verbs: Vec<String>,
}

#[cfg(test)]
pub(crate) mod testing;
