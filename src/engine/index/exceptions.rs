//! The part of the index that is about exceptions: which there are, and what is there of them in their namespaces.

use super::*;
use crate::api::v1alpha1::BaselineExceptionStatus;
use crate::core::exceptions::status::{Found, State};
use crate::core::exceptions::{Exception, Waived, Waivers, waivers};

/// What is known of exceptions.
#[derive(Default)]
pub(super) struct Exceptions {
    by_name: BTreeMap<Arc<str>, ExceptionEntry>,
    /// Those that may waive something, by the namespaces that they name.
    naming: HashMap<String, Vec<Arc<Exception>>>,
}

/// An exception, as it was last seen.
pub struct ExceptionEntry {
    /// Its UID.
    pub uid: String,
    /// The resourceVersion that was seen last.
    pub resource_version: String,
    /// The generation that was judged last.
    pub judged: i64,
    /// What is wrong with it.
    pub problems: Problems,
    /// The exception, if nothing is.
    pub accepted: Option<Arc<Exception>>,
    /// Whether it is being deleted.
    pub deleted: bool,
    /// The status, as it was last seen or written.
    pub status: BaselineExceptionStatus,
    /// How it stood when it was looked at last.
    pub state: Option<State>,
}

impl ExceptionEntry {
    /// The exception, if it may waive something: whoever deletes it wants that to end, whatever finalizer it has.
    fn in_force(&self) -> Option<&Arc<Exception>> {
        self.accepted.as_ref().filter(|_| !self.deleted)
    }
}

/// What is there of exceptions in a namespace, since it was last as they say.
pub(super) struct Judged {
    /// The exceptions that held then.
    exceptions: Vec<Arc<Exception>>,
    /// What they waived.
    waived: Vec<Waived>,
}

impl Index {
    /// The exceptions, by name.
    pub fn exceptions(&self) -> impl Iterator<Item = (&Arc<str>, &ExceptionEntry)> {
        self.exceptions.by_name.iter()
    }

    /// One exception.
    pub fn exception(&self, name: &str) -> Option<&ExceptionEntry> {
        self.exceptions.by_name.get(name)
    }

    /// One exception, to be changed, but for what it waives.
    pub fn exception_mut(&mut self, name: &str) -> Option<&mut ExceptionEntry> {
        self.exceptions.by_name.get_mut(name)
    }

    /// Notes that the exceptions were listed anew: what the list shows is what is, also if its versions are older.
    pub fn exceptions_listed_anew(&mut self) {
        for entry in self.exceptions.by_name.values_mut() {
            "0".clone_into(&mut entry.resource_version);
        }
    }

    /// Takes up an exception. Answers the namespaces to be looked at: those that it let off, and those that it lets off.
    pub fn exception_seen(&mut self, name: &str, entry: ExceptionEntry) -> Vec<Arc<str>> {
        let after = entry.in_force().cloned();
        let before = self.exceptions.by_name.insert(name.into(), entry);
        let before = before.and_then(|before| before.in_force().cloned());
        self.exchange(before, after)
    }

    /// Forgets an exception. Answers the namespaces to be looked at.
    pub fn exception_gone(&mut self, name: &str) -> Vec<Arc<str>> {
        let before = self.exceptions.by_name.remove(name);
        self.exchange(before.and_then(|before| before.in_force().cloned()), None)
    }

    fn exchange(&mut self, before: Option<Arc<Exception>>, after: Option<Arc<Exception>>) -> Vec<Arc<str>> {
        if before == after {
            return Vec::new();
        }
        let naming = &mut self.exceptions.naming;
        let mut named = BTreeSet::new();
        for (exception, holds) in before.iter().map(|e| (e, false)).chain(after.iter().map(|e| (e, true))) {
            for namespace in &exception.spec.namespaces {
                named.insert(namespace.as_str());
                let list = naming.entry(namespace.clone()).or_default();
                list.retain(|known| known.name != exception.name);
                if holds {
                    list.push(Arc::clone(exception));
                } else if list.is_empty() {
                    naming.remove(namespace);
                }
            }
        }
        if !self.synced {
            return Vec::new();
        }
        let known = self.namespaces.keys();
        known.filter(|name| named.contains(&***name)).cloned().collect()
    }

    /// What is waived in a namespace now.
    pub(super) fn waivers(&self, namespace: &str, now: Timestamp) -> Waivers {
        let naming = self.exceptions.naming.get(namespace);
        naming.map(|all| waivers(all, namespace, now)).unwrap_or_default()
    }

    /// The exceptions that name a namespace.
    pub fn exceptions_naming(&self, namespace: &str) -> Vec<Arc<str>> {
        let naming = self.exceptions.naming.get(namespace).into_iter().flatten();
        naming.map(|exception| exception.name.as_str().into()).collect()
    }

    /// Takes up what is waived in a namespace, once it is as the exceptions say: once nothing is left to be done, but
    /// what could not be. Answers the exceptions to which that is news.
    pub fn waived(&mut self, world: &World, plan: &Plan, attempt: &Attempt) -> Vec<Arc<str>> {
        let name = world.namespace.name.as_str();
        let done = plan
            .actions
            .iter()
            .all(|action| attempt.failures.contains_key(&action.object));
        let naming = self.exceptions_naming(name);
        let Some(entry) = self.namespaces.get_mut(name).filter(|_| done) else {
            return Vec::new();
        };
        let exceptions = &world.waivers.exceptions;
        let same = |judged: &Judged| judged.exceptions == *exceptions && judged.waived == plan.waived;
        if entry.judged.as_deref().is_some_and(same) {
            return Vec::new();
        }
        let judged = Judged {
            exceptions: exceptions.clone(),
            waived: plan.waived.clone(),
        };
        let before = entry
            .judged
            .replace(Box::new(judged))
            .map(|judged| judged.exceptions)
            .unwrap_or_default();
        let concerned = before
            .iter()
            .chain(exceptions)
            .map(|exception| exception.name.as_str().into());
        concerned.chain(naming).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// When the exceptions expire that may still waive something, the next one first.
    pub fn expiries(&self, now: Timestamp) -> Vec<(Timestamp, &str)> {
        let by_name = self.exceptions.by_name.iter();
        let in_force = by_name.filter_map(|(name, entry)| Some((entry.in_force()?.expires, &**name)));
        let mut expiries: Vec<_> = in_force.filter(|(at, _)| now < *at).collect();
        expiries.sort_unstable();
        expiries
    }

    /// What is there of an exception in a namespace that it names.
    pub fn found(&self, namespace: &str, exception: &Exception, holds: bool) -> Found {
        let entry = self.namespaces.get(namespace);
        let Some(entry) = entry.filter(|e| e.facts.as_ref().is_some_and(|facts| !facts.terminating)) else {
            return Found::Absent;
        };
        if !self.is_selected(namespace, entry) {
            return Found::Unheld;
        }
        let held = |judged: &Judged| {
            judged
                .exceptions
                .iter()
                .any(|e| e.uid == exception.uid && (!holds || **e == *exception))
        };
        match &entry.judged {
            Some(judged) if held(judged) == holds => Found::Done(judged.waived.clone()),
            _ => Found::Pending,
        }
    }

    /// Whether the work on a namespace has begun since the operator started, if there is any.
    pub fn looked_at(&self, namespace: &str) -> bool {
        let entry = self.namespaces.get(namespace);
        entry.is_none_or(|entry| entry.settled.is_some() || !self.is_selected(namespace, entry))
    }
}
