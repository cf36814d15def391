mod weaker;

use super::*;
use crate::controls::testing::{differ, every_change_shows, foreign_changes_do_not_show, same};
use crate::core::world::testing::{namespace, with_spec};

fn problems(limits: Value) -> Vec<String> {
    let spec = json!({"namespaceSelector": {}, "limitRanges": {"items": [{"name": "a", "limits": limits}]}});
    let mut problems = Problems::default();
    LimitRanges.validate(&with_spec("b", 1, spec).spec, &mut problems);
    problems.into_vec().into_iter().map(|p| p.path).collect()
}

#[test]
fn a_minimum_above_its_maximum_is_refused() {
    assert_eq!(
        problems(json!([{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1500m"}}])),
        ["spec.limitRanges.items[0].limits[0].min[cpu]"]
    );
    assert!(problems(json!([{"type": "Container", "min": {"cpu": "1000m"}, "max": {"cpu": 1}}])).is_empty());
}

#[test]
fn limits_that_kubernetes_refuses_are_refused() {
    let path = "spec.limitRanges.items[0].limits[0]";
    for (limit, at) in [
        (json!({"type": "Pod", "default": {"cpu": 1}}), path.to_owned()),
        (
            json!({"type": "PersistentVolumeClaim", "max": {"cpu": 1}}),
            path.to_owned(),
        ),
        (json!({"type": "Container"}), path.to_owned()),
        (
            json!({"type": "Container", "default": {"cpu": 2}, "max": {"cpu": 1}}),
            format!("{path}.default[cpu]"),
        ),
        (
            json!({"type": "Container", "defaultRequest": {"cpu": 2}, "default": {"cpu": 1}}),
            format!("{path}.defaultRequest[cpu]"),
        ),
        (
            json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "500m"}}),
            format!("{path}.maxLimitRequestRatio[cpu]"),
        ),
    ] {
        assert_eq!(problems(json!([limit])), [at], "{limit}");
    }
    assert_eq!(
        problems(json!([{"type": "Pod", "max": {"cpu": 1}}, {"type": "Pod", "max": {"cpu": 1}}])),
        ["spec.limitRanges.items[0].limits[1].type"]
    );
}

#[test]
fn limits_that_kubernetes_takes_are_accepted() {
    for limit in [
        json!({"type": "Container", "max": {"cpu": 2}, "min": {"cpu": "1m"}, "default": {"cpu": 1}, "defaultRequest": {"cpu": "0.5"}, "maxLimitRequestRatio": {"cpu": 4}}),
        json!({"type": "Container", "default": {"example.com/gpu": 1}}),
        json!({"type": "Container", "default": {"hugepages-2Mi": "4Mi"}, "defaultRequest": {"hugepages-2Mi": "4Mi"}}),
        json!({"type": "Pod", "max": {"memory": "4Gi", "ephemeral-storage": "1Gi"}}),
        json!({"type": "PersistentVolumeClaim", "max": {"storage": "10Gi"}, "default": {"storage": "1Gi"}}),
    ] {
        assert_eq!(problems(json!([limit])), [""; 0], "{limit}");
    }
}

/// Source: `ValidateLimitRange` of Kubernetes.
#[test]
fn each_refusal_of_a_limit_names_the_field() {
    for (limit, at) in [
        (json!({"type": "Container", "max": {"cpu": -1}}), ".max[cpu]"),
        (json!({"type": "Container", "min": {"cpu": "some"}}), ".min[cpu]"),
        (json!({"type": "Container", "max": {"cpus": 1}}), ".max[cpus]"),
        (
            json!({"type": "Container", "default": {"storage": "1Gi"}}),
            ".default[storage]",
        ),
        (json!({"type": "Container", "max": {"pods": 1}}), ".max[pods]"),
        (
            json!({"type": "Container", "max": {"requests.example.com/gpu": 1}}),
            ".max[requests.example.com/gpu]",
        ),
        (json!({"type": "Pod", "max": {"a b": 1}}), ".max[a b]"),
        (
            json!({"type": "PersistentVolumeClaim", "max": {"storage": 1, "disk": 1}}),
            ".max[disk]",
        ),
        (
            json!({"type": "Container", "min": {"cpu": 2}, "defaultRequest": {"cpu": 1}}),
            ".min[cpu]",
        ),
        (
            json!({"type": "Container", "min": {"cpu": 2}, "default": {"cpu": 1}}),
            ".min[cpu]",
        ),
        (
            json!({"type": "Container", "defaultRequest": {"cpu": 2}, "max": {"cpu": 1}}),
            ".defaultRequest[cpu]",
        ),
        (
            json!({"type": "Pod", "min": {"cpu": 1}, "max": {"cpu": 2}, "maxLimitRequestRatio": {"cpu": 3}}),
            ".maxLimitRequestRatio[cpu]",
        ),
        (
            json!({"type": "Container", "default": {"hugepages-2Mi": "4Mi"}, "defaultRequest": {"hugepages-2Mi": "2Mi"}}),
            ".defaultRequest[hugepages-2Mi]",
        ),
        // The API server fills in a default limit of 4 (the maximum) and a default request of 4 (that).
        (
            json!({"type": "Container", "max": {"example.com/gpu": 4}, "defaultRequest": {"example.com/gpu": 2}}),
            ".defaultRequest[example.com/gpu]",
        ),
    ] {
        let at = format!("spec.limitRanges.items[0].limits[0]{at}");
        assert_eq!(problems(json!([limit])), [at], "{limit}");
    }
}

#[test]
fn names_and_sections_without_content_are_refused() {
    let paths = |items: Value| {
        let mut problems = Problems::default();
        let spec = with_spec(
            "b",
            1,
            json!({"namespaceSelector": {}, "limitRanges": {"items": items}}),
        );
        LimitRanges.validate(&spec.spec, &mut problems);
        problems.into_vec().into_iter().map(|p| p.path).collect::<Vec<_>>()
    };
    let good = json!({"name": "a", "limits": [{"type": "Pod", "max": {"cpu": 1}}]});
    assert_eq!(paths(json!([])), ["spec.limitRanges.items"]);
    assert_eq!(paths(json!([good, good])), ["spec.limitRanges.items[1].name"]);
    assert_eq!(
        paths(json!([{"name": "A", "limits": []}])),
        ["spec.limitRanges.items[0].name", "spec.limitRanges.items[0].limits"]
    );
}

#[test]
fn a_limit_range_is_rendered_as_it_is_written() {
    let limits = json!([
        {"type": "Container", "max": {"cpu": "2"}, "defaultRequest": {"cpu": "100m"}, "maxLimitRequestRatio": {"cpu": "4"}},
        {"type": "Pod", "min": {"memory": "1Mi"}},
    ]);
    let spec = with_spec(
        "b",
        1,
        json!({"namespaceSelector": {}, "limitRanges": {"items": [{"name": "a", "limits": limits}]}}),
    );
    let rendered = LimitRanges.render(&spec.spec, &namespace(), &ClusterFacts::default());
    assert_eq!(rendered.children[0].id.to_string(), "LimitRange/security-baseline-a");
    assert_eq!(rendered.children[0].fields["spec"], json!({"limits": limits}));
}

#[test]
fn limits_that_the_api_server_fills_in_are_the_same() {
    let of = |limit: Value| json!({"spec": {"limits": [limit]}});
    for (a, b) in [
        // A maximum becomes the default limit, and that the default request.
        (
            json!({"type": "Container", "max": {"cpu": "2"}}),
            json!({"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2000m"}}),
        ),
        (
            json!({"type": "Container", "default": {"cpu": 1}}),
            json!({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}),
        ),
        (
            json!({"type": "Container", "min": {"cpu": "1m"}, "default": {"memory": "1Gi"}}),
            json!({"type": "Container", "min": {"cpu": "1m"}, "default": {"memory": "1Gi"}, "defaultRequest": {"cpu": "1m", "memory": "1Gi"}}),
        ),
        // The default limit comes before the minimum.
        (
            json!({"type": "Container", "min": {"cpu": "1m"}, "max": {"cpu": "2"}}),
            json!({"type": "Container", "min": {"cpu": "1m"}, "max": {"cpu": "2"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2"}}),
        ),
        // Empty and absent.
        (
            json!({"type": "Pod", "max": {"cpu": "1"}, "min": {}}),
            json!({"type": "Pod", "max": {"cpu": "1"}, "default": null}),
        ),
        (
            json!({"type": "Container", "max": {"cpu": "1"}, "default": null, "defaultRequest": null}),
            json!({"type": "Container", "max": {"cpu": "1"}}),
        ),
    ] {
        same(&LIMIT_RANGE, &of(a), &of(b));
    }
    for (a, b) in [
        // Only containers get defaults.
        (
            json!({"type": "Pod", "max": {"cpu": "2"}}),
            json!({"type": "Pod", "max": {"cpu": "2"}, "default": {"cpu": "2"}}),
        ),
        (
            json!({"type": "Container", "max": {"cpu": "2"}}),
            json!({"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "1"}}),
        ),
        (
            json!({"type": "Container", "min": {"cpu": "2"}}),
            json!({"type": "Container", "max": {"cpu": "2"}}),
        ),
    ] {
        differ(&LIMIT_RANGE, &of(a), &of(b));
    }
}

fn sample() -> Value {
    json!({"spec": {"limits": [
        {
            "type": "Container",
            "max": {"cpu": "4"},
            "min": {"cpu": "1m"},
            "default": {"cpu": "2", "memory": "1Gi"},
            "defaultRequest": {"cpu": "1", "memory": "1Mi"},
            "maxLimitRequestRatio": {"cpu": "10"},
        },
        {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}},
    ]}})
}

#[test]
fn every_change_of_a_limit_range_shows() {
    every_change_shows(&LIMIT_RANGE, sample(), &[]);
}

#[test]
fn what_is_not_ours_in_a_limit_range_does_not_show() {
    foreign_changes_do_not_show(&LIMIT_RANGE, sample());
}
