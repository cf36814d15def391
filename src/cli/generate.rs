//! `crds` and `generate`: what is made out of the types.

use std::path::Path;

use super::Done;
use crate::api::crds;

/// Prints the CRDs as one stream of YAML documents.
pub(super) fn print_crds() -> Done {
    let mut text = String::new();
    for crd in crds::all()? {
        text += "---\n";
        text += &to_yaml(&crd.content)?;
    }
    super::print(&text)
}

/// Writes the generated files of a checkout.
pub(super) fn generate(root: &Path) -> Done {
    for crd in crds::all()? {
        let header = "# Generated from src/api by `make generate`. Do not edit.\n";
        std::fs::write(
            root.join("crds").join(&crd.file),
            format!("{header}{}", to_yaml(&crd.content)?),
        )?;
    }
    Ok(())
}

fn to_yaml(value: &serde_json::Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(value)
}
