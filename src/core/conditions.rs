//! Conditions by the Kubernetes conventions
//! (<https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties>).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::world::PriorCondition;

/// A condition, before it is known since when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its type.
    pub type_: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in a sentence.
    pub message: String,
}

/// Makes conditions of verdicts: one that does not change its status keeps its time.
pub fn conditions(
    verdicts: Vec<Verdict>,
    prior: &[PriorCondition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    verdicts
        .into_iter()
        .map(|verdict| {
            let status = if verdict.holds { "True" } else { "False" };
            let since = prior
                .iter()
                .find(|p| p.type_ == verdict.type_ && p.status == status)
                .map_or_else(|| whole_seconds(now), |p| p.since);
            Condition {
                type_: verdict.type_.to_owned(),
                status: status.to_owned(),
                reason: verdict.reason.to_owned(),
                message: verdict.message,
                observed_generation: generation,
                last_transition_time: Time(since),
            }
        })
        .collect()
}

/// How conditions stood, for the next time.
pub fn prior(conditions: &[Condition]) -> Vec<PriorCondition> {
    conditions
        .iter()
        .map(|c| PriorCondition {
            type_: c.type_.clone(),
            status: c.status.clone(),
            since: c.last_transition_time.0,
        })
        .collect()
}

/// Kubernetes writes the times of conditions in whole seconds; anything finer would differ from what is read back.
pub fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

#[cfg(test)]
mod tests;
