//! The custom resource definitions, generated from the types of [`super::v1alpha1`].

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::v1alpha1::{BaselineException, BaselineReport, Mode, SecurityBaseline};

/// A CRD as it is written to `crds/`: its file's name and its content.
///
/// It is JSON, not a typed `CustomResourceDefinition`, since some of what we set has no typed place.
pub struct GeneratedCrd {
    /// The file's name, such as `securitybaselines.yaml`.
    pub file: String,
    /// The CRD.
    pub content: Value,
}

impl GeneratedCrd {
    /// What stands in the file.
    ///
    /// # Errors
    /// When the CRD cannot be written as YAML, which would be a mistake in the types.
    pub fn text(&self) -> Result<String, serde_saphyr::ser::Error> {
        let yaml = serde_saphyr::to_string(&self.content)?;
        Ok(format!(
            "# Generated from src/api by `make generate`. Do not edit.\n{yaml}"
        ))
    }
}

/// All our CRDs.
///
/// # Errors
/// When a CRD cannot be serialised, which would be a mistake in the types.
pub fn all() -> Result<Vec<GeneratedCrd>, serde_json::Error> {
    let mut baseline = finish(SecurityBaseline::crd())?;
    properties(&mut baseline)["spec"]["properties"]["mode"]["default"] = json!(Mode::Audit);
    begin_unseen(&mut baseline);

    let mut exception = finish(BaselineException::crd())?;
    begin_unseen(&mut exception);

    let mut report = finish(BaselineReport::crd())?;
    if let Some(version) = report["spec"]["versions"][0].as_object_mut() {
        // One request writes a report whole: the operator is its only writer, so a status subresource guards nothing.
        version.remove("subresources");
    }
    Ok([baseline, report, exception]
        .into_iter()
        .map(|content| GeneratedCrd {
            file: format!(
                "{}.yaml",
                content["spec"]["names"]["plural"].as_str().unwrap_or_default()
            ),
            content,
        })
        .collect())
}

/// The top-level properties of a CRD's only version.
fn properties(crd: &mut Value) -> &mut Value {
    &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
}

/// Gives an object that nobody has looked at yet a status that says so.
fn begin_unseen(crd: &mut Value) {
    let status = &mut properties(crd)["status"];
    // The first default makes the second one apply to an object that has no status yet.
    status["default"] = json!({"observedGeneration": -1});
    status["properties"]["observedGeneration"]["default"] = json!(-1);
}

fn finish(crd: CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut content = serde_json::to_value(crd)?;
    content["metadata"]["annotations"] = json!({
        // A prune or a Helm uninstall that takes the CRDs would take every report and baseline with them.
        "argocd.argoproj.io/sync-options": "Prune=false",
        "helm.sh/resource-policy": "keep",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    });
    content["metadata"]["labels"] = json!({
        "app.kubernetes.io/name": "security-baseline-operator",
        "app.kubernetes.io/part-of": "security-baseline-operator",
    });
    for version in content["spec"]["versions"].as_array_mut().into_iter().flatten() {
        tidy(&mut version["schema"]["openAPIV3Schema"]);
    }
    Ok(content)
}

/// Takes out of a schema what the generator puts in and Kubernetes does not mean: `nullable` (an explicit null is then
/// dropped by the API server, as for its own types), defaults, which would be stored in every object (the few that are
/// meant are set by name above), and the `enum` entry `null` of an optional enum.
fn tidy(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else { return };
    keywords.remove("nullable");
    keywords.remove("default");
    if let Some(Value::Array(values)) = keywords.get_mut("enum") {
        values.retain(|v| !v.is_null());
    }
    for (keyword, value) in keywords.iter_mut() {
        match keyword.as_str() {
            "properties" => value
                .as_object_mut()
                .into_iter()
                .flat_map(|p| p.values_mut())
                .for_each(tidy),
            "items" | "additionalProperties" => tidy(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
