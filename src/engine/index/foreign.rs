//! The part of the index that is about objects that undo a control: only of those something is kept. Those under reserved
//! names are among them: where a baseline asks for such a name it is held to that, and where none does it is somebody
//! else's.

use super::*;
use crate::controls::weakened::weakening;

impl Index {
    /// Takes up an object that may undo a control. Answers whether its namespace is to be looked at.
    pub fn foreign_seen(&mut self, kind: &'static ChildKind, object: &Value) -> bool {
        let namespace = meta(object, "namespace");
        let name = meta(object, "name");
        let Some(found) = weakening(kind, object) else {
            return self.foreign_gone(kind, namespace, name);
        };
        let known = self.weakenings.iter().find(|known| ***known == found).cloned();
        let found = known.unwrap_or_else(|| {
            let found = Arc::new(found);
            self.weakenings.push(found.clone());
            found
        });
        let synced = self.synced;
        let id = ChildId {
            kind,
            name: name.to_owned(),
        };
        let entry = self.entry(namespace);
        let news = entry
            .foreign
            .insert(id, found.clone())
            .is_none_or(|before| before != found);
        synced && news && self.concerns_somebody(namespace)
    }

    /// Notes that such an object is gone, or undoes nothing any more. Answers whether its namespace is to be looked at.
    pub fn foreign_gone(&mut self, kind: &'static ChildKind, namespace: &str, name: &str) -> bool {
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return false;
        };
        let id = ChildId {
            kind,
            name: name.to_owned(),
        };
        let had = entry.foreign.remove(&id).is_some();
        let looks = had && self.synced && self.concerns_somebody(namespace);
        self.forget_if_empty(namespace);
        looks
    }

    fn concerns_somebody(&self, namespace: &str) -> bool {
        let entry = self.namespaces.get(namespace);
        entry.is_some_and(|entry| entry.report.is_some() || self.is_selected(namespace, entry))
    }
}
