//! Whether a live limit range holds pods and claims to less than the one that is asked for.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::LISTS;
use crate::controls::weaker::{each_amount, same_but, same_owners};
use crate::core::object::Canonical;

/// It does not where each type that is asked for stands there once and is held to no less (see [`is_held`]), and a type
/// that is not asked for gives no defaults. (The API server refuses a type that stands there twice.)
pub(super) fn weaker(asked: &Canonical, live: &Canonical) -> bool {
    let (spec, found) = (&asked.0["spec"], &live.0["spec"]);
    let (Some(asked_limits), Some(limits)) = (spec["limits"].as_array(), found["limits"].as_array()) else {
        return true;
    };
    let mut types = BTreeSet::new();
    let once = limits
        .iter()
        .all(|l| l["type"].as_str().is_some_and(|t| types.insert(t)));
    let of = |limits: &[Value], type_: &Value| limits.iter().position(|l| &l["type"] == type_);
    let held = asked_limits
        .iter()
        .all(|asked| of(limits, &asked["type"]).is_some_and(|at| is_held(asked, &limits[at])));
    let besides = limits
        .iter()
        .filter(|limit| of(asked_limits, &limit["type"]).is_none())
        .all(|limit| is_held(&json!({"type": limit["type"]}), limit));
    !(same_owners(asked, live) && same_but(spec, found, &["limits"]) && once && held && besides)
}

/// Whether a type's limits hold to no less. What only refuses (max, min, maxLimitRequestRatio) may be tighter, and be
/// there for more resources. A default limit may be lower; but it must not be there for other resources, since it lets
/// pods in that a quota refuses without it. Default requests must be the same: a lower one lets more pods into a
/// quota, and a higher one keeps more of a node for those who ask for nothing.
fn is_held(asked: &Value, live: &Value) -> bool {
    let keys = |limit: &Value, list| limit[list].as_object().map(|l| l.keys().cloned().collect::<Vec<_>>());
    same_but(asked, live, &LISTS)
        && each_amount(asked, live, "max", |asked, live| live <= asked)
        && each_amount(asked, live, "min", |asked, live| live >= asked)
        && each_amount(asked, live, "maxLimitRequestRatio", |asked, live| live <= asked)
        && keys(asked, "default") == keys(live, "default")
        && each_amount(asked, live, "default", |asked, live| live <= asked)
        && asked["defaultRequest"] == live["defaultRequest"]
}
