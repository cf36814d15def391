//! What is counted, for Prometheus. No label's values come from tenants.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// All metrics.
pub struct Metrics {
    registry: Registry,
    /// Writes to children and namespaces, by what was done, to which kind, and what came of it.
    pub writes: IntCounterVec,
    /// Drift that was repaired, by section.
    pub repaired: IntCounterVec,
    /// The time from the event that shows a departure to the end of its repair, in seconds.
    pub repair_seconds: Histogram,
    /// Repairs that changed nothing: the comparison saw a difference where there is none.
    pub false_alarms: IntCounterVec,
    /// Reports that were written.
    pub reports: IntCounter,
    /// Statuses that were written.
    pub statuses: IntCounter,
    /// Reports and statuses that could not be written.
    pub status_failures: IntCounter,
    /// Namespaces of each baseline, by state.
    pub namespaces: IntGaugeVec,
    /// Each baseline's conditions: 1 where one holds.
    pub conditions: IntGaugeVec,
    /// Exceptions, by state.
    pub exceptions: IntGaugeVec,
    /// When each exception expires, in seconds since 1970.
    pub exception_expiry: IntGaugeVec,
    /// Keys that wait, by lane.
    pub queued: IntGaugeVec,
    /// Whether each watch has listed, and is not broken.
    pub watch_up: IntGaugeVec,
    /// Breaks of each watch.
    pub watch_failures: IntCounterVec,
    /// Panics that were contained.
    pub panics: IntCounter,
    /// Whether the emergency stop is on.
    pub stopped: IntGauge,
    /// Whether this replica leads.
    pub leading: IntGauge,
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When a name is bad or taken, which would be a mistake here.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let name = |name: &str| format!("security_baseline_{name}");
        let counters = |n: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let metric = IntCounterVec::new(Opts::new(name(n), help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let gauges = |n: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let metric = IntGaugeVec::new(Opts::new(name(n), help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counter = |n: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let metric = IntCounter::new(name(n), help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let writes = counters(
            "writes_total",
            "Writes to namespaces and to the objects in them, by what was done, to which kind, and what came of it.",
            &["operation", "kind", "outcome"],
        )?;
        let repaired = counters(
            "drift_repaired_total",
            "Drift that was repaired, by section of the baseline.",
            &["section"],
        )?;
        let false_alarms = counters(
            "false_alarms_total",
            "Repairs that changed nothing, by kind: a difference was seen where there is none.",
            &["kind"],
        )?;
        let namespaces = gauges(
            "namespaces",
            "Namespaces of a baseline, by state.",
            &["baseline", "state"],
        )?;
        let conditions = gauges(
            "baseline_condition",
            "Whether a condition of a baseline holds (1) or not (0).",
            &["baseline", "condition"],
        )?;
        let exceptions = gauges("exceptions", "Exceptions, by state.", &["state"])?;
        let exception_expiry = gauges(
            "exception_expiry_timestamp_seconds",
            "When an exception expires, or expired, in seconds since 1970.",
            &["exception"],
        )?;
        let queued = gauges("queue_depth", "Work that waits, by lane.", &["lane"])?;
        let watch_up = gauges(
            "watch_up",
            "Whether a watch has listed and is connected (1) or not (0).",
            &["watch"],
        )?;
        let watch_failures = counters("watch_failures_total", "Breaks of a watch.", &["watch"])?;
        let reports = counter("reports_written_total", "Reports that were written.")?;
        let statuses = counter(
            "statuses_written_total",
            "Statuses of baselines and exceptions that were written.",
        )?;
        let status_failures = counter(
            "status_failures_total",
            "Reports and statuses that could not be written.",
        )?;
        let panics = counter("panics_total", "Panics that were contained.")?;
        let stopped = IntGauge::new(name("stopped"), "Whether the emergency stop is on (1) or not (0).")?;
        registry.register(Box::new(stopped.clone()))?;
        let leading = IntGauge::new(
            name("leading"),
            "Whether this replica leads and writes (1), or stands by (0).",
        )?;
        registry.register(Box::new(leading.clone()))?;
        let repair_seconds = Histogram::with_opts(
            HistogramOpts::new(
                name("repair_seconds"),
                "Time from the event that shows a departure to the end of its repair, in seconds.",
            )
            .buckets(vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
            ]),
        )?;
        registry.register(Box::new(repair_seconds.clone()))?;
        let build = gauges("build_info", "The version of the operator; always 1.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            registry,
            writes,
            repaired,
            repair_seconds,
            false_alarms,
            reports,
            statuses,
            status_failures,
            namespaces,
            conditions,
            exceptions,
            exception_expiry,
            queued,
            watch_up,
            watch_failures,
            panics,
            stopped,
            leading,
        })
    }

    /// The metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When a metric cannot be written, which would be a mistake here.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Drops what is shown of a baseline that is gone.
    pub fn forget(&self, baseline: &str) {
        for state in STATES {
            let _ = self.namespaces.remove_label_values(&[baseline, state]);
        }
        for condition in crate::api::v1alpha1::ConditionType::ALL {
            let _ = self.conditions.remove_label_values(&[baseline, condition.as_str()]);
        }
    }
}

/// The states of the metric `security_baseline_namespaces`.
pub const STATES: [&str; 6] = ["compliant", "drifted", "pending", "blocked", "conflicting", "weakened"];
