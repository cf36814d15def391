//! What all baselines that select a namespace mean together.
//!
//! Sections are not merged yet: the oldest baseline holds a namespace alone (then the first by name), and every other
//! one is told of the conflict.

use std::sync::Arc;

use super::world::Baseline;

/// What holds in a namespace.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    /// The baseline that holds it.
    pub holder: Option<Arc<Baseline>>,
    /// The baselines that select it too, and do not hold.
    pub conflicting: Vec<Arc<Baseline>>,
}

/// Merges the baselines that select one namespace. Their order does not matter.
pub fn merge(baselines: &[Arc<Baseline>]) -> Effective {
    let mut all = baselines.to_vec();
    all.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    let mut all = all.into_iter();
    Effective {
        holder: all.next(),
        conflicting: all.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::world::testing::baseline;

    #[test]
    fn the_older_baseline_holds_then_the_first_by_name_and_order_does_not_matter() {
        let (old, new, twin) = (baseline("b", 1), baseline("a", 2), baseline("c", 1));
        let merged = merge(&[new.clone(), twin.clone(), old.clone()]);
        assert_eq!(merged.holder, Some(old.clone()));
        assert_eq!(merged.conflicting, [twin.clone(), new.clone()]);
        assert_eq!(merge(&[old.clone(), twin, new]).holder, Some(old));
    }

    #[test]
    fn a_namespace_that_nothing_selects_has_no_holder() {
        assert!(merge(&[]).holder.is_none());
    }
}
