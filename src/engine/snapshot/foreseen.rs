//! What is foreseen of a namespace, and whether a change loosens it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use super::Snapshot;
use crate::controls::REGISTRY;
use crate::core::brake::effect;
use crate::core::exceptions::{Waivers, waivers};
use crate::core::merge::Effective;
use crate::core::plan::Plan;
use crate::core::world::{ClusterFacts, World};

/// What is foreseen of a namespace.
#[derive(Default)]
pub struct Foreseen {
    /// The plan for it.
    pub plan: Plan,
    /// The UIDs of the baselines that hold it although it lost the labels that they select by.
    pub deselected: BTreeSet<String>,
    /// What is waived there.
    waivers: Waivers,
}

impl Foreseen {
    pub(super) fn new(world: World, plan: Plan) -> Self {
        Self {
            plan,
            deselected: world.deselected,
            waivers: world.waivers,
        }
    }

    /// What the baselines mean together, without what is waived at a moment.
    fn left(&self, namespace: &str, at: Timestamp) -> Effective {
        let mut effective = (*self.plan.effective).clone();
        let waivers = waivers(&self.waivers.exceptions, namespace, at);
        effective.enforced.spec = waivers.apply(&effective.enforced.spec).0;
        effective
    }
}

/// Tells which controls a change loosens, in one namespace after the other.
pub struct Loosening {
    now: Timestamp,
    cluster: ClusterFacts,
    /// What is known of two sets of baselines, by their addresses: most namespaces are under the same ones.
    known: HashMap<[usize; 2], BTreeSet<&'static str>>,
    /// Keeps the addresses theirs.
    kept: Vec<[Arc<Effective>; 2]>,
}

impl Loosening {
    /// For changes of what this snapshot shows.
    pub fn new(snapshot: &Snapshot) -> Self {
        Self {
            now: snapshot.now(),
            cluster: snapshot.cluster(),
            known: HashMap::new(),
            kept: Vec::new(),
        }
    }

    /// The controls of a namespace of which less is enforced after a change than before. That may also be later, when a
    /// waiver would have ended that the change makes longer.
    pub fn of(&mut self, namespace: &str, before: &Foreseen, after: &Foreseen) -> BTreeSet<&'static str> {
        if !before.waivers.is_empty() || !after.waivers.is_empty() {
            let ends = before.waivers.exceptions.iter().map(|exception| exception.expires);
            let loosened = |at| {
                let (was, is) = (before.left(namespace, at), after.left(namespace, at));
                effect(REGISTRY, &was, &is, &self.cluster).loosened
            };
            return ends.chain([self.now]).flat_map(loosened).collect();
        }
        let (was, is) = (&before.plan.effective, &after.plan.effective);
        let loosened = self
            .known
            .entry([was, is].map(|effective| Arc::as_ptr(effective) as usize));
        let loosened = loosened.or_insert_with(|| {
            self.kept.push([was.clone(), is.clone()]);
            effect(REGISTRY, was, is, &self.cluster).loosened
        });
        loosened.clone()
    }
}
