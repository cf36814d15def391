//! `make demo KUBECONFIG=…` on a cluster that is not the demo's own.

use std::path::Path;
use std::process::{Output, Stdio};

use kube::api::ListParams;

use crate::stage::{BINARY, api};
use crate::support::ControlPlane;

/// Runs the demo, with nobody to ask.
async fn demo(plane: &ControlPlane, environment: &[(&str, &str)]) -> Output {
    let demo = Path::new(BINARY).with_file_name("examples").join("demo");
    tokio::process::Command::new(demo)
        .env("DEMO_KUBECONFIG", plane.admin_kubeconfig())
        .env("OPERATOR_BINARY", BINARY)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// What there is: namespaces, kinds, ClusterRoles with their bindings, labels of kube-system.
async fn all_there_is(plane: &ControlPlane) -> Vec<String> {
    let admin = plane.admin().await.unwrap();
    let mut found = Vec::new();
    for kind in [
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
    ] {
        for object in api(&admin, kind, None).list(&ListParams::default()).await.unwrap() {
            let labels = object.metadata.labels.unwrap_or_default();
            found.push(format!("{kind} {} {labels:?}", object.metadata.name.unwrap()));
        }
    }
    found.sort();
    found
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn on_somebodys_cluster_the_demo_asks_tells_its_story_and_leaves_nothing_behind() {
    let plane = ControlPlane::start().await.unwrap();
    let before = all_there_is(&plane).await;

    let unanswered = demo(&plane, &[]).await;
    assert!(!unanswered.status.success());
    assert!(
        said(&unanswered).contains("there is nobody to ask whether"),
        "{}",
        said(&unanswered)
    );
    assert!(said(&unanswered).contains(plane.url()), "{}", said(&unanswered));
    assert_eq!(all_there_is(&plane).await, before);

    let told = demo(&plane, &[("YES", "1")]).await;
    assert!(told.status.success(), "{}", said(&told));
    assert!(said(&told).contains("The cluster is as it was."), "{}", said(&told));
    assert_eq!(all_there_is(&plane).await, before);

    // It keeps out of the way of what is there.
    plane.namespace("shop", &[]).await.unwrap();
    let refused = demo(&plane, &[("YES", "1")]).await;
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("there is a namespace shop already"),
        "{}",
        said(&refused)
    );
}
