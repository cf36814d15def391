//! Every small change of a JSON value.

use serde_json::{Value, json};

/// Every value that differs from this one in one place, with a word on where.
pub fn changes(value: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut places = Vec::new();
    walk("", value, &mut places);
    for place in places {
        let here = value.pointer(&place).unwrap();
        let mut change = |what: &str, new: Value| {
            let mut whole = value.clone();
            *whole.pointer_mut(&place).unwrap() = new;
            found.push((format!("{what} {place}"), whole));
        };
        match here {
            Value::Object(map) => {
                for key in map.keys() {
                    let mut less = map.clone();
                    less.remove(key);
                    change(&format!("without {key}"), Value::Object(less));
                }
                for (key, new) in additions(&place, map) {
                    let mut more = map.clone();
                    more.insert(key.to_owned(), new);
                    change(&format!("with {key}"), Value::Object(more));
                }
            }
            Value::Array(items) => {
                change("nothing in", json!([]));
                for i in 0..items.len() {
                    let mut less = items.clone();
                    less.remove(i);
                    change(&format!("without [{i}] in"), Value::Array(less));
                }
                let last = items.last().cloned().unwrap_or_else(|| json!({}));
                for new in [json!({}), varied(&last)] {
                    let more = [items.clone(), vec![new]].concat();
                    change("one more in", Value::Array(more));
                }
                if items.len() > 1 {
                    let mut turned = items.clone();
                    turned.reverse();
                    change("turned around", Value::Array(turned));
                }
            }
            leaf => {
                for new in others(leaf) {
                    change("another", new);
                }
            }
        }
    }
    found.retain(|(_, new)| new != value);
    found
}

fn walk(place: &str, value: &Value, places: &mut Vec<String>) {
    if !place.is_empty() {
        places.push(place.to_owned());
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(&format!("{place}/{key}"), value, places);
            }
        }
        Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                walk(&format!("{place}/{i}"), value, places);
            }
        }
        _ => {}
    }
}

/// Other leaves, some of which the API server takes at any place.
fn others(leaf: &Value) -> Vec<Value> {
    match leaf {
        Value::Number(number) => vec![json!(number.as_i64().unwrap() + 1)],
        Value::String(text) => {
            let known: &[&str] = match text.as_str() {
                "TCP" | "UDP" | "SCTP" => &["TCP", "UDP", "SCTP"],
                "In" | "NotIn" => &["In", "NotIn"],
                "Exists" | "DoesNotExist" => &["Exists", "DoesNotExist"],
                "Container" | "Pod" => &["Container", "Pod"],
                "Group" | "User" => &["Group", "User"],
                "Ingress" | "Egress" => &["Ingress", "Egress"],
                _ => &[],
            };
            let mut others: Vec<Value> = known.iter().map(|k| json!(k)).collect();
            if known.is_empty() {
                others.push(varied(leaf));
            }
            others
        }
        other => vec![varied(other)],
    }
}

/// A value like this one, and not this one.
fn varied(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains('/') && text.starts_with(|c: char| c.is_ascii_digit()) => {
            json!("10.3.0.0/16")
        }
        // A quantity, or the beginning of a name.
        Value::String(text) if text.starts_with(|c: char| c.is_ascii_digit()) => json!("3"),
        Value::String(text) if text == "http" || text == "https" => json!(8443),
        Value::String(text) => json!(format!("{text}x")),
        Value::Object(map) => {
            let mut map = map.clone();
            if let Some(first) = map.values_mut().next() {
                *first = varied(first);
            }
            Value::Object(map)
        }
        Value::Array(items) => Value::Array(items.iter().map(varied).collect()),
        other => json!([other]),
    }
}

/// What may be added at a place.
fn additions(place: &str, map: &serde_json::Map<String, Value>) -> Vec<(&'static str, Value)> {
    let last = place.rsplit('/').next().unwrap_or_default();
    let add: Vec<(&'static str, Value)> = match last {
        "matchLabels" => vec![("example.com/more", json!("x"))],
        "hard" => vec![("secrets", json!("9")), ("requests.ephemeral-storage", json!("1Gi"))],
        "max" | "default" | "defaultRequest" | "maxLimitRequestRatio" => vec![("ephemeral-storage", json!("5"))],
        "min" => vec![("ephemeral-storage", json!("1"))],
        "podSelector" | "namespaceSelector" => vec![
            ("matchLabels", json!({"example.com/more": "x"})),
            ("matchExpressions", json!([{"key": "more", "operator": "Exists"}])),
        ],
        "ipBlock" => vec![("except", json!(["10.9.0.0/16"]))],
        _ => vec![
            ("endPort", json!(9999)),
            ("port", json!(9)),
            ("ports", json!([{"port": 9}])),
            ("from", json!([{"podSelector": {}}])),
            ("to", json!([{"podSelector": {}}])),
            ("podSelector", json!({})),
            ("namespaceSelector", json!({})),
            ("ingress", json!([{}])),
            ("egress", json!([{}])),
            ("resourceNames", json!(["more"])),
            ("max", json!({"ephemeral-storage": "5"})),
            ("min", json!({"ephemeral-storage": "1"})),
            ("namespace", json!("kube-system")),
            ("values", json!(["more"])),
        ],
    };
    add.into_iter().filter(|(key, _)| !map.contains_key(*key)).collect()
}
