//! The part of the index that is about reports.

use super::*;

impl Index {
    /// Takes up a report as it is. Answers whether its namespace is to be looked at: somebody else changed it.
    pub fn report_seen(&mut self, namespace: &str, uid: &str, version: &str, status: &BaselineReportStatus) -> bool {
        let meaning = meaning(status);
        let synced = self.synced;
        let entry = self.entry(namespace);
        if let Some(known) = &entry.report {
            let stale = version_number(version) < known.resource_version.number();
            if known.uid == *uid && (stale || known.resource_version == *version) {
                return false;
            }
        }
        entry.report_version = entry.report_version.max(version_number(version));
        let ours = entry.sent_report(&meaning);
        if ours {
            // Also if its answer never comes.
            entry.attempt.told();
        }
        let changed = !ours && entry.report.as_ref().is_none_or(|known| known.meaning != meaning);
        entry.report = Some(ReportEntry {
            uid: uid.into(),
            resource_version: version.into(),
            meaning,
            troubles: Troubles::of(status),
        });
        let told = facts::prior(status);
        let (entry, pools) = self.entry_and_pools(namespace);
        match &mut entry.prior {
            Some(prior) if synced => prior.update(pools, |prior| agree(prior, told)),
            // Until the work begins it is whoever leads who does and reports it.
            _ => {
                entry.prior = Some(Record::close(told, pools));
                entry.fights = facts::fights(status);
            }
        }
        synced && changed
    }

    /// Whether the report of a namespace is known as of this very version.
    pub fn knows_report(&self, namespace: &str, version: &str) -> bool {
        let report = self.namespaces.get(namespace).and_then(|entry| entry.report.as_ref());
        report.is_some_and(|report| report.resource_version == *version)
    }

    /// Takes up the report that we wrote, and what it means. Answers whether it still stands: somebody may have changed or
    /// deleted it meanwhile.
    pub fn report_written(
        &mut self,
        namespace: &str,
        uid: &str,
        version: &str,
        told: Digest,
        status: &BaselineReportStatus,
    ) -> bool {
        let (entry, pools) = self.entry_and_pools(namespace);
        // What was new is written; what failed is kept until it is tried again.
        entry.attempt.told();
        entry.reported = Some(Instant::now());
        entry.prior = Some(Record::close(facts::prior(status), pools));
        let stands = version_number(version) >= entry.report_version;
        if !stands {
            return false;
        }
        entry.report_version = version_number(version);
        entry.report = Some(ReportEntry {
            uid: uid.into(),
            resource_version: version.into(),
            meaning: told,
            troubles: Troubles::of(status),
        });
        true
    }

    /// How long the namespace's next report waits: somebody who breaks things a hundred times a second is repaired each
    /// time, and reported on once a second.
    pub fn report_pause(&self, namespace: &str) -> Duration {
        let written = self.namespaces.get(namespace).and_then(|e| e.reported);
        written
            .map(|at| REPORT_INTERVAL.saturating_sub(at.elapsed()))
            .unwrap_or_default()
    }

    /// Notes that the reports were listed anew: what the list shows is what is, also if its versions are older (an etcd
    /// that was restored from a copy).
    pub fn reports_listed_anew(&mut self) {
        for entry in self.namespaces.values_mut() {
            entry.report_version = 0;
            if let Some(report) = &mut entry.report {
                report.resource_version = Version::Number(0);
            }
        }
    }

    /// Notes that a report is gone. Answers whether its namespace is to be looked at.
    pub fn report_gone(&mut self, namespace: &str, last: Last<'_>) -> bool {
        let synced = self.synced;
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return false;
        };
        let version = last.version.map(version_number).unwrap_or_default();
        entry.report_version = entry.report_version.max(version);
        let had = entry.report.take().is_some();
        let looks = synced && had && entry.facts.is_some();
        self.forget_if_empty(namespace);
        looks
    }

    /// Whether a namespace is excluded by the configuration, and has a report that does not say so yet.
    pub fn to_be_let_go(&self, namespace: &str) -> bool {
        let Some(entry) = self.namespaces.get(namespace) else {
            return false;
        };
        let told = entry
            .prior
            .as_ref()
            .is_none_or(|prior| is_excluded(&prior.rest().conditions));
        self.excludes(namespace) && entry.facts.is_some() && entry.report.is_some() && !told
    }

    /// The namespaces that have a report, of those that are picked by their names.
    pub fn reported(&self, pick: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        self.names(|_, name, entry| entry.report.is_some() && pick(name))
    }

    /// The namespaces that something selects and that have no report.
    pub fn unreported(&self) -> Vec<Arc<str>> {
        self.names(|index, name, entry| entry.report.is_none() && index.is_selected(name, entry))
    }

    /// The report of a namespace, as it was last seen or written.
    pub fn report(&self, namespace: &str) -> Option<ReportSeen> {
        let entry = self.namespaces.get(namespace)?;
        let report = entry.report.as_ref()?;
        let prior = entry.prior.as_ref().map(Record::rest);
        Some(ReportSeen {
            uid: report.uid.to_string(),
            resource_version: report.resource_version.to_string(),
            meaning: report.meaning,
            troubles: report.troubles,
            continued: prior.is_some_and(|prior| prior.drift.total > 0 || prior.taken_over),
        })
    }
}

/// How much more drift another operator may have counted than this one since they last agreed, which they do with every
/// report. What says more was written by somebody who made it up.
const MOST_MISSED: i64 = 1000;

/// Agrees on what no look at the cluster tells, with whoever else writes the report: a second operator, by mistake. Each
/// would else put right for ever what the other one wrote. Nobody takes anything away by it: the greater count holds, and
/// the earlier time.
fn agree(prior: &mut Prior, told: Prior) {
    let count = |drift: &PriorDrift| {
        (
            drift.total,
            drift.repaired,
            drift.last_seen,
            drift.last_claimed_by.clone(),
        )
    };
    let plausible = told.drift.total.saturating_sub(prior.drift.total) <= MOST_MISSED;
    if plausible && count(&told.drift) > count(&prior.drift) {
        prior.drift = told.drift;
    }
    for condition in told.conditions {
        match prior.conditions.iter_mut().find(|known| known.type_ == condition.type_) {
            Some(known) if known.status == condition.status => known.since = known.since.min(condition.since),
            Some(_) => {}
            None => prior.conditions.push(condition),
        }
    }
}
