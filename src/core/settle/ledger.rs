//! The ledger of a report: what is new comes first, and what does not fit goes.

use super::attempt::{Attempt, MOST_RECORDS, MOST_TAKEN_OVER};
use crate::api::v1alpha1::{BaselineReportStatus, DriftLedger, DriftRecord, OpenDrift, TakenOver};
use crate::core::drift::Claim;
use crate::core::world::PriorDrift;

/// The most that a report says of what departs at the moment.
const MOST_OPEN: usize = 256;

/// The ledger as it follows from what was on record and what came since; its records are only the new ones.
pub(super) fn ledger(prior: &PriorDrift, attempt: &Attempt) -> DriftLedger {
    let newest = attempt.records.first();
    let open = attempt.open.as_ref().unwrap_or(&prior.open);
    DriftLedger {
        total: prior.total.saturating_add(attempt.drifted),
        repaired: prior.repaired.saturating_add(attempt.repaired),
        last_seen: newest.map(|r| r.seen).or(prior.last_seen),
        last_claimed_by: last_claimed_by(&attempt.records).or_else(|| prior.last_claimed_by.clone()),
        records: attempt.records.clone(),
        open: open
            .iter()
            .take(MOST_OPEN)
            .map(|((object, path), since)| OpenDrift {
                object: object.clone(),
                path: path.clone(),
                seen: since.seen,
                number: since.number,
            })
            .collect(),
    }
}

/// Who claims what was seen last: of what was seen in one look, somebody rather than nobody.
fn last_claimed_by(records: &[DriftRecord]) -> Option<String> {
    let newest = records.first()?;
    let mut same_look = records.iter().take_while(|r| r.seen == newest.seen);
    let named = same_look.find(|r| r.claimed_by != Claim::unknown().by);
    Some(named.unwrap_or(newest).claimed_by.clone())
}

/// Continues what an older report told: its records behind the new ones, with what was repaired since, and the same of
/// what was taken over. A record that both have (a report was written, and the answer was lost) stands once.
pub fn continued(mut new: BaselineReportStatus, old: BaselineReportStatus, attempt: &Attempt) -> BaselineReportStatus {
    let records = &mut new.drift.records;
    for mut record in old.drift.records {
        let same = |r: &_| key(r) == key(&record);
        if records.iter().any(same) {
            continue;
        }
        let mended = (record.object.clone(), record.path.clone(), record.seen);
        if let Some(repaired) = attempt.mended.get(&mended) {
            record.repaired = Some(*repaired);
        }
        records.push(record);
    }
    // Stable: what was seen in one look stays in its order.
    records.sort_by_key(|record| std::cmp::Reverse(record.seen));
    records.truncate(MOST_RECORDS);

    let mut taken = old.taken_over;
    for entry in new.taken_over.into_iter().rev() {
        put_first(&mut taken, entry);
    }
    new.taken_over = taken;
    new
}

fn key(record: &DriftRecord) -> (&str, &str, &str, k8s_openapi::jiff::Timestamp) {
    (&record.control, &record.object, &record.path, record.seen)
}

/// Puts an entry before the others, in place of one that says the same.
pub(super) fn put_first(all: &mut Vec<TakenOver>, entry: TakenOver) {
    all.retain(|other| (&other.object, &other.former) != (&entry.object, &entry.former));
    all.insert(0, entry);
    all.truncate(MOST_TAKEN_OVER);
}
