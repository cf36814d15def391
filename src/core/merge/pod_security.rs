//! Pod Security: the strictest level and the newest version, each for itself.

use super::{Outcome, Share, Supplied};
use crate::api::v1alpha1::{PodSecurity, PodSecurityStandard};

/// The version that stands for the newest.
const LATEST: &str = "latest";

type Standard = fn(&PodSecurity) -> Option<&PodSecurityStandard>;

pub(super) fn merge(shares: &[Share<PodSecurity>]) -> Outcome<PodSecurity> {
    let mut values = Vec::new();
    let mut standard = |name: &str, of: Standard| {
        let asked: Vec<Share<PodSecurityStandard>> = shares
            .iter()
            .filter_map(|(place, section)| Some((*place, of(section)?)))
            .collect();
        let level = asked.iter().map(|(_, s)| s.level).max()?;
        let newest = asked
            .iter()
            .map(|(_, s)| version(s))
            .max_by_key(|v| newness(Some(v)))?
            .to_owned();
        values.push(supplied(name, level.as_str(), &asked, |s| s.level.as_str()));
        values.push(supplied(&format!("{name}-version"), &newest, &asked, version));
        Some(PodSecurityStandard {
            level,
            version: Some(newest),
        })
    };
    let section = PodSecurity {
        mode: None,
        enforce: standard("enforce", |s| s.enforce.as_ref()),
        audit: standard("audit", |s| s.audit.as_ref()),
        warn: standard("warn", |s| s.warn.as_ref()),
    };
    Outcome {
        section: (!shares.is_empty()).then_some(section),
        values,
        conflicts: Vec::new(),
    }
}

fn version(standard: &PodSecurityStandard) -> &str {
    standard.version.as_deref().unwrap_or(LATEST)
}

/// A version of the Pod Security Standards as a number: the larger, the newer. One that is not stated is the newest.
pub fn newness(version: Option<&str>) -> u32 {
    match version.unwrap_or(LATEST).strip_prefix("v1.") {
        Some(minor) => minor.parse().unwrap_or_default(),
        None => u32::MAX,
    }
}

fn supplied(
    field: &str,
    value: &str,
    asked: &[Share<PodSecurityStandard>],
    of: fn(&PodSecurityStandard) -> &str,
) -> Supplied {
    let by = asked.iter().find(|(_, s)| of(s) == value).map(|(place, _)| *place);
    Supplied {
        less: asked
            .iter()
            .filter(|(_, s)| of(s) != value)
            .map(|(place, s)| (*place, of(s).to_owned()))
            .collect(),
        ..Supplied::new(field, value, by.unwrap_or_default())
    }
}
