//! The sections `resourceQuotas` and `limitRanges`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{ITEM_NAME, resource_list};
use super::{Mode, ResourceList};

/// ResourceQuotas that each namespace gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceQuotas {
    /// Overrides the baseline's mode for this section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The quotas; each becomes a ResourceQuota `security-baseline-<name>`.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub items: Vec<QuotaTemplate>,
}

/// One ResourceQuota.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("size(self.hard) > 0").message("a quota limits something: give `hard` at least one resource").field_path(".hard"),
    validation = Rule::new(QUOTA_KEY_RULE)
        .message("not a resource that Kubernetes can count: use cpu, memory, pods, services, requests.cpu, limits.memory and their like, hugepages-<size>, count/<resource>.<group>, or a name with a domain such as requests.example.com/gpu")
        .field_path(".hard"),
    validation = Rule::new("!has(self.scopes) || !(('BestEffort' in self.scopes && 'NotBestEffort' in self.scopes) || ('Terminating' in self.scopes && 'NotTerminating' in self.scopes))")
        .message("scopes that exclude each other match no pod: keep one of them").field_path(".scopes"),
)]
pub struct QuotaTemplate {
    /// The quota's name, unique in the list.
    #[schemars(length(min = 1, max = 39), pattern(ITEM_NAME))]
    pub name: String,
    /// The most that the namespace may use, by resource.
    #[schemars(schema_with = "resource_list")]
    pub hard: ResourceList,
    /// Count only what matches all of these scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub scopes: Vec<QuotaScope>,
    /// Count only what matches these expressions, such as a priority class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_selector: Option<ScopeSelector>,
}

/// Selects what a quota counts by scopes and their values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScopeSelector {
    /// Expressions that must all hold.
    #[schemars(length(min = 1, max = 16))]
    pub match_expressions: Vec<ScopeRequirement>,
}

/// The quota keys that the API server takes: its standard ones, huge pages, and qualified names
/// (source: `ValidateResourceQuotaResourceName` of Kubernetes).
const QUOTA_KEY_RULE: &str = "self.hard.all(k, k in ['cpu', 'memory', 'ephemeral-storage', 'requests.cpu', 'requests.memory', 'requests.storage', 'requests.ephemeral-storage', 'limits.cpu', 'limits.memory', 'limits.ephemeral-storage', 'pods', 'resourcequotas', 'services', 'replicationcontrollers', 'secrets', 'persistentvolumeclaims', 'configmaps', 'services.nodeports', 'services.loadbalancers'] || k.startsWith('hugepages-') || k.startsWith('requests.hugepages-') || k.matches(r'^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))";

/// What a quota counts, by a property of the pod or volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum QuotaScope {
    Terminating,
    NotTerminating,
    BestEffort,
    NotBestEffort,
    PriorityClass,
    CrossNamespacePodAffinity,
    VolumeAttributesClass,
}

/// One expression of a quota's scope selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0")
        .message("operators In and NotIn need at least one of `values`; Exists and DoesNotExist take none"),
    validation = Rule::new("self.scopeName in ['PriorityClass', 'VolumeAttributesClass'] || self.operator == 'Exists'")
        .message("this scope is either there or not: use operator Exists").field_path(".operator"),
)]
pub struct ScopeRequirement {
    /// The scope that the expression is about.
    pub scope_name: QuotaScope,
    /// How the scope relates to `values`.
    pub operator: ScopeOperator,
    /// The values, such as names of priority classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 253)))]
    pub values: Vec<String>,
}

/// The operator of a scope selector's expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum ScopeOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// LimitRanges that each namespace gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitRanges {
    /// Overrides the baseline's mode for this section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The limit ranges; each becomes a LimitRange `security-baseline-<name>`.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub items: Vec<LimitRangeTemplate>,
}

/// One LimitRange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitRangeTemplate {
    /// The limit range's name, unique in the list.
    #[schemars(length(min = 1, max = 39), pattern(ITEM_NAME))]
    pub name: String,
    /// The limits, at most one for each type.
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub limits: Vec<LimitRangeLimit>,
}

/// The limits of one type of object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("(has(self.max) && size(self.max) > 0) || (has(self.min) && size(self.min) > 0) || (has(self.default) && size(self.default) > 0) || (has(self.defaultRequest) && size(self.defaultRequest) > 0) || (has(self.maxLimitRequestRatio) && size(self.maxLimitRequestRatio) > 0)")
        .message("a limit limits something: give it max, min, default, defaultRequest or maxLimitRequestRatio"),
    validation = Rule::new("self.type != 'Pod' || (!has(self.default) && !has(self.defaultRequest))")
        .message("type Pod takes neither default nor defaultRequest: state them for type Container"),
    validation = Rule::new("self.type != 'PersistentVolumeClaim' || (has(self.min) && 'storage' in self.min) || (has(self.max) && 'storage' in self.max)")
        .message("type PersistentVolumeClaim needs min or max of `storage`"),
    validation = Rule::new("!has(self.min) || !has(self.max) || self.min.all(k, !(k in self.max) || !quantity(string(self.min[k])).isGreaterThan(quantity(string(self.max[k]))))")
        .message("min is above max: lower min, or raise max").field_path(".min"),
)]
pub struct LimitRangeLimit {
    /// What is limited.
    #[serde(rename = "type")]
    pub type_: LimitType,
    /// The most that one object may ask for, by resource.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "resource_list")]
    pub max: ResourceList,
    /// The least that one object must ask for, by resource.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "resource_list")]
    pub min: ResourceList,
    /// The limit of a container that states none.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "resource_list")]
    pub default: ResourceList,
    /// The request of a container that states none.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "resource_list")]
    pub default_request: ResourceList,
    /// How many times its request a limit may be, at the most.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "resource_list")]
    pub max_limit_request_ratio: ResourceList,
}

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum LimitType {
    Container,
    Pod,
    PersistentVolumeClaim,
}
