use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::super::RESOURCE_QUOTA;
use crate::controls::testing::is_weaker;

fn weaker(asked: &Value, live: &Value) -> bool {
    is_weaker(&RESOURCE_QUOTA, &json!({ "spec": asked }), &json!({ "spec": live }))
}

#[test]
fn a_quota_is_weaker_unless_each_resource_is_limited_to_no_more() {
    let asked = json!({"hard": {"pods": 5, "limits.memory": "1Gi"}});
    for (hard, expected) in [
        (json!({"pods": "5", "limits.memory": "1024Mi"}), false),
        (json!({"pods": 4, "limits.memory": "1Mi", "cpu": "1000"}), false),
        (json!({"pods": 0, "limits.memory": "0"}), false),
        (json!({"pods": 6, "limits.memory": "1Gi"}), true),
        (json!({"pods": "5001m", "limits.memory": "1Gi"}), true),
        (json!({"pods": 5}), true),
        (json!({"pods": 5, "limits.memory": "lots"}), true),
        (json!({"pods": 5, "limits.memory": null}), true),
        (json!({"pods": 5, "requests.memory": "1Gi"}), true),
        (json!({}), true),
        (json!(null), true),
        (json!([]), true),
    ] {
        assert_eq!(weaker(&asked, &json!({ "hard": hard })), expected, "{hard}");
    }
}

#[test]
fn a_quota_that_counts_other_objects_is_weaker() {
    let quota = |scopes: Value, values: Value| {
        json!({"hard": {"pods": 5}, "scopes": scopes, "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": values},
        ]}})
    };
    let asked = quota(json!(["NotBestEffort"]), json!(["high"]));
    assert!(!weaker(&asked, &asked));
    for other in [
        quota(json!(["BestEffort"]), json!(["high"])),
        quota(json!(null), json!(["high"])),
        quota(json!(["NotBestEffort", "Terminating"]), json!(["high"])),
        quota(json!(["NotBestEffort"]), json!(["low"])),
        json!({"hard": {"pods": 5}, "scopes": ["NotBestEffort"]}),
        json!({"hard": {"pods": 5}}),
    ] {
        assert!(weaker(&asked, &other), "{other}");
        assert!(weaker(&other, &asked), "{other}");
    }
}

type Hard = BTreeMap<&'static str, u32>;

/// Limits in thousandths, under a few names.
fn limits() -> impl Strategy<Value = Hard> {
    proptest::collection::btree_map(select(vec!["cpu", "pods", "requests.memory"]), 0..5000_u32, 0..=3)
}

fn quota(limits: &Hard, unit: &str) -> Value {
    let hard: BTreeMap<_, _> = limits.iter().map(|(k, milli)| (k, format!("{milli}{unit}"))).collect();
    json!({ "hard": hard })
}

fn admits(limits: &Hard, used: &Hard) -> bool {
    limits
        .iter()
        .all(|(key, most)| used.get(key).is_none_or(|used| used <= most))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_quota_that_is_not_weaker_admits_no_use_that_the_one_asked_for_refuses(
        asked in limits(),
        other in limits(),
        used in limits(),
        less in proptest::option::of(0..5000_u32),
        unit in select(vec!["m", "e-3"]),
    ) {
        let mut live = other;
        if let Some(less) = less {
            // Else few would be no weaker.
            live.extend(asked.iter().map(|(key, most)| (*key, most.saturating_sub(less))));
        }
        let weaker = weaker(&quota(&asked, "m"), &quota(&live, unit));
        let tighter = asked.iter().all(|(key, most)| live.get(key).is_some_and(|l| l <= most));
        prop_assert_eq!(weaker, !tighter);
        prop_assert!(weaker || !admits(&live, &used) || admits(&asked, &used));
    }
}
