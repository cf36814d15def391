//! Objects for tests that hold anything that JSON can.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::controls::kinds;

/// Any JSON, made of the words that mean something to us, in any place.
pub(crate) fn hostile() -> impl Strategy<Value = Value> {
    let words = || {
        select(vec![
            "spec",
            "metadata",
            "labels",
            "annotations",
            "ownerReferences",
            "finalizers",
            "ingress",
            "egress",
            "from",
            "to",
            "ports",
            "protocol",
            "podSelector",
            "namespaceSelector",
            "matchLabels",
            "matchExpressions",
            "values",
            "ipBlock",
            "except",
            "policyTypes",
            "hard",
            "scopes",
            "scopeSelector",
            "limits",
            "type",
            "max",
            "min",
            "default",
            "defaultRequest",
            "rules",
            "apiGroups",
            "resources",
            "verbs",
            "roleRef",
            "subjects",
            "apiGroup",
            "kind",
            "name",
            "app.kubernetes.io/name",
            "cpu",
            "cidr",
            "port",
            "endPort",
            "key",
            "operator",
            "",
        ])
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        select(vec![
            "Container",
            "Group",
            "ServiceAccount",
            "1Gi",
            "1e999",
            "-0.5",
            "TCP",
            "0.0.0.0/0",
            "128.0.0.0/1",
            "::/0",
            "Ingress",
            "Egress",
            "ClusterRole",
            "cluster-admin",
            "system:authenticated",
            "",
            "\u{0}"
        ])
        .prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((words(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

/// A kind, and an object that has hostile JSON just where that kind looks.
pub(crate) fn hostile_object() -> impl Strategy<Value = (&'static ChildKind, Value)> {
    let path = |kind: &ChildKind| -> Vec<&'static str> {
        match kind.kind {
            "NetworkPolicy" => vec![
                "/spec",
                "/spec/ingress",
                "/spec/egress",
                "/spec/ingress/0",
                "/spec/egress/0/to/0",
                "/spec/ingress/0/from/0/ipBlock",
                "/spec/podSelector",
            ],
            "ResourceQuota" => vec![
                "/spec",
                "/spec/hard",
                "/spec/scopeSelector",
                "/spec/scopeSelector/matchExpressions/0",
            ],
            "LimitRange" => vec!["/spec", "/spec/limits", "/spec/limits/0", "/spec/limits/0/max"],
            "Role" => vec!["/rules", "/rules/0"],
            _ => vec!["/subjects", "/subjects/0", "/roleRef"],
        }
    };
    select(kinds()).prop_flat_map(move |kind| {
        let paths = [
            path(kind),
            vec!["", "/metadata", "/metadata/labels", "/metadata/ownerReferences"],
        ]
        .concat();
        (Just(kind), select(paths), hostile()).prop_map(|(kind, path, value)| (kind, placed(path, value)))
    })
}

/// The value at a pointer of an object that has nothing else.
fn placed(pointer: &str, value: Value) -> Value {
    let mut object = value;
    for part in pointer.split('/').skip(1).collect::<Vec<_>>().into_iter().rev() {
        object = if part == "0" {
            json!([object])
        } else {
            json!({part: object, "type": "Container"})
        };
    }
    object
}
