//! The pace of rollouts: how fast namespaces that exist already are enforced for the first time.
//!
//! A bucket of one minute's namespaces for each baseline: as many at once, and from then on one at a time. A rollout
//! whose writes are refused too often stops by itself: what goes wrong in the first namespaces would go wrong in all.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// In how many namespaces writes were refused before a rollout may be judged: one tenant alone must not stop it.
const FEWEST: u32 = 5;

/// The rollouts of all baselines.
#[derive(Default)]
pub struct Pace(Mutex<HashMap<String, Rollout>>);

#[derive(Default)]
struct Rollout {
    /// When the next namespace has its turn, were it not for what may come at once.
    next: Option<Instant>,
    done: u32,
    refused: u32,
    /// In how many namespaces something was refused.
    refusing: u32,
    stopped: bool,
}

/// When a namespace has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// After this.
    In(Duration),
    /// Not before somebody has looked: too many writes were refused.
    Stopped,
}

impl Pace {
    /// Gives a namespace its turn in the rollout of a baseline.
    pub fn turn(&self, baseline: &str, per_minute: u32) -> Turn {
        let mut rollouts = self.0.lock();
        let rollout = rollouts.entry(baseline.to_owned()).or_default();
        if rollout.stopped {
            return Turn::Stopped;
        }
        let per_minute = per_minute.max(1);
        let each = Duration::from_secs(60) / per_minute;
        let now = Instant::now();
        let next = rollout.next.map_or(now, |next| next.max(now));
        rollout.next = Some(next + each);
        // A minute's worth may come at once.
        let at_once = each * per_minute.saturating_sub(1);
        Turn::In((next - now).saturating_sub(at_once))
    }

    /// Counts what became of the writes of one namespace. Answers whether the rollout stops here.
    pub fn count(&self, baseline: &str, done: u32, refused: u32, stop_at_percent: u8) -> bool {
        let mut rollouts = self.0.lock();
        let rollout = rollouts.entry(baseline.to_owned()).or_default();
        rollout.done = rollout.done.saturating_add(done);
        rollout.refused = rollout.refused.saturating_add(refused);
        rollout.refusing = rollout.refusing.saturating_add(refused.min(1));
        let all = rollout.done.saturating_add(rollout.refused);
        let too_many = u64::from(rollout.refused) * 100 > u64::from(all) * u64::from(stop_at_percent);
        let stops = !rollout.stopped && rollout.refusing >= FEWEST && too_many;
        rollout.stopped |= stops;
        stops
    }

    /// If the rollout of a baseline stopped by itself: how many of how many writes were refused.
    pub fn stopped(&self, baseline: &str) -> Option<(u32, u32)> {
        let rollouts = self.0.lock();
        let rollout = rollouts.get(baseline).filter(|rollout| rollout.stopped)?;
        Some((rollout.refused, rollout.done.saturating_add(rollout.refused)))
    }

    /// Begins the rollout of a baseline anew: its spec changed, or somebody said so.
    pub fn begin(&self, baseline: &str) {
        self.0.lock().remove(baseline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minutes_worth_comes_at_once_and_then_one_at_a_time() {
        let pace = Pace::default();
        for _ in 0..60 {
            assert_eq!(pace.turn("a", 60), Turn::In(Duration::ZERO));
        }
        assert_eq!(pace.turn("a", 60), Turn::In(Duration::from_secs(1)));
        assert_eq!(pace.turn("a", 60), Turn::In(Duration::from_secs(2)));
        assert_eq!(
            pace.turn("b", 60),
            Turn::In(Duration::ZERO),
            "each baseline has its own"
        );
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(pace.turn("a", 60), Turn::In(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(600)).await;
        let at_once = (0..100)
            .filter(|_| pace.turn("a", 60) == Turn::In(Duration::ZERO))
            .count();
        assert_eq!(at_once, 60, "turns are not saved up");
    }

    #[test]
    fn a_rollout_stops_when_too_many_writes_are_refused_and_begins_anew_when_told() {
        let pace = Pace::default();
        assert!(!pace.count("a", 0, 70, 20), "one namespace is not enough");
        for _ in 0..3 {
            assert!(!pace.count("a", 4, 3, 20));
        }
        assert!(pace.count("a", 4, 1, 20));
        assert!(!pace.count("a", 0, 1, 20), "told once");
        assert_eq!(pace.stopped("a"), Some((81, 97)));
        assert_eq!(pace.turn("a", 60), Turn::Stopped);
        pace.begin("a");
        assert_eq!(pace.stopped("a"), None);
        for _ in 0..10 {
            assert!(!pace.count("a", 8, 2, 20), "not above the share");
        }
    }
}
