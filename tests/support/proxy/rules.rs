//! Which requests are disturbed, and how.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail, ensure};
use parking_lot::Mutex;
use tokio::{
    sync::watch::{Sender, channel},
    time::timeout,
};

use super::asked::{Asked, Matching};

/// How long a test waits for a request to be disturbed.
const PATIENCE: Duration = Duration::from_secs(60);

/// On which side of the API server something happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Before the API server sees it.
    Before,
    /// After the API server did what was asked for: replies that tell of a failure are passed on as they are.
    After,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It, or its reply, is held until the rule is [released](Rule::release); if the rule is forgotten instead, the
    /// connection is closed and what was held never goes on.
    Hold(When),
    /// The connection is closed.
    Drop(When),
    /// The proxy answers, and the API server never sees it.
    Answer(Answer),
    /// The reply's body ends in the middle, as if that were all of it.
    Truncate,
}

/// A reply of the proxy's own.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) code: u16,
    /// Seconds.
    pub(super) retry_after: Option<u32>,
    pub(super) html: bool,
}

impl Answer {
    /// What the API server says with this code.
    pub fn status(code: u16) -> Self {
        Self {
            code,
            retry_after: None,
            html: false,
        }
    }

    /// Too many requests (429), with a `Retry-After` of so many seconds.
    pub fn busy(retry_after: u32) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::status(429)
        }
    }

    /// A page for people, as a load balancer sends one.
    pub fn page(code: u16) -> Self {
        Self {
            html: true,
            ..Self::status(code)
        }
    }
}

/// A rule by which requests are disturbed. It holds until all of the proxy's rules are forgotten.
pub struct Rule {
    shared: Arc<Ruling>,
}

/// What becomes of a request that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Held,
    Released,
    Cut,
}

/// The proxy's side of a rule.
pub(super) struct Ruling {
    matching: Matching,
    pub(super) fault: Fault,
    /// How many more requests are disturbed.
    left: Mutex<usize>,
    hits: Sender<usize>,
    fate: Sender<Fate>,
}

impl Ruling {
    /// Whether a request falls under it, which counts as one of those that it is for.
    pub(super) fn take(&self, asked: &Asked) -> bool {
        let mut left = self.left.lock();
        let falls = *left > 0 && self.matching.fits(asked);
        *left -= usize::from(falls);
        falls
    }

    /// A request was not disturbed after all: there was nothing to take from it. It waits for the next one.
    pub(super) fn put_back(&self) {
        let mut left = self.left.lock();
        *left = left.saturating_add(1);
    }

    /// A request was disturbed.
    pub(super) fn hit(&self) {
        self.hits.send_modify(|hits| *hits += 1);
    }

    /// Waits until what is held may go on.
    ///
    /// # Errors
    /// When it never will.
    pub(super) async fn released(&self) -> Result<()> {
        let fate = *self.fate.subscribe().wait_for(|fate| *fate != Fate::Held).await?;
        ensure!(fate == Fate::Released, "forgotten while it was held");
        Ok(())
    }

    /// Nothing falls under it any more. What it holds is cut off.
    pub(super) fn forget(&self) {
        self.fate.send_if_modified(|fate| {
            let held = *fate == Fate::Held;
            if held {
                *fate = Fate::Cut;
            }
            held
        });
    }
}

impl Rule {
    pub(super) fn new(times: usize, matching: Matching, fault: Fault) -> (Self, Arc<Ruling>) {
        let shared = Arc::new(Ruling {
            matching,
            fault,
            left: Mutex::new(times),
            hits: channel(0).0,
            fate: channel(Fate::Held).0,
        });
        (Self { shared: shared.clone() }, shared)
    }

    /// How many requests were disturbed so far.
    pub fn hits(&self) -> usize {
        *self.shared.hits.borrow()
    }

    /// Waits until so many requests were disturbed (a held one is so from the moment that it is held).
    ///
    /// # Errors
    /// When they were not within a minute.
    pub async fn hit(&self, times: usize) -> Result<()> {
        let mut hits = self.shared.hits.subscribe();
        match timeout(PATIENCE, hits.wait_for(|hits| *hits >= times)).await {
            Ok(Ok(_)) => Ok(()),
            _ => bail!(
                "only {} of {times} requests came within {PATIENCE:?} for {:?} of {:?}",
                self.hits(),
                self.shared.fault,
                self.shared.matching
            ),
        }
    }

    /// Lets go on what is held, and what comes.
    pub fn release(&self) {
        self.shared.fate.send_replace(Fate::Released);
    }
}
