//! The CRDs of the reports that other tools read, as their owners publish them: out of the Go module cache, at the versions
//! that `tests/tools/policyreports` pins.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Deserializer, Value};

use crate::stage::{SOON, api, delete, file};
use crate::support::{ControlPlane, watch_gone};

/// One of the two kinds.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub kind: &'static str,
    /// The name of its CRD.
    pub crd: &'static str,
    module: &'static str,
    path: &'static str,
}

/// `wgpolicyk8s.io/v1alpha2`.
pub const POLICY_REPORT: Kind = Kind {
    kind: "PolicyReport",
    crd: "policyreports.wgpolicyk8s.io",
    module: "github.com/kyverno/kyverno",
    path: "config/crds/policyreport/wgpolicyk8s.io_policyreports.yaml",
};

/// `openreports.io/v1alpha1`.
pub const OPEN_REPORT: Kind = Kind {
    kind: "Report",
    crd: "reports.openreports.io",
    module: "github.com/openreports/reports-api",
    path: "config/crd/openreports.io_reports.yaml",
};

impl Kind {
    /// Installs it.
    pub async fn install(self, plane: &ControlPlane) {
        plane.install(&self.file()).await.unwrap();
    }

    /// Removes it, and waits until it is gone with all its objects.
    pub async fn remove(self, plane: &ControlPlane) {
        let admin = plane.admin().await.unwrap();
        delete(&admin, "CustomResourceDefinition", None, self.crd).await;
        let definitions = api(&admin, "CustomResourceDefinition", None);
        watch_gone(&definitions, self.crd, SOON).await.unwrap();
    }

    /// The published file, downloaded and checked against the pinned sums if need be.
    fn file(self) -> PathBuf {
        let output = Command::new("go")
            .args(["mod", "download", "-json", self.module])
            .current_dir(file("tests/tools/policyreports"))
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=readonly")
            .output()
            .expect("Go is needed, as for the control plane");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut modules = Deserializer::from_slice(&output.stdout).into_iter::<Value>();
        let module = modules.next().unwrap().unwrap();
        PathBuf::from(module["Dir"].as_str().unwrap()).join(self.path)
    }
}
