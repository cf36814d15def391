//! The policies that are broken and repaired, and a watch of them: the ruler of repairs, for both sides.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::reference::version;
use crate::wire::{Call, Connection, Lines, Target};

/// The NetworkPolicies of all namespaces.
pub const POLICIES: &str = "/apis/networking.k8s.io/v1/networkpolicies";

/// The policy that is broken and repaired.
pub const DENY: &str = "security-baseline-default-deny-ingress";

/// Whether a line of a watch is about an object of this name: cheaper than taking it apart.
pub fn about(line: &[u8], name: &str) -> bool {
    let wanted = format!("\"name\":\"{name}\"");
    // The name stands at the head of the metadata.
    let head = &line[..line.len().min(400)];
    head.windows(wanted.len()).any(|part| part == wanted.as_bytes())
}

/// Whether a policy allows everything by an empty rule.
pub fn opened(policy: &Value) -> bool {
    let rules = policy["spec"]["ingress"].as_array();
    rules.is_some_and(|rules| {
        rules
            .iter()
            .any(|rule| rule.as_object().is_some_and(serde_json::Map::is_empty))
    })
}

/// Whether a write failed because the object is not as it was any more.
pub fn raced(error: &anyhow::Error) -> bool {
    let text = error.to_string();
    text.contains(": 409 ") || text.contains(": 404 ")
}

/// What became of a policy, and when that was seen.
#[derive(Debug)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// Of which namespace.
    pub namespace: String,
    /// Whether it is there, and as asked for.
    pub whole: bool,
}

/// A watch of the deny policies. Both a change and its repair come by it, so that its delay is in neither's favour.
pub struct Ruler {
    seen: mpsc::UnboundedReceiver<Result<Seen>>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Ruler {
    /// Begins to watch.
    pub async fn begin(target: &Target) -> Result<Self> {
        let mut connection = Connection::open(target).await?;
        let uri = format!(
            "{POLICIES}?watch=true&resourceVersion={}",
            version(&mut connection).await?
        );
        let mut lines = Lines::new(connection.begin(&Call::get(uri)).await?.into_body());
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Its end closes the connection.
            let _connection = connection;
            while let Some(text) = lines.next().await.transpose() {
                let at = Instant::now();
                let text = match text {
                    Ok(text) => text,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                for line in text.split(|byte| *byte == b'\n') {
                    if about(line, DENY) && tell.send(read(line, at)).is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Self { seen })
    }

    /// Waits until the policy of a namespace is broken and whole again, and answers how long it was broken.
    pub async fn repaired(&mut self, namespace: &str, patience: Duration) -> Result<Duration> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut broken = None;
        loop {
            let seen = tokio::time::timeout_at(deadline, self.seen.recv()).await;
            let Some(seen) = seen.with_context(|| format!("{namespace} is not repaired, broken: {broken:?}"))? else {
                bail!("the watch of policies has ended");
            };
            let seen = seen?;
            if seen.namespace != namespace {
                continue;
            }
            match (seen.whole, broken) {
                (false, None) => broken = Some(seen.at),
                (true, Some(since)) => return Ok(seen.at - since),
                _ => {}
            }
        }
    }
}

fn read(line: &[u8], at: Instant) -> Result<Seen> {
    let event: Event = serde_json::from_slice(line)?;
    Ok(Seen {
        at,
        namespace: event.object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        whole: event.kind != "DELETED" && !opened(&event.object),
    })
}
