//! What docs/install.md tells people to do with Helm works, in its order.

use crate::helm::tool;
use crate::stage::file;
use crate::support::{ControlPlane, blocks};

#[tokio::test]
async fn the_helm_commands_in_the_documentation_work_in_their_order() {
    let plane = ControlPlane::start().await.unwrap();
    let tool = tool("HELM");
    let path = format!(
        "{}:{}",
        tool.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let found = blocks(
        &std::fs::read_to_string(file("docs/install.md")).unwrap(),
        "<!-- run: helm -->",
    );
    assert!(found.len() >= 6, "only {} blocks are marked", found.len());
    for block in found {
        block.run("install.md", plane.admin_kubeconfig(), &path).await;
    }
}
