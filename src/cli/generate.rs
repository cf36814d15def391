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
        "<!-- Generated from src/api by `make generate`. Do not edit. -->\n# API reference\n\nThe same as `kubectl explain` shows, in one page. Required fields are marked with `*`; `[]` is a list, `{}` a map.\n",
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
    let bounds: Vec<String> = [
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
    .chain(
        schema
            .get("enum")
            .map(|values| format!("one of {}", values.to_string().replace(',', ", "))),
    )
    .collect();
    let type_ = match schema["type"].as_str() {
        Some(type_) => type_.to_owned(),
        None => "integer or string".to_owned(),
    };
    let mark = if required { "*" } else { "" };
    let bounds = bounds.join(", ").replace('|', "\\|");
    *text += &format!(
        "| `{path}`{mark} | {type_} | {bounds} | {} |\n",
        one_line(&schema["description"])
    );
    for (suffix, inner) in [("[]", &schema["items"]), ("{}", &schema["additionalProperties"])] {
        fields(&format!("{path}{suffix}"), inner, text);
    }
    fields(path, schema, text);
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
