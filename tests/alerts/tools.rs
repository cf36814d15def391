//! The programs that the Makefile built.

use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A folder of executables.
pub fn folder(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} names no folder of executables: use `make test-alerts`"))
        .into()
}

/// A `PATH` with all of these programs.
pub fn path() -> String {
    let folders = ["PROMETHEUS", "AMTOOL"].map(|variable| folder(variable).display().to_string());
    format!("{}:{}", folders.join(":"), std::env::var("PATH").unwrap())
}

/// Runs a program in a folder, and answers all that it said: fine, or not.
pub async fn run(program: &Path, args: &[&str], within: &Path, input: &str) -> Result<String, String> {
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .current_dir(within)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes())
        .await
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}
