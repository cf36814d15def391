//! What `diff` tells, as data.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::report::model::{Finding, Source};

/// What a change would do.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The version of this schema.
    pub api_version: &'static str,
    /// What this is: BaselineDiff.
    pub kind: &'static str,
    /// What it was worked out from.
    pub source: Source,
    /// It in numbers.
    pub summary: Summary,
    /// The objects that would be applied or deleted.
    pub objects: Vec<ObjectDiff>,
    /// The namespaces in which something becomes different.
    pub namespaces: Vec<NamespaceDiff>,
    /// Whether it was asked what enforcing would break. If not, nothing is known of that.
    pub preflight: bool,
    /// The rights that are missing, without which it is not whole.
    pub unknown: Vec<String>,
}

/// A change in numbers.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Namespaces in which something becomes different, also where only some are shown.
    pub namespaces: usize,
    /// Namespaces that no baseline held before.
    pub joins: usize,
    /// Namespaces that no baseline holds afterwards.
    pub leaves: usize,
    /// Namespaces that lose labels by which a baseline selects them, and are held on.
    pub deselected: usize,
    /// Objects that are created.
    pub create: usize,
    /// Objects that are replaced, or deleted and created anew.
    pub replace: usize,
    /// Objects that are deleted.
    pub delete: usize,
    /// Namespaces whose labels are changed.
    pub label: usize,
    /// Pairs of a namespace and a control that are loosened.
    pub loosen: usize,
    /// Pairs of a namespace and a control of which something is held back.
    pub held: usize,
    /// Findings that come, of what is only audited.
    pub audit: usize,
}

/// An object that would be applied or deleted.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectDiff {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// create, change, delete or none.
    pub change: &'static str,
    /// What the brake says of it; absent for what is no baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brake: Option<Brake>,
}

/// What the brake says of a change.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Brake {
    /// Whether it would wait for a confirmation.
    pub waits: bool,
    /// The namespaces that the baseline holds, before or after.
    pub namespaces: usize,
    /// Those of them that are loosened, newly enforced or tightened.
    pub affected: usize,
    /// Pairs of a namespace and a control that are loosened.
    pub loosens: usize,
    /// Pairs that are newly enforced.
    pub newly_enforces: usize,
    /// Pairs that are tightened.
    pub tightens: usize,
    /// What the baseline's status would say. The number of the confirmation in it is only known once it is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What becomes different in a namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceDiff {
    /// Its name.
    pub name: String,
    /// Whether no baseline held it before.
    pub joins: bool,
    /// Whether no baseline holds it afterwards.
    pub leaves: bool,
    /// Whether it loses labels by which a baseline selects it. That baseline holds it on.
    pub deselected: bool,
    /// Its controls, as far as they become different.
    pub sections: Vec<SectionDiff>,
}

/// What becomes different of a control.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SectionDiff {
    /// The control, by the name of its section.
    pub name: String,
    /// The change of its mode, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Whether it protects less, or grants more.
    pub loosens: bool,
    /// What is written.
    pub writes: Vec<Write>,
    /// What is held back.
    pub held: Vec<Finding>,
    /// How many findings come, of what is only audited.
    pub audits: usize,
}

impl NamespaceDiff {
    /// Whether something becomes different in it.
    pub fn is_something(&self) -> bool {
        !self.sections.is_empty() || self.joins || self.leaves || self.deselected
    }
}

impl SectionDiff {
    /// A control that stays as it is.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: None,
            loosens: false,
            writes: Vec::new(),
            held: Vec::new(),
            audits: 0,
        }
    }
}

/// Something that is written.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Write {
    /// What is done.
    pub verb: Verb,
    /// To which object, as kind/name.
    pub object: String,
    /// Which fields change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Change>,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It is created.
    Create,
    /// It is replaced.
    Replace,
    /// It is deleted and created anew.
    Recreate,
    /// It is deleted.
    Delete,
    /// The namespace is labelled.
    Label,
}

impl Verb {
    /// The verb as it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Recreate => "recreate",
            Self::Delete => "delete",
            Self::Label => "label",
        }
    }
}

/// A field that changes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its path.
    pub path: String,
    /// What is there.
    pub from: String,
    /// What is to be there.
    pub to: String,
}

impl Diff {
    /// A diff of these parts.
    pub fn new(
        source: Source,
        objects: Vec<ObjectDiff>,
        namespaces: Vec<NamespaceDiff>,
        preflight: bool,
        unknown: Vec<String>,
    ) -> Self {
        let sections = || namespaces.iter().flat_map(|namespace| &namespace.sections);
        let writes = |verbs: &[Verb]| {
            let all = sections().flat_map(|section| &section.writes);
            all.filter(|write| verbs.contains(&write.verb)).count()
        };
        let summary = Summary {
            namespaces: namespaces.len(),
            joins: namespaces.iter().filter(|namespace| namespace.joins).count(),
            leaves: namespaces.iter().filter(|namespace| namespace.leaves).count(),
            deselected: namespaces.iter().filter(|namespace| namespace.deselected).count(),
            create: writes(&[Verb::Create]),
            replace: writes(&[Verb::Replace, Verb::Recreate]),
            delete: writes(&[Verb::Delete]),
            label: writes(&[Verb::Label]),
            loosen: sections().filter(|section| section.loosens).count(),
            held: sections().filter(|section| !section.held.is_empty()).count(),
            audit: sections().map(|section| section.audits).sum(),
        };
        Self {
            api_version: crate::cli::report::model::API_VERSION,
            kind: "BaselineDiff",
            source,
            summary,
            objects,
            namespaces,
            preflight,
            unknown,
        }
    }

    /// The same, with only these namespaces shown, if any are named. It is summed up as a whole.
    pub fn only(mut self, names: &[String]) -> Self {
        self.namespaces
            .retain(|namespace| names.is_empty() || names.contains(&namespace.name));
        self
    }

    /// Whether applying it changes anything.
    pub fn is_something(&self) -> bool {
        self.summary.namespaces > 0 || self.objects.iter().any(|object| object.change != "none")
    }
}
