//! The finalizer of a baseline with `deletionPolicy: Delete`: put on while it has that policy, and taken off when the
//! policy changes or when everything that was created for it is gone.

use std::sync::Arc;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::json;

use super::judge::FINALIZER;
use super::{Context, PATIENCE};
use crate::api::v1alpha1::{DeletionPolicy, SecurityBaseline};
use crate::core::object::FIELD_MANAGER;
use crate::engine::errors::in_full;
use crate::engine::queue::{Key, Lane};
use crate::engine::work::in_time;

/// Puts the finalizer on or takes it off, where it is not as it should be.
pub async fn keep(context: &Arc<Context>, name: &Arc<str>) {
    let (uid, wanted) = {
        let index = context.index.lock();
        let Some(entry) = index.baseline(name) else { return };
        // What cannot be understood says nothing of its policy.
        let Some(policy) = entry.policy else { return };
        let leaving = entry.accepted.as_ref().is_some_and(|b| b.leaving);
        let clean = leaving && index.is_synced() && index.remaining(&entry.uid).namespaces == 0;
        // Of one that never held anything there is nothing to remove.
        let idle = entry.deleted && entry.candidate.is_none() && (entry.accepted.is_none() || entry.provisional);
        let wanted = policy == DeletionPolicy::Delete && !clean && !idle;
        if wanted == entry.finalizer || (wanted && entry.deleted) {
            if leaving {
                // What is removed is told by the reports; the last one of them ends it.
                context
                    .queue
                    .push_after(Key::Baseline(name.clone()), Lane::Status, PATIENCE);
            }
            return;
        }
        (entry.uid.clone(), wanted)
    };
    if let Err(error) = change(context, name, &uid, wanted).await {
        tracing::warn!(baseline = %name, error = in_full(&error), wanted, "the finalizer could not be changed");
        context
            .queue
            .push_after(Key::Baseline(name.clone()), Lane::Status, PATIENCE * 5);
    }
}

/// Changes this one finalizer and nothing else, under the resourceVersion that was read.
async fn change(context: &Context, name: &str, uid: &str, wanted: bool) -> kube::Result<()> {
    let api: Api<DynamicObject> = Api::all_with(context.client.clone(), &ApiResource::erase::<SecurityBaseline>(&()));
    let Some(object) = in_time(api.get_metadata_opt(name))
        .await?
        .filter(|o| o.metadata.uid.as_deref() == Some(uid))
    else {
        return Ok(());
    };
    let mut finalizers = object.metadata.finalizers.unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if wanted {
        finalizers.push(FINALIZER.to_owned());
    }
    let body = json!({"metadata": {
        "uid": uid,
        "resourceVersion": object.metadata.resource_version,
        "finalizers": finalizers,
    }});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    in_time(api.patch_metadata(name, &params, &Patch::Merge(&body))).await?;
    Ok(())
}
