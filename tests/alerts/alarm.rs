//! One alert: quiet, firing while there is trouble, quiet again.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::prometheus::Prometheus;
use crate::stage::{BINARY, file};
use crate::support::{ControlPlane, blocks, eventually};

/// How long an alert may take to fire or to resolve: the longest lasts a minute, and pauses between tries may be long.
const PATIENCE: Duration = Duration::from_secs(180);

/// The mark of the commands that a runbook has somebody run while the alert fires.
const MARK: &str = "<!-- run: alerts -->";

/// An alert, and what its runbook's commands need to know.
pub struct Alarm<'a> {
    pub plane: &'a ControlPlane,
    pub prometheus: &'a Prometheus,
    /// Its name, without what the names of all begin with.
    pub name: &'static str,
    pub labels: Vec<(&'static str, &'a str)>,
    /// A namespace that it is about.
    pub namespace: &'a str,
}

impl Alarm<'_> {
    fn full_name(&self) -> String {
        format!("SecurityBaseline{}", self.name)
    }

    async fn state(&self) -> Result<Option<Value>> {
        self.prometheus.alert(&self.full_name(), &self.labels).await
    }

    /// Sees that there is no alert yet.
    pub async fn is_quiet(&self) {
        let state = self.state().await.unwrap();
        assert!(state.is_none(), "{} without any trouble: {state:?}", self.name);
    }

    /// Waits until it fires, and looks at what it says.
    pub async fn fires(&self) {
        let what = format!("{} {:?} fires", self.name, self.labels);
        let alert = eventually(&what, PATIENCE, async || {
            let state = self.state().await?;
            ensure!(state.as_ref().is_some_and(|s| s["state"] == "firing"), "{state:?}");
            Ok(state.unwrap_or_default())
        })
        .await
        .unwrap();
        let annotations = alert["annotations"].as_object().unwrap();
        let page = annotations["runbook_url"].as_str().unwrap();
        assert!(
            page.ends_with(&format!("/docs/runbooks/{}.md", self.full_name())),
            "{page}"
        );
        for said in annotations.values() {
            let said = said.as_str().unwrap();
            // What a template that fails, or lacks a label, leaves behind.
            let sound = !said.is_empty() && !["error", "<no value>", "%!", "  "].iter().any(|bad| said.contains(bad));
            assert!(sound || said.contains("fail"), "{}: {said}", self.name);
        }
    }

    /// Runs the commands of its runbook.
    pub async fn runbook(&self) {
        let name = format!("docs/runbooks/{}.md", self.full_name());
        let text = std::fs::read_to_string(file(&name)).unwrap();
        let plugin = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(BINARY, plugin.path().join("kubectl-security_baseline")).unwrap();
        let path = format!("{}:{}", plugin.path().display(), std::env::var("PATH").unwrap());
        let label = |label: &str| {
            self.labels
                .iter()
                .find(|(l, _)| *l == label)
                .map_or("", |(_, value)| *value)
        };
        let known = format!(
            "export BASELINE='{}' EXCEPTION='{}' NAMESPACE='{}'\n",
            label("baseline"),
            label("exception"),
            self.namespace
        );
        let found = blocks(&text, MARK);
        assert!(!found.is_empty(), "{name} has no commands");
        for mut block in found {
            block.script = known.clone() + &block.script;
            block.run(&name, self.plane.admin_kubeconfig(), &path).await;
        }
    }

    /// Waits until it is over.
    pub async fn resolves(&self) {
        let what = format!("{} {:?} resolves", self.name, self.labels);
        eventually(&what, PATIENCE, async || {
            let state = self.state().await?;
            ensure!(state.is_none(), "{state:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}
