//! Exceptions: what a namespace is let off, and until when. The one evaluator, for whoever asks: the operator, `render`
//! and reports.
//!
//! [`waivers`] says what the exceptions waive in a namespace at a moment, [`Waivers::apply`] takes that out of what its
//! baselines ask for. Only accepted exceptions get here ([`Exception::accept`]): a refused one waives nothing.

mod apply;
pub mod status;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::validate::Problems;
use crate::api::v1alpha1::{BaselineExceptionSpec, PodSecurityLevel, WaivedControl};

pub use validate::validate;

/// An accepted exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The exception's name.
    pub name: String,
    /// The exception's UID.
    pub uid: String,
    /// The generation of the spec.
    pub generation: i64,
    /// When it was created.
    pub created: Timestamp,
    /// The spec.
    pub spec: BaselineExceptionSpec,
    /// From when on it waives nothing: the spec's `expiresAt`.
    pub expires: Timestamp,
}

impl Exception {
    /// The exception, if nothing is wrong with its spec; `max` is how long after its creation it may expire.
    ///
    /// # Errors
    /// What is wrong with the spec, field by field.
    pub fn accept(
        name: String,
        uid: String,
        generation: i64,
        created: Timestamp,
        spec: BaselineExceptionSpec,
        max: SignedDuration,
    ) -> Result<Self, Problems> {
        let problems = validate(&spec, created, max);
        match validate::time(&spec.expires_at) {
            Some(expires) if problems.is_empty() => Ok(Self {
                name,
                uid,
                generation,
                created,
                spec,
                expires,
            }),
            _ => Err(problems),
        }
    }
}

/// What is waived in one namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waivers {
    /// Whole controls.
    whole: BTreeMap<WaivedControl, By>,
    /// Single objects, as kind/name.
    objects: BTreeMap<(WaivedControl, String), By>,
    /// The level that Pod Security's enforce falls to: the strictest one that an exception states.
    level: Option<(PodSecurityLevel, By)>,
    /// The exceptions that hold here, by name.
    pub exceptions: Vec<Arc<Exception>>,
    /// When this changes by itself: the next expiry of an exception that holds here.
    pub next: Option<Timestamp>,
}

/// The exceptions that waive something, and when the last of them expires.
#[derive(Clone, Debug, PartialEq, Eq)]
struct By {
    exceptions: BTreeSet<String>,
    expires: Timestamp,
}

impl By {
    fn join(&mut self, other: Self) {
        self.exceptions.extend(other.exceptions);
        self.expires = self.expires.max(other.expires);
    }
}

/// Something that was taken out of what the baselines ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waived {
    /// The control.
    pub control: WaivedControl,
    /// The object, as kind/name; `None` where it is the whole control, or the level of Pod Security.
    pub object: Option<String>,
    /// The level that Pod Security's enforce falls to.
    pub level: Option<PodSecurityLevel>,
    /// The exceptions that waive it, by name.
    pub exceptions: Vec<String>,
    /// When the last of them expires.
    pub expires: Timestamp,
}

impl Waived {
    /// Whether an object, shown as kind/name, is not asked for because of this; `section` is its control's.
    pub fn covers(&self, section: &str, object: &str) -> bool {
        self.control.as_str() == section && self.level.is_none() && self.object.as_ref().is_none_or(|o| o == object)
    }
}

/// What these exceptions waive in a namespace now. Their order does not matter; one that has expired waives nothing.
pub fn waivers(exceptions: &[Arc<Exception>], namespace: &str, now: Timestamp) -> Waivers {
    let holds = |e: &&Arc<Exception>| now < e.expires && e.spec.namespaces.iter().any(|n| n == namespace);
    let mut here: Vec<Arc<Exception>> = exceptions.iter().filter(holds).cloned().collect();
    here.sort_by(|a, b| (&a.name, &a.uid).cmp(&(&b.name, &b.uid)));
    here.dedup();
    let mut waivers = Waivers {
        next: here.iter().map(|e| e.expires).min(),
        ..Waivers::default()
    };
    for exception in &here {
        let by = By {
            exceptions: BTreeSet::from([exception.name.clone()]),
            expires: exception.expires,
        };
        for waiver in &exception.spec.waive {
            match (waiver.control, &waiver.objects, waiver.level) {
                (WaivedControl::PodSecurity, None, Some(level)) => waivers.lower(level, by.clone()),
                // What means nothing was refused, and waives nothing here either.
                (WaivedControl::PodSecurity, ..) | (_, _, Some(_)) => {}
                (control, None, None) => join(&mut waivers.whole, control, by.clone()),
                (control, Some(objects), None) => {
                    for object in objects {
                        join(&mut waivers.objects, (control, object.clone()), by.clone());
                    }
                }
            }
        }
    }
    waivers.exceptions = here;
    waivers
}

impl Waivers {
    /// Whether nothing is waived.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.objects.is_empty() && self.level.is_none()
    }

    /// Lets Pod Security fall to a level, but no lower than another exception says.
    fn lower(&mut self, level: PodSecurityLevel, by: By) {
        match &mut self.level {
            None => self.level = Some((level, by)),
            Some((strictest, all)) => {
                *strictest = level.max(*strictest);
                all.join(by);
            }
        }
    }
}

fn join<K: Ord>(map: &mut BTreeMap<K, By>, key: K, by: By) {
    match map.get_mut(&key) {
        Some(all) => all.join(by),
        None => drop(map.insert(key, by)),
    }
}

#[cfg(test)]
mod tests;
