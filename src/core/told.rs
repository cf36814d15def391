//! What a namespace's report tells of the namespace as a whole, beside what it tells of each control.

use crate::api::v1alpha1::BaselineReportStatus;

/// Something that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Why, in one word.
    pub reason: String,
    /// The object, as kind/name.
    pub object: String,
    /// Why, in a sentence.
    pub message: String,
    /// How often so far, of what happens again and again.
    pub times: Option<i64>,
}

/// Who keeps undoing what is repaired, which baselines the namespace tried to walk out of, and what was left in place.
pub fn of_the_namespace(namespace: &str, report: &BaselineReportStatus) -> Vec<Told> {
    let mut told = Vec::new();
    let mut tell = |reason: &str, object: String, message: String, times: Option<i64>| {
        told.push(Told {
            reason: reason.to_owned(),
            object,
            message,
            times,
        });
    };
    for contest in &report.contested {
        let message = match contest.reason.as_str() {
            "Rewritten" => "what is written is changed on its way".to_owned(),
            _ => format!(
                "{} (as it calls itself) keeps changing {}",
                contest.by,
                if contest.path.is_empty() { "it" } else { &contest.path }
            ),
        };
        tell(&contest.reason, contest.object.clone(), message, Some(contest.reverts));
    }
    for baseline in report.baselines.iter().filter(|baseline| baseline.deselected) {
        let message = format!(
            "it lost the labels that the baseline {} selects by, and is still held",
            baseline.name
        );
        tell("Deselected", format!("Namespace/{namespace}"), message, None);
    }
    for orphan in report.inventory.iter().filter(|entry| entry.orphaned) {
        let object = format!("{}/{}", orphan.kind, orphan.name);
        let message = "a baseline let it go and left it in place".to_owned();
        tell("Orphaned", object, message, None);
    }
    told
}
