//! The part of the index that is about the work of one namespace: its world, its plan, and what came of it.

use super::*;

impl Index {
    /// All that a plan for the namespace may see; `None` where there is nothing to plan.
    pub fn world(&self, name: &str, now: Timestamp) -> Option<World> {
        let entry = self.namespaces.get(name)?;
        let facts = entry.facts.clone()?;
        if self.config.excludes(name) {
            return None;
        }
        let baselines: Vec<Arc<Baseline>> = self
            .accepted()
            .filter(|b| selects(&b.spec, name, &facts.labels))
            .cloned()
            .collect();
        if baselines.is_empty() && entry.report.is_none() {
            return None;
        }
        let live = entry
            .children
            .iter()
            .filter_map(|(id, child)| {
                let live = child.live.as_ref()?;
                let live = Live {
                    uid: live.uid.clone(),
                    resource_version: live.resource_version.clone(),
                    digest: live.digest,
                    object: child.evidence.clone(),
                };
                Some((id.clone(), live))
            })
            .collect();
        let mut prior = entry.prior.clone().unwrap_or_default();
        for (id, child) in &entry.children {
            if child.live.is_none() && child.leaving.is_some() {
                prior.inventory.remove(id);
            }
        }
        Some(World {
            namespace: facts,
            baselines,
            live,
            prior,
            cluster: self.cluster.clone(),
            now,
        })
    }

    /// Notes what is wanted from now on. Answers whether something changed since the plan's world was made: then the
    /// namespace is to be looked at again, since an event in between was judged by what was wanted before.
    pub fn planned(&mut self, world: &World, plan: &Plan) -> bool {
        let Some(entry) = self.namespaces.get_mut(world.namespace.name.as_str()) else {
            return false;
        };
        let mut changed = false;
        for (id, child) in &mut entry.children {
            child.wanted = plan.wanted.get(id).copied();
            let seen = world.live.get(id).map(|l| (&l.uid, &l.resource_version));
            changed |= seen != child.live.as_ref().map(|l| (&l.uid, &l.resource_version));
            if child.wanted.is_some() && child.wanted == child.live.as_ref().map(|l| l.digest) {
                self.evidence -= usize::from(child.evidence.take().is_some());
            }
        }
        changed |= world.live.keys().any(|id| !entry.children.contains_key(id));
        for (id, wanted) in &plan.wanted {
            entry.children.entry(id.clone()).or_default().wanted = Some(*wanted);
        }
        entry
            .children
            .retain(|_, child| child.live.is_some() || child.wanted.is_some());
        changed
    }

    /// Keeps an object that was read for a plan.
    pub fn evidence(&mut self, namespace: &str, id: &ChildId, object: Value) {
        let version = meta(&object, "resourceVersion").to_owned();
        self.child_seen(id.kind, object.clone());
        let child = self.entry(namespace).children.entry(id.clone()).or_default();
        // Events may have told of something newer while it was read: it would prove what is no longer so.
        let newest = child.live.as_ref().is_some_and(|live| live.resource_version == version);
        if newest && child.evidence.replace(Arc::new(object)).is_none() {
            self.evidence += 1;
        }
    }

    /// Takes up what we did ourselves before the report tells it: the next plan, which may come first, is not to take it
    /// for somebody else's doing.
    pub fn did(&mut self, name: &str, holder: &Baseline, step: &Step) {
        let Some(entry) = self.namespaces.get_mut(name) else {
            return;
        };
        let prior = entry.prior.get_or_insert_default();
        match step {
            Step::Create(child) | Step::Replace { child, .. } | Step::Recreate { child, .. } => {
                let now = entry.children.get(&child.id);
                // Somebody may have changed it since.
                let as_written = now.and_then(|c| c.live.as_ref().filter(|l| c.wanted == Some(l.digest)));
                if let Some(live) = as_written {
                    let recorded = Recorded {
                        uid: live.uid.clone(),
                        baseline: holder.uid.clone(),
                        digest: Some(live.digest),
                    };
                    prior.inventory.insert(child.id.clone(), recorded);
                }
            }
            Step::Delete { id, .. } => {
                prior.inventory.remove(id);
            }
            Step::Label(labels) => prior.labels.retain(|key, value| match labels.get(key) {
                Some(written) => {
                    value.value.clone_from(written);
                    true
                }
                None => false,
            }),
        }
    }

    /// What came of earlier attempts.
    pub fn attempt(&self, name: &str) -> Attempt {
        self.namespaces.get(name).map(|e| e.attempt.clone()).unwrap_or_default()
    }

    /// Changes what came of attempts.
    pub fn update_attempt(&mut self, name: &str, update: impl FnOnce(&mut Attempt)) {
        if let Some(entry) = self.namespaces.get_mut(name) {
            update(&mut entry.attempt);
        }
    }

    /// Counts a failed attempt and answers how many there were in a row of its class, which is the longest pause of that
    /// class; or, after a good one, starts anew. A long outage says nothing of how often something was refused.
    pub fn retries(&mut self, name: &str, failed: Option<Duration>) -> u32 {
        let Some(entry) = self.namespaces.get_mut(name) else {
            return 0;
        };
        let (count, class) = entry.retries;
        entry.retries = match failed {
            None => (0, Duration::ZERO),
            Some(now) if now == class => (count.saturating_add(1), class),
            Some(now) => (1, now),
        };
        entry.retries.0
    }

    /// Takes up how a namespace stands. Answers the baselines to which that is news.
    pub fn settled(&mut self, name: &str, plan: &Plan, settled: &Settled) -> Vec<Arc<str>> {
        let holder: Option<Arc<str>> = plan.holder.as_ref().map(|b| b.name.as_str().into());
        let generation = plan.holder.as_ref().map(|b| b.generation).unwrap_or_default();
        let Some(entry) = self.namespaces.get_mut(name) else {
            return Vec::new();
        };
        // What the evidence had to show is in the report now.
        for child in entry.children.values_mut() {
            self.evidence -= usize::from(child.evidence.take().is_some());
        }
        let same = entry.settled.as_ref().is_some_and(|s| {
            s.holder == holder
                && s.generation == generation
                && s.standing == settled.standing
                && s.reason == settled.reason
                && s.message == settled.message
        });
        if same {
            return Vec::new();
        }
        let before = entry.settled.replace(Stand {
            holder: holder.clone(),
            generation,
            standing: settled.standing,
            reason: settled.reason.clone(),
            message: settled.message.clone(),
        });
        let others = plan.conflicting.iter().map(|b| Arc::from(b.name.as_str()));
        holder
            .into_iter()
            .chain(before.and_then(|b| b.holder))
            .chain(others)
            .collect()
    }
}
