//! What of ours is on its way. Its echo may overtake its answer, and is nothing new all the same: whoever sent it takes up
//! what came of it, and has it reported.

use super::*;

/// A write that was sent to a namespace, and not answered yet. There is one at a time: a namespace is worked on by one worker.
/// (Policy reports are written beside it, and known elsewhere.)
pub enum Sent {
    /// This object, as it is wanted.
    Child(ChildId),
    /// These labels of the Namespace, and no others.
    Labels(BTreeMap<String, String>),
    /// The report, with this meaning.
    Report(Digest),
}

impl Sent {
    /// What a step of a plan sends. (What a deletion echoes is looked at: something else may be there by then.)
    pub fn of(step: &Step) -> Option<Self> {
        match step {
            Step::Create(child) | Step::Replace { child, .. } | Step::Recreate { child, .. } => {
                Some(Self::Child(child.id.clone()))
            }
            Step::Delete { .. } => None,
            Step::Label(labels) => Some(Self::Labels(labels.clone())),
        }
    }
}

impl Index {
    /// Notes what is on its way to a namespace from now on.
    pub fn sends(&mut self, namespace: &str, sent: Option<Sent>) {
        if let Some(entry) = self.namespaces.get_mut(namespace) {
            entry.sent = sent.map(Box::new);
        }
    }
}

impl NamespaceEntry {
    /// Whether this object is on its way.
    pub(super) fn sent_child(&self, id: &ChildId) -> bool {
        matches!(self.sent.as_deref(), Some(Sent::Child(sent)) if sent == id)
    }

    /// Whether a report of this meaning is on its way.
    pub(super) fn sent_report(&self, meaning: &Digest) -> bool {
        matches!(self.sent.as_deref(), Some(Sent::Report(sent)) if sent == meaning)
    }

    /// Whether the labels that are on their way are all that tells the Namespace as it is now from the one that was known.
    pub(super) fn sent_labels(&self, known: &NamespaceFacts, now: &NamespaceFacts) -> bool {
        let Some(Sent::Labels(sent)) = self.sent.as_deref() else {
            return false;
        };
        let others = |facts: &NamespaceFacts| {
            let mut labels = facts.labels.clone();
            labels.retain(|key, _| !sent.contains_key(key) && !known.our_labels.contains(key));
            labels
        };
        let arrived =
            |(key, value): (&String, &String)| now.labels.get(key) == Some(value) && now.our_labels.contains(key);
        let same = |known: &NamespaceFacts| (known.uid.clone(), known.created, known.terminating);
        same(known) == same(now) && sent.iter().all(arrived) && others(known) == others(now)
    }
}
