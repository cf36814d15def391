//! What docs/gitops.md shows is so: its YAML is what the tests use, or what the API server takes.

use serde_json::{Value, json};

use crate::stage::file;
use crate::support::{ControlPlane, blocks};

/// The page.
fn page() -> String {
    std::fs::read_to_string(file("docs/gitops.md")).unwrap()
}

/// The documents of the YAML block that follows a mark.
fn documents_after(mark: &str) -> Vec<Value> {
    let page = page();
    let after = page.split_once(mark).unwrap_or_else(|| panic!("there is no {mark}")).1;
    let block = after
        .trim_start()
        .strip_prefix("```yaml\n")
        .unwrap_or_else(|| panic!("no YAML follows {mark}"));
    serde_saphyr::from_multiple(block.split("```").next().unwrap()).unwrap()
}

/// The one document of the YAML block that follows a mark in docs/gitops.md.
pub fn yaml_after(mark: &str) -> Value {
    let mut documents = documents_after(mark);
    assert_eq!(documents.len(), 1, "{mark}");
    documents.remove(0)
}

#[tokio::test]
async fn the_commands_on_the_page_work_in_their_order() {
    let plane = ControlPlane::start().await.unwrap();
    plane.namespace("argocd", &[]).await.unwrap();
    let argo = plane
        .kubectl(&["create", "configmap", "argocd-cm", "--namespace=argocd"])
        .await;
    argo.unwrap();
    let found = blocks(&page(), "<!-- run: gitops -->");
    assert!(!found.is_empty());
    for block in found {
        block
            .run("gitops.md", plane.admin_kubeconfig(), &std::env::var("PATH").unwrap())
            .await;
    }
}

#[tokio::test]
async fn the_yaml_on_the_page_is_taken_by_the_api_server_in_its_strictest_mood() {
    let plane = ControlPlane::start().await.unwrap();
    crate::flux::crds(&plane).await;
    crate::argo::crds(&plane).await;
    for namespace in ["flux-system", "argocd"] {
        plane.namespace(namespace, &[]).await.unwrap();
    }
    // What each leaves out, since it is the reader's own.
    let source = json!({"interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "tenants"}});
    let application =
        json!({"project": "default", "destination": {}, "source": {"repoURL": "https://git.example.com/a.git"}});
    for (mark, more) in [
        ("<!-- flux: namespaces -->", &source),
        ("<!-- healthCheckExprs -->", &source),
        ("<!-- argo: namespaces -->", &application),
        ("<!-- argo: orphans -->", &json!({})),
    ] {
        let mut object = yaml_after(mark);
        for (field, value) in more.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        crate::examples::taken(&plane, &object.to_string()).await;
    }
}
