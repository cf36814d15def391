//! What the generated CRDs promise: everything bounded, everything described, nothing stored that nobody wrote.

use super::*;

/// A schema and where it stands.
struct Place<'a> {
    path: String,
    schema: &'a Value,
}

/// All schemas of a CRD, from the root down. What lies under `status.applied` and
/// `status.enforcedBefore` was checked when it was a spec.
fn schemas(crd: &Value) -> Vec<Place<'_>> {
    let mut all = Vec::new();
    for version in crd["spec"]["versions"].as_array().unwrap() {
        collect(String::new(), &version["schema"]["openAPIV3Schema"], &mut all);
    }
    assert!(all.len() > 30, "the walk finds something");
    all
}

fn collect<'a>(path: String, schema: &'a Value, all: &mut Vec<Place<'a>>) {
    for (keyword, value) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "properties" => {
                for (name, property) in value.as_object().unwrap() {
                    collect(format!("{path}.{name}"), property, all);
                }
            }
            "items" => collect(format!("{path}[]"), value, all),
            "additionalProperties" if value.is_object() => collect(format!("{path}{{}}"), value, all),
            _ => {}
        }
    }
    all.push(Place { path, schema });
}

/// Every schema of every CRD for which this does not hold, with why.
fn offenders(judge: impl Fn(&str, &Value) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for crd in all().unwrap() {
        for place in schemas(&crd.content) {
            if let Some(why) = judge(&place.path, place.schema) {
                found.push(format!("{} {}: {why}", crd.file, place.path));
            }
        }
    }
    found
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn every_string_list_and_map_is_bounded() {
    let found = offenders(|_, schema| {
        let has = |keyword: &str| schema.get(keyword).is_some();
        let is = |type_: &str| schema["type"] == type_;
        if is("string") && !has("maxLength") && !has("enum") && schema["format"] != "date-time" {
            return Some("a string without maxLength".into());
        }
        if schema["x-kubernetes-int-or-string"] == true && !has("maxLength") {
            return Some("a text or number without maxLength".into());
        }
        if is("array") && !has("maxItems") {
            return Some("a list without maxItems".into());
        }
        if has("additionalProperties") && !has("maxProperties") {
            return Some("a map without maxProperties".into());
        }
        None
    });
    assert_eq!(found, none());
}

#[test]
fn schemas_are_structural() {
    let found = offenders(|path, schema| {
        let has = |keyword: &str| schema.get(keyword).is_some();
        let open =
            schema["x-kubernetes-int-or-string"] == true || schema["x-kubernetes-preserve-unknown-fields"] == true;
        if !open && !schema["type"].is_string() {
            return Some("no type".into());
        }
        if schema["type"] == "array" && !has("items") {
            return Some("a list of anything".into());
        }
        if has("properties") && has("additionalProperties") {
            return Some("both properties and additionalProperties".into());
        }
        for keyword in [
            "$ref",
            "definitions",
            "$defs",
            "oneOf",
            "anyOf",
            "allOf",
            "const",
            "exclusiveMinimum",
        ] {
            if has(keyword) {
                return Some(format!(
                    "{keyword}, which Kubernetes refuses or which no structural schema needs"
                ));
            }
        }
        if schema["x-kubernetes-preserve-unknown-fields"] == true
            && ![".status.applied", ".status.enforcedBefore", ".status.detected"].contains(&path)
        {
            return Some("takes anything".into());
        }
        None
    });
    assert_eq!(found, none());
}

#[test]
fn required_fields_and_list_keys_are_there() {
    let found = offenders(|_, schema| {
        let properties = schema["properties"].as_object();
        for required in schema["required"].as_array().into_iter().flatten() {
            if !properties.is_some_and(|p| p.contains_key(required.as_str().unwrap())) {
                return Some(format!("requires {required}, which it does not have"));
            }
        }
        for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
            let item = &schema["items"];
            let required = item["required"].as_array().is_some_and(|r| r.contains(key));
            if !required || item["properties"].get(key.as_str().unwrap()).is_none() {
                return Some(format!("items are told apart by {key}, which they need not have"));
            }
        }
        None
    });
    assert_eq!(found, none());
}

#[test]
fn nothing_is_nullable_and_nothing_defaulted_but_what_is_meant_to_be() {
    assert_eq!(
        offenders(|_, schema| schema.get("nullable").map(|_| "nullable".to_owned())),
        none()
    );
    let defaults = offenders(|_, schema| schema.get("default").map(ToString::to_string));
    assert_eq!(
        defaults,
        [
            r#"securitybaselines.yaml .spec.mode: "Audit""#,
            r#"securitybaselines.yaml .status.observedGeneration: -1"#,
            r#"securitybaselines.yaml .status: {"observedGeneration":-1}"#,
            r#"baselineexceptions.yaml .status.observedGeneration: -1"#,
            r#"baselineexceptions.yaml .status: {"observedGeneration":-1}"#,
        ]
    );
    let with_null = offenders(|_, schema| {
        let values = schema["enum"].as_array()?;
        values
            .iter()
            .any(|v| !v.is_string())
            .then(|| "an enum of more than names".to_owned())
    });
    assert_eq!(with_null, none());
}

#[test]
fn every_property_is_described() {
    let found = offenders(|path, schema| {
        // The items of a list and the values of a map are described by the list and the map.
        let anonymous = path.ends_with("[]") || path.ends_with("{}");
        let standard = matches!(path, ".metadata" | ".apiVersion" | ".kind");
        let text = schema["description"].as_str().unwrap_or_default();
        (!anonymous && !standard && text.chars().count() < 10).then(|| format!("described as {text:?}"))
    });
    assert_eq!(found, none());
}

#[test]
fn no_description_shows_how_the_code_is_written() {
    let found = offenders(|_, schema| {
        let text = schema["description"].as_str()?;
        let marks = ["[`", "`]", "\\\"", "crate::", "super::", "TODO"];
        marks
            .into_iter()
            .find(|mark| text.contains(mark))
            .map(|mark| format!("{mark:?} in {text:?}"))
    });
    assert_eq!(found, none());
}

#[test]
fn every_rule_has_a_message() {
    let mut rules = 0;
    for crd in all().unwrap() {
        for place in schemas(&crd.content) {
            for rule in place.schema["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                rules += 1;
                assert!(rule["rule"].as_str().is_some_and(|r| !r.is_empty()), "{}", place.path);
                let message = rule["message"].as_str().unwrap_or_default();
                assert!(message.len() >= 10, "{}: {rule}", place.path);
                assert!(
                    !message.contains('\n'),
                    "Kubernetes refuses a line break in a message: {message}"
                );
            }
        }
    }
    assert!(rules > 20);
}

#[test]
fn unknown_fields_of_a_spec_are_refused_when_they_are_decoded() {
    for spec in [
        json!({"namespaceSelector": {}, "suspended": true}),
        json!({"namespaceSelector": {"matchLabel": {}}}),
        json!({"namespaceSelector": {}, "networkIsolation": {"defaultDeny": ["Ingress"], "allowDns": true}}),
        json!({"mode": "Audit"}),
    ] {
        assert!(
            serde_json::from_value::<super::super::v1alpha1::SecurityBaselineSpec>(spec.clone()).is_err(),
            "{spec}"
        );
    }
    for waiver in [
        json!({"control": "limitRanges", "object": ["LimitRange/security-baseline-defaults"]}),
        json!({"control": "podSecurity", "levels": "baseline"}),
    ] {
        assert!(
            serde_json::from_value::<super::super::v1alpha1::Waiver>(waiver.clone()).is_err(),
            "{waiver}"
        );
    }
}

#[test]
fn baselines_and_exceptions_are_listed_with_what_one_looks_for_first() {
    let all = all().unwrap();
    let columns = |crd: usize| -> Vec<_> {
        all[crd].content["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["name"].as_str().unwrap(), c["jsonPath"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(
        columns(0),
        [
            ("Ready", r#".status.conditions[?(@.type=="Ready")].status"#),
            ("Mode", ".spec.mode"),
            ("Namespaces", ".status.namespaces.selected"),
            ("Drifted", ".status.namespaces.drifted"),
            ("Blocked", ".status.namespaces.blocked"),
            ("Reason", r#".status.conditions[?(@.type=="Ready")].reason"#),
            ("Age", ".metadata.creationTimestamp"),
        ]
    );
    assert_eq!(
        columns(2),
        [
            ("Active", r#".status.conditions[?(@.type=="Active")].status"#),
            ("Reason", r#".status.conditions[?(@.type=="Active")].reason"#),
            ("Namespaces", ".spec.namespaces"),
            ("Expires", ".spec.expiresAt"),
            ("Approver", ".spec.approver"),
            ("Age", ".metadata.creationTimestamp"),
        ]
    );
}

/// A column of a field that does not exist stays empty, and nobody is told.
#[test]
fn every_column_shows_a_field_that_exists() {
    for crd in all().unwrap() {
        let known: Vec<String> = schemas(&crd.content).into_iter().map(|p| p.path).collect();
        for column in crd.content["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap()
        {
            let path = column["jsonPath"].as_str().unwrap();
            let path = path.replace(r#"[?(@.type=="Ready")]"#, "[]");
            let path = path.replace(r#"[?(@.type=="Active")]"#, "[]");
            assert!(path.starts_with(".metadata.") || known.contains(&path), "{path}");
        }
    }
}

#[test]
fn the_kinds_are_what_people_and_tools_call_them() {
    let all = all().unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|crd| {
            (
                crd.file.as_str(),
                crd.content["metadata"]["name"].as_str().unwrap(),
                crd.content["spec"]["scope"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            (
                "securitybaselines.yaml",
                "securitybaselines.securitybaseline.dev",
                "Cluster"
            ),
            (
                "baselinereports.yaml",
                "baselinereports.securitybaseline.dev",
                "Namespaced"
            ),
            (
                "baselineexceptions.yaml",
                "baselineexceptions.securitybaseline.dev",
                "Cluster"
            ),
        ]
    );
    for answered in [0, 2] {
        assert!(all[answered].content["spec"]["versions"][0]["subresources"]["status"].is_object());
    }
    assert!(
        all[1].content["spec"]["versions"][0].get("subresources").is_none(),
        "a report is written whole"
    );
    for crd in &all {
        let kept = json!({
            "argocd.argoproj.io/sync-options": "Prune=false",
            "helm.sh/resource-policy": "keep",
            "kustomize.toolkit.fluxcd.io/prune": "disabled",
        });
        assert_eq!(crd.content["metadata"]["annotations"], kept);
    }
}

#[test]
fn the_files_under_crds_are_what_is_generated() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let generated = all().unwrap();
    for crd in &generated {
        let written = std::fs::read_to_string(format!("{folder}/{}", crd.file)).unwrap_or_default();
        let expected = crd.text().unwrap();
        assert!(written == expected, "crds/{} is stale: run `make generate`", crd.file);
    }
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml") && name != "kustomization.yaml")
        .collect();
    files.sort();
    let mut names: Vec<_> = generated.into_iter().map(|crd| crd.file).collect();
    names.sort();
    assert_eq!(files, names, "crds/ holds just what is generated");
}

/// What is written to YAML is what was generated, read back by another rule than it was written by.
#[test]
fn the_files_under_crds_read_back_as_the_same_crds() {
    for crd in all().unwrap() {
        let text = serde_saphyr::to_string(&crd.content).unwrap();
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, crd.content);
    }
}
