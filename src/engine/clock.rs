//! Where timestamps and randomness come from: handed in, so that a whole operator can be run deterministically. (Waiting
//! goes through tokio's clock, which a paused runtime controls.)

use k8s_openapi::jiff::Timestamp;

/// A source of timestamps and randomness.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// A random number in `0.0..1.0`.
    fn jitter(&self) -> f64;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn jitter(&self) -> f64 {
        // A hasher with a random key is all the randomness that spreading retries needs.
        use std::hash::{BuildHasher, RandomState};
        let bits = RandomState::new().hash_one(0_u8) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}
