//! Manifests as objects that can be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What Helm's charts put on objects and nothing else does: who installed which chart.
const HELMS_LABELS: [&str; 3] = [
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];

/// What restarts the pods when the configuration changes. With kustomize, whoever changes it restarts them.
const HELMS_POD_ANNOTATION: &str = "checksum/config";

/// The objects of manifests, by `kind namespace/name`.
pub fn objects(manifests: &str) -> BTreeMap<String, Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifests).unwrap();
    let mut found = BTreeMap::new();
    for object in documents.into_iter().filter(|d| !d.is_null()) {
        let metadata = &object["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or("");
        let name = metadata["name"].as_str().unwrap();
        let key = format!("{} {namespace}/{name}", object["kind"].as_str().unwrap());
        assert!(found.insert(key.clone(), object).is_none(), "{key} is there twice");
    }
    found
}

/// The objects of a chart, without what is Helm's own.
pub fn without_helms_own(manifests: &str) -> BTreeMap<String, Value> {
    let mut found = objects(manifests);
    for object in found.values_mut() {
        let labels = object["metadata"]["labels"].as_object_mut().unwrap();
        for label in HELMS_LABELS {
            assert!(labels.remove(label).is_some(), "no label {label}");
        }
        if let Some(annotations) = object.pointer_mut("/spec/template/metadata/annotations") {
            let annotations = annotations.as_object_mut().unwrap();
            assert!(annotations.remove(HELMS_POD_ANNOTATION).is_some());
        }
    }
    found
}

/// The first difference of two values, as a path and what stands on both sides.
pub fn difference(left: &Value, right: &Value, path: &str) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter()
                .find_map(|k| difference(&left[k], &right[k], &format!("{path}.{k}")))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (a, b))| difference(a, b, &format!("{path}[{i}]"))),
        _ if left == right => None,
        _ => Some(format!("{path}: {left} against {right}")),
    }
}

/// Fails at the first difference between the objects of two sets.
pub fn assert_same(left: &BTreeMap<String, Value>, right: &BTreeMap<String, Value>) {
    let names = |of: &BTreeMap<String, Value>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for (key, object) in left {
        if let Some(difference) = difference(object, &right[key], key) {
            panic!("{difference}");
        }
    }
}
