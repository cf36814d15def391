//! What is looked at when somebody asks for the metrics, rather than counted when it happens.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use prometheus::IntGaugeVec;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;

use super::{Described, EXCEPTION_EXPIRY, NAMESPACE_STATE};
use crate::core::settle::Standing;
use crate::engine::Context;
use crate::engine::queue::Lane;
use crate::engine::watch::Progress;

/// The most exceptions that have a series of their own: those that expire next.
const MOST_EXPIRIES: usize = 100;

/// Brings the metrics up to date. Answers those that are made anew each time.
pub fn take(context: &Context, watches: &[(&'static str, bool, Arc<Progress>)]) -> Vec<MetricFamily> {
    let metrics = &context.metrics;
    let leads = context.leadership.leads();
    metrics.leading.set(i64::from(leads));
    // A replica that stands by has no workers: what its watches put into the queue waits for it to lead, however long.
    for lane in Lane::ALL.into_iter().filter(|_| leads) {
        let depth = i64::try_from(context.queue.depth(lane)).unwrap_or(i64::MAX);
        metrics.queued.with_label_values(&[lane.as_str()]).set(depth);
        let oldest = context.queue.oldest(lane).as_secs_f64();
        metrics.oldest.with_label_values(&[lane.as_str()]).set(oldest);
    }
    let tell = |name: &str, needed: bool, progress: &Progress| {
        let up = i64::from(progress.is_listed() && !progress.is_broken());
        let needed = if needed { "true" } else { "false" };
        metrics.watch_up.with_label_values(&[name, needed]).set(up);
    };
    for (name, needed, progress) in watches {
        tell(name, *needed, progress);
    }
    // The kind of policy reports comes and goes, and its watch with it. (Two may ask for the metrics at a time: what is up
    // is never taken away, not even for a moment.)
    for (name, progress) in context.policy_reports.watches() {
        match progress {
            Some(progress) => tell(name, false, &progress),
            None => drop(metrics.watch_up.remove_label_values(&[name, "false"])),
        }
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
    let mut families = Vec::new();
    if !leads {
        return families;
    }
    let (warn_before, now) = (context.config.exceptions.warn_before, context.clock.now());
    let expiries = index.expiries(now);
    let soon = expiries.partition_point(|(at, _)| at.duration_since(now) <= warn_before);
    metrics.expiring.set(i64::try_from(soon).unwrap_or(i64::MAX));
    families.extend(made(&EXCEPTION_EXPIRY, |gauges| next_expiries(gauges, &expiries)));
    if context.config.metrics.namespace_label {
        families.extend(made(&NAMESPACE_STATE, |gauges| {
            for (namespace, standing) in index.states() {
                gauges.with_label_values(&[namespace, state(standing)]).set(1);
            }
        }));
    }
    // A metric without any sample cannot be written.
    families.retain(|family| !family.get_metric().is_empty());
    families
}

/// A metric that is made anew each time: what is no more is in none of its series.
fn made(described: &Described, fill: impl FnOnce(&IntGaugeVec)) -> Vec<MetricFamily> {
    let Ok(gauges) = IntGaugeVec::new(described.opts(), described.labels) else {
        return Vec::new();
    };
    fill(&gauges);
    gauges.collect()
}

/// When the exceptions expire that do so next.
fn next_expiries(gauges: &IntGaugeVec, expiries: &[(Timestamp, &str)]) {
    for (at, name) in expiries.iter().take(MOST_EXPIRIES) {
        gauges.with_label_values(&[*name]).set(at.as_second());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_exceptions_those_that_expire_next_have_a_series_each() {
        let names: Vec<String> = (0..1000).map(|i| format!("e{i}")).collect();
        let at = |i| Timestamp::from_second(i).unwrap();
        let all: Vec<_> = (0..).map(at).zip(names.iter().map(String::as_str)).collect();
        let families = made(&EXCEPTION_EXPIRY, |gauges| next_expiries(gauges, &all));
        let series = families[0].get_metric();
        assert_eq!(series.len(), MOST_EXPIRIES);
        assert!(series.iter().all(|metric| metric.get_gauge().get_value() < 100.0));
    }
}
