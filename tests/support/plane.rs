//! A real Kubernetes control plane for tests.

use std::{
    collections::BTreeMap,
    panic,
    path::Path,
    process::Stdio,
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result, ensure};
use kube::{
    Client, Config,
    config::{Cluster, KubeConfigOptions, Kubeconfig},
};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    audit,
    launcher::{Component, Info, Launcher, Lifetime},
    logs,
};

/// etcd, kube-apiserver and kube-controller-manager, as processes that can be stopped, frozen and killed one by one.
///
/// Dropped, the processes end and their directory is removed; if the drop is part of a panic, their logs are kept.
/// They also end when this process ends in any other way.
pub struct ControlPlane {
    /// None of a cluster that is somebody else's.
    launcher: Option<Arc<Mutex<Launcher>>>,
    info: Info,
    /// What is written here for somebody else's cluster.
    _files: Option<TempDir>,
}

impl ControlPlane {
    /// Starts a control plane of one's own, which takes seconds; the first one on a machine is built before, which
    /// takes minutes.
    ///
    /// # Errors
    /// When it cannot be built, or a component does not work: the error ends with that component's last log lines.
    pub async fn start() -> Result<Self> {
        tokio::task::spawn_blocking(|| Self::start_blocking(Lifetime::Ours)).await?
    }

    /// The same, of one that can be [kept](Self::keep). Should this process be killed, nobody ends it.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_detachable() -> Result<Self> {
        tokio::task::spawn_blocking(|| Self::start_blocking(Lifetime::Detachable)).await?
    }

    /// A cluster that somebody has, as the user of a kubeconfig's current context. It ends nothing and is ended by nobody
    /// here; its components cannot be disturbed, and there is no [`audit`](Self::audit) log of it.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read, or has no current context that names a cluster with a server.
    pub fn of_somebody(kubeconfig: &Path) -> Result<Self> {
        let url = cluster_of(kubeconfig)?
            .server
            .context("the kubeconfig's cluster has no server")?;
        let files = tempfile::Builder::new().prefix("somebodys-cluster-").tempdir()?;
        let dir = files.path().to_owned();
        let info = Info {
            pid: std::process::id(),
            url,
            admin_kubeconfig: kubeconfig.to_owned(),
            ca_file: dir.join("none"),
            audit_log: dir.join("none"),
            dir,
            start_millis: 0,
        };
        Ok(Self {
            launcher: None,
            info,
            _files: Some(files),
        })
    }

    /// Whether it was started here, and so has an [`audit`](Self::audit) log.
    pub fn is_ours(&self) -> bool {
        self.launcher.is_some()
    }

    /// Lets a control plane that was started as detachable go on after this process, until its launcher gets a SIGTERM.
    pub fn keep(self) -> Info {
        if let Some(launcher) = &self.launcher {
            launcher.lock().keep();
        }
        self.info.clone()
    }

    fn start_blocking(lifetime: Lifetime) -> Result<Self> {
        let (launcher, info) = Launcher::start(lifetime)?;
        Ok(Self {
            launcher: Some(Arc::new(Mutex::new(launcher))),
            info,
            _files: None,
        })
    }

    /// The control plane that all tests of this process share, started by the first that asks. Use
    /// [`unique`](super::unique) names on it, and never disturb its components.
    ///
    /// # Panics
    /// When it cannot be started, as [`start`](Self::start) says.
    #[allow(clippy::panic, reason = "no test can go on without it")]
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        let start = || {
            let plane = Self::start_blocking(Lifetime::Ours).map_err(|error| format!("{error:#}"))?;
            // It is never dropped, so its logs are kept by a hook instead.
            let (dir, report) = (plane.info.dir.clone(), panic::take_hook());
            panic::set_hook(Box::new(move |info| {
                report(info);
                logs::keep(&dir, "shared-control-plane");
            }));
            Ok(plane)
        };
        match tokio::task::spawn_blocking(move || SHARED.get_or_init(start)).await {
            Ok(Ok(plane)) => plane,
            Ok(Err(error)) => panic!("{error}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Where everything is.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Where the API server serves, such as `https://127.0.0.1:12345`.
    pub fn url(&self) -> &str {
        &self.info.url
    }

    /// A kubeconfig of a user in `system:masters`.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.info.admin_kubeconfig
    }

    /// The requests that the operator's ServiceAccount made, and nobody else's.
    pub fn audit(&self) -> audit::Log {
        audit::Log::new(self.info.audit_log.clone())
    }

    /// A client of a user in `system:masters`. A client lives no longer than the runtime that made it.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used, which would be a fault of the rig.
    pub async fn admin(&self) -> Result<Client> {
        self.client(self.admin_kubeconfig()).await
    }

    /// A client of whoever a kubeconfig names.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self, kubeconfig: &Path) -> Result<Client> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Runs the real `kubectl` as admin, and answers with its stdout.
    ///
    /// # Errors
    /// When kubectl fails; the error holds what it said.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_as(self.admin_kubeconfig(), args).await
    }

    /// Runs the real `kubectl` as whoever a kubeconfig names, and answers with its stdout.
    ///
    /// # Errors
    /// When kubectl fails; the error holds what it said.
    pub async fn kubectl_as(&self, kubeconfig: &Path, args: &[&str]) -> Result<String> {
        let output = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            // In the user's home it would outlive the plane.
            .arg("--cache-dir")
            .arg(self.info.dir.join("kubectl-cache"))
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("running kubectl")?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {}", args.join(" "), stderr.trim());
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Freezes a component (SIGSTOP): its connections stay open, and nothing answers on them.
    ///
    /// # Errors
    /// When the component is not running.
    pub async fn freeze(&self, component: Component) -> Result<()> {
        self.tell("freeze", component).await
    }

    /// Lets a frozen component go on (SIGCONT).
    ///
    /// # Errors
    /// When the component is not running.
    pub async fn resume(&self, component: Component) -> Result<()> {
        self.tell("continue", component).await
    }

    /// Ends a component as an orderly shutdown does (SIGTERM), and waits until it is gone.
    ///
    /// # Errors
    /// When the component is not running, or has to be killed after 30 s.
    pub async fn stop(&self, component: Component) -> Result<()> {
        self.tell("stop", component).await
    }

    /// Ends a component as a crash does (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When the component is not running.
    pub async fn kill(&self, component: Component) -> Result<()> {
        self.tell("kill", component).await
    }

    /// Starts a component that has ended again, on the same port and data, and waits until it works. The controller
    /// manager can only be started while the API server works.
    ///
    /// # Errors
    /// When the component is running, or does not work within 60 s.
    pub async fn start_component(&self, component: Component) -> Result<()> {
        self.tell("start", component).await
    }

    /// The process ids of the components that run, by [`Component::name`].
    ///
    /// # Errors
    /// When the launcher has ended.
    pub async fn pids(&self) -> Result<BTreeMap<String, u32>> {
        let launcher = self.launcher()?;
        tokio::task::spawn_blocking(move || launcher.lock().pids()).await?
    }

    async fn tell(&self, command: &'static str, component: Component) -> Result<()> {
        let launcher = self.launcher()?;
        tokio::task::spawn_blocking(move || launcher.lock().tell(command, component)).await?
    }

    fn launcher(&self) -> Result<Arc<Mutex<Launcher>>> {
        self.launcher.clone().context("this cluster is somebody else's")
    }
}

/// The cluster of a kubeconfig's current context. Files that it names are named absolutely.
pub(super) fn cluster_of(kubeconfig: &Path) -> Result<Cluster> {
    let mut all = Kubeconfig::read_from(kubeconfig)?;
    let current = all.current_context.context("the kubeconfig has no current context")?;
    let context = all
        .contexts
        .into_iter()
        .find(|c| c.name == current)
        .and_then(|c| c.context);
    let name = context
        .with_context(|| format!("the kubeconfig has no context {current}"))?
        .cluster;
    all.clusters.retain(|c| c.name == name);
    let cluster = all.clusters.pop().and_then(|c| c.cluster);
    cluster.with_context(|| format!("the kubeconfig has no cluster {name}"))
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            logs::keep(&self.info.dir, "control-plane");
        }
    }
}
