//! Metrics and probes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Context;
use super::metrics::scrape;
use super::watch::Progress;

/// A job that runs for longer than this is stuck: every request in it has a bound far below.
const STUCK: Duration = Duration::from_secs(300);

/// What the probes look at.
#[derive(Clone)]
pub struct Probes {
    /// What all tasks share.
    pub context: Arc<Context>,
    /// The watches: their names, whether they are needed, and how far they are.
    pub watches: Arc<Vec<(&'static str, bool, Arc<Progress>)>>,
}

/// The routes.
pub fn routes(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(probes)
}

/// Alive: no worker is stuck. (A watch that breaks begins again by itself; a restart would only cost a full list.)
async fn healthz(State(probes): State<Probes>) -> Response {
    let longest = probes.context.queue.longest_running();
    if longest > STUCK {
        return (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("a worker is stuck since {}s\n", longest.as_secs()),
        )
            .into_response();
    }
    "ok\n".into_response()
}

/// Ready: every watch that is needed has listed and is connected, so what the operator knows is what is.
async fn readyz(State(probes): State<Probes>) -> Response {
    let lacking = probes
        .watches
        .iter()
        .filter(|(_, needed, p)| *needed && (!p.is_listed() || p.is_broken()));
    let lacking: Vec<&str> = lacking.map(|(name, ..)| *name).collect();
    // A replica that stands by is ready too: it could lead at once.
    let context = &probes.context;
    if lacking.is_empty() && (context.index.lock().is_synced() || !context.leadership.leads()) {
        return "ok\n".into_response();
    }
    let message = format!("these watches are not in: {}\n", lacking.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, message).into_response()
}

async fn metrics(State(probes): State<Probes>) -> Response {
    let context = &probes.context;
    match context.metrics.render(scrape::take(context, &probes.watches)) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
