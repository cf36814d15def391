use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::LIMIT_RANGE;
use crate::controls::testing::is_weaker;

fn weaker(asked: &Value, live: &Value) -> bool {
    is_weaker(
        &LIMIT_RANGE,
        &json!({"spec": {"limits": asked}}),
        &json!({"spec": {"limits": live}}),
    )
}

fn asked() -> Value {
    json!({
        "type": "Container",
        "max": {"cpu": "2"},
        "min": {"cpu": "100m"},
        "default": {"cpu": "1"},
        "defaultRequest": {"cpu": "500m"},
        "maxLimitRequestRatio": {"cpu": "4"},
    })
}

#[test]
fn each_list_of_a_limit_range_has_the_direction_in_which_it_is_weaker() {
    for (list, cpu, expected) in [
        ("max", json!("2000m"), false),
        ("max", json!("1"), false),
        ("max", json!("2001m"), true),
        ("min", json!("0.1"), false),
        ("min", json!("200m"), false),
        ("min", json!("99m"), true),
        ("default", json!("500m"), false),
        ("default", json!("1001m"), true),
        ("defaultRequest", json!("0.5"), false),
        ("defaultRequest", json!("499m"), true),
        ("defaultRequest", json!("501m"), true),
        ("maxLimitRequestRatio", json!("2"), false),
        ("maxLimitRequestRatio", json!("4001m"), true),
    ] {
        let mut live = asked();
        live[list]["cpu"] = cpu.clone();
        assert_eq!(weaker(&json!([asked()]), &json!([live])), expected, "{list} {cpu}");
        // (What a maximum, a default limit or a minimum would fill in is not what is asked for either.)
        for gone in [json!(null), json!({}), json!("?"), json!([])] {
            live[list] = gone.clone();
            assert!(weaker(&json!([asked()]), &json!([live])), "{list} {gone}");
        }
    }
}

#[test]
fn more_that_is_refused_is_not_weaker_and_more_that_is_given_is() {
    let claim = json!({"type": "PersistentVolumeClaim", "max": {"storage": "10Gi"}});
    let pod = json!({"type": "Pod", "max": {"memory": "1Gi"}, "min": {"memory": "1Mi"}});
    for live in [json!([asked(), pod]), json!([pod, asked(), claim])] {
        assert!(!weaker(&json!([asked()]), &live), "{live}");
    }
    let mut ratio = asked();
    ratio["maxLimitRequestRatio"]["memory"] = json!("2");
    assert!(!weaker(&json!([asked()]), &json!([ratio])));
    for list in ["default", "defaultRequest", "max", "min"] {
        // A container's maximum is a default limit, and its minimum a default request.
        let mut live = asked();
        live[list]["memory"] = json!("1Gi");
        assert!(weaker(&json!([asked()]), &json!([live])), "{list}");
        let besides = json!([pod, {"type": "Container", list: {"memory": "1Gi"}}]);
        assert!(weaker(&json!([pod]), &besides), "{list}");
    }
}

#[test]
fn a_type_that_is_gone_or_there_twice_makes_a_limit_range_weaker() {
    let pod = json!({"type": "Pod", "max": {"memory": "1Gi"}});
    let both = json!([asked(), pod]);
    assert!(!weaker(&both, &json!([pod, asked()])));
    let mut tighter = pod.clone();
    tighter["max"]["memory"] = json!("1Mi");
    for live in [
        json!([pod]),
        json!([asked()]),
        json!([asked(), {"type": "pod", "max": {"memory": "1Gi"}}]),
        json!([asked(), {"max": {"memory": "1Gi"}}]),
        json!([asked(), pod, tighter]),
        json!([asked(), pod, pod]),
        json!([asked(), pod, {"type": "Pod"}]),
        json!([asked(), pod, {}]),
        json!([asked(), pod, null]),
        json!([]),
        json!(null),
    ] {
        assert!(weaker(&both, &live), "{live}");
    }
}

#[test]
fn what_is_not_understood_makes_a_limit_range_weaker() {
    let mut live = asked();
    live["unknown"] = json!({});
    assert!(weaker(&json!([asked()]), &json!([live])));
    for list in LISTS {
        let (asked, live) = (json!({"type": "Pod"}), json!({"type": "Pod", list: "?"}));
        assert!(weaker(&json!([asked]), &json!([live])), "{list}");
    }
    let live = json!({"spec": {"limits": [asked()], "unknown": 1}});
    assert!(is_weaker(&LIMIT_RANGE, &json!({"spec": {"limits": [asked()]}}), &live));
}

/// The limits of a container's CPU in thousandths: max, min, default, defaultRequest and the ratio.
type Limits = [Option<u32>; 5];

/// What a container has, or states: its request and its limit.
type Has = (Option<u32>, Option<u32>);

const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

fn item(limits: &Limits) -> Value {
    let mut item = json!({"type": "Container"});
    for (list, amount) in LISTS.iter().zip(limits) {
        if let Some(amount) = amount {
            item[*list] = json!({"cpu": format!("{amount}m")});
        }
    }
    item
}

/// What a container gets that states this.
fn defaulted(limits: &Limits, (request, limit): Has) -> Has {
    let [max, min, default, default_request, _] = *limits;
    let default = default.or(max);
    // A limit that is stated is also the request, where none is: that happens before limit ranges are asked.
    let request = request.or(limit).or(default_request).or(default).or(min);
    (request, limit.or(default))
}

/// Whether a container that has this is let in.
fn admits(limits: &Limits, (request, limit): Has) -> bool {
    let [max, min, _, _, ratio] = *limits;
    let within = |ratio: u32| matches!((request, limit), (Some(r), Some(l)) if l * 1000 <= r * ratio);
    max.is_none_or(|max| limit.is_some_and(|l| l <= max) && request.is_none_or(|r| r <= max))
        && min.is_none_or(|min| request.is_some_and(|r| r >= min))
        && ratio.is_none_or(within)
}

fn limits() -> impl Strategy<Value = Limits> {
    let amount = || proptest::option::of((1..6_u32).prop_map(|n| n * 1000));
    [amount(), amount(), amount(), amount(), amount()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_limit_range_that_is_not_weaker_lets_nothing_run_that_the_one_asked_for_refuses(
        asked in limits(),
        other in limits(),
        same in any::<[bool; 5]>(),
        states in proptest::option::of(0..7000_u32).prop_flat_map(|r| (Just(r), proptest::option::of(0..7000_u32))),
    ) {
        let mut live = other;
        for i in 0..5 {
            if same[i] {
                live[i] = asked[i];
            }
        }
        let (wanted, found) = (json!([item(&asked)]), json!([item(&live)]));
        prop_assert!(!weaker(&wanted, &wanted));
        if !weaker(&wanted, &found) {
            let (runs, meant) = (defaulted(&live, states), defaulted(&asked, states));
            prop_assert!(!admits(&live, runs) || admits(&asked, runs), "{asked:?} {live:?}");
            prop_assert_eq!(runs.0, meant.0);
            prop_assert!(meant.1.is_none() == runs.1.is_none() && runs.1 <= meant.1, "{asked:?} {live:?}");
        }
    }
}
