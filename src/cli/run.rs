//! `run`: the operator itself.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;
use tracing_subscriber::EnvFilter;

use super::Done;
use crate::core::election::Terms;
use crate::engine::config::{Config, LogFormat};

/// How one of several replicas is elected. The flags are those of Kubernetes' own components.
#[derive(Debug, clap::Args)]
pub(super) struct Election {
    /// Work only while this replica holds the Lease that all replicas share; needed as soon as there are two.
    #[arg(long)]
    leader_elect: bool,
    /// For how long the Lease holds that nobody renews.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    leader_elect_lease_duration: Duration,
    /// For how long the leader works without having renewed the Lease.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    leader_elect_renew_deadline: Duration,
    /// How often the leader renews the Lease, and the others look at it.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    leader_elect_retry_period: Duration,
}

impl Election {
    fn terms(&self) -> Result<Option<Terms>, String> {
        let terms = Terms {
            lease: self.leader_elect_lease_duration,
            renew: self.leader_elect_renew_deadline,
            retry: self.leader_elect_retry_period,
        };
        match terms.problem() {
            Some(problem) if self.leader_elect => Err(format!("--leader-elect: {problem}")),
            _ => Ok(self.leader_elect.then_some(terms)),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok();
    let parsed = parsed.and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| format!("{text:?} is no duration: write one such as 15s"))
}

pub(super) fn run(path: Option<PathBuf>, election: &Election) -> Done {
    let terms = election.terms()?;
    let mut config = match &path {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    if let Ok(namespace) = std::env::var("POD_NAMESPACE")
        && !namespace.is_empty()
    {
        config.own_namespace = namespace;
    }
    let logs = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&config.log_filter));
    match config.log_format {
        LogFormat::Json => logs.json().flatten_event(true).init(),
        LogFormat::Text => logs.init(),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(crate::engine::run::run(config, path, terms))?;
    Ok(())
}
