//! What is counted, for Prometheus. No label's values come from tenants, and none grows with the number of namespaces,
//! but for one metric that has to be asked for (`metrics.namespaceLabel`).

mod register;
pub mod requests;
pub mod scrape;

use prometheus::{
    Encoder, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

pub use self::register::Described;
use self::register::{Error, Register};
use crate::controls::{REGISTRY, kinds};
use crate::core::status::{STALLED_REASONS, Tally};

/// All metrics.
pub struct Metrics {
    registry: Registry,
    described: Vec<Described>,
    /// Writes to children and namespaces, by what was done, to which kind, and what came of it.
    pub writes: IntCounterVec,
    /// Drift that was seen first, by section.
    detected: IntCounterVec,
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
    /// Reports for other tools that could not be written or removed.
    pub policy_report_failures: IntCounter,
    /// Requests to the API server, by verb and the code of the answer.
    pub requests: IntCounterVec,
    /// Namespaces of each baseline, by state.
    namespaces: IntGaugeVec,
    /// Namespaces that each baseline holds.
    selected: IntGaugeVec,
    /// Namespaces of each baseline where what is enforced has drifted and is not repaired.
    unrepaired: IntGaugeVec,
    /// Namespaces of each baseline where somebody keeps undoing what is repaired.
    contested: IntGaugeVec,
    /// Namespaces of each baseline where something that is not the operator's undoes what is declared.
    weakened: IntGaugeVec,
    /// Namespaces of each baseline where something is held back.
    held: IntGaugeVec,
    /// Namespaces of each baseline that lost the labels that selected them.
    deselected: IntGaugeVec,
    /// The share of all namespaces, but for those that are excluded, that some baseline holds.
    coverage: GaugeVec,
    /// Namespaces that no baseline holds and that are not excluded.
    uncovered: IntGaugeVec,
    /// Each baseline's conditions: 1 where one holds.
    conditions: IntGaugeVec,
    /// Why a baseline waits for a person.
    stalled: IntGaugeVec,
    /// Exceptions, by state.
    pub exceptions: IntGaugeVec,
    /// Exceptions that expire soon.
    expiring: IntGauge,
    /// Keys that wait, by lane.
    queued: IntGaugeVec,
    /// How long the key has waited that waits longest, by lane.
    oldest: GaugeVec,
    /// When all objects of a watch were listed last, in seconds since 1970.
    pub verified: IntGaugeVec,
    /// After how long everything is listed anew.
    pub verification_interval: IntGauge,
    /// Whether each watch has listed, and is not broken.
    watch_up: IntGaugeVec,
    /// Breaks of each watch.
    pub watch_failures: IntCounterVec,
    /// Panics that were contained.
    pub panics: IntCounter,
    /// When the operator started, in seconds since 1970.
    pub started: IntGauge,
    /// Whether the emergency stop is on.
    pub stopped: IntGauge,
    /// Whether this replica leads.
    leading: IntGauge,
}

/// A series for each of some exceptions.
const EXCEPTION_EXPIRY: Described = Described {
    name: "exception_expiry_timestamp_seconds",
    kind: "gauge",
    labels: &["exception"],
    help: "When an exception expires, in seconds since 1970. Only of the 100 that expire next, and of none that has expired.",
};

/// The metric that has to be asked for.
const NAMESPACE_STATE: Described = Described {
    name: "namespace_state",
    kind: "gauge",
    labels: &["namespace", "state"],
    help: "The state of a namespace that some baseline holds, the worst of all its baselines; always 1. Only with metrics.namespaceLabel.",
};

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When a name is bad or taken, which would be a mistake here.
    pub fn new() -> Result<Self, Error> {
        let mut r = Register::default();
        let metrics = Self {
            writes: r.counters(
                "writes_total",
                &["operation", "kind", "outcome"],
                "Writes to namespaces and to the objects in them, by what was done, to which kind, and what came of it.",
            )?,
            detected: r.counters(
                "drift_detected_total",
                &["section"],
                "Drift that was seen first, also where it is only audited, by section of the baseline.",
            )?,
            repaired: r.counters(
                "drift_repaired_total",
                &["section"],
                "Drift that was repaired, by section of the baseline.",
            )?,
            repair_seconds: r.histogram(
                "repair_seconds",
                "Time from the event that shows a departure to the end of its repair, failed tries and all, in seconds. The pauses in a fight are left out.",
                &[
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
                ],
            )?,
            false_alarms: r.counters(
                "false_alarms_total",
                &["kind"],
                "Repairs that changed nothing, by kind: a difference was seen where there is none, or admission took the repair back. Should stay 0.",
            )?,
            namespaces: r.gauges(
                "namespaces",
                &["baseline", "state"],
                "Namespaces of a baseline, each in one state, the worst: compliant, pending, weakened, drifted, blocked or conflicting.",
            )?,
            selected: r.gauges(
                "selected_namespaces",
                &["baseline"],
                "Namespaces that a baseline holds, in whatever state.",
            )?,
            unrepaired: r.gauges(
                "unrepaired_namespaces",
                &["baseline"],
                "Namespaces of a baseline in which something that is enforced has drifted and is not repaired.",
            )?,
            contested: r.gauges(
                "contested_namespaces",
                &["baseline"],
                "Namespaces of a baseline in which somebody keeps undoing what is repaired.",
            )?,
            weakened: r.gauges(
                "weakened_namespaces",
                &["baseline"],
                "Namespaces of a baseline in which something that is not the operator's undoes what is declared, in whatever state they are.",
            )?,
            held: r.gauges(
                "held_namespaces",
                &["baseline"],
                "Namespaces of a baseline in which something is held back, since it would not be safe.",
            )?,
            deselected: r.gauges(
                "deselected_namespaces",
                &["baseline"],
                "Namespaces of a baseline that lost the labels that selected them, and are held until somebody lets them go.",
            )?,
            coverage: r.floats(
                "coverage_ratio",
                &[],
                "The share of the namespaces of the cluster, without those that are excluded, that some baseline holds.",
            )?,
            uncovered: r.gauges(
                "uncovered_namespaces",
                &[],
                "Namespaces of the cluster that no baseline holds, without those that are excluded.",
            )?,
            conditions: r.gauges(
                "baseline_condition",
                &["baseline", "condition"],
                "Whether a condition of a baseline holds (1) or not (0).",
            )?,
            stalled: r.gauges(
                "baseline_stalled",
                &["baseline", "reason"],
                "Whether a baseline waits for a person for this reason (1) or not (0).",
            )?,
            exceptions: r.gauges(
                "exceptions",
                &["state"],
                "Exceptions, by state: active, expired, refused or unmatched.",
            )?,
            expiring: r.gauge(
                "exceptions_expiring",
                "Exceptions that expire within exceptions.warnBefore.",
            )?,
            queued: r.gauges("queue_depth", &["lane"], "Work that waits, by lane; only of the replica that leads.")?,
            oldest: r.floats(
                "queue_oldest_age_seconds",
                &["lane"],
                "For how long the oldest work in a lane has been waiting, in seconds; 0 where none waits. Only of the replica that leads.",
            )?,
            verified: r.gauges(
                "last_verification_timestamp_seconds",
                &["watch"],
                "When all objects of a watch were listed last, and so compared with what the watch had told, in seconds since 1970.",
            )?,
            verification_interval: r.gauge(
                "verification_interval_seconds",
                "After how long everything is listed anew (verificationInterval), in seconds; 0 for never.",
            )?,
            watch_up: r.gauges(
                "watch_up",
                &["watch", "needed"],
                "Whether a watch has listed and is not known to be broken (1) or not (0), and whether anything is judged without it.",
            )?,
            watch_failures: r.counters("watch_failures_total", &["watch"], "Breaks of a watch.")?,
            requests: r.counters(
                "api_requests_total",
                &["verb", "code"],
                "Requests to the API server, by verb and the HTTP status code of the answer, or `none` where there was no answer.",
            )?,
            reports: r.counter("reports_written_total", "Reports that were written.")?,
            statuses: r.counter(
                "statuses_written_total",
                "Statuses of baselines and exceptions that were written.",
            )?,
            status_failures: r.counter(
                "status_failures_total",
                "Reports and statuses that could not be written.",
            )?,
            policy_report_failures: r.counter(
                "policy_report_failures_total",
                "Reports for other tools that could not be written or removed.",
            )?,
            panics: r.counter("panics_total", "Panics that were contained. Should stay 0.")?,
            started: r.gauge(
                "start_timestamp_seconds",
                "When this process of the operator started, in seconds since 1970.",
            )?,
            stopped: r.gauge("stopped", "Whether the emergency stop is on (1) or not (0).")?,
            leading: r.gauge(
                "leading",
                "Whether this replica leads and writes (1), or stands by (0).",
            )?,
            registry: Registry::default(),
            described: Vec::new(),
        };
        let build = r.gauges("build_info", &["version"], "The version of the operator; always 1.")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let (registry, mut described) = r.done();
        described.extend([EXCEPTION_EXPIRY, NAMESPACE_STATE]);
        described.sort_by_key(|d| d.name);
        metrics.show_zeros();
        Ok(Self {
            registry,
            described,
            ..metrics
        })
    }

    /// Shows what may be counted before it is: Prometheus sees no increase in a series that begins with 1.
    fn show_zeros(&self) {
        for control in REGISTRY {
            for counter in [&self.detected, &self.repaired] {
                counter.with_label_values(&[control.section()]);
            }
        }
        for kind in kinds().iter().map(|kind| kind.kind).chain(["Namespace"]) {
            self.false_alarms.with_label_values(&[kind]);
        }
    }

    /// What all metrics are, by name; each name is to be read with `security_baseline_` before it.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    /// Counts drift that was seen first, by its section.
    pub fn drifted(&self, sections: &[&'static str]) {
        for section in sections {
            self.detected.with_label_values(&[*section]).inc();
        }
    }

    /// Shows how the namespaces of a baseline stand.
    pub fn tallied(&self, baseline: &str, tally: &Tally) {
        let counts = tally.counts();
        let values = [
            counts.compliant,
            counts.drifted,
            counts.pending,
            counts.blocked,
            counts.conflicting,
            counts.weakened,
        ];
        for (state, value) in STATES.iter().zip(values) {
            self.namespaces.with_label_values(&[baseline, *state]).set(value);
        }
        for (gauge, value) in [
            (&self.selected, counts.selected),
            (&self.unrepaired, tally.unrepaired()),
            (&self.contested, counts.contested),
            (&self.weakened, tally.weakened()),
            (&self.held, tally.held()),
            (&self.deselected, counts.deselected),
        ] {
            gauge.with_label_values(&[baseline]).set(value);
        }
    }

    /// Shows whether a condition of a baseline holds, and why.
    pub fn condition(&self, baseline: &str, type_: &str, status: &str, reason: &str) {
        let holds = status == "True";
        let shown = self.conditions.with_label_values(&[baseline, type_]);
        shown.set(i64::from(holds));
        if type_ == crate::api::v1alpha1::ConditionType::Stalled.as_str() {
            for known in STALLED_REASONS {
                let stalled = self.stalled.with_label_values(&[baseline, known]);
                stalled.set(i64::from(holds && known == reason));
            }
        }
    }

    /// Drops what is shown of a baseline that is gone.
    pub fn forget(&self, baseline: &str) {
        for state in STATES {
            let _ = self.namespaces.remove_label_values(&[baseline, state]);
        }
        for gauge in [
            &self.selected,
            &self.unrepaired,
            &self.contested,
            &self.weakened,
            &self.held,
            &self.deselected,
        ] {
            let _ = gauge.remove_label_values(&[baseline]);
        }
        for condition in crate::api::v1alpha1::ConditionType::ALL {
            let _ = self.conditions.remove_label_values(&[baseline, condition.as_str()]);
        }
        for reason in STALLED_REASONS {
            let _ = self.stalled.remove_label_values(&[baseline, reason]);
        }
    }

    /// The metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When a metric cannot be written, which would be a mistake here.
    pub fn render(&self, more: Vec<prometheus::proto::MetricFamily>) -> Result<String, Error> {
        let mut families = self.registry.gather();
        families.extend(more);
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The states of the metric `security_baseline_namespaces`.
const STATES: [&str; 6] = ["compliant", "drifted", "pending", "blocked", "conflicting", "weakened"];

#[cfg(test)]
mod tests;
