//! Which baselines hold a namespace.
//!
//! Membership is sticky: a tenant who may change its namespace's labels must not be able to walk out of a baseline. A
//! namespace that was selected once is held until an administrator lets it go: by a changed selector or exclusion, by
//! naming it in `releasedNamespaces`, or by deleting the baseline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::select::{Labels, glob, matches};
use super::world::{Baseline, Membership, Prior};
use crate::api::v1alpha1::{LabelSelector, SecurityBaselineSpec};

/// How a baseline stands to a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It selects it.
    Selected,
    /// It selected it, the labels are gone, and it holds it all the same.
    Deselected,
    /// It has nothing to do with it, or no longer.
    Out,
}

/// How a baseline stands to a namespace, of which it may be on record how it was selected.
pub fn standing(
    spec: &SecurityBaselineSpec,
    name: &str,
    labels: &impl Labels,
    recorded: Option<&Membership>,
) -> Standing {
    if spec.excluded_namespaces.iter().any(|pattern| glob(pattern, name)) {
        return Standing::Out;
    }
    if matches(&spec.namespace_selector, labels) {
        return Standing::Selected;
    }
    let held = recorded.is_some_and(|recorded| matches(&spec.namespace_selector, &Then { labels, recorded }));
    if held && !spec.released_namespaces.iter().any(|released| released == name) {
        Standing::Deselected
    } else {
        Standing::Out
    }
}

/// The labels of a namespace as they were when it was selected, as far as that is on record.
struct Then<'a, L> {
    labels: &'a L,
    recorded: &'a Membership,
}

impl<L: Labels> Labels for Then<'_, L> {
    fn value(&self, key: &str) -> Option<&str> {
        match self.recorded.admitted.get(key) {
            Some(then) => then.as_deref(),
            None => self.labels.value(key),
        }
    }
}

/// What is put on record of a namespace that is selected: each label that the selector looks at.
pub fn admitted(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    let keys = selector.match_labels.keys();
    let keys = keys.chain(selector.match_expressions.iter().map(|requirement| &requirement.key));
    keys.map(|key| (key.clone(), labels.get(key).cloned())).collect()
}

/// The baselines of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Members {
    /// Those that hold it.
    pub holding: Vec<Arc<Baseline>>,
    /// The UIDs of those of them that no longer select it.
    pub deselected: BTreeSet<String>,
    /// Those that held it and let it go, or leave.
    pub released: Vec<Arc<Baseline>>,
}

/// What is on record of the baselines of a namespace, however it is kept.
pub trait OnRecord {
    /// How a baseline held it, by the baseline's UID.
    fn membership(&self, uid: &str) -> Option<&Membership>;
    /// Whether anything of a baseline is on record.
    fn knows(&self, uid: &str) -> bool;
}

/// Sorts the baselines by how they stand to the namespace of this name.
pub fn members<'a>(
    baselines: impl IntoIterator<Item = &'a Arc<Baseline>>,
    name: &str,
    labels: &impl Labels,
    prior: Option<&impl OnRecord>,
) -> Members {
    let mut members = Members::default();
    for baseline in baselines {
        let recorded = prior.and_then(|prior| prior.membership(&baseline.uid));
        let standing = standing(&baseline.spec, name, labels, recorded);
        if baseline.leaving || standing == Standing::Out {
            if prior.is_some_and(|prior| prior.knows(&baseline.uid)) {
                members.released.push(Arc::clone(baseline));
            }
            continue;
        }
        if standing == Standing::Deselected {
            members.deselected.insert(baseline.uid.clone());
        }
        members.holding.push(Arc::clone(baseline));
    }
    members
}

impl OnRecord for Prior {
    fn membership(&self, uid: &str) -> Option<&Membership> {
        self.members.get(uid).map(|member| &**member)
    }

    fn knows(&self, uid: &str) -> bool {
        self.members.contains_key(uid)
            || self.inventory.values().any(|recorded| recorded.baseline == uid)
            || self.labels.values().any(|recorded| recorded.baseline == uid)
    }
}

#[cfg(test)]
mod tests;
