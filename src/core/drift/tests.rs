use serde_json::json;

use super::*;

/// What differs, where nobody is on record.
fn told(asked: Value, live: Value) -> Vec<[String; 3]> {
    let found = differences(&Canonical(asked), &Canonical(live), &json!({}));
    found.into_iter().map(|d| [d.path, d.expected, d.found]).collect()
}

/// A quota as it reads back, with these entries in its `managedFields`: manager, fields, minute.
fn quota(entries: &[(&str, Value, u32)]) -> Value {
    let entry = |(manager, fields, minute): &(&str, Value, u32)| {
        json!({
            "manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "time": format!("2026-01-01T00:{minute:02}:00Z"), "fieldsV1": fields,
        })
    };
    json!({
        "metadata": {
            "labels": {"app.kubernetes.io/name": "x"},
            "finalizers": ["a.example.com/x", "b.example.com/x"],
            "ownerReferences": [{"uid": "one", "name": "a"}, {"uid": "two", "name": "b"}],
            "managedFields": entries.iter().map(entry).collect::<Vec<_>>(),
        },
        "spec": {"hard": {"pods": "50", "requests.cpu": "10"}, "scopes": ["BestEffort"]},
    })
}

const CPU: [Segment<'_>; 3] = [Segment::Key("spec"), Segment::Key("hard"), Segment::Key("requests.cpu")];

fn by(object: &Value, path: &[Segment<'_>]) -> String {
    claim(object, path, true).by
}

#[test]
fn a_difference_names_the_field_and_both_values() {
    assert_eq!(
        told(
            json!({"spec": {"policyTypes": ["Ingress"], "podSelector": {}}}),
            json!({"spec": {"policyTypes": ["Ingress"], "podSelector": {}, "ingress": [{}]}})
        ),
        [["spec.ingress", "", "[{}]"].map(str::to_owned)]
    );
}

#[test]
fn a_key_that_is_more_than_a_word_stands_in_brackets() {
    let hard =
        |cpu| json!({"spec": {"hard": {"requests.cpu": cpu, "pods": cpu}}, "metadata": {"labels": {"a/b": cpu}}});
    let found = told(hard("1"), hard("2"));
    let paths: Vec<_> = found.iter().map(|[path, ..]| path.as_str()).collect();
    assert_eq!(
        paths,
        ["metadata.labels[a/b]", "spec.hard.pods", "spec.hard[requests.cpu]"]
    );
}

#[test]
fn list_items_are_compared_by_place() {
    let found = told(json!({"rules": [1, 2]}), json!({"rules": [1, 3, 4]}));
    let paths: Vec<_> = found.iter().map(|[path, ..]| path.as_str()).collect();
    assert_eq!(paths, ["rules[1]", "rules[2]"]);
}

#[test]
fn a_flood_of_differences_is_bounded() {
    let live: serde_json::Map<_, _> = (0..1000)
        .map(|i| (format!("f{i}"), json!("x".repeat(10_000))))
        .collect();
    let found = told(json!({}), Value::Object(live));
    assert_eq!(found.len(), MOST);
    assert!(found.iter().all(|[_, _, found]| found.chars().count() <= 512));
}

#[test]
fn the_manager_that_covers_the_field_is_named_though_another_wrote_something_else_later() {
    let object = quota(&[
        ("old", json!({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}), 1),
        ("culprit", json!({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}), 2),
        ("pods", json!({"f:spec": {"f:hard": {".": {}, "f:pods": {}}}}), 3),
        ("annotator", json!({"f:metadata": {"f:annotations": {"f:a": {}}}}), 4),
    ]);
    let found = claim(&object, &CPU, true);
    assert_eq!(
        found,
        Claim {
            by: "culprit".into(),
            operation: "Update".into(),
            subresource: String::new(),
            time: Some("2026-01-01T00:02:00Z".parse().unwrap()),
        }
    );
    assert_eq!(by(&object, &[Segment::Key("spec"), Segment::Key("hard")]), "pods");
}

#[test]
fn who_owns_an_atomic_list_or_map_owns_all_that_is_in_it() {
    let object = quota(&[
        ("lists", json!({"f:spec": {"f:scopes": {}}}), 1),
        ("maps", json!({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}), 2),
        ("later", json!({"f:metadata": {"f:labels": {}}}), 3),
    ]);
    assert_eq!(
        by(
            &object,
            &[Segment::Key("spec"), Segment::Key("scopes"), Segment::Index(7)]
        ),
        "lists"
    );
    assert_eq!(by(&object, &CPU), "maps");
}

#[test]
fn items_of_a_list_are_found_by_their_keys_their_values_and_their_places() {
    let object = quota(&[
        (
            "first",
            json!({"f:metadata": {"f:ownerReferences": {".": {}, "k:{\"uid\":\"one\"}": {}}}}),
            2,
        ),
        (
            "second",
            json!({"f:metadata": {"f:ownerReferences": {"k:{\"uid\":\"two\"}": {".": {}, "f:name": {}, "f:uid": {}}}}}),
            1,
        ),
        (
            "set",
            json!({"f:metadata": {"f:finalizers": {"v:\"b.example.com/x\"": {}}}}),
            1,
        ),
        (
            "place",
            json!({"f:metadata": {"f:finalizers": {"i:0": {}, "?:0": {}, "k:{": {}}}}),
            1,
        ),
    ]);
    let owner = |i| {
        [
            Segment::Key("metadata"),
            Segment::Key("ownerReferences"),
            Segment::Index(i),
        ]
    };
    assert_eq!(by(&object, &owner(0)), "first");
    assert_eq!(by(&object, &owner(1)), "second");
    let name = [owner(1).to_vec(), vec![Segment::Key("name")]].concat();
    assert_eq!(by(&object, &name), "second");
    let finalizer = |i| [Segment::Key("metadata"), Segment::Key("finalizers"), Segment::Index(i)];
    assert_eq!(by(&object, &finalizer(1)), "set");
    assert_eq!(by(&object, &finalizer(0)), "place");
}

#[test]
fn where_nobody_covers_the_field_the_newest_foreign_writer_is_named_and_writers_of_the_status_are_not() {
    let mut object = quota(&[
        ("older", json!({"f:spec": {"f:scopes": {}}}), 1),
        ("newer", json!({"f:spec": {"f:scopes": {}}}), 2),
        ("security-baseline-operator", json!({"f:spec": {"f:scopes": {}}}), 3),
        (
            "kube-controller-manager",
            json!({"f:status": {"f:hard": {"f:pods": {}}}}),
            4,
        ),
    ]);
    object["metadata"]["managedFields"][3]["subresource"] = json!("status");
    assert_eq!(by(&object, &CPU), "newer");
    assert_eq!(by(&object, &[]), "newer");
    let status = claim(
        &object,
        &[Segment::Key("status"), Segment::Key("hard"), Segment::Key("pods")],
        true,
    );
    assert_eq!(
        (status.by.as_str(), status.subresource.as_str()),
        ("kube-controller-manager", "status")
    );
}

#[test]
fn what_was_removed_is_claimed_by_nobody_unless_somebody_owns_what_it_was_in() {
    let object = quota(&[("helm", json!({"f:spec": {"f:scopes": {}}}), 1)]);
    assert_eq!(claim(&object, &CPU, false), Claim::unknown());
    let scope = [Segment::Key("spec"), Segment::Key("scopes"), Segment::Index(1)];
    assert_eq!(claim(&object, &scope, false).by, "helm");
    assert_eq!(claim(&json!({}), &[], true), Claim::unknown());
}

#[test]
fn who_states_our_name_is_told_apart_from_whoever_wrote_something_else() {
    let ours = (
        "security-baseline-operator",
        json!({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}),
        1,
    );
    let object = quota(&[ours.clone(), ("helm", json!({"f:metadata": {"f:annotations": {}}}), 2)]);
    assert!(claim(&object, &CPU, true).states_our_name());
    let object = quota(&[ours, ("helm", json!({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}), 0)]);
    assert_eq!(by(&object, &CPU), "helm", "a foreign entry goes before ours");
}

#[test]
fn to_own_a_map_without_a_key_in_it_is_to_own_none_of_its_values() {
    let ours = json!({"f:metadata": {"f:labels": {}, "f:annotations": {}}, "f:spec": {"f:hard": {}, "f:scopes": {}}});
    let object = quota(&[
        ("security-baseline-operator", ours, 1),
        ("helm", json!({"f:data": {}}), 2),
    ]);
    let name = [
        Segment::Key("metadata"),
        Segment::Key("labels"),
        Segment::Key("app.kubernetes.io/name"),
    ];
    for path in [&name, &CPU] {
        assert_eq!(claim(&object, path, false), Claim::unknown(), "{path:?}");
        assert_eq!(by(&object, path), "helm");
    }
    let scope = [Segment::Key("spec"), Segment::Key("scopes"), Segment::Index(0)];
    assert!(claim(&object, &scope, true).states_our_name(), "a list is owned whole");
}

#[test]
fn what_a_client_says_of_itself_is_bounded_and_cannot_reach_a_terminal() {
    let name = format!("\u{1b}[2J\n\u{202e}{}", "x".repeat(5000));
    let mut object = quota(&[(&name, json!({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}), 1)]);
    object["metadata"]["managedFields"][0]["operation"] = json!("\u{7}".repeat(500));
    object["metadata"]["managedFields"][0]["subresource"] = json!("s".repeat(500));
    object["metadata"]["managedFields"][0]["time"] = json!("yesterday");
    let claim = claim(&object, &CPU, true);
    assert!(claim.by.starts_with("\u{fffd}[2J\u{fffd}\u{fffd}x"));
    let lengths = [&claim.by, &claim.operation, &claim.subresource].map(|text| text.chars().count());
    assert_eq!(lengths, [128, 16, 63]);
    assert_eq!(claim.time, None);
}

#[test]
fn an_entry_without_fields_covers_nothing() {
    for fields in [json!({}), json!(null), json!([]), json!("f:spec")] {
        let object = quota(&[
            ("empty", fields, 9),
            ("culprit", json!({"f:spec": {"f:hard": {"f:requests.cpu": {}}}}), 1),
        ]);
        assert_eq!(by(&object, &CPU), "culprit");
    }
}
