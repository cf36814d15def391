//! Versions and kinds in the documentation are those of the files that decide them.

use std::collections::BTreeSet;

use security_baseline_operator::api::KUBERNETES;
use security_baseline_operator::controls::kinds;
use serde_json::Value;

use super::page::{Page, code};
use crate::stage::file;

/// The version of a Go module in a go.mod.
fn version(go_mod: &str, module: &str) -> String {
    let text = std::fs::read_to_string(file(go_mod)).unwrap();
    let mut lines = text.lines().map(|line| line.trim().trim_start_matches("require "));
    let found = lines.find_map(|line| line.strip_prefix(module)?.strip_prefix(' '));
    let version = found.unwrap_or_else(|| panic!("{go_mod} has no {module}"));
    version.split(' ').next().unwrap().trim_start_matches('v').to_owned()
}

/// The paths of all values that a file of values states.
fn paths(prefix: &str, value: &Value, found: &mut Vec<String>) {
    match value.as_object() {
        // The configuration has a page of its own, and securityContexts are Kubernetes'.
        Some(keys) if !keys.is_empty() && !prefix.ends_with("ontext") && !["resources", "config"].contains(&prefix) => {
            for (key, value) in keys {
                let path = if prefix.is_empty() {
                    key.clone()
                } else {
                    format!("{prefix}.{key}")
                };
                paths(&path, value, found);
            }
        }
        _ => found.push(prefix.to_owned()),
    }
}

#[test]
fn every_value_of_the_chart_is_in_the_table_of_values() {
    let values = std::fs::read_to_string(file("config/helm/security-baseline-operator/values.yaml")).unwrap();
    let mut stated = Vec::new();
    paths("", &serde_saphyr::from_str(&values).unwrap(), &mut stated);
    let page = Page::read("docs/install.md");
    let rows: Vec<&str> = page.text.lines().filter(|line| line.starts_with("| `")).collect();
    for path in stated.iter().filter(|path| !path.starts_with("nodeSelector.")) {
        let (section, key) = path
            .rsplit_once('.')
            .map_or(("", path.as_str()), |(section, key)| (section, key));
        let section = section.split('.').next().unwrap();
        let named = |row: &&str| {
            row.contains(&format!("`{path}`"))
                || (row.starts_with(&format!("| `{section}.")) && row.contains(&format!(".{key}`")))
        };
        assert!(
            rows.iter().any(named),
            "docs/install.md does not tell of the value {path}"
        );
    }
}

#[test]
fn the_page_of_versions_says_what_is_tested_with() {
    let page = Page::read("docs/compatibility.md");
    let chart = std::fs::read_to_string(file("config/helm/security-baseline-operator/Chart.yaml")).unwrap();
    let oldest = chart
        .split("kubeVersion: \">=")
        .nth(1)
        .unwrap()
        .split(".0-0")
        .next()
        .unwrap();
    assert_eq!(oldest, format!("1.{}", KUBERNETES.start()), "what `check` says");
    let newest = version("tests/controlplane/go.mod", "k8s.io/kubernetes");
    assert!(
        newest.starts_with(&format!("1.{}.", KUBERNETES.end())),
        "what `check` says"
    );
    let cargo = std::fs::read_to_string(file("Cargo.toml")).unwrap();
    let rust = cargo
        .split("rust-version = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let own = cargo.split("\nversion = \"").nth(1).unwrap().split('"').next().unwrap();
    for (what, version) in [
        ("Kubernetes", newest),
        (
            "etcd",
            version("tests/controlplane/go.mod", "go.etcd.io/etcd/server/v3"),
        ),
        ("Helm", version("tests/tools/helm/go.mod", "helm.sh/helm/v4")),
        (
            "Flux's kustomize-controller",
            version("tests/tools/flux/go.mod", "github.com/fluxcd/kustomize-controller"),
        ),
        (
            "Argo CD",
            version("tests/tools/argocd/go.mod", "github.com/argoproj/argo-cd/v3"),
        ),
        (
            "Prometheus",
            version("tests/tools/prometheus/go.mod", "github.com/prometheus/prometheus"),
        ),
        (
            "Alertmanager",
            version("tests/tools/alertmanager/go.mod", "github.com/prometheus/alertmanager"),
        ),
        ("the chart's kubeVersion", oldest.to_owned()),
        ("Rust", rust.to_owned()),
        ("the operator", own.to_owned()),
    ] {
        let mut words = page.text.split(|c: char| !c.is_ascii_digit() && c != '.');
        assert!(
            words.any(|word| word.trim_matches('.') == version),
            "docs/compatibility.md does not say {what} {version}"
        );
    }
    let install = Page::read("docs/install.md");
    let image = format!("security-baseline-operator:v{own}");
    let named: Vec<_> = install.text.match_indices("security-baseline-operator:v").collect();
    assert!(named.len() >= 3, "no image is named");
    for (place, _) in named {
        assert!(
            install.text[place..].starts_with(&image),
            "docs/install.md names another image than {image}"
        );
    }
}

#[test]
fn the_threat_model_names_all_that_a_stolen_token_may_write() {
    let page = Page::read("docs/threat-model.md");
    let section = page.text.split("## If the operator's token is stolen").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let said: String = section.split_whitespace().collect::<String>().to_lowercase();
    let mut looked = 0;
    for path in ["config/rbac/operator.yaml", "config/rbac/leader_election.yaml"] {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(file(path)).unwrap()).unwrap();
        for rule in documents
            .iter()
            .flat_map(|document| document["rules"].as_array())
            .flatten()
        {
            let verbs = rule["verbs"].as_array().unwrap();
            if verbs
                .iter()
                .all(|verb| ["get", "list", "watch"].iter().any(|read| verb == read))
            {
                continue;
            }
            for resource in rule["resources"].as_array().unwrap() {
                looked += 1;
                // `securitybaselines/status`: each of the two.
                for part in resource.as_str().unwrap().split('/') {
                    let one = part.trim_end_matches('s');
                    assert!(
                        said.contains(one),
                        "docs/threat-model.md does not say that {resource} can be written"
                    );
                }
            }
        }
    }
    assert!(looked >= 12, "only {looked} resources were found");
}

#[test]
fn the_page_of_versions_has_every_api_that_the_operator_uses() {
    let page = Page::read("docs/compatibility.md");
    let rows: Vec<(String, BTreeSet<String>)> = page
        .tables_of("API")
        .flat_map(|table| &table.rows)
        .map(|row| (code(&row[0]).concat(), code(&row[1]).into_iter().collect()))
        .collect();
    let has = |api: &str, plural: &str| rows.iter().any(|(a, resources)| a == api && resources.contains(plural));
    for kind in kinds() {
        let api = match kind.group {
            "" => kind.version.to_owned(),
            group => format!("{group}/{}", kind.version),
        };
        assert!(
            has(&api, kind.plural),
            "docs/compatibility.md does not name {api} {}",
            kind.plural
        );
    }
    let shipped = std::fs::read_to_string(file("config/install.yaml")).unwrap();
    let shipped: Vec<Value> = serde_saphyr::from_multiple(&shipped).unwrap();
    for object in &shipped {
        let api = object["apiVersion"].as_str().unwrap();
        assert!(
            rows.iter().any(|(a, _)| a == api),
            "docs/compatibility.md does not name {api}"
        );
        // Rules name no versions.
        let ours = object["metadata"]["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("security-baseline-operator"));
        for rule in object["rules"].as_array().into_iter().flatten().filter(|_| ours) {
            for group in rule["apiGroups"].as_array().unwrap() {
                let group = group.as_str().unwrap();
                for resource in rule["resources"].as_array().unwrap() {
                    let resource = resource.as_str().unwrap().split('/').next().unwrap();
                    let of_group = |api: &str| api.rsplit_once('/').map_or("", |(g, _)| g) == group;
                    assert!(
                        rows.iter()
                            .any(|(a, resources)| of_group(a) && resources.contains(resource)),
                        "docs/compatibility.md does not name {group}/{resource}"
                    );
                }
            }
        }
    }
}
