//! What the Helm chart says of the rest of the repository. That it works is tested with the real Helm (tests/install).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::stage::file;

const CHART: &str = "config/helm/security-baseline-operator";

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file(path)).unwrap()).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file(&format!("{CHART}/values.schema.json"))).unwrap()).unwrap()
}

/// Follows a reference into the schema's definitions.
fn resolved<'a>(schema: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
        None => part,
    }
}

/// The keys of a value that a part of the schema does not name, as paths.
fn unnamed(schema: &Value, part: &Value, value: &Value, path: &str) -> Vec<String> {
    let part = resolved(schema, part);
    let mut missing = Vec::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        match part["properties"].get(key) {
            Some(inner) => missing.extend(unnamed(schema, inner, value, &path)),
            None if part["additionalProperties"] == false => missing.push(path),
            None => {}
        }
    }
    missing
}

/// The places of the schema that take an object of named keys, and keys without a name too.
fn open(part: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if part["properties"].is_object() && part["additionalProperties"] != false {
        found.push(path.to_owned());
    }
    for (key, value) in part.as_object().into_iter().flatten() {
        found.extend(open(value, &format!("{path}/{key}")));
    }
    found
}

#[test]
fn the_charts_version_is_the_operators() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = yaml(&format!("{CHART}/Chart.yaml"));
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], format!("v{version}"));
    let deployment = yaml("config/manager/deployment.yaml");
    let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(*image, format!("security-baseline-operator:v{version}"));
}

#[test]
fn the_chart_lists_the_kinds_that_there_are() {
    let chart = yaml(&format!("{CHART}/Chart.yaml"));
    let listed: Vec<Value> =
        serde_saphyr::from_str(chart["annotations"]["artifacthub.io/crds"].as_str().unwrap()).unwrap();
    let listed: BTreeSet<_> = listed
        .iter()
        .map(|c| format!("{} {} {}", c["name"], c["kind"], c["version"]))
        .collect();
    let mut there = BTreeSet::new();
    for plural in ["securitybaselines", "baselinereports", "baselineexceptions"] {
        let crd = yaml(&format!("crds/{plural}.yaml"));
        let spec = &crd["spec"];
        there.insert(format!(
            "{} {} {}",
            crd["metadata"]["name"], spec["names"]["kind"], spec["versions"][0]["name"]
        ));
    }
    assert_eq!(listed, there);
    assert_eq!(there.len() + 1, std::fs::read_dir(file("crds")).unwrap().count());
}

#[test]
fn the_charts_schema_knows_every_key_of_the_values_and_of_the_operators_configuration_and_no_other() {
    let schema = schema();
    let values = yaml(&format!("{CHART}/values.yaml"));
    assert_eq!(unnamed(&schema, &schema, &values, ""), Vec::<String>::new());
    let shipped = yaml("config/manager/config.yaml");
    let config = &schema["properties"]["config"];
    assert_eq!(unnamed(&schema, config, &shipped, "config"), Vec::<String>::new());
    let known = resolved(&schema, config)["properties"].as_object().unwrap();
    let there = shipped.as_object().unwrap();
    let (known, there): (BTreeSet<_>, BTreeSet<_>) = (known.keys().collect(), there.keys().collect());
    assert_eq!(
        known, there,
        "the schema knows keys that config/manager/config.yaml does not state"
    );
    assert_eq!(open(&schema, ""), Vec::<String>::new());
}
