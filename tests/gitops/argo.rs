//! Argo CD: its real application-controller and repo-server, with a Git repository and a Redis of the test's own.

mod actions;
mod namespaces;
mod sets;
mod syncs;
mod whole;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lua::SETTINGS;
use crate::process::{Process, module, run};
use crate::stage::file;
use crate::support::{ControlPlane, eventually, free_port, watch_until};
use crate::tools::built;

/// Where Argo CD and its objects are.
pub const NAMESPACE: &str = "argocd";
/// The module that Argo CD is.
pub const ARGO_CD: &str = "github.com/argoproj/argo-cd/v3";

/// How long Argo CD may take for what takes it seconds.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Argo CD, as cluster admin, as it is installed.
pub struct Argo {
    processes: Vec<(&'static str, Process)>,
    dir: TempDir,
    admin: Client,
    /// Where the repo-server is reached.
    repo_server: u16,
}

impl Argo {
    /// Installs Argo CD's CRDs and settings, ours among them, and starts what syncs Applications.
    pub async fn start(plane: &ControlPlane) -> Self {
        let mut argo = Self::installed(plane).await;
        let [redis, metrics, more_metrics] = std::array::from_fn(|_| free_port().unwrap());
        let repository = argo.repo_server;
        let program = built("ARGOCD");
        let args = format!("--port {redis} --bind 127.0.0.1 --appendonly no");
        argo.run(plane, "redis", Path::new("redis-server"), &args);
        let args = format!(
            "repo-server --address 127.0.0.1 --port {repository} --metrics-address 127.0.0.1 --metrics-port {metrics} \
             --redis 127.0.0.1:{redis} --disable-tls --client-ca-path="
        );
        argo.run(plane, "repo-server", &program, &args);
        let args = format!(
            "application-controller --namespace {NAMESPACE} --repo-server 127.0.0.1:{repository} --repo-server-plaintext \
             --redis 127.0.0.1:{redis} --metrics-port {more_metrics} --app-resync 10 --app-resync-jitter 0"
        );
        argo.run(plane, "application-controller", &program, &args);
        argo
    }

    /// The same of what makes Applications alone.
    pub async fn sets(plane: &ControlPlane) -> Self {
        let mut argo = Self::installed(plane).await;
        argo.make_applications(plane);
        argo
    }

    /// Starts what makes Applications of ApplicationSets.
    pub fn make_applications(&mut self, plane: &ControlPlane) {
        let [metrics, probes, webhook] = std::array::from_fn(|_| free_port().unwrap());
        let args = format!(
            "applicationset-controller --namespace {NAMESPACE} --metrics-addr 127.0.0.1:{metrics} \
             --probe-addr 127.0.0.1:{probes} --webhook-addr 127.0.0.1:{webhook} \
             --argocd-repo-server 127.0.0.1:{}",
            self.repo_server
        );
        self.run(plane, "applicationset-controller", &built("ARGOCD"), &args);
    }

    async fn installed(plane: &ControlPlane) -> Self {
        let dir = tempfile::Builder::new().prefix("argo-").tempdir().unwrap();
        plane.namespace(NAMESPACE, &[]).await.unwrap();
        settings(plane, dir.path()).await;
        // A script of the image that the repo-server runs in.
        let script = "git-verify-wrapper.sh";
        let of_image = module("argocd", ARGO_CD, ARGO_CD).join("hack").join(script);
        run(
            dir.path(),
            "install",
            &["--mode=755", of_image.to_str().unwrap(), script],
        );
        run(
            dir.path(),
            "git",
            &["init", "--quiet", "--initial-branch=main", "repository"],
        );
        Self {
            processes: Vec::new(),
            dir,
            admin: plane.admin().await.unwrap(),
            repo_server: free_port().unwrap(),
        }
    }

    fn run(&mut self, plane: &ControlPlane, name: &'static str, program: &Path, args: &str) {
        let dir = self.dir.path();
        let args: Vec<&str> = args.split_whitespace().collect();
        let (socket, home) = (dir.join("ask-pass.sock"), dir.join("gnupg"));
        let kustomize = built("KUSTOMIZE");
        let path = format!(
            "{}:{}:{}",
            dir.display(),
            kustomize.display(),
            std::env::var("PATH").unwrap()
        );
        let env: [(&str, &OsStr); 8] = [
            ("PATH", path.as_ref()),
            ("KUBECONFIG", plane.admin_kubeconfig().as_os_str()),
            ("ARGOCD_FAKE_IN_CLUSTER", "true".as_ref()),
            ("ARGOCD_GPG_ENABLED", "false".as_ref()),
            ("ARGOCD_GNUPGHOME", home.as_os_str()),
            ("ARGOCD_ASK_PASS_SOCK", socket.as_os_str()),
            ("HOSTNAME", "argocd-application-controller-0".as_ref()),
            ("HOME", dir.as_os_str()),
        ];
        let process = Process::start(dir, name, program, &args, &env);
        self.processes.push((name, process));
    }

    /// What its programs have logged so far.
    pub fn log(&self) -> String {
        let last = |log: String| {
            log.lines()
                .rev()
                .take(40)
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        };
        self.processes
            .iter()
            .map(|(name, process)| format!("{name}, newest first:\n{}", last(process.log())))
            .collect()
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    /// Where Argo CD finds the repository.
    pub fn url(&self) -> String {
        format!("file://{}", self.repository().display())
    }

    /// Commits files: exactly these are in the repository then, beside its folders.
    pub fn commit(&self, files: &[(&str, String)]) {
        let repository = self.repository();
        for entry in std::fs::read_dir(&repository).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::remove_file(path).unwrap();
            }
        }
        for (name, text) in files {
            std::fs::write(repository.join(name), text).unwrap();
        }
        self.commit_all();
    }

    /// Commits folders of this project as they are.
    pub fn commit_folders(&self, folders: &[&str]) {
        for folder in folders {
            let from = file(folder);
            run(&self.repository(), "cp", &["--recursive", from.to_str().unwrap(), "."]);
        }
        self.commit_all();
    }

    /// Commits a file of the repository as it is made of what it was.
    pub fn rewrite(&self, path: &str, change: impl FnOnce(String) -> String) {
        let path = self.repository().join(path);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(text)).unwrap();
        self.commit_all();
    }

    fn commit_all(&self) {
        let repository = self.repository();
        let git = |args: &[&str]| run(&repository, "git", args);
        git(&["add", "--all"]);
        git(&[
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "--message=test",
        ]);
    }

    fn api(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind), plural);
        Api::namespaced_with(self.admin.clone(), NAMESPACE, &resource)
    }

    /// Applications, as the API server has them.
    pub fn applications(&self) -> Api<DynamicObject> {
        self.api("Application", "applications")
    }

    /// Applies an Application of all that is in the repository, synced by itself; `spec` adds to it.
    pub async fn application(&self, name: &str, spec: &Value) {
        let mut all = json!({
            "project": "default",
            "source": {
                "repoURL": self.url(),
                "targetRevision": "main",
                "path": ".",
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}, "syncOptions": ["ServerSideApply=true"]},
        });
        merge(&mut all, spec);
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "namespace": NAMESPACE}, "spec": all,
        });
        let params = PatchParams::apply("test").force();
        self.applications()
            .patch(name, &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    /// Applies the project that all are in; `spec` adds to it.
    pub async fn project(&self, spec: &Value) {
        let mut all = json!({
            "sourceRepos": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        });
        merge(&mut all, spec);
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": "default", "namespace": NAMESPACE}, "spec": all,
        });
        let params = PatchParams::apply("test").force();
        self.api("AppProject", "appprojects")
            .patch("default", &params, &Patch::Apply(&object))
            .await
            .unwrap();
    }

    /// Has an Application looked at anew, as `argocd app get --hard-refresh` does, and waits until that is done.
    pub async fn refresh(&self, name: &str) {
        let ask = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}});
        self.applications()
            .patch(name, &PatchParams::default(), &Patch::Merge(&ask))
            .await
            .unwrap();
        self.until(name, "was looked at anew", |a| {
            a["metadata"]["annotations"]["argocd.argoproj.io/refresh"].is_null()
        })
        .await;
    }

    /// Waits until an Application satisfies a predicate, and answers it.
    pub async fn until(&self, name: &str, what: &str, predicate: impl Fn(&Value) -> bool) -> Value {
        let all = self.applications();
        let found = watch_until(&all, name, what, PATIENCE, |object| {
            predicate(&serde_json::to_value(object).unwrap())
        });
        match found.await {
            Ok(found) => serde_json::to_value(found).unwrap(),
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Waits until an Application has synced what is in the repository, and is healthy.
    pub async fn until_synced(&self, name: &str) -> Value {
        let head = String::from_utf8(run(&self.repository(), "git", &["rev-parse", "HEAD"])).unwrap();
        let status =
            |a: &Value| [&a["status"]["sync"]["status"], &a["status"]["health"]["status"]] == ["Synced", "Healthy"];
        self.until(name, "is synced and healthy", |a| {
            a["status"]["sync"]["revision"] == head.trim() && status(a) && a["operation"].is_null()
        })
        .await
    }
}

impl Drop for Argo {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Adds one tree to another.
fn merge(into: &mut Value, from: &Value) {
    match from.as_object() {
        Some(fields) if into.is_object() => fields.iter().for_each(|(key, value)| merge(&mut into[key], value)),
        _ => *into = from.clone(),
    }
}

/// Installs Argo CD's own CRDs.
pub async fn crds(plane: &ControlPlane) {
    let folder = module("argocd", ARGO_CD, ARGO_CD).join("manifests/crds");
    for kind in ["application", "applicationset", "appproject"] {
        plane.install(&folder.join(format!("{kind}-crd.yaml"))).await.unwrap();
    }
}

/// Argo CD's CRDs, and its settings as it ships them with our patch.
async fn settings(plane: &ControlPlane, folder: &Path) {
    crds(plane).await;
    let manifests = module("argocd", ARGO_CD, ARGO_CD).join("manifests");
    for name in [
        "argocd-cm",
        "argocd-rbac-cm",
        "argocd-secret",
        "argocd-gpg-keys-cm",
        "argocd-ssh-known-hosts-cm",
        "argocd-tls-certs-cm",
    ] {
        let text = std::fs::read_to_string(manifests.join(format!("base/config/{name}.yaml"))).unwrap();
        let mut object: Value = serde_saphyr::from_str(&text).unwrap();
        object["metadata"]["namespace"] = json!(NAMESPACE);
        if name == "argocd-cm" {
            let ours: Value = serde_saphyr::from_str(&std::fs::read_to_string(file(SETTINGS)).unwrap()).unwrap();
            merge(&mut object["data"], &ours["data"]);
        }
        if name == "argocd-secret" {
            // Argo CD's own server makes one at its first start.
            object["stringData"] = json!({"server.secretkey": "test"});
        }
        let path = folder.join(format!("{name}.yaml"));
        std::fs::write(&path, object.to_string()).unwrap();
        plane.install(&path).await.unwrap();
    }
}

/// Whether a condition of an Application is there that holds this text.
pub fn warns(application: &Value, type_: &str) -> bool {
    let conditions = application["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|c| c["type"] == type_)
}

/// Waits until something comes true that only looking tells.
pub async fn soon(what: &str, attempt: impl AsyncFnMut() -> anyhow::Result<()>) {
    eventually(what, PATIENCE, attempt).await.unwrap();
}
