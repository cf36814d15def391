//! The repository in small under config/gitops: taken by the API server, applied by Flux, and generated from by Argo CD.

use std::path::Path;

use serde_json::{Value, json};

use crate::flux::{self, Flux};
use crate::process::run;
use crate::stage::{BINARY, Set, file, get};
use crate::support::{ControlPlane, Stage, install_yaml};

/// Sees that the API server would take this, every field of it.
pub async fn taken(plane: &ControlPlane, text: &str) {
    let path = plane.info().dir.join("taken.yaml");
    std::fs::write(&path, text).unwrap();
    let args = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
    ];
    plane
        .kubectl(&[&args[..], &[path.to_str().unwrap()]].concat())
        .await
        .unwrap();
}

/// The documents of an example.
fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&std::fs::read_to_string(file(path)).unwrap()).unwrap()
}

#[tokio::test]
async fn the_examples_are_taken_by_the_api_server_in_its_strictest_mood() {
    let plane = ControlPlane::start().await.unwrap();
    flux::crds(&plane).await;
    crate::argo::crds(&plane).await;
    plane.install(&install_yaml()).await.unwrap();
    for namespace in ["flux-system", "argocd"] {
        plane.namespace(namespace, &[]).await.unwrap();
    }
    for path in [
        "argocd/project.yaml",
        "argocd/applicationsets.yaml",
        "flux/production.yaml",
        "flux/staging.yaml",
    ] {
        let text = std::fs::read_to_string(file("config/gitops").join(path)).unwrap();
        taken(&plane, &text).await;
    }
    for cluster in ["staging", "production"] {
        let folder = file("config/gitops/clusters").join(cluster);
        let text = plane.kubectl(&["kustomize", folder.to_str().unwrap()]).await.unwrap();
        taken(&plane, &text).await;
    }
}

#[tokio::test]
async fn flux_applies_the_example_of_a_cluster_the_operator_first_and_what_is_not_to_be_pruned_stays() {
    let plane = ControlPlane::start().await.unwrap();
    let (flux, set) = (Flux::start(&plane).await, Set::new(&plane, "example").await);
    let archive = run(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        "tar",
        &["--create", "--gzip", "config", "crds"],
    );
    flux.publish_archive("security-baselines", "v1", archive).await;
    for object in documents("config/gitops/flux/production.yaml") {
        if object["kind"] != "Kustomization" {
            continue;
        }
        let mut spec = object["spec"].clone();
        spec["sourceRef"]["kind"] = json!("ExternalArtifact");
        // There is no node that the operator's pod could run on: it runs beside.
        let name = object["metadata"]["name"].as_str().unwrap();
        spec["wait"] = json!(name != "security-baseline-operator");
        flux.kustomization(name, spec).await;
    }
    flux.until_applied("security-baseline-operator", "v1").await;
    let manifests = std::fs::read_to_string(install_yaml()).unwrap();
    let _stage = Stage::of(&plane, Path::new(BINARY), &manifests, |_| {}).await.unwrap();
    flux.until_applied("security-baselines", "v1").await;
    let tenants = set.until_named("tenants", "Ready", "True").await;
    assert_eq!(tenants["spec"]["mode"], "Enforce");

    // Both are taken away: the kinds and the baselines stay.
    for name in ["security-baselines", "security-baseline-operator"] {
        flux.forget(name).await;
    }
    assert_eq!(
        get(&set.admin, "ClusterRole", None, "security-baseline-operator").await,
        None
    );
    for (kind, name) in [
        ("SecurityBaseline", "tenants"),
        ("CustomResourceDefinition", "securitybaselines.securitybaseline.dev"),
    ] {
        let left = get(&set.admin, kind, None, name).await;
        assert_eq!(
            left.unwrap_or_default()["metadata"]["deletionTimestamp"],
            Value::Null,
            "{name}"
        );
    }
}
