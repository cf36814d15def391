//! What all baselines that hold one namespace mean together, section by section.
//!
//! The result is a function of the *set* of baselines: their order, and whether one is handed in twice, does not matter.
//! What protects is merged to the strictest (Pod Security levels and versions, quotas, limit ranges, denied directions),
//! so that one more baseline never weakens; what allows or grants adds up. Where two ask for the same name with
//! something that cannot be merged, the older one's holds (by creationTimestamp, then by name), and both are told.
//!
//! A baseline's section takes part in one of three ways: it is *enforced*; it is *audited*, and then it is only told
//! what would change; or it was enforced before and is audited or suspended now. What was enforced last then still
//! counts where another baseline enforces the same object, so that nobody's Audit dilutes another one's Enforce, but is
//! itself no longer written. Of what it granted or allowed, only what its spec still asks for counts: a grant that is
//! withdrawn goes at once, since that only tightens.

mod access;
mod limit_ranges;
mod network;
mod pod_security;
mod quotas;
mod renderings;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use pod_security::newness;

use self::renderings::Renderings;
use super::control::Registry;
use super::object::ChildId;
use super::world::{Baseline, ClusterFacts, NamespaceFacts};
use crate::api::v1alpha1::{Mode, SecurityBaselineSpec};

/// What some baselines mean together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effective {
    /// The baselines, the oldest first.
    pub baselines: Vec<Arc<Baseline>>,
    /// What is enforced.
    pub enforced: Merged,
    /// What would be enforced if every section of every baseline were; `None` where that is the same, conflicts and all.
    pub asked: Option<Merged>,
    /// Who takes part in each section, by its name.
    pub sections: BTreeMap<&'static str, Askers>,
    /// Who asks for each object.
    pub children: BTreeMap<ChildId, Askers>,
    /// Who asks for each label on the namespace.
    pub labels: BTreeMap<String, Askers>,
}

/// The baselines that ask for something, as places in [`Effective::baselines`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Askers {
    /// Those that enforce it.
    pub enforcing: Vec<usize>,
    /// Those that do not: audited, or suspended.
    pub auditing: Vec<usize>,
}

impl Askers {
    /// Whether it is written.
    pub fn mode(&self) -> Mode {
        if self.enforcing.is_empty() {
            Mode::Audit
        } else {
            Mode::Enforce
        }
    }

    /// The one that it is recorded for: the oldest that enforces it, else the oldest.
    pub fn owner(&self) -> Option<usize> {
        self.enforcing.first().or(self.auditing.first()).copied()
    }
}

/// Sections, merged.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Merged {
    /// The merged sections, as one spec. Its selector and mode mean nothing.
    pub spec: SecurityBaselineSpec,
    /// What applies, value by value, by section.
    pub values: BTreeMap<&'static str, Vec<Supplied>>,
    /// What could not be merged.
    pub conflicts: Vec<Conflict>,
    /// What the sections mean, as far as it was asked for.
    renderings: Renderings,
}

/// A value that applies, and who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supplied {
    /// What it is the value of, such as `enforce` or `compute/requests.cpu`.
    pub field: String,
    /// The value.
    pub value: String,
    /// The oldest baseline that asked for it, as a place in [`Effective::baselines`].
    pub by: usize,
    /// Those that asked for less, and for what.
    pub less: Vec<(usize, String)>,
}

impl Supplied {
    fn new(field: impl Into<String>, value: impl Into<String>, by: usize) -> Self {
        Self {
            field: field.into(),
            value: value.into(),
            by,
            less: Vec::new(),
        }
    }
}

/// Two baselines that ask for the same name with something that cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The section.
    pub section: &'static str,
    /// What they both ask for, as kind/name.
    pub object: String,
    /// The one that holds, as a place in [`Effective::baselines`].
    pub holds: usize,
    /// The one whose part is left out.
    pub yields: usize,
    /// What differs, and what holds.
    pub message: String,
}

/// What one baseline asks for of a section.
type Share<'a, S> = (usize, &'a S);

/// What became of the shares of a section.
struct Outcome<S> {
    section: Option<S>,
    values: Vec<Supplied>,
    conflicts: Vec<Conflict>,
}

/// Merges the baselines that hold one namespace.
pub fn merge(registry: Registry, baselines: &[Arc<Baseline>]) -> Effective {
    let mut all = baselines.to_vec();
    all.sort_by(|a, b| (a.created, &a.name, &a.uid).cmp(&(b.created, &b.name, &b.uid)));
    all.dedup_by(|a, b| a.uid == b.uid);
    let mut effective = Effective {
        baselines: all,
        ..Effective::default()
    };
    let (mut enforced, mut asked) = (Vec::new(), Vec::new());
    let mut audited = false;
    for (place, baseline) in effective.baselines.iter().enumerate() {
        let mut share = SecurityBaselineSpec::default();
        let mut writes = SecurityBaselineSpec::default();
        let mut whole = SecurityBaselineSpec::default();
        for control in registry {
            let Some(mode) = control.mode(&baseline.spec) else {
                continue;
            };
            control.copy(&baseline.spec, &mut whole);
            let askers = effective.sections.entry(control.section()).or_default();
            if mode == Mode::Enforce && !baseline.spec.suspend {
                askers.enforcing.push(place);
                control.copy(&baseline.spec, &mut share);
                control.copy(&baseline.spec, &mut writes);
            } else {
                audited = true;
                askers.auditing.push(place);
                if let Some(frozen) = &baseline.frozen {
                    control.copy(frozen, &mut share);
                }
            }
        }
        note(
            registry,
            &mut effective.children,
            &mut effective.labels,
            &writes,
            &whole,
            place,
        );
        enforced.push((place, share));
        asked.push((place, whole));
    }
    effective.enforced = merged(&enforced);
    effective.asked = audited
        .then(|| merged(&asked))
        .filter(|asked| (&asked.spec, &asked.conflicts) != (&effective.enforced.spec, &effective.enforced.conflicts));
    effective
}

/// Notes who asks for which objects and labels: what a baseline would create if it were alone.
fn note(
    registry: Registry,
    children: &mut BTreeMap<ChildId, Askers>,
    labels: &mut BTreeMap<String, Askers>,
    writes: &SecurityBaselineSpec,
    whole: &SecurityBaselineSpec,
    place: usize,
) {
    let (namespace, cluster) = (NamespaceFacts::default(), ClusterFacts::default());
    for control in registry {
        let rendered = control.render(whole, &namespace, &cluster);
        let enforces = control.mode(writes).is_some();
        let ids = rendered.children.iter().map(|child| child.id.clone());
        // What cannot be said without knowing the cluster is held here, and asked for all the same.
        for id in ids.chain(rendered.held.into_iter().filter_map(|held| held.id)) {
            children.entry(id).or_default().add(place, enforces);
        }
        for rule in rendered.labels {
            labels.entry(rule.key).or_default().add(place, enforces);
        }
    }
}

impl Askers {
    fn add(&mut self, place: usize, enforces: bool) {
        let list = if enforces {
            &mut self.enforcing
        } else {
            &mut self.auditing
        };
        if list.last() != Some(&place) {
            list.push(place);
        }
    }
}

fn merged(shares: &[(usize, SecurityBaselineSpec)]) -> Merged {
    let mut merged = Merged::default();
    let Merged {
        spec,
        values,
        conflicts,
        ..
    } = &mut merged;
    let mut take = |section: &'static str, supplied: Vec<Supplied>, clashes: Vec<Conflict>| {
        if !supplied.is_empty() {
            values.insert(section, supplied);
        }
        conflicts.extend(clashes);
    };

    let outcome = pod_security::merge(&of(shares, |s| s.pod_security.as_ref()));
    spec.pod_security = outcome.section;
    take("podSecurity", outcome.values, outcome.conflicts);

    let outcome = network::merge(&of(shares, |s| s.network_isolation.as_ref()));
    spec.network_isolation = outcome.section;
    take("networkIsolation", outcome.values, outcome.conflicts);

    let outcome = limit_ranges::merge(&of(shares, |s| s.limit_ranges.as_ref()));
    spec.limit_ranges = outcome.section;
    take("limitRanges", outcome.values, outcome.conflicts);

    let outcome = quotas::merge(&of(shares, |s| s.resource_quotas.as_ref()));
    spec.resource_quotas = outcome.section;
    take("resourceQuotas", outcome.values, outcome.conflicts);

    let outcome = access::merge(&of(shares, |s| s.access.as_ref()));
    spec.access = outcome.section;
    take("access", outcome.values, outcome.conflicts);
    merged
}

fn of<'a, S>(
    shares: &'a [(usize, SecurityBaselineSpec)],
    section: impl Fn(&'a SecurityBaselineSpec) -> Option<&'a S>,
) -> Vec<Share<'a, S>> {
    shares
        .iter()
        .filter_map(|(place, spec)| Some((*place, section(spec)?)))
        .collect()
}

/// What a baseline enforced last of the sections that it no longer enforces, but still has: kept when its spec changes
/// from `before` to `after`. What protects is kept whole; of what grants or allows, what `after` still asks for. What was
/// withdrawn stays so, also if it is asked for again: then it is only audited.
pub fn frozen(
    registry: Registry,
    before: &Baseline,
    after: &SecurityBaselineSpec,
) -> Option<Arc<SecurityBaselineSpec>> {
    let mut kept = SecurityBaselineSpec::default();
    let mut any = false;
    for control in registry {
        let enforces = |spec: &SecurityBaselineSpec| control.mode(spec) == Some(Mode::Enforce) && !spec.suspend;
        if enforces(after) || control.mode(after).is_none() {
            continue;
        }
        let from = if enforces(&before.spec) {
            Some(&before.spec)
        } else {
            before.frozen.as_deref().filter(|frozen| control.mode(frozen).is_some())
        };
        if let Some(from) = from {
            control.copy(from, &mut kept);
            any = true;
        }
    }
    if let (Some(kept), Some(asked)) = (&mut kept.network_isolation, &after.network_isolation) {
        network::withdraw(kept, asked);
    }
    if let (Some(kept), Some(asked)) = (&mut kept.access, &after.access) {
        access::withdraw(kept, asked);
    }
    any.then(|| Arc::new(kept))
}

/// What two lists have in common, of which an empty one means anything; `None` if that is nothing.
fn meet<T: Clone + PartialEq>(a: &[T], b: &[T]) -> Option<Vec<T>> {
    if a.is_empty() || b.is_empty() {
        return Some([a, b].concat());
    }
    let both: Vec<T> = a.iter().filter(|one| b.contains(one)).cloned().collect();
    (!both.is_empty()).then_some(both)
}

/// Items that stand under one name in several baselines, by name, the oldest baseline first.
fn by_name<'a, T: 'a>(
    shares: impl IntoIterator<Item = (usize, &'a [T])>,
    name: impl Fn(&T) -> &str,
) -> Vec<(String, Vec<Share<'a, T>>)> {
    let mut order = Vec::new();
    let mut named: BTreeMap<String, Vec<Share<'a, T>>> = BTreeMap::new();
    for (place, items) in shares {
        for item in items {
            let name = name(item).to_owned();
            if !named.contains_key(&name) {
                order.push(name.clone());
            }
            named.entry(name).or_default().push((place, item));
        }
    }
    order
        .into_iter()
        .filter_map(|name| named.remove(&name).map(|items| (name, items)))
        .collect()
}

#[cfg(test)]
mod tests;
