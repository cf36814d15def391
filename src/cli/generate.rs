//! `crds` and `generate`: what is made out of the types.

use std::path::Path;

use super::Done;
use crate::api::crds;

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

/// Writes the generated files of a checkout.
pub(super) fn generate(root: &Path) -> Done {
    for crd in crds::all()? {
        std::fs::write(root.join("crds").join(&crd.file), crd.text()?)?;
    }
    Ok(())
}
