//! Installing what users install: YAML files, as they are.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, TypeMeta},
    discovery::{self, Scope},
    runtime::{conditions::is_crd_established, wait::Condition},
};

use super::{eventually, plane::ControlPlane, watch_until};

/// How long the API server may take to serve a new kind.
const PATIENCE: Duration = Duration::from_secs(30);

impl ControlPlane {
    /// Applies every document of a YAML file as it is, as the admin: first the CustomResourceDefinitions, which are
    /// waited for, then the Namespaces, then the rest in the file's order. An object that names no namespace where it
    /// needs one goes to `default`.
    ///
    /// # Errors
    /// When the file cannot be read, or the API server refuses a document: the error names it.
    pub async fn install(&self, file: &Path) -> Result<()> {
        let client = self.admin().await?;
        for object in read(file)? {
            let (api, name) = api_of(&client, &object).await?;
            let params = PatchParams::apply("test-rig").force();
            let applied = api.patch(&name, &params, &Patch::Apply(&object)).await;
            applied.with_context(|| format!("applying {}", describe(&object)))?;
            if rank(&object) == 0 {
                let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
                watch_until(&crds, &name, "is established", PATIENCE, |crd| {
                    is_crd_established().matches_object(Some(crd))
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Whether the API server serves a kind. Older ones lack some that tests use to disturb the operator.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn serves(&self, api_version: &str, kind: &str) -> Result<bool> {
        let resources = self.admin().await?.list_api_group_resources(api_version).await;
        match resources {
            Ok(list) => Ok(list.resources.iter().any(|r| r.kind == kind)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes every object that a YAML file names, in the reverse of the order of [`install`](Self::install), without
    /// waiting until they are gone. What is not there is no error.
    ///
    /// # Errors
    /// When the file cannot be read, or the API server refuses a deletion: the error names it.
    pub async fn delete_manifests(&self, file: &Path) -> Result<()> {
        let client = self.admin().await?;
        for object in read(file)?.into_iter().rev() {
            let (api, name) = api_of(&client, &object).await?;
            match api.delete(&name, &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                result => drop(result.with_context(|| format!("deleting {}", describe(&object)))?),
            }
        }
        Ok(())
    }
}

/// The documents of a file, sorted so that each finds what it needs.
fn read(file: &Path) -> Result<Vec<DynamicObject>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut objects: Vec<DynamicObject> =
        serde_saphyr::from_multiple(&text).with_context(|| file.display().to_string())?;
    objects.sort_by_key(rank);
    Ok(objects)
}

/// Lower comes first.
fn rank(object: &DynamicObject) -> u8 {
    match object.types.as_ref().map(|types| types.kind.as_str()) {
        Some("CustomResourceDefinition") => 0,
        Some("Namespace") => 1,
        _ => 2,
    }
}

/// The API of an object's kind, and its name.
async fn api_of(client: &Client, object: &DynamicObject) -> Result<(Api<DynamicObject>, String)> {
    let types: &TypeMeta = object
        .types
        .as_ref()
        .context("a document without apiVersion and kind")?;
    let name = object
        .metadata
        .name
        .clone()
        .with_context(|| format!("a {} without a name", types.kind))?;
    let gvk = GroupVersionKind::try_from(types)?;
    // A kind is served a moment after its definition is established.
    let (resource, capabilities) = eventually(
        &format!("{} {} is served", types.api_version, types.kind),
        PATIENCE,
        async || Ok(discovery::pinned_kind(client, &gvk).await?),
    )
    .await?;
    let api = match (&capabilities.scope, &object.metadata.namespace) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (Scope::Namespaced, None) => Api::namespaced_with(client.clone(), "default", &resource),
    };
    Ok((api, name))
}

fn describe(object: &DynamicObject) -> String {
    let kind = object.types.as_ref().map_or("?", |types| types.kind.as_str());
    format!("{kind} {}", object.metadata.name.as_deref().unwrap_or("?"))
}
