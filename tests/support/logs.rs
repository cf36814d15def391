//! Keeping the logs of a test that failed.

use std::{fs, io, path::Path};

/// Copies the `*.log` files of `dir` to `target/test-logs/<test>/<label>/` and prints where they are. The test is the
/// one that this thread runs.
pub(super) fn keep(dir: &Path, label: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed").replace("::", ".");
    let to = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-logs")
        .join(test)
        .join(label);
    match copy(dir, &to) {
        Ok(()) => eprintln!("logs are kept in {}", to.display()),
        Err(error) => eprintln!("logs could not be kept in {}: {error}", to.display()),
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let (Some(name), Some("log")) = (
            path.file_name(),
            path.extension().and_then(|extension| extension.to_str()),
        ) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
