//! `crds` and `generate`: what is made out of the types.

mod reference;

use std::path::Path;

use clap::CommandFactory;
use serde_json::Value;

use super::{Cli, Done, PLUGIN};
use crate::api::{crds, schemas};

/// Prints the CRDs as one stream of YAML documents.
pub(super) fn print_crds() -> Done {
    let mut text = String::new();
    for crd in crds::all()? {
        text += "---
";
        text += &crd.text()?;
    }
    super::print(&text)
}

/// Writes a JSON schema of each kind into a folder.
pub(super) fn write_json_schemas(folder: &Path) -> Done {
    for schema in schemas::all()? {
        let file = folder.join(&schema.path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, format!("{:#}\n", schema.content))?;
    }
    Ok(())
}

/// Writes the generated files of a checkout.
pub(super) fn generate(root: &Path) -> Done {
    let mut reference = String::from(
        "<!-- Generated from src/api by `make generate`. Do not edit. -->\n# API reference\n\nThe same as `kubectl explain` shows, in one page. Required fields are marked with `*`; `[]` is a list, `{}` a map.\nWhat is said of *each* is about a list's items or a map's values. A *rule* is what the API server checks beside the bounds, in the\nwords of its refusal.\n",
    );
    for crd in crds::all()? {
        std::fs::write(root.join("crds").join(&crd.file), crd.text()?)?;
        reference += &reference_of(&crd.content);
    }
    let folder = root.join("docs/reference");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("api.md"), reference)?;
    let commands = reference::commands(Cli::command().bin_name(PLUGIN.1));
    std::fs::write(folder.join("cli.md"), commands)?;
    std::fs::write(folder.join("findings.md"), reference::findings())?;
    std::fs::write(folder.join("metrics.md"), reference::metrics()?)?;
    let schema = serde_json::to_string_pretty(&reference::schema())? + "\n";
    std::fs::write(folder.join("report.schema.json"), schema)?;
    Ok(())
}

/// A kind's fields as a table.
fn reference_of(crd: &Value) -> String {
    let spec = &crd["spec"];
    let version = &spec["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut text = format!(
        "\n## {} (`{}/{}`)\n\n{}\n\n| Field | Type | Bounds | |\n|---|---|---|---|\n",
        shown(&spec["names"]["kind"]),
        shown(&spec["group"]),
        shown(&version["name"]),
        one_line(&schema["description"]),
    );
    for top in ["spec", "status"] {
        if let Some(schema) = schema["properties"].get(top) {
            field(top, schema, false, &mut text);
        }
    }
    text
}

fn field(path: &str, schema: &Value, required: bool, text: &mut String) {
    let inner = [("[]", &schema["items"]), ("{}", &schema["additionalProperties"])];
    let of_each = inner.iter().flat_map(|(_, schema)| bounds(schema));
    let bounds: Vec<String> = bounds(schema)
        .into_iter()
        .chain(of_each.map(|bound| format!("each: {bound}")))
        .collect();
    let mark = if required { "*" } else { "" };
    let mut said = one_line(&schema["description"]);
    for (_, schema) in [("", schema)].iter().chain(&inner) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            // An asterisk would begin an emphasis.
            said += &format!(" *Rule:* {}.", one_line(&rule["message"]).replace('*', "\\*"));
        }
    }
    *text += &format!(
        "| `{path}`{mark} | {} | {} | {said} |\n",
        type_of(schema),
        bounds.join(", ").replace('|', "\\|")
    );
    for (suffix, schema) in inner {
        fields(&format!("{path}{suffix}"), schema, text);
    }
    fields(path, schema, text);
}

/// A type as people say it, such as `array of string`.
fn type_of(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("array") => format!("array of {}", type_of(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map of {}", type_of(&schema["additionalProperties"]))
        }
        Some(type_) => type_.to_owned(),
        None => "integer or string".to_owned(),
    }
}

/// What a value is held to by itself.
fn bounds(schema: &Value) -> Vec<String> {
    [
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "maxProperties",
        "default",
    ]
    .iter()
    .filter_map(|bound| Some(format!("{bound} {}", schema.get(*bound)?)))
    .chain(schema["pattern"].as_str().map(|pattern| format!("pattern `{pattern}`")))
    .chain(
        schema
            .get("enum")
            .map(|values| format!("one of {}", values.to_string().replace(',', ", "))),
    )
    .collect()
}

fn fields(path: &str, schema: &Value, text: &mut String) {
    let required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|r| r.iter().any(|r| r == name))
    };
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        field(&format!("{path}.{name}"), schema, required(name), text);
    }
}

fn shown(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn one_line(description: &Value) -> String {
    shown(description)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a schema refuses by: its patterns, the values that it lists, and the messages of its rules.
    fn refusals(schema: &Value, all: &mut Vec<String>) {
        all.extend(schema["pattern"].as_str().map(|pattern| format!("`{pattern}`")));
        for value in schema["enum"].as_array().into_iter().flatten() {
            all.push(value.to_string());
        }
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            all.push(one_line(&rule["message"]));
        }
        for inner in [&schema["items"], &schema["additionalProperties"]] {
            if inner.is_object() {
                refusals(inner, all);
            }
        }
        for field in schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.values())
        {
            refusals(field, all);
        }
    }

    #[test]
    fn whatever_a_value_may_be_refused_by_can_be_looked_up() {
        for crd in crds::all().unwrap() {
            let reference = reference_of(&crd.content).replace("\\*", "*");
            let mut all = Vec::new();
            for top in ["spec", "status"] {
                let schema = &crd.content["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][top];
                refusals(schema, &mut all);
            }
            assert!(!all.is_empty(), "{}: the schema was not found", crd.file);
            for refusal in all {
                assert!(
                    reference.contains(&refusal.replace("\\|", "|").replace('|', "\\|")),
                    "{}: {refusal} is not in the reference",
                    crd.file
                );
            }
        }
    }

    #[test]
    fn a_list_and_a_map_tell_what_they_hold() {
        let schema = serde_json::json!({"properties": {
            "amounts": {"type": "object", "description": "a|b", "additionalProperties": {"x-kubernetes-int-or-string": true}},
            "names": {"type": "array", "maxItems": 2, "items": {"type": "string", "pattern": "^(a|b)$"}},
        }});
        let mut text = String::new();
        fields("spec", &schema, &mut text);
        assert_eq!(
            text,
            "| `spec.amounts` | map of integer or string |  | a\\|b |\n\
             | `spec.names` | array of string | maxItems 2, each: pattern `^(a\\|b)$` |  |\n"
        );
    }
}
