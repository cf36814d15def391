//! The example of a repository as a whole: from a cluster's label to baselines that hold.

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::sets::cluster;
use crate::argo::{Argo, soon};
use crate::stage::{BINARY, Set, api, file, get};
use crate::support::{ControlPlane, Stage, install_yaml};

/// The namespace of the operator.
const ITS_OWN: &str = "security-baseline-system";

/// Installs an example, but that the repository is the test's.
async fn example(plane: &ControlPlane, argo: &Argo, name: &str) {
    let text = std::fs::read_to_string(file(&format!("config/gitops/argocd/{name}.yaml"))).unwrap();
    let there = "https://git.example.com/platform/security-baselines.git";
    assert!(text.contains(there), "{name}");
    let path = plane.info().dir.join(format!("{name}.yaml"));
    std::fs::write(&path, text.replace(there, &argo.url())).unwrap();
    plane.install(&path).await.unwrap();
}

/// Says of the Deployment's pods that they are ready, as the kubelet would: there is none here.
async fn pods_are_ready(set: &Set) {
    let pods = api(&set.admin, "Pod", Some(ITS_OWN));
    let ready = |type_: &str| json!({"type": type_, "status": "True"});
    let status = json!({"status": {"phase": "Running", "conditions": [ready("Ready"), ready("ContainersReady")]}});
    soon("the Deployment has a pod", async || {
        let found = pods.list(&ListParams::default()).await?;
        anyhow::ensure!(!found.items.is_empty(), "there is none");
        for pod in found {
            let name = pod.metadata.name.unwrap_or_default();
            pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
                .await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_cluster_with_an_environment_gets_the_operator_and_baselines_rendered_by_kustomize_and_loses_nothing_with_its_label()
 {
    let plane = ControlPlane::start().await.unwrap();
    let mut argo = Argo::start(&plane).await;
    argo.make_applications(&plane);
    argo.commit_folders(&["config", "crds"]);
    for name in ["project", "applicationsets"] {
        example(&plane, &argo, name).await;
    }
    let here = "https://kubernetes.default.svc";
    cluster(&plane, "here", here, Some("production")).await;

    let set = Set::new(&plane, "whole").await;
    let (operator, baselines) = ("security-baseline-operator-here", "security-baselines-here");
    let health = |a: &Value| a["status"]["health"]["status"].clone();
    argo.until(operator, "is synced, and its pod is still to start", |a| {
        a["status"]["sync"]["status"] == "Synced" && health(a) == "Progressing"
    })
    .await;
    // Nobody has looked at the baselines.
    argo.until(baselines, "is synced, and under way", |a| {
        a["status"]["sync"]["status"] == "Synced" && health(a) == "Progressing"
    })
    .await;
    let manifests = std::fs::read_to_string(install_yaml()).unwrap();
    let _stage = Stage::of(&plane, BINARY.as_ref(), &manifests, |_| {}).await.unwrap();
    pods_are_ready(&set).await;
    argo.until_synced(operator).await;
    argo.until_synced(baselines).await;
    let tenants = set.until_named("tenants", "Ready", "True").await;
    assert_eq!(tenants["spec"]["mode"], "Enforce", "as production has it");

    // What goes from Git by accident stays, and holds up nothing else.
    let kept = "config/gitops/clusters/production/kustomization.yaml";
    argo.rewrite(kept, |text| {
        format!("{text}- target: {{kind: SecurityBaseline, name: access}}\n  patch: |\n    $patch: delete\n    apiVersion: securitybaseline.dev/v1alpha1\n    kind: SecurityBaseline\n    metadata: {{name: access}}\n")
    });
    argo.refresh(baselines).await;
    argo.until(baselines, "tells that something is to be pruned", |a| {
        a["status"]["sync"]["status"] == "OutOfSync" && a["operation"].is_null()
    })
    .await;
    assert!(get(&set.admin, "SecurityBaseline", None, "access").await.is_some());

    // Without the label Argo CD forgets the cluster, and all stays there.
    cluster(&plane, "here", here, None).await;
    soon("both Applications are gone", async || {
        let left = argo.applications().list(&ListParams::default()).await?.items.len();
        anyhow::ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await;
    for (kind, namespace, name) in [
        ("SecurityBaseline", None, "tenants"),
        ("ClusterRole", None, "security-baseline-operator"),
        ("Deployment", Some(ITS_OWN), "security-baseline-operator"),
    ] {
        let left = get(&set.admin, kind, namespace, name).await;
        assert_eq!(left.unwrap()["metadata"]["deletionTimestamp"], Value::Null, "{kind}");
    }
}
