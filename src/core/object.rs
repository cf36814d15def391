//! The objects that controls create ("children"): their kinds, their names, and their canonical form.
//!
//! Two objects are the same to us when their canonical forms are equal: all fields that we own, with the API server's
//! defaults filled in and quantities as values, and of the metadata only our own labels and annotations and any owner.
//! A digest of that form is all that is kept of a live object.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde_json::{Map, Value, json};

/// The prefix of the names of all objects that the operator creates. It is reserved: whatever stands under a name that
/// a baseline asks for is held to the baseline, whoever created it.
pub const RESERVED_PREFIX: &str = "security-baseline-";

/// The field manager of every write.
pub const FIELD_MANAGER: &str = "security-baseline-operator";

/// A kind of object that a control creates.
pub struct ChildKind {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The API version.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The resource's name in URLs and in RBAC.
    pub plural: &'static str,
    /// The top-level fields that we own, whole.
    pub fields: &'static [&'static str],
    /// Fills in what the API server would, and gives values one spelling. It is handed an object of just `fields`,
    /// which may hold anything that JSON can.
    pub normalise: fn(&mut Map<String, Value>),
    /// JSON pointers to what the API server does not let change: such an object is deleted and created anew.
    pub immutable: &'static [&'static str],
    /// The top-level fields without which an object of this kind grants nothing: what is to be deleted, and is kept by
    /// somebody's finalizer, loses them at once.
    pub grants: &'static [&'static str],
    /// Whether what is live may protect less, or grant more, than what is asked for: it does unless it is shown not to.
    /// An object with other owners always does, since the garbage collector may take it; our labels and annotations do
    /// not matter. It is handed what is asked for, and then what is live, which may hold anything that JSON can.
    pub weaker: fn(&Canonical, &Canonical) -> bool,
}

impl ChildKind {
    /// The `apiVersion` of the kind's objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

impl PartialEq for ChildKind {
    fn eq(&self, other: &Self) -> bool {
        (self.group, self.kind) == (other.group, other.kind)
    }
}
impl Eq for ChildKind {}
impl Hash for ChildKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.group, self.kind).hash(state);
    }
}
impl PartialOrd for ChildKind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ChildKind {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.group, self.kind).cmp(&(other.group, other.kind))
    }
}
impl fmt::Debug for ChildKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// Which child of a namespace: its kind and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId {
    /// The child's kind.
    pub kind: &'static ChildKind,
    /// The child's name, with the reserved prefix.
    pub name: String,
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.kind, self.name)
    }
}

/// A child as a baseline asks for it. Thousands of namespaces ask for the same: a clone costs nothing, and what is worked
/// out of one is worked out once.
#[derive(Clone, Debug)]
pub struct Child(Arc<Asked>);

/// What is asked for of a child.
#[derive(Debug)]
pub struct Asked {
    /// Which child.
    pub id: ChildId,
    /// The control that asks for it, as the value of its `component` label.
    pub component: &'static str,
    /// The fields that we own.
    pub fields: Map<String, Value>,
    /// Its canonical form and the digest of that, once somebody asked.
    form: OnceLock<(Canonical, Digest)>,
}

impl Deref for Child {
    type Target = Asked;

    fn deref(&self) -> &Asked {
        &self.0
    }
}

impl PartialEq for Child {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, self.component, &self.fields) == (&other.id, other.component, &other.fields)
    }
}

impl Child {
    /// A child named `security-baseline-<name>`.
    pub fn new(kind: &'static ChildKind, component: &'static str, name: &str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(map) => map,
            // Typed objects serialise to maps; anything else would be a mistake here, and shows as an empty child.
            _ => Map::new(),
        };
        Self(Arc::new(Asked {
            id: ChildId {
                kind,
                name: format!("{RESERVED_PREFIX}{name}"),
            },
            component,
            fields,
            form: OnceLock::new(),
        }))
    }

    /// The whole object, as it is sent when it is created.
    pub fn to_object(&self, namespace: &str) -> Value {
        let mut object = json!({
            "apiVersion": self.id.kind.api_version(),
            "kind": self.id.kind.kind,
            "metadata": {
                "name": self.id.name,
                "namespace": namespace,
                "labels": Value::Object(self.labels()),
                "annotations": Value::Object(annotations()),
            },
        });
        for (field, value) in &self.fields {
            object[field] = value.clone();
        }
        object
    }

    /// The whole object as it replaces a live one: our fields, labels and annotations, and of the live one only what
    /// is not ours to judge (other clients' labels, annotations and finalizers) and what makes the write safe: its UID
    /// and resourceVersion. Owners are dropped: a child of ours has none, or the garbage collector could take it.
    pub fn to_replacement(&self, namespace: &str, live: &Value) -> Value {
        let mut object = self.in_place_of(namespace, live);
        let metadata = &mut object["metadata"];
        if let Some(finalizers) = live["metadata"].get("finalizers") {
            metadata["finalizers"] = finalizers.clone();
        }
        for field in ["labels", "annotations"] {
            let Some(theirs) = live["metadata"][field].as_object() else {
                continue;
            };
            let Some(ours) = metadata[field].as_object_mut() else {
                continue;
            };
            for (key, value) in theirs {
                ours.entry(key).or_insert_with(|| value.clone());
            }
        }
        object
    }

    /// The same with nothing in it that other clients put there, not even their claims to its fields: for where the API
    /// server does not take it with that. Whoever fills an object up to what the API server bears could keep it as it is
    /// otherwise.
    pub fn to_bare_replacement(&self, namespace: &str, live: &Value) -> Value {
        let mut object = self.in_place_of(namespace, live);
        // An entry that says nothing has the API server forget all others (source: the documentation of server-side apply).
        object["metadata"]["managedFields"] = json!([{}]);
        object
    }

    /// The whole object under the UID and the resourceVersion of a live one.
    fn in_place_of(&self, namespace: &str, live: &Value) -> Value {
        let mut object = self.to_object(namespace);
        for field in ["uid", "resourceVersion"] {
            if let Some(value) = live["metadata"].get(field) {
                object["metadata"][field] = value.clone();
            }
        }
        object
    }

    /// Whether nobody but us put a label, an annotation or a finalizer on a live object of ours: then it can be replaced
    /// without having been read, for nothing of others gets lost.
    pub fn is_all_ours(live: &Value) -> bool {
        let only = |field: &str, ours: &[&str]| {
            let mut there = live["metadata"][field].as_object().into_iter().flatten();
            there.all(|(key, _)| ours.contains(&key.as_str()))
        };
        let kept = live["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        !kept && only("labels", &LABELS) && only("annotations", &[IGNORE_UPDATES])
    }

    /// The canonical form of the child as asked for.
    pub fn canonical(&self) -> &Canonical {
        &self.form().0
    }

    /// The digest of its canonical form.
    pub fn digest(&self) -> Digest {
        self.form().1
    }

    fn form(&self) -> &(Canonical, Digest) {
        self.form.get_or_init(|| {
            let canonical = Canonical::of(self.id.kind, &self.to_object(""));
            let digest = canonical.digest();
            (canonical, digest)
        })
    }

    fn labels(&self) -> Map<String, Value> {
        let mut labels = Map::new();
        for (key, value) in [
            ("app.kubernetes.io/name", "security-baseline"),
            ("app.kubernetes.io/component", self.component),
            ("app.kubernetes.io/part-of", FIELD_MANAGER),
            ("app.kubernetes.io/managed-by", FIELD_MANAGER),
        ] {
            labels.insert(key.to_owned(), value.into());
        }
        labels
    }
}

/// The labels of a child that are ours.
const LABELS: [&str; 4] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
];

/// Keeps Argo CD from refreshing an application whenever one of its namespaces' children is touched.
pub const IGNORE_UPDATES: &str = "argocd.argoproj.io/ignore-resource-updates";

fn annotations() -> Map<String, Value> {
    Map::from_iter([(IGNORE_UPDATES.to_owned(), Value::from("true"))])
}

/// The canonical form of an object: what of it is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Canonical(pub Value);

impl Canonical {
    /// The canonical form of a whole object, live or asked for.
    pub fn of(kind: &ChildKind, object: &Value) -> Self {
        let mut fields: Map<String, Value> = kind
            .fields
            .iter()
            .map(|f| ((*f).to_owned(), object.get(f).cloned().unwrap_or_default()))
            .collect();
        (kind.normalise)(&mut fields);
        let metadata = &object["metadata"];
        let ours = |field: &str, keys: &[&str]| -> Map<String, Value> {
            keys.iter()
                .filter_map(|k| Some(((*k).to_owned(), metadata[field].get(k)?.clone())))
                .collect()
        };
        fields.insert(
            "metadata".to_owned(),
            json!({
                "labels": ours("labels", &LABELS),
                "annotations": ours("annotations", &[IGNORE_UPDATES]),
                "ownerReferences": metadata.get("ownerReferences").cloned().unwrap_or_else(|| json!([])),
            }),
        );
        Self(Value::Object(fields))
    }

    /// The digest that stands for this form.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

/// A digest of something that serialises: equal digests mean equal things, also against somebody who tries hard (a
/// tenant could otherwise craft an object that passes for ours).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The digest of something as JSON. A [`Value`]'s maps are sorted by key, so their order does not matter.
    pub fn of(value: &impl Serialize) -> Self {
        let mut hasher = blake3::Hasher::new();
        // What is handed in here always serialises.
        hasher.update(&serde_json::to_vec(value).unwrap_or_default());
        let mut short = [0; 16];
        hasher.finalize_xof().fill(&mut short);
        Self(short)
    }

    /// The digest of nothing: no object has it.
    pub const fn unseen() -> Self {
        Self([0; 16])
    }

    /// Its first half, which is enough where only a few are told apart.
    pub fn short(&self) -> u64 {
        self.0
            .iter()
            .take(8)
            .fold(0, |short, byte| (short << 8) | u64::from(*byte))
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes out of a map what the API server leaves out when it is empty: `null` and empty lists (not empty maps: an
/// empty selector means everything, an absent one nothing).
pub fn drop_empty(map: &mut Map<String, Value>, keys: &[&str]) {
    map.retain(|key, value| {
        !(value.is_null() || keys.contains(&key.as_str()) && value.as_array().is_some_and(Vec::is_empty))
    });
}

/// Gives a label selector one spelling: empty parts are left out, as the API server leaves them out.
pub fn normalise_selector(selector: &mut Value) {
    let Some(map) = selector.as_object_mut() else { return };
    map.retain(|key, value| match key.as_str() {
        "matchLabels" => !value.is_null() && value.as_object().is_none_or(|m| !m.is_empty()),
        "matchExpressions" => !value.is_null() && value.as_array().is_none_or(|a| !a.is_empty()),
        _ => !value.is_null(),
    });
    for expression in map
        .get_mut("matchExpressions")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(expression) = expression.as_object_mut() {
            drop_empty(expression, &["values"]);
        }
    }
}

/// Gives every quantity of a resource list one spelling. What is no quantity stays as it is, and so differs.
pub fn normalise_quantities(list: &mut Value) {
    for value in list.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
        let text = match &*value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        if let Ok(amount) = super::quantity::Milli::parse(&text) {
            *value = Value::String(amount.to_string());
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
