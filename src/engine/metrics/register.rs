//! Making metrics, and keeping what they are for the reference.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

pub use prometheus::Error;

/// What the names of all metrics begin with.
const PREFIX: &str = "security_baseline_";

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Its name, without what the names of all begin with.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

impl Described {
    /// Its name as Prometheus knows it.
    pub fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// What a metric of one's own is made from.
    pub fn opts(&self) -> Opts {
        Opts::new(self.full_name(), self.help)
    }
}

/// A registry that is being filled.
#[derive(Default)]
pub(super) struct Register {
    registry: Registry,
    described: Vec<Described>,
}

impl Register {
    fn add<M: Collector + Clone + 'static>(
        &mut self,
        described: Described,
        make: impl FnOnce(Opts) -> Result<M, Error>,
    ) -> Result<M, Error> {
        let metric = make(described.opts())?;
        self.registry.register(Box::new(metric.clone()))?;
        self.described.push(described);
        Ok(metric)
    }

    pub(super) fn counters(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Result<IntCounterVec, Error> {
        let described = Described {
            name,
            kind: "counter",
            labels,
            help,
        };
        self.add(described, |opts| IntCounterVec::new(opts, labels))
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Result<IntCounter, Error> {
        let described = Described {
            name,
            kind: "counter",
            labels: &[],
            help,
        };
        self.add(described, IntCounter::with_opts)
    }

    pub(super) fn gauges(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Result<IntGaugeVec, Error> {
        let described = Described {
            name,
            kind: "gauge",
            labels,
            help,
        };
        self.add(described, |opts| IntGaugeVec::new(opts, labels))
    }

    pub(super) fn floats(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Result<GaugeVec, Error> {
        let described = Described {
            name,
            kind: "gauge",
            labels,
            help,
        };
        self.add(described, |opts| GaugeVec::new(opts, labels))
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Result<IntGauge, Error> {
        let described = Described {
            name,
            kind: "gauge",
            labels: &[],
            help,
        };
        self.add(described, IntGauge::with_opts)
    }

    pub(super) fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        buckets: &[f64],
    ) -> Result<Histogram, Error> {
        let described = Described {
            name,
            kind: "histogram",
            labels: &[],
            help,
        };
        self.add(described, |opts| {
            Histogram::with_opts(HistogramOpts::from(opts).buckets(buckets.to_vec()))
        })
    }

    pub(super) fn done(self) -> (Registry, Vec<Described>) {
        (self.registry, self.described)
    }
}
