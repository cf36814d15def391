//! `crds` and `generate`: what is made out of the types.

use std::path::Path;

use super::Done;
use crate::api::crds;

/// Prints the CRDs as one stream of YAML documents.
pub(super) fn print_crds() -> Done {
    for crd in crds::all()? {
        print!("---\n{}", crd.text()?);
    }
    Ok(())
}

/// Writes the generated files of a checkout.
pub(super) fn generate(root: &Path) -> Done {
    for crd in crds::all()? {
        std::fs::write(root.join("crds").join(&crd.file), crd.text()?)?;
    }
    Ok(())
}
