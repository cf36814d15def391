//! What differs between what a baseline asks for and what is there, and who claims to have changed it.

use serde_json::Value;

use super::object::{Canonical, FIELD_MANAGER};
use super::text::bounded;

/// The most differences that are told of one object.
const MOST: usize = 8;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field's path, such as `spec.ingress[0]`; empty where the whole object is missing.
    pub path: String,
    /// What is asked for, as bounded JSON; empty where nothing is.
    pub expected: String,
    /// What is there, as bounded JSON; empty where nothing is.
    pub found: String,
}

/// The differences between what is asked for and what is there, the first few of them.
pub fn differences(asked: &Canonical, live: &Canonical) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(&asked.0), Some(&live.0), &mut found);
    found
}

fn walk(path: &str, asked: Option<&Value>, live: Option<&Value>, found: &mut Vec<Difference>) {
    if asked == live || found.len() >= MOST {
        return;
    }
    match (asked, live) {
        (Some(Value::Object(a)), Some(Value::Object(l))) => {
            let mut keys: Vec<_> = a.keys().chain(l.keys().filter(|k| !a.contains_key(*k))).collect();
            keys.sort_unstable();
            for key in keys {
                let child = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                walk(&child, a.get(key), l.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(l))) => {
            for i in 0..a.len().max(l.len()) {
                walk(&format!("{path}[{i}]"), a.get(i), l.get(i), found);
            }
        }
        _ => found.push(Difference {
            path: bounded(path, 256),
            expected: shown(asked),
            found: shown(live),
        }),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map(|v| bounded(&v.to_string(), 512)).unwrap_or_default()
}

/// The client that claims the last change of an object that was not ours: the newest entry of `managedFields` by
/// another manager, leaving out `status`, which controllers write. It is a claim: any client states the name it likes.
pub fn claimed_by(live: &Value) -> String {
    let newest = live["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] != FIELD_MANAGER && entry["subresource"] != "status")
        .max_by_key(|entry| entry["time"].as_str().unwrap_or_default().to_owned());
    match newest {
        Some(entry) => bounded(entry["manager"].as_str().unwrap_or("unknown"), 128),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_names_the_field_and_both_values() {
        let asked = Canonical(json!({"spec": {"policyTypes": ["Ingress"], "podSelector": {}}}));
        let live = Canonical(json!({"spec": {"policyTypes": ["Ingress"], "podSelector": {}, "ingress": [{}]}}));
        assert_eq!(
            differences(&asked, &live),
            [Difference {
                path: "spec.ingress".into(),
                expected: String::new(),
                found: "[{}]".into()
            }]
        );
    }

    #[test]
    fn list_items_are_compared_by_place() {
        let found = differences(
            &Canonical(json!({"rules": [1, 2]})),
            &Canonical(json!({"rules": [1, 3, 4]})),
        );
        assert_eq!(
            found.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(),
            ["rules[1]", "rules[2]"]
        );
    }

    #[test]
    fn a_flood_of_differences_is_bounded() {
        let live: serde_json::Map<_, _> = (0..1000)
            .map(|i| (format!("f{i}"), json!("x".repeat(10_000))))
            .collect();
        let found = differences(&Canonical(json!({})), &Canonical(Value::Object(live)));
        assert_eq!(found.len(), MOST);
        assert!(found.iter().all(|d| d.found.chars().count() <= 512));
    }

    #[test]
    fn the_newest_foreign_manager_is_named_and_status_writers_are_not() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "kubectl-edit", "time": "2026-01-01T00:00:00Z"},
            {"manager": "kubectl-patch", "time": "2026-01-02T00:00:00Z"},
            {"manager": "security-baseline-operator", "time": "2026-01-03T00:00:00Z"},
            {"manager": "kube-controller-manager", "time": "2026-01-04T00:00:00Z", "subresource": "status"},
        ]}});
        assert_eq!(claimed_by(&live), "kubectl-patch");
        assert_eq!(claimed_by(&json!({})), "unknown");
    }
}
