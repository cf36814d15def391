//! What a control is. Each one lives in a file of its own under `controls/`, and is listed in `controls::REGISTRY`.

use super::object::{Child, ChildId, ChildKind};
use super::validate::Problems;
use super::world::{ClusterFacts, NamespaceFacts};
use crate::api::v1alpha1::{FieldProblem, Mode, SecurityBaselineSpec};

/// One section of a baseline: what it means for a namespace. Pure: it sees facts and returns objects.
pub trait Control: Sync {
    /// The section's name in the spec, such as `networkIsolation`.
    fn section(&self) -> &'static str;

    /// The kinds of objects that the control creates.
    fn kinds(&self) -> &'static [&'static ChildKind];

    /// The mode that holds for the section, or `None` where the spec does not have it.
    fn mode(&self, spec: &SecurityBaselineSpec) -> Option<Mode>;

    /// Copies the section from one spec into another.
    fn copy(&self, from: &SecurityBaselineSpec, to: &mut SecurityBaselineSpec);

    /// Says what is wrong with the section: all that the schema of the CRD refuses, once more, and what it cannot see.
    fn validate(&self, spec: &SecurityBaselineSpec, problems: &mut Problems);

    /// Says what works in the section, but not as one may think.
    fn warnings(&self, _spec: &SecurityBaselineSpec) -> Vec<FieldProblem> {
        Vec::new()
    }

    /// What has to be looked at in a namespace before the section is enforced there for the first time.
    fn preflight(&self) -> Option<Preflight> {
        None
    }

    /// Whether an object only grants or allows something: while it is not there, less is possible.
    fn only_grants(&self, id: &ChildId) -> bool {
        !id.kind.grants.is_empty()
    }

    /// Whether an object that protects does more of that than before, beyond granting or allowing less.
    fn tightens(&self, before: &Child, after: &Child) -> bool {
        (after.id.kind.weaker)(after.canonical(), before.canonical())
    }

    /// Whether what the section means depends on the namespace.
    fn is_templated(&self, _spec: &SecurityBaselineSpec) -> bool {
        false
    }

    /// What the section means in this namespace.
    fn render(&self, spec: &SecurityBaselineSpec, namespace: &NamespaceFacts, cluster: &ClusterFacts) -> Rendered;
}

/// What enforcing a section for the first time may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preflight {
    /// Pods that violate a Pod Security Standard: the API server says which.
    PodSecurity,
    /// What is used already, above a quota.
    Usage,
}

/// The controls, in the order in which their work is done.
pub type Registry = &'static [&'static dyn Control];

/// What a section means in a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    /// Objects, in the order in which they are created.
    pub children: Vec<Child>,
    /// Labels on the namespace.
    pub labels: Vec<LabelRule>,
    /// What is not asked for although the spec does, and why. What is live of it is left as it is.
    pub held: Vec<Held>,
}

/// Something that is held back, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The object that is held back, as kind/name.
    pub object: String,
    /// The same, if it is one that a control creates.
    pub id: Option<ChildId>,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in a sentence that tells the way out.
    pub message: String,
}

impl Held {
    /// Holds a child back.
    pub fn child(id: ChildId, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            object: id.to_string(),
            id: Some(id),
            reason,
            message: message.into(),
        }
    }
}

/// A label that the namespace is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRule {
    /// The label's key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Values that are left in place when another client set them: they ask for more.
    pub stricter: Vec<String>,
}
