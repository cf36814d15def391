//! LimitRanges, by name.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{LimitRangeItem, LimitRangeSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::{Map, Value, json};

use crate::api::v1alpha1::{LimitRangeLimit, LimitType, Mode, ResourceList, SecurityBaselineSpec};
use crate::core::control::{Control, Rendered};
use crate::core::object::{Child, ChildKind, normalise_quantities};
use crate::core::quantity::Milli;
use crate::core::validate::Problems;
use crate::core::world::{ClusterFacts, NamespaceFacts};

/// The section `limitRanges`.
pub struct LimitRanges;

/// The kind that it creates.
static LIMIT_RANGE: ChildKind = ChildKind {
    group: "",
    version: "v1",
    kind: "LimitRange",
    plural: "limitranges",
    fields: &["spec"],
    normalise,
    immutable: &[],
};

static KINDS: [&ChildKind; 1] = [&LIMIT_RANGE];

impl Control for LimitRanges {
    fn section(&self) -> &'static str {
        "limitRanges"
    }

    fn kinds(&self) -> &'static [&'static ChildKind] {
        &KINDS
    }

    fn mode(&self, spec: &SecurityBaselineSpec) -> Option<Mode> {
        Some(spec.limit_ranges.as_ref()?.mode.unwrap_or(spec.mode))
    }

    fn validate(&self, spec: &SecurityBaselineSpec, problems: &mut Problems) {
        let Some(section) = &spec.limit_ranges else { return };
        let path = "spec.limitRanges.items";
        problems.require(
            !section.items.is_empty(),
            path,
            "an empty section does nothing: add a limit range, or leave limitRanges out",
        );
        problems.unique(path, section.items.iter().map(|l| l.name.as_str()));
        for (i, item) in section.items.iter().enumerate() {
            let path = format!("{path}[{i}]");
            problems.item_name(format_args!("{path}.name"), &item.name);
            problems.require(
                !item.limits.is_empty(),
                format_args!("{path}.limits"),
                "a limit range limits something: add a limit",
            );
            let mut types = Vec::new();
            for (j, limit) in item.limits.iter().enumerate() {
                let path = format!("{path}.limits[{j}]");
                problems.require(
                    !types.contains(&limit.type_),
                    format_args!("{path}.type"),
                    "this type stands here twice: put all of its limits into one",
                );
                types.push(limit.type_);
                check(&path, limit, problems);
            }
        }
    }

    fn render(&self, spec: &SecurityBaselineSpec, _: &NamespaceFacts, _: &ClusterFacts) -> Rendered {
        let mut rendered = Rendered::default();
        for item in spec.limit_ranges.iter().flat_map(|s| &s.items) {
            let limits: Vec<LimitRangeItem> = item.limits.iter().map(limit_item).collect();
            let fields = json!({ "spec": LimitRangeSpec { limits } });
            rendered
                .children
                .push(Child::new(&LIMIT_RANGE, "limit-ranges", &item.name, fields));
            for limit in &item.limits {
                for (what, list) in lists(limit) {
                    for (key, value) in list {
                        rendered.effective.push((
                            format!("{}/{}/{what}/{key}", item.name, type_name(limit.type_)),
                            value.0.clone(),
                        ));
                    }
                }
            }
        }
        rendered
    }
}

/// The resources of which a container gets a default request, and those of which it gets a default limit, from the
/// baseline's limit ranges.
pub(super) fn container_defaults(spec: &SecurityBaselineSpec) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let limits = spec.limit_ranges.iter().flat_map(|s| &s.items).flat_map(|i| &i.limits);
    let (mut requests, mut maxima) = (BTreeSet::new(), BTreeSet::new());
    for limit in limits.filter(|l| l.type_ == LimitType::Container) {
        // A maximum becomes the default limit, a default limit the default request, and so does a minimum
        // (source: `SetDefaults_LimitRangeItem` of Kubernetes).
        maxima.extend(limit.default.keys().chain(limit.max.keys()).map(String::as_str));
        requests.extend(limit.default_request.keys().chain(limit.min.keys()).map(String::as_str));
    }
    requests.extend(maxima.iter());
    (requests, maxima)
}

/// A resource list in the API's own type; absent when it is empty.
pub(super) fn quantities(list: &ResourceList) -> Option<BTreeMap<String, ApiQuantity>> {
    (!list.is_empty()).then(|| {
        list.iter()
            .map(|(k, v)| (k.clone(), ApiQuantity(v.0.clone())))
            .collect()
    })
}

fn limit_item(limit: &LimitRangeLimit) -> LimitRangeItem {
    LimitRangeItem {
        type_: type_name(limit.type_).to_owned(),
        max: quantities(&limit.max),
        min: quantities(&limit.min),
        default: quantities(&limit.default),
        default_request: quantities(&limit.default_request),
        max_limit_request_ratio: quantities(&limit.max_limit_request_ratio),
    }
}

fn lists(limit: &LimitRangeLimit) -> [(&'static str, &ResourceList); 5] {
    [
        ("max", &limit.max),
        ("min", &limit.min),
        ("default", &limit.default),
        ("defaultRequest", &limit.default_request),
        ("maxLimitRequestRatio", &limit.max_limit_request_ratio),
    ]
}

const fn type_name(type_: LimitType) -> &'static str {
    match type_ {
        LimitType::Container => "Container",
        LimitType::Pod => "Pod",
        LimitType::PersistentVolumeClaim => "PersistentVolumeClaim",
    }
}

fn normalise(fields: &mut Map<String, Value>) {
    let limits = fields
        .get_mut("spec")
        .and_then(|s| s.get_mut("limits"))
        .and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter_map(Value::as_object_mut) {
        for list in limit.values_mut().filter(|v| v.is_object()) {
            normalise_quantities(list);
        }
        if limit.get("type").and_then(Value::as_str) == Some("Container") {
            fill_in(limit, "max", "default");
            fill_in(limit, "default", "defaultRequest");
            fill_in(limit, "min", "defaultRequest");
        }
        limit.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|m| !m.is_empty()));
    }
}

/// Gives `to` what `from` has and it has not, as the API server does for containers
/// (source: `SetDefaults_LimitRangeItem` of Kubernetes).
fn fill_in(limit: &mut Map<String, Value>, from: &str, to: &str) {
    let Some(from) = limit.get(from).and_then(Value::as_object).cloned() else {
        return;
    };
    let to = limit.entry(to).or_insert_with(|| json!({}));
    let Some(to) = to.as_object_mut() else { return };
    for (key, value) in from {
        to.entry(key).or_insert(value);
    }
}

fn check(path: &str, limit: &LimitRangeLimit, problems: &mut Problems) {
    problems.require(
        lists(limit).iter().any(|(_, list)| !list.is_empty()),
        path,
        "a limit limits something: give it max, min, default, defaultRequest or maxLimitRequestRatio",
    );
    for (what, list) in lists(limit) {
        problems.quantities(&format!("{path}.{what}"), list);
    }
    let has_storage = |list: &ResourceList| list.contains_key("storage");
    match limit.type_ {
        LimitType::Pod => problems.require(
            limit.default.is_empty() && limit.default_request.is_empty(),
            path,
            "type Pod takes neither default nor defaultRequest: state them for type Container",
        ),
        LimitType::PersistentVolumeClaim => problems.require(
            has_storage(&limit.min) || has_storage(&limit.max),
            path,
            "type PersistentVolumeClaim needs min or max of `storage`",
        ),
        LimitType::Container => {}
    }
    // Each of these may be no more than the next ones (source: `ValidateLimitRange` of Kubernetes).
    let order = [
        ("min", &limit.min),
        ("defaultRequest", &limit.default_request),
        ("default", &limit.default),
        ("max", &limit.max),
    ];
    for (i, (lower_name, lower)) in order.iter().enumerate() {
        for (upper_name, upper) in &order[i + 1..] {
            for (key, low) in *lower {
                let Some(high) = upper.get(key) else { continue };
                if let (Ok(l), Ok(h)) = (Milli::try_from(low), Milli::try_from(high)) {
                    problems.require(
                        l <= h,
                        format_args!("{path}.{lower_name}[{key}]"),
                        format_args!(
                            "{lower_name} {} is above {upper_name} {}: lower the one, or raise the other",
                            low.0, high.0
                        ),
                    );
                }
            }
        }
    }
    for (key, ratio) in &limit.max_limit_request_ratio {
        if let Ok(ratio) = Milli::try_from(ratio) {
            problems.require(
                ratio.0 >= 1000,
                format_args!("{path}.maxLimitRequestRatio[{key}]"),
                "a limit is never below its request: the ratio is 1 or more",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::world::testing::with_spec;

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
}
