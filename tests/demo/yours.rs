//! `make demo KUBECONFIG=…`: the demo on a cluster that somebody has, such as one of kind or k3d.
//!
//! It asks first, touches nothing where it could collide with what is there, and takes away all that it made, also when it
//! fails or is interrupted.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::config::Kubeconfig;
use serde_json::json;

use crate::story::{BARE, Cluster, GRANTABLE, HAND_MADE, LABEL, LEGACY, SYSTEM};
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, install_yaml, watch_gone};
use crate::terminal::Terminal;
use crate::{binary, is_set, kubectl, told_on, uninterrupted};

/// What the demo makes.
const NAMESPACES: [&str; 3] = [BARE, HAND_MADE, LEGACY];

/// How long a namespace may take to go with all that is in it.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn tell(terminal: &Terminal, kubeconfig: &Path) -> Result<()> {
    ensure!(
        !is_set("KEEP"),
        "KEEP=1 keeps a cluster of the demo's own; to keep the operator on a cluster of yours, install it (docs/install.md)"
    );
    // Before the folder is changed: the path is one of the caller's.
    let kubeconfig = std::path::absolute(kubeconfig)?;
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    kubectl()?;
    let binary = binary()?;
    let cluster = Cluster::new(ControlPlane::of_somebody(&kubeconfig)?).await?;

    terminal.title("security-baseline-operator: from bare namespaces to a held baseline, on your cluster");
    let context = Kubeconfig::read_from(&kubeconfig)?.current_context.unwrap_or_default();
    let version = cluster.admin.apiserver_version().await;
    let version = version.context("the cluster does not answer")?.git_version;
    terminal.say(&format!(
        "Context {context}, server {}, Kubernetes {version}.",
        cluster.plane.url()
    ));
    unused(&cluster).await?;
    ask(terminal, &context, cluster.plane.url())?;

    let told = uninterrupted(told_on(terminal, &cluster, &binary)).await;
    terminal.gap();
    terminal.say("Taking away what the demo made …");
    // The operator goes on meanwhile: it may have to let go of a baseline.
    let cleaned = clean(&cluster).await;
    let told = told.map(drop);
    cleaned.context(
        "not all is taken away; look for the namespaces, and for what `kubectl delete -f config/install.yaml` deletes",
    )?;
    terminal.say("The cluster is as it was.");
    told
}

/// Refuses where the demo would meet something that is not its own.
async fn unused(cluster: &Cluster) -> Result<()> {
    let kinds = cluster.api("CustomResourceDefinition", None)?;
    let found = kinds.get_opt("securitybaselines.securitybaseline.dev").await?;
    ensure!(
        found.is_none(),
        "the operator's kinds are installed here already; the demo brings its own and takes them away again, so it needs a \
         cluster without them"
    );
    for namespace in cluster.api("Namespace", None)?.list(&ListParams::default()).await? {
        let name = namespace.metadata.name.unwrap_or_default();
        ensure!(
            !NAMESPACES.contains(&name.as_str()) && name != OPERATOR_NAMESPACE,
            "there is a namespace {name} already, which the demo would make and take away; it needs a cluster without it"
        );
        let labels = namespace.metadata.labels.unwrap_or_default();
        ensure!(
            !labels.contains_key(LABEL),
            "the namespace {name} has the label {LABEL}, so the demo's baseline would reach it; it needs a cluster \
             without such namespaces"
        );
    }
    Ok(())
}

/// Asks whoever runs it, unless YES=1 answers.
fn ask(terminal: &Terminal, context: &str, server: &str) -> Result<()> {
    terminal.say(&format!(
        "The demo makes the namespaces {}, installs config/install.yaml (CRDs, ClusterRoles, admission policies, the \
         namespace {OPERATOR_NAMESPACE}), labels {SYSTEM} for a while, and takes all of it away again.",
        NAMESPACES.join(", ")
    ));
    if is_set("YES") {
        return Ok(());
    }
    ensure!(
        std::io::stdin().is_terminal(),
        "there is nobody to ask whether {context} ({server}) is a cluster to try things on; say YES=1 if it is"
    );
    let (question, answer) = if looks_serious(context) || looks_serious(server) {
        (
            "This looks like a cluster that others depend on. If it is not, type the context's name: ",
            context,
        )
    } else {
        ("Is this a cluster to try things on? Type yes: ", "yes")
    };
    print!("\n  {question}");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() != answer {
        bail!("nothing was done");
    }
    Ok(())
}

/// Whether a name is one that people give to what others depend on.
fn looks_serious(name: &str) -> bool {
    name.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| word.starts_with("prod") || matches!(word, "prd" | "live"))
}

/// Takes away all that the demo may have made.
async fn clean(cluster: &Cluster) -> Result<()> {
    for kind in ["BaselineException", "SecurityBaseline"] {
        let api = cluster.api(kind, None)?;
        // Before the installation there are no such kinds.
        for object in api.list(&ListParams::default()).await.into_iter().flatten() {
            let name = object.metadata.name.unwrap_or_default();
            gone_or(api.delete(&name, &DeleteParams::default()).await)?;
            watch_gone(&api, &name, PATIENCE).await?;
        }
    }
    let namespaces = cluster.api("Namespace", None)?;
    let unlabel = json!({"metadata": {"labels": {LABEL: null}}});
    namespaces
        .patch(SYSTEM, &PatchParams::default(), &Patch::Merge(unlabel))
        .await?;
    for name in NAMESPACES {
        gone_or(namespaces.delete(name, &DeleteParams::default()).await)?;
    }
    cluster.plane.delete_manifests(Path::new(GRANTABLE)).await?;
    cluster.plane.delete_manifests(&install_yaml()).await?;
    for name in NAMESPACES.into_iter().chain([OPERATOR_NAMESPACE]) {
        watch_gone(&namespaces, name, PATIENCE).await?;
    }
    let kinds = cluster.api("CustomResourceDefinition", None)?;
    for plural in ["securitybaselines", "baselinereports", "baselineexceptions"] {
        watch_gone(&kinds, &format!("{plural}.securitybaseline.dev"), PATIENCE).await?;
    }
    Ok(())
}

/// What is gone already is as it should be.
fn gone_or<T>(deleted: kube::Result<T>) -> Result<()> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => Ok(other.map(drop)?),
    }
}
