//! What is weaker than declared.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use serde_json::Value;

use super::{Declared, State};

/// Something that a test did to an object, which is weaker until it is repaired.
#[derive(Clone, Debug)]
pub struct Tampering {
    /// Such as `NetworkPolicy`.
    pub kind: &'static str,
    /// The namespace; of a Namespace its own name.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The resourceVersions among which its write is.
    pub versions: RangeInclusive<u64>,
}

/// Everything that was weaker than declared in these states, which are in the order of their writes. An object counts
/// from its first state that is as declared; a grant counts always. While a namespace is deleted nothing counts.
pub(super) fn weaker(states: &[State], declared: &Declared, tamperings: &[Tampering]) -> Vec<String> {
    let mut found = Vec::new();
    let mut right: BTreeSet<[&str; 3]> = BTreeSet::new();
    let mut excused: BTreeSet<[&str; 3]> = BTreeSet::new();
    let mut bound: BTreeMap<[&str; 3], usize> = BTreeMap::new();
    let mut ending: BTreeSet<&str> = BTreeSet::new();
    for (at, state) in states.iter().enumerate() {
        let key = [&*state.kind, &*state.namespace, &*state.name];
        if state.kind == "Namespace" {
            let deleted = |object: &Value| object["metadata"]["deletionTimestamp"].is_string();
            if state.object.as_ref().is_none_or(deleted) {
                ending.insert(&state.namespace);
                // Another namespace of this name begins anew.
                right.retain(|[_, namespace, _]| *namespace != state.namespace);
                bound.retain(|[_, namespace, _], _| *namespace != state.namespace);
            } else {
                ending.remove(&*state.namespace);
            }
        }
        if ending.contains(&*state.namespace) {
            continue;
        }
        if tamperings.iter().any(|tampering| tampering.is(state)) {
            excused.insert(key);
        }
        let wrong = match state.kind.as_str() {
            "RoleBinding" => declared.grants(state, bound.entry(key).or_default()),
            // A protection counts once it was there; a grant counts always.
            _ if !right.contains(&key) && state.kind != "Role" => {
                if declared.wrong(state).is_none() {
                    right.insert(key);
                }
                None
            }
            _ => declared.wrong(state),
        };
        match wrong {
            None => drop(excused.remove(&key)),
            Some(_) if excused.contains(&key) || recreated(state, &states[..at], &states[at..]) => {}
            Some(what) => found.push(format!(
                "{} {}/{} at resourceVersion {}: {what}",
                state.kind, state.namespace, state.name, state.version
            )),
        }
    }
    found
}

/// Whether a quota is only gone for its scopes to be changed, which nothing else can change.
fn recreated(state: &State, before: &[State], after: &[State]) -> bool {
    let same =
        |other: &&State| other.kind == state.kind && other.namespace == state.namespace && other.name == state.name;
    let scopes = |state: Option<&State>| {
        let spec = &state?.object.as_ref()?["spec"];
        Some([spec["scopes"].clone(), spec["scopeSelector"].clone()])
    };
    let (was, is) = (
        scopes(before.iter().rfind(same)),
        scopes(after.iter().skip(1).find(same)),
    );
    state.kind == "ResourceQuota" && state.object.is_none() && was.is_some() && is.is_some() && was != is
}

impl Tampering {
    fn is(&self, state: &State) -> bool {
        let object = [&*state.kind, &*state.namespace, &*state.name] == [self.kind, &*self.namespace, &*self.name];
        object && self.versions.contains(&state.version)
    }
}

#[cfg(test)]
mod tests;
