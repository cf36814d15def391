//! The way to the API server.
//!
//! kube's own client leaves connections as the system makes them: small requests may wait for acknowledgements (Nagle's
//! algorithm), and a link that died without a word is noticed only when a request on it times out, for a watch after
//! minutes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use prometheus::IntCounterVec;
use serde_json::{Value, json};
use tower::layer::layer_fn;
use tower::util::option_layer;
use tower::{BoxError, ServiceBuilder};

use super::fence::Fenced;
use super::lease::Leadership;
use super::metrics::requests::Counting;
use crate::core::text::bounded;

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// After how long without traffic a connection is asked whether it lives, how often then, and how often in vain: a dead
/// one is noticed after 25 s.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long what was sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// The longest that the head of an answer may take, also of a list or a watch: the API server itself gives up on a request
/// after 60 s (its flag `--request-timeout`), so what takes longer comes from one that hangs.
pub const HEAD: Duration = Duration::from_secs(65);
/// The longest that nothing comes: a watch is quiet for as long as nothing happens, and the API server ends it after 290 s
/// at the latest.
const QUIET: Duration = Duration::from_secs(300);

/// A client for the cluster that the environment names: a kubeconfig, or a pod's own. It sends what only reads at any time,
/// and everything else only while this replica leads; what it sends is counted.
///
/// # Errors
/// When there is no usable configuration.
pub async fn client(leadership: Arc<Leadership>, requests: IntCounterVec) -> kube::Result<Client> {
    let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    of(config, leadership, Some(requests))
}

/// How a command connects, as kubectl's options of the same names say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way<'a> {
    /// The kubeconfig; else the environment's, else a pod's own.
    pub kubeconfig: Option<&'a Path>,
    /// The kubeconfig's context; else its current one.
    pub context: Option<&'a str>,
    /// Who is impersonated; else nobody, or whom the kubeconfig says.
    pub user: Option<&'a str>,
    /// The groups that are impersonated; none, unless `user` is stated.
    pub groups: &'a [String],
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

/// An API server that cannot be reached. What fails below tells why, and not where.
#[derive(Debug, thiserror::Error)]
#[error("the API server at {server} could not be reached")]
struct Unreached {
    server: String,
    source: BoxError,
}

impl Unreached {
    /// An error of a request to this API server, which is named where it could not be reached.
    fn of(server: &str, source: BoxError) -> BoxError {
        let failed = source.downcast_ref::<hyper_util::client::legacy::Error>();
        if failed.is_none_or(|error| !error.is_connect()) {
            return source;
        }
        let server = server.to_owned();
        Self { server, source }.into()
    }
}

/// The API server's address.
fn server(config: &Config) -> String {
    config.cluster_url.to_string().trim_end_matches('/').to_owned()
}

/// Connects as kubectl does: by a kubeconfig that is named, else the environment's, else a pod's own.
///
/// # Errors
/// When there is no usable configuration.
pub async fn connect(way: Way<'_>) -> Result<Connection, ConnectError> {
    let options = KubeConfigOptions {
        context: way.context.map(ToOwned::to_owned),
        ..KubeConfigOptions::default()
    };
    let read = match way.kubeconfig {
        Some(path) => Some(Kubeconfig::read_from(path)?),
        // A context can only be one of a kubeconfig.
        None if way.context.is_some() => Some(Kubeconfig::read()?),
        None => Kubeconfig::read().ok(),
    };
    let (mut config, context) = match read {
        Some(kubeconfig) => {
            let context = options.context.clone().or_else(|| kubeconfig.current_context.clone());
            (Config::from_custom_kubeconfig(kubeconfig, &options).await?, context)
        }
        None => (Config::infer().await.map_err(kube::Error::InferConfig)?, None),
    };
    if let Some(user) = way.user {
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = Some(way.groups.to_vec());
        // Those of whom the kubeconfig impersonates are somebody else's.
        config.auth_info.impersonate_uid = None;
        config.auth_info.impersonate_user_extra = None;
    }
    Ok(Connection {
        server: server(&config),
        namespace: config.default_namespace.clone(),
        context,
        // Nobody else is asked whether a person may do what they say.
        client: of(config, Arc::new(Leadership::alone()), None)?,
    })
}

fn of(mut config: Config, leadership: Arc<Leadership>, requests: Option<IntCounterVec>) -> kube::Result<Client> {
    // Behind the fence: what it keeps back is not sent.
    let counted = requests.map(Counting);
    // What failed is tried again by the queue, which knows how long to wait and lets others work meanwhile. The client's
    // own retry would hold a worker up, and hide a write that was done although its answer was an error.
    config.default_retry = false;
    if config.proxy_url.is_some() {
        // kube says what it can do about that.
        let fence = layer_fn(move |inner| Fenced::new(inner, leadership.clone()));
        let builder = ClientBuilder::try_from(config)?.with_layer(&option_layer(counted));
        return Ok(builder.with_layer(&fence).build());
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
    let server = server(&config);
    let service = ServiceBuilder::new()
        .map_err(move |error: BoxError| Unreached::of(&server, error))
        .layer_fn(move |inner| Fenced::new(inner, leadership.clone()))
        .timeout(HEAD)
        .option_layer(counted)
        .and_then(heed)
        .layer(config.base_uri_layer())
        .layer(config.extra_headers_layer()?)
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

/// A body as it comes, or one of our own.
type Answer = Either<Incoming, Full<Bytes>>;

/// Puts into the body of an answer for how long the API server asks to be left alone: it often says so in a header alone,
/// which does not get past the typed client. (API Priority and Fairness does, and its answer is no JSON.)
async fn heed(response: Response<Incoming>) -> Result<Response<Answer>, BoxError> {
    let failed = response.status() == StatusCode::TOO_MANY_REQUESTS || response.status().is_server_error();
    let header = response.headers().get(RETRY_AFTER).filter(|_| failed);
    let asked: Option<u32> = header.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let Some(asked) = asked else {
        return Ok(response.map(Either::Left));
    };
    let (parts, body) = response.into_parts();
    let text = body.collect().await?.to_bytes();
    let body = Full::from(with_retry_after(&text, parts.status.as_u16(), asked));
    Ok(Response::from_parts(parts, Either::Right(body)))
}

/// A `Status` that says for how many seconds to wait.
fn with_retry_after(text: &[u8], code: u16, seconds: u32) -> Vec<u8> {
    let mut status: Value = serde_json::from_slice(text).unwrap_or_default();
    if status["kind"] != "Status" {
        status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "message": bounded(&String::from_utf8_lossy(text), 512),
        });
    }
    if status["details"]["retryAfterSeconds"].is_null() {
        status["details"]["retryAfterSeconds"] = seconds.into();
    }
    status.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, code: u16, seconds: u32) -> Value {
        serde_json::from_slice(&with_retry_after(text.as_bytes(), code, seconds)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_answer_does_not_begin_fails_when_the_api_server_would_have_given_up() {
        let hangs = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", hangs.local_addr().unwrap());
        let client = of(Config::new(url.parse().unwrap()), Arc::new(Leadership::alone()), None).unwrap();
        let watch = http::Request::get("/api/v1/namespaces?watch=true")
            .body(Vec::new())
            .unwrap();
        let begun = tokio::time::Instant::now();
        let (answer, _open) = tokio::join!(client.request_text(watch), hangs.accept());
        assert!(answer.is_err());
        assert!(
            (HEAD..HEAD + CONNECT).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );
    }

    #[test]
    fn what_a_header_asks_for_is_put_into_the_status_unless_it_says_so_itself() {
        let plain = read("Too many requests, please try again later.", 429, 7);
        assert_eq!(
            (&plain["code"], &plain["details"]["retryAfterSeconds"]),
            (&json!(429), &json!(7))
        );
        assert_eq!(plain["message"], "Too many requests, please try again later.");
        let silent = read(
            r#"{"kind":"Status","code":503,"message":"no","details":{"kind":"pods"}}"#,
            503,
            7,
        );
        assert_eq!(silent["details"], json!({"kind": "pods", "retryAfterSeconds": 7}));
        let own = read(
            r#"{"kind":"Status","code":429,"details":{"retryAfterSeconds":2}}"#,
            429,
            7,
        );
        assert_eq!(own["details"]["retryAfterSeconds"], 2);
        assert_eq!(read("[1]", 500, 1)["details"]["retryAfterSeconds"], 1);
    }
}
