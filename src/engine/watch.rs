//! One watch for each kind, for ever: it lists, watches, and begins again with a backoff of its own when it breaks.
//!
//! What a watch does not tell is found by a list of everything, every few hours: events are lost by proxies that hang, by
//! API servers with a stale cache, by mistakes here.
//!
//! kube's own backoff resets on the first event of a new list attempt, and so never grows against a dead server; ours
//! resets only after a watch has lived.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::jiff::SignedDuration;
use kube::api::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Context;
use super::client::HEAD;
use super::errors::{BELIEVED, Failed, in_full, judge};
use super::index::Last;
use super::seen::Seen;

/// How long a watch has to live before a break counts as the first one again.
const LIVED: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long an attempt may take to fail, where something answers.
const ATTEMPT: Duration = Duration::from_secs(6);
/// How many objects are listed at a time.
const PAGE: u32 = 100;

/// Takes up what a watch sees.
pub trait Sink: Send + Sync + 'static {
    /// Whether objects of this name concern the sink. The others are not even taken apart.
    fn concerns(&self, _name: &str) -> bool {
        true
    }
    /// Whether an object is known as of this very version: then there is nothing in it to see.
    fn knows(&self, _context: &Context, _namespace: &str, _name: &str, _version: &str) -> bool {
        false
    }
    /// An object is there, or changed.
    fn applied(&self, context: &Context, object: Value);
    /// An object is gone.
    fn deleted(&self, context: &Context, namespace: &str, name: &str, last: Last<'_>);
    /// An object is known, and a list did not show it.
    fn unlisted(&self, context: &Context, namespace: &str, name: &str) {
        self.deleted(context, namespace, name, Last::default());
    }
    /// All objects are listed anew.
    fn listed_anew(&self, _: &Context) {}
    /// A list is complete, and what it did not show was taken up.
    fn listed(&self, _: &Context) {}
    /// What is known to be there and was not shown by a list, as namespace and name: it is gone.
    fn unshown(&self, context: &Context, shown: &Shown) -> Vec<(String, String)>;
}

/// What a list has shown: of each object a digest of its namespace and name under a key of this process, since there may
/// be a hundred thousand. (That two of them have the same one, so that the end of one of them is missed until the next
/// list, is less likely than one in a thousand million.)
#[derive(Default)]
pub struct Shown {
    digests: HashSet<u64>,
    key: RandomState,
}

impl Shown {
    /// Whether an object was shown.
    pub fn has(&self, namespace: &str, name: &str) -> bool {
        self.digests.contains(&self.key.hash_one((namespace, name)))
    }

    fn add(&mut self, (namespace, name): &(String, String)) {
        let digest = self.key.hash_one((namespace.as_str(), name.as_str()));
        self.digests.insert(digest);
    }
}

/// What is watched.
pub struct Watched {
    /// The kind.
    pub resource: ApiResource,
    /// Where: everywhere, or in one namespace.
    pub namespace: Option<String>,
    /// Which of its objects.
    pub config: watcher::Config,
    /// The watch's name in logs and metrics.
    pub name: &'static str,
    /// Whether nothing can be judged before it has listed. Without one that is not needed, what depends on it is held.
    pub needed: bool,
}

/// Whether a watch has listed once, and whether it is connected now.
#[derive(Default)]
pub struct Progress {
    listed: AtomicBool,
    /// Whether it is not to be had: there is no such kind, or we may not see it.
    refused: AtomicBool,
    /// Until when the last error counts: a new attempt that works says nothing until something happens in the cluster,
    /// but one that does not work fails within seconds, or, where nothing answers, as late as the one before.
    broken_until: Mutex<Option<Instant>>,
    changed: Notify,
}

impl Progress {
    /// Waits until the first list is in.
    pub async fn listed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_listed() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until the first list is in, or it is certain that there will be none. Answers which. A list that merely fails
    /// says nothing: what it would have shown may well be there.
    pub async fn listed_or_refused(&self) -> bool {
        loop {
            let changed = self.changed.notified();
            let listed = self.is_listed();
            if listed || self.refused.load(Ordering::Acquire) {
                return listed;
            }
            changed.await;
        }
    }

    /// Whether the first list is in.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// Whether it broke, and does not work again as far as can be told.
    pub fn is_broken(&self) -> bool {
        self.broken_until.lock().is_some_and(|until| Instant::now() < until)
    }
}

/// Watches for ever; to return is an error.
pub async fn watch(context: Arc<Context>, watched: Watched, sink: Arc<dyn Sink>, progress: Arc<Progress>) {
    let api: Api<Seen> = match &watched.namespace {
        Some(namespace) => Api::namespaced_with(context.client.clone(), namespace, &watched.resource),
        None => Api::all_with(context.client.clone(), &watched.resource),
    };
    // From zero: Prometheus sees no increase in a series that begins with 1.
    context.metrics.watch_failures.with_label_values(&[watched.name]);
    let begin = || Box::pin(watcher(api.clone(), watched.config.clone().page_size(PAGE)));
    let mut stream = begin();
    // When everything is listed anew, whatever the watch tells; never while a list is under way.
    let mut verify: Option<Instant> = None;
    let mut failures = 0_u32;
    let mut refusals = 0_u32;
    // Until when a further failure counts as one more in a row.
    let mut in_a_row = Instant::now();
    // When the attempt began that follows a failed one.
    let mut began: Option<Instant> = None;
    // What a list has shown so far.
    let mut shown = Shown::default();
    loop {
        let next = match verify {
            Some(at) => tokio::time::timeout_at(at, stream.try_next()).await,
            None => Ok(stream.try_next().await),
        };
        let Ok(next) = next else {
            tracing::debug!(watch = watched.name, "everything is listed anew, to verify it");
            verify = None;
            stream = begin();
            continue;
        };
        match next {
            Ok(Some(event)) => {
                // A list that begins is no sign of life: it begins before the API server answers.
                if !matches!(event, Event::Init) && progress.broken_until.lock().take().is_some() {
                    tracing::info!(watch = watched.name, "the watch works again");
                }
                match event {
                    Event::Init => {
                        verify = None;
                        shown = Shown::default();
                        sink.listed_anew(&context);
                    }
                    Event::InitApply(object) | Event::Apply(object) | Event::Delete(object)
                        if !sink.concerns(&place(&object).1) => {}
                    Event::InitApply(object) => {
                        shown.add(&place(&object));
                        see(&context, &*sink, object);
                    }
                    Event::InitDone => {
                        for (namespace, name) in sink.unshown(&context, &shown) {
                            sink.unlisted(&context, &namespace, &name);
                        }
                        sink.listed(&context);
                        shown = Shown::default();
                        verify = verification(context.config.verification_interval, context.clock.jitter());
                        let verified = context.metrics.verified.with_label_values(&[watched.name]);
                        verified.set(context.clock.now().as_second());
                        progress.listed.store(true, Ordering::Release);
                        progress.changed.notify_waiters();
                    }
                    Event::Apply(object) => see(&context, &*sink, object),
                    Event::Delete(object) => {
                        let (namespace, name) = place(&object);
                        let last = Last {
                            uid: object.meta().uid.as_deref(),
                            version: object.meta().resource_version.as_deref(),
                        };
                        sink.deleted(&context, &namespace, &name, last);
                    }
                }
            }
            // kube's watch stream never ends. If it did, the operator would go on half blind: it ends instead.
            Ok(None) => return,
            Err(error) => {
                failures = if Instant::now() < in_a_row {
                    failures.saturating_add(1)
                } else {
                    1
                };
                let pause = pause(failures, context.clock.jitter());
                in_a_row = Instant::now() + pause + LIVED;
                let took = began.map(|began| began.elapsed());
                let hung = took.filter(|took| never_began(&error) && *took < HEAD + ATTEMPT);
                *progress.broken_until.lock() = Some(Instant::now() + pause + ATTEMPT + hung.unwrap_or_default());
                refusals = if is_refused(&error) {
                    refusals.saturating_add(1)
                } else {
                    0
                };
                if refusals >= BELIEVED {
                    progress.refused.store(true, Ordering::Release);
                    progress.changed.notify_waiters();
                }
                context.metrics.watch_failures.with_label_values(&[watched.name]).inc();
                tracing::warn!(
                    watch = watched.name,
                    error = in_full(&error),
                    ?pause,
                    "the watch broke; it begins again"
                );
                tokio::time::sleep(pause).await;
                began = Some(Instant::now());
            }
        }
    }
}

/// Has an object taken up, unless it is known already.
fn see(context: &Context, sink: &dyn Sink, object: Seen) {
    let metadata = object.meta();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (namespace, name) = place(&object);
    if !sink.knows(context, &namespace, &name, &text(&metadata.resource_version)) {
        sink.applied(context, object.into_value());
    }
}

/// Whether a list was refused, as against failed: there is no such kind, or we may not see it.
fn is_refused(error: &watcher::Error) -> bool {
    let watcher::Error::InitialListFailed(error) = error else {
        return false;
    };
    matches!(judge(error), Failed::Gone | Failed::Blocked(_))
}

/// Whether an attempt failed before anything came of it, as against one that worked until then.
fn never_began(error: &watcher::Error) -> bool {
    matches!(
        error,
        watcher::Error::InitialListFailed(_) | watcher::Error::WatchStartFailed(_)
    )
}

/// How long to wait after so many failures in a row: doubling from [`FIRST_PAUSE`] to [`LONGEST_PAUSE`], and up to half
/// of it less, so that a fleet of watches does not come back in one moment.
fn pause(failures: u32, jitter: f64) -> Duration {
    let full = FIRST_PAUSE
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE);
    full.mul_f64(1.0 - jitter / 2.0)
}

/// When what was just listed is listed again, if ever: up to a tenth earlier than stated, so that the kinds do not come
/// together.
fn verification(interval: SignedDuration, jitter: f64) -> Option<Instant> {
    let interval = interval.unsigned_abs();
    (!interval.is_zero()).then(|| Instant::now() + interval.mul_f64(1.0 - jitter / 10.0))
}

fn place(object: &Seen) -> (String, String) {
    let metadata = object.meta();
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use kube::Client;
    use kube::core::GroupVersionKind;

    use super::*;
    use crate::engine::testing::context;

    struct Blind;

    impl Sink for Blind {
        fn applied(&self, _: &Context, _: Value) {}
        fn deleted(&self, _: &Context, _: &str, _: &str, _: Last<'_>) {}
        fn unshown(&self, _: &Context, _: &Shown) -> Vec<(String, String)> {
            Vec::new()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_never_answered_is_broken_all_the_time_and_not_only_between_its_attempts() {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            tokio::time::sleep(HEAD).await;
            Err::<http::Response<kube::client::Body>, _>("no answer")
        });
        let context = Arc::new(context(Client::new(service, "default")));
        let watched = Watched {
            resource: ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
            namespace: None,
            config: watcher::Config::default(),
            name: "namespaces",
            needed: true,
        };
        let progress = Arc::<Progress>::default();
        tokio::spawn(watch(context, watched, Arc::new(Blind), progress.clone()));
        // Only that the first attempts take long tells that the next one will.
        tokio::time::sleep(HEAD * 3).await;
        for second in 0..600 {
            assert!(progress.is_broken(), "after {second} s");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_are_spread() {
        assert_eq!(pause(1, 0.0), FIRST_PAUSE);
        assert_eq!(pause(2, 0.0), FIRST_PAUSE * 2);
        assert_eq!(pause(1_000_000, 0.0), LONGEST_PAUSE);
        assert_eq!(pause(1, 1.0), FIRST_PAUSE / 2);
    }
}
