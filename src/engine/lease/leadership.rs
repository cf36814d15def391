//! Whether this replica leads, as all of it looks at it.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Whether this replica leads.
#[derive(Debug, Default)]
pub struct Leadership {
    /// Until when, if an election decides; else it always does.
    until: Option<Mutex<Instant>>,
    changed: Notify,
}

impl Leadership {
    /// Of the only replica: it leads, and there is no Lease.
    pub fn alone() -> Self {
        Self::default()
    }

    /// Of one of several: it does not lead before it is elected.
    pub fn elected() -> Self {
        Self {
            until: Some(Mutex::new(Instant::now())),
            changed: Notify::default(),
        }
    }

    /// Whether it leads now.
    pub fn leads(&self) -> bool {
        self.until.as_ref().is_none_or(|until| Instant::now() < *until.lock())
    }

    /// Waits until it leads.
    pub async fn acquired(&self) {
        loop {
            let changed = self.changed.notified();
            if self.leads() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until it leads no longer.
    pub(super) async fn lapsed(&self) {
        let Some(until) = &self.until else {
            return std::future::pending().await;
        };
        while self.leads() {
            let at = *until.lock();
            tokio::time::sleep_until(at).await;
        }
    }

    /// It leads until then.
    pub(in crate::engine) fn extend(&self, to: Instant) {
        if let Some(until) = &self.until {
            *until.lock() = to;
        }
        self.changed.notify_waiters();
    }

    /// It leads no longer.
    pub(super) fn end(&self) {
        self.extend(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leadership_lapses_when_it_was_not_extended_in_time_and_not_before() {
        let leadership = Leadership::elected();
        assert!(!leadership.leads());
        let (begun, term) = (Instant::now(), Duration::from_secs(10));
        leadership.extend(begun + term);
        let mut lapsed = std::pin::pin!(leadership.lapsed());
        assert!(poll!(&mut lapsed).is_pending());
        tokio::time::advance(term / 2).await;
        leadership.extend(begun + term + term / 2);
        lapsed.await;
        assert_eq!(begun.elapsed(), term + term / 2);
        assert!(!leadership.leads());
    }
}
