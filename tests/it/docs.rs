//! What the documentation says is so: its commands are run, in the order of its index; its links lead somewhere; its
//! examples are accepted; and what it names is in the code.
//!
//! A comment in the line before a block says what is done with it:
//!
//! - `run`: it is run. In a `bash` block every line is a command; in a `console` block the lines that begin with `$ ` are,
//!   and the others show what they print. Marks that go on after `run` are for other tests (marks.rs says which).
//! - `not run: WHY`: nobody runs it. A block of commands without any mark is refused (marks.rs).
//! - `render`: sections of a baseline. The block after it, `makes`, has what `render` prints of them, or `refused`, what
//!   it refuses them with (examples.rs).
//! - `merge`: baselines, of which a table of the same page says what they mean together (merging.rs).
//! - `apply`: a kustomization, which is applied (upgrade.rs).

mod contributing;
mod examples;
mod facts;
mod kubelet;
mod links;
mod marks;
mod merging;
mod page;
mod reasons;
mod sizing;
mod upgrade;

use std::path::Path;
use std::time::Duration;

use self::page::Page;
use crate::stage::{BINARY, api, shell};
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, Stage, blocks, eventually};

const MARK: &str = "<!-- run -->";

/// The page that says in which order the others are read.
const INDEX: &str = "docs/README.md";

/// The pages in the order in which somebody reads them.
fn in_reading_order() -> Vec<Page> {
    let index = Page::read(INDEX);
    let mut names = vec!["README.md".to_owned()];
    let root = index.path.ancestors().nth(2).unwrap().to_owned();
    for link in &index.links {
        let Some((path, _)) = index.target(link) else { continue };
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        if name.ends_with(".md") && !names.contains(&name) {
            names.push(name);
        }
    }
    names.iter().map(|name| Page::read(name)).collect()
}

#[tokio::test]
async fn the_commands_in_the_documentation_work_in_their_order() {
    let plane = ControlPlane::start().await.unwrap();
    // By the same client as the commands: what is applied by another one is another's.
    shell(&plane, "kubectl apply --server-side -k config/default").await;
    let mut stage = Stage::spawn(&plane, Path::new(BINARY), |_| {}).await.unwrap();
    stage.operator.ready(Duration::from_secs(60)).await.unwrap();
    let config = api(&plane.admin().await.unwrap(), "ConfigMap", Some(OPERATOR_NAMESPACE));
    tokio::spawn(kubelet::bring(config, stage.config_file()));
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
    for page in in_reading_order() {
        for block in blocks(&page.text, MARK) {
            block.run(&page.name, plane.admin_kubeconfig(), &path).await;
            run += 1;
        }
    }
    assert!(run >= 40, "only {run} blocks are marked with {MARK}");
    // The last page ends with the uninstallation: nothing of ours is left but what a Retain leaves.
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
