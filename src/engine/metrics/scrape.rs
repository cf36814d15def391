//! What is looked at when somebody asks for the metrics, rather than counted when it happens.

use std::sync::Arc;

use prometheus::IntGaugeVec;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;

use super::NAMESPACE_STATE;
use crate::core::settle::Standing;
use crate::engine::Context;
use crate::engine::queue::Lane;
use crate::engine::watch::Progress;

/// Brings the metrics up to date. Answers those that are made anew each time.
pub fn take(context: &Context, watches: &[(&'static str, bool, Arc<Progress>)]) -> Vec<MetricFamily> {
    let metrics = &context.metrics;
    for lane in Lane::ALL {
        let depth = i64::try_from(context.queue.depth(lane)).unwrap_or(i64::MAX);
        metrics.queued.with_label_values(&[lane.as_str()]).set(depth);
        let oldest = context.queue.oldest(lane).as_secs_f64();
        metrics.oldest.with_label_values(&[lane.as_str()]).set(oldest);
    }
    let leads = context.leadership.leads();
    metrics.leading.set(i64::from(leads));
    for (name, _, progress) in watches {
        let up = i64::from(progress.is_listed() && !progress.is_broken());
        metrics.watch_up.with_label_values(&[*name]).set(up);
    }
    let index = context.index.lock();
    // A replica that stands by judges no namespace, and so knows nothing of how they stand.
    if let Some(coverage) = index.coverage().filter(|_| leads) {
        let (covered, uncovered) = (f64::from(coverage.covered), f64::from(coverage.uncovered));
        let ratio = covered / (covered + uncovered).max(1.0);
        metrics.coverage.with_label_values::<&str>(&[]).set(ratio);
        metrics
            .uncovered
            .with_label_values::<&str>(&[])
            .set(coverage.uncovered.into());
    }
    if !(leads && context.config.metrics.namespace_label) {
        return Vec::new();
    }
    let Ok(states) = IntGaugeVec::new(NAMESPACE_STATE.opts(), NAMESPACE_STATE.labels) else {
        return Vec::new();
    };
    for (namespace, standing) in index.states() {
        states.with_label_values(&[namespace, state(standing)]).set(1);
    }
    drop(index);
    let mut families = states.collect();
    // A metric without any sample cannot be written.
    families.retain(|family| !family.get_metric().is_empty());
    families
}

/// The state in the label of a metric.
const fn state(standing: Standing) -> &'static str {
    match standing {
        Standing::Compliant => "compliant",
        Standing::Pending => "pending",
        Standing::Weakened => "weakened",
        Standing::Drifted => "drifted",
        Standing::Blocked => "blocked",
        Standing::Conflict => "conflicting",
    }
}
