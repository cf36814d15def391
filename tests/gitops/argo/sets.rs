//! The ApplicationSets of the example make an Application for each cluster, with what its environment has.

use serde_json::{Value, json};

use crate::argo::{Argo, NAMESPACE};
use crate::stage::file;
use crate::support::ControlPlane;

/// Tells Argo CD of a cluster.
pub async fn cluster(plane: &ControlPlane, name: &str, server: &str, environment: Option<&str>) {
    let mut labels = json!({"argocd.argoproj.io/secret-type": "cluster"});
    if let Some(environment) = environment {
        labels["environment"] = json!(environment);
    }
    let object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "stringData": {"name": name, "server": server, "config": "{}"},
    });
    let path = plane.info().dir.join(format!("{name}.yaml"));
    std::fs::write(&path, object.to_string()).unwrap();
    plane.install(&path).await.unwrap();
}

#[tokio::test]
async fn the_example_makes_two_applications_for_each_cluster_with_an_environment_and_none_for_others() {
    let plane = ControlPlane::start().await.unwrap();
    let argo = Argo::sets(&plane).await;
    for (name, environment) in [("paris", Some("production")), ("oslo", Some("staging")), ("lab", None)] {
        cluster(&plane, name, &format!("https://{name}.example.com"), environment).await;
    }
    for example in ["project", "applicationsets"] {
        plane
            .install(&file(&format!("config/gitops/argocd/{example}.yaml")))
            .await
            .unwrap();
    }
    for (cluster, environment) in [("paris", "production"), ("oslo", "staging")] {
        for (name, path) in [
            (
                format!("security-baseline-operator-{cluster}"),
                "config/default".to_owned(),
            ),
            (
                format!("security-baselines-{cluster}"),
                format!("config/gitops/clusters/{environment}"),
            ),
        ] {
            let made = argo.until(&name, "is made", |_| true).await;
            assert_eq!(made["spec"]["source"]["path"], path);
            assert_eq!(
                made["spec"]["destination"]["server"],
                format!("https://{cluster}.example.com")
            );
            assert!(file(&path).join("kustomization.yaml").exists(), "{path}");
            // A cluster that loses its label loses the Application, and nothing that is on it.
            assert!(made["metadata"]["finalizers"].is_null(), "{made}");
        }
    }
    let all = argo.applications().list(&Default::default()).await.unwrap();
    let names: Vec<Value> = all.items.iter().map(|a| json!(a.metadata.name)).collect();
    assert_eq!(names.len(), 4, "{names:?}");
}
