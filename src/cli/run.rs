//! `run`: the operator itself.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::Done;
use crate::engine::config::{Config, LogFormat};

pub(super) fn run(path: Option<PathBuf>) -> Done {
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
    runtime.block_on(crate::engine::run::run(config, path))?;
    Ok(())
}
