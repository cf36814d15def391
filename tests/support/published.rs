//! Files that other projects publish in Go modules, such as their CRDs.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Deserializer, Value};

/// A file of a module, at the version that `tests/tools/<tool>/go.mod` pins: downloaded and checked against the pinned sums if
/// need be.
///
/// # Panics
/// Where there is no Go, or the module cannot be had.
pub fn published(tool: &str, module: &str, path: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let output = Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(tools.join(tool))
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly")
        .output()
        .expect("Go is needed, as for the control plane");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut modules = Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let module = modules.next().unwrap().unwrap();
    PathBuf::from(module["Dir"].as_str().unwrap()).join(path)
}
