//! What the documentation tells people to do works: its commands are run, in their order.
//!
//! A fenced block that follows a line `<!-- run -->` is run. In a ```bash block every line is a command; in a ```console
//! block the lines that begin with `$ ` are, and the others show what they print.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::stage::{BINARY, file, own_as_shipped};
use crate::support::{blocks, eventually};

const MARK: &str = "<!-- run -->";

/// The documents, in the order in which somebody reads them.
fn documents() -> Vec<PathBuf> {
    let mut docs: Vec<PathBuf> = std::fs::read_dir(file("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    docs.sort();
    [vec![file("README.md")], docs].concat()
}

#[tokio::test]
async fn the_commands_in_the_documentation_work_in_their_order() {
    let (plane, _stage) = own_as_shipped().await;
    let binaries = Path::new(BINARY).parent().unwrap().display().to_string();
    // As a plugin of kubectl too.
    let plugin = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(BINARY, plugin.path().join("kubectl-security_baseline")).unwrap();
    let path = format!(
        "{binaries}:{}:{}",
        plugin.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut run = 0;
    for document in documents() {
        let name = document.file_name().unwrap().to_string_lossy().into_owned();
        for block in blocks(&std::fs::read_to_string(&document).unwrap(), MARK) {
            block.run(&name, plane.admin_kubeconfig(), &path).await;
            run += 1;
        }
    }
    assert!(run >= 8, "only {run} blocks are marked with {MARK}");
    // The last document ends with the uninstallation: nothing of ours is left but what a Retain leaves.
    eventually("the kinds are gone", Duration::from_secs(30), async || {
        let left = plane.kubectl(&["get", "crds", "--output=name"]).await?;
        anyhow::ensure!(!left.contains("securitybaseline"), "{left}");
        Ok(())
    })
    .await
    .unwrap();
}

#[test]
fn blocks_are_found_by_their_mark() {
    let text = "a\n<!-- run -->\n```console\n$ one \\\n>   two\nprinted\n$ three\n```\n```bash\nnot\n```\n<!-- run -->\n```bash\nfour\n```\n";
    let found: Vec<_> = blocks(text, MARK).into_iter().map(|b| (b.line, b.script)).collect();
    assert_eq!(
        found,
        [(3, "one \\\n  two\nthree\n".to_owned()), (13, "four\n".to_owned())]
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut all = documents();
    all.extend(["CONTRIBUTING.md", "CHANGELOG.md"].map(file));
    all.extend(
        std::fs::read_dir(file("docs/adr"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for document in all {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().unwrap().join(target);
            assert!(path.exists(), "{}: {link} leads nowhere", document.display());
        }
    }
}
