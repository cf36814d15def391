//! Kubernetes events: on transitions, never many, and never in the way of the work: they wait in a bounded line of their
//! own, and what does not fit is dropped (status, reports and metrics tell it too).

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::work::in_time;
use crate::api::GROUP;
use crate::api::v1alpha1::{BaselineExceptionStatus, BaselineReport, DriftRecord, SecurityBaselineStatus};
use crate::controls;
use crate::core::object::FIELD_MANAGER;
use crate::core::text::bounded;

/// How many events may come at once, and how many a second after that: a storm of drift is told by metrics and reports.
const BURST: f64 = 25.0;
const PER_SECOND: f64 = 2.0;
/// How many events may wait to be published.
const WAITING: usize = 64;
/// How many objects of one report are told of by an event each.
const OBJECTS: usize = 5;

/// Takes events in.
pub struct Events {
    line: Sender<(ObjectReference, Event)>,
}

/// Publishes the events that were taken in.
pub struct Publisher {
    line: Receiver<(ObjectReference, Event)>,
    recorder: Recorder,
}

/// Events, and what publishes them by this client.
pub fn events(client: Client) -> (Events, Publisher) {
    let reporter = Reporter {
        controller: FIELD_MANAGER.to_owned(),
        instance: std::env::var("POD_NAME").ok(),
    };
    let (sender, receiver) = channel(WAITING);
    let publisher = Publisher {
        line: receiver,
        recorder: Recorder::new(client, reporter),
    };
    (Events { line: sender }, publisher)
}

impl Publisher {
    /// Publishes for ever.
    pub async fn run(mut self) {
        let (mut allowance, mut since) = (BURST, Instant::now());
        while let Some((regarding, event)) = self.line.recv().await {
            allowance = (allowance + since.elapsed().as_secs_f64() * PER_SECOND).min(BURST);
            since = Instant::now();
            if allowance < 1.0 {
                continue;
            }
            allowance -= 1.0;
            if let Err(error) = in_time(self.recorder.publish(&event, &regarding)).await {
                tracing::warn!(%error, reason = event.reason, "an event could not be published");
            }
        }
    }
}

impl Events {
    /// Tells how a baseline's conditions changed.
    pub fn transitions(&self, name: &str, uid: &str, before: &SecurityBaselineStatus, after: &SecurityBaselineStatus) {
        let regarding = ours("SecurityBaseline", name, uid);
        for condition in &after.conditions {
            let stood = before.conditions.iter().find(|c| c.type_ == condition.type_);
            let stood = stood.map_or(("False", ""), |c| (c.status.as_str(), c.reason.as_str()));
            let now = (condition.status.as_str(), condition.reason.as_str());
            // Ready tells every change of its reason; the others tell when they begin and when they end.
            let news = match condition.type_.as_str() {
                "Ready" => stood != now,
                "Stalled" => stood.0 != now.0 || (now.0 == "True" && stood.1 != now.1),
                "Drifted" | "Degraded" | "Contested" => stood.0 != now.0,
                _ => false,
            };
            if !news {
                continue;
            }
            // Ready tells what the others warn of.
            let warns = condition.type_ != "Ready" && now.0 == "True";
            self.tell(
                &regarding,
                None,
                warns,
                (&condition.reason, &condition.type_, &condition.message),
            );
        }
    }

    /// Tells how an exception stands where that changed, and that it ends soon.
    pub fn exception(&self, name: &str, uid: &str, before: &BaselineExceptionStatus, after: &BaselineExceptionStatus) {
        let regarding = ours("BaselineException", name, uid);
        for condition in &after.conditions {
            let stood = before.conditions.iter().find(|c| c.type_ == condition.type_);
            let (told, warns) = match (condition.type_.as_str(), condition.reason.as_str()) {
                ("Active", "Active" | "Expired") => (true, false),
                ("Active", "MatchesNothing" | "Refused") => (true, true),
                ("ExpiringSoon", _) => (condition.status == "True", true),
                _ => (false, false),
            };
            if told && stood.is_none_or(|stood| stood.reason != condition.reason) {
                let what = (&*condition.reason, &*condition.type_, &*condition.message);
                self.tell(&regarding, None, warns, what);
            }
        }
    }

    /// Tells a tenant of drift that was repaired in its namespace: one event for each object.
    pub fn drift(&self, namespace: &str, uid: &str, records: &[DriftRecord]) {
        let regarding = ObjectReference {
            namespace: Some(namespace.to_owned()),
            ..ours("BaselineReport", BaselineReport::NAME, uid)
        };
        let mut told: Vec<&str> = Vec::new();
        for record in records {
            if told.contains(&record.object.as_str()) || told.len() == OBJECTS {
                continue;
            }
            told.push(&record.object);
            let what = if record.path.is_empty() {
                "it was deleted".to_owned()
            } else {
                format!("{} was changed", record.path)
            };
            let note = format!(
                "{}: {what}, and is repaired; claimed by {}",
                record.object, record.claimed_by
            );
            // The object goes along: events of one reason on one report would else be taken for one and the same.
            let related = related(namespace, &record.object);
            self.tell(&regarding, related, true, ("DriftRepaired", "Repair", &note));
        }
    }

    fn tell(
        &self,
        regarding: &ObjectReference,
        secondary: Option<ObjectReference>,
        warns: bool,
        (reason, action, note): (&str, &str, &str),
    ) {
        let event = Event {
            type_: if warns { EventType::Warning } else { EventType::Normal },
            reason: bounded(reason, 128),
            note: Some(bounded(note, 1000)),
            action: bounded(action, 128),
            secondary,
        };
        // A full line means that there is a storm, which other things tell better.
        let _ = self.line.try_send((regarding.clone(), event));
    }
}

fn ours(kind: &str, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/v1alpha1")),
        kind: Some(kind.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

/// The object that is shown as kind/name.
fn related(namespace: &str, object: &str) -> Option<ObjectReference> {
    let (kind, name) = object.split_once('/')?;
    let child = controls::kind_named(kind);
    Some(ObjectReference {
        api_version: Some(child.map_or_else(|| "v1".to_owned(), |k| k.api_version())),
        kind: Some(kind.to_owned()),
        name: Some(name.to_owned()),
        namespace: child.map(|_| namespace.to_owned()),
        ..ObjectReference::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_in_an_event_is_named_in_full() {
        let policy = related("team-a", "NetworkPolicy/security-baseline-x").unwrap();
        assert_eq!(policy.api_version.as_deref(), Some("networking.k8s.io/v1"));
        assert_eq!(policy.namespace.as_deref(), Some("team-a"));
        let namespace = related("team-a", "Namespace/team-a").unwrap();
        assert_eq!(
            (namespace.api_version.as_deref(), namespace.namespace),
            (Some("v1"), None)
        );
    }
}
