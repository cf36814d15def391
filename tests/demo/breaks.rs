//! Breaking what the operator holds, and measuring how long it stays broken.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a repair may take before the demo gives up on it.
const PATIENCE: Duration = Duration::from_secs(15);

/// Something that somebody does to a namespace.
pub struct Break {
    /// What is done, for people.
    pub title: &'static str,
    /// The kind of the object.
    pub kind: &'static str,
    /// Its name.
    pub object: &'static str,
    /// The field manager that whoever does it states.
    pub manager: &'static str,
    /// The field of the object that has to be as it was, as a JSON pointer.
    pub field: &'static str,
    /// How the field is named in the ledger; empty for the whole object.
    pub path: &'static str,
    /// What is done.
    pub act: Act,
}

/// What is done to an object.
pub enum Act {
    /// It is deleted.
    Delete,
    /// It is changed.
    Change(fn(&mut Value)),
}

/// The breaks, in the order in which they are shown.
pub const BREAKS: [Break; 5] = [
    Break {
        title: "delete the policy that denies ingress",
        kind: "NetworkPolicy",
        object: "security-baseline-default-deny-ingress",
        manager: "",
        field: "/spec",
        path: "",
        act: Act::Delete,
    },
    Break {
        title: "add `ingress: [{}]` to it: allow everything",
        kind: "NetworkPolicy",
        object: "security-baseline-default-deny-ingress",
        manager: "quick-fix",
        field: "/spec",
        path: "spec.ingress",
        act: Act::Change(|policy| {
            if let Some(rules) = policy["spec"]["ingress"].as_array_mut() {
                rules.push(json!({}));
            }
        }),
    },
    Break {
        title: "raise the quota from 50 to 5000 pods",
        kind: "ResourceQuota",
        object: "security-baseline-compute",
        manager: "kubectl-edit",
        field: "/spec",
        path: "spec.hard.pods",
        act: Act::Change(|quota| quota["spec"]["hard"]["pods"] = json!("5000")),
    },
    Break {
        title: "widen the developers' Role: read Secrets",
        kind: "Role",
        object: "security-baseline-developer",
        manager: "helm",
        field: "/rules",
        path: "rules",
        act: Act::Change(|role| {
            if let Some(rules) = role["rules"].as_array_mut() {
                rules.push(json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}));
            }
        }),
    },
    Break {
        title: "strip the label pod-security…/enforce",
        kind: "Namespace",
        object: super::story::BARE,
        manager: "ci-pipeline",
        field: "/metadata/labels/pod-security.kubernetes.io~1enforce",
        path: "metadata.labels[pod-security.kubernetes.io/enforce]",
        act: Act::Change(|namespace| {
            if let Some(labels) = namespace["metadata"]["labels"].as_object_mut() {
                labels.remove("pod-security.kubernetes.io/enforce");
            }
        }),
    },
];

impl Break {
    /// Does it, and answers how long after the API server acknowledged it a watch showed the declared state again.
    ///
    /// # Errors
    /// When it cannot be done, changes nothing, or is not repaired.
    pub async fn measured(&self, api: &Api<DynamicObject>) -> Result<Duration> {
        let before = api.get(self.object).await.with_context(|| self.object.to_owned())?;
        let declared = self.declared(&before)?.context("the field to break is not there")?;
        let mut seen = watched(api.clone(), self.object);
        // Everything up to here is of the time before.
        ensure!(
            matches!(timeout(PATIENCE, seen.recv()).await, Ok(Some((_, Seen::Listed)))),
            "the watch of {} does not begin",
            self.object
        );

        let acknowledged = match &self.act {
            Act::Delete => {
                api.delete(self.object, &DeleteParams::default()).await?;
                Instant::now()
            }
            Act::Change(change) => {
                let mut object = serde_json::to_value(&before)?;
                change(&mut object);
                let params = PostParams {
                    field_manager: Some(self.manager.to_owned()),
                    dry_run: false,
                };
                let broken = api
                    .replace(self.object, &params, &serde_json::from_value(object)?)
                    .await?;
                let now = Instant::now();
                ensure!(
                    self.declared(&broken)?.as_ref() != Some(&declared),
                    "{} is not broken by this",
                    self.object
                );
                now
            }
        };

        // The watch shows what happened in order: first the break, then the repair.
        let mut broken = false;
        loop {
            let (at, event) = timeout(PATIENCE, seen.recv())
                .await
                .ok()
                .flatten()
                .with_context(|| format!("not repaired within {PATIENCE:?}: {}", self.title))?;
            match event {
                Seen::Gone => broken = true,
                Seen::Object(object) if self.declared(&object)?.as_ref() != Some(&declared) => broken = true,
                Seen::Object(object) if broken => {
                    ensure!(
                        object.uid() != before.uid() || !matches!(self.act, Act::Delete),
                        "the deleted object is still there"
                    );
                    return Ok(at.saturating_duration_since(acknowledged));
                }
                Seen::Object(_) => {}
                Seen::Listed => bail!("the watch of {} broke", self.object),
            }
        }
    }

    fn declared(&self, object: &DynamicObject) -> Result<Option<Value>> {
        Ok(serde_json::to_value(object)?.pointer(self.field).cloned())
    }
}

enum Seen {
    Listed,
    Object(Box<DynamicObject>),
    Gone,
}

/// What a watch of one object shows, each with the moment when it came.
fn watched(api: Api<DynamicObject>, name: &str) -> mpsc::UnboundedReceiver<(Instant, Seen)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    tokio::spawn(async move {
        let mut events = Box::pin(watcher(api, config));
        while let Some(Ok(event)) = events.next().await {
            let seen = match event {
                Event::InitDone => Seen::Listed,
                Event::Apply(object) => Seen::Object(Box::new(object)),
                Event::Delete(_) => Seen::Gone,
                Event::Init | Event::InitApply(_) => continue,
            };
            if sender.send((Instant::now(), seen)).is_err() {
                return;
            }
        }
    });
    receiver
}
