//! The stage that tests play on: a control plane, and the operator as it is shipped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::oracles::safe_so_far;
use crate::support::audit::{Log, Mark, Request};
use crate::support::{ControlPlane, Stage, unique, watch_gone, watch_until};

/// The operator's executable.
pub const BINARY: &str = env!("CARGO_BIN_EXE_security-baseline-operator");

/// How long anything may take that takes milliseconds: long enough for a machine that does other things too.
pub const SOON: Duration = Duration::from_secs(30);

/// The label that the tests' baselines select by; its value is the test's own.
pub const LABEL: &str = "test.example.com/set";

/// A file of this repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The control plane that tests share, with the one operator on it. A test that disturbs either has its own.
pub async fn shared() -> (&'static ControlPlane, &'static Stage) {
    static SHARED: tokio::sync::OnceCell<Stage> = tokio::sync::OnceCell::const_new();
    let plane = ControlPlane::shared().await;
    let stage = SHARED
        .get_or_init(|| async { Stage::with(plane, Path::new(BINARY), unbraked).await.unwrap() })
        .await;
    (plane, stage)
}

/// A control plane and an operator of one's own.
pub async fn own() -> (ControlPlane, Stage) {
    let plane = ControlPlane::start().await.unwrap();
    let stage = Stage::with(&plane, Path::new(BINARY), unbraked).await.unwrap();
    (plane, stage)
}

/// The same, with the configuration as it is shipped: with the brake, the pace of rollouts, and the pauses in fights.
pub async fn own_as_shipped() -> (ControlPlane, Stage) {
    let plane = ControlPlane::start().await.unwrap();
    let stage = Stage::on(&plane, Path::new(BINARY)).await.unwrap();
    (plane, stage)
}

/// A configuration in which nothing has a test wait that is about something else: many namespaces at once, or the same
/// thing broken again and again.
pub fn unbraked(config: &mut Value) {
    config["brake"]["namespaces"] = json!(100_000);
    config["rollout"] = json!({"maxNamespacesPerMinute": 1_000_000, "stopAtRefusedPercent": 100});
    config["contestedPauseSeconds"] = json!(0);
}

/// The API of a kind, in a namespace or of the cluster, as the admin sees it.
pub fn api(client: &Client, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version, plural) = match kind {
        "SecurityBaseline" => ("securitybaseline.dev", "v1alpha1", "securitybaselines"),
        "BaselineException" => ("securitybaseline.dev", "v1alpha1", "baselineexceptions"),
        "BaselineReport" => ("securitybaseline.dev", "v1alpha1", "baselinereports"),
        "NetworkPolicy" => ("networking.k8s.io", "v1", "networkpolicies"),
        "ResourceQuota" => ("", "v1", "resourcequotas"),
        "LimitRange" => ("", "v1", "limitranges"),
        "Role" => ("rbac.authorization.k8s.io", "v1", "roles"),
        "RoleBinding" => ("rbac.authorization.k8s.io", "v1", "rolebindings"),
        "ClusterRoleBinding" => ("rbac.authorization.k8s.io", "v1", "clusterrolebindings"),
        "ClusterRole" => ("rbac.authorization.k8s.io", "v1", "clusterroles"),
        "Namespace" => ("", "v1", "namespaces"),
        "Service" => ("", "v1", "services"),
        "EndpointSlice" => ("discovery.k8s.io", "v1", "endpointslices"),
        "Pod" => ("", "v1", "pods"),
        "ConfigMap" => ("", "v1", "configmaps"),
        "ServiceAccount" => ("", "v1", "serviceaccounts"),
        // As kubectl reads them; the operator writes them in events.k8s.io.
        "Event" => ("", "v1", "events"),
        "PolicyReport" => ("wgpolicyk8s.io", "v1alpha2", "policyreports"),
        "Report" => ("openreports.io", "v1alpha1", "reports"),
        "Deployment" => ("apps", "v1", "deployments"),
        "Lease" => ("coordination.k8s.io", "v1", "leases"),
        "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
        other => panic!("the tests know no kind {other}"),
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// What a test plays with: a baseline of its own, the label value that it selects, and the admin's client. Whatever else
/// the test asserts, it ends with a look at what the operator wrote.
pub struct Set {
    /// The name of the baseline, and the label's value.
    pub name: String,
    /// The admin's client.
    pub admin: Client,
    audit: Log,
}

impl Drop for Set {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            safe_so_far(&self.audit);
        }
    }
}

impl Set {
    /// A new one.
    pub async fn new(plane: &ControlPlane, prefix: &str) -> Self {
        Self {
            name: unique(prefix),
            admin: plane.admin().await.unwrap(),
            audit: plane.audit(),
        }
    }

    /// A namespace that the set's baseline selects; its name.
    pub async fn namespace(&self, plane: &ControlPlane, suffix: &str) -> String {
        let name = format!("{}-{suffix}", self.name);
        plane.namespace(&name, &[(LABEL, &self.name)]).await.unwrap();
        name
    }

    /// Applies the set's baseline with these sections and this mode. The selector is filled in.
    pub async fn baseline(&self, spec: Value) -> DynamicObject {
        self.baseline_named(&self.name, spec).await.unwrap()
    }

    /// Applies a baseline of another name for the set's namespaces, as `kubectl apply --server-side` does.
    pub async fn baseline_named(&self, name: &str, mut spec: Value) -> kube::Result<DynamicObject> {
        if spec.get("namespaceSelector").is_none() {
            spec["namespaceSelector"] = json!({"matchLabels": {LABEL: self.name}});
        }
        let body = json!({
            "apiVersion": "securitybaseline.dev/v1alpha1",
            "kind": "SecurityBaseline",
            "metadata": {"name": name},
            "spec": spec,
        });
        let params = PatchParams::apply("test").force();
        api(&self.admin, "SecurityBaseline", None)
            .patch(name, &params, &Patch::Apply(&body))
            .await
    }

    /// Waits until the set's baseline has this condition at the generation that it has then, and answers it.
    pub async fn until(&self, condition: &str, status: &str) -> Value {
        self.until_named(&self.name, condition, status).await
    }

    /// The same for another baseline.
    pub async fn until_named(&self, name: &str, condition: &str, status: &str) -> Value {
        let what = format!("{condition}={status} at its generation");
        let found = watch_until(
            &api(&self.admin, "SecurityBaseline", None),
            name,
            &what,
            SOON,
            |object| {
                let object = serde_json::to_value(object).unwrap();
                let generation = &object["metadata"]["generation"];
                object["status"]["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|c| c["type"] == condition && c["status"] == status && c["observedGeneration"] == *generation)
            },
        )
        .await
        .unwrap();
        serde_json::to_value(found).unwrap()
    }

    /// Waits until every selected namespace is in the declared state.
    pub async fn until_enforced(&self, namespaces: i64) -> Value {
        let found = watch_until(
            &api(&self.admin, "SecurityBaseline", None),
            &self.name,
            "all compliant",
            SOON,
            |object| {
                let object = serde_json::to_value(object).unwrap();
                object["status"]["observedGeneration"] == object["metadata"]["generation"]
                    && object["status"]["namespaces"]["selected"] == namespaces
                    && object["status"]["namespaces"]["compliant"] == namespaces
            },
        )
        .await
        .unwrap();
        serde_json::to_value(found).unwrap()
    }

    /// Waits until the counts of namespaces in the status of the set's baseline, of its present generation, satisfy a
    /// predicate, and answers the baseline.
    pub async fn until_counted(&self, what: &str, patience: Duration, predicate: impl Fn(&Value) -> bool) -> Value {
        let baselines = api(&self.admin, "SecurityBaseline", None);
        let found = watch_until(&baselines, &self.name, what, patience, |object| {
            let object = serde_json::to_value(object).unwrap();
            object["status"]["observedGeneration"] == object["metadata"]["generation"]
                && predicate(&object["status"]["namespaces"])
        })
        .await
        .unwrap();
        serde_json::to_value(found).unwrap()
    }

    /// Makes this many namespaces that the set's baseline selects; their names.
    pub async fn namespaces(&self, plane: &ControlPlane, count: usize) -> Vec<String> {
        let mut names = Vec::new();
        for i in 0..count {
            names.push(self.namespace(plane, &format!("n{i}")).await);
        }
        names
    }

    /// Waits until these namespaces are older than whatever is enforced from now on: the API server counts in seconds.
    pub async fn aged(&self, namespaces: &[String]) {
        self.older_than(0, namespaces).await;
    }

    /// Waits until these namespaces are older than so many whole seconds: the API server alone says when one was made.
    pub async fn older_than(&self, seconds: i64, namespaces: &[String]) {
        let mut newest = jiff::Timestamp::UNIX_EPOCH;
        for namespace in namespaces {
            let object = get(&self.admin, "Namespace", None, namespace).await.unwrap();
            let made = object["metadata"]["creationTimestamp"].as_str().unwrap();
            newest = newest.max(made.parse().unwrap());
        }
        while jiff::Timestamp::now().as_second() <= newest.as_second() + seconds {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Waits until an object of a namespace satisfies a predicate, and answers it.
    pub async fn object_until(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        what: &str,
        predicate: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = watch_until(&api(&self.admin, kind, Some(namespace)), name, what, SOON, |object| {
            predicate(&serde_json::to_value(object).unwrap())
        })
        .await
        .unwrap();
        serde_json::to_value(found).unwrap()
    }

    /// Waits until the namespace's report satisfies a predicate, and answers it.
    pub async fn report_until(&self, namespace: &str, what: &str, predicate: impl Fn(&Value) -> bool) -> Value {
        self.object_until("BaselineReport", namespace, "baseline", what, predicate)
            .await
    }
}

/// A spec of all four controls, enforced.
pub fn everything() -> Value {
    json!({
        "mode": "Enforce",
        "networkIsolation": {
            "defaultDeny": ["Ingress", "Egress"],
            "allowSameNamespace": true,
            "allow": [{"name": "from-ingress", "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]}]}],
        },
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"requests.cpu": 10, "requests.memory": "20Gi", "limits.cpu": 20, "limits.memory": "40Gi", "pods": 50}}]},
        "limitRanges": {"items": [{"name": "defaults", "limits": [{"type": "Container", "default": {"cpu": "500m", "memory": "256Mi"}, "defaultRequest": {"cpu": "100m", "memory": "128Mi"}}]}]},
        "podSecurity": {"enforce": {"level": "restricted", "version": "v1.36"}, "audit": {"level": "restricted"}, "warn": {"level": "restricted"}},
        "access": {
            "roles": [{"name": "developer", "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "update", "patch"]}]}],
            "bindings": [
                {"name": "developers", "role": "developer", "subjects": [{"kind": "Group", "name": "team:{namespace}:developers"}]},
                {"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "auditors"}]},
            ],
        },
    })
}

/// Lets the operator hand out what `everything` asks for, as an administrator does.
pub async fn grant(plane: &ControlPlane) {
    plane
        .install(&file("config/samples/grantable_developer.yaml"))
        .await
        .unwrap();
}

/// The sum of a metric's samples; `name` may go on with the labels of one sample, as `/metrics` writes them.
pub async fn metric(operator: &crate::support::Operator, name: &str) -> u64 {
    let text = operator.metrics().await.unwrap();
    let values = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(sample, _)| *sample == name || sample.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
    values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

/// An object as JSON, if it is there.
pub async fn get(client: &Client, kind: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
    let found = api(client, kind, namespace).get_opt(name).await.unwrap()?;
    Some(serde_json::to_value(found).unwrap())
}

/// Creates an object of which all but its kind is given, as whoever this client is.
pub async fn create(client: &Client, kind: &str, namespace: Option<&str>, object: Value) -> kube::Result<Value> {
    let api = api(client, kind, namespace);
    let mut object = object;
    object["kind"] = json!(kind);
    let path: Vec<&str> = api.resource_url().split('/').collect();
    object["apiVersion"] = json!(match path[1] {
        "api" => path[2].to_owned(),
        _ => format!("{}/{}", path[2], path[3]),
    });
    let object = serde_json::from_value(object).unwrap();
    let created = api.create(&PostParams::default(), &object).await?;
    Ok(serde_json::to_value(created).unwrap())
}

/// Merges a patch into an object, as whoever this client is, under the field manager `somebody`.
pub async fn merge(
    client: &Client,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    patch: Value,
) -> kube::Result<Value> {
    let params = PatchParams {
        field_manager: Some("somebody".to_owned()),
        ..PatchParams::default()
    };
    let patched = api(client, kind, namespace)
        .patch(name, &params, &Patch::Merge(patch))
        .await?;
    Ok(serde_json::to_value(patched).unwrap())
}

/// Deletes an object, as whoever this client is.
pub async fn delete(client: &Client, kind: &str, namespace: Option<&str>, name: &str) {
    api(client, kind, namespace)
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
}

/// What the operator wrote to a namespace since then, and to the objects in it, but for its report and its events.
pub fn writes_in(plane: &ControlPlane, since: Mark, namespace: &str) -> Vec<Request> {
    let mut writes = plane.audit().writes_since(since).unwrap();
    writes.retain(|w| {
        (w.namespace.as_deref() == Some(namespace)
            || w.resource == "namespaces" && w.name.as_deref() == Some(namespace))
            && !matches!(w.resource.as_str(), "baselinereports" | "events")
    });
    writes
}

impl Set {
    /// Waits until a baseline satisfies a predicate, and answers it.
    pub async fn baseline_until(&self, name: &str, what: &str, predicate: impl Fn(&Value) -> bool) -> Value {
        let baselines = api(&self.admin, "SecurityBaseline", None);
        let found = watch_until(&baselines, name, what, SOON, |object| {
            predicate(&serde_json::to_value(object).unwrap())
        });
        serde_json::to_value(found.await.unwrap()).unwrap()
    }

    /// Waits until an object of a namespace is there, and answers it.
    pub async fn present(&self, kind: &str, namespace: &str, name: &str) -> Value {
        self.object_until(kind, namespace, name, "is there", |_| true).await
    }

    /// Waits until an object of a namespace is gone.
    pub async fn gone(&self, kind: &str, namespace: &str, name: &str) {
        watch_gone(&api(&self.admin, kind, Some(namespace)), name, SOON)
            .await
            .unwrap();
    }

    /// Waits until the labels of a namespace satisfy a predicate, and answers them.
    pub async fn labels_until(&self, namespace: &str, what: &str, predicate: impl Fn(&Value) -> bool) -> Value {
        let namespaces = api(&self.admin, "Namespace", None);
        let found = watch_until(&namespaces, namespace, what, SOON, |object| {
            predicate(&serde_json::to_value(&object.metadata.labels).unwrap())
        });
        serde_json::to_value(found.await.unwrap().metadata.labels).unwrap()
    }

    /// A fence: applies the spec with a change that means nothing, and waits until the namespace has been worked on at
    /// the new generation. What had been in the queue for it before is done then.
    pub async fn fence(&self, namespace: &str, mut spec: Value) -> Value {
        spec["excludedNamespaces"] = json!([unique("fence")]);
        let generation = self.baseline(spec).await.metadata.generation;
        self.baseline_until(&self.name, "judged anew, with nothing pending", |b| {
            b["status"]["observedGeneration"] == json!(generation) && b["status"]["namespaces"]["pending"] == 0
        })
        .await;
        self.report_until(namespace, "of the new generation", |r| {
            r["status"]["baselines"].as_array().is_some_and(|b| {
                b.iter()
                    .any(|b| b["name"] == self.name && b["generation"] == json!(generation))
            })
        })
        .await
    }
}

/// Runs commands as an admin does who pastes them into a shell.
pub async fn shell(plane: &ControlPlane, commands: &str) {
    let output = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", commands])
        .env("KUBECONFIG", plane.admin_kubeconfig())
        .env("KUBECACHEDIR", plane.info().dir.join("kubectl-cache"))
        .output()
        .await
        .unwrap();
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{commands}: {stdout}{stderr}");
}

/// A condition of a baseline or report.
pub fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    object["status"]["conditions"]
        .as_array()
        .and_then(|all| all.iter().find(|c| c["type"] == type_))
        .unwrap_or(&Value::Null)
}

/// The part of a report that is about one section.
pub fn control<'a>(report: &'a Value, section: &str) -> &'a Value {
    report["status"]["controls"]
        .as_array()
        .and_then(|all| all.iter().find(|c| c["name"] == section))
        .unwrap_or(&Value::Null)
}
