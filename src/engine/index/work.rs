//! The part of the index that is about the work of one namespace: its world, its plan, and what came of it.

use super::*;
use crate::core::settle::Failure;

impl NamespaceEntry {
    /// The baselines in whose rollouts it had its turn.
    pub(super) fn admitted(&self) -> BTreeSet<String> {
        let now = Instant::now();
        let had = self.turns.iter().filter(|(_, turn)| turn.at <= now);
        had.map(|(uid, _)| uid.to_string()).collect()
    }
}

impl Index {
    /// All that a plan for the namespace may see; `None` where there is nothing to plan.
    pub fn world(&mut self, name: &str, now: Timestamp) -> Option<World> {
        let entry = self.namespaces.get(name)?;
        if entry.facts.is_none() || self.excludes(name) {
            return None;
        }
        let members = self.members(name, entry);
        // What is let go may still have to be taken along, also where somebody deleted the report.
        if members.holding.is_empty() && members.released.is_empty() && entry.report.is_none() {
            return None;
        }
        self.world_of(name, members, now)
    }

    /// The world of a namespace under these baselines.
    pub(super) fn world_of(&mut self, name: &str, members: Members, now: Timestamp) -> Option<World> {
        let effective = self.effective(&members.holding);
        let entry = self.namespaces.get(name)?;
        let live = entry
            .children
            .iter()
            .filter_map(|(id, child)| {
                let live = child.live.as_ref()?;
                // Where something was not as it was thought to be, it is read.
                let known = live.all_ours && entry.retries.0 == 0;
                let live = Live {
                    uid: live.uid.to_string(),
                    resource_version: live.resource_version.to_string(),
                    digest: live.digest,
                    object: child.evidence.clone(),
                    form: known.then(|| self.forms.get(&live.digest)).flatten(),
                    kept: live.kept.clone(),
                };
                Some(((**id).clone(), live))
            })
            .collect();
        let mut prior = entry.prior.as_ref().map(Record::open).unwrap_or_default();
        for (id, child) in entry.children.iter() {
            if child.live.is_none() && child.leaving.is_some() {
                prior.inventory.remove(id);
            }
        }
        Some(World {
            deselected: members.deselected,
            released: members.released,
            effective: Some(effective),
            waivers: self.waivers(name, now),
            live,
            prior,
            foreign: entry.foreign.clone(),
            admitted: entry.admitted(),
            preflight: entry
                .preflight
                .iter()
                .map(|(section, checked)| (*section, checked.clone()))
                .collect(),
            fights: entry.fights.clone(),
            ..World::bare(
                entry.facts.as_ref()?.open(name),
                members.holding,
                self.cluster.clone(),
                now,
            )
        })
    }

    /// Notes what is wanted from now on. Answers whether something changed since the plan's world was made: then the
    /// namespace is to be looked at again, since an event in between was judged by what was wanted before.
    pub fn planned(&mut self, world: &World, plan: &Plan) -> bool {
        for child in &plan.as_asked {
            self.forms.keep(child);
        }
        let Some(entry) = self.namespaces.get_mut(world.namespace.name.as_str()) else {
            return false;
        };
        let pools = &mut self.pools;
        let selected = world.baselines.iter().filter(|b| !world.deselected.contains(&b.uid));
        if entry.prior.is_none() && selected.clone().next().is_some() {
            entry.prior = Some(Record::default());
        }
        if let Some(prior) = &mut entry.prior {
            prior.update(pools, |prior| {
                // From now on it does not walk out by a changed label, even if it tries before the first report is
                // written.
                for baseline in selected {
                    let admitted = admitted(&baseline.spec.namespace_selector, &world.namespace.labels);
                    if prior.members.get(baseline.uid.as_str()).map(|known| &known.admitted) != Some(&admitted) {
                        let members = Arc::make_mut(&mut prior.members);
                        let member = members.entry(baseline.uid.as_str().into()).or_default();
                        Arc::make_mut(member).admitted = admitted;
                    }
                }
                // What is off the record of a baseline that lets go is off it at once: a report may be long in coming,
                // and the baseline's end waits for it.
                let goes = |baseline: &String| world.released.iter().any(|released| released.uid == *baseline);
                prior
                    .inventory
                    .retain(|id, recorded| plan.inventory.contains_key(id) || !goes(&recorded.baseline));
                prior
                    .labels
                    .retain(|key, recorded| plan.labels.contains_key(key) || !goes(&recorded.baseline));
                // Before what is waived is taken off the record.
                prior.enforced_before = plan
                    .enforced_before
                    .iter()
                    .map(|section| (*section).to_owned())
                    .collect();
            });
        }
        let mut changed = false;
        for (id, child) in entry.children.iter_mut() {
            child.wanted = plan.wanted.get(&**id).copied();
            let same = match (world.live.get(&**id), &child.live) {
                (Some(seen), Some(live)) => live.uid == *seen.uid && live.resource_version == *seen.resource_version,
                (seen, live) => seen.is_none() && live.is_none(),
            };
            changed |= !same;
            if child.wanted.is_some() && child.wanted == child.live.as_ref().map(|l| l.digest) {
                self.evidence -= usize::from(child.evidence.take().is_some());
            }
        }
        changed |= world.live.keys().any(|id| !entry.children.contains_key(id));
        for (id, wanted) in &plan.wanted {
            let child = match entry.children.get_mut(id) {
                Some(child) => child,
                None => entry.children.entry(pools.ids.share(id.clone())).or_default(),
            };
            child.wanted = Some(*wanted);
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
        let Some(child) = self.entry(namespace).children.get_mut(id) else {
            return;
        };
        // Events may have told of something newer while it was read: it would prove what is no longer so.
        let newest = child
            .live
            .as_ref()
            .is_some_and(|live| live.resource_version == *version);
        if newest && child.evidence.replace(Arc::new(object)).is_none() {
            self.evidence += 1;
        }
    }

    /// Takes up what we did ourselves before the report tells it: the next plan, which may come first, is not to take it
    /// for somebody else's doing.
    pub fn did(&mut self, name: &str, action: &Action) {
        if let Step::Create(child) | Step::Replace { child, .. } | Step::Recreate { child, .. } = &action.step {
            self.forms.keep(child);
        }
        let Some(entry) = self.namespaces.get_mut(name) else {
            return;
        };
        let (prior, pools) = (entry.prior.get_or_insert_default(), &mut self.pools);
        match &action.step {
            Step::Create(child) | Step::Replace { child, .. } | Step::Recreate { child, .. } => {
                let now = entry.children.get(&child.id);
                // Somebody may have changed it since.
                let as_written = now.and_then(|c| c.live.as_ref().filter(|l| c.wanted == Some(l.digest)));
                if let Some(live) = as_written {
                    prior.wrote(&child.id, live.uid.clone(), &action.baseline, live.digest, pools);
                }
            }
            Step::Delete { id, .. } => {
                prior.removed(id);
            }
            Step::Label(labels) => prior.update(pools, |prior| {
                prior.labels.retain(|key, value| match labels.get(key) {
                    Some(written) => {
                        value.value.clone_from(written);
                        true
                    }
                    None => false,
                });
            }),
        }
    }

    /// How long a namespace still has to wait for its turn in a baseline's rollout, if it has one.
    pub fn turn(&self, name: &str, baseline: &str) -> Option<Duration> {
        let turn = self.namespaces.get(name)?.turns.get(baseline)?;
        Some(turn.at.saturating_duration_since(Instant::now()))
    }

    /// Gives a namespace its turn in a baseline's rollout.
    pub fn give_turn(&mut self, name: &str, baseline: &str, after: Duration) {
        if let Some(entry) = self.namespaces.get_mut(name) {
            let at = Instant::now() + after;
            let turn = Turn {
                at,
                tried: false,
                counted: false,
            };
            entry.turns.insert(self.pools.texts.share(baseline), turn);
        }
    }

    /// Notes that what a plan newly enforces in a namespace is tried now.
    pub fn tries(&mut self, name: &str, plan: &Plan) {
        let Some(entry) = self.namespaces.get_mut(name) else {
            return;
        };
        for section in &plan.sections {
            let turn = section
                .rollout
                .as_ref()
                .and_then(|uid| entry.turns.get_mut(uid.as_str()));
            if let Some(turn) = turn {
                turn.tried |= plan.actions.iter().any(|action| action.section == section.section);
            }
        }
    }

    /// Notes that what came of a namespace's turn is counted. Answers whether that is the first time: however often it is
    /// tried again, it counts once.
    pub fn counts(&mut self, name: &str, baseline: &str) -> bool {
        let entry = self.namespaces.get_mut(name);
        let turn = entry.and_then(|entry| entry.turns.get_mut(baseline));
        turn.is_some_and(|turn| !std::mem::replace(&mut turn.counted, true))
    }

    /// Takes back the turns of a rollout that stops: of the namespaces that were not tried yet. The others are tried
    /// again, and keep telling what is wrong.
    pub fn stop_rollout(&mut self, baseline: &str) {
        for entry in self.namespaces.values_mut() {
            entry.turns.retain(|uid, turn| **uid != *baseline || turn.tried);
        }
    }

    /// Forgets the turns of a rollout that begins anew, and what was found in the namespaces that it is about. Those are
    /// looked at next; what was found in others stays, since nothing would have them looked at again.
    pub fn begin_rollout(&mut self, baseline: &str, about: &[Arc<str>]) {
        for entry in self.namespaces.values_mut() {
            entry.turns.remove(baseline);
        }
        for name in about {
            if let Some(entry) = self.namespaces.get_mut(name) {
                entry.preflight.clear();
            }
        }
    }

    /// Takes up what was found before anything is newly enforced in a namespace.
    pub fn looked(&mut self, name: &str, looks: Vec<(&'static str, Checked)>) {
        if let Some(entry) = self.namespaces.get_mut(name) {
            for (section, checked) in looks {
                entry.preflight.insert(section, checked);
            }
        }
    }

    /// Takes up what the API server answered to a write of this version of a child, or of the namespace itself. What
    /// somebody did to it since counts, whether its event or our answer came first.
    pub fn answered(&mut self, name: &str, child: Option<&ChildId>, version: &str, effect: Effect, now: Timestamp) {
        if effect == Effect::Done {
            return;
        }
        let Some(entry) = self.namespaces.get_mut(name) else {
            return;
        };
        let object = child.map_or_else(|| format!("Namespace/{name}"), ToString::to_string);
        let newest = match child {
            Some(id) => entry.children.get(id).map_or(u64::MAX, |child| child.version),
            None => entry.version,
        };
        entry.fights.rewritten(&object, effect == Effect::Nothing, now);
        if newest > version_number(version) {
            entry.fights.touched(&object);
        }
    }

    /// Takes up who undid what was repaired.
    pub fn fought(&mut self, name: &str, plan: &Plan, done: &[(Action, Result<(), Failure>)], now: Timestamp) {
        let Some(entry) = self.namespaces.get_mut(name) else {
            return;
        };
        for (action, _) in done.iter().filter(|(_, outcome)| outcome.is_ok()) {
            entry.fights.accepted(&action.object);
            let section = plan.sections.iter().filter(|s| s.section == action.section);
            let findings = section.flat_map(|s| &s.findings);
            for finding in findings.filter(|f| f.object == action.object && f.kind.is_drift()) {
                for difference in &finding.differences {
                    let by = &difference.claim.by;
                    entry.fights.reverted(&action.object, &difference.path, by, now);
                }
            }
        }
    }

    /// What came of earlier attempts.
    pub fn attempt(&self, name: &str) -> Attempt {
        self.namespaces.get(name).map(|e| e.attempt.clone()).unwrap_or_default()
    }

    /// Changes what came of attempts. Answers what the change does.
    pub fn update_attempt<T: Default>(&mut self, name: &str, update: impl FnOnce(&mut Attempt) -> T) -> T {
        let entry = self.namespaces.get_mut(name);
        entry.map(|entry| update(&mut entry.attempt)).unwrap_or_default()
    }

    /// Has a namespace left alone for so long: the API server asked for that.
    pub fn leave_alone(&mut self, name: &str, wait: Duration) {
        if let Some(entry) = self.namespaces.get_mut(name) {
            entry.not_before = Some(Instant::now() + wait);
        }
    }

    /// For how long a namespace is still to be left alone.
    pub fn left_alone(&self, name: &str) -> Option<Duration> {
        let until = self.namespaces.get(name)?.not_before?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// How many attempts of a namespace failed in a row, of the class that has this longest pause.
    pub fn failed_in_a_row(&self, name: &str, class: Duration) -> u32 {
        let retries = self.namespaces.get(name).map(|entry| entry.retries);
        retries.filter(|(_, last)| *last == class).map_or(0, |(count, _)| count)
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

    /// Since when an object departs, where an earlier try failed in its namespace: what is tried now may have waited.
    pub fn departs_since(&self, name: &str, object: &str) -> Option<Timestamp> {
        let entry = self.namespaces.get(name).filter(|entry| entry.retries.0 > 0)?;
        let open = entry.attempt.open.iter().flatten();
        open.filter(|((departs, _), _)| departs == object)
            .map(|(_, since)| since.seen)
            .min()
    }

    /// Takes up how a namespace stands. Answers the baselines to which that is news.
    pub fn settled(&mut self, name: &str, settled: &Settled) -> Vec<Arc<str>> {
        let Some(entry) = self.namespaces.get_mut(name) else {
            return Vec::new();
        };
        // What the evidence had to show is in the report now.
        for (_, child) in entry.children.iter_mut() {
            self.evidence -= usize::from(child.evidence.take().is_some());
        }
        let mut standings = settled.members.clone();
        standings.sort_by(|a, b| a.baseline.cmp(&b.baseline));
        let after = self.pools.standings.share(standings);
        let before = entry.settled.replace(after.clone()).unwrap_or_default();
        if Arc::ptr_eq(&before, &after) {
            return Vec::new();
        }
        let gone = before.iter().filter(|b| standing_of(&after, &b.baseline).is_none());
        let news = after.iter().filter(|a| standing_of(&before, &a.baseline) != Some(*a));
        gone.chain(news).map(|member| member.baseline.as_str().into()).collect()
    }
}
