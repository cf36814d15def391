//! The part of the index that is about the cluster as a whole: what is held at all, and how it stands.

use super::*;
use crate::core::settle::Standing as State;

/// How many namespaces some baseline holds, and how many none does, of those that are not excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Held by some baseline.
    pub covered: u32,
    /// Held by none.
    pub uncovered: u32,
}

impl Index {
    /// How much of the cluster is held. `None` before everything was seen.
    pub fn coverage(&self) -> Option<Coverage> {
        let mut coverage = Coverage::default();
        for (name, entry) in &self.namespaces {
            if entry.facts.as_ref().is_none_or(|facts| facts.terminating) {
                continue;
            }
            if entry.settled.as_ref().is_some_and(|members| !members.is_empty()) {
                coverage.covered += 1;
            } else if !self.excludes(name) {
                coverage.uncovered += 1;
            }
        }
        self.synced.then_some(coverage)
    }

    /// The namespaces that some baseline holds, each with its state, the worst of all its baselines.
    pub fn states(&self) -> impl Iterator<Item = (&str, State)> {
        self.namespaces.iter().filter_map(|(name, entry)| {
            let members = entry.settled.as_ref()?.iter();
            Some((&**name, members.map(|member| member.standing).max()?))
        })
    }
}
