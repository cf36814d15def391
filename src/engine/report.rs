//! Writing a namespace's report: whole, by one request, and only when it means something else than before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use kube::api::PostParams;
use kube::core::PartialObjectMeta;
use kube::core::request::Request as Resource;
use kube::{Api, Client};
use tokio::time::Instant;

use super::Context;
use super::baselines::PATIENCE;
use super::errors::{Failed, judge};
use super::events::Troubles;
use super::exceptions::tell_exceptions;
use super::index::{ReportSeen, Sent};
use super::policy_reports;
use super::queue::{Key, Lane};
use super::work::{in_time, observe};
use crate::api::v1alpha1::{BaselineReport, BaselineReportFields, BaselineReportStatus};
use crate::core::gate;
use crate::core::object::{Digest, FIELD_MANAGER, IGNORE_UPDATES};
use crate::core::settle::{Attempt, continued, excluded, meaning, settle};

/// The pause before a report that could not be written is tried again; a longer one where it was refused.
const RETRY: Duration = Duration::from_secs(5);
const REFUSED: Duration = Duration::from_secs(60);
/// Asks for an object's metadata instead of the object
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches>).
const METADATA_ALONE: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// How soon work that a report comes upon is done.
const HAND_ON: Duration = Duration::from_millis(20);
/// How long a conflicting report waits for the watch to bring the newer one.
const CONFLICT: Duration = Duration::from_millis(200);

/// Settles a namespace and writes its report.
pub async fn report(context: &Arc<Context>, name: &Arc<str>, lane: Lane) {
    if context.index.lock().to_be_let_go(name) {
        return let_go(context, name, lane).await;
    }
    // Whoever asked to be left alone means every request.
    if let Some(wait) = context.index.lock().left_alone(name) {
        context.queue.push_after(Key::Namespace(name.clone()), lane, wait);
        return;
    }
    let Some((world, plan)) = observe(context, name, false).await else {
        return;
    };
    if world.namespace.terminating {
        return;
    }
    let (settled, attempt, seen) = {
        let mut index = context.index.lock();
        let verdict = gate::judge(index.fleet());
        // What is seen first by a read for this report is told by it, and counted.
        let drifted = index.update_attempt(name, |attempt| attempt.saw(&world, &plan));
        context.metrics.drifted(&drifted);
        let attempt = index.attempt(name);
        let settled = settle(&world, &plan, &attempt, verdict);
        // A read for this report may have been the first to see a change; its event is nothing new then. What is still to
        // be looked at before it is enforced waits for nothing else. (What failed is tried again by its own pause.)
        let to_do = !plan.actions.is_empty() || !plan.unchecked.is_empty();
        if verdict == gate::Verdict::Go && attempt.failures.is_empty() && to_do {
            context
                .queue
                .push_after(Key::Namespace(name.clone()), Lane::Repair, HAND_ON);
        }
        tell_exceptions(context, index.waived(&world, &plan, &attempt));
        let told = index.settled(name, &settled);
        for baseline in told {
            context
                .queue
                .push_after(Key::Baseline(baseline), Lane::Status, PATIENCE);
        }
        (settled, attempt, index.report(name))
    };
    let told = meaning(&settled.report);
    if let Some(seen) = seen.as_ref().filter(|seen| seen.meaning == told) {
        return policy_reports::follow(context, name, lane, &seen.uid, &settled.report);
    }
    let before = seen.as_ref().map(|seen| seen.troubles).unwrap_or_default();
    context.index.lock().sends(name, Some(Sent::Report(told)));
    let began = Instant::now();
    let done = write(context, name, settled.report, &attempt, seen).await;
    let answered = !matches!(done.as_ref().map_err(judge), Err(Failed::Transient(..)));
    context.queue.answered(answered, began.elapsed());
    take_up(context, (name, lane), (&attempt, before), told, done);
    if answered {
        context.index.lock().sends(name, None);
    }
}

/// Says in the report of a namespace that the configuration excludes that nobody looks after it any more.
async fn let_go(context: &Context, name: &Arc<str>, lane: Lane) {
    let before = context
        .index
        .lock()
        .report(name)
        .map(|seen| seen.troubles)
        .unwrap_or_default();
    let api: Api<BaselineReport> = Api::namespaced(context.client.clone(), name);
    let (told, done) = match in_time(api.get(BaselineReport::NAME)).await {
        Ok(mut report) => {
            let status = excluded(report.status.take().unwrap_or_default(), context.clock.now());
            (meaning(&status), replace(api.clone(), report, status).await)
        }
        Err(error) => (Digest::unseen(), Err(error)),
    };
    take_up(context, (name, lane), (&Attempt::default(), before), told, done);
}

/// Takes up what came of writing a report that means this.
fn take_up(
    context: &Context,
    (name, lane): (&Arc<str>, Lane),
    (attempt, before): (&Attempt, Troubles),
    told: Digest,
    done: kube::Result<Written>,
) {
    let error = match done {
        Ok(written) => {
            context.metrics.reports.inc();
            let mut index = context.index.lock();
            let stands = index.report_written(name, &written.uid, &written.version, told, &written.status);
            drop(index);
            if !stands {
                let key = Key::Namespace(name.clone());
                context.queue.push_after(key, Lane::Report, CONFLICT);
            }
            context.events.drift(name, &written.uid, attempt);
            context.events.troubles(name, &written.uid, before, &written.status);
            policy_reports::follow(context, name, lane, &written.uid, &written.status);
            return;
        }
        Err(error) => error,
    };
    let wait = match judge(&error) {
        // Most likely the namespace is, and then nothing is looked at. Or else an API server does not serve the kind, yet
        // or any more.
        Failed::Gone => REFUSED,
        Failed::Conflict => CONFLICT,
        failed @ (Failed::Blocked(_) | Failed::Webhook(_) | Failed::Transient(..)) => {
            context.metrics.status_failures.inc();
            tracing::warn!(namespace = %name, ?failed, "the report could not be written");
            if let Failed::Transient(_, Some(after)) = failed {
                context.index.lock().leave_alone(name, after);
            }
            match failed {
                Failed::Blocked(_) => REFUSED,
                failed => failed.wait(RETRY),
            }
        }
    };
    context
        .queue
        .push_after(Key::Namespace(name.clone()), Lane::Report, wait);
}

/// A report as it was written.
struct Written {
    uid: String,
    version: String,
    status: BaselineReportStatus,
}

async fn write(
    context: &Context,
    namespace: &str,
    mut status: BaselineReportStatus,
    attempt: &Attempt,
    seen: Option<ReportSeen>,
) -> kube::Result<Written> {
    let api: Api<BaselineReport> = Api::namespaced(context.client.clone(), namespace);
    let mut report = BaselineReport::new(BaselineReport::NAME, BaselineReportFields {});
    report.metadata.labels = Some(labels());
    report.metadata.annotations = Some([(IGNORE_UPDATES.to_owned(), "true".to_owned())].into());
    let Some(seen) = seen else {
        report.status = Some(status.clone());
        let body = serde_json::to_vec(&report).map_err(kube::Error::SerdeError)?;
        let request = Resource::new(api.resource_url()).create(&params(), body);
        return sent(api.into_client(), request, status).await;
    };
    if seen.continued {
        // The index keeps the ledger's totals; its records are only in the report itself.
        let old = in_time(api.get(BaselineReport::NAME)).await?;
        status = continued(status, old.status.unwrap_or_default(), attempt);
    }
    report.metadata.uid = Some(seen.uid);
    report.metadata.resource_version = Some(seen.resource_version);
    replace(api, report, status).await
}

async fn replace(
    api: Api<BaselineReport>,
    mut report: BaselineReport,
    status: BaselineReportStatus,
) -> kube::Result<Written> {
    report.status = Some(status.clone());
    let body = serde_json::to_vec(&report).map_err(kube::Error::SerdeError)?;
    let request = Resource::new(api.resource_url()).replace(BaselineReport::NAME, &params(), body);
    sent(api.into_client(), request, status).await
}

/// Sends a report. Of what the API server stored only the metadata is asked for: to write out a whole report once more
/// costs it more than anything else of the request.
async fn sent(
    client: Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    status: BaselineReportStatus,
) -> kube::Result<Written> {
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static(METADATA_ALONE));
    let reply: PartialObjectMeta<BaselineReport> = in_time(client.request(request)).await?;
    Ok(Written {
        uid: reply.metadata.uid.unwrap_or_default(),
        version: reply.metadata.resource_version.unwrap_or_default(),
        status,
    })
}

/// The labels of a report.
pub fn labels() -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "security-baseline"),
        ("app.kubernetes.io/component", "report"),
        ("app.kubernetes.io/part-of", FIELD_MANAGER),
        ("app.kubernetes.io/managed-by", FIELD_MANAGER),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// How a report is written.
pub fn params() -> PostParams {
    PostParams {
        dry_run: false,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}
