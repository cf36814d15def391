//! What the controls share where they judge whether what is live is weaker than what is asked for. Each judges its own
//! kinds; here is how to compare.

use serde_json::{Map, Value};

use crate::core::object::Canonical;
use crate::core::quantity::Milli;

/// Whether the owners are those that are asked for: none. The garbage collector may take an object for any other one.
pub(super) fn same_owners(asked: &Canonical, live: &Canonical) -> bool {
    asked.0["metadata"]["ownerReferences"] == live.0["metadata"]["ownerReferences"]
}

/// Whether both are maps and equal in all that they hold, but under these keys.
pub(super) fn same_but(asked: &Value, live: &Value, keys: &[&str]) -> bool {
    let (Some(asked), Some(live)) = (asked.as_object(), live.as_object()) else {
        return false;
    };
    let covered = |a: &Map<String, Value>, b: &Map<String, Value>| {
        a.iter()
            .all(|(key, value)| keys.contains(&key.as_str()) || b.get(key) == Some(value))
    };
    covered(asked, live) && covered(live, asked)
}

/// Whether a list of `live` has no item that the same list of `asked` has not. No list is an empty one.
pub(super) fn adds_nothing(asked: &Value, live: &Value, list: &str) -> bool {
    let asked = asked.get(list).and_then(Value::as_array);
    match live.get(list) {
        None => true,
        Some(Value::Array(live)) => live.iter().all(|item| asked.is_some_and(|asked| asked.contains(item))),
        Some(_) => false,
    }
}

/// Whether each resource of a resource list of `asked` is in that of `live` too, and the two amounts (asked, live) hold
/// what is demanded of them. No list is an empty one.
pub(super) fn each_amount(asked: &Value, live: &Value, list: &str, holds: fn(Milli, Milli) -> bool) -> bool {
    let amount = |value: &Value| Milli::parse(value.as_str()?).ok();
    match (asked.get(list), live.get(list)) {
        (None, None | Some(Value::Object(_))) => true,
        (Some(Value::Object(asked)), Some(Value::Object(live))) => asked.iter().all(|(key, asked)| {
            let amounts = (amount(asked), live.get(key).and_then(amount));
            matches!(amounts, (Some(asked), Some(live)) if holds(asked, live))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
