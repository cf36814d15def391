//! What unit tests of the engine work with.

use std::sync::Arc;

use kube::Client;

use super::Context;
use super::clock::SystemClock;
use super::config::Config;
use super::events::events;
use super::index::Index;
use super::lease::Leadership;
use super::metrics::Metrics;
use super::pace::Pace;
use super::policy_reports::PolicyReports;
use super::queue::Queue;

/// What tasks share: one worker, the default configuration, and no other replica.
pub fn context(client: Client) -> Context {
    let config = Config::default();
    Context {
        index: parking_lot::Mutex::new(Index::new(config.clone())),
        pace: Pace::default(),
        policy_reports: PolicyReports::default(),
        queue: Queue::new(1),
        metrics: Metrics::new().unwrap(),
        events: events(client.clone()).0,
        clock: Arc::new(SystemClock),
        leadership: Arc::new(Leadership::alone()),
        config,
        client,
    }
}
