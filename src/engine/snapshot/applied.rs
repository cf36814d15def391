//! An object as it would be once a file is applied. Who wrote its fields decides on those that the file does not state.

use serde_json::{Map, Value, json};

use crate::api::v1alpha1::SecurityBaselineSpec;
use crate::core::object::FIELD_MANAGER;
use crate::engine::facts::meta;

/// The annotation in which `kubectl apply` keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

// The parts of an object of which a file may state less than it did before.
const LABELS: &str = "/metadata/labels";
const SPEC: &str = "/spec";

/// An object as it would be once it is applied: what the file says of spec, labels and annotations, and all else as it is.
pub(super) fn applied(before: Option<&Value>, file: &Value, now: &str) -> Value {
    let name = meta(file, "name");
    let mut after = before.cloned().unwrap_or_else(|| {
        json!({
            "apiVersion": file["apiVersion"],
            "kind": file["kind"],
            "metadata": {"name": name, "uid": format!("new-{name}"), "creationTimestamp": now, "generation": 1},
        })
    });
    if file["kind"] == "Namespace" && before.is_none() {
        after["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
    }
    let writers = before.and_then(Writers::of);
    if let (Some(writers), Some(labels)) = (&writers, after.pointer_mut(LABELS)) {
        writers.take_off(LABELS, labels, file);
    }
    for field in ["labels", "annotations"] {
        for (key, value) in file["metadata"][field].as_object().into_iter().flatten() {
            after["metadata"][field][key] = value.clone();
        }
    }
    if file["kind"] != "Namespace" {
        let mut spec = file["spec"].clone();
        if let Some(writers) = &writers {
            spec = after["spec"].clone();
            writers.take_off(SPEC, &mut spec, file);
            merge(&mut spec, &file["spec"]);
        }
        if !same_spec(&spec, &after["spec"]) {
            after["spec"] = spec;
            if before.is_some() {
                let generation = after["metadata"]["generation"].as_i64().unwrap_or_default();
                after["metadata"]["generation"] = json!(generation + 1);
            }
        }
    }
    after
}

/// Who wrote what of an object.
struct Writers {
    /// What `kubectl apply` applied last.
    last: Value,
    /// By its managed fields: whether a manager applies what it writes, and the fields.
    managed: Vec<(bool, Value)>,
}

impl Writers {
    /// The writers of an object; `None` where it does not tell.
    fn of(object: &Value) -> Option<Self> {
        let last = object["metadata"]["annotations"][LAST_APPLIED].as_str();
        let last = last.and_then(|text| serde_json::from_str(text).ok());
        let managed = object["metadata"]["managedFields"].as_array();
        let managed = managed.into_iter().flatten().map(|entry| {
            let applies = entry["operation"] == "Apply" && entry["manager"] != FIELD_MANAGER;
            (applies, plain(&entry["fieldsV1"]))
        });
        let managed: Vec<_> = managed.collect();
        (last.is_some() || !managed.is_empty()).then(|| Self {
            last: last.unwrap_or_default(),
            managed,
        })
    }

    /// Takes off a part of an object what it loses when a file is applied that states it no longer: what an apply put there.
    /// Who applied the file before is told from other appliers by what it states; one alone is taken for that.
    fn take_off(&self, part: &str, there: &mut Value, file: &Value) {
        let field_of = |object: &Value| object.pointer(part).cloned().unwrap_or_default();
        let stated = field_of(file);
        prune(there, &stated, &field_of(&self.last), &[]);
        let alone = self.managed.iter().filter(|(applies, _)| *applies).count() == 1;
        for (place, (applies, fields)) in self.managed.iter().enumerate() {
            if *applies && (alone || has_some_of(fields, file)) {
                // The API server keeps a field that somebody else states too.
                let others = self.managed.iter().enumerate().filter(|(other, _)| *other != place);
                let others: Vec<&Value> = others.filter_map(|(_, (_, its))| its.pointer(part)).collect();
                prune(there, &stated, &field_of(fields), &others);
            }
        }
    }
}

/// Whether fields are some of those that a file states.
fn has_some_of(fields: &Value, file: &Value) -> bool {
    [LABELS, SPEC].iter().any(|part| {
        let stated = file.pointer(part).and_then(Value::as_object);
        let mut keys = stated.into_iter().flat_map(Map::keys);
        fields
            .pointer(part)
            .is_some_and(|fields| keys.any(|key| fields.get(key).is_some()))
    })
}

/// Managed fields by their names alone. Of a list, it only says that there is something of it.
fn plain(fields: &Value) -> Value {
    let fields = fields.as_object().into_iter().flatten();
    let named = fields.filter_map(|(key, below)| Some((key.strip_prefix("f:")?.to_owned(), plain(below))));
    Value::Object(named.collect())
}

/// Takes off what is owned and not stated, unless others own it too: of an object, that may be some of it.
fn prune(there: &mut Value, stated: &Value, owned: &Value, others: &[&Value]) {
    let Some(fields) = there.as_object_mut() else { return };
    fields.retain(|key, field| {
        let Some(owned) = owned.get(key) else { return true };
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(key)).collect();
        let stated = stated.get(key);
        if stated.is_none() && others.is_empty() {
            return false;
        }
        prune(field, stated.unwrap_or(&Value::Null), owned, &others);
        true
    });
}

/// Puts what is stated in the place of what is there. A list is taken as it is stated.
fn merge(there: &mut Value, stated: &Value) {
    match (there, stated) {
        (Value::Object(there), Value::Object(stated)) => {
            for (key, value) in stated {
                merge(there.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (there, stated) => *there = stated.clone(),
    }
}

/// Whether two specs say the same, whatever was left out because it is a default.
fn same_spec(a: &Value, b: &Value) -> bool {
    let decoded = |spec: &Value| serde_json::from_value::<SecurityBaselineSpec>(spec.clone()).ok();
    match (decoded(a), decoded(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_keeps_what_the_file_does_not_say() {
        let there = json!({"kind": "SecurityBaseline", "metadata": {"name": "a", "uid": "u", "generation": 3, "annotations": {"x": "1"}},
            "spec": {"namespaceSelector": {}, "mode": "Audit"}, "status": {"observedGeneration": 3}});
        let same = json!({"kind": "SecurityBaseline", "metadata": {"name": "a"}, "spec": {"namespaceSelector": {}}});
        assert_eq!(applied(Some(&there), &same, "now"), there);
        let file = json!({"kind": "SecurityBaseline", "metadata": {"name": "a", "annotations": {"y": "2"}},
            "spec": {"namespaceSelector": {}, "mode": "Enforce"}});
        let after = applied(Some(&there), &file, "now");
        assert_eq!(
            (
                &after["metadata"]["generation"],
                &after["metadata"]["uid"],
                &after["status"]
            ),
            (&json!(4), &json!("u"), &there["status"])
        );
        assert_eq!(after["metadata"]["annotations"], json!({"x": "1", "y": "2"}));
    }

    #[test]
    fn a_label_goes_if_an_apply_put_it_there_and_states_it_no_longer() {
        let applied_by = |manager: &str, operation: &str, keys: &[&str]| {
            let keys: serde_json::Map<String, Value> = keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
            json!({"manager": manager, "operation": operation, "fieldsV1": {"f:metadata": {"f:labels": keys}}})
        };
        let there = |managed: Value, last: Value| {
            json!({"kind": "Namespace", "metadata": {"name": "a", "managedFields": managed, "annotations": {LAST_APPLIED: last.to_string()},
                "labels": {"tenant": "yes", "team": "a", "by-hand": "1"}}})
        };
        let file = json!({"kind": "Namespace", "metadata": {"name": "a", "labels": {"team": "a"}}});
        let left = |there: Value| applied(Some(&there), &file, "now")["metadata"]["labels"].clone();
        let (all, without) = (
            json!({"tenant": "yes", "team": "a", "by-hand": "1"}),
            json!({"team": "a", "by-hand": "1"}),
        );
        let flux = applied_by("kustomize-controller", "Apply", &["tenant", "team"]);
        let hand = applied_by("kubectl-label", "Update", &["by-hand"]);
        let alone = applied_by("other", "Apply", &["tenant"]);
        let operator = applied_by(FIELD_MANAGER, "Apply", &["tenant"]);
        let said = json!({"metadata": {"labels": {"tenant": "yes"}}});
        for (managed, last, expected) in [
            (json!([flux, hand]), Value::Null, &without),
            (json!([hand]), Value::Null, &all),
            (json!([hand]), said, &without),
            (json!([alone]), Value::Null, &without),
            // Two that apply, of which this one is not the file's; who co-owns a label keeps it.
            (
                json!([alone, applied_by("kustomize-controller", "Apply", &["team"])]),
                Value::Null,
                &all,
            ),
            (
                json!([flux, applied_by("kubectl-label", "Update", &["tenant"])]),
                Value::Null,
                &all,
            ),
            (json!([operator]), Value::Null, &all),
        ] {
            assert_eq!(left(there(managed.clone(), last)), *expected, "{managed}");
        }
    }

    #[test]
    fn what_is_new_is_as_the_api_server_would_make_it() {
        let file = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "1"}}});
        let after = applied(None, &file, "2026-01-01T00:00:00Z");
        assert_eq!(
            after["metadata"]["labels"],
            json!({"kubernetes.io/metadata.name": "a", "x": "1"})
        );
        assert_eq!(after["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    }

    /// A baseline that is there, of which these managers wrote these fields of the spec.
    fn written_by(spec: Value, managers: &[(&str, &str, Value)]) -> Value {
        let managed: Vec<Value> = managers
            .iter()
            .map(|(manager, operation, fields)| {
                json!({"manager": manager, "operation": operation, "fieldsV1": {"f:spec": fields}})
            })
            .collect();
        json!({"kind": "SecurityBaseline", "metadata": {"name": "a", "generation": 3, "managedFields": managed}, "spec": spec})
    }

    #[test]
    fn a_field_that_the_file_does_not_state_stays_unless_its_applier_put_it_there() {
        let spec = json!({"namespaceSelector": {"matchLabels": {"tenant": "yes"}}, "mode": "Enforce", "suspend": true,
            "networkIsolation": {"defaultDeny": ["Ingress"], "allowDNS": true}});
        let file = |spec: Value| json!({"kind": "SecurityBaseline", "metadata": {"name": "a"}, "spec": spec});
        let bare = file(json!({"namespaceSelector": {"matchLabels": {"tenant": "yes"}}, "mode": "Enforce"}));
        let left = |managers: &[(&str, &str, Value)]| applied(Some(&written_by(spec.clone(), managers)), &bare, "now");
        let selector = json!({"f:matchLabels": {"f:tenant": {}}});
        let isolation = json!({"f:defaultDeny": {}, "f:allowDNS": {}});
        let flux = json!({"f:namespaceSelector": selector, "f:mode": {}, "f:networkIsolation": isolation});
        let plugin = json!({"f:suspend": {}});
        let apply = |fields: &Value| ("kustomize-controller", "Apply", fields.clone());
        let update = |fields: &Value| ("security-baseline-plugin", "Update", fields.clone());

        let after = left(&[apply(&flux), update(&plugin)]);
        let mut expected = spec.clone();
        expected.as_object_mut().unwrap().remove("networkIsolation");
        assert_eq!(
            after["spec"], expected,
            "what the file stated before goes, what the plugin wrote stays"
        );
        assert_eq!(after["metadata"]["generation"], 4);

        // Of what somebody else owns a part of, that part stays.
        let after = left(&[apply(&flux), update(&json!({"f:networkIsolation": {"f:allowDNS": {}}}))]);
        assert_eq!(after["spec"]["networkIsolation"], json!({"allowDNS": true}));

        // What nobody applied stays: it is just as it is there.
        let there = written_by(spec.clone(), &[("kubectl-create", "Update", flux.clone())]);
        assert_eq!(applied(Some(&there), &bare, "now"), there);

        // Nothing tells who wrote it: the file counts.
        assert_eq!(left(&[])["spec"], bare["spec"]);
    }

    #[test]
    fn what_kubectl_applied_last_goes_and_what_was_never_in_it_stays() {
        let spec = json!({"namespaceSelector": {}, "mode": "Enforce", "suspend": true});
        let mut there = written_by(spec, &[]);
        let last = json!({"spec": {"namespaceSelector": {}, "mode": "Enforce"}});
        there["metadata"]["annotations"] = json!({LAST_APPLIED: last.to_string()});
        let file = json!({"kind": "SecurityBaseline", "metadata": {"name": "a"}, "spec": {"namespaceSelector": {}}});
        let after = applied(Some(&there), &file, "now");
        assert_eq!(after["spec"], json!({"namespaceSelector": {}, "suspend": true}));
    }

    #[test]
    fn a_map_keeps_what_others_put_into_it_and_a_list_is_as_the_file_states_it() {
        let spec = json!({"namespaceSelector": {"matchLabels": {"tenant": "yes", "by-hand": "1"}}, "releasedNamespaces": ["a", "b"]});
        let applied_fields =
            json!({"f:namespaceSelector": {"f:matchLabels": {"f:tenant": {}}}, "f:releasedNamespaces": {}});
        let there = written_by(spec, &[("flux", "Apply", applied_fields)]);
        let file = json!({"kind": "SecurityBaseline", "metadata": {"name": "a"},
            "spec": {"namespaceSelector": {"matchLabels": {"team": "a"}}, "releasedNamespaces": ["c"]}});
        let after = applied(Some(&there), &file, "now");
        assert_eq!(
            after["spec"],
            json!({"namespaceSelector": {"matchLabels": {"by-hand": "1", "team": "a"}}, "releasedNamespaces": ["c"]})
        );
    }
}
