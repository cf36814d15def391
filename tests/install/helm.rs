//! The real Helm, with files of its own.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::stage::file;
use crate::support::{ControlPlane, OPERATOR_NAMESPACE};

/// The release that people install: what is in `config/default` has the same names.
pub const RELEASE: &str = "security-baseline-operator";

/// An executable that the Makefile built.
pub fn tool(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} names no executable: use `make test-install`"))
        .into()
}

/// The chart as it is shipped.
pub fn chart() -> PathBuf {
    file("config/helm/security-baseline-operator")
}

/// Helm, on a cluster or on none.
pub struct Helm {
    home: TempDir,
    kubeconfig: PathBuf,
}

impl Helm {
    /// Without a cluster.
    pub fn offline() -> Self {
        Self::with(Path::new("/nonexistent"))
    }

    /// As the admin of a control plane.
    pub fn on(plane: &ControlPlane) -> Self {
        Self::with(plane.admin_kubeconfig())
    }

    fn with(kubeconfig: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("helm-").tempdir().unwrap();
        let kubeconfig = kubeconfig.to_owned();
        Self { home, kubeconfig }
    }

    /// Runs it with these arguments, and answers whatever it did.
    pub async fn try_run(&self, args: &[&str]) -> Output {
        tokio::process::Command::new(tool("HELM"))
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HELM_CACHE_HOME", self.home.path())
            .env("HELM_CONFIG_HOME", self.home.path())
            .env("HELM_DATA_HOME", self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    }

    /// Runs it, and answers what it printed.
    pub async fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {}: {said}", args.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it, sees it fail, and answers what it said.
    pub async fn refused(&self, args: &[&str]) -> String {
        let output = self.try_run(args).await;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success(), "helm {} works: {printed}", args.join(" "));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// What the shipped chart renders under the usual name in the usual namespace, with these values (as YAML).
    pub async fn template(&self, values: &str) -> String {
        let values = self.values(values);
        let chart = chart();
        let args = ["template", RELEASE, text(&chart), "--namespace", OPERATOR_NAMESPACE];
        self.run(&[&args[..], &["--values", text(&values)]].concat()).await
    }

    /// `install` or `upgrade` of a chart under the usual name in the usual namespace, with these values.
    pub async fn release(&self, command: &str, chart: &Path, values: &str) -> String {
        let values = self.values(values);
        let mut args = vec![command, RELEASE, text(chart), "--namespace", OPERATOR_NAMESPACE];
        args.extend(["--values", text(&values)]);
        if command == "install" {
            args.push("--create-namespace");
        }
        self.run(&args).await
    }

    /// The manifests of the release as it is now.
    pub async fn manifest(&self) -> String {
        self.run(&["get", "manifest", RELEASE, "--namespace", OPERATOR_NAMESPACE])
            .await
    }

    /// A file with these values.
    pub fn values(&self, values: &str) -> PathBuf {
        let file = tempfile::Builder::new()
            .suffix(".yaml")
            .tempfile_in(self.home.path())
            .unwrap();
        std::fs::write(file.path(), values).unwrap();
        file.keep().unwrap().1
    }
}

/// A path of this test's own as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
