//! What the alerts, their runbooks, the dashboard and the documentation owe the code and each other. No cluster is needed; that
//! each alert fires is seen by `make test-alerts`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use security_baseline_operator::engine::metrics::Metrics;
use serde_json::Value;

use crate::stage::file;

const PREFIX: &str = "security_baseline_";

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The alerts that are shipped.
fn alerts() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&read(file("config/prometheus/rules.yaml"))).unwrap();
    let groups = rules["spec"]["groups"].as_array().unwrap().iter();
    groups
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

fn text<'a>(alert: &'a Value, path: &str) -> &'a str {
    alert.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Every file with this ending in a folder, and in those within.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found
}

/// The names of the code's metrics, and of what a histogram is made of.
fn metrics() -> BTreeSet<String> {
    let metrics = Metrics::new().unwrap();
    let mut names = BTreeSet::new();
    for metric in metrics.described() {
        let name = metric.full_name();
        if metric.kind == "histogram" {
            names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        }
        names.insert(name);
    }
    names
}

/// The words of a text that are named as metrics are.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    // The crate has a name like that too, in filters of the log.
    words.filter(|word| word.starts_with(PREFIX) && *word != PREFIX && !word.starts_with("security_baseline_operator"))
}

#[test]
fn every_metric_that_is_named_anywhere_is_one_of_the_code() {
    let metrics = metrics();
    let mut places = files(&file("docs"), "md");
    places.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(file));
    places.extend(files(&file("config/prometheus"), "yaml"));
    places.extend(files(&file("config/grafana"), "json"));
    let mut seen = BTreeSet::new();
    for place in places {
        for name in named(&read(&place)) {
            assert!(metrics.contains(name), "{}: there is no metric {name}", place.display());
            seen.insert(name.to_owned());
        }
    }
    // The reference names them all.
    assert!(seen.len() >= Metrics::new().unwrap().described().len(), "{seen:?}");
}

#[test]
fn every_alert_has_a_runbook_that_says_what_to_do_and_every_runbook_an_alert() {
    let mut there = BTreeSet::new();
    for page in files(&file("docs/runbooks"), "md") {
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        let content = read(&page);
        let headings: Vec<&str> = content.lines().filter(|line| line.starts_with('#')).collect();
        let title = format!("# {name}");
        let expected = [
            title.as_str(),
            "## Meaning",
            "## Impact",
            "## Diagnosis",
            "## Mitigation",
        ];
        assert_eq!(headings, expected, "{name}");
        assert!(
            content.contains("<!-- run: alerts -->"),
            "{name} has no commands that are run"
        );
        there.insert(name);
    }
    let alerts = alerts();
    let names: BTreeSet<String> = alerts.iter().map(|alert| text(alert, "/alert").to_owned()).collect();
    assert_eq!(names.len(), alerts.len(), "an alert is there twice");
    assert_eq!(names, there);
}

#[test]
fn every_alert_has_a_severity_and_says_what_it_is_and_where_to_read_on() {
    for alert in alerts() {
        let name = text(&alert, "/alert");
        assert!(
            ["critical", "warning", "info"].contains(&text(&alert, "/labels/severity")),
            "{name}"
        );
        assert!(text(&alert, "/annotations/summary").ends_with('.'), "{name}");
        assert!(text(&alert, "/annotations/description").ends_with('.'), "{name}");
        let page = text(&alert, "/annotations/runbook_url");
        let base = "https://example.com/security-baseline-operator/";
        let path = page.strip_prefix(base).unwrap_or_else(|| panic!("{name}: {page}"));
        assert_eq!(path, format!("docs/runbooks/{name}.md"));
        // What a template names has to be a label that is left.
        for annotation in ["/annotations/summary", "/annotations/description"] {
            let template = text(&alert, annotation);
            for label in template
                .split("$labels.")
                .skip(1)
                .map(|rest| rest.split(' ').next().unwrap())
            {
                let expr = text(&alert, "/expr");
                let kept = ["by (", ", "]
                    .iter()
                    .any(|before| expr.contains(&format!("{before}{label}")));
                assert!(kept, "{name}: the label {label} is not in {expr}");
            }
        }
    }
}

/// The alerts that a list of Alertmanager's matchers is about, each by its name or by what its name begins with.
fn matched(matchers: &Value) -> Vec<String> {
    let matchers = matchers
        .as_array()
        .unwrap()
        .iter()
        .map(|matcher| matcher.as_str().unwrap());
    let names = matchers.filter_map(|matcher| matcher.strip_prefix("alertname"));
    let names = names.flat_map(|rest| rest.trim_start_matches(['=', '~', '!']).trim_matches('"').split('|'));
    names.map(ToOwned::to_owned).collect()
}

#[test]
fn the_example_of_routes_names_alerts_that_exist_and_keeps_clusters_apart() {
    let config: Value = serde_saphyr::from_str(&read(file("config/prometheus/alertmanager.yaml"))).unwrap();
    let alerts = alerts();
    let exists = |name: &str| match name.strip_suffix(".+") {
        Some(beginning) => alerts.iter().any(|alert| text(alert, "/alert").starts_with(beginning)),
        None => alerts.iter().any(|alert| text(alert, "/alert") == name),
    };
    let route = &config["route"]["routes"][0];
    let has_cluster = |labels: &Value| {
        labels
            .as_array()
            .is_some_and(|labels| labels.contains(&"cluster".into()))
    };
    assert!(has_cluster(&route["group_by"]), "{route}");
    let rules = config["inhibit_rules"].as_array().unwrap();
    let mut names = matched(&route["matchers"]);
    for rule in rules {
        assert!(has_cluster(&rule["equal"]), "{rule}");
        names.extend(
            ["source_matchers", "target_matchers"]
                .iter()
                .flat_map(|side| matched(&rule[*side])),
        );
        // What is only looked at in working hours does not keep anybody asleep.
        let severities = |side: &str| {
            let names = matched(&rule[side]);
            let meant = alerts
                .iter()
                .filter(|alert| names.iter().any(|name| name == text(alert, "/alert")));
            meant
                .map(|alert| text(alert, "/labels/severity"))
                .collect::<BTreeSet<_>>()
        };
        let (source, target) = (severities("source_matchers"), severities("target_matchers"));
        assert!(source.contains("critical") || !target.contains("critical"), "{rule}");
    }
    assert!(names.len() > rules.len(), "{names:?}");
    for name in names {
        assert!(exists(&name), "there is no alert {name}");
    }
}

#[test]
fn the_dashboard_has_the_label_that_grafanas_sidecar_looks_for() {
    let kustomization: Value = serde_saphyr::from_str(&read(file("config/grafana/kustomization.yaml"))).unwrap();
    let labels = &kustomization["configMapGenerator"][0]["options"]["labels"];
    assert_eq!(labels["grafana_dashboard"], "1", "a string: labels are");
    let values = file("config/helm/security-baseline-operator/values.yaml");
    let values: Value = serde_saphyr::from_str(&read(values)).unwrap();
    let dashboard = &values["grafanaDashboard"];
    assert_eq!(dashboard["sidecarLabel"], "grafana_dashboard");
    assert_eq!(dashboard["sidecarLabelValue"], "1");
}

#[test]
fn the_table_of_alerts_is_that_of_the_rules() {
    let page = read(file("docs/alerts.md"));
    let rows = alerts();
    let rows = rows.iter().map(|alert| {
        let (name, severity, lasts) = (
            text(alert, "/alert"),
            text(alert, "/labels/severity"),
            text(alert, "/for"),
        );
        format!("| [{name}](runbooks/{name}.md) | {severity} | {lasts} |")
    });
    let expected: Vec<String> = rows.collect();
    let written: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| [SecurityBaseline"))
        .collect();
    assert_eq!(written, expected);
}

#[test]
fn the_commands_of_the_plugin_that_runbooks_name_exist() {
    let reference = read(file("docs/reference/cli.md"));
    let mut seen = 0;
    for page in files(&file("docs/runbooks"), "md") {
        for rest in read(&page).split("kubectl security-baseline ").skip(1) {
            let command = rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap();
            assert!(
                reference.contains(&format!("\n## {command}\n")),
                "{}: {command}",
                page.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}
