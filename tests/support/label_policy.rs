//! The shipped policy that refuses to lower Pod Security labels.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{ControlPlane, eventually};

/// How long the API server may take until a policy is in force.
const IN_FORCE: Duration = Duration::from_secs(60);

impl ControlPlane {
    /// Installs `config/components/pod-security-labels`, and waits until it is in force in a namespace whose level is held.
    pub async fn refuse_lower_labels(&self, namespace: &str) -> Result<()> {
        let file = "config/components/pod-security-labels/pod_security_labels.yaml";
        self.install(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).await?;
        let label = "pod-security.kubernetes.io/enforce=privileged";
        let args = [
            "label",
            "--overwrite",
            "--dry-run=server",
            "namespace",
            namespace,
            label,
        ];
        eventually("a lower label is refused", IN_FORCE, async || {
            match self.kubectl(&args).await {
                Err(error) if error.to_string().contains("a security baseline enforces") => Ok(()),
                other => anyhow::bail!("{other:?}"),
            }
        })
        .await
    }
}
