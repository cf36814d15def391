//! The report of a namespace that the operator's configuration excludes, and that a baseline held before.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::api::v1alpha1::BaselineReportStatus;
use crate::core::conditions::whole_seconds;
use crate::core::world::PriorCondition;

/// What a condition says where nobody looks any more.
const UNKNOWN: &str = "Unknown";

/// Whether a report with these conditions says already that nobody looks.
pub fn is_excluded(conditions: &[PriorCondition]) -> bool {
    conditions.iter().all(|condition| condition.status == UNKNOWN)
}

/// A report of a namespace that the operator's configuration excludes: all that was on record stays, no condition
/// claims to know how things stand, and no label is called enforced.
pub fn excluded(mut report: BaselineReportStatus, now: Timestamp) -> BaselineReportStatus {
    for condition in &mut report.conditions {
        if condition.status != UNKNOWN {
            condition.last_transition_time = Time(whole_seconds(now));
        }
        UNKNOWN.clone_into(&mut condition.status);
        "Excluded".clone_into(&mut condition.reason);
        "the operator's configuration excludes this namespace: what was created here stays, and nobody looks after it; the rest of this report is as it was when that began".clone_into(&mut condition.message);
    }
    for label in &mut report.namespace_labels {
        label.enforced = false;
    }
    report
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::conditions::prior;

    #[test]
    fn the_report_of_an_excluded_namespace_claims_nothing_and_keeps_what_is_on_record() {
        let was: BaselineReportStatus = serde_json::from_value(json!({
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Compliant", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "Drifted", "status": "False", "reason": "NoDrift", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
            "drift": {"total": 3, "repaired": 3, "records": [], "open": []},
            "inventory": [{"kind": "ResourceQuota", "name": "a", "uid": "u", "baseline": "b", "digest": ""}],
            "namespaceLabels": [{"key": "k", "value": "v", "baseline": "b", "enforced": true}],
        }))
        .unwrap();
        let now: Timestamp = "2026-02-02T00:00:00Z".parse().unwrap();
        let told = excluded(was.clone(), now);
        assert!(
            told.conditions
                .iter()
                .all(|c| c.status == "Unknown" && c.reason == "Excluded")
        );
        assert!(told.conditions.iter().all(|c| c.last_transition_time.0 == now));
        assert_eq!((&told.inventory, &told.drift), (&was.inventory, &was.drift));
        assert!(was.namespace_labels[0].enforced && !told.namespace_labels[0].enforced);
        assert!(is_excluded(&prior(&told.conditions)) && !is_excluded(&prior(&was.conditions)));
        // And says so for as long as it stays so.
        assert_eq!(excluded(told.clone(), "2026-03-03T00:00:00Z".parse().unwrap()), told);
    }
}
