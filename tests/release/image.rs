//! The image's executable, run as the Deployment would have it run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::files::{made, output};
use crate::oracles::PATIENCE;
use crate::stage::{Set, delete, file};
use crate::support::{ControlPlane, Stage};

/// The image's files in a folder: it has one layer.
fn unpacked(folder: &Path) -> PathBuf {
    let archive = folder.join("archive");
    let root = folder.join("root");
    for folder in [&archive, &root] {
        std::fs::create_dir(folder).unwrap();
    }
    let tar = made("IMAGE").join("security-baseline-operator.tar");
    output(
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(tar)
            .current_dir(&archive),
    );
    let blob = |digest: &str| archive.join("blobs").join(digest.replace(':', "/"));
    let read = |path: PathBuf| -> serde_json::Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let index = read(archive.join("index.json"));
    let manifest = read(blob(index["manifests"][0]["digest"].as_str().unwrap()));
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1, "{manifest}");
    let config = read(blob(manifest["config"]["digest"].as_str().unwrap()));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/security-baseline-operator"]));
    let layer = blob(layers[0]["digest"].as_str().unwrap());
    output(
        Command::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(layer)
            .current_dir(&root),
    );
    root
}

/// A program that runs the executable out of this root.
fn from_root(root: &Path, folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("run");
    let script = file("tests/release/in-image.sh");
    let text = format!(
        "#!/bin/sh\nROOT='{}' exec '{}' \"$@\"\n",
        root.display(),
        script.display()
    );
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[tokio::test]
async fn the_image_enforces_as_nobody_from_a_read_only_root_with_what_its_pod_has() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this mounts the image: run it as root"
    );
    let folder = tempfile::tempdir().unwrap();
    let root = unpacked(folder.path());
    let program = from_root(&root, folder.path());
    let plane = ControlPlane::start().await.unwrap();
    let mut stage = Stage::on(&plane, &program).await.unwrap();

    let set = Set::new(&plane, "image").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    set.until_enforced(1).await;
    let policy = "security-baseline-default-deny-ingress";
    delete(&set.admin, "NetworkPolicy", Some(&namespace), policy).await;
    set.present("NetworkPolicy", &namespace, policy).await;

    let process = Path::new("/proc").join(stage.operator.pid().to_string());
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    for line in [
        "Uid:\t65532\t65532\t65532\t65532",
        "Gid:\t65532\t65532\t65532\t65532",
        "CapPrm:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(status.lines().any(|l| l == line), "{line}: {status}");
    }
    let denied = std::fs::write(process.join("root/written"), "").unwrap_err();
    assert_eq!(denied.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert!(stage.operator.terminate(PATIENCE).await.unwrap().success());
}
