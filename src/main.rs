//! Writes the custom resource definitions to `crds/`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for crd in security_baseline_operator::api::crds::all()? {
        std::fs::write(format!("crds/{}", crd.file), serde_saphyr::to_string(&crd.content)?)?;
    }
    Ok(())
}
