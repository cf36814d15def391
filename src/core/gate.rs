//! The gate between plan and apply: what may be written now, in view of more than one namespace.
//!
//! It knows the operator's global stop. What looks at many namespaces before one of them is written to stands where it
//! can see them: the brake before a spec is accepted (`core::brake`), turns in a rollout and looks at what runs within the
//! plan (`core::plan`), of which the engine keeps count.

/// What holds beyond one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The operator's configuration says that nothing is to be written.
    pub stopped: bool,
}

/// Whether a plan may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Go,
    /// It may not; what it would do is reported.
    Hold {
        /// Why, in one word.
        reason: &'static str,
    },
}

/// Judges what may be written now.
pub fn judge(fleet: Fleet) -> Verdict {
    if fleet.stopped {
        return Verdict::Hold { reason: "Stopped" };
    }
    Verdict::Go
}
