use serde_json::{Value, json};

use super::*;
use crate::api::v1alpha1::SecurityBaseline;
use crate::controls::REGISTRY;
use crate::core::world::testing::{full_spec, problem_paths, problems};

/// A baseline that must be refused, from `tests/fixtures/bad`.
struct Bad {
    file: String,
    /// Part of the path that the refusal names: the file's first line is `# refused: <path>`.
    path: String,
    text: String,
}

fn bad_baselines() -> Vec<Bad> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/bad");
    let mut all: Vec<Bad> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let path = text.lines().next().and_then(|line| line.strip_prefix("# refused: "));
            Bad {
                file: file.display().to_string(),
                path: path
                    .unwrap_or_else(|| panic!("{file:?} does not begin with its path"))
                    .to_owned(),
                text,
            }
        })
        .collect();
    all.sort_by(|a, b| a.file.cmp(&b.file));
    all
}

/// The same baselines are applied to a real API server by the integration tests; here it is what stands behind it.
#[test]
fn every_bad_baseline_is_refused_and_the_field_is_named() {
    let all = bad_baselines();
    assert!(all.len() > 70, "{} files", all.len());
    for Bad { file, path, text } in all {
        match serde_saphyr::from_str::<SecurityBaseline>(&text) {
            Err(error) => {
                // The decoder tells the place by line and column, and the value; or the field that is missing.
                let error = error.without_snippet().to_string();
                let yaml: Value = serde_saphyr::from_str(&text).unwrap();
                let pointer = path.replace(['.', '['], "/").replace(']', "");
                let told = match yaml.pointer(&format!("/{pointer}")) {
                    Some(value) => value.as_str().unwrap(),
                    None => &path,
                };
                assert!(
                    error.contains(&format!("`{told}`")),
                    "{file}: {told} is not in: {error}"
                );
            }
            Ok(baseline) => {
                let problems = validate(REGISTRY, &baseline.spec).into_vec();
                let named = problems.iter().any(|p| p.path.contains(&path));
                assert!(named, "{file}: {path} is not in {problems:?}");
                assert_eq!(problems.len(), 1, "{file} is bad in one way: {problems:?}");
            }
        }
    }
}

/// A file that is refused for another reason than it says, a slip in its YAML or a field that was renamed, proves
/// nothing: without the bad section each of them is accepted.
#[test]
fn every_bad_baseline_is_bad_only_where_it_says() {
    for Bad { file, path, text } in bad_baselines() {
        let mut baseline: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(baseline["kind"], "SecurityBaseline", "{file}");
        assert_eq!(baseline["apiVersion"], "securitybaseline.dev/v1alpha1", "{file}");
        assert!(
            baseline["metadata"]["name"].as_str().unwrap().starts_with("bad-"),
            "{file}"
        );
        let section = path.strip_prefix("spec.").unwrap_or(&path);
        let section = section.split(['.', '[']).next().unwrap();
        let spec = baseline["spec"].as_object_mut().unwrap();
        spec.remove(section);
        spec.entry("namespaceSelector").or_insert_with(|| json!({}));
        assert_eq!(problem_paths(baseline["spec"].clone()), [""; 0], "{file}");
    }
}

#[test]
fn a_spec_that_uses_everything_is_accepted() {
    assert_eq!(problems(full_spec()), []);
}

#[test]
fn a_spec_without_sections_is_accepted() {
    assert_eq!(problems(json!({"namespaceSelector": {}})), []);
    assert_eq!(
        problems(
            json!({"namespaceSelector": {}, "deletionPolicy": "Delete", "excludedNamespaces": ["sandbox-*", "*"], "releasedNamespaces": ["team-a"], "rollout": {"maxNamespacesPerMinute": 5}})
        ),
        []
    );
}

#[test]
fn problems_of_several_sections_are_told_together() {
    let paths = problem_paths(json!({
        "namespaceSelector": {"matchLabels": {"a b": "c"}},
        "excludedNamespaces": ["ok", "Not Ok"],
        "releasedNamespaces": ["team-*"],
        "rollout": {"maxNamespacesPerMinute": 0},
        "podSecurity": {},
        "access": {},
        "networkIsolation": {"defaultDeny": []},
    }));
    assert_eq!(
        paths,
        [
            "spec.namespaceSelector.matchLabels",
            "spec.excludedNamespaces[1]",
            "spec.releasedNamespaces[0]",
            "spec.rollout.maxNamespacesPerMinute",
            "spec.podSecurity",
            "spec.networkIsolation.defaultDeny",
            "spec.access",
        ]
    );
}

#[test]
fn a_flood_of_problems_is_bounded() {
    let items: Vec<Value> = (0..32)
        .map(|i| json!({"name": format!("q{i}"), "hard": {"x".repeat(2_000): "y".repeat(5_000)}}))
        .collect();
    let problems = problems(json!({"namespaceSelector": {}, "resourceQuotas": {"items": items}}));
    assert_eq!(problems.len(), 16);
    for problem in problems {
        assert!(problem.path.chars().count() <= 512);
        assert!(problem.message.chars().count() <= 1024);
    }
}

#[test]
fn names_and_labels_are_checked_as_kubernetes_does() {
    for (text, label, subdomain, key, value) in [
        ("a", true, true, true, true),
        ("a-b", true, true, true, true),
        ("a.b", false, true, true, true),
        ("A_b", false, false, true, true),
        ("-a", false, false, false, false),
        ("a-", false, false, false, false),
        ("a..b", false, false, true, true),
        ("example.com/a", false, false, true, false),
        ("Example.com/a", false, false, false, false),
        ("/a", false, false, false, false),
        ("a/", false, false, false, false),
        ("a/b/c", false, false, false, false),
        ("ä", false, false, false, false),
        ("", false, false, false, true),
    ] {
        assert_eq!(is_dns_label(text), label, "label {text:?}");
        assert_eq!(is_dns_subdomain(text), subdomain, "subdomain {text:?}");
        assert_eq!(is_label_key(text), key, "key {text:?}");
        assert_eq!(is_label_value(text), value, "value {text:?}");
    }
    assert!(is_dns_label(&"a".repeat(63)) && !is_dns_label(&"a".repeat(64)));
    assert!(is_label_value(&"a".repeat(63)) && !is_label_value(&"a".repeat(64)));
    let long = [
        ["a"; 60].concat(),
        ["b"; 60].concat(),
        ["c"; 60].concat(),
        ["d"; 60].concat(),
    ]
    .join(".");
    assert!(is_dns_subdomain(&long) && !is_dns_subdomain(&format!("{long}.{long}")));
    assert!(!is_label_key(&format!("{long}.{long}/a")));
}

#[test]
fn an_exclusion_is_a_name_in_which_stars_stand_for_any_characters() {
    let wrong = |pattern: &str| {
        let mut spec = full_spec();
        spec["excludedNamespaces"] = json!(["kube-*", pattern]);
        problem_paths(spec)
    };
    for good in ["team-a", "*", "*-dev", "team-*-7", &"a".repeat(63)] {
        assert_eq!(wrong(good), [""; 0], "{good}");
    }
    for bad in ["", "Team", "team_a", "team.a", "-a", "a-", "*-", &"a".repeat(64)] {
        assert_eq!(wrong(bad), ["spec.excludedNamespaces[1]"], "{bad}");
    }
}

#[test]
fn a_spec_is_refused_when_it_and_its_copies_would_not_fit_into_etcd() {
    let paths = |patterns: usize| {
        let mut spec = full_spec();
        // 66 bytes each, with its quotes and its comma.
        spec["excludedNamespaces"] = json!(vec!["a".repeat(63); patterns]);
        problem_paths(spec)
    };
    assert_eq!(paths(5_800), [""; 0]);
    assert_eq!(paths(6_000), ["spec"]);
}
