//! What the rig does in the name of users: tenants with their own rights, and manifests as people apply them.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{Api, Client};
use serde_json::json;

use super::{PATIENCE, create, refusal};
use crate::support::{ControlPlane, unique, watch_gone};

#[tokio::test]
async fn a_tenant_is_admin_in_its_namespace_and_may_patch_its_namespace_and_nothing_else() {
    let plane = ControlPlane::shared().await;
    let (own, other) = (unique("own"), unique("other"));
    plane.namespace(&own, &[]).await.unwrap();
    plane.namespace(&other, &[]).await.unwrap();
    let tenant = plane.tenant(&own).await.unwrap();

    let map = || json!({"metadata": {"name": "map"}});
    create(&Api::<ConfigMap>::namespaced(tenant.client.clone(), &own), map())
        .await
        .unwrap();
    refusal(create(&Api::<ConfigMap>::namespaced(tenant.client.clone(), &other), map()).await);
    refusal(label(&tenant.client, &other).await);
    let labelled = label(&tenant.client, &own).await.unwrap();
    assert_eq!(labelled.metadata.labels.unwrap()["by"], "tenant");
    let namespaces: Api<Namespace> = Api::all(tenant.client);
    refusal(namespaces.delete(&own, &Default::default()).await);
    refusal(namespaces.list(&Default::default()).await);

    let whoami = plane.kubectl_as(&tenant.kubeconfig, &["auth", "whoami"]).await.unwrap();
    assert!(whoami.contains(&tenant.user), "{whoami}");
}

/// Labels a namespace as whoever this client is.
async fn label(client: &Client, namespace: &str) -> Result<Namespace, kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let patch = kube::api::Patch::Merge(json!({"metadata": {"labels": {"by": "tenant"}}}));
    namespaces.patch(namespace, &Default::default(), &patch).await
}

#[tokio::test]
async fn manifests_are_installed_as_they_are_and_deleted() {
    let plane = ControlPlane::shared().await;
    let dir = tempfile::tempdir().unwrap();
    let (file, namespace) = (dir.path().join("manifests.yaml"), unique("install"));
    write_manifests(&file, &namespace).unwrap();
    plane.install(&file).await.unwrap();
    plane.install(&file).await.expect("to install twice is to install once");
    let widget = [
        "get",
        "widgets.rig.example.com",
        "-n",
        &namespace,
        "w",
        "-o",
        "jsonpath={.spec.size}",
    ];
    assert_eq!(plane.kubectl(&widget).await.unwrap(), "7");
    plane.delete_manifests(&file).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(plane.admin().await.unwrap());
    watch_gone(&namespaces, &namespace, PATIENCE).await.unwrap();
}

/// An object before its namespace, and both before the definition of its kind.
fn write_manifests(file: &Path, namespace: &str) -> Result<()> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rig/manifests.yaml"))?;
    fs::write(file, text.replace("NAMESPACE", namespace)).context("writing manifests")
}
