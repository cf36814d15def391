//! Kubernetes events: on transitions, never many, and never in the way of the work: they wait in a bounded line of their
//! own, and what does not fit is dropped (status, reports and metrics tell it too).

mod troubles;

use std::collections::HashMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use self::troubles::Trouble;
pub use self::troubles::Troubles;
use super::errors::in_full;
use super::work::in_time;
use crate::api::GROUP;
use crate::api::v1alpha1::{BaselineExceptionStatus, BaselineReport, BaselineReportStatus, SecurityBaselineStatus};
use crate::controls;
use crate::core::object::FIELD_MANAGER;
use crate::core::settle::Attempt;
use crate::core::text::bounded;

/// How many events may come at once, and how many a second after that: a storm of drift is told by metrics and reports.
/// And how many for one namespace: one noisy tenant is not to take the events of all others.
const HAPPENED: Rates = Rates {
    all: Rate {
        burst: 25.0,
        per_second: 2.0,
    },
    each: Rate {
        burst: 5.0,
        per_second: 1.0 / 30.0,
    },
};
/// The same for how namespaces stand, which changes in all of them at once where a baseline or the cluster changes: the
/// baseline's own event counts them, and some namespaces are told. They have a share of their own, so that neither these
/// nor drift takes the other's.
const STANDS: Rates = Rates {
    all: Rate {
        burst: 20.0,
        per_second: 1.0 / 30.0,
    },
    each: Rate {
        burst: 6.0,
        per_second: 1.0 / 120.0,
    },
};
/// The same for how baselines and exceptions stand: there are few, and what their events tell counts all namespaces.
const DECLARED: Rates = Rates {
    all: Rate {
        burst: 25.0,
        per_second: 1.0,
    },
    // They are about no namespace.
    each: Rate {
        burst: 0.0,
        per_second: 0.0,
    },
};
/// How many namespaces are told apart for that; beyond it, the share of all is what bounds them.
const MOST_EACH: usize = 1024;
/// How many events may wait to be published, and how many of these places are kept for baselines and exceptions: where
/// the API server is slow, what happens in namespaces fills the rest.
const WAITING: usize = 64;
const KEPT: usize = 16;
/// How many objects of one report are told of by an event each.
const OBJECTS: usize = 5;

/// Takes events in.
pub struct Events {
    line: Sender<Waiting>,
}

/// An event that waits to be published.
struct Waiting {
    regarding: ObjectReference,
    event: Event,
    share: Share,
}

/// Whose share an event takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// That of how baselines and exceptions stand.
    Declared,
    /// That of what happened in namespaces.
    Happened,
    /// That of how namespaces stand.
    Stands,
}

/// Publishes the events that were taken in.
pub struct Publisher {
    line: Receiver<Waiting>,
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
        let mut declared = Shares::of(DECLARED);
        let (mut happened, mut stands) = (Shares::of(HAPPENED), Shares::of(STANDS));
        while let Some(Waiting {
            regarding,
            event,
            share,
        }) = self.line.recv().await
        {
            let shares = match share {
                Share::Declared => &mut declared,
                Share::Happened => &mut happened,
                Share::Stands => &mut stands,
            };
            if !shares.take(regarding.namespace.as_deref()) {
                continue;
            }
            if let Err(error) = in_time(self.recorder.publish(&event, &regarding)).await {
                tracing::warn!(
                    error = in_full(&error),
                    reason = event.reason,
                    "an event could not be published"
                );
            }
        }
    }
}

/// How many events may come.
#[derive(Clone, Copy)]
struct Rate {
    burst: f64,
    per_second: f64,
}

/// How many may come in all, and for each namespace.
#[derive(Clone, Copy)]
struct Rates {
    all: Rate,
    each: Rate,
}

/// What is left of a rate.
struct Left {
    left: f64,
    since: Instant,
}

impl Left {
    fn full(rate: Rate) -> Self {
        Self {
            left: rate.burst,
            since: Instant::now(),
        }
    }

    fn refill(&mut self, rate: Rate) {
        self.left = (self.left + self.since.elapsed().as_secs_f64() * rate.per_second).min(rate.burst);
        self.since = Instant::now();
    }
}

/// What is left for each namespace, and for all together.
struct Shares {
    rates: Rates,
    all: Left,
    each: HashMap<String, Left>,
}

impl Shares {
    fn of(rates: Rates) -> Self {
        Self {
            rates,
            all: Left::full(rates.all),
            each: HashMap::new(),
        }
    }

    /// Takes one event's part, if there is one left. What is about no namespace has only its part in all.
    fn take(&mut self, namespace: Option<&str>) -> bool {
        let Rates { all, each } = self.rates;
        self.all.refill(all);
        if self.all.left < 1.0 {
            return false;
        }
        if self.each.len() >= MOST_EACH {
            self.each.retain(|_, left| {
                left.refill(each);
                left.left < each.burst
            });
        }
        let room = self.each.len() < MOST_EACH;
        if let Some(namespace) = namespace.filter(|n| room || self.each.contains_key(*n)) {
            let its = self
                .each
                .entry(namespace.to_owned())
                .or_insert_with(|| Left::full(each));
            its.refill(each);
            if its.left < 1.0 {
                return false;
            }
            its.left -= 1.0;
        }
        self.all.left -= 1.0;
        true
    }
}

impl Events {
    /// Tells how a baseline's conditions changed.
    pub fn transitions(&self, name: &str, uid: &str, before: &SecurityBaselineStatus, after: &SecurityBaselineStatus) {
        let regarding = ours("SecurityBaseline", name, uid);
        let is_news = |condition: &&Condition| {
            let stood = before.conditions.iter().find(|c| c.type_ == condition.type_);
            let stood = stood.map_or(("False", ""), |c| (c.status.as_str(), c.reason.as_str()));
            let now = (condition.status.as_str(), condition.reason.as_str());
            // Ready tells every change of its reason; the others tell when they begin and when they end.
            match condition.type_.as_str() {
                "Ready" => stood != now,
                "Stalled" => stood.0 != now.0 || (now.0 == "True" && stood.1 != now.1),
                "Drifted" | "Degraded" | "Contested" => stood.0 != now.0,
                _ => false,
            }
        };
        let news: Vec<&Condition> = after.conditions.iter().filter(is_news).collect();
        let warns = |c: &Condition| c.type_ != "Ready" && c.status == "True";
        for condition in &news {
            // What another one warns of at the same time, Ready does not say once more.
            let told = |c: &&Condition| c.reason == condition.reason && warns(c);
            if condition.type_ == "Ready" && news.iter().any(told) {
                continue;
            }
            let what = (&*condition.reason, &*condition.type_, &*condition.message);
            self.tell(Share::Declared, &regarding, None, warns(condition), what);
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
                self.tell(Share::Declared, &regarding, None, warns, what);
            }
        }
    }

    /// Tells a tenant of drift in its namespace, one event for each object: of what is recorded newly, and of what was
    /// recorded earlier and is repaired now.
    pub fn drift<'a>(&self, namespace: &str, uid: &str, attempt: &'a Attempt) {
        let regarding = of_report(namespace, uid);
        let mut told: Vec<&str> = Vec::new();
        let mut tell = |object: &'a str, path: &str, reason: &str, action: &str, note: &str| {
            if told.contains(&object) || told.len() == OBJECTS {
                return;
            }
            told.push(object);
            // Object and field go along: events of one reason on one report would else be taken for one and the same.
            let related = object_reference(namespace, object, path);
            self.tell(Share::Happened, &regarding, related, true, (reason, action, note));
        };
        for record in &attempt.records {
            let what = if record.path.is_empty() {
                "it was deleted".to_owned()
            } else {
                format!("{} was changed", record.path)
            };
            let (reason, action, outcome) = match record.repaired {
                Some(_) => ("DriftRepaired", "Repair", "is repaired"),
                None => ("DriftFound", "Report", "is not repaired so far"),
            };
            let note = format!(
                "{}: {what}, and {outcome}; claimed by {}",
                record.object, record.claimed_by
            );
            tell(&record.object, &record.path, reason, action, &note);
        }
        for (object, path, seen) in attempt.mended.keys() {
            let note = format!("{object}: what departed since {seen} is repaired");
            tell(object, path, "DriftRepaired", "Repair", &note);
        }
    }

    /// Tells a tenant how its namespace stands where that changed for the worse, or is mended.
    pub fn troubles(&self, namespace: &str, uid: &str, before: Troubles, status: &BaselineReportStatus) {
        let after = Troubles::of(status);
        if before == after {
            return;
        }
        let regarding = of_report(namespace, uid);
        for trouble in Trouble::ALL {
            let reason = trouble.as_str();
            match (before.has(trouble), trouble.told(status)) {
                (false, Some(note)) => self.tell(Share::Stands, &regarding, None, true, (reason, reason, &note)),
                // Where nobody holds the namespace any more, nothing was mended.
                (true, None) if !status.baselines.is_empty() => {
                    let note = format!("over: {}", trouble.ended());
                    self.tell(Share::Stands, &regarding, None, false, ("Mended", reason, &note));
                }
                _ => {}
            }
        }
    }

    fn tell(
        &self,
        share: Share,
        regarding: &ObjectReference,
        secondary: Option<ObjectReference>,
        warns: bool,
        (reason, action, note): (&str, &str, &str),
    ) {
        if share != Share::Declared && self.line.capacity() <= KEPT {
            return;
        }
        let event = Event {
            type_: if warns { EventType::Warning } else { EventType::Normal },
            reason: bounded(reason, 128),
            note: Some(bounded(note, 1000)),
            action: bounded(action, 128),
            secondary,
        };
        // A full line means that there is a storm, which other things tell better.
        let _ = self.line.try_send(Waiting {
            regarding: regarding.clone(),
            event,
            share,
        });
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

fn of_report(namespace: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        namespace: Some(namespace.to_owned()),
        ..ours("BaselineReport", BaselineReport::NAME, uid)
    }
}

/// The object that is shown as kind/name, and a field of it.
pub fn object_reference(namespace: &str, object: &str, path: &str) -> Option<ObjectReference> {
    let (kind, name) = object.split_once('/')?;
    let child = controls::kind_named(kind);
    Some(ObjectReference {
        api_version: Some(child.map_or_else(|| "v1".to_owned(), |k| k.api_version())),
        kind: Some(kind.to_owned()),
        name: Some(name.to_owned()),
        namespace: child.map(|_| namespace.to_owned()),
        field_path: (!path.is_empty()).then(|| path.to_owned()),
        ..ObjectReference::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_in_an_event_is_named_in_full() {
        let policy = object_reference("team-a", "NetworkPolicy/security-baseline-x", "spec.ingress[0]").unwrap();
        assert_eq!(policy.field_path.as_deref(), Some("spec.ingress[0]"));
        assert_eq!(policy.api_version.as_deref(), Some("networking.k8s.io/v1"));
        assert_eq!(policy.namespace.as_deref(), Some("team-a"));
        let namespace = object_reference("team-a", "Namespace/team-a", "").unwrap();
        assert_eq!(
            (namespace.api_version.as_deref(), namespace.namespace),
            (Some("v1"), None)
        );
    }

    /// Events whose requests are never answered, and what would publish them.
    fn unanswered() -> (Events, Publisher) {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| {
            std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
        });
        events(Client::new(service, "default"))
    }

    /// How a baseline stands, by this condition.
    fn stands(type_: &str, status: &str) -> SecurityBaselineStatus {
        let condition = serde_json::json!({
            "type": type_, "status": status, "reason": "Suspended", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        SecurityBaselineStatus {
            conditions: serde_json::from_value(serde_json::json!([condition])).unwrap(),
            ..SecurityBaselineStatus::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_two_conditions_say_for_the_same_reason_is_told_once_by_the_one_that_warns() {
        let (events, mut publisher) = unanswered();
        let mut suspended = stands("Ready", "False");
        suspended.conditions.extend(stands("Stalled", "True").conditions);
        events.transitions("tenants", "u", &SecurityBaselineStatus::default(), &suspended);
        let told = publisher.line.try_recv().unwrap().event;
        assert_eq!((told.type_, &*told.action), (EventType::Warning, "Stalled"));
        assert!(publisher.line.try_recv().is_err(), "it is told once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_whose_events_wait_keeps_no_baseline_from_being_told() {
        let (events, mut publisher) = unanswered();
        let mut attempt = Attempt::default();
        let seen = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
        attempt.mended.insert(("Role/a".to_owned(), String::new(), seen), seen);
        for i in 0..1000 {
            events.drift(&format!("ns-{i}"), "u", &attempt);
        }
        events.transitions("tenants", "u", &stands("Stalled", "False"), &stands("Stalled", "True"));
        let mut told = Vec::new();
        while let Ok(waiting) = publisher.line.try_recv() {
            told.push(waiting.regarding.kind.unwrap_or_default());
        }
        assert_eq!(told.pop().as_deref(), Some("SecurityBaseline"));
        assert_eq!(told.len(), WAITING - KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_about_no_namespace_has_a_share_of_its_own() {
        let mut shares = Shares::of(DECLARED);
        let taken = (0..1000).filter(|_| shares.take(None)).count();
        assert_eq!(taken, 25);
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert_eq!((0..1000).filter(|_| shares.take(None)).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_noisy_tenant_takes_its_own_events_and_not_those_of_others() {
        let mut shares = Shares::of(HAPPENED);
        let taken = (0..1000).filter(|_| shares.take(Some("noisy"))).count();
        assert_eq!(taken, 5);
        assert!((0..5).all(|_| shares.take(Some("other"))));
        tokio::time::advance(std::time::Duration::from_secs(31)).await;
        assert!(shares.take(Some("noisy")) && !shares.take(Some("noisy")));
        // All together are bounded too, and so is what is remembered of each.
        let taken = (0..5000).filter(|i: &i32| shares.take(Some(&i.to_string()))).count();
        assert!((24..=25).contains(&taken), "{taken}");
        assert!(shares.each.len() <= MOST_EACH);
    }
}
