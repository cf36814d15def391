//! The cluster that is measured: its namespaces, and how it is put back to what it was.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::measure::usage;
use crate::reference::{connections, write};
use crate::support::{
    Component, ControlPlane, OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, Stage, eventually, install_yaml,
};
use crate::wire::{Call, Target};

/// The label that baselines select by.
const LABEL: &str = "bench.example.com/set";
/// The baseline, and the value of the label of the namespaces that it selects.
pub const FLEET: &str = "fleet";
/// How many objects a namespace is brought to: its labels, two policies, quota, limit range, role and binding.
pub const CHILDREN: usize = 7;
/// How long nothing may have been written before a part begins.
const IDLE: Duration = Duration::from_millis(1500);
/// How many connections make namespaces.
const MAKERS: usize = 16;

/// A copy of etcd's data.
pub struct Copy(PathBuf);

/// The control plane, and where copies of its data are.
pub struct Fleet {
    /// The control plane.
    pub plane: ControlPlane,
    /// How many namespaces the baseline selects.
    pub count: usize,
    copies: TempDir,
    target: Target,
}

impl Fleet {
    /// A control plane with what is shipped installed, and this many bare namespaces; nobody writes any more.
    pub async fn new(count: usize) -> Result<Self> {
        let plane = ControlPlane::start().await?;
        plane.install(&install_yaml()).await?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        plane
            .install(&root.join("config/samples/grantable_developer.yaml"))
            .await?;
        let target = target(&plane, OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT).await?;
        let fleet = Self {
            plane,
            count,
            copies: tempfile::Builder::new().prefix("bench-etcd-").tempdir()?,
            target,
        };
        fleet.namespaces(FLEET, count).await?;
        Ok(fleet)
    }

    /// Makes namespaces that one baseline selects, and waits until the controller manager has made what it makes in each.
    pub async fn namespaces(&self, set: &str, count: usize) -> Result<()> {
        let create = |name: String| Call {
            method: "POST".to_owned(),
            uri: "/api/v1/namespaces".to_owned(),
            body: json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {LABEL: set}},
            })
            .to_string(),
        };
        let calls: Vec<Vec<Call>> = (0..count).map(|i| vec![create(name(set, i))]).collect();
        let admin = self.admin_target()?;
        write(connections(&admin, MAKERS).await?, Arc::new(calls)).await?;
        self.idle().await
    }

    /// The operator's own identity, for the reference.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The identity of the admin, for a bare connection.
    pub fn admin_target(&self) -> Result<Target> {
        Ok(Target {
            token: token(self.plane.admin_kubeconfig())?,
            ..self.target.clone()
        })
    }

    /// Waits until nothing has been written for a while: the version of the whole store stands still.
    pub async fn idle(&self) -> Result<()> {
        let namespaces: Api<DynamicObject> = Api::all_with(
            self.plane.admin().await?,
            &resource("", "v1", "Namespace", "namespaces"),
        );
        let (mut version, mut since) = (String::new(), Instant::now());
        eventually("nobody writes any more", Duration::from_secs(600), async || {
            let seen = namespaces.list(&ListParams::default().limit(1)).await?;
            let seen = seen.metadata.resource_version.context("no version")?;
            if seen != version {
                (version, since) = (seen, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            ensure!(since.elapsed() >= IDLE, "somebody writes");
            Ok(())
        })
        .await
    }

    /// Copies etcd's data, and goes on from there.
    pub async fn copy(&self, name: &str) -> Result<Copy> {
        let copy = Copy(self.copies.path().join(name));
        self.down().await?;
        duplicate(&self.data(), &copy.0)?;
        self.up().await?;
        Ok(copy)
    }

    /// Puts the cluster back to what it was when the copy was made, with an empty audit log, and waits until nobody
    /// writes.
    pub async fn reset(&self, copy: &Copy) -> Result<()> {
        self.down().await?;
        std::fs::remove_dir_all(self.data())?;
        duplicate(&copy.0, &self.data())?;
        std::fs::write(&self.plane.info().audit_log, "")?;
        self.up().await
    }

    async fn down(&self) -> Result<()> {
        // A copy is put back or was made when all were idle: nothing is lost by a kill, which takes no time. etcd ends
        // in order, so that its files are whole.
        self.plane.kill(Component::ControllerManager).await?;
        self.plane.kill(Component::ApiServer).await?;
        self.plane.stop(Component::Etcd).await
    }

    async fn up(&self) -> Result<()> {
        for component in Component::ALL {
            self.plane.start_component(component).await?;
        }
        self.idle().await
    }

    /// What etcd, the API server and the controller manager have used of the processors, in seconds.
    pub async fn server_cpu(&self) -> Result<f64> {
        let mut cpu = 0.0;
        for pid in self.plane.pids().await?.values() {
            cpu += usage(*pid)?.cpu;
        }
        Ok(cpu)
    }

    fn data(&self) -> PathBuf {
        self.plane.info().dir.join("etcd-data")
    }

    /// Starts the operator and waits until it knows the cluster.
    pub async fn operator(&self) -> Result<Stage> {
        let mut stage = Stage::spawn(&self.plane, Path::new(BINARY), unbraked).await?;
        stage.operator.ready(Duration::from_secs(300)).await?;
        Ok(stage)
    }

    /// A baseline for the namespaces of a set, ready to be created.
    pub async fn baseline(&self, set: &str, spec: Value) -> Result<Baseline> {
        let client = self.plane.admin().await?;
        let api: Api<DynamicObject> = Api::all_with(
            client,
            &resource(GROUP, "v1alpha1", "SecurityBaseline", "securitybaselines"),
        );
        // So that the connection is open.
        api.list(&ListParams::default()).await?;
        let mut spec = spec;
        spec["namespaceSelector"] = json!({"matchLabels": {LABEL: set}});
        let object = json!({
            "apiVersion": "securitybaseline.dev/v1alpha1",
            "kind": "SecurityBaseline",
            "metadata": {"name": set},
            "spec": spec,
        });
        Ok(Baseline {
            api,
            name: set.to_owned(),
            object: serde_json::from_value(object)?,
        })
    }

    /// A client of the admin.
    pub async fn admin(&self) -> Result<Client> {
        self.plane.admin().await
    }
}

const GROUP: &str = "securitybaseline.dev";

/// The operator's executable.
pub const BINARY: &str = env!("CARGO_BIN_EXE_security-baseline-operator");

/// A baseline, and a client that is connected.
pub struct Baseline {
    api: Api<DynamicObject>,
    name: String,
    object: DynamicObject,
}

impl Baseline {
    /// The call that creates the same under another name.
    pub fn creation(&self, name: &str) -> Result<Call> {
        let mut object = self.object.clone();
        object.metadata.name = Some(name.to_owned());
        Ok(Call {
            method: "POST".to_owned(),
            uri: self.api.resource_url().to_owned(),
            body: serde_json::to_string(&object)?,
        })
    }

    /// Creates it, and answers when that was asked for.
    pub async fn create(&self) -> Result<jiff::Timestamp> {
        let now = jiff::Timestamp::now();
        self.api.create(&PostParams::default(), &self.object).await?;
        Ok(now)
    }

    /// Changes its spec, and answers when that was asked for.
    pub async fn change(&self, spec: Value) -> Result<jiff::Timestamp> {
        let now = jiff::Timestamp::now();
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api.patch(&self.name, &PatchParams::default(), &patch).await?;
        Ok(now)
    }

    /// Waits until its status says that so many namespaces are as declared.
    pub async fn compliant(&self, count: usize) -> Result<()> {
        eventually("all are compliant", Duration::from_secs(120), async || {
            let seen = serde_json::to_value(self.api.get(&self.name).await?)?;
            let counts = &seen["status"]["namespaces"];
            let judged = seen["status"]["observedGeneration"] == seen["metadata"]["generation"];
            ensure!(judged && counts["compliant"] == count, "the status counts {counts}");
            Ok(())
        })
        .await
    }
}

/// What is measured: a label patch, two policies, a quota, a limit range, a role and a binding for each namespace.
pub fn spec() -> Value {
    json!({
        "mode": "Enforce",
        // There are no pods to look at; to look costs a request or two for each namespace, once.
        "preflight": "Ignore",
        "networkIsolation": {"defaultDeny": ["Ingress", "Egress"], "allowSameNamespace": true},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"requests.cpu": 10, "requests.memory": "20Gi", "limits.cpu": 20, "limits.memory": "40Gi", "pods": 50}}]},
        "limitRanges": {"items": [{"name": "defaults", "limits": [{"type": "Container", "default": {"cpu": "500m", "memory": "256Mi"}, "defaultRequest": {"cpu": "100m", "memory": "128Mi"}}]}]},
        "podSecurity": {"enforce": {"level": "restricted", "version": "v1.36"}, "audit": {"level": "restricted"}, "warn": {"level": "restricted"}},
        "access": {
            "roles": [{"name": "developer", "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "update", "patch"]}]}],
            "bindings": [{"name": "developers", "role": "developer", "subjects": [{"kind": "Group", "name": "team:{namespace}:developers"}]}],
        },
    })
}

/// The documented settings that lift brake, pace of rollouts and pauses in fights.
pub fn unbraked(config: &mut Value) {
    config["brake"]["namespaces"] = json!(1_000_000);
    config["rollout"] = json!({"maxNamespacesPerMinute": 1_000_000, "stopAtRefusedPercent": 100});
    config["contestedPauseSeconds"] = json!(0);
    if let Some(workers) = std::env::var("WORKERS").ok().and_then(|w| w.parse::<u32>().ok()) {
        config["workers"] = json!(workers);
    }
}

/// The name of a namespace of a set.
pub fn name(set: &str, number: usize) -> String {
    format!("{set}-{number:05}")
}

/// What a kind is called.
pub fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

async fn target(plane: &ControlPlane, namespace: &str, account: &str) -> Result<Target> {
    Ok(Target {
        url: plane.url().to_owned(),
        ca_file: plane.info().ca_file.clone(),
        token: token(&plane.kubeconfig_for_service_account(namespace, account).await?)?,
    })
}

/// The token in a kubeconfig of the rig, which is JSON.
fn token(kubeconfig: &Path) -> Result<String> {
    let config: Value = serde_json::from_slice(&std::fs::read(kubeconfig)?)?;
    let token = config["users"][0]["user"]["token"].as_str();
    Ok(token.context("a kubeconfig without a token")?.to_owned())
}

fn duplicate(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(from)
        .arg(to)
        .status()?;
    ensure!(status.success(), "cp {}: {status}", from.display());
    Ok(())
}
