//! Answering on what somebody declared: writing its status, whole, by one request.

use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde_json::json;

use super::Context;
use super::baselines::PATIENCE;
use super::errors::{Failed, judge};
use super::queue::{Key, Lane};
use super::work::in_time;
use crate::core::object::FIELD_MANAGER;

/// The object that a status is for, as it was last seen.
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
}

/// Writes a status. Answers the object's new resourceVersion, or has `key` worked on again where it could not be written.
pub async fn answer<K>(context: &Context, key: Key, asked: &Asked, status: &impl Serialize) -> Option<String>
where
    K: Resource<DynamicType = ()>,
{
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": asked.name, "uid": asked.uid, "resourceVersion": asked.resource_version},
        "status": status,
    });
    let api: Api<DynamicObject> = Api::all_with(context.client.clone(), &ApiResource::erase::<K>(&()));
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        dry_run: false,
    };
    let object = serde_json::from_value(body).ok()?;
    let error = match in_time(api.replace_status(&asked.name, &params, &object)).await {
        Ok(written) => {
            context.metrics.statuses.inc();
            return Some(written.metadata.resource_version.unwrap_or_default());
        }
        Err(error) => error,
    };
    let again = |after: Duration| context.queue.push_after(key.clone(), Lane::Status, after);
    match judge(&error) {
        Failed::Gone => {}
        // A newer version is on its way by the watch.
        Failed::Conflict => again(PATIENCE),
        failed @ (Failed::Blocked(_) | Failed::Webhook(_) | Failed::Transient(..)) => {
            context.metrics.status_failures.inc();
            tracing::warn!(?key, ?failed, "the status could not be written");
            again(failed.wait(PATIENCE * 5));
        }
    }
    None
}

/// Whether what is known is newer than what is seen.
pub fn newer(known: &str, seen: &str) -> bool {
    matches!((known.parse::<u64>(), seen.parse::<u64>()), (Ok(known), Ok(seen)) if known > seen)
}
