//! CONTRIBUTING.md leads through the real files.

use std::collections::BTreeSet;

use security_baseline_operator::controls::kinds;
use serde_json::Value;

use super::page::{Page, code};
use crate::stage::file;

#[test]
fn what_contributing_names_in_a_file_is_in_that_file() {
    let page = Page::read("CONTRIBUTING.md");
    let mut looked = 0;
    // A row is about the files that it links to; the words in backticks beside them stand in one of these.
    for line in page
        .text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("]("))
    {
        let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let mut text = String::new();
        for link in links {
            let (path, _) = page.target(link).unwrap();
            if path.is_dir() {
                text += &path.display().to_string();
            } else {
                text += &std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
        let Some((_, said)) = line.trim_start_matches("| ").split_once(" | ") else {
            continue;
        };
        for word in code(said) {
            looked += 1;
            assert!(
                text.contains(&word),
                "CONTRIBUTING.md names {word}, which is not in the file:\n{line}"
            );
        }
    }
    assert!(looked >= 20, "only {looked} names were found");
}

#[test]
fn a_pipeline_may_read_every_kind_that_a_control_creates() {
    let text = std::fs::read_to_string(file("config/ci/reader.yaml")).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let roles = documents.iter().filter(|document| document["kind"] == "ClusterRole");
    let rules: Vec<&Value> = roles.flat_map(|role| role["rules"].as_array().unwrap()).collect();
    for kind in kinds() {
        let has = |list: &Value, wanted: &str| list.as_array().unwrap().iter().any(|one| one == wanted);
        let of_it = rules
            .iter()
            .filter(|rule| has(&rule["apiGroups"], kind.group) && has(&rule["resources"], kind.plural));
        let verbs: BTreeSet<&str> = of_it
            .filter(|rule| rule["resourceNames"].is_null())
            .flat_map(|rule| rule["verbs"].as_array().unwrap())
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(
            verbs,
            BTreeSet::from(["get", "list"]),
            "config/ci/reader.yaml: {}",
            kind.plural
        );
    }
}
