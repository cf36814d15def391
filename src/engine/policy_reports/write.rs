//! Writing and removing reports for other tools.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Preconditions};
use serde_json::{Value, json};

use super::forms::{Form, NAME};
use super::made::{made, meaning};
use crate::api::GROUP;
use crate::api::v1alpha1::BaselineReport;
use crate::core::object::Digest;
use crate::engine::Context;
use crate::engine::errors::{Failed, in_full, judge};
use crate::engine::queue::{Key, Lane};
use crate::engine::report::params;
use crate::engine::work::in_time;

/// The pause before what could not be written is tried again; a longer one where it was refused.
const RETRY: Duration = Duration::from_secs(30);
const REFUSED: Duration = Duration::from_secs(600);
/// How soon what somebody else changed meanwhile is looked at again.
const CONFLICT: Duration = Duration::from_secs(1);
/// How many objects are listed at a time.
const PAGE: u32 = 100;

/// Brings the report of a namespace for other tools to what its BaselineReport tells. That is read for it: to keep it here
/// until its turn comes would take memory for every namespace of a rollout.
pub async fn attend(context: &Arc<Context>, namespace: &Arc<str>) {
    let Some(form) = context.policy_reports.ready() else {
        return;
    };
    let reports: Api<BaselineReport> = Api::namespaced(context.client.clone(), namespace);
    let done = match in_time(reports.get(BaselineReport::NAME)).await {
        Ok(report) => {
            let owner = report.metadata.uid.unwrap_or_default();
            let wanted = made(form, namespace, &owner, &report.status.unwrap_or_default());
            bring(context, form, namespace, &owner, wanted).await
        }
        Err(error) => Err(error),
    };
    let Err(error) = done else { return };
    let wait = match judge(&error) {
        // The namespace, its report or the whole kind went.
        Failed::Gone => {
            context.policy_reports.known.lock().forget(namespace);
            return;
        }
        Failed::Conflict => CONFLICT,
        failed => {
            context.metrics.policy_report_failures.inc();
            tracing::warn!(%namespace, kind = form.kind, ?failed, "the policy report could not be written");
            match failed {
                Failed::Blocked(_) => REFUSED,
                failed => failed.wait(RETRY),
            }
        }
    };
    context.policy_reports.known.lock().in_doubt(namespace);
    context
        .queue
        .push_after(Key::PolicyReport(namespace.clone()), Lane::Record, wait);
}

fn api(context: &Context, form: &Form, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(context.client.clone(), namespace, &form.resource())
}

/// Brings what is there to what is wanted.
async fn bring(
    context: &Context,
    form: &Form,
    namespace: &str,
    owner: &str,
    wanted: Option<Value>,
) -> kube::Result<()> {
    let digest = wanted.as_ref().map(meaning);
    let (differs, version) = {
        let known = context.policy_reports.known.lock();
        (known.differs(namespace, digest), known.version(namespace))
    };
    let api = api(context, form, namespace);
    match (wanted, digest) {
        _ if !differs => Ok(()),
        (Some(object), Some(digest)) => write(context, &api, namespace, (object, digest), version).await,
        _ => remove(context, &api, namespace, owner).await,
    }
}

async fn write(
    context: &Context,
    api: &Api<DynamicObject>,
    namespace: &str,
    (object, digest): (Value, Digest),
    known: Option<String>,
) -> kube::Result<()> {
    context.policy_reports.known.lock().writes(namespace, digest);
    let mut written = put(api, object.clone(), known).await;
    if let Err(error) = &written
        && matches!(judge(error), Failed::Conflict | Failed::Gone)
    {
        // It is not as it was thought to be, or the namespace is gone.
        let there = in_time(api.get_metadata_opt(NAME)).await?;
        written = put(api, object, there.and_then(|there| there.metadata.resource_version)).await;
    }
    let version = written?.metadata.resource_version.unwrap_or_default();
    context.policy_reports.known.lock().seen(namespace, &version, digest);
    Ok(())
}

/// Replaces the object of this version, or creates it where there is none.
async fn put(api: &Api<DynamicObject>, mut object: Value, version: Option<String>) -> kube::Result<DynamicObject> {
    if let Some(version) = &version {
        object["metadata"]["resourceVersion"] = json!(version);
    }
    let object: DynamicObject = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    match version {
        Some(_) => in_time(api.replace(NAME, &params(), &object)).await,
        None => in_time(api.create(&params(), &object)).await,
    }
}

/// Removes the report of a namespace that no baseline holds any more: only what refers by UID to that namespace's own
/// BaselineReport, and only as it was just read.
async fn remove(context: &Context, api: &Api<DynamicObject>, namespace: &str, owner: &str) -> kube::Result<()> {
    if let Some(there) = in_time(api.get_metadata_opt(NAME)).await?
        && owners(&there.metadata).any(|uid| uid == owner)
    {
        delete(api, &there.metadata).await?;
    }
    context.policy_reports.known.lock().forget(namespace);
    Ok(())
}

async fn delete(api: &Api<DynamicObject>, seen: &ObjectMeta) -> kube::Result<()> {
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
        }),
        ..DeleteParams::background()
    };
    match in_time(api.delete(NAME, &params)).await {
        Err(error) if judge(&error) == Failed::Gone => Ok(()),
        done => done.map(drop),
    }
}

/// The UIDs of the BaselineReports that an object says it was made from.
fn owners(metadata: &ObjectMeta) -> impl Iterator<Item = &str> {
    let ours = |version: &str| version.split_once('/').is_some_and(|(group, _)| group == GROUP);
    metadata
        .owner_references
        .iter()
        .flatten()
        .filter(move |owner| owner.kind == "BaselineReport" && ours(&owner.api_version))
        .map(|owner| owner.uid.as_str())
}

/// Removes what was written in another form, where the cluster has that too: whoever reads both would count all twice.
pub async fn clear(context: &Context, form: &Form) {
    let all: Api<DynamicObject> = Api::all_with(context.client.clone(), &form.resource());
    let mut page = ListParams::default()
        .fields(&format!("metadata.name={NAME}"))
        .limit(PAGE);
    loop {
        let list = match in_time(all.list_metadata(&page)).await {
            Ok(list) => list,
            Err(error) => {
                context.metrics.policy_report_failures.inc();
                tracing::warn!(
                    kind = form.kind,
                    error = in_full(&error),
                    "what was written in this form could not be listed, and stays"
                );
                return;
            }
        };
        for object in list.items.iter().map(|object| &object.metadata) {
            let namespace = object.namespace.as_deref().unwrap_or_default();
            let seen = context.index.lock().report(namespace);
            if seen.is_some_and(|seen| owners(object).any(|uid| uid == seen.uid))
                && let Err(error) = delete(&api(context, form, namespace), object).await
            {
                context.metrics.policy_report_failures.inc();
                tracing::warn!(%namespace, kind = form.kind, error = in_full(&error), "a report in this form could not be removed");
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return,
        }
    }
}
