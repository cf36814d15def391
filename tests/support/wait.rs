//! Awaiting what should come true.

use std::{
    fmt::Debug,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Error, Result, anyhow};
use futures::StreamExt;
use kube::{Api, Resource, runtime::watcher::watch_object};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout_at};

/// Between two attempts at something that can only be polled, or after a watch broke.
const PAUSE: Duration = Duration::from_millis(25);

/// Tries until `attempt` succeeds, for what no watch can tell. Prefer [`watch_until`] for objects.
///
/// # Errors
/// When no attempt has succeeded within `timeout`: `what`, and the error of the last attempt.
pub async fn eventually<T>(what: &str, timeout: Duration, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut last = anyhow!("the first attempt did not end");
    while Instant::now() < deadline {
        match timeout_at(deadline, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = error,
            Err(_) => break,
        }
        sleep(PAUSE).await;
    }
    Err(last.context(format!("not within {timeout:?}: {what}")))
}

/// Watches one object until `predicate` holds for it, and answers with it as it is then. Broken watches are begun
/// again, so that this also works across a restart of the API server.
///
/// # Errors
/// When the predicate has not held within `timeout`: `what`, and the object as it was last seen.
pub async fn watch_until<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    timeout: Duration,
    mut predicate: impl FnMut(&K) -> bool,
) -> Result<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let found = observe(api, name, what, timeout, |seen| seen.is_some_and(&mut predicate)).await?;
    found.with_context(|| format!("{name} is gone"))
}

/// Watches one object until it is gone, which it may be from the beginning.
///
/// # Errors
/// When it still exists after `timeout`: the object as it was last seen.
pub async fn watch_gone<K>(api: &Api<K>, name: &str, timeout: Duration) -> Result<()>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    observe(api, name, "is gone", timeout, |seen| seen.is_none())
        .await
        .map(drop)
}

async fn observe<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    timeout: Duration,
    mut predicate: impl FnMut(Option<&K>) -> bool,
) -> Result<Option<K>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize + Send + 'static,
{
    let deadline = Instant::now() + timeout;
    let mut last: Option<K> = None;
    let mut trouble: Option<Error> = None;
    let mut events = pin!(watch_object(api.clone(), name));
    while Instant::now() < deadline {
        match timeout_at(deadline, events.next()).await {
            Ok(Some(Ok(seen))) if predicate(seen.as_ref()) => return Ok(seen),
            Ok(Some(Ok(seen))) => last = seen,
            Ok(Some(Err(error))) => {
                trouble = Some(error.into());
                sleep(PAUSE).await;
            }
            Ok(None) => return Err(anyhow!("the watch of {name} ended")),
            Err(_) => break,
        }
    }
    let seen = match &last {
        Some(object) => serde_json::to_string_pretty(object)?,
        None => "nothing".to_owned(),
    };
    let trouble = trouble
        .map(|error| format!("; the watch last broke with: {error:#}"))
        .unwrap_or_default();
    Err(anyhow!(
        "not within {timeout:?}: {name} {what}{trouble}; last seen: {seen}"
    ))
}

/// A name that no other test of this process has, `prefix` and a number.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "{prefix}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
