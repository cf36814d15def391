//! What could not be seen: what depends on it is unknown, and is taken out of what is told.

use std::collections::BTreeSet;

use crate::cli::report::model::{ControlSummary, Finding, State, UnknownRight};
use crate::controls;
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
            let doubted = match unknown.source {
                // Held only since it was not seen.
                "dns" | "node-local-dns" => of_egress(control, "DNSNotFound"),
                "api-server" => of_egress(control, "APIServerNotFound"),
                "grantable" => take_out(control, |f| ["GrantRefused", "RoleHeld"].contains(&f.reason.as_str())),
                plural => {
                    let Some(kind) = controls::kinds().into_iter().find(|kind| kind.plural == plural) else {
                        continue;
                    };
                    let prefix = format!("{}/", kind.kind);
                    take_out(control, |f| f.object.starts_with(&prefix));
                    unknown.section() == Some(control.name.as_str())
                }
            };
            if doubted {
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

/// Takes out what was held for this reason, and what differs in the policy that depends on it.
fn of_egress(control: &mut ControlSummary, reason: &str) -> bool {
    const EGRESS: &str = "NetworkPolicy/security-baseline-default-deny-egress";
    take_out(control, |f| {
        f.reason == reason || f.object == EGRESS && f.reason != "Missing" && f.reason != "Deleted"
    })
}

fn take_out(control: &mut ControlSummary, doubted: impl Fn(&Finding) -> bool) -> bool {
    let before = control.findings.len();
    control.findings.retain(|finding| !doubted(finding));
    before != control.findings.len()
}
