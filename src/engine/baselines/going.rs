//! Telling a baseline that somebody deletes from one that goes with its CRD.
//!
//! Deleting the CRD deletes every baseline. Nobody who does that (an uninstallation, a mistake) means each of them, and
//! `deletionPolicy: Delete` on some must not take down what protects their namespaces.

use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::core::{CustomResourceExt, GroupVersionKind};

use super::Context;
use crate::api::v1alpha1::SecurityBaseline;
use crate::engine::errors::{Failed, in_full, judge};
use crate::engine::work::in_time;

/// Whether the CRD of baselines is being deleted; also where the operator may not know.
///
/// # Errors
/// That of the request, where a later one may tell.
pub async fn with_its_kind(context: &Context) -> kube::Result<bool> {
    let name = SecurityBaseline::crd_name();
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = ApiResource::from_gvk_with_plural(&kind, "customresourcedefinitions");
    let api: Api<DynamicObject> = Api::all_with(context.client.clone(), &resource);
    match in_time(api.get_metadata_opt(name)).await {
        Ok(found) => Ok(found.is_none_or(|crd| crd.metadata.deletion_timestamp.is_some())),
        Err(error) if matches!(judge(&error), Failed::Blocked(_)) => {
            tracing::warn!(
                crd = name,
                error = in_full(&error),
                "whether a deleted baseline goes with its CRD cannot be told, so that what was created for it stays; grant the operator to get that CRD"
            );
            Ok(true)
        }
        Err(error) => Err(error),
    }
}
