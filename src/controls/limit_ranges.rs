//! LimitRanges, by name.

mod weaker;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{LimitRangeItem, LimitRangeSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::{Map, Value, json};

use super::resource_quotas::is_quota_key;
use crate::api::v1alpha1::{LimitRangeLimit, LimitType, Mode, ResourceList, SecurityBaselineSpec};
use crate::core::control::{Control, Rendered};
use crate::core::object::{Child, ChildKind, drop_empty, normalise_quantities};
use crate::core::quantity::{Milli, is_native, overcommits};
use crate::core::validate::{Problems, is_label_key};
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
    grants: &[],
    weaker: weaker::weaker,
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

    fn copy(&self, from: &SecurityBaselineSpec, to: &mut SecurityBaselineSpec) {
        to.limit_ranges.clone_from(&from.limit_ranges);
        // The mode of the section itself: the other spec may have another one for all.
        if let Some(section) = &mut to.limit_ranges {
            section.mode = Some(section.mode.unwrap_or(from.mode));
        }
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

/// The names of a limit's lists.
const LISTS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];

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
        drop_empty(limit, &[]);
        for list in LISTS {
            limit.get_mut(list).map(normalise_quantities);
        }
        if limit.get("type").and_then(Value::as_str) == Some("Container") {
            fill_in(limit, "max", "default");
            fill_in(limit, "default", "defaultRequest");
            fill_in(limit, "min", "defaultRequest");
        }
        // Just these: an empty object under another name is not left out by the API server.
        limit.retain(|key, value| !(LISTS.contains(&key.as_str()) && value.as_object().is_some_and(Map::is_empty)));
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
        for key in list.keys() {
            problems.require(
                is_limit_key(limit.type_, key),
                format_args!("{path}.{what}[{key}]"),
                "not a resource that Kubernetes limits here: use cpu, memory, ephemeral-storage, hugepages-<size> or a name with a domain (storage for type PersistentVolumeClaim)",
            );
        }
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
            let bound = |list: &ResourceList| list.get(key).and_then(|q| Milli::try_from(q).ok());
            if let (Some(min), Some(max)) = (bound(&limit.min), bound(&limit.max)) {
                problems.require(
                    ratio.0.saturating_mul(min.0) <= max.0.saturating_mul(1000),
                    format_args!("{path}.maxLimitRequestRatio[{key}]"),
                    "no limit is that many times its request, by min and max: lower the ratio to max/min",
                );
            }
        }
    }
    // The maximum of a container is its default limit, where none is stated.
    let max = Some(&limit.max).filter(|_| limit.type_ == LimitType::Container);
    for (key, request) in limit.default_request.iter().filter(|(key, _)| !overcommits(key)) {
        let default = limit.default.get(key).or_else(|| max?.get(key));
        if let Some(Ok(default)) = default.map(Milli::try_from) {
            problems.require(
                // Above it is told already.
                Milli::try_from(request).is_ok_and(|request| request >= default),
                format_args!("{path}.defaultRequest[{key}]"),
                "this resource is not shared out beyond what there is: its default request must be its default limit",
            );
        }
    }
}

/// Source: `validateLimitRangeResourceName` of Kubernetes.
fn is_limit_key(type_: LimitType, key: &str) -> bool {
    if !is_label_key(key) {
        return false;
    }
    if type_ == LimitType::PersistentVolumeClaim {
        return key == "storage" || is_quota_key(key);
    }
    if key.contains('/') {
        is_native(key) || is_extended(key)
    } else {
        matches!(key, "cpu" | "memory" | "ephemeral-storage") || key.starts_with("hugepages-")
    }
}

/// Whether a resource is one that a device plugin adds (source: `IsExtendedResourceName` of Kubernetes).
pub(super) fn is_extended(key: &str) -> bool {
    !is_native(key) && !key.starts_with("requests.") && is_label_key(&format!("requests.{key}"))
}

#[cfg(test)]
mod tests;
