//! What could not be seen: what depends on it is unknown, and is taken out of what is told.

use std::collections::BTreeSet;

use crate::cli::report::model::{ControlSummary, State, UnknownRight};
use crate::controls;
use crate::core::object::ChildKind;
use crate::engine::snapshot::Unknown;

/// What could not be seen, and what depends on it.
pub(super) struct Doubts<'a> {
    unknown: Vec<(&'a Unknown, BTreeSet<String>)>,
}

impl<'a> Doubts<'a> {
    /// Nothing depends on anything yet.
    pub(super) fn new(unknown: &'a [Unknown]) -> Self {
        Self {
            unknown: unknown.iter().map(|unknown| (unknown, BTreeSet::new())).collect(),
        }
    }

    /// Takes out of a control what is said only since something was not seen, and notes that.
    pub(super) fn about(&mut self, namespace: &str, control: &mut ControlSummary) {
        for (unknown, affects) in &mut self.unknown {
            let before = control.findings.len();
            control
                .findings
                .retain(|found| !doubted(unknown, &found.object, &found.reason));
            let unseen = kind_of(unknown).is_some() && unknown.section() == Some(control.name.as_str());
            if unseen || before != control.findings.len() {
                affects.insert(format!("{} in {namespace}", control.name));
                control.state = State::Unknown;
            }
        }
    }

    /// What all of a namespace depends on.
    pub(super) fn of_the_whole(&mut self, namespace: &str, controls: &mut [ControlSummary]) {
        for (unknown, affects) in &mut self.unknown {
            let what = match unknown.source {
                "exceptions" => "what is waived",
                "reports" => "what the operator wrote before, and what it could not write",
                _ => continue,
            };
            affects.insert(format!("{what} in {namespace}"));
            for control in controls.iter_mut() {
                control.state = State::Unknown;
            }
        }
    }

    /// What is to be told of it.
    pub(super) fn told(self) -> Vec<UnknownRight> {
        /// The most that is told of what depends on one right.
        const MOST: usize = 5;
        let told = self.unknown.into_iter().map(|(unknown, affects)| {
            let more = affects.len().saturating_sub(MOST);
            let mut first: Vec<String> = affects.into_iter().take(MOST).collect();
            if more > 0 {
                first.push(format!("and {more} more"));
            }
            UnknownRight {
                right: unknown.right.clone(),
                message: unknown.message.clone(),
                affects: first,
            }
        });
        told.collect()
    }
}

/// Whether what is said of an object is said only since something was not seen.
pub(in crate::cli) fn doubted(unknown: &Unknown, object: &str, reason: &str) -> bool {
    match unknown.source {
        // Held only since it was not seen.
        "dns" | "node-local-dns" => of_egress(object, reason, "DNSNotFound"),
        "api-server" => of_egress(object, reason, "APIServerNotFound"),
        "grantable" => ["GrantRefused", "RoleHeld"].contains(&reason),
        _ => hides(unknown, object),
    }
}

/// Whether an object, shown as kind/name, is of a kind that could not be seen.
pub(in crate::cli) fn hides(unknown: &Unknown, object: &str) -> bool {
    kind_of(unknown).is_some_and(|kind| object.split('/').next() == Some(kind.kind))
}

/// The kind of objects that could not be seen, if it is one of those that the operator creates.
fn kind_of(unknown: &Unknown) -> Option<&'static ChildKind> {
    controls::kinds().into_iter().find(|kind| kind.plural == unknown.source)
}

/// Whether this is held for a reason, or is what differs in the policy that depends on it.
fn of_egress(object: &str, reason: &str, held: &str) -> bool {
    const EGRESS: &str = "NetworkPolicy/security-baseline-default-deny-egress";
    reason == held || object == EGRESS && reason != "Missing" && reason != "Deleted"
}
