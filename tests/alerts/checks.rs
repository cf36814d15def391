//! What promtool and amtool say of what is shipped, and that every alert is seen firing.

use std::path::Path;

use crate::firing::shared;
use crate::rules;
use crate::stage::file;
use crate::support::blocks;
use crate::tools::{folder, path, run};

/// The alerts that are not seen firing by a real Prometheus, and why.
pub const ONLY_BY_PROMTOOL: [(&str, &str); 1] = [(
    "SecurityBaselinePanicked",
    "a panic is a mistake in the operator: no user can cause one, as far as is known",
)];

/// The shipped rules and their tests, in a folder of their own: what docs/alerts.md says makes a rule file of the first.
async fn plain() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = "sed -n '/^spec:$/,$ s/^  //p' rules.yaml > security-baseline.rules.yaml";
    for name in ["rules.yaml", "rules_test.yaml"] {
        std::fs::copy(file("config/prometheus").join(name), folder.path().join(name)).unwrap();
    }
    run(Path::new("bash"), &["-c", script], folder.path(), "")
        .await
        .unwrap();
    folder
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_rules_and_each_passes_its_test() {
    let here = plain().await;
    let promtool = folder("PROMETHEUS").join("promtool");
    let said = run(
        &promtool,
        &[
            "check",
            "rules",
            "--lint=all",
            "--lint-fatal",
            "security-baseline.rules.yaml",
        ],
        here.path(),
        "",
    )
    .await
    .unwrap();
    assert!(said.contains("SUCCESS"), "{said}");
    let said = run(&promtool, &["test", "rules", "rules_test.yaml"], here.path(), "")
        .await
        .unwrap();
    assert!(said.contains("SUCCESS"), "{said}");
    let tests = std::fs::read_to_string(here.path().join("rules_test.yaml")).unwrap();
    for alert in rules::alerts(&rules::shipped()) {
        let name = alert["alert"].as_str().unwrap();
        assert!(
            tests.contains(&format!("- name: {name}\n")),
            "rules_test.yaml does not test {name}"
        );
    }
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let metrics = shared().await.stage.operator.metrics().await.unwrap();
    let promtool = folder("PROMETHEUS").join("promtool");
    let said = run(&promtool, &["check", "metrics"], Path::new("/"), &metrics)
        .await
        .unwrap();
    assert_eq!(said, "");
}

#[tokio::test]
async fn amtool_finds_nothing_wrong_with_the_example_and_each_severity_has_its_receiver() {
    let amtool = folder("AMTOOL").join("amtool");
    let config = file("config/prometheus/alertmanager.yaml");
    let config = config.to_str().unwrap();
    run(&amtool, &["check-config", config], Path::new("/"), "")
        .await
        .unwrap();
    let config = format!("--config.file={config}");
    for alert in rules::alerts(&rules::shipped()) {
        let severity = alert["labels"]["severity"].as_str().unwrap();
        let receiver = match severity {
            "critical" => "platform-pager",
            "warning" => "platform-tickets",
            "info" => "platform-channel",
            other => panic!("no severity {other}"),
        };
        let labels = [
            format!("alertname={}", alert["alert"].as_str().unwrap()),
            format!("severity={severity}"),
        ];
        let verify = format!("--verify.receivers={receiver}");
        let args = ["config", "routes", "test", &config, &verify, &labels[0], &labels[1]];
        run(&amtool, &args, Path::new("/"), "").await.unwrap();
    }
    let others = [
        "config",
        "routes",
        "test",
        &config,
        "--verify.receivers=everything-else",
        "alertname=KubeletDown",
    ];
    run(&amtool, &others, Path::new("/"), "").await.unwrap();
}

#[tokio::test]
async fn the_commands_in_the_documentation_of_alerts_work_in_their_order() {
    let here = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(file("config"), here.path().join("config")).unwrap();
    let found = blocks(
        &std::fs::read_to_string(file("docs/alerts.md")).unwrap(),
        "<!-- run: alerts -->",
    );
    assert!(found.len() >= 3, "only {} blocks are marked", found.len());
    let path = path();
    for block in found {
        let script = format!("set -euo pipefail\nexport PATH='{path}'\n{}", block.script);
        let done = run(Path::new("bash"), &["-c", &script], here.path(), "").await;
        done.unwrap_or_else(|said| panic!("docs/alerts.md, line {}: {said}", block.line));
    }
    let rules = std::fs::read_to_string(here.path().join("security-baseline.rules.yaml")).unwrap();
    assert!(rules.contains("https://git.example.org/") && !rules.contains("https://example.com/"));
}

#[test]
fn every_alert_is_seen_firing_or_it_is_said_why_not() {
    let mut tests = String::new();
    for entry in std::fs::read_dir(file("tests/alerts/firing")).unwrap() {
        tests += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let page = std::fs::read_to_string(file("docs/alerts.md")).unwrap();
    for alert in rules::alerts(&rules::shipped()) {
        let name = alert["alert"].as_str().unwrap();
        let short = format!("\"{}\"", name.strip_prefix("SecurityBaseline").unwrap());
        let excused = ONLY_BY_PROMTOOL.iter().any(|(excused, _)| *excused == name);
        assert_ne!(tests.contains(&short), excused, "{name}");
        assert!(
            !excused || page.contains(&format!("- `{name}` is tested by `promtool` alone")),
            "{name}"
        );
    }
}
