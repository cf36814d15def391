//! The files of a release page.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A folder that the Makefile names.
pub fn made(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var(variable).expect("use `make test-release`"))
}

/// What a command prints.
pub fn output(command: &mut Command) -> String {
    let ran = command.output().unwrap();
    assert!(
        ran.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout).unwrap()
}

/// The files of an archive.
fn listed(archive: &Path) -> BTreeSet<String> {
    let names = output(Command::new("tar").arg("--list").arg("--file").arg(archive));
    names
        .lines()
        .filter(|name| !name.ends_with('/'))
        .map(ToOwned::to_owned)
        .collect()
}

/// The one file of a release whose name ends so.
fn ending(end: &str) -> PathBuf {
    let found: Vec<_> = std::fs::read_dir(made("RELEASE"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(end))
        .collect();
    assert_eq!(found.len(), 1, "*{end}: {found:?}");
    found[0].clone()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_sums_are_those_of_the_files_and_of_all_of_them() {
    let release = made("RELEASE");
    output(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&release),
    );
    let sums = std::fs::read_to_string(release.join("SHA256SUMS")).unwrap();
    let summed: BTreeSet<_> = sums
        .lines()
        .map(|line| line.split("  ").nth(1).unwrap().to_owned())
        .collect();
    let there: BTreeSet<_> = std::fs::read_dir(&release)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "SHA256SUMS")
        .collect();
    assert_eq!(summed, there);
}

#[test]
fn another_checkout_gives_the_same_files_and_the_same_image_to_the_byte() {
    let again = made("AGAIN");
    let sums = |folder: PathBuf| std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(made("RELEASE")), sums(again.join("release-files")));
    let image = |folder: PathBuf| {
        let archive = folder.join("security-baseline-operator.tar");
        output(
            Command::new("tar")
                .args(["--extract", "--to-stdout", "--file"])
                .arg(archive)
                .arg("index.json"),
        )
    };
    assert_eq!(image(made("IMAGE")), image(again.join("image")));
}

#[test]
fn the_executables_run_anywhere_and_carry_the_notices_of_others() {
    let folder = tempfile::tempdir().unwrap();
    for (archive, name) in [
        (ending("_linux_amd64.tar.gz"), "security-baseline-operator"),
        (ending("-linux-amd64.tar.gz"), "kubectl-security_baseline"),
    ] {
        let files = listed(&archive);
        for file in [name, "LICENSE", "THIRD-PARTY.txt"] {
            assert!(files.contains(file), "{}: {files:?}", archive.display());
        }
        output(
            Command::new("tar")
                .arg("--extract")
                .arg("--file")
                .arg(&archive)
                .current_dir(folder.path()),
        );
        let said = output(Command::new(folder.path().join(name)).arg("--version").env_clear());
        assert!(said.ends_with(concat!(env!("CARGO_PKG_VERSION"), "\n")), "{said}");
    }
    let notices = std::fs::read_to_string(folder.path().join("THIRD-PARTY.txt")).unwrap();
    let sbom = json(&ending(".cdx.json"));
    // What is only at work in a build is in the SBOM too, and needs no notice.
    for library in ["kube-client", "tokio", "rustls", "ring", "serde_json", "k8s-openapi"] {
        let components = sbom["components"].as_array().unwrap();
        let component = components.iter().find(|c| c["name"] == library).unwrap();
        let named = format!("  {library} {}", component["version"].as_str().unwrap());
        assert!(notices.contains(&named), "{named}");
    }
    assert!(notices.contains("GNU C Library"));
}

#[test]
fn the_sbom_names_what_is_linked_and_under_which_licence() {
    let sbom = json(&ending(".cdx.json"));
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    assert_eq!(sbom["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let components = sbom["components"].as_array().unwrap();
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    for component in components {
        let (name, version) = (&component["name"], &component["version"]);
        assert!(component["licenses"].is_array(), "{component}");
        if name != "glibc" {
            let locked = format!("name = {name}\nversion = {version}\n");
            assert!(lock.contains(&locked), "{locked}");
        }
    }
    assert!(
        components.iter().any(|component| component["name"] == "glibc"),
        "it is linked statically"
    );
}

#[test]
fn everything_that_a_release_page_carries_is_there() {
    let chart = listed(&ending(concat!("operator-", env!("CARGO_PKG_VERSION"), ".tgz")));
    assert!(chart.contains("security-baseline-operator/Chart.yaml"), "{chart:?}");
    let schemas = listed(&ending("crd-schemas.tar.gz"));
    assert!(
        schemas.iter().any(|name| name.contains("securitybaseline_v1alpha1")),
        "{schemas:?}"
    );
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/install.yaml");
    let same = std::fs::read(ending("install.yaml")).unwrap() == std::fs::read(install).unwrap();
    assert!(same, "install.yaml is the one of the repository");
    let krew = std::fs::read_to_string(ending("security-baseline.yaml")).unwrap();
    let sums = std::fs::read_to_string(ending("SHA256SUMS")).unwrap();
    let plugin = sums
        .lines()
        .find(|line| line.ends_with("kubectl-security_baseline-linux-amd64.tar.gz"))
        .unwrap();
    assert!(krew.contains(plugin.split(' ').next().unwrap()), "{krew}");
}
