//! What is documented is what is there.

use std::collections::BTreeSet;
use std::process::Command;

use crate::stage::{BINARY, file};

#[test]
fn the_pages_that_are_generated_are_fresh() {
    let fresh = tempfile::tempdir().unwrap();
    std::fs::create_dir(fresh.path().join("crds")).unwrap();
    let made = Command::new(BINARY)
        .args(["generate", "--root"])
        .arg(fresh.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for page in ["cli.md", "findings.md", "report.schema.json"] {
        let page = format!("docs/reference/{page}");
        let new = std::fs::read_to_string(fresh.path().join(&page)).unwrap();
        assert_eq!(
            std::fs::read_to_string(file(&page)).unwrap(),
            new,
            "{page} is stale: run `make generate`"
        );
    }
}

/// The reasons that stand in the code of the operator: of what is held, blocked, warned of, and found.
fn stated() -> BTreeSet<String> {
    let mut reasons = BTreeSet::new();
    let mut folders = vec![file("src/core"), file("src/controls"), file("src/engine")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.contains("test") || name.starts_with("codes") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            for (lead, skip) in [
                ("reason: \"", 0),
                ("Held::child(", 1),
                ("child(id, \"", 0),
                ("const FORBIDDEN: &str = \"", 0),
                ("const UNAVAILABLE: &'static str = \"", 0),
                ("const BUSY: &'static str = \"", 0),
            ] {
                for rest in text.split(lead).skip(1) {
                    let rest: String = rest.chars().take(120).collect();
                    if let Some(word) = rest.split('"').nth(skip) {
                        reasons.insert(word.to_owned());
                    }
                }
            }
        }
    }
    reasons.retain(|r| {
        !r.is_empty() && r.chars().all(|c| c.is_ascii_alphanumeric()) && r.starts_with(|c: char| c.is_ascii_uppercase())
    });
    reasons
}

#[test]
fn every_reason_that_the_code_states_has_a_code_on_the_page() {
    let page = std::fs::read_to_string(file("docs/reference/findings.md")).unwrap();
    let reasons = stated();
    for known in [
        "Forbidden",
        "ViolatingPods",
        "PreflightForbidden",
        "WeakenedInPart",
        "APIServerBusy",
    ] {
        assert!(
            reasons.contains(known),
            "the reasons were not found: {known} in {reasons:?}"
        );
    }
    for reason in reasons {
        assert!(
            page.lines().any(|line| line
                .strip_prefix("## ")
                .is_some_and(|title| title.ends_with(&format!(" {reason}")))),
            "docs/reference/findings.md does not explain {reason}"
        );
    }
    // And those of the page on troubleshooting that tell of findings, of what is blocked, and of warnings.
    let page_of_reasons = std::fs::read_to_string(file("docs/troubleshooting.md")).unwrap();
    let (_, reports) = page_of_reasons.split_once("Reasons of findings:").unwrap();
    let (reports, _) = reports.split_once("`status.drift`").unwrap();
    let told = reports
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .flat_map(|line| {
            let cell = line.split(" |").next().unwrap();
            cell.split(['`', ',', ' '])
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
    for reason in told {
        assert!(
            page.contains(&format!(" {reason}\n")),
            "docs/reference/findings.md does not explain {reason}"
        );
    }
}

#[test]
fn every_command_is_on_the_page() {
    let page = std::fs::read_to_string(file("docs/reference/cli.md")).unwrap();
    for command in [
        "check",
        "audit",
        "diff",
        "explain",
        "tree",
        "events",
        "exceptions",
        "confirm",
        "release",
        "suspend",
        "resume",
        "report",
        "render",
        "completion",
    ] {
        assert!(page.contains(&format!("\n## {command}\n")), "{command}");
    }
    assert!(!page.contains("\n## generate\n"));
}
