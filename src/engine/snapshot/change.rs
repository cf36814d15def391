//! What a change would do: it is taken up as the watch would, let through the brake as the operator does, and planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{MOST_ROUNDS, Snapshot};
use crate::api::v1alpha1::{FieldProblem, SecurityBaselineSpec};
use crate::controls::REGISTRY;
use crate::core::brake::{Count, Effect, effect};
use crate::core::plan::{Plan, plan};
use crate::core::world::{Checked, World};
use crate::engine::baselines;
use crate::engine::facts::meta;
use crate::engine::preflight;

/// The kinds that a change may be of.
pub const KINDS: [&str; 3] = ["Namespace", "BaselineException", "SecurityBaseline"];

/// An object as somebody would apply it.
pub struct Proposal {
    object: Value,
}

impl Proposal {
    /// A proposal, if a change of this kind of object means anything to the operator.
    pub fn of(object: Value) -> Option<Self> {
        let named = !meta(&object, "name").is_empty();
        let kind = object["kind"].as_str().unwrap_or_default();
        (named && KINDS.contains(&kind)).then_some(Self { object })
    }

    fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }
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
    /// Whether it is just as it is there already.
    pub same: bool,
    /// Why it would be refused.
    pub problems: Vec<FieldProblem>,
    /// What it means for the namespaces of a baseline.
    pub count: Option<Count>,
    /// What it would wait for.
    pub waits: Option<String>,
    /// What it loosens, newly enforces and tightens, by namespace.
    pub effects: BTreeMap<String, Effect>,
}

impl Snapshot {
    /// Takes up what would be applied, as if it were confirmed too, and tells what the brake says of it.
    pub async fn propose(&mut self, proposals: Vec<Proposal>) -> Vec<Changed> {
        let mut order: Vec<Proposal> = proposals;
        // Namespaces first: a baseline is counted in those that come with it.
        order.sort_by_key(|proposal| KINDS.iter().position(|kind| *kind == proposal.kind()));
        let mut all = Vec::new();
        for proposal in order {
            let mut changed = self.take_up_proposal(&proposal);
            if changed.kind == "SecurityBaseline" && changed.problems.is_empty() && !changed.same {
                self.through_the_brake(&mut changed).await;
            }
            all.push(changed);
        }
        all
    }

    fn take_up_proposal(&mut self, proposal: &Proposal) -> Changed {
        let (kind, name) = (proposal.kind().to_owned(), meta(&proposal.object, "name").to_owned());
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

    async fn through_the_brake(&self, changed: &mut Changed) {
        let name: Arc<str> = changed.name.as_str().into();
        let Some((candidate, count)) = baselines::count(&self.context, &name) else {
            return;
        };
        changed.count = Some(count);
        let now = self.now();
        let (concerned, cluster) = {
            let index = self.context.index.lock();
            let accepted = index.baseline(&name).and_then(|entry| entry.accepted.clone());
            let concerned = index.concerned(&[accepted, Some(candidate.clone())]);
            (concerned, index.cluster().clone())
        };
        for namespace in concerned {
            let Some([was, is]) = self.context.index.lock().changed(&namespace, &candidate) else {
                continue;
            };
            let effect = effect(REGISTRY, &was, &is, &cluster);
            if effect != Effect::default() {
                changed.effects.insert(namespace.to_string(), effect);
            }
        }
        let _ = baselines::consider(&self.context, &name).await;
        let mut index = self.context.index.lock();
        changed.waits = index.baseline(&name).and_then(|entry| entry.waits.clone());
        // What is to be shown is what it does once it is confirmed.
        let _ = index.accept(&name, now);
    }

    /// The world of a namespace and its plan, as if it had its turn in every rollout. Where what runs is not looked at, as
    /// if nothing that runs were in the way.
    ///
    /// # Errors
    /// That of a look, under the rights of whoever asks.
    pub async fn foresee(&self, namespace: &str, look: bool) -> kube::Result<Option<(World, Plan)>> {
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
                return Ok(Some((world, plan)));
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

/// An object as it would be once it is applied: what the file says of spec, labels and annotations, and all else as it is.
fn applied(before: Option<&Value>, file: &Value, now: &str) -> Value {
    let name = meta(file, "name");
    let mut after = before.cloned().unwrap_or_else(|| {
        json!({
            "apiVersion": file["apiVersion"],
            "kind": file["kind"],
            "metadata": {"name": name, "uid": format!("new-{name}"), "creationTimestamp": now, "generation": 1},
        })
    });
    if file["kind"] == "Namespace" && before.is_none() {
        after["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
    }
    for field in ["labels", "annotations"] {
        for (key, value) in file["metadata"][field].as_object().into_iter().flatten() {
            after["metadata"][field][key] = value.clone();
        }
    }
    if file["kind"] != "Namespace" && !same_spec(file, &after) {
        after["spec"] = file["spec"].clone();
        if before.is_some() {
            let generation = after["metadata"]["generation"].as_i64().unwrap_or_default();
            after["metadata"]["generation"] = json!(generation + 1);
        }
    }
    after
}

/// Whether two objects say the same, whatever was left out because it is a default.
fn same_spec(file: &Value, there: &Value) -> bool {
    let decoded = |object: &Value| serde_json::from_value::<SecurityBaselineSpec>(object["spec"].clone()).ok();
    match (decoded(file), decoded(there)) {
        (Some(a), Some(b)) => a == b,
        _ => file["spec"] == there["spec"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_keeps_what_the_file_does_not_say() {
        let there = json!({"kind": "SecurityBaseline", "metadata": {"name": "a", "uid": "u", "generation": 3, "annotations": {"x": "1"}},
            "spec": {"namespaceSelector": {}, "mode": "Audit"}, "status": {"observedGeneration": 3}});
        let same = json!({"kind": "SecurityBaseline", "metadata": {"name": "a"}, "spec": {"namespaceSelector": {}}});
        assert_eq!(applied(Some(&there), &same, "now"), there);
        let file = json!({"kind": "SecurityBaseline", "metadata": {"name": "a", "annotations": {"y": "2"}},
            "spec": {"namespaceSelector": {}, "mode": "Enforce"}});
        let after = applied(Some(&there), &file, "now");
        assert_eq!(
            (
                &after["metadata"]["generation"],
                &after["metadata"]["uid"],
                &after["status"]
            ),
            (&json!(4), &json!("u"), &there["status"])
        );
        assert_eq!(after["metadata"]["annotations"], json!({"x": "1", "y": "2"}));
    }

    #[test]
    fn what_is_new_is_as_the_api_server_would_make_it() {
        let file = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "1"}}});
        let after = applied(None, &file, "2026-01-01T00:00:00Z");
        assert_eq!(
            after["metadata"]["labels"],
            json!({"kubernetes.io/metadata.name": "a", "x": "1"})
        );
        assert_eq!(after["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
        assert!(Proposal::of(json!({"kind": "Secret", "metadata": {"name": "a"}})).is_none());
    }
}
