//! The command line, as its users see it: under their own rights, by exit codes and what is printed.

mod acts;
mod audit;
mod changes;
mod checks;
mod diff;
mod formats;
mod offline;
mod pipeline;
mod reference;
mod rights;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::stage::{BINARY, SOON, file};
use crate::support::{ControlPlane, eventually};

/// What a command did.
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it said beside that.
    pub err: String,
}

impl Ran {
    /// What it printed, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// Runs a command as whoever a kubeconfig names.
pub async fn run(kubeconfig: &Path, args: &[&str]) -> Ran {
    run_with(BINARY.as_ref(), kubeconfig, args, "").await
}

/// The same, by a program of another name, with this on its standard input.
pub async fn run_with(program: &Path, kubeconfig: &Path, args: &[&str], input: &str) -> Ran {
    let mut child = tokio::process::Command::new(program)
        .args(args)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // It may end without having read it.
    let mut stdin = child.stdin.take().unwrap();
    let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await;
    drop(stdin);
    let output = tokio::time::timeout(SOON * 2, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Who only looks, with the rights that are shipped for that.
pub async fn reader(plane: &ControlPlane) -> PathBuf {
    let make = || async {
        plane.install(&file("config/ci/reader.yaml")).await.unwrap();
        let reader = plane
            .kubeconfig_for_service_account("security-baseline-system", "security-baseline-reader")
            .await
            .unwrap();
        // The API server's authorizer learns of bindings by watches of its own.
        eventually("the reader's rights hold", SOON, async || {
            let may = [
                "get",
                "roles.rbac.authorization.k8s.io",
                "--all-namespaces",
                "--output=name",
            ];
            plane.kubectl_as(&reader, &may).await?;
            let may = [
                "get",
                "configmap",
                "security-baseline-operator",
                "--namespace=security-baseline-system",
            ];
            plane.kubectl_as(&reader, &may).await
        })
        .await
        .unwrap();
        reader
    };
    static SHARED: OnceCell<PathBuf> = OnceCell::const_new();
    let shared = ControlPlane::shared().await;
    if std::ptr::eq(shared, plane) {
        SHARED.get_or_init(make).await.clone()
    } else {
        make().await
    }
}

/// A file with this object in it, as YAML.
pub fn written(object: &Value) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), serde_saphyr::to_string(object).unwrap()).unwrap();
    file
}

/// The path of a file, as an argument.
pub fn arg(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// The part of what is printed that is about one namespace.
pub fn namespace_of<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut all = report["namespaces"].as_array().unwrap().iter();
    all.find(|namespace| namespace["name"] == name).unwrap_or(&Value::Null)
}

/// The codes of the findings in all of it, sorted.
pub fn codes(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("code").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}
