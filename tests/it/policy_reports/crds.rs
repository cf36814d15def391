//! The CRDs of the reports that other tools read, as their owners publish them: out of the Go module cache, at the versions
//! that `tests/tools/policyreports` pins.

use crate::stage::{SOON, api, delete};
use crate::support::{ControlPlane, published, watch_gone};

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
    /// Its plural resource name.
    pub fn plural(self) -> &'static str {
        self.crd.split_once('.').unwrap().0
    }

    /// Its API group.
    pub fn group(self) -> &'static str {
        self.crd.split_once('.').unwrap().1
    }

    /// Installs it.
    pub async fn install(self, plane: &ControlPlane) {
        let file = published("policyreports", self.module, self.path).unwrap();
        plane.install(&file).await.unwrap();
    }

    /// Removes it, and waits until it is gone with all its objects.
    pub async fn remove(self, plane: &ControlPlane) {
        let admin = plane.admin().await.unwrap();
        delete(&admin, "CustomResourceDefinition", None, self.crd).await;
        let definitions = api(&admin, "CustomResourceDefinition", None);
        watch_gone(&definitions, self.crd, SOON).await.unwrap();
    }
}
