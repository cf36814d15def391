//! What the documentation tells people to do with Helm works, in its order, and leaves alone what it does not name.

use serde_json::{Value, json};

use crate::helm::{Helm, RELEASE, chart, tool};
use crate::stage::file;
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, blocks};

/// Before a block that is run here.
const MARK: &str = "<!-- run: helm -->";

/// What somebody chose: nothing of it is a default.
const CHOSEN: &str = r"
image: {repository: registry.example.com/security-baseline-operator}
bindableClusterRoles: [view, admin]
grantableRoles: [{apiGroups: [apps], resources: [deployments], verbs: [get, list]}]
config: {excludedNamespaces: [kube-*, vendor], workers: 7}
";

/// Where the commands are, Helm among them.
fn path() -> String {
    let tool = tool("HELM");
    format!(
        "{}:{}",
        tool.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    )
}

#[tokio::test]
async fn the_helm_commands_in_the_documentation_work_in_their_order() {
    let plane = ControlPlane::start().await.unwrap();
    let found = blocks(&std::fs::read_to_string(file("docs/install.md")).unwrap(), MARK);
    assert!(found.len() >= 6, "only {} blocks are marked", found.len());
    for block in found {
        block.run("install.md", plane.admin_kubeconfig(), &path()).await;
    }
}

/// The values of the release that somebody chose.
async fn values(helm: &Helm) -> Value {
    let args = [
        "get",
        "values",
        RELEASE,
        "--namespace",
        OPERATOR_NAMESPACE,
        "--output",
        "json",
    ];
    serde_json::from_str(&helm.run(&args).await).unwrap()
}

/// The configuration that the operator of the release reads.
async fn configuration(helm: &Helm) -> Value {
    let manifests: Vec<Value> = serde_saphyr::from_multiple(&helm.manifest().await).unwrap();
    let map = manifests.iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    serde_saphyr::from_str(map["data"]["config.yaml"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_helm_command_of_another_page_changes_what_it_says_and_nothing_else_that_was_chosen() {
    let plane = ControlPlane::start().await.unwrap();
    let helm = Helm::on(&plane);
    helm.release("install", &chart(), CHOSEN).await;
    let mut chosen = values(&helm).await;
    for (page, changes) in [
        (
            "docs/operations.md",
            vec![("/bindableClusterRoles", json!(["view", "edit"]))],
        ),
        (
            "docs/emergency-stop.md",
            vec![("/config/stop", json!(true)), ("/config/stop", json!(false))],
        ),
        (
            "docs/upgrade.md",
            vec![("/config/stop", json!(true)), ("/config/stop", json!(false))],
        ),
    ] {
        let found = blocks(&std::fs::read_to_string(file(page)).unwrap(), MARK);
        assert_eq!(found.len(), changes.len(), "{page}");
        for (block, (value, now)) in found.iter().zip(changes) {
            block.run(page, plane.admin_kubeconfig(), &path()).await;
            let (parent, key) = value.rsplit_once('/').unwrap();
            chosen.pointer_mut(parent).unwrap()[key] = now;
            assert_eq!(values(&helm).await, chosen, "{page}:{}", block.line);
            let read = configuration(&helm).await;
            for (key, chosen) in chosen["config"].as_object().unwrap() {
                assert_eq!(&read[key], chosen, "{page}:{}: {key}", block.line);
            }
        }
    }
}
