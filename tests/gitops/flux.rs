//! Flux: the real kustomize-controller, fed by artifacts that the test serves.

mod applies;
mod namespaces;
mod waits;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, module, run};
use crate::support::{ControlPlane, eventually, free_port, http_get, watch_gone, watch_until};
use crate::tools::built;

/// Where Flux and its objects are.
pub const NAMESPACE: &str = "flux-system";

/// How long Flux may take: it looks at what it waits for every five seconds.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What is served, by path.
type Served = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The kustomize-controller as a process of its own, as cluster admin, as Flux installs it. Dropped, it is killed.
pub struct Flux {
    controller: Process,
    dir: TempDir,
    admin: Client,
    served: Served,
    port: u16,
}

async fn serve(State(served): State<Served>, uri: Uri) -> Result<Vec<u8>, StatusCode> {
    served.lock().get(uri.path()).cloned().ok_or(StatusCode::NOT_FOUND)
}

impl Flux {
    /// Installs Flux's own CRDs, and starts the controller.
    pub async fn start(plane: &ControlPlane) -> Self {
        crds(plane).await;
        plane.namespace(NAMESPACE, &[]).await.unwrap();

        let served = Served::default();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(serve).with_state(served.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });

        let dir = tempfile::Builder::new().prefix("flux-").tempdir().unwrap();
        let health = free_port().unwrap();
        let serving = format!("--health-addr=127.0.0.1:{health}");
        let args = [
            "--watch-all-namespaces",
            "--feature-gates=ExternalArtifact=true",
            "--requeue-dependency=1s",
            "--metrics-addr=0",
            &serving,
        ];
        let env = [
            ("KUBECONFIG", plane.admin_kubeconfig().as_os_str()),
            ("RUNTIME_NAMESPACE", NAMESPACE.as_ref()),
        ];
        let program = built("FLUX").join("kustomize-controller");
        let controller = Process::start(dir.path(), "kustomize-controller", &program, &args, &env);
        let flux = Self {
            controller,
            dir,
            admin: plane.admin().await.unwrap(),
            served,
            port,
        };
        let ready = eventually("Flux is ready", PATIENCE, async || {
            let (code, body) = http_get(health, "/readyz").await?;
            anyhow::ensure!(code == 200, "{code}: {body}");
            Ok(())
        });
        ready
            .await
            .unwrap_or_else(|error| panic!("{error:#}; its log:\n{}", flux.log()));
        flux
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.controller.log()
    }

    fn api(&self, group: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
        Api::namespaced_with(self.admin.clone(), NAMESPACE, &resource)
    }

    fn kustomizations(&self) -> Api<DynamicObject> {
        self.api("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations")
    }

    /// Publishes files as the newest revision of a source, as a commit does.
    pub async fn publish(&self, source: &str, revision: &str, files: &[(&str, String)]) {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let archive = run(folder.path(), "tar", &["--create", "--gzip", "."]);
        self.publish_archive(source, revision, archive).await;
    }

    /// The same of an archive.
    pub async fn publish_archive(&self, source: &str, revision: &str, archive: Vec<u8>) {
        let folder = tempfile::tempdir_in(self.dir.path()).unwrap();
        let packed = folder.path().join("packed");
        fs::write(&packed, &archive).unwrap();
        let sum = String::from_utf8(run(folder.path(), "sha256sum", &["packed"])).unwrap();
        let path = format!("/{source}/{revision}.tar.gz");
        self.served.lock().insert(path.clone(), archive);
        let artifact = json!({
            "url": format!("http://127.0.0.1:{}{path}", self.port),
            "path": path,
            "revision": revision,
            "digest": format!("sha256:{}", sum.split_whitespace().next().unwrap()),
            "lastUpdateTime": k8s_openapi::jiff::Timestamp::now().to_string(),
        });
        let artifacts = self.api("source.toolkit.fluxcd.io", "ExternalArtifact", "externalartifacts");
        let mut object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "ExternalArtifact",
            "metadata": {"name": source},
            "spec": {},
        });
        let params = PatchParams::apply("test").force();
        artifacts.patch(source, &params, &Patch::Apply(&object)).await.unwrap();
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored",
            "lastTransitionTime": k8s_openapi::jiff::Timestamp::now().to_string(),
        });
        object["status"] = json!({"artifact": artifact, "conditions": [ready]});
        artifacts
            .patch_status(source, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    /// Applies a Kustomization of a source of the same name, every so often as it says; `spec` adds to it.
    pub async fn kustomization(&self, name: &str, spec: Value) {
        let mut all = json!({
            "interval": "2s",
            "retryInterval": "2s",
            "timeout": "60s",
            "path": "./",
            "prune": true,
            "wait": true,
            "sourceRef": {"kind": "ExternalArtifact", "name": name},
        });
        for (field, value) in spec.as_object().unwrap() {
            all[field] = value.clone();
        }
        let object = json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": name},
            "spec": all,
        });
        let params = PatchParams::apply("test").force();
        self.kustomizations()
            .patch(name, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    /// Waits until a Kustomization satisfies a predicate, and answers it.
    pub async fn until(&self, name: &str, what: &str, predicate: impl Fn(&Value) -> bool) -> Value {
        let all = self.kustomizations();
        let found = watch_until(&all, name, what, PATIENCE, |object| {
            predicate(&serde_json::to_value(object).unwrap())
        });
        match found.await {
            Ok(found) => serde_json::to_value(found).unwrap(),
            Err(error) => panic!("{error:#}; Flux's log:\n{}", self.log()),
        }
    }

    /// Deletes a Kustomization, and with it what it applied, and waits until that is done.
    pub async fn forget(&self, name: &str) {
        let all = self.kustomizations();
        all.delete(name, &DeleteParams::default()).await.unwrap();
        watch_gone(&all, name, PATIENCE).await.unwrap();
    }

    /// Waits until this revision was applied, and all that it waits for is well.
    pub async fn until_applied(&self, name: &str, revision: &str) -> Value {
        self.until(name, "has applied the revision", |k| {
            k["status"]["lastAppliedRevision"] == revision && ready(k)
        })
        .await
    }

    /// Waits until a Kustomization has been reconciled anew so many times, however that went.
    pub async fn rounds(&self, name: &str, count: usize) {
        let finished = || {
            let log = self.log();
            let its = |line: &&str| {
                (line.contains("Reconciliation finished") || line.contains("Reconciliation failed"))
                    && line.contains(&format!("\"name\":\"{name}\""))
            };
            log.lines().filter(its).count()
        };
        let before = finished();
        eventually("Flux has reconciled again", PATIENCE, async || {
            let rounds = finished() - before;
            anyhow::ensure!(rounds >= count, "{rounds} of {count} times; its log:\n{}", self.log());
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// Installs Flux's own CRDs.
pub async fn crds(plane: &ControlPlane) {
    let controller = "github.com/fluxcd/kustomize-controller";
    let sources = module(
        "flux",
        "github.com/fluxcd/source-controller",
        "github.com/fluxcd/source-controller/api",
    );
    for module in [module("flux", controller, controller), sources] {
        for crd in fs::read_dir(module.join("config/crd/bases")).unwrap() {
            plane.install(&crd.unwrap().path()).await.unwrap();
        }
    }
}

/// Whether a Kustomization is ready, by its own word on its present generation.
pub fn ready(kustomization: &Value) -> bool {
    kustomization["status"]["observedGeneration"] == kustomization["metadata"]["generation"]
        && crate::stage::condition(kustomization, "Ready")["status"] == "True"
}

/// A baseline as it stands in Git.
pub fn in_git(name: &str, spec: &Value) -> String {
    let object = json!({
        "apiVersion": "securitybaseline.dev/v1alpha1",
        "kind": "SecurityBaseline",
        "metadata": {"name": name},
        "spec": spec,
    });
    serde_saphyr::to_string(&object).unwrap()
}
