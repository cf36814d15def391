//! What somebody chose outlives the next upgrade, or stops it: it is never lost in silence.

use serde_json::{Value, json};

use super::page::Page;
use crate::stage::{create, delete, file, get, shared, shell};
use crate::support::{ControlPlane, blocks, unique};

/// The commands of a page that have this mark.
fn commands(page: &str, mark: &str) -> String {
    let found = blocks(&std::fs::read_to_string(file(page)).unwrap(), mark);
    found.into_iter().next().unwrap().script
}

/// Applies what is shipped once more, which is refused; answers why.
async fn refused(plane: &ControlPlane) -> String {
    let shipped = file("config/default").display().to_string();
    let applied = plane.kubectl(&["apply", "--server-side", "-k", &shipped]).await;
    applied.unwrap_err().to_string()
}

#[tokio::test]
async fn an_upgrade_keeps_what_the_kustomization_says_and_stops_at_what_was_changed_by_hand() {
    let plane = ControlPlane::start().await.unwrap();
    let admin = plane.admin().await.unwrap();
    let bindable = async || -> Value {
        let role = get(&admin, "ClusterRole", None, "security-baseline-operator:bind").await;
        role.unwrap()["rules"][0]["resourceNames"].clone()
    };

    // A folder beside the checkout, as the page has it.
    let page = Page::read("docs/operations.md");
    let shown = page.blocks.iter().find(|block| block.mark == "apply").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(file(""), folder.path().join("security-baseline-operator")).unwrap();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("kustomization.yaml"), &shown.text).unwrap();
    for _ in ["installed", "upgraded"] {
        shell(&plane, &format!("kubectl apply --server-side -k {}", own.display())).await;
        assert_eq!(bindable().await, json!(["view", "edit"]));
    }

    shell(&plane, "kubectl apply --server-side -k config/default").await;
    assert_eq!(bindable().await, json!(["view"]));
    shell(&plane, &commands("docs/operations.md", "<!-- run: patched -->")).await;
    assert_eq!(bindable().await, json!(["view", "edit"]));
    let why = refused(&plane).await;
    assert!(why.contains("conflict") && why.contains(".rules"), "{why}");
    assert_eq!(bindable().await, json!(["view", "edit"]));

    // The emergency stop; there is no baseline to wait for.
    let stop = commands("docs/emergency-stop.md", "<!-- run -->");
    shell(&plane, stop.split_once("kubectl wait").unwrap().0).await;
    let why = refused(&plane).await;
    assert!(why.contains("conflict") && why.contains(".data.config.yaml"), "{why}");
}

#[tokio::test]
async fn the_emergency_stop_is_written_whatever_the_configuration_says_before() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    let commands = commands("docs/emergency-stop.md", "<!-- run -->");
    let namespace = unique("stopped");
    plane.namespace(&namespace, &[]).await.unwrap();
    let write = commands.split_once("kubectl wait").unwrap().0;
    let write = write.replace("security-baseline-system", &namespace);
    let name = "security-baseline-operator";
    for (before, after) in [
        ("workers: 3\n", "workers: 3\nstop: true\n"),
        ("stop: false\nworkers: 3\n", "workers: 3\nstop: true\n"),
        ("workers: 3\nstop: no # not yet", "workers: 3\nstop: true\n"),
        ("# why\nstop: true \n", "# why\nstop: true\n"),
        ("", "\nstop: true\n"),
    ] {
        let map = json!({"metadata": {"name": name}, "data": {"config.yaml": before}});
        create(&admin, "ConfigMap", Some(&namespace), map).await.unwrap();
        shell(plane, &write).await;
        let map = get(&admin, "ConfigMap", Some(&namespace), name).await.unwrap();
        assert_eq!(map["data"]["config.yaml"], after, "{before}");
        delete(&admin, "ConfigMap", Some(&namespace), name).await;
    }
}
