//! The part of the index that is about baselines, and how their namespaces stand.

use super::*;
use crate::core::exceptions::Waivers;

impl Index {
    /// The baselines, by name.
    pub fn baselines(&self) -> impl Iterator<Item = (&Arc<str>, &BaselineEntry)> {
        self.baselines.iter()
    }

    /// One baseline.
    pub fn baseline(&self, name: &str) -> Option<&BaselineEntry> {
        self.baselines.get(name)
    }

    /// One baseline, to be changed.
    pub fn baseline_mut(&mut self, name: &str) -> Option<&mut BaselineEntry> {
        self.baselines.get_mut(name)
    }

    /// Notes that the baselines were listed anew: what the list shows is what is, also if its versions are older.
    pub fn baselines_listed_anew(&mut self) {
        for entry in self.baselines.values_mut() {
            "0".clone_into(&mut entry.resource_version);
        }
    }

    /// Takes up a baseline. Answers the namespaces to be looked at: those that it selected, and those that it selects.
    pub fn baseline_seen(&mut self, name: &str, mut entry: BaselineEntry) -> Vec<Arc<str>> {
        let known = self.baselines.get(name);
        let before = known.and_then(|b| b.accepted.clone());
        let considered = known.and_then(|b| b.candidate.as_ref());
        let same = |a: &Arc<Baseline>, b: &Arc<Baseline>| Arc::ptr_eq(a, b);
        // What a candidate would mean that is none any more, nobody asks for again.
        let dropped = considered.is_some_and(|c| !entry.candidate.as_ref().is_some_and(|now| same(now, c)));
        if entry.accepted == before {
            // The very one, since what it means together with others is known by it.
            entry.accepted.clone_from(&before);
        }
        if entry.accepted != before || dropped {
            self.effective.clear();
        }
        let after = entry.accepted.clone();
        self.baselines.insert(name.into(), entry);
        if before == after || !self.synced {
            return Vec::new();
        }
        self.concerned(&[before, after])
    }

    /// Forgets a baseline. Answers the namespaces to be looked at.
    pub fn baseline_gone(&mut self, name: &str) -> Vec<Arc<str>> {
        let before = self.baselines.remove(name).and_then(|b| b.accepted);
        self.effective.clear();
        let Some(before) = before else { return Vec::new() };
        let uid = before.uid.clone();
        let concerned = self.concerned(&[Some(before)]);
        self.begin_rollout(&uid, &concerned);
        concerned
    }

    /// Takes up what a baseline is to hold from now on. Answers the namespaces to be looked at.
    pub fn accept(&mut self, name: &str, now: Timestamp) -> Vec<Arc<str>> {
        let Some(entry) = self.baselines.get_mut(name) else {
            return Vec::new();
        };
        let Some(candidate) = entry.candidate.take() else {
            return Vec::new();
        };
        let accepted = Arc::new(Baseline {
            since: now,
            ..(*candidate).clone()
        });
        entry.waits = None;
        let provisional = std::mem::take(&mut entry.provisional);
        let before = entry.accepted.replace(accepted.clone());
        self.effective.clear();
        let concerned = self.concerned(&[before, Some(accepted.clone())]);
        if provisional {
            self.unjudge(&concerned, &accepted.name);
        }
        self.begin_rollout(&accepted.uid, &concerned);
        concerned
    }

    /// Takes back how namespaces stand with a baseline: that was about its audited form, which has the same generation as
    /// what is enforced from now on. They would else count as in the declared state before anything is written.
    fn unjudge(&mut self, namespaces: &[Arc<str>], baseline: &str) {
        for name in namespaces {
            if let Some(entry) = self.namespaces.get_mut(name)
                && let Some(members) = &entry.settled
            {
                let others = members.iter().filter(|member| member.baseline != baseline);
                let others: Vec<MemberStanding> = others.cloned().collect();
                entry.settled = Some(self.pools.standings.share(others));
            }
        }
    }

    /// Has a baseline that is being deleted leave in place what was created for it, whatever its policy says.
    pub fn stays(&mut self, name: &str) {
        if let Some(entry) = self.baselines.get_mut(name) {
            entry.candidate = None;
            entry.waits = None;
            entry.policy = Some(DeletionPolicy::Retain);
        }
    }

    /// Has what a baseline is to hold wait. A baseline that holds nothing yet is audited meanwhile. Answers the
    /// namespaces to be looked at.
    pub fn wait(&mut self, name: &str, why: String) -> Vec<Arc<str>> {
        let Some(entry) = self.baselines.get_mut(name) else {
            return Vec::new();
        };
        entry.waits = Some(why);
        let (Some(candidate), true) = (&entry.candidate, entry.accepted.is_none() || entry.provisional) else {
            return Vec::new();
        };
        let audited = Arc::new(only_audited(candidate));
        if entry.accepted.as_ref() == Some(&audited) {
            return Vec::new();
        }
        entry.provisional = true;
        let before = entry.accepted.replace(audited.clone());
        self.effective.clear();
        self.concerned(&[before, Some(audited)])
    }

    /// What the baselines of a namespace mean together as they are, and would mean if a baseline were this one. `None`
    /// where that holds it neither way.
    pub fn changed(&mut self, namespace: &str, candidate: &Arc<Baseline>) -> Option<[Arc<Effective>; 2]> {
        let entry = self.namespaces.get(namespace)?;
        entry.facts.as_ref().filter(|facts| !facts.terminating)?;
        if self.excludes(namespace) {
            return None;
        }
        let before = self.members(namespace, entry).holding;
        let (held, mut after): (Vec<_>, Vec<_>) = before.iter().cloned().partition(|b| b.uid == candidate.uid);
        let its = self.members_of([candidate], namespace, entry).holding;
        if held.is_empty() && its.is_empty() {
            return None;
        }
        after.extend(its);
        Some([self.effective(&before), self.effective(&after)])
    }

    /// The world of a namespace as it would be if a baseline were this one, without exceptions: the brake is about
    /// baselines, and what is waived today comes back.
    pub fn world_if(&mut self, namespace: &str, candidate: &Arc<Baseline>, now: Timestamp) -> Option<World> {
        let entry = self.namespaces.get(namespace)?;
        let others = self.accepted().filter(|b| b.uid != candidate.uid);
        let members = self.members_of(others.chain([candidate]), namespace, entry);
        let world = self.world_of(namespace, members, now)?;
        Some(World {
            waivers: Waivers::default(),
            ..world
        })
    }

    /// What is on record for a baseline, and what keeps it from being removed.
    pub fn remaining(&self, uid: &str) -> Remaining {
        let mut remaining = Remaining::default();
        for (name, entry) in &self.namespaces {
            let (Some(facts), Some(prior)) = (&entry.facts, &entry.prior) else {
                continue;
            };
            if prior.has_written_for(uid) && !facts.terminating && !self.excludes(name) {
                remaining.namespaces += 1;
                remaining.example.get_or_insert_with(|| name.to_string());
                if remaining.stuck.is_none() {
                    let failure = entry.attempt.failures.iter().next();
                    remaining.stuck = failure.map(|(object, why)| format!("{name}: {object}: {}", why.message));
                }
            }
        }
        remaining
    }

    /// The namespaces that some baselines hold, or held.
    pub fn concerned(&self, baselines: &[Option<Arc<Baseline>>]) -> Vec<Arc<str>> {
        self.names(|index, name, entry| {
            let Some(facts) = &entry.facts else { return false };
            let concerned = |baseline: &Arc<Baseline>| {
                let recorded = entry.prior.as_ref().and_then(|prior| prior.membership(&baseline.uid));
                standing(&baseline.spec, name, facts, recorded) != Standing::Out
                    || entry.prior.as_ref().is_some_and(|prior| prior.knows(&baseline.uid))
            };
            !index.excludes(name) && baselines.iter().flatten().any(concerned)
        })
    }

    /// Counts the namespaces of a baseline.
    pub fn tally(&self, baseline: &Baseline) -> Tally {
        let mut tally = Tally::default();
        if baseline.leaving {
            // It holds nothing any more; what is left of it is told by itself.
            return tally;
        }
        for (name, entry) in &self.namespaces {
            let Some(facts) = &entry.facts else { continue };
            if facts.terminating || self.excludes(name) {
                continue;
            }
            let recorded = entry.prior.as_ref().and_then(|prior| prior.membership(&baseline.uid));
            if standing(&baseline.spec, name, facts, recorded) == Standing::Out {
                continue;
            }
            let member = entry.settled.as_ref().and_then(|all| standing_of(all, &baseline.name));
            // Judged by an earlier generation, it says nothing of this one.
            match member.filter(|member| member.generation == baseline.generation) {
                Some(member) => tally.add(name, member),
                None => tally.unseen(),
            }
        }
        tally
    }
}
