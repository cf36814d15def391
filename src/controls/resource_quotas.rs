//! ResourceQuotas, by name.

mod weaker;

use k8s_openapi::api::core::v1::{
    ResourceQuotaSpec, ScopeSelector, ScopedResourceSelectorRequirement as ScopedRequirement,
};
use serde_json::{Map, Value};

use super::limit_ranges::{container_defaults, is_extended, quantities};
use crate::api::v1alpha1::{FieldProblem, Mode, QuotaScope, QuotaTemplate, ScopeOperator, SecurityBaselineSpec};
use crate::core::control::{Control, Rendered};
use crate::core::object::{Child, ChildKind, drop_empty, normalise_quantities};
use crate::core::quantity::Milli;
use crate::core::validate::{Problems, is_label_key};
use crate::core::world::{ClusterFacts, NamespaceFacts};

/// The section `resourceQuotas`.
pub struct ResourceQuotas;

/// The kind that it creates.
static RESOURCE_QUOTA: ChildKind = ChildKind {
    group: "",
    version: "v1",
    kind: "ResourceQuota",
    plural: "resourcequotas",
    fields: &["spec"],
    normalise,
    immutable: &["/spec/scopes", "/spec/scopeSelector"],
    grants: &[],
    weaker: weaker::weaker,
};

static KINDS: [&ChildKind; 1] = [&RESOURCE_QUOTA];

impl Control for ResourceQuotas {
    fn section(&self) -> &'static str {
        "resourceQuotas"
    }

    fn kinds(&self) -> &'static [&'static ChildKind] {
        &KINDS
    }

    fn mode(&self, spec: &SecurityBaselineSpec) -> Option<Mode> {
        Some(spec.resource_quotas.as_ref()?.mode.unwrap_or(spec.mode))
    }

    fn validate(&self, spec: &SecurityBaselineSpec, problems: &mut Problems) {
        let Some(section) = &spec.resource_quotas else { return };
        let path = "spec.resourceQuotas.items";
        problems.require(
            !section.items.is_empty(),
            path,
            "an empty section does nothing: add a quota, or leave resourceQuotas out",
        );
        problems.unique(path, section.items.iter().map(|q| q.name.as_str()));
        for (i, quota) in section.items.iter().enumerate() {
            check(&format!("{path}[{i}]"), quota, problems);
        }
    }

    fn warnings(&self, spec: &SecurityBaselineSpec) -> Vec<FieldProblem> {
        let (requests, limits) = container_defaults(spec);
        let mut warnings = Vec::new();
        for (i, quota) in spec.resource_quotas.iter().flat_map(|s| &s.items).enumerate() {
            for key in quota.hard.keys() {
                // The API server refuses a pod that states no request (or limit) of what a quota counts
                // (source: the quota evaluator for pods; services.nodeports and the like are not of pods).
                let (defaults, what, resource) = match key.strip_prefix("limits.") {
                    Some(resource) => (&limits, "limit", resource),
                    None => (&requests, "request", key.strip_prefix("requests.").unwrap_or(key)),
                };
                let of_pods = matches!(resource, "cpu" | "memory");
                if of_pods && !defaults.contains(resource) && !quota.scopes.contains(&QuotaScope::BestEffort) {
                    warnings.push(FieldProblem {
                        path: format!("spec.resourceQuotas.items[{i}].hard[{key}]"),
                        message: format!(
                            "no limit range of this baseline gives containers a default {what} of {resource}: pods that state none are refused; add one to limitRanges"
                        ),
                    });
                }
            }
        }
        warnings.truncate(16);
        warnings
    }

    fn render(&self, spec: &SecurityBaselineSpec, _: &NamespaceFacts, _: &ClusterFacts) -> Rendered {
        let mut rendered = Rendered::default();
        for quota in spec.resource_quotas.iter().flat_map(|s| &s.items) {
            let fields = serde_json::json!({ "spec": quota_spec(quota) });
            rendered
                .children
                .push(Child::new(&RESOURCE_QUOTA, "resource-quotas", &quota.name, fields));
            for (key, value) in &quota.hard {
                rendered
                    .effective
                    .push((format!("{}/{key}", quota.name), value.0.clone()));
            }
        }
        rendered
    }
}

fn quota_spec(quota: &QuotaTemplate) -> ResourceQuotaSpec {
    ResourceQuotaSpec {
        hard: quantities(&quota.hard),
        scopes: (!quota.scopes.is_empty()).then(|| quota.scopes.iter().map(|s| scope_name(*s).to_owned()).collect()),
        scope_selector: quota.scope_selector.as_ref().map(|selector| ScopeSelector {
            match_expressions: Some(
                selector
                    .match_expressions
                    .iter()
                    .map(|e| ScopedRequirement {
                        scope_name: scope_name(e.scope_name).to_owned(),
                        operator: operator_name(e.operator).to_owned(),
                        values: (!e.values.is_empty()).then(|| e.values.clone()),
                    })
                    .collect(),
            ),
        }),
    }
}

fn normalise(fields: &mut Map<String, Value>) {
    let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    drop_empty(spec, &["scopes"]);
    if let Some(hard) = spec.get_mut("hard") {
        normalise_quantities(hard);
    }
    let expressions = spec
        .get_mut("scopeSelector")
        .and_then(|s| s.get_mut("matchExpressions"));
    for expression in expressions.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(expression) = expression.as_object_mut() {
            drop_empty(expression, &["values"]);
        }
    }
}

fn check(path: &str, quota: &QuotaTemplate, problems: &mut Problems) {
    problems.item_name(format_args!("{path}.name"), &quota.name);
    problems.require(
        !quota.hard.is_empty(),
        format_args!("{path}.hard"),
        "a quota limits something: give `hard` at least one resource",
    );
    problems.quantities(&format!("{path}.hard"), &quota.hard);
    let expressions = quota.scope_selector.iter().flat_map(|s| &s.match_expressions);
    let scopes: Vec<QuotaScope> = quota
        .scopes
        .iter()
        .copied()
        .chain(expressions.map(|e| e.scope_name))
        .collect();
    for (key, value) in &quota.hard {
        let path = format!("{path}.hard[{key}]");
        problems.require(
            is_quota_key(key),
            &path,
            "not a resource that Kubernetes can count: use cpu, memory, pods, services, requests.cpu, limits.memory and their like, hugepages-<size>, count/<resource>.<group>, or a name with a domain",
        );
        if counts_objects(key) {
            problems.require(
                Milli::try_from(value).is_ok_and(Milli::is_whole),
                &path,
                "this is counted in whole numbers",
            );
        }
        for scope in &scopes {
            problems.require(
                fits(*scope, key),
                &path,
                format_args!(
                    "a quota with scope {} cannot count this: put it into a quota of its own",
                    scope_name(*scope)
                ),
            );
        }
    }
    for (a, b) in [
        (QuotaScope::BestEffort, QuotaScope::NotBestEffort),
        (QuotaScope::Terminating, QuotaScope::NotTerminating),
    ] {
        problems.require(
            !(scopes.contains(&a) && scopes.contains(&b)),
            format_args!("{path}.scopes"),
            "scopes that exclude each other match no pod: keep one of them",
        );
    }
    problems.require(
        quota
            .scope_selector
            .as_ref()
            .is_none_or(|s| !s.match_expressions.is_empty()),
        format_args!("{path}.scopeSelector.matchExpressions"),
        "name at least one expression, or leave scopeSelector out",
    );
    let expressions = quota.scope_selector.iter().flat_map(|s| &s.match_expressions);
    for (i, expression) in expressions.enumerate() {
        let path = format!("{path}.scopeSelector.matchExpressions[{i}]");
        let valued = matches!(expression.operator, ScopeOperator::In | ScopeOperator::NotIn);
        problems.require(
            valued != expression.values.is_empty(),
            format_args!("{path}.values"),
            "operators In and NotIn need at least one of `values`; Exists and DoesNotExist take none",
        );
        problems.require(
            matches!(
                expression.scope_name,
                QuotaScope::PriorityClass | QuotaScope::VolumeAttributesClass
            ) || expression.operator == ScopeOperator::Exists,
            format_args!("{path}.operator"),
            "this scope is either there or not: use operator Exists",
        );
    }
}

/// Source: `standardQuotaResources` and `ValidateResourceQuotaResourceName` of Kubernetes.
const STANDARD: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

pub(super) fn is_quota_key(key: &str) -> bool {
    if !is_label_key(key) {
        return false;
    }
    key.contains('/') || STANDARD.contains(&key) || is_huge_pages(key)
}

fn is_huge_pages(key: &str) -> bool {
    key.starts_with("hugepages-") || key.starts_with("requests.hugepages-")
}

/// Source: `IsIntegerResourceName` of Kubernetes (`count/jobs.batch` is an extended resource to it, too).
fn counts_objects(key: &str) -> bool {
    matches!(
        key,
        "pods"
            | "resourcequotas"
            | "services"
            | "replicationcontrollers"
            | "secrets"
            | "configmaps"
            | "persistentvolumeclaims"
            | "services.nodeports"
            | "services.loadbalancers"
    ) || is_extended(key)
}

/// Source: `IsResourceQuotaScopeValidForResource` of Kubernetes; only standard names are judged there.
fn fits(scope: QuotaScope, key: &str) -> bool {
    if !STANDARD.contains(&key) && !is_huge_pages(key) {
        return true;
    }
    let compute = matches!(
        key,
        "cpu" | "memory" | "limits.cpu" | "limits.memory" | "requests.cpu" | "requests.memory"
    );
    match scope {
        QuotaScope::BestEffort => key == "pods",
        QuotaScope::VolumeAttributesClass => matches!(key, "persistentvolumeclaims" | "requests.storage"),
        _ => key == "pods" || compute,
    }
}

const fn scope_name(scope: QuotaScope) -> &'static str {
    match scope {
        QuotaScope::Terminating => "Terminating",
        QuotaScope::NotTerminating => "NotTerminating",
        QuotaScope::BestEffort => "BestEffort",
        QuotaScope::NotBestEffort => "NotBestEffort",
        QuotaScope::PriorityClass => "PriorityClass",
        QuotaScope::CrossNamespacePodAffinity => "CrossNamespacePodAffinity",
        QuotaScope::VolumeAttributesClass => "VolumeAttributesClass",
    }
}

const fn operator_name(operator: ScopeOperator) -> &'static str {
    match operator {
        ScopeOperator::In => "In",
        ScopeOperator::NotIn => "NotIn",
        ScopeOperator::Exists => "Exists",
        ScopeOperator::DoesNotExist => "DoesNotExist",
    }
}

#[cfg(test)]
mod tests;
