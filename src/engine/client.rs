//! The way to the API server.
//!
//! kube's own client leaves connections as the system makes them: small requests may wait for acknowledgements (Nagle's
//! algorithm), and a link that died without a word is noticed only when a request on it times out, for a watch after
//! minutes.

use std::path::Path;
use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// After how long without traffic a connection is asked whether it lives, how often then, and how often in vain: a dead
/// one is noticed after 25 s.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// The longest that nothing comes: a watch is quiet for as long as nothing happens, and the API server ends it after 290 s
/// at the latest.
const QUIET: Duration = Duration::from_secs(300);

/// A client for the cluster that the environment names: a kubeconfig, or a pod's own.
///
/// # Errors
/// When there is no usable configuration.
pub async fn client() -> kube::Result<Client> {
    of(Config::infer().await.map_err(kube::Error::InferConfig)?)
}

/// Where a command connects to.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The API server's address.
    pub server: String,
    /// The kubeconfig's context, if there is one.
    pub context: Option<String>,
    /// The namespace that the context names.
    pub namespace: String,
}

/// Why a command cannot connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No kubeconfig that can be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// No cluster at all.
    #[error("no configuration for a cluster was found (a kubeconfig, or a pod's own): {0}; name one with --kubeconfig")]
    Cluster(#[from] kube::Error),
}

/// Connects as kubectl does: by a kubeconfig that is named, else the environment's, else a pod's own.
///
/// # Errors
/// When there is no usable configuration.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Connection, ConnectError> {
    let options = KubeConfigOptions {
        context: context.map(ToOwned::to_owned),
        ..KubeConfigOptions::default()
    };
    let read = match kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path)?),
        // A context can only be one of a kubeconfig.
        None if context.is_some() => Some(Kubeconfig::read()?),
        None => Kubeconfig::read().ok(),
    };
    let (config, context) = match read {
        Some(kubeconfig) => {
            let context = options.context.clone().or_else(|| kubeconfig.current_context.clone());
            (Config::from_custom_kubeconfig(kubeconfig, &options).await?, context)
        }
        None => (Config::infer().await.map_err(kube::Error::InferConfig)?, None),
    };
    Ok(Connection {
        server: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
        namespace: config.default_namespace.clone(),
        context,
        client: of(config)?,
    })
}

fn of(mut config: Config) -> kube::Result<Client> {
    // What failed is tried again by the queue, which knows how long to wait and lets others work meanwhile. The client's
    // own retry would hold a worker up, and hide a write that was done although its answer was an error.
    config.default_retry = false;
    if config.proxy_url.is_some() {
        // kube says what it can do about that.
        return Ok(ClientBuilder::try_from(config)?.build());
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_read_timeout(Some(QUIET));
    let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(config.extra_headers_layer()?)
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}
