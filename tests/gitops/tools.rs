//! What the Makefile built: kstatus and parts of Argo CD, which judge objects.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Where the Makefile says that something is.
pub fn built(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} names nothing: use `make test-gitops`"))
        .into()
}

/// What kstatus makes of these objects, in their order: in words such as `Current` and `InProgress`. Flux is built with a
/// copy of kstatus; that the original says the same is asserted.
pub fn kstatus(objects: &[Value]) -> Vec<String> {
    let answers = ask(&built("FLUX").join("kstatus"), &[], objects);
    answers
        .iter()
        .map(|answer| {
            assert_eq!(answer["flux"], answer["upstream"], "{answer}");
            answer["flux"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// What Argo CD makes of these objects, in their order, with the settings in a file or a folder: `health.status`,
/// `health.message`, `actions` and their `results`.
pub fn argo(settings: &Path, objects: &[Value]) -> Vec<Value> {
    ask(&built("ARGOCD"), &["lua", settings.to_str().unwrap()], objects)
}

/// Gives a program a JSON array, and takes one back that is as long.
fn ask(program: &Path, args: &[&str], questions: &[Value]) -> Vec<Value> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // They read all of it before they write anything.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&serde_json::to_vec(questions).unwrap()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", program.display());
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), questions.len());
    answers
}
