//! What differs between what a baseline asks for and what is there, and who claims to have changed it.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::object::{Canonical, FIELD_MANAGER};
use super::text::bounded;

/// The most differences that are told of one object.
const MOST: usize = 8;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field's path, such as `spec.ingress[0]` or `spec.hard[requests.cpu]`; empty where the whole object is
    /// missing. Bounded.
    pub path: String,
    /// What is asked for, as bounded JSON; empty where nothing is.
    pub expected: String,
    /// What is there, as bounded JSON; empty where nothing is.
    pub found: String,
    /// Who claims to have made what is there.
    pub claim: Claim,
}

impl Difference {
    /// The whole object is there and should not be, or the other way round. Nobody is on record for that: a deletion
    /// leaves no trace.
    pub fn whole(expected: &str, found: &str) -> Self {
        Self {
            path: String::new(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            claim: Claim::unknown(),
        }
    }

    /// A label has another value than is asked for; an empty value stands for no label.
    pub fn label(key: &str, expected: &str, found: &str, claim: Claim) -> Self {
        let path = ["metadata", "labels", key].map(Segment::Key);
        Self {
            path: shown_path(&path),
            expected: bounded(expected, 63),
            found: bounded(found, 63),
            claim,
        }
    }
}

/// Who changed something, by what it says of itself: any client states the field manager that it likes, and what it
/// removes leaves no trace. Every text is bounded and harmless to show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The field manager that was stated, or `unknown`.
    pub by: String,
    /// How it was written: `Apply` or `Update`; empty where that is unknown.
    pub operation: String,
    /// The subresource through which it was written; empty for none.
    pub subresource: String,
    /// When, by the API server's clock.
    pub time: Option<Timestamp>,
}

impl Claim {
    /// Nobody is on record.
    pub fn unknown() -> Self {
        Self {
            by: "unknown".to_owned(),
            operation: String::new(),
            subresource: String::new(),
            time: None,
        }
    }

    /// The operator's own name, of which nothing more is known.
    pub fn ours() -> Self {
        Self {
            by: FIELD_MANAGER.to_owned(),
            ..Self::unknown()
        }
    }

    /// Whether the operator's own name was stated. It need not have been the operator.
    pub fn states_our_name(&self) -> bool {
        self.by == FIELD_MANAGER
    }

    /// Whether a client is on record, under another name than ours.
    pub fn names_somebody(&self) -> bool {
        !self.states_our_name() && *self != Self::unknown()
    }

    fn of(entry: &Value) -> Self {
        let text = |field: &str, most| bounded(entry[field].as_str().unwrap_or_default(), most);
        let by = text("manager", 128);
        Self {
            by: if by.is_empty() { "unknown".to_owned() } else { by },
            operation: text("operation", 16),
            subresource: text("subresource", 63),
            time: time(entry),
        }
    }
}

/// What departs at the moment and is on record already, by the object (kind/name) and the path of the difference.
pub type Open = BTreeMap<(String, String), Since>;

/// Since when something departs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Since {
    /// When it was first seen.
    pub seen: Timestamp,
    /// Which drift of its namespace it is part of, counted from 1; 0 for none: a change of the spec came upon an object
    /// that had drifted.
    pub number: i64,
}

/// A step on the way to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// To a field of an object.
    Key(&'a str),
    /// To an item of a list.
    Index(usize),
}

/// A path as it is shown. A key that is more than a word stands in brackets: it may hold dots of its own.
fn shown_path(path: &[Segment<'_>]) -> String {
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Index(i) => shown += &format!("[{i}]"),
            Segment::Key(key) if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                shown += &format!("[{key}]");
            }
            Segment::Key(key) => {
                if !shown.is_empty() {
                    shown.push('.');
                }
                shown += key;
            }
        }
    }
    bounded(&shown, 256)
}

/// The differences between what is asked for and what is there, the first few of them, each with who claims it by the
/// `managedFields` of the live object.
pub fn differences(asked: &Canonical, live: &Canonical, object: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), Some(&asked.0), Some(&live.0), object, &mut found);
    found
}

fn walk<'a>(
    path: &mut Vec<Segment<'a>>,
    asked: Option<&'a Value>,
    live: Option<&'a Value>,
    object: &Value,
    found: &mut Vec<Difference>,
) {
    if asked == live || found.len() >= MOST {
        return;
    }
    match (asked, live) {
        (Some(Value::Object(a)), Some(Value::Object(l))) => {
            let mut keys: Vec<_> = a.keys().chain(l.keys().filter(|k| !a.contains_key(*k))).collect();
            keys.sort_unstable();
            for key in keys {
                path.push(Segment::Key(key));
                walk(path, a.get(key), l.get(key), object, found);
                path.pop();
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(l))) => {
            for i in 0..a.len().max(l.len()) {
                path.push(Segment::Index(i));
                walk(path, a.get(i), l.get(i), object, found);
                path.pop();
            }
        }
        _ => found.push(Difference {
            path: shown_path(path),
            expected: shown(asked),
            found: shown(live),
            claim: claim(object, path, live.is_some()),
        }),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map(|v| bounded(&v.to_string(), 512)).unwrap_or_default()
}

/// Who claims a field of an object; the object as a whole for an empty path.
///
/// The newest foreign entry of `managedFields` that covers the field; else our own name, where an entry under it does.
/// Where none does, the newest foreign entry, but only if the field is `present`: what was removed is in nobody's entry,
/// and to name whoever wrote something else would be to accuse at random. Controllers write `status` all the time, so
/// such entries count only where they cover the field.
pub fn claim(object: &Value, path: &[Segment<'_>], present: bool) -> Claim {
    let entries = || object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let foreign = |entry: &&Value| entry["manager"] != FIELD_MANAGER;
    let of_status = |entry: &&Value| entry["subresource"] == "status";
    let covering = |entry: &&Value| {
        if path.is_empty() {
            !of_status(entry)
        } else {
            let fields = &entry["fieldsV1"];
            fields.as_object().is_some_and(|fields| !fields.is_empty()) && covers(fields, object, path)
        }
    };
    let covering = entries().filter(covering);
    newest(covering.clone().filter(foreign))
        .or_else(|| newest(covering))
        .or_else(|| newest(entries().filter(|e| present && foreign(e) && !of_status(e))))
        .map_or_else(Claim::unknown, Claim::of)
}

fn newest<'a>(entries: impl Iterator<Item = &'a Value>) -> Option<&'a Value> {
    entries.max_by_key(|entry| time(entry))
}

fn time(entry: &Value) -> Option<Timestamp> {
    entry["time"].as_str()?.parse().ok()
}

/// The maps of our kinds that are owned key by key: to own such a map and nothing in it is to own none of its values. (All
/// other lists and maps in what we write are atomic, by the API's schema.)
const KEY_BY_KEY: [&str; 3] = ["labels", "annotations", "hard"];

/// Whether fields in the notation `FieldsV1` hold a field of an object, or something in it
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>). An item that has nothing below it is owned
/// whole, as an atomic list or map is.
fn covers(fields: &Value, live: &Value, path: &[Segment<'_>]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let Some(fields) = fields.as_object() else {
        return false;
    };
    if fields.is_empty() {
        return true;
    }
    match first {
        Segment::Key(key) => fields.get(&format!("f:{key}")).is_some_and(|below| {
            let of_the_map_itself =
                KEY_BY_KEY.contains(key) && below.as_object().is_some_and(serde_json::Map::is_empty);
            covers(below, &live[*key], rest) && (rest.is_empty() || !of_the_map_itself)
        }),
        Segment::Index(i) => {
            let item = &live[*i];
            fields
                .iter()
                .any(|(name, below)| is_item(name, *i, item) && covers(below, item, rest))
        }
    }
}

/// Whether a name in the notation `FieldsV1` is that of a list's item: by its keys, by its value, or by its place.
fn is_item(name: &str, place: usize, item: &Value) -> bool {
    let Some((how, which)) = name.split_once(':') else {
        return false;
    };
    match how {
        "k" => serde_json::from_str::<Value>(which).is_ok_and(|keys| {
            let mut keys = keys.as_object().into_iter().flatten();
            keys.all(|(key, value)| item[key] == *value)
        }),
        "v" => serde_json::from_str::<Value>(which).is_ok_and(|value| *item == value),
        "i" => which.parse() == Ok(place),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
