//! What a change would do: it is taken up as the watch would, let through the brake as the operator does, and planned.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use serde_json::{Value, json};

use super::{MOST_ROUNDS, Snapshot};
use crate::api::GROUP;
use crate::api::v1alpha1::{DeletionPolicy, FieldProblem, SecurityBaseline};
use crate::controls::REGISTRY;
use crate::core::brake::Count;
use crate::core::plan::plan;
use crate::core::validate::{DNS_LABEL, DNS_SUBDOMAIN, is_dns_label, is_dns_subdomain};
use crate::core::world::Checked;
use crate::engine::baselines;
use crate::engine::facts::meta;
use crate::engine::index::Last;
use crate::engine::preflight;

use super::applied::applied;
use super::foreseen::Foreseen;

/// The kinds that a change may be of.
pub const KINDS: [&str; 3] = ["Namespace", "BaselineException", "SecurityBaseline"];

/// An object as somebody would apply it, or delete it.
pub struct Proposal {
    object: Value,
    deleted: bool,
}

/// Why an object is no proposal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProposal {
    /// It is of a kind that means nothing to the operator, or that is not for people to write.
    #[error("{0} means nothing here")]
    OtherKind(String),
    /// The API server would not take it as it is. The text tells the mend.
    #[error("{0}")]
    Malformed(String),
}

impl Proposal {
    /// A proposal, if a change of this kind of object means anything to the operator.
    ///
    /// # Errors
    /// When it does not, or when the object is one that the API server would not take.
    pub fn of(object: Value) -> Result<Self, NoProposal> {
        is_proposed(&object)?;
        let deleted = false;
        Ok(Self { object, deleted })
    }

    /// A proposal to delete an object, likewise.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn to_delete(object: Value) -> Result<Self, NoProposal> {
        let deleted = true;
        Self::of(object).map(|proposal| Self { deleted, ..proposal })
    }

    fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// The object's kind and name.
    fn place(&self) -> (String, String) {
        (self.kind().to_owned(), meta(&self.object, "name").to_owned())
    }
}

/// Checks that an object is of a kind that may be proposed, and has what it is known by.
fn is_proposed(object: &Value) -> Result<(), NoProposal> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let malformed = |message: String| Err(NoProposal::Malformed(message));
    if version.split('/').next() == Some(GROUP) {
        let served = SecurityBaseline::api_version(&());
        if version != served {
            return malformed(format!("{version} is not served: write apiVersion: {served}"));
        }
        // The operator alone writes reports.
        if kind != "BaselineReport" && !KINDS.contains(&kind) {
            return malformed(format!(
                "{GROUP} has no such kind: write SecurityBaseline or BaselineException"
            ));
        }
    }
    let expected = if kind == "Namespace" {
        "v1".into()
    } else {
        SecurityBaseline::api_version(&())
    };
    if !KINDS.contains(&kind) || version != expected {
        return Err(NoProposal::OtherKind(kind.to_owned()));
    }
    named(object, kind).and_then(|()| described(object)).or_else(malformed)
}

/// Checks the name of an object. What YAML took for something else than a text is one in quotes.
fn named(object: &Value, kind: &str) -> Result<(), String> {
    let (good, such): (fn(&str) -> bool, _) = if kind == "Namespace" {
        (is_dns_label, DNS_LABEL)
    } else {
        (is_dns_subdomain, DNS_SUBDOMAIN)
    };
    match &object["metadata"]["name"] {
        Value::String(name) if good(name) => Ok(()),
        Value::String(name) => Err(format!("metadata.name {name:?} is no name: {such}")),
        Value::Null => Err("it has no metadata.name, without which it cannot be applied: give it one".to_owned()),
        other => Err(format!("metadata.name is {other} and no text: write it in quotes")),
    }
}

/// Checks the labels and annotations of an object: YAML takes some texts for something else there too.
fn described(object: &Value) -> Result<(), String> {
    for field in ["labels", "annotations"] {
        for (key, value) in object["metadata"][field].as_object().into_iter().flatten() {
            if !value.is_string() && !value.is_null() {
                return Err(format!(
                    "metadata.{field}[{key}] is {value} and no text: write it in quotes"
                ));
            }
        }
    }
    Ok(())
}

/// What a proposal changes.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// Whether there is no such object yet.
    pub new: bool,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Whether it is just as it is there already; of what is deleted, that it is not there.
    pub same: bool,
    /// Why it would be refused.
    pub problems: Vec<FieldProblem>,
    /// What it means for the namespaces of a baseline.
    pub count: Option<Count>,
    /// What it would wait for.
    pub waits: Option<String>,
}

impl Snapshot {
    /// Takes up what would be applied and deleted, as if it were confirmed too, and tells what the brake says of it. What is
    /// applied is not deleted, also where both are proposed: it only moved to another file.
    pub fn propose(&mut self, mut proposals: Vec<Proposal>) -> Vec<Changed> {
        let applied = proposals.iter().filter(|proposal| !proposal.deleted);
        let mut settled: BTreeSet<(String, String)> = applied.map(Proposal::place).collect();
        proposals.retain(|proposal| !proposal.deleted || settled.insert(proposal.place()));
        // Namespaces first: a baseline is counted in those that come with it. What goes is last, so that who takes its place
        // is there before.
        let place = |proposal: &Proposal| KINDS.iter().position(|kind| *kind == proposal.kind());
        proposals.sort_by_key(|proposal| (proposal.deleted, place(proposal)));
        let mut all = Vec::new();
        for proposal in proposals {
            let mut changed = if proposal.deleted {
                self.take_away(&proposal)
            } else {
                self.take_up_proposal(&proposal)
            };
            if changed.kind == "SecurityBaseline" && changed.problems.is_empty() && !changed.same {
                self.through_the_brake(&mut changed);
            }
            all.push(changed);
        }
        all
    }

    /// Takes up that an object is deleted, as the API server and the operator do.
    fn take_away(&mut self, proposal: &Proposal) -> Changed {
        let (kind, name) = proposal.place();
        let before = self.originals.remove(&(kind.clone(), name.clone()));
        let source = self.sources().into_iter().find(|s| *s.watched.resource.kind == kind);
        let takes_along = kind == "SecurityBaseline" && {
            let index = self.context.index.lock();
            let policy = index.baseline(&name).and_then(|entry| entry.policy);
            policy == Some(DeletionPolicy::Delete)
        };
        let changed = Changed {
            deleted: true,
            same: before.is_none(),
            kind,
            name,
            ..Changed::default()
        };
        if let (Some(mut object), Some(source)) = (before, source) {
            if takes_along {
                // Its finalizer keeps it until what was created for it is gone.
                object["metadata"]["deletionTimestamp"] = json!(self.now().to_string());
                source.sink.applied(&self.context, object);
            } else {
                source.sink.deleted(&self.context, "", &changed.name, Last::default());
            }
        }
        changed
    }

    fn take_up_proposal(&mut self, proposal: &Proposal) -> Changed {
        let (kind, name) = proposal.place();
        let before = self.originals.get(&(kind.clone(), name.clone())).cloned();
        let after = applied(before.as_ref(), &proposal.object, &self.now().to_string());
        let mut changed = Changed {
            new: before.is_none(),
            same: before.as_ref() == Some(&after),
            kind,
            name,
            ..Changed::default()
        };
        if changed.same {
            return changed;
        }
        let sources = self.sources();
        if let Some(source) = sources
            .iter()
            .find(|source| *source.watched.resource.kind == changed.kind)
        {
            self.take_up(source, after);
        }
        let index = self.context.index.lock();
        let problems = match changed.kind.as_str() {
            "SecurityBaseline" => index.baseline(&changed.name).map(|entry| &entry.problems),
            "BaselineException" => index.exception(&changed.name).map(|entry| &entry.problems),
            _ => None,
        };
        changed.problems = problems
            .cloned()
            .map(|problems| problems.into_vec())
            .unwrap_or_default();
        changed
    }

    fn through_the_brake(&self, changed: &mut Changed) {
        let name: Arc<str> = changed.name.as_str().into();
        let Some((_, count)) = baselines::count(&self.context, &name) else {
            return;
        };
        changed.count = Some(count);
        // Nobody is asked whether a baseline that is deleted goes with its CRD: that is not what is proposed.
        let _ = baselines::take_up(&self.context, &name);
        let mut index = self.context.index.lock();
        changed.waits = index.baseline(&name).and_then(|entry| entry.waits.clone());
        // What is to be shown is what it does once it is confirmed.
        let _ = index.accept(&name, self.context.clock.now());
    }

    /// The plan of a namespace, as if it had its turn in every rollout. Where what runs is not looked at, as if nothing that
    /// runs were in the way.
    ///
    /// # Errors
    /// That of a look, under the rights of whoever asks.
    pub async fn foresee(&self, namespace: &str, look: bool) -> kube::Result<Option<Foreseen>> {
        for round in 0.. {
            let now = self.now();
            let Some(mut world) = self.context.index.lock().world(namespace, now) else {
                return Ok(None);
            };
            world.fights.pause_at_most(self.context.config.contested_pause_seconds);
            let plan = plan(REGISTRY, &world);
            let mut supplied = self.supply_unread(namespace, &plan);
            if let Some(uid) = &plan.waits_for {
                self.context.index.lock().give_turn(namespace, uid, Duration::ZERO);
                supplied = true;
            } else if !plan.unchecked.is_empty() {
                let looks = if look {
                    preflight::look(&self.context, &world, &plan.unchecked, true).await?
                } else {
                    let unseen = |what| Checked {
                        what,
                        at: now,
                        held: Vec::new(),
                    };
                    let checks = plan.unchecked.iter();
                    checks.map(|check| (check.section, unseen(check.what))).collect()
                };
                self.context.index.lock().looked(namespace, looks);
                supplied = true;
            }
            if round == MOST_ROUNDS || !supplied {
                return Ok(Some(Foreseen::new(world, plan)));
            }
        }
        Ok(None)
    }

    /// The sections that may break what runs where they are enforced, and that are looked at before.
    pub fn looked_at(&self) -> BTreeSet<&'static str> {
        let controls = REGISTRY.iter().filter(|control| control.preflight().is_some());
        controls.map(|control| control.section()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_and_what_is_of_others_is_passed_over() {
        let of = |version: &str, kind: &str, metadata: Value| {
            Proposal::of(json!({"apiVersion": version, "kind": kind, "metadata": metadata})).err()
        };
        let (ours, named) = ("securitybaseline.dev/v1alpha1", json!({"name": "a"}));
        for (version, kind) in [
            (ours, "SecurityBaseline"),
            (ours, "BaselineException"),
            ("v1", "Namespace"),
        ] {
            assert_eq!(of(version, kind, named.clone()), None, "{kind}");
        }
        for (version, kind) in [
            ("v1", "Secret"),
            (ours, "BaselineReport"),
            ("example.net/v1", "SecurityBaseline"),
        ] {
            let passed_over = Some(NoProposal::OtherKind(kind.to_owned()));
            assert_eq!(of(version, kind, named.clone()), passed_over, "{version} {kind}");
        }
        for (version, kind, metadata, told) in [
            (
                "securitybaseline.dev/v1beta1",
                "SecurityBaseline",
                json!({"name": "a"}),
                ours,
            ),
            (ours, "Securitybaseline", json!({"name": "a"}), "write SecurityBaseline"),
            (ours, "SecurityBaseline", json!({"name": false}), "write it in quotes"),
            (
                ours,
                "SecurityBaseline",
                json!({"generateName": "a-"}),
                "no metadata.name",
            ),
            (ours, "BaselineException", json!({"name": "Bad_Name"}), "lower-case"),
            ("v1", "Namespace", json!({"name": "a.b"}), "lower-case"),
            (
                "v1",
                "Namespace",
                json!({"name": "a", "labels": {"tenant": true}}),
                "metadata.labels[tenant] is true",
            ),
        ] {
            let refused = of(version, kind, metadata);
            assert!(
                matches!(&refused, Some(NoProposal::Malformed(message)) if message.contains(told)),
                "{refused:?}"
            );
        }
    }
}
