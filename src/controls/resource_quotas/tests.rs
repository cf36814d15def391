mod weaker;

use serde_json::json;

use super::*;
use crate::controls::testing::{differ, every_change_shows, foreign_changes_do_not_show, same};
use crate::core::world::testing::{namespace, problem_paths, with_spec};

fn spec(items: Value, limits: Value) -> SecurityBaselineSpec {
    let mut spec = json!({"namespaceSelector": {}, "resourceQuotas": {"items": items}});
    if !limits.is_null() {
        spec["limitRanges"] = json!({"items": [{"name": "defaults", "limits": limits}]});
    }
    with_spec("b", 1, spec).spec.clone()
}

#[test]
fn a_quota_on_what_no_limit_range_defaults_is_warned_of() {
    let quota = json!([{"name": "compute", "hard": {"requests.cpu": 1, "limits.memory": "1Gi", "pods": 5}}]);
    let paths = |limits| -> Vec<String> {
        ResourceQuotas
            .warnings(&spec(quota.clone(), limits))
            .into_iter()
            .map(|w| w.path)
            .collect()
    };
    assert_eq!(
        paths(Value::Null),
        [
            "spec.resourceQuotas.items[0].hard[limits.memory]",
            "spec.resourceQuotas.items[0].hard[requests.cpu]"
        ]
    );
    assert!(paths(json!([{"type": "Container", "default": {"cpu": 1, "memory": "1Gi"}}])).is_empty());
    // A minimum becomes a default request, but no default limit.
    assert_eq!(
        paths(json!([{"type": "Container", "min": {"cpu": "10m", "memory": "1Mi"}}])),
        ["spec.resourceQuotas.items[0].hard[limits.memory]"]
    );
}

#[test]
fn keys_that_kubernetes_does_not_count_are_refused() {
    for (key, good) in [
        ("pods", true),
        ("requests.cpu", true),
        ("hugepages-2Mi", true),
        ("count/deployments.apps", true),
        ("requests.example.com/gpu", true),
        ("gold.storageclass.storage.k8s.io/requests.storage", true),
        ("cpus", false),
        ("limits.pods", false),
        ("", false),
        ("a//b", false),
    ] {
        assert_eq!(is_quota_key(key), good, "{key}");
    }
}

#[test]
fn bad_quotas_are_refused_with_the_path_of_the_field() {
    let mut problems = Problems::default();
    let spec = spec(
        json!([
            {"name": "a", "hard": {"pods": "1.5", "requests.cpu": -1, "memory": "lots"}},
            {"name": "a", "hard": {"services": 1}, "scopes": ["BestEffort", "NotBestEffort"]},
        ]),
        Value::Null,
    );
    ResourceQuotas.validate(&spec, &mut problems);
    let paths: std::collections::BTreeSet<String> = problems.into_vec().into_iter().map(|p| p.path).collect();
    for path in [
        "spec.resourceQuotas.items[0].hard[pods]",
        "spec.resourceQuotas.items[0].hard[requests.cpu]",
        "spec.resourceQuotas.items[0].hard[memory]",
        "spec.resourceQuotas.items[1].name",
        "spec.resourceQuotas.items[1].hard[services]",
        "spec.resourceQuotas.items[1].scopes",
    ] {
        assert!(paths.contains(path), "{path} in {paths:?}");
    }
}

/// The paths of what is wrong with one quota, below `spec.resourceQuotas.items[0]`.
fn wrong(quota: Value) -> Vec<String> {
    let mut whole = json!({"name": "a", "hard": {"pods": 1}});
    for (field, value) in quota.as_object().unwrap() {
        whole[field] = value.clone();
    }
    problem_paths(json!({"namespaceSelector": {}, "resourceQuotas": {"items": [whole]}}))
        .into_iter()
        .map(|path| path.strip_prefix("spec.resourceQuotas.items[0]").unwrap().to_owned())
        .collect()
}

#[test]
fn quotas_that_kubernetes_takes_are_accepted() {
    for quota in [
        json!({"hard": {"requests.cpu": "0.5", "limits.memory": "40Gi", "pods": "50", "count/jobs.batch": 7}}),
        json!({"hard": {"requests.example.com/gpu": "2", "gold.storageclass.storage.k8s.io/requests.storage": "500Gi"}}),
        json!({"hard": {"pods": 0}}),
        json!({"hard": {"cpu": 1, "pods": 1}, "scopes": ["NotBestEffort", "Terminating"]}),
        json!({"hard": {"persistentvolumeclaims": 1}, "scopeSelector": {"matchExpressions": [{"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}]}}),
        json!({"hard": {"pods": 1}, "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}}),
    ] {
        assert_eq!(wrong(quota.clone()), [""; 0], "{quota}");
    }
}

#[test]
fn each_refusal_of_a_quota_names_the_field() {
    let scoped = |name: &str, operator: &str, values: Value| json!({"hard": {"pods": 1}, "scopeSelector": {"matchExpressions": [{"scopeName": name, "operator": operator, "values": values}]}});
    for (quota, path) in [
        (json!({"name": "a.b"}), ".name"),
        (json!({"hard": {}}), ".hard"),
        (json!({"hard": {"cpus": 1}}), ".hard[cpus]"),
        (json!({"hard": {"pods": -1}}), ".hard[pods]"),
        (json!({"hard": {"cpu": "1 core"}}), ".hard[cpu]"),
        (json!({"hard": {"cpu": "-5m"}}), ".hard[cpu]"),
        (json!({"hard": {"pods": "1500m"}}), ".hard[pods]"),
        (json!({"hard": {"count/jobs.batch": "1.5"}}), ".hard[count/jobs.batch]"),
        // Whatever has a domain of its own is counted in whole numbers, too.
        (json!({"hard": {"example.com/gpu": "0.5"}}), ".hard[example.com/gpu]"),
        (
            json!({"hard": {"services": 1}, "scopes": ["Terminating"]}),
            ".hard[services]",
        ),
        (json!({"hard": {"cpu": 1}, "scopes": ["BestEffort"]}), ".hard[cpu]"),
        (
            json!({"hard": {"hugepages-2Mi": "4Mi"}, "scopes": ["NotBestEffort"]}),
            ".hard[hugepages-2Mi]",
        ),
        (
            json!({"hard": {"cpu": 1}, "scopeSelector": {"matchExpressions": [{"scopeName": "VolumeAttributesClass", "operator": "Exists"}]}}),
            ".hard[cpu]",
        ),
        (json!({"scopes": ["BestEffort", "NotBestEffort"]}), ".scopes"),
        (
            json!({"hard": {"pods": 1}, "scopes": ["Terminating"], "scopeSelector": {"matchExpressions": [{"scopeName": "NotTerminating", "operator": "Exists"}]}}),
            ".scopes",
        ),
        (
            json!({"scopeSelector": {"matchExpressions": []}}),
            ".scopeSelector.matchExpressions",
        ),
        (
            scoped("PriorityClass", "In", json!([])),
            ".scopeSelector.matchExpressions[0].values",
        ),
        (
            scoped("PriorityClass", "Exists", json!(["high"])),
            ".scopeSelector.matchExpressions[0].values",
        ),
        (
            scoped("Terminating", "In", json!(["a"])),
            ".scopeSelector.matchExpressions[0].operator",
        ),
        (
            scoped("BestEffort", "DoesNotExist", json!([])),
            ".scopeSelector.matchExpressions[0].operator",
        ),
    ] {
        assert_eq!(wrong(quota.clone()), [path], "{quota}");
    }
    assert_eq!(
        problem_paths(json!({"namespaceSelector": {}, "resourceQuotas": {"items": []}})),
        ["spec.resourceQuotas.items"]
    );
}

#[test]
fn a_quota_is_rendered_with_its_scopes_and_amounts_as_they_are_written() {
    let rendered = ResourceQuotas.render(
        &spec(
            json!([{
                "name": "a",
                "hard": {"pods": 5, "cpu": "0.5"},
                "scopes": ["NotBestEffort"],
                "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]},
            }]),
            Value::Null,
        ),
        &namespace(),
        &ClusterFacts::default(),
    );
    assert_eq!(rendered.children[0].id.to_string(), "ResourceQuota/security-baseline-a");
    assert_eq!(
        rendered.children[0].fields["spec"],
        json!({
            "hard": {"pods": "5", "cpu": "0.5"},
            "scopes": ["NotBestEffort"],
            "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]},
        })
    );
    assert!(rendered.effective.contains(&("a/cpu".to_owned(), "0.5".to_owned())));
}

#[test]
fn a_quota_respelled_by_the_api_server_is_the_same() {
    let of = |spec: Value| json!({"spec": spec});
    for (a, b) in [
        (
            json!({"hard": {"cpu": "1000m", "memory": "1Gi", "pods": 5}}),
            json!({"hard": {"pods": "5", "memory": "1024Mi", "cpu": 1}}),
        ),
        (json!({"hard": {"cpu": "0.0001"}}), json!({"hard": {"cpu": "1m"}})),
        (
            json!({"hard": {"cpu": "1e3"}, "scopes": []}),
            json!({"hard": {"cpu": "1k"}, "scopeSelector": null}),
        ),
        (
            json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists", "values": []}]}}),
            json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}),
        ),
    ] {
        same(&RESOURCE_QUOTA, &of(a), &of(b));
    }
    for (a, b) in [
        (json!({"hard": {"cpu": "1"}}), json!({"hard": {"cpu": "1001m"}})),
        (json!({"hard": {"memory": "1G"}}), json!({"hard": {"memory": "1Gi"}})),
        (json!({"hard": {"cpu": "1"}}), json!({"hard": {"cpu": "one"}})),
        (json!({"hard": {"cpu": "1"}}), json!({"hard": {}})),
        (json!({"scopes": ["BestEffort"]}), json!({"scopes": []})),
    ] {
        differ(&RESOURCE_QUOTA, &of(a), &of(b));
    }
}

fn sample() -> Value {
    json!({"spec": {
        "hard": {"requests.cpu": "10", "pods": "5", "limits.memory": "1Gi"},
        "scopes": ["NotBestEffort"],
        "scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]},
    }})
}

#[test]
fn every_change_of_a_quota_shows() {
    every_change_shows(&RESOURCE_QUOTA, sample(), &[]);
}

#[test]
fn what_is_not_ours_in_a_quota_does_not_show() {
    foreign_changes_do_not_show(&RESOURCE_QUOTA, sample());
}
