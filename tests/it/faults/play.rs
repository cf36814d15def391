//! What these tests have in common: a control plane with an operator behind a proxy, a recorder, and namespaces.

use std::path::Path;

use serde_json::{Value, json};

use super::MOMENT;
use super::acts::{Break, steps, undisturbed};
use crate::oracles::{assert_same_end, converged, end, forget_ledger, quiet, safe};
use crate::stage::{BINARY, Set, grant, unbraked};
use crate::support::audit::Mark;
use crate::support::proxy::Proxy;
use crate::support::recorder::{Declared, Recorder, Tampering};
use crate::support::{ControlPlane, Stage};

/// What is said of the drift on record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ledger {
    /// None, as nothing was broken.
    Same,
    /// What was broken may be there.
    Any,
}

/// How each namespace ended.
pub type Ends = Vec<(String, Value)>;

pub struct Play {
    /// Dropped first: it has a last look at the audit log.
    pub set: Set,
    pub plane: ControlPlane,
    pub stage: Stage,
    pub proxy: Proxy,
    pub recorder: Recorder,
    pub namespaces: Vec<String>,
    pub begin: Mark,
    tampered: Vec<Tampering>,
    /// The resourceVersion up to which nothing was taken out of the specs.
    whole: u64,
}

impl Play {
    /// A new one with so many namespaces, for a baseline that is still to be applied.
    pub async fn new(prefix: &str, namespaces: usize) -> Self {
        Self::configured(prefix, namespaces, |_| {}).await
    }

    /// The same with a configuration of its own.
    pub async fn configured(prefix: &str, namespaces: usize, configure: impl FnOnce(&mut Value)) -> Self {
        let plane = ControlPlane::start().await.unwrap();
        // What is held holds its worker.
        let (stage, proxy) = Stage::behind_proxy(&plane, Path::new(BINARY), |config| {
            unbraked(config);
            config["workers"] = json!(64);
            configure(config);
        })
        .await
        .unwrap();
        let recorder = Recorder::start(&plane).await.unwrap();
        grant(&plane).await;
        let set = Set::new(&plane, prefix).await;
        let namespaces = set.namespaces(&plane, namespaces).await;
        // Their rollout is one of an existing fleet, which is looked at first.
        set.aged(&namespaces).await;
        Self {
            begin: plane.audit().mark().unwrap(),
            plane,
            stage,
            proxy,
            recorder,
            set,
            namespaces,
            tampered: Vec::new(),
            whole: u64::MAX,
        }
    }

    /// Breaks something, which the recorder is to expect.
    pub async fn tamper(&mut self, what: Break, namespace: &str) {
        let tampering = what.act(&self.recorder, &self.set, namespace).await;
        self.tampered.push(tampering);
    }

    /// The last of [`steps`] is next, which takes things out.
    pub async fn removal(&mut self) {
        self.whole = self.recorder.version().await.unwrap();
    }

    /// O1 and O2.
    pub async fn ends(&self, spec: &Value) -> Ends {
        self.ends_of(&self.set, &self.namespaces, spec).await
    }

    /// The same of another baseline on the stage.
    pub async fn ends_of(&self, set: &Set, namespaces: &[String], spec: &Value) -> Ends {
        converged(set, spec, namespaces).await;
        quiet(&self.plane, set, namespaces, MOMENT).await;
        let mut ends = Vec::new();
        for namespace in namespaces {
            ends.push((namespace.clone(), end(set, namespace).await));
        }
        ends
    }

    /// O1 to O4: all namespaces end as they do after this one of [`steps`] without a disturbance.
    pub async fn ends_as_undisturbed(&self, step: usize, ledger: Ledger) {
        let expected = &undisturbed().await[step];
        for (namespace, end) in self.ends(&steps()[step]).await {
            match ledger {
                Ledger::Same => assert_same_end(&namespace, &end, expected),
                Ledger::Any => assert_same_end(&namespace, &forget_ledger(&end), &forget_ledger(expected)),
            }
        }
        self.was_safe(&self.namespaces).await;
    }

    /// O4, for a run through the first of [`steps`], or all of them: in these namespaces nothing was ever weaker than
    /// declared but for what was broken here, and the operator wrote nothing that is not its own.
    pub async fn was_safe(&self, namespaces: &[String]) {
        let steps = steps();
        for (specs, until) in [(&steps[..3], self.whole), (&steps[..], u64::MAX)] {
            let least = Declared::least(specs);
            self.recorder
                .assert_never_weaker(&least, namespaces, until, &self.tampered)
                .await;
        }
        safe(&self.plane, self.begin);
    }
}
