//! Kubernetes events: on transitions, and never many.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::api::v1alpha1::{BaselineReport, DriftRecord, SecurityBaselineStatus};
use crate::core::object::FIELD_MANAGER;
use crate::core::text::bounded;

/// How many events may come at once, and how many a second after that: a storm of drift is told by metrics and reports.
const BURST: f64 = 25.0;
const PER_SECOND: f64 = 2.0;

/// Publishes events.
pub struct Events {
    recorder: Recorder,
    allowance: Mutex<(f64, Instant)>,
}

impl Events {
    /// Publishes events by this client.
    pub fn new(client: Client) -> Self {
        let instance = std::env::var("POD_NAME").ok();
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance,
        };
        Self {
            recorder: Recorder::new(client, reporter),
            allowance: Mutex::new((BURST, Instant::now())),
        }
    }

    /// Tells how a baseline's conditions changed.
    pub async fn transitions(
        &self,
        name: &str,
        uid: &str,
        before: &SecurityBaselineStatus,
        after: &SecurityBaselineStatus,
    ) {
        let regarding = ObjectReference {
            api_version: Some("securitybaseline.dev/v1alpha1".to_owned()),
            kind: Some("SecurityBaseline".to_owned()),
            name: Some(name.to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
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
            let good = (condition.type_ == "Ready") == (now.0 == "True");
            // Ready turning false while work is under way is no warning.
            let warns = !good && condition.reason != "Progressing" && condition.type_ != "Ready";
            self.publish(
                &regarding,
                warns,
                &condition.reason,
                &condition.type_,
                &condition.message,
            )
            .await;
        }
    }

    /// Tells a tenant of drift that was repaired in its namespace.
    pub async fn drift(&self, namespace: &str, uid: &str, records: &[DriftRecord]) {
        let Some(first) = records.first() else { return };
        let regarding = ObjectReference {
            api_version: Some("securitybaseline.dev/v1alpha1".to_owned()),
            kind: Some("BaselineReport".to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(BaselineReport::NAME.to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        let what = if first.path.is_empty() {
            "was deleted".to_owned()
        } else {
            format!("{} was changed", first.path)
        };
        let more = match records.len() - 1 {
            0 => String::new(),
            n => format!("; {n} more"),
        };
        let note = format!(
            "{}: {what} and is repaired; claimed by {}{more}",
            first.object, first.claimed_by
        );
        self.publish(&regarding, true, "DriftRepaired", "Repair", &note).await;
    }

    async fn publish(&self, regarding: &ObjectReference, warns: bool, reason: &str, action: &str, note: &str) {
        if !self.allow() {
            return;
        }
        let event = Event {
            type_: if warns { EventType::Warning } else { EventType::Normal },
            reason: bounded(reason, 128),
            note: Some(bounded(note, 1000)),
            action: bounded(action, 128),
            secondary: None,
        };
        if let Err(error) = super::work::in_time(self.recorder.publish(&event, regarding)).await {
            tracing::warn!(%error, reason, "an event could not be published");
        }
    }

    /// Takes one from the allowance, if there is one.
    fn allow(&self) -> bool {
        let mut allowance = self.allowance.lock();
        let now = Instant::now();
        let grown = allowance.0 + now.duration_since(allowance.1).as_secs_f64() * PER_SECOND;
        *allowance = (grown.min(BURST), now);
        if allowance.0 < 1.0 {
            return false;
        }
        allowance.0 -= 1.0;
        true
    }
}
