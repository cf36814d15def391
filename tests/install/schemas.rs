//! JSON schemas of every kind that an API server serves, made from its own OpenAPI document, for kubeconform.

use std::path::Path;

use security_baseline_operator::api::schemas::tighten;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::helm::text;
use crate::stage::BINARY;
use crate::support::ControlPlane;

/// Where kubeconform finds a kind's schema in the folder that [`write`] makes.
const LAYOUT: &str = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json";

/// The schemas of a control plane, in a folder of their own.
pub struct Schemas {
    folder: TempDir,
}

impl Schemas {
    /// Of what this control plane serves now.
    pub async fn of(plane: &ControlPlane) -> Self {
        let request = http::Request::get("/openapi/v2").body(Vec::new()).unwrap();
        let document = plane.admin().await.unwrap().request_text(request).await.unwrap();
        let folder = tempfile::Builder::new().prefix("schemas-").tempdir().unwrap();
        write(serde_json::from_str(&document).unwrap(), folder.path());
        Self { folder }
    }

    /// Those of the operator's own kinds, as a release carries them.
    pub async fn of_our_kinds() -> Self {
        let folder = tempfile::Builder::new().prefix("schemas-").tempdir().unwrap();
        let output = tokio::process::Command::new(BINARY)
            .args(["crds", "--json-schemas", text(folder.path())])
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { folder }
    }

    /// What kubeconform finds wrong with these manifests: nothing, or its output.
    pub async fn check(&self, manifests: &str) -> Result<(), String> {
        let file = self.folder.path().join("manifests.yaml");
        std::fs::write(&file, manifests).unwrap();
        let location = format!("{}/{LAYOUT}", self.folder.path().display());
        let output = tokio::process::Command::new(crate::helm::tool("KUBECONFORM"))
            .args(["-strict", "-summary", "-schema-location", &location])
            .arg(&file)
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }
}

/// Writes one file for each kind; all of them refer to one file of definitions.
fn write(mut document: Value, folder: &Path) {
    let definitions = document["definitions"].as_object_mut().unwrap();
    for (name, schema) in definitions.iter_mut() {
        if name.ends_with(".api.resource.Quantity") {
            // Its OpenAPI says string; people write numbers, and the API server takes them.
            *schema = json!({"type": ["string", "number"]});
        }
        tighten(schema);
    }
    let all = folder.join("definitions.json");
    let reference = format!("file://{}#/definitions/", all.display());
    for (name, schema) in definitions.iter() {
        for kind in schema["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let part = |key: &str| kind[key].as_str().unwrap();
            let group = if part("group").is_empty() {
                part("version")
            } else {
                part("group")
            };
            std::fs::create_dir_all(folder.join(group)).unwrap();
            let file = format!("{group}/{}_{}.json", part("kind").to_lowercase(), part("version"));
            let schema = json!({"$ref": format!("{reference}{name}")});
            std::fs::write(folder.join(file), schema.to_string()).unwrap();
        }
    }
    std::fs::write(all, json!({"definitions": definitions}).to_string()).unwrap();
}
