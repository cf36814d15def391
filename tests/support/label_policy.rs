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
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/components/pod-security-labels");
        for file in ["pod_security_labels.yaml", "reports.yaml"] {
            self.install(&folder.join(file)).await?;
        }
        let label = "pod-security.kubernetes.io/enforce=privileged";
        let lower = [
            "label",
            "--overwrite",
            "--dry-run=server",
            "namespace",
            namespace,
            label,
        ];
        let report = ["delete", "--dry-run=server", "--namespace", namespace, "br", "baseline"];
        for (args, told) in [
            (&lower[..], "a security baseline enforces"),
            (&report[..], "the operator alone writes BaselineReports"),
        ] {
            eventually("it is refused", IN_FORCE, async || match self.kubectl(args).await {
                Err(error) if error.to_string().contains(told) => Ok(()),
                other => anyhow::bail!("{args:?}: {other:?}"),
            })
            .await?;
        }
        Ok(())
    }
}
