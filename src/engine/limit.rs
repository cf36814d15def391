//! How much is worked on at a time: as much as the API server bears.
//!
//! A limit that grows while requests are answered, at first by one for each, and is halved when the API server has too much
//! to do, does not answer, or takes long (slow start, then additive increase and multiplicative decrease, as in TCP's
//! congestion control: <https://www.rfc-editor.org/rfc/rfc5681>). Many at a time is good for throughput, since etcd commits
//! them together.

use std::time::Duration;

use tokio::time::Instant;

/// Where it begins, and the least that it falls to.
const FIRST: f64 = 16.0;
const LEAST: f64 = 2.0;
/// How much it grows with each answer until it was halved for the first time.
const EARLY: f64 = 1.0;
/// Answers that typically take longer than this say that there is too much to do.
const SLOW: f64 = 1.0;
/// How much one answer counts for what is typical: one that was slow among many that were not says nothing (the API server
/// waited for its disk, or for somebody's webhook), unless it took very long.
const ONE: f64 = 1.0 / 16.0;
/// What comes in one moment halves it once.
const MOMENT: Duration = Duration::from_secs(1);

/// How much is worked on at a time.
#[derive(Debug)]
pub struct Limit {
    now: f64,
    most: f64,
    halved: Option<Instant>,
    /// After how many seconds an answer typically comes.
    typical: f64,
}

impl Limit {
    /// A limit that never exceeds `most`.
    pub fn new(most: u16) -> Self {
        let most = f64::from(most.max(1));
        Self {
            now: FIRST.min(most),
            most,
            halved: None,
            typical: 0.0,
        }
    }

    /// How many may be worked on now.
    pub fn allows(&self) -> usize {
        // At least 1, and at most a u16.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let now = self.now as usize;
        now
    }

    /// Takes up how a request went: whether the API server did its part, and after how long.
    pub fn answered(&mut self, well: bool, after: Duration, now: Instant) {
        self.typical += (after.as_secs_f64() - self.typical) * ONE;
        if well && self.typical < SLOW {
            let more = self.halved.map_or(EARLY, |_| 1.0 / self.now);
            self.now = (self.now + more).min(self.most);
        } else if self.halved.is_none_or(|halved| now.duration_since(halved) >= MOMENT) {
            self.now = (self.now / 2.0).max(LEAST.min(self.most));
            self.halved = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(10);

    #[test]
    fn it_grows_by_one_with_every_answer_up_to_its_bound_and_is_halved_once_a_moment() {
        let (mut limit, now) = (Limit::new(64), Instant::now());
        assert_eq!(limit.allows(), 16);
        for _ in 0..47 {
            limit.answered(true, QUICK, now);
        }
        assert_eq!(limit.allows(), 63);
        for _ in 0..100 {
            limit.answered(true, QUICK, now);
        }
        assert_eq!(limit.allows(), 64);
        for _ in 0..100 {
            limit.answered(false, QUICK, now);
        }
        assert_eq!(limit.allows(), 32);
        limit.answered(false, QUICK, now + MOMENT);
        assert_eq!(limit.allows(), 16);
        // From then on it grows slowly.
        for _ in 0..16 {
            limit.answered(true, QUICK, now);
        }
        assert_eq!(limit.allows(), 16);
        limit.answered(true, QUICK, now);
        assert_eq!(limit.allows(), 17);
    }

    #[test]
    fn one_slow_answer_among_quick_ones_says_nothing_and_many_or_a_very_slow_one_say_that_there_is_too_much_to_do() {
        let second = Duration::from_secs(1);
        let after = |answers: &[Duration]| {
            let (mut limit, now) = (Limit::new(64), Instant::now());
            for after in answers.iter().chain(&[QUICK; 3]) {
                limit.answered(true, *after, now);
            }
            limit.allows()
        };
        let quick = [QUICK; 100];
        assert_eq!(after(&[&quick[..], &[second * 5]].concat()), 64);
        assert_eq!(after(&[&quick[..], &[second * 3 / 2; 40]].concat()), 32);
        assert_eq!(after(&[&quick[..], &[second * 17]].concat()), 32);
    }

    #[test]
    fn it_never_stops_altogether_nor_exceeds_what_is_configured() {
        for most in [1, 3, 256] {
            let (mut limit, now) = (Limit::new(most), Instant::now());
            for second in 0..100 {
                limit.answered(false, QUICK, now + MOMENT * second);
            }
            assert_eq!(limit.allows(), usize::from(most.min(2)));
            for _ in 0..100_000 {
                limit.answered(true, QUICK, now);
            }
            assert_eq!(limit.allows(), usize::from(most));
        }
    }
}
