//! The codes of findings: stable, so that a pipeline can name one, and each with a place on a page
//! (`docs/reference/findings.md`) that says what it means and what to do.
//!
//! A code is `SB-`, the control, and a number that stands for the reason, the same in every control: 0xx is what departs,
//! 1xx what is blocked or held, 2xx a warning, 3xx who is at odds with whom. A number is never given to another reason.

mod reasons;

pub use reasons::REASONS;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Somebody should look.
    Warning,
    /// What is declared does not hold.
    Error,
}

impl Severity {
    /// The severity as SARIF calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Where a reason may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// In each control.
    Controls,
    /// In these controls, by their sections.
    Sections(&'static [&'static str]),
    /// In no control: it is about a namespace, a baseline or an exception.
    General,
    /// Both in each control and in none.
    Everywhere,
}

/// A reason, and what is to be said of it.
#[derive(Clone, Copy, Debug)]
pub struct Reason {
    /// Its number.
    pub number: u16,
    /// The reason, in one word, as reports and statuses have it.
    pub reason: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Where it may occur.
    pub occurs: Where,
    /// What it means.
    pub means: &'static str,
    /// Why it matters.
    pub matters: &'static str,
    /// What to do.
    pub mend: &'static str,
}

/// The controls by their sections, and how codes call them.
pub const AREAS: [(&str, &str); 5] = [
    ("networkIsolation", "NET"),
    ("resourceQuotas", "QTA"),
    ("limitRanges", "LIM"),
    ("podSecurity", "PSS"),
    ("access", "RBA"),
];

/// How codes call what is of no control.
pub const GENERAL: &str = "GEN";

/// The reasons of what is held because of what runs.
pub const PREFLIGHT: [&str; 3] = ["ViolatingPods", "QuotaBelowUsage", "PreflightForbidden"];

/// The reasons of what could not be written.
pub const FAILURES: [&str; 8] = [
    "GrantRefused",
    "RoleNotFound",
    "HeldByFinalizer",
    "Forbidden",
    "Refused",
    "WebhookFailed",
    "APIServerBusy",
    "APIServerUnavailable",
];

impl Reason {
    /// Whether a pipeline is to fail for it: what departs, is blocked or is at odds, and is more than good to know.
    pub fn is_finding(&self) -> bool {
        self.severity > Severity::Note && self.number / 100 != 2
    }

    /// The codes that the reason has, each with the section that it is about; `None` stands for none.
    pub fn codes(&self) -> Vec<(Option<&'static str>, String)> {
        let code = |area: &str| format!("SB-{area}-{:03}", self.number);
        let of = |section: &&(&'static str, &'static str)| match self.occurs {
            Where::Controls | Where::Everywhere => true,
            Where::Sections(sections) => sections.contains(&section.0),
            Where::General => false,
        };
        let mut codes: Vec<_> = AREAS
            .iter()
            .filter(of)
            .map(|(section, area)| (Some(*section), code(area)))
            .collect();
        if matches!(self.occurs, Where::General | Where::Everywhere) {
            codes.push((None, code(GENERAL)));
        }
        codes
    }
}

/// What is known of a reason.
pub fn reason(reason: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|known| known.reason == reason)
}

/// The code of a reason in a section, or in none.
pub fn code(section: Option<&str>, name: &str) -> Option<String> {
    let codes = reason(name)?.codes();
    codes.into_iter().find(|(of, _)| *of == section).map(|(_, code)| code)
}

#[cfg(test)]
mod tests;
