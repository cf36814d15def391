//! The brake: a change of a baseline that loosens much, or that enforces much that was not enforced before, waits until
//! somebody confirms it.
//!
//! What is counted are pairs of a namespace and a control. A pair is *loosened* when what is enforced there after the
//! change protects less or grants more than before, or stays there and is no longer enforced; it is *newly enforced* when
//! it was not enforced before, and *tightened* when it was and protects more than before, and there is something to
//! write. Repairs, new namespaces and audits are never counted, nor is that a grant is taken away.

use std::collections::BTreeSet;

use super::control::{Control, Registry, Rendered};
use super::merge::{Askers, Effective, newness};
use super::object::Digest;
use super::text::bounded;
use super::world::{ClusterFacts, NamespaceFacts};
use crate::api::v1alpha1::{Mode, PodSecurityLevel};

/// The annotation that confirms a change.
pub const CONFIRM: &str = "securitybaseline.dev/confirm";

/// The annotation whose change lets a rollout that stopped by itself go on.
pub const RESUME: &str = "securitybaseline.dev/resume-rollout";

/// How much a change may do without being confirmed: it waits when it is about more namespaces than this *and* about a
/// larger share of them than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Namespaces.
    pub namespaces: usize,
    /// The share of all namespaces that the baseline holds, before or after, in percent.
    pub percent: usize,
}

/// What a change means for the namespaces of one set of baselines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The controls that it loosens.
    pub loosened: BTreeSet<&'static str>,
    /// The controls that it enforces and that were not enforced before.
    pub enforced: BTreeSet<&'static str>,
    /// The controls that were enforced before, and of which it enforces more.
    pub tightened: BTreeSet<&'static str>,
}

/// Compares what is enforced before and after.
pub fn effect(registry: Registry, before: &Effective, after: &Effective, cluster: &ClusterFacts) -> Effect {
    let mut effect = Effect::default();
    // Nobody lets the namespace go.
    let held = before
        .baselines
        .iter()
        .all(|was| after.baselines.iter().any(|is| is.uid == was.uid));
    for control in registry {
        let section = control.section();
        let enforces = |effective: &Effective| is_enforced(effective.sections.get(section));
        // What a section created that is taken out is deleted, and what only grants is then no longer there either.
        let taken_out = held && !after.sections.contains_key(section);
        let (was, is) = (enforces(before), enforces(after));
        if !was {
            if is {
                effect.enforced.insert(section);
            }
            continue;
        }
        // Where it is neither enforced nor taken out, it stays, and nobody holds it any more.
        if !is && !taken_out {
            effect.loosened.insert(section);
            continue;
        }
        let (was, is) = (written(*control, before, cluster), written(*control, after, cluster));
        if takes_away(*control, &was, &is, held) || grants_more(*control, &was, &is) || lowers(&was, &is) {
            effect.loosened.insert(section);
        } else if protects_more(*control, &was, &is) || lowers(&is, &was) {
            effect.tightened.insert(section);
        }
    }
    effect
}

fn is_enforced(askers: Option<&Askers>) -> bool {
    askers.is_some_and(|askers| askers.mode() == Mode::Enforce)
}

/// What is enforced of a control.
fn written(control: &dyn Control, effective: &Effective, cluster: &ClusterFacts) -> Rendered {
    let mut rendered = control.render(&effective.enforced.spec, &NamespaceFacts::default(), cluster);
    rendered
        .children
        .retain(|child| is_enforced(effective.children.get(&child.id)));
    rendered
        .labels
        .retain(|label| is_enforced(effective.labels.get(&label.key)));
    rendered
}

/// Whether something that protects is gone or weaker; or, where the namespace is no longer held, a grant that nobody
/// holds to what it was any more.
fn takes_away(control: &dyn Control, was: &Rendered, is: &Rendered, held: bool) -> bool {
    was.children
        .iter()
        .any(|child| match is.children.iter().find(|c| c.id == child.id) {
            Some(now) => (child.id.kind.weaker)(child.canonical(), now.canonical()),
            // What is merely held back stays as it is.
            None => {
                let kept_back = is.held.iter().any(|held| held.id.as_ref() == Some(&child.id));
                let only_granted = held && control.only_grants(&child.id);
                !kept_back && !only_granted
            }
        })
}

/// Whether something that protects is new or stronger.
fn protects_more(control: &dyn Control, was: &Rendered, is: &Rendered) -> bool {
    is.children
        .iter()
        .filter(|child| !control.only_grants(&child.id))
        .any(|child| match was.children.iter().find(|c| c.id == child.id) {
            Some(before) => control.tightens(before, child),
            // What was held back and is no longer is no change of the baseline's.
            None => !was.held.iter().any(|held| held.id.as_ref() == Some(&child.id)),
        })
}

/// Whether there is a grant that was not there.
fn grants_more(control: &dyn Control, was: &Rendered, is: &Rendered) -> bool {
    is.children
        .iter()
        .filter(|child| !was.children.iter().any(|c| c.id == child.id))
        .any(|child| control.only_grants(&child.id))
}

/// Whether a label on the namespace asks for less, or is no longer asked for: a Pod Security level, or a version.
fn lowers(was: &Rendered, is: &Rendered) -> bool {
    was.labels.iter().any(|label| {
        let now = is.labels.iter().find(|now| now.key == label.key);
        now.is_none_or(|now| strictness(&now.value) < strictness(&label.value))
    })
}

/// How much a Pod Security label asks for, to be compared with another value of the same label: by its level, or by how
/// new its version is. A value that is neither asks for less than any level, and for the newest version.
pub fn strictness(value: &str) -> (Option<PodSecurityLevel>, u32) {
    match PodSecurityLevel::parse(value) {
        Some(level) => (Some(level), 0),
        None => (None, newness(Some(value))),
    }
}

/// What a change does to all namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The namespaces that the baseline holds, before or after.
    pub namespaces: usize,
    /// Those of them that are loosened, newly enforced or tightened.
    pub affected: usize,
    /// Pairs of namespace and control that are loosened.
    pub loosened: usize,
    /// Pairs of namespace and control that are newly enforced.
    pub enforced: usize,
    /// Pairs of namespace and control that are tightened.
    pub tightened: usize,
}

impl Count {
    /// Counts a namespace, with what a change does in it. What it newly enforces or tightens counts where there is
    /// something to write.
    pub fn add(&mut self, effect: &Effect, to_write: &BTreeSet<&str>) {
        let writes = |controls: &BTreeSet<&'static str>| controls.iter().filter(|c| to_write.contains(**c)).count();
        let (loosened, enforced) = (effect.loosened.len(), writes(&effect.enforced));
        let tightened = writes(&effect.tightened);
        self.namespaces += 1;
        self.affected += usize::from(loosened + enforced + tightened > 0);
        self.loosened += loosened;
        self.enforced += enforced;
        self.tightened += tightened;
    }

    /// Pairs of namespace and control that are affected.
    pub fn pairs(&self) -> usize {
        self.loosened + self.enforced + self.tightened
    }
}

/// A change of a baseline: a confirmation is for this one and no other.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The baseline's name.
    pub name: &'a str,
    /// The baseline's UID.
    pub uid: &'a str,
    /// The generation that brings the change: the same change, made once more, is another one.
    pub generation: i64,
    /// What holds now, if anything does.
    pub before: Option<Digest>,
    /// What is to hold; `None` where the baseline is being deleted.
    pub after: Option<Digest>,
}

impl Change<'_> {
    fn token(&self) -> String {
        let part = |digest: Option<Digest>| digest.map(|d| d.to_string()).unwrap_or_default();
        let whole = serde_json::json!([self.uid, self.generation, part(self.before), part(self.after)]);
        Digest::of(&whole).to_string().chars().take(16).collect()
    }
}

/// Whether a change may be carried out: it is small, or it is confirmed. Else, what it waits for, in a sentence that
/// gives the command.
pub fn judge(change: &Change, count: &Count, limits: Limits, confirmed: &str) -> Result<(), String> {
    let small = count.affected <= limits.namespaces || count.affected * 100 <= limits.percent * count.namespaces;
    if small {
        return Ok(());
    }
    let token = change.token();
    let up_to = confirmed
        .strip_prefix(&token)
        .and_then(|rest| rest.strip_prefix('-')?.parse::<usize>().ok());
    if up_to.is_some_and(|up_to| count.pairs() <= up_to) {
        return Ok(());
    }
    let parts = [
        ("loosens", count.loosened),
        ("newly enforces", count.enforced),
        ("tightens", count.tightened),
    ];
    let told = parts.iter().filter(|(_, pairs)| *pairs > 0);
    let what: Vec<String> = told.map(|(verb, pairs)| format!("{verb} {pairs}")).collect();
    let grown = up_to
        .map(|up_to| format!(" (it was confirmed for {up_to})"))
        .unwrap_or_default();
    Err(bounded(
        &format!(
            "the change {} controls in {} of {} namespaces{grown} and waits; what was accepted before keeps holding. To go on: kubectl annotate --overwrite securitybaseline {} {CONFIRM}={token}-{}",
            what.join(" and "),
            count.affected,
            count.namespaces,
            change.name,
            count.pairs(),
        ),
        1024,
    ))
}

#[cfg(test)]
mod tests;
