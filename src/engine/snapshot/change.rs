//! What a change would do: it is taken up as the watch would, let through the brake as the operator does, and planned.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{MOST_ROUNDS, Snapshot};
use crate::api::v1alpha1::{DeletionPolicy, FieldProblem, SecurityBaselineSpec};
use crate::controls::REGISTRY;
use crate::core::brake::Count;
use crate::core::object::FIELD_MANAGER;
use crate::core::plan::plan;
use crate::core::world::Checked;
use crate::engine::baselines;
use crate::engine::facts::meta;
use crate::engine::index::Last;
use crate::engine::preflight;

use super::foreseen::Foreseen;

/// The kinds that a change may be of.
pub const KINDS: [&str; 3] = ["Namespace", "BaselineException", "SecurityBaseline"];

/// An object as somebody would apply it, or delete it.
pub struct Proposal {
    object: Value,
    deleted: bool,
}

impl Proposal {
    /// A proposal, if a change of this kind of object means anything to the operator.
    pub fn of(object: Value) -> Option<Self> {
        let named = !meta(&object, "name").is_empty();
        let kind = object["kind"].as_str().unwrap_or_default();
        let deleted = false;
        (named && KINDS.contains(&kind)).then_some(Self { object, deleted })
    }

    /// A proposal to delete an object, likewise.
    pub fn to_delete(object: Value) -> Option<Self> {
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
    for key in before.map(|before| taken_off(before, file)).unwrap_or_default() {
        if let Some(labels) = after["metadata"]["labels"].as_object_mut() {
            labels.remove(&key);
        }
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

/// The annotation in which `kubectl apply` keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The labels that an object loses when a file is applied that states them no longer: those that an apply put there. Who
/// applied the file before is told from other appliers by the labels that it states; one alone is taken for that.
fn taken_off(before: &Value, file: &Value) -> BTreeSet<String> {
    let names = |labels: &Value| -> BTreeSet<String> {
        let labels = labels.as_object().into_iter().flatten();
        labels.map(|(key, _)| key.trim_start_matches("f:").to_owned()).collect()
    };
    let stated = names(&file["metadata"]["labels"]);
    let last = before["metadata"]["annotations"][LAST_APPLIED].as_str();
    let last: Value = last
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let mut gone = names(&last["metadata"]["labels"]);
    let managed = before["metadata"]["managedFields"].as_array();
    let owned: Vec<(bool, BTreeSet<String>)> = managed
        .into_iter()
        .flatten()
        .map(|entry| {
            let applies = entry["operation"] == "Apply" && entry["manager"] != FIELD_MANAGER;
            (applies, names(&entry["fieldsV1"]["f:metadata"]["f:labels"]))
        })
        .collect();
    let alone = owned.iter().filter(|(applies, _)| *applies).count() == 1;
    for (place, (applies, keys)) in owned.iter().enumerate() {
        if *applies && (alone || !keys.is_disjoint(&stated)) {
            // The API server keeps a label that somebody else states too.
            let others = |key: &String| {
                owned
                    .iter()
                    .enumerate()
                    .any(|(other, (_, its))| other != place && its.contains(key))
            };
            gone.extend(keys.iter().filter(|key| !others(key)).cloned());
        }
    }
    &gone - &stated
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
    fn a_label_goes_if_an_apply_put_it_there_and_states_it_no_longer() {
        let applied_by = |manager: &str, operation: &str, keys: &[&str]| {
            let keys: serde_json::Map<String, Value> = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
            json!({"manager": manager, "operation": operation, "fieldsV1": {"f:metadata": {"f:labels": keys}}})
        };
        let there = |managed: Value, last: Value| {
            json!({"kind": "Namespace", "metadata": {"name": "a", "managedFields": managed, "annotations": {LAST_APPLIED: last.to_string()},
                "labels": {"tenant": "yes", "team": "a", "by-hand": "1"}}})
        };
        let file = json!({"kind": "Namespace", "metadata": {"name": "a", "labels": {"team": "a"}}});
        let left = |there: Value| applied(Some(&there), &file, "now")["metadata"]["labels"].clone();
        let (all, without) = (
            json!({"tenant": "yes", "team": "a", "by-hand": "1"}),
            json!({"team": "a", "by-hand": "1"}),
        );
        let flux = applied_by("kustomize-controller", "Apply", &["tenant", "team"]);
        let hand = applied_by("kubectl-label", "Update", &["by-hand"]);
        let alone = applied_by("other", "Apply", &["tenant"]);
        let operator = applied_by(FIELD_MANAGER, "Apply", &["tenant"]);
        let said = json!({"metadata": {"labels": {"tenant": "yes"}}});
        for (managed, last, expected) in [
            (json!([flux, hand]), Value::Null, &without),
            (json!([hand]), Value::Null, &all),
            (json!([hand]), said, &without),
            (json!([alone]), Value::Null, &without),
            // Two that apply, of which this one is not the file's; who co-owns a label keeps it.
            (
                json!([alone, applied_by("kustomize-controller", "Apply", &["team"])]),
                Value::Null,
                &all,
            ),
            (
                json!([flux, applied_by("kubectl-label", "Update", &["tenant"])]),
                Value::Null,
                &all,
            ),
            (json!([operator]), Value::Null, &all),
        ] {
            assert_eq!(left(there(managed.clone(), last)), *expected, "{managed}");
        }
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
