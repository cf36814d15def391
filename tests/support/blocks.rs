//! Blocks of commands in a document, run as a reader does who pastes them into a shell.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, process::Stdio, time::Duration};

/// How long one block may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A block of commands.
pub struct Block {
    /// The line of the document that it begins at.
    pub line: usize,
    /// What a shell is given.
    pub script: String,
}

/// The blocks of a document that follow a mark.
pub fn blocks(text: &str, mark: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        if line.trim() != mark {
            continue;
        }
        let Some((number, fence)) = lines.next() else { break };
        let console = match fence.trim() {
            "```console" => true,
            "```bash" => false,
            other => panic!(
                "line {}: {mark} stands before {other:?}, not before a block",
                number + 1
            ),
        };
        let mut script = String::new();
        let mut continued = false;
        for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
            let command = match (console, continued) {
                (false, _) => Some(line),
                (true, true) => Some(line.trim_start_matches("> ")),
                (true, false) => line.strip_prefix("$ "),
            };
            if let Some(command) = command {
                script.push_str(command);
                script.push('\n');
                continued = command.ends_with('\\');
            }
        }
        found.push(Block {
            line: number + 1,
            script,
        });
    }
    found
}

impl Block {
    /// Runs it from this repository's folder, as whoever the kubeconfig names.
    ///
    /// # Panics
    /// When a command in it fails, or it takes more than two minutes: with the document, the line, and what was said.
    pub async fn run(&self, document: &str, kubeconfig: &Path, path: &str) {
        let Self { line, script } = self;
        // What kubectl learns of a cluster is kept in the user's home otherwise, and would outlive this one.
        let cache = kubeconfig.with_file_name("kubectl-cache");
        let output = tokio::process::Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PATH", path)
            .env("KUBECONFIG", kubeconfig)
            .env("KUBECACHEDIR", cache)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match tokio::time::timeout(PATIENCE, output).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => panic!("{document}:{line}: bash cannot be run: {error}"),
            Err(_) => panic!("{document}:{line}: takes more than two minutes:\n{script}"),
        };
        assert!(
            output.status.success(),
            "{document}:{line}: {}\n{script}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
