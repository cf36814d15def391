//! The part of the index that is about the objects under reserved names.

use super::*;

impl Index {
    /// Whether a child is known as of this very version: its event was overtaken by the answer to our own write, or it is
    /// listed once more.
    pub fn knows_child(&mut self, kind: &'static ChildKind, namespace: &str, name: &str, version: &str) -> bool {
        let id = ChildId {
            kind,
            name: name.to_owned(),
        };
        let entry = self.namespaces.get_mut(namespace);
        let Some(child) = entry.and_then(|entry| entry.children.get_mut(&id)) else {
            return false;
        };
        let same = |live: &Fingerprint| live.resource_version == *version && live.digest != Digest::unseen();
        let known = child.live.as_ref().is_some_and(same);
        if known {
            child.version = version_number(version);
        }
        known
    }

    /// Takes up a child as an event or an answer shows it. Answers whether its namespace is to be looked at.
    pub fn child_seen(&mut self, kind: &'static ChildKind, object: Value) -> bool {
        let digest = Canonical::of(kind, &object).digest();
        self.child_digested(kind, object, digest)
    }

    /// The same of one whose digest was worked out already.
    pub fn child_digested(&mut self, kind: &'static ChildKind, object: Value, digest: Digest) -> bool {
        let name = meta(&object, "name");
        if !name.starts_with(RESERVED_PREFIX) {
            return false;
        }
        let id = self.pools.ids.share(ChildId {
            kind,
            name: name.to_owned(),
        });
        let namespace = meta(&object, "namespace").to_owned();
        let resource_version = Version::from(meta(&object, "resourceVersion"));
        let version = resource_version.number();
        let live = Fingerprint {
            uid: meta(&object, "uid").into(),
            resource_version,
            digest,
            kept: facts::kept(&object).map(Arc::new),
            all_ours: Child::is_all_ours(&object),
        };
        let (synced, kept) = (self.synced, self.evidence);
        let entry = self.entry(&namespace);
        let sent = entry.sent_child(&id);
        let child = entry.children.entry(Arc::clone(&id)).or_default();
        if version < child.version {
            return false;
        }
        child.version = version;
        if child.live.as_ref() == Some(&live) {
            return false;
        }
        let as_wanted = child.wanted == Some(live.digest);
        let ours = as_wanted && sent;
        // Without a wish there is nothing to prove, until there is a plan; it reads what it needs.
        let proof = !as_wanted && child.wanted.is_some() && kept < MOST_EVIDENCE;
        let had = child.evidence.take().is_some();
        child.evidence = proof.then(|| Arc::new(object));
        let recorded = entry.prior.as_ref().and_then(|p| p.written(&id)).map(|r| &r.uid);
        // As wanted, but not the object on record: the report is to be brought up to date.
        let unrecorded = as_wanted && !ours && recorded != Some(&live.uid);
        let concerns = child.wanted.is_some() || recorded.is_some();
        // What keeps it is told, and nothing is done about it.
        let kept_anew = child.live.as_ref().and_then(|l| l.kept.as_ref()) != live.kept.as_ref();
        child.leaving = child.leaving.take().filter(|uid| **uid == live.uid);
        child.live = Some(live);
        if !ours {
            entry.fights.touched(&id.to_string());
        }
        self.evidence = kept + usize::from(proof) - usize::from(had);
        synced && concerns && (!as_wanted || unrecorded || kept_anew)
    }

    /// Notes that a repair of a child, or of the namespace itself, changed nothing. Answers whether that is news.
    pub fn false_alarm(&mut self, namespace: &str, child: Option<&ChildId>) -> bool {
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return false;
        };
        let known = match child {
            Some(id) => entry.children.get_mut(id).map(|child| &mut child.false_alarm),
            None => Some(&mut entry.false_alarm),
        };
        known.is_some_and(|known| !std::mem::replace(known, true))
    }

    /// Notes that a child is gone. Answers whether its namespace is to be looked at.
    pub fn child_gone(&mut self, kind: &'static ChildKind, namespace: &str, name: &str, last: Last<'_>) -> bool {
        let id = ChildId {
            kind,
            name: name.to_owned(),
        };
        let synced = self.synced;
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return false;
        };
        let Some(child) = entry.children.get_mut(&id) else {
            return false;
        };
        // The deletion of an earlier object of this name says nothing of the one that is there now.
        let version = last.version.map(version_number);
        if version.is_some_and(|version| version < child.version) {
            return false;
        }
        child.version = version.unwrap_or(child.version);
        let another = |live: &Fingerprint| last.uid.is_some_and(|uid| live.uid != *uid);
        if child.live.as_ref().is_none_or(another) {
            return false;
        }
        let gone = child.live.take().map(|live| live.uid);
        self.evidence -= usize::from(child.evidence.take().is_some());
        let recorded = entry.prior.as_ref().is_some_and(|p| p.written(&id).is_some());
        let concerns = entry.facts.is_some() && (child.wanted.is_some() || recorded);
        child.leaving = child.leaving.take().filter(|uid| Some(&**uid) == gone.as_ref());
        if child.wanted.is_none() {
            entry.children.remove(&id);
        }
        self.forget_if_empty(namespace);
        synced && concerns
    }

    /// A list did not show a child. Answers whether that does not mean that it is gone: where it was taken up since the
    /// list began, it may be newer than what the list shows. Then it is as if nobody had seen what is in it, and it is
    /// read before anything is said of it.
    pub fn child_in_doubt(&mut self, kind: &'static ChildKind, namespace: &str, name: &str) -> bool {
        let id = ChildId {
            kind,
            name: name.to_owned(),
        };
        let entry = self.namespaces.get_mut(namespace);
        let Some(child) = entry.and_then(|entry| entry.children.get_mut(&id)) else {
            return false;
        };
        let (Some(live), true) = (&mut child.live, child.version > 0 && child.wanted.is_some()) else {
            return false;
        };
        live.digest = Digest::unseen();
        self.evidence -= usize::from(child.evidence.take().is_some());
        true
    }

    /// Notes that we are deleting a child, before it is known whether that is done: its reply may be lost. What was drift
    /// before stays drift until it is repaired.
    pub fn child_leaves(&mut self, namespace: &str, id: &ChildId, uid: &str) {
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return;
        };
        let recorded = entry.prior.as_ref().and_then(|p| p.written(id));
        let (Some(child), Some(recorded)) = (entry.children.get_mut(id), recorded) else {
            return;
        };
        let as_recorded =
            |live: &Fingerprint| live.uid == *uid && recorded.uid == *uid && recorded.digest == Some(live.digest);
        if child.live.as_ref().is_some_and(as_recorded) {
            child.leaving = Some(Box::new(uid.into()));
        }
    }

    /// Notes that the API server refused to delete a child.
    pub fn child_stays(&mut self, namespace: &str, id: &ChildId) {
        let child = self
            .namespaces
            .get_mut(namespace)
            .and_then(|entry| entry.children.get_mut(id));
        if let Some(child) = child {
            child.leaving = None;
        }
    }

    /// Notes that the children of a kind are listed anew. What the list shows holds, whatever its resourceVersions: a
    /// restored etcd counts from an earlier one.
    pub fn children_listed_anew(&mut self, kind: &'static ChildKind) {
        let children = self.namespaces.values_mut().flat_map(|entry| entry.children.iter_mut());
        for (_, child) in children.filter(|(id, _)| id.kind == kind) {
            child.version = 0;
        }
    }

    /// The same of the namespaces.
    pub fn namespaces_listed_anew(&mut self) {
        for entry in self.namespaces.values_mut() {
            entry.version = 0;
        }
    }

    /// The objects of a kind of which something is kept, live children and what undoes a control, of those that are picked
    /// by namespace and name: those two.
    pub fn objects_of(&self, kind: &'static ChildKind, pick: impl Fn(&str, &str) -> bool) -> Vec<(String, String)> {
        let mut objects = Vec::new();
        for (namespace, entry) in &self.namespaces {
            let is_live = |id: &ChildId| entry.children.get(id).is_some_and(|child| child.live.is_some());
            let live = entry.children.keys().map(|id| &**id).filter(|id| is_live(id));
            let foreign = entry.foreign.keys().filter(|id| !is_live(id));
            let of_kind = live.chain(foreign).filter(|id| id.kind == kind);
            let picked = of_kind.filter(|id| pick(namespace, &id.name));
            objects.extend(picked.map(|id| (namespace.to_string(), id.name.clone())));
        }
        objects
    }
}
