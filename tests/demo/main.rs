//! `make demo`: the operator at work on a real control plane of its own, from the first namespace to the metrics; with
//! `KUBECONFIG=…`, on a cluster that you have (see [`yours`]).
//!
//! Whatever it claims (the lines with a check mark) it has seen; if it does not see it, it says so and exits with 1.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the demo is a client with a clock"
)]

mod breaks;
mod story;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod trust;
mod yours;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use self::story::{BARE, BASELINE, Cluster, ENFORCE_ALL, Story, TENANTS};
use self::support::{ControlPlane, Stage};
use self::terminal::Terminal;

/// How many lines of the operator's log are shown when something was not seen.
const LOG_TAIL: usize = 25;

#[tokio::main]
async fn main() -> ExitCode {
    let terminal = Terminal::new();
    let told = match std::env::var_os("DEMO_KUBECONFIG").filter(|path| !path.is_empty()) {
        Some(path) => yours::tell(&terminal, Path::new(&path)).await,
        None => uninterrupted(tell(&terminal)).await,
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What is told, unless a Ctrl-C comes first.
async fn uninterrupted<T>(told: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        told = told => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    }
}

/// Whether a variable of the environment says yes.
fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

async fn tell(terminal: &Terminal) -> Result<()> {
    let keep = is_set("KEEP");
    // Commands are shown with paths as they are from here.
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    kubectl()?;
    let binary = binary()?;

    terminal.title("security-baseline-operator: from bare namespaces to a held baseline");
    let plane = if keep {
        ControlPlane::start_detachable().await?
    } else {
        ControlPlane::start().await?
    };
    let cluster = Cluster::new(plane).await?;
    let version = cluster.admin.apiserver_version().await?.git_version;
    terminal.say(&format!(
        "This is a Kubernetes {version} control plane of its own (etcd, kube-apiserver and kube-controller-manager \
         on loopback, up in {:.1} s). It has no nodes, so pods stay Pending; no other cluster is touched.",
        f64::from(u32::try_from(cluster.plane.info().start_millis)?) / 1000.0
    ));

    let stage = told_on(terminal, &cluster, &binary).await?;
    terminal.gap();
    if keep {
        left_running(terminal, cluster, stage)?;
    } else {
        terminal.say("The cluster is gone now. To keep it and look around: make demo KEEP=1");
    }
    Ok(())
}

/// The story on a cluster, from bare namespaces to the end; the operator still runs then.
async fn told_on(terminal: &Terminal, cluster: &Cluster, binary: &Path) -> Result<Stage> {
    let before = story::namespaces(terminal, cluster).await?;
    let stage = story::install(terminal, cluster, binary).await?;
    let story = Story {
        terminal,
        cluster,
        stage: &stage,
        before,
    };
    if let Err(error) = story.tell().await {
        terminal.gap();
        terminal.say(&format!("The last {LOG_TAIL} lines of the operator's log:"));
        let log = stage.operator.log()?;
        let lines: Vec<&str> = log.lines().collect();
        terminal.raw(&lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n"));
        return Err(error);
    }
    Ok(stage)
}

fn left_running(terminal: &Terminal, cluster: Cluster, stage: Stage) -> Result<()> {
    let port = stage.operator.port();
    let log = stage.keep(&cluster.plane)?;
    let info = cluster.plane.keep();
    terminal.heading("Look around");
    terminal.say("The cluster and the operator still run (the operator's token is good for 24 hours).");
    terminal.raw(&format!(
        "
{}  export KUBECONFIG={}
  kubectl get br --all-namespaces
  kubectl get br baseline --namespace {BARE} --output yaml
  kubectl explain sb.spec.networkIsolation

The baseline is deleted, and nobody holds {BARE}. To have it held again, and to break it:

  kubectl apply --server-side --filename {TENANTS}
  kubectl patch sb {BASELINE} --type=merge --patch='{ENFORCE_ALL}'
  kubectl describe sb {BASELINE}

  kubectl delete networkpolicies --namespace {BARE} --all
  kubectl get networkpolicies --namespace {BARE}

docs/quick-start.md works here as well (before these, since they begin in Audit).

  curl http://127.0.0.1:{port}/metrics
  less {}

To end it all and remove its files:

  kill {}
",
        export_path()?,
        info.admin_kubeconfig.display(),
        log.display(),
        info.pid
    ));
    Ok(())
}

/// The operator's executable: the one that OPERATOR_BINARY names, or the one that was built beside this.
fn binary() -> Result<PathBuf> {
    const NAME: &str = "security-baseline-operator";
    if let Some(path) = std::env::var_os("OPERATOR_BINARY") {
        return Ok(path.into());
    }
    let this = std::env::current_exe()?;
    let beside = this.parent().and_then(Path::parent).map(|target| target.join(NAME));
    let found = beside.filter(|path| path.exists());
    found.with_context(|| format!("{NAME} is not built; use `make demo`"))
}

/// The folder of the kubectl that is used.
fn kubectl() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folder = std::env::split_paths(&path).find(|folder| folder.join("kubectl").is_file());
    folder.context("kubectl is needed and was not found on the PATH; `make demo` brings one along")
}

/// A kubectl that is not the machine's own has to be put on the PATH by whoever looks around.
fn export_path() -> Result<String> {
    let folder = kubectl()?;
    Ok(if folder.join("kube-apiserver").exists() {
        format!("  export PATH=\"$PATH:{}\"\n", folder.display())
    } else {
        String::new()
    })
}
