//! The part of the index that is about baselines, and how their namespaces stand.

use super::*;

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
    pub fn baseline_seen(&mut self, name: &str, entry: BaselineEntry) -> Vec<Arc<str>> {
        let before = self.baselines.get(name).and_then(|b| b.accepted.clone());
        let after = entry.accepted.clone();
        self.baselines.insert(name.into(), entry);
        if before == after || !self.synced {
            return Vec::new();
        }
        self.selected_by(&[before, after])
    }

    /// Forgets a baseline. Answers the namespaces to be looked at.
    pub fn baseline_gone(&mut self, name: &str) -> Vec<Arc<str>> {
        let before = self.baselines.remove(name).and_then(|b| b.accepted);
        self.selected_by(&[before])
    }

    fn selected_by(&self, baselines: &[Option<Arc<Baseline>>]) -> Vec<Arc<str>> {
        self.names(|index, name, entry| {
            let Some(facts) = &entry.facts else { return false };
            !index.config.excludes(name)
                && baselines
                    .iter()
                    .flatten()
                    .any(|b| selects(&b.spec, name, &facts.labels))
        })
    }

    /// Counts the namespaces of a baseline.
    pub fn tally(&self, baseline: &Baseline) -> Tally {
        let mut tally = Tally::default();
        for (name, entry) in &self.namespaces {
            let Some(facts) = &entry.facts else { continue };
            if facts.terminating || self.config.excludes(name) || !selects(&baseline.spec, name, &facts.labels) {
                continue;
            }
            match &entry.settled {
                Some(stand) if stand.holder.as_deref() == Some(&*baseline.name) => {
                    // Judged by an earlier generation, it says nothing of this one.
                    if stand.generation == baseline.generation {
                        tally.add(name, stand.standing, &stand.reason, &stand.message);
                    } else {
                        tally.unseen();
                    }
                }
                Some(Stand {
                    holder: Some(holder), ..
                }) => {
                    let message = format!("the older baseline {holder} holds this namespace");
                    tally.add(name, Standing::Conflict, "Conflict", &message);
                }
                _ => tally.unseen(),
            }
        }
        tally
    }
}
