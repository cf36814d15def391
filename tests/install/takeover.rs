//! From `kubectl apply` to Helm, without uninstalling anything.

use std::path::Path;

use crate::helm::{Helm, RELEASE, chart, text};
use crate::stage::{BINARY, Set, get};
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, Stage, install_yaml};

#[tokio::test]
async fn helm_takes_over_what_kubectl_installed_when_it_is_told_to() {
    let plane = ControlPlane::start().await.unwrap();
    let helm = Helm::on(&plane);
    let set = Set::new(&plane, "taken").await;
    let installed = install_yaml();
    plane
        .kubectl(&["apply", "--server-side", "--filename", text(&installed)])
        .await
        .unwrap();
    let uid =
        async |kind: &str, name: &str| get(&set.admin, kind, None, name).await.unwrap()["metadata"]["uid"].clone();
    let before = uid("CustomResourceDefinition", "securitybaselines.securitybaseline.dev").await;

    let chart = chart();
    let install = ["install", RELEASE, text(&chart), "--namespace", OPERATOR_NAMESPACE];
    let refused = helm.refused(&install).await;
    assert!(
        refused.contains("cannot be imported into the current release"),
        "{refused}"
    );
    helm.run(&[&install[..], &["--take-ownership", "--force-conflicts"]].concat())
        .await;

    assert_eq!(
        uid("CustomResourceDefinition", "securitybaselines.securitybaseline.dev").await,
        before
    );
    let role = get(&set.admin, "ClusterRole", None, "security-baseline-operator")
        .await
        .unwrap();
    assert_eq!(role["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
    let _ready = Stage::of(&plane, Path::new(BINARY), &helm.manifest().await, |_| {})
        .await
        .unwrap();
}
