//! What of a namespace's report is told by an event when it begins, and when it is over.

use crate::api::v1alpha1::{BaselineReportStatus, ControlReport, Note};
use crate::core::codes::{self, FAILURES, Severity};

/// Something that a tenant should know of its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Something was refused.
    Blocked,
    /// Something is held back, since it would break something or could not work.
    Held,
    /// The namespace lost the labels that selected it.
    Deselected,
    /// Something else undoes what is declared.
    Weakened,
    /// Somebody keeps undoing what is repaired.
    Contested,
}

/// Which of these a report tells: one byte for each namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles(u8);

impl Troubles {
    /// Those that a report tells.
    pub fn of(status: &BaselineReportStatus) -> Self {
        let told = Trouble::ALL
            .into_iter()
            .filter(|trouble| trouble.told(status).is_some());
        Self(told.fold(0, |all, trouble| all | trouble.bit()))
    }

    /// Whether it tells this one.
    pub const fn has(self, trouble: Trouble) -> bool {
        self.0 & trouble.bit() != 0
    }
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Blocked,
        Self::Held,
        Self::Deselected,
        Self::Weakened,
        Self::Contested,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The event's reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "Blocked",
            Self::Held => "Held",
            Self::Deselected => "Deselected",
            Self::Weakened => "Weakened",
            Self::Contested => "Contested",
        }
    }

    /// What is no longer so when it is over.
    pub const fn ended(self) -> &'static str {
        match self {
            Self::Blocked => "nothing is refused any more",
            Self::Held => "nothing is held back any more",
            Self::Deselected => "the labels that selected the namespace are back",
            Self::Weakened => "nothing undoes what is declared any more",
            Self::Contested => "nobody undoes what is repaired any more",
        }
    }

    /// What a report tells of it, if it does.
    pub fn told(self, status: &BaselineReportStatus) -> Option<String> {
        match self {
            // What the API server merely could not do this time says nothing of the namespace.
            Self::Blocked => first(status, |c| &c.blocked, |note| refused(note) && !passing(note)),
            Self::Held => first(status, |c| &c.blocked, |note| !refused(note)),
            Self::Weakened => first(status, |c| &c.findings, |note| note.reason == Self::Weakened.as_str()),
            Self::Deselected => {
                let baseline = status.baselines.iter().find(|baseline| baseline.deselected)?;
                Some(format!(
                    "the namespace lost the labels that the baseline {name} selects by; {name} holds it all the same until its spec.releasedNamespaces names it",
                    name = baseline.name
                ))
            }
            Self::Contested => {
                let mut conditions = status.conditions.iter();
                let contested = conditions.find(|c| c.type_ == self.as_str() && c.status == "True")?;
                Some(contested.message.clone())
            }
        }
    }
}

fn refused(note: &Note) -> bool {
    FAILURES.contains(&note.reason.as_str())
}

fn passing(note: &Note) -> bool {
    codes::reason(&note.reason).is_some_and(|known| known.severity < Severity::Error)
}

/// The first note of a kind that is so, with its control.
fn first(
    status: &BaselineReportStatus,
    notes: impl Fn(&ControlReport) -> &Vec<Note>,
    is_so: impl Fn(&Note) -> bool,
) -> Option<String> {
    status.controls.iter().find_map(|control| {
        let note = notes(control).iter().find(|note| is_so(note))?;
        Some(format!("{} {}: {}", control.name, note.object, note.message))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(control: Value) -> BaselineReportStatus {
        let mut control = control;
        control["name"] = json!("access");
        control["mode"] = json!("Enforce");
        control["state"] = json!("Blocked");
        serde_json::from_value(json!({"controls": [control]})).unwrap()
    }

    fn blocked(reason: &str) -> Troubles {
        Troubles::of(&status(
            json!({"blocked": [{"object": "Role/a", "reason": reason, "message": "m"}]}),
        ))
    }

    #[test]
    fn what_is_refused_is_blocked_and_what_waits_for_somebody_is_held() {
        assert!(blocked("GrantRefused").has(Trouble::Blocked) && !blocked("GrantRefused").has(Trouble::Held));
        assert!(blocked("ViolatingPods").has(Trouble::Held) && !blocked("ViolatingPods").has(Trouble::Blocked));
        assert_eq!(
            blocked("APIServerBusy"),
            Troubles::default(),
            "it is tried again by itself"
        );
        for trouble in Trouble::ALL {
            assert!(codes::reason(trouble.as_str()).is_none_or(|known| known.severity > Severity::Note));
        }
    }

    #[test]
    fn each_trouble_is_told_by_what_the_report_says_of_it() {
        let weakened = status(
            json!({"findings": [{"object": "NetworkPolicy/all", "reason": "Weakened", "message": "allows everything"}]}),
        );
        assert_eq!(
            Trouble::Weakened.told(&weakened).as_deref(),
            Some("access NetworkPolicy/all: allows everything")
        );
        let mut all = weakened;
        all.conditions = serde_json::from_value(json!([
            {"type": "Contested", "status": "True", "reason": "Reverted", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ]))
        .unwrap();
        all.baselines = serde_json::from_value(json!([
            {"name": "b", "uid": "u", "generation": 1, "state": "Enforced", "deselected": true},
        ]))
        .unwrap();
        let told = Troubles::of(&all);
        let has: Vec<_> = Trouble::ALL.into_iter().filter(|trouble| told.has(*trouble)).collect();
        assert_eq!(has, [Trouble::Deselected, Trouble::Weakened, Trouble::Contested]);
    }
}
