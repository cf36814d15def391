//! O3: a run with a disturbance ends as one without.

use serde_json::{Value, json};

use super::{POD_SECURITY, children};
use crate::stage::{Set, get};

/// What a namespace and its baseline came to, in the words of no particular run: without UIDs, versions and times, and
/// with `<set>` and `<namespace>` for names.
pub async fn end(set: &Set, namespace: &str) -> Value {
    let children = children(&set.admin, &[namespace.to_owned()]).await.unwrap();
    let children: Value = children
        .into_iter()
        .map(|((_, kind, name), told)| (format!("{kind}/{name}"), told))
        .collect();
    let object = get(&set.admin, "Namespace", None, namespace).await.unwrap();
    let mut labels = object["metadata"]["labels"].clone();
    labels
        .as_object_mut()
        .unwrap()
        .retain(|key, _| key.starts_with(POD_SECURITY));
    let report = get(&set.admin, "BaselineReport", Some(namespace), "baseline")
        .await
        .unwrap();
    let baseline = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    let (of, by) = (&report["status"], &baseline["status"]);
    let end = json!({
        "children": children,
        "labels": labels,
        "report": {
            "conditions": each(&of["conditions"], &["type", "status", "reason", "message"]),
            "baselines": each(&of["baselines"], &["name", "generation", "state"]),
            "controls": of["controls"],
            "drift": {"total": of["drift"]["total"], "repaired": of["drift"]["repaired"]},
            "records": each(&of["drift"]["records"], &["control", "object", "path", "expected", "found", "claimedBy"]),
            "inventory": each(&of["inventory"], &["kind", "name"]),
            "labels": each(&of["namespaceLabels"], &["key", "value"]),
        },
        "baseline": {
            "conditions": each(&by["conditions"], &["type", "status", "reason"]),
            "generations": [baseline["metadata"]["generation"], by["observedGeneration"], by["appliedGeneration"]],
        },
    });
    let end = end
        .to_string()
        .replace(namespace, "<namespace>")
        .replace(&set.name, "<set>");
    serde_json::from_str(&end).unwrap()
}

/// Asserts that a namespace ended as one that nothing disturbed.
pub fn assert_same_end(namespace: &str, end: &Value, undisturbed: &Value) {
    let mut differences = Vec::new();
    differ("", end, undisturbed, &mut differences);
    assert!(
        differences.is_empty(),
        "{namespace} ended otherwise:\n{}",
        differences.join("\n")
    );
}

/// Where two values differ.
fn differ(path: &str, is: &Value, expected: &Value, differences: &mut Vec<String>) {
    match (is, expected) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                differ(&format!("{path}/{key}"), &is[key], &expected[key], differences);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{path}/{i}"), a, b, differences);
            }
        }
        _ if is == expected => {}
        _ => differences.push(format!("{path} is {is}, and undisturbed {expected}")),
    }
}

/// An end without what its report tells of drift.
pub fn forget_ledger(end: &Value) -> Value {
    let mut end = end.clone();
    for field in ["drift", "records"] {
        end["report"][field].take();
    }
    end
}

/// An end without how often the baseline was edited on the way.
pub fn forget_edits(end: &Value) -> Value {
    let mut end = end.clone();
    end["baseline"]["generations"].take();
    for baseline in end["report"]["baselines"].as_array_mut().into_iter().flatten() {
        baseline["generation"].take();
    }
    end
}

/// Some fields of each item of a list.
fn each(list: &Value, fields: &[&str]) -> Value {
    let some = |item: &Value| {
        fields
            .iter()
            .map(|field| ((*field).to_owned(), item[*field].clone()))
            .collect::<Value>()
    };
    list.as_array().into_iter().flatten().map(some).collect()
}
