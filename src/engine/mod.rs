//! All that touches the world: watches, the queue, requests, metrics. Here alone is a client.
//!
//! Watch events feed the [`index`]; what departs from what is wanted puts its namespace into the [`queue`]; a worker
//! takes it out, makes a `World` of it, plans, applies and reports.

// The modules outside may have neither client nor clock; this one is where they belong.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod answer;
pub mod apply;
pub mod ask;
pub mod baselines;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod errors;
pub mod events;
pub mod exceptions;
pub mod facts;
pub mod fence;
pub mod http;
pub mod index;
pub mod lease;
pub mod limit;
pub mod metrics;
pub mod pace;
pub mod policy_reports;
pub mod preflight;
pub mod queue;
pub mod report;
pub mod run;
pub mod seen;
pub mod snapshot;
#[cfg(test)]
mod testing;
pub mod watch;
pub mod work;

use std::sync::Arc;

use kube::Client;
use parking_lot::Mutex;

use self::clock::Clock;
use self::config::Config;
use self::events::Events;
use self::index::Index;
use self::lease::Leadership;
use self::metrics::Metrics;
use self::pace::Pace;
use self::policy_reports::PolicyReports;
use self::queue::Queue;

/// What all tasks share.
pub struct Context {
    /// The one client.
    pub client: Client,
    /// What is known of the cluster.
    pub index: Mutex<Index>,
    /// How fast namespaces are enforced for the first time.
    pub pace: Pace,
    /// What is to be worked on.
    pub queue: Queue,
    /// What is counted.
    pub metrics: Metrics,
    /// What happened, told as Kubernetes events.
    pub events: Events,
    /// Reports for other tools.
    pub policy_reports: PolicyReports,
    /// The configuration.
    pub config: Config,
    /// Whether this replica leads.
    pub leadership: Arc<Leadership>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}
