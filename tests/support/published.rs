//! Files that other projects publish in Go modules, such as their CRDs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Deserializer, Value};

/// A file of a module, at the version that `tests/tools/<tool>/go.mod` pins: downloaded and checked against the pinned sums if
/// need be.
///
/// # Errors
/// Where there is no Go, or the module cannot be had.
pub fn published(tool: &str, module: &str, path: &str) -> Result<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let output = Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(tools.join(tool))
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly")
        .output()
        .context("Go is needed, as for the control plane")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let module = Deserializer::from_slice(&output.stdout).into_iter::<Value>().next();
    let module = module.context("go tells of no module")??;
    let folder = module["Dir"].as_str().context("go tells of no folder")?;
    Ok(Path::new(folder).join(path))
}
