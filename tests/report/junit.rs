//! JUnit's report, by the schema that Jenkins has for such files.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The schema, out of the crate that tests/tools/junit/Cargo.toml pins.
fn schema() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/junit/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version=1", "--manifest-path"])
        .arg(manifest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = found["packages"].as_array().unwrap().iter();
    let package = packages.find(|package| package["name"] == "junit-report").unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    manifest.with_file_name("tests").join("JUnit.xsd")
}

/// What xmllint finds wrong with a file: nothing, or its output.
fn check(file: &Path) -> Result<(), String> {
    let output = Command::new("xmllint")
        .args(["--noout", "--schema"])
        .args([&schema(), file])
        .output()
        .expect("xmllint is needed; on Debian: apt install libxml2-utils");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn what_is_written_as_junit_satisfies_the_schema_that_jenkins_has_for_it() {
    for namespaces in [0, 40] {
        let file = crate::fleet::report(namespaces, "junit");
        check(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.contains("<failure"), namespaces > 0, "{text}");
        // It would have noticed.
        let wrong = file.with_extension("wrong");
        std::fs::write(&wrong, text.replace(" failures=", " failed=")).unwrap();
        check(&wrong).unwrap_err();
    }
}
