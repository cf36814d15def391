//! What tests of all kinds share: which changes of a live object show in its digest, and which do not.

use serde_json::{Value, json};

use crate::core::object::{Canonical, Child, ChildKind, Digest};

/// The digest of an object of a kind.
pub(super) fn digest(kind: &ChildKind, object: &Value) -> Digest {
    Canonical::of(kind, object).digest()
}

/// Asserts that the API server's spelling of some fields is the same to us as another one.
pub(super) fn same(kind: &ChildKind, a: &Value, b: &Value) {
    assert_eq!(Canonical::of(kind, a), Canonical::of(kind, b), "{a} and {b}");
}

/// Asserts that two objects differ to us.
pub(super) fn differ(kind: &ChildKind, a: &Value, b: &Value) {
    assert_ne!(digest(kind, a), digest(kind, b), "{a} and {b}");
}

/// Whether these fields, live, are weaker than those that are asked for.
pub(super) fn is_weaker(kind: &'static ChildKind, asked: &Value, live_fields: &Value) -> bool {
    let asked = Child::new(kind, "component", "name", asked.clone());
    (kind.weaker)(
        asked.canonical(),
        &Canonical::of(kind, &live(kind, live_fields.clone())),
    )
}

/// A live object with these fields, as the operator created it.
pub(super) fn live(kind: &'static ChildKind, fields: Value) -> Value {
    let mut object = Child::new(kind, "component", "name", fields).to_object("team-a");
    object["metadata"]["uid"] = "uid".into();
    object["metadata"]["resourceVersion"] = "1".into();
    object
}

/// Asserts that every single change of what we own shows: each value changed, removed or given a neighbour. The
/// sample must say nothing that the API server would say by itself, but where a pointer is listed as defaulted.
pub(super) fn every_change_shows(kind: &'static ChildKind, fields: Value, defaulted: &[&str]) {
    let object = live(kind, fields);
    let before = digest(kind, &object);
    let mut pointers = Vec::new();
    for field in kind.fields {
        collect(&format!("/{field}"), &object[*field], &mut pointers);
    }
    for key in ["labels", "annotations"] {
        for label in object["metadata"][key].as_object().unwrap().keys() {
            pointers.push(format!("/metadata/{key}/{}", label.replace('/', "~1")));
        }
    }
    assert!(pointers.len() > 8, "the sample says something: {pointers:?}");
    for pointer in &pointers {
        for (how, changed) in changes(&object, pointer) {
            if how == "removed" && defaulted.contains(&pointer.as_str()) {
                continue;
            }
            assert_ne!(
                before,
                digest(kind, &changed),
                "{pointer} {how} does not show: {changed}"
            );
        }
    }
    let mut owned = object.clone();
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "bait", "uid": "u"}]);
    assert_ne!(before, digest(kind, &owned), "an owner would have it garbage-collected");
}

/// Asserts that what is not ours does not show.
pub(super) fn foreign_changes_do_not_show(kind: &'static ChildKind, fields: Value) {
    let object = live(kind, fields);
    for (pointer, value) in [
        ("/metadata/labels/team", json!("a")),
        ("/metadata/labels/app.kubernetes.io~1instance", json!("argo")),
        ("/metadata/annotations/note", json!("text")),
        ("/metadata/finalizers", json!(["example.com/hold"])),
        ("/metadata/managedFields", json!([{"manager": "kubectl"}])),
        ("/metadata/resourceVersion", json!("2")),
        ("/metadata/generation", json!(7)),
        ("/metadata/uid", json!("other")),
        ("/metadata/creationTimestamp", json!("2026-01-01T00:00:00Z")),
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ("/metadata/ownerReferences", json!([])),
        ("/status", json!({"used": {"pods": "1"}})),
    ] {
        let mut changed = object.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[key.replace("~1", "/")] = value;
        assert_eq!(digest(kind, &object), digest(kind, &changed), "{pointer}");
    }
}

fn collect(pointer: &str, value: &Value, into: &mut Vec<String>) {
    into.push(pointer.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                collect(&format!("{pointer}/{}", key.replace('/', "~1")), value, into);
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                collect(&format!("{pointer}/{i}"), value, into);
            }
        }
        _ => {}
    }
}

/// The object with the value at a pointer changed, in each way that there is.
fn changes(object: &Value, pointer: &str) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let mut with = |how, change: &dyn Fn(&mut Value)| {
        let mut changed = object.clone();
        change(changed.pointer_mut(pointer).unwrap());
        if &changed != object {
            all.push((how, changed));
        }
    };
    with("replaced by a text", &|v| *v = json!("changed"));
    with("replaced by a number", &|v| *v = json!(123_456));
    with("extended", &|v| match v {
        Value::String(text) => text.push('x'),
        Value::Number(number) => *v = json!(number.as_i64().unwrap() + 1),
        Value::Bool(b) => *b = !*b,
        Value::Array(list) => list.push(list.first().cloned().unwrap_or_else(|| json!({}))),
        Value::Object(map) => {
            map.insert("unknown".to_owned(), json!("field"));
        }
        Value::Null => {}
    });
    with("given an unknown empty object", &|v| {
        if let Value::Object(map) = v {
            map.insert("unknown".to_owned(), json!({}));
        }
    });
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let mut removed = object.clone();
    match removed.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.remove(&key)),
        Value::Array(list) => drop(list.remove(key.parse().unwrap())),
        other => panic!("{other} holds nothing"),
    }
    all.push(("removed", removed));
    all
}
