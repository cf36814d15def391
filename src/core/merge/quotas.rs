//! Resource quotas: by name, the smallest amount of each resource. Scopes say what is counted, and cannot be merged.

use std::collections::BTreeMap;

use super::{Conflict, Outcome, Share, Supplied, by_name};
use crate::api::v1alpha1::{Quantity, QuotaTemplate, ResourceQuotas};
use crate::core::quantity::Milli;

pub(super) fn merge(shares: &[Share<ResourceQuotas>]) -> Outcome<ResourceQuotas> {
    let (mut values, mut conflicts, mut items) = (Vec::new(), Vec::new(), Vec::new());
    for (name, asked) in by_name(shares.iter().map(|(p, s)| (*p, &s.items[..])), |item| &item.name) {
        let Some((holds, first)) = asked.first().copied() else {
            continue;
        };
        let (agreeing, others): (Vec<_>, Vec<_>) = asked.iter().copied().partition(|(_, q)| same_scopes(q, first));
        conflicts.extend(others.iter().map(|(yields, _)| Conflict {
            section: "resourceQuotas",
            object: format!("ResourceQuota/{name}"),
            holds,
            yields: *yields,
            message: "the scopes differ".to_owned(),
        }));
        let mut amounts: BTreeMap<&str, Vec<Share<Quantity>>> = BTreeMap::new();
        for (place, quota) in &agreeing {
            for (resource, amount) in &quota.hard {
                amounts.entry(resource).or_default().push((*place, amount));
            }
        }
        let mut merged = first.clone();
        for (resource, asked) in amounts {
            let Some(least) = extreme(&asked, Extreme::Least) else {
                continue;
            };
            values.push(supplied(format!("{name}/{resource}"), least, &asked));
            merged.hard.insert(resource.to_owned(), least.clone());
        }
        items.push(merged);
    }
    Outcome {
        section: (!shares.is_empty()).then_some(ResourceQuotas { mode: None, items }),
        values,
        conflicts,
    }
}

fn same_scopes(a: &QuotaTemplate, b: &QuotaTemplate) -> bool {
    // A handful at most, and the order of scopes means nothing.
    a.scope_selector == b.scope_selector
        && a.scopes.len() == b.scopes.len()
        && a.scopes.iter().all(|scope| b.scopes.contains(scope))
}

/// Which end of some amounts is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Least,
    Most,
}

/// The least, or the most, of some amounts, in the oldest baseline's spelling.
pub(super) fn extreme<'a>(asked: &[Share<'a, Quantity>], which: Extreme) -> Option<&'a Quantity> {
    // What is no quantity was refused before it came here.
    let value = |quantity: &Quantity| Milli::try_from(quantity).unwrap_or(Milli(0));
    let mut best: Option<&Quantity> = None;
    for (_, amount) in asked {
        let better = best.is_none_or(|best| match which {
            Extreme::Least => value(amount) < value(best),
            Extreme::Most => value(amount) > value(best),
        });
        if better {
            best = Some(amount);
        }
    }
    best
}

/// Tells an amount, and who asked for another one.
pub(super) fn supplied(field: String, amount: &Quantity, asked: &[Share<Quantity>]) -> Supplied {
    let same = |other: &Quantity| Milli::try_from(other) == Milli::try_from(amount);
    let by = asked.iter().find(|(_, other)| same(other)).map(|(place, _)| *place);
    Supplied {
        less: asked
            .iter()
            .filter(|(_, other)| !same(other))
            .map(|(place, other)| (*place, other.0.clone()))
            .collect(),
        ..Supplied::new(field, &amount.0, by.unwrap_or_default())
    }
}
