//! An HTTP proxy between the operator and the API server, in the test's own process, that does what a network, a load
//! balancer or a bad moment does: it holds requests and replies, loses them, answers in the API server's place, and cuts,
//! freezes and delays watches.
//!
//! It forwards by TLS, with the client's own `Authorization` header. It runs in a runtime of its own, so that a test that
//! blocks does not hold it up.

mod asked;
mod rules;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::watch::{Receiver, Sender},
    time::Instant,
};

use self::rules::Ruling;
pub use self::{
    asked::{Asked, Kind, Matching},
    rules::{Answer, Fault, Rule, When},
};
use super::{OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, plane::ControlPlane};

/// How the events of a kind are passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flow {
    frozen: bool,
    delay: Duration,
    /// Counts up with each cut.
    cuts: u64,
}

/// The proxy. Dropped, it closes every connection.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    kubeconfig: PathBuf,
    /// Only taken when dropped.
    runtime: Option<Runtime>,
}

struct Shared {
    /// To the API server, as nobody: the client's own header says who asks.
    upstream: Client,
    rules: Mutex<Vec<Arc<Ruling>>>,
    asked: Mutex<Vec<(Asked, Instant)>>,
    disturbed: Mutex<BTreeSet<(Kind, When)>>,
    /// By plural resource name.
    flows: Mutex<BTreeMap<String, Sender<Flow>>>,
}

impl Proxy {
    /// Starts a proxy of a control plane on which the operator's ServiceAccount exists.
    ///
    /// # Errors
    /// When there is no such account (see [`ControlPlane::install`]), or no port.
    pub async fn start(plane: &ControlPlane) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let own = plane
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT)
            .await?;
        let mut kubeconfig = Kubeconfig::read_from(&own)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default()).await?;
        config.auth_info = kube::config::AuthInfo::default();
        // What comes through is passed on once, and however long it takes.
        config.default_retry = false;
        config.read_timeout = None;
        config.write_timeout = None;
        // A client lives in the runtime that makes it.
        let started = runtime.spawn(async move {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            anyhow::Ok((Client::try_from(config)?, listener.local_addr()?.port(), listener))
        });
        let (upstream, port, listener) = started.await??;

        let cluster = kubeconfig.clusters.first_mut().and_then(|named| named.cluster.as_mut());
        let cluster = cluster.context("a kubeconfig without a cluster")?;
        cluster.server = Some(format!("http://127.0.0.1:{port}"));
        cluster.certificate_authority = None;
        let path = plane.info().dir.join(format!("proxy-{port}.kubeconfig"));
        fs::write(&path, serde_json::to_vec(&kubeconfig)?)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;

        let shared = Arc::new(Shared {
            upstream,
            rules: Mutex::default(),
            asked: Mutex::default(),
            disturbed: Mutex::default(),
            flows: Mutex::default(),
        });
        runtime.spawn(wire::serve(listener, shared.clone()));
        Ok(Self {
            shared,
            port,
            kubeconfig: path,
            runtime: Some(runtime),
        })
    }

    /// A kubeconfig of the operator's ServiceAccount that leads through the proxy.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// The port on 127.0.0.1 that it serves on, without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Disturbs every request that matches. Of several rules that match a request, the first holds.
    pub fn disturb(&self, matching: Matching, fault: Fault) -> Rule {
        self.disturb_first(usize::MAX, matching, fault)
    }

    /// Disturbs the first so many requests that match.
    pub fn disturb_first(&self, times: usize, matching: Matching, fault: Fault) -> Rule {
        let (rule, ruling) = Rule::new(times, matching, fault);
        self.shared.rules.lock().push(ruling);
        rule
    }

    /// Forgets every rule. What is held is not passed on any more: its connection is closed.
    pub fn forget(&self) {
        for rule in self.shared.rules.lock().drain(..) {
            rule.forget();
        }
    }

    /// Closes every watch of a kind (its plural resource name) that is open now.
    pub fn cut(&self, resource: &str) {
        self.flow(resource, |flow| flow.cuts += 1);
    }

    /// From now on passes on no event of a kind, in watches that are open and in new ones, and says nothing of it; or
    /// passes on all that came meanwhile, and goes on.
    pub fn freeze(&self, resource: &str, frozen: bool) {
        self.flow(resource, |flow| flow.frozen = frozen);
    }

    /// From now on passes on the events of a kind so much later.
    pub fn delay(&self, resource: &str, delay: Duration) {
        self.flow(resource, |flow| flow.delay = delay);
    }

    /// The kinds of requests that were disturbed, and on which side.
    pub fn disturbed(&self) -> BTreeSet<(Kind, When)> {
        self.shared.disturbed.lock().clone()
    }

    /// When the requests came that match, whatever became of them.
    pub fn asked(&self, matching: &Matching) -> Vec<Instant> {
        let asked = self.shared.asked.lock();
        let fitting = asked.iter().filter(|(asked, _)| matching.fits(asked));
        fitting.map(|(_, at)| *at).collect()
    }

    fn flow(&self, resource: &str, change: impl FnOnce(&mut Flow)) {
        self.shared
            .flows
            .lock()
            .entry(resource.to_owned())
            .or_default()
            .send_modify(change);
    }
}

impl Shared {
    /// Notes a request. Answers the rule that it falls under, if there is one.
    fn take(&self, asked: &Asked) -> Option<Arc<Ruling>> {
        self.asked.lock().push((asked.clone(), Instant::now()));
        let rules = self.rules.lock();
        rules.iter().find(|rule| rule.take(asked)).cloned()
    }

    /// Notes that a request was disturbed.
    fn hit(&self, rule: &Ruling, asked: &Asked, when: When) {
        self.disturbed.lock().insert((asked.kind.clone(), when));
        rule.hit();
    }

    /// How events of a kind are passed on, now and later.
    fn flow(&self, resource: &str) -> Receiver<Flow> {
        self.flows.lock().entry(resource.to_owned()).or_default().subscribe()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It is dropped in another runtime, in which nothing may block.
            runtime.shutdown_background();
        }
    }
}
