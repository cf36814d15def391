//! One of several replicas leads: the one that holds a Lease. The others keep their indexes warm, and write nothing.
//!
//! Every write of the Lease is under the resourceVersion that was read, so that of two who want it one gets it. (Of the
//! crates that elect a leader, none writes so with this version of kube: see docs/adr/0010-libraries-left-out.md.)
//!
//! Who leads may write for as long as it knows that nobody else does: until [`Terms::renew`] after it sent the last
//! renewal that succeeded. That is looked at where every request passes (see `client`), so that a process that was frozen,
//! and wakes up when another one leads, sends nothing more; then it ends, and starts anew as one that stands by.

mod leadership;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use self::leadership::Leadership;
use super::clock::Clock;
use super::errors::{Failed, in_full, judge};
use crate::core::election::{Seen, Step, Terms, step};
use crate::core::object::FIELD_MANAGER;

/// The name of the Lease.
pub const LEASE: &str = "security-baseline-operator";

/// One replica in the election.
pub struct Candidate {
    leases: Api<Lease>,
    me: String,
    terms: Terms,
    leadership: Arc<Leadership>,
    clock: Arc<dyn Clock>,
    /// The Lease as we wrote it last.
    held: Mutex<Option<Lease>>,
}

/// What a replica that stands by remembers of the Lease.
struct Known {
    /// Its resourceVersion; none where there is no Lease.
    version: Option<String>,
    /// For how long it holds, or held.
    lasts: Duration,
    /// Since when it is as it is.
    since: Instant,
}

impl Candidate {
    /// A candidate. `me` must be another name for each process.
    pub fn new(
        client: Client,
        namespace: &str,
        me: String,
        terms: Terms,
        leadership: Arc<Leadership>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            me,
            terms,
            leadership,
            clock,
            held: Mutex::default(),
        }
    }

    /// Stands by until it leads, and leads for as long as it can. Answers why it does no longer.
    pub async fn run(&self) -> String {
        self.stand_by().await;
        tracing::info!(me = self.me, "this replica leads");
        let lost = self.lead().await;
        self.leadership.end();
        lost
    }

    async fn stand_by(&self) {
        let mut known = None;
        tracing::info!(me = self.me, "this replica stands by");
        loop {
            let sent = Instant::now();
            let wait = match self.bounded(self.leases.get_opt(LEASE)).await {
                Ok(lease) => {
                    let seen = self.seen(lease.as_ref(), &mut known);
                    match step(&seen, &self.me, &self.terms) {
                        Step::Wait(wait) => wait,
                        Step::Take => match self.write(lease, sent).await {
                            Ok(()) => return,
                            Err(error) => self.told(&error),
                        },
                    }
                }
                Err(error) => self.told(&error),
            };
            // Those who stand by do not all look in one moment.
            tokio::time::sleep(wait.mul_f64(1.0 - self.clock.jitter() / 5.0)).await;
        }
    }

    /// Leads until the Lease is lost, and answers how.
    async fn lead(&self) -> String {
        tokio::select! {
            // Whoever wakes up when its term is over asks for nothing more.
            biased;
            () = self.leadership.lapsed() => "the lease could not be renewed in time".to_owned(),
            holder = self.renew() => format!("the lease was taken over by {holder:?}"),
        }
    }

    /// Renews the Lease until somebody else holds it. Answers who.
    async fn renew(&self) -> String {
        loop {
            tokio::time::sleep(self.terms.retry).await;
            let sent = Instant::now();
            let held = self.held.lock().clone();
            let error = match self.write(held, sent).await {
                Ok(()) => continue,
                Err(error) if matches!(judge(&error), Failed::Conflict | Failed::Gone) => {
                    match self.bounded(self.leases.get_opt(LEASE)).await {
                        Ok(Some(lease)) if !self.holds(&lease) => {
                            return lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
                        }
                        // Our own renewal, whose answer was lost; or somebody labelled it. Or somebody deleted it: while our
                        // term lasts nobody else creates it (see `step`), so we do.
                        Ok(lease) => {
                            *self.held.lock() = lease;
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            self.told(&error);
        }
    }

    /// Gives the Lease back, so that whoever stands by need not wait. To be called when nothing is written any more.
    pub async fn release(&self) {
        self.leadership.end();
        // As it is now, and not as we wrote it last: a renewal that was under way may have been done, or be done meanwhile.
        for _ in 0..2 {
            let mut lease = match self.bounded(self.leases.get_opt(LEASE)).await {
                Ok(Some(lease)) if self.holds(&lease) => lease,
                Ok(_) => return,
                Err(error) => {
                    self.told(&error);
                    return;
                }
            };
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            match self.bounded(self.leases.replace(LEASE, &params(), &lease)).await {
                Ok(_) => return,
                Err(error) => {
                    self.told(&error);
                    if judge(&error) != Failed::Conflict {
                        return;
                    }
                }
            }
        }
    }

    /// Writes ourselves into the Lease as it was read.
    async fn write(&self, lease: Option<Lease>, sent: Instant) -> kube::Result<()> {
        let now = MicroTime(self.clock.now());
        let exists = lease.is_some();
        let mut lease = lease.unwrap_or_default();
        lease.metadata.name = Some(LEASE.to_owned());
        let ours = self.holds(&lease);
        let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
        if !ours {
            spec.holder_identity = Some(self.me.clone());
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
        }
        spec.renew_time = Some(now);
        spec.lease_duration_seconds = Some(i32::try_from(self.terms.lease.as_secs()).unwrap_or(i32::MAX));
        let written = if exists {
            self.bounded(self.leases.replace(LEASE, &params(), &lease)).await?
        } else {
            self.bounded(self.leases.create(&params(), &lease)).await?
        };
        *self.held.lock() = Some(written);
        // From when it was sent: whoever counts from its arrival counts longer.
        self.leadership.extend(sent + self.terms.renew);
        Ok(())
    }

    fn holds(&self, lease: &Lease) -> bool {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        holder == Some(self.me.as_str())
    }

    fn seen(&self, lease: Option<&Lease>, known: &mut Option<Known>) -> Seen {
        let now = Instant::now();
        let version = lease.map(|lease| lease.metadata.resource_version.clone().unwrap_or_default());
        let (since, before) = match known {
            Some(known) if known.version == version => (known.since, known.lasts),
            Some(known) => (now, known.lasts),
            None => (now, self.terms.lease),
        };
        let spec = lease.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let stated = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = match lease {
            Some(_) => stated.map_or(self.terms.lease, Duration::from_secs),
            // Whoever held it went by what it said then.
            None => before.max(self.terms.lease),
        };
        *known = Some(Known { version, lasts, since });
        Seen {
            holder: lease.map(|_| spec.holder_identity.unwrap_or_default()),
            lasts,
            unchanged: now.duration_since(since),
        }
    }

    /// Logs what went wrong; the next look comes after the usual pause.
    fn told(&self, error: &kube::Error) -> Duration {
        tracing::warn!(error = in_full(error), "the lease could not be read or written");
        self.terms.retry
    }

    /// Bounds the time of a request: one that hangs must not keep us from trying again.
    async fn bounded<T>(&self, request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        match tokio::time::timeout(self.terms.renew / 2, request).await {
            Ok(done) => done,
            Err(_) => Err(kube::Error::Service("the API server did not answer in time".into())),
        }
    }
}

fn params() -> PostParams {
    PostParams {
        dry_run: false,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}
