//! JSON schemas of our kinds, for editors and linters, out of the custom resource definitions.

use serde_json::{Value, json};

use super::crds;

/// The schema of one version of a kind: where it belongs, and what it says.
pub struct KindSchema {
    /// The path that editors and linters look it up by: `{group}/{kind}_{version}.json`, in lower case.
    pub path: String,
    /// The schema.
    pub content: Value,
}

/// The schemas of all our kinds.
///
/// # Errors
/// As [`crds::all`].
pub fn all() -> Result<Vec<KindSchema>, serde_json::Error> {
    let mut found = Vec::new();
    for crd in crds::all()? {
        let spec = &crd.content["spec"];
        for version in spec["versions"].as_array().into_iter().flatten() {
            found.push(of_version(spec, version));
        }
    }
    Ok(found)
}

fn of_version(spec: &Value, version: &Value) -> KindSchema {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, kind, name) = (
        text(&spec["group"]),
        text(&spec["names"]["kind"]),
        text(&version["name"]),
    );
    let mut content = version["schema"]["openAPIV3Schema"].clone();
    tighten(&mut content);
    content["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    content["properties"]["apiVersion"] = json!({"enum": [format!("{group}/{name}")]});
    content["properties"]["kind"] = json!({"enum": [&kind]});
    // A CRD says nothing of it, or only of the name: the rest of it is every kind's.
    content["properties"]["metadata"] = json!({"type": "object"});
    // A file is checked before an API server gives it a status, and says itself what it is.
    content["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    if content["properties"]["spec"].is_null() {
        content["required"] = json!(["apiVersion", "kind", "metadata"]);
    }
    KindSchema {
        path: format!("{group}/{}_{name}.json", kind.to_lowercase()),
        content,
    }
}

/// Makes an OpenAPI schema of Kubernetes a JSON schema that refuses fields which it does not name, as
/// `kubectl apply --validate=strict` does, and that says what OpenAPI's own keywords mean.
pub fn tighten(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else { return };
    // Formats are no part of what an API server checks, but for this one.
    let format = keywords.remove("format");
    if format == Some(json!("int-or-string")) || keywords.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        keywords.insert("type".to_owned(), json!(["integer", "string"]));
    }
    let open = keywords.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if keywords.contains_key("properties") && !keywords.contains_key("additionalProperties") && !open {
        keywords.insert("additionalProperties".to_owned(), json!(false));
    }
    for (keyword, value) in keywords.iter_mut() {
        match keyword.as_str() {
            "properties" => value
                .as_object_mut()
                .into_iter()
                .flat_map(|p| p.values_mut())
                .for_each(tighten),
            "items" | "additionalProperties" => tighten(value),
            "allOf" | "anyOf" | "oneOf" => value.as_array_mut().into_iter().flatten().for_each(tighten),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_schema_at_the_path_that_tools_look_for() {
        let paths: Vec<_> = all().unwrap().into_iter().map(|s| s.path).collect();
        assert_eq!(
            paths,
            [
                "securitybaseline.dev/securitybaseline_v1alpha1.json",
                "securitybaseline.dev/baselinereport_v1alpha1.json",
                "securitybaseline.dev/baselineexception_v1alpha1.json"
            ]
        );
    }

    #[test]
    fn a_schema_takes_no_unnamed_field_at_any_depth_and_says_what_it_is_of() {
        let all = all().unwrap();
        let baseline = &all[0].content;
        assert_eq!(baseline["additionalProperties"], false);
        assert_eq!(baseline["properties"]["kind"]["enum"][0], "SecurityBaseline");
        assert_eq!(baseline["properties"]["metadata"], json!({"type": "object"}));
        let spec = &baseline["properties"]["spec"]["properties"];
        assert_eq!(spec["networkIsolation"]["additionalProperties"], false);
        // A map of quantities is no list of fields.
        let hard = &spec["resourceQuotas"]["properties"]["items"]["items"]["properties"]["hard"];
        assert_eq!(
            hard["additionalProperties"]["type"],
            json!(["integer", "string"]),
            "{hard}"
        );
    }

    #[test]
    fn tightening_leaves_open_what_keeps_unknown_fields() {
        let mut schema = json!({
            "properties": {"free": {"x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {}}}},
            "anyOf": [{"properties": {"b": {"format": "int-or-string", "type": "string"}}}],
        });
        tighten(&mut schema);
        assert_eq!(
            schema,
            json!({
                "additionalProperties": false,
                "properties": {"free": {"x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {}}}},
                "anyOf": [{"additionalProperties": false, "properties": {"b": {"type": ["integer", "string"]}}}],
            })
        );
    }
}
