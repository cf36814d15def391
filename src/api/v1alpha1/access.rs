//! The section `access`: Roles and RoleBindings.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mode;
use super::common::ITEM_NAME;

/// Roles and RoleBindings that each namespace gets. The operator can hand out only what an administrator lets it: see
/// the ClusterRole `security-baseline:grantable`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.roles) || has(self.bindings)")
        .message("an empty section does nothing: give it roles or bindings, or leave access out"),
    validation = Rule::new("!has(self.bindings) || self.bindings.all(b, !has(b.role) || (has(self.roles) && self.roles.exists(r, r.name == b.role)))")
        .message("a binding's `role` must be one of access.roles: add it there, or name a clusterRole").field_path(".bindings"),
)]
pub struct Access {
    /// Overrides the baseline's mode for this section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The roles; each becomes a Role `security-baseline-<name>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub roles: Vec<Role>,
    /// The bindings; each becomes a RoleBinding `security-baseline-<name>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub bindings: Vec<Binding>,
}

/// One Role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// The role's name, unique in the list.
    #[schemars(length(min = 1, max = 39), pattern(ITEM_NAME))]
    pub name: String,
    /// What the role allows.
    #[schemars(length(min = 1, max = 32))]
    pub rules: Vec<PolicyRule>,
}

/// One rule of a Role: these verbs on these resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!self.apiGroups.exists(g, g == '*')").message("a scoped role names its API groups: '*' is refused").field_path(".apiGroups"),
    validation = Rule::new("!self.resources.exists(r, r.contains('*'))").message("a scoped role names its resources: '*' is refused").field_path(".resources"),
    validation = Rule::new("!self.verbs.exists(v, v in ['*', 'escalate', 'bind', 'impersonate'])")
        .message("a scoped role names its verbs: '*', escalate, bind and impersonate are refused").field_path(".verbs"),
)]
pub struct PolicyRule {
    /// API groups; "" is the core group.
    #[schemars(length(min = 1, max = 16), inner(length(max = 253)))]
    pub api_groups: Vec<String>,
    /// Resources in the plural, such as pods or pods/log.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 127)))]
    pub resources: Vec<String>,
    /// Only objects of these names; any, if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 253)))]
    pub resource_names: Vec<String>,
    /// Verbs, such as get, list, watch, create, update, patch, delete.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63)))]
    pub verbs: Vec<String>,
}

/// One RoleBinding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.role) != has(self.clusterRole)")
        .message("a binding names one role: give it `role` (one of access.roles) or `clusterRole`"),
    validation = Rule::new("!has(self.clusterRole) || self.clusterRole != 'cluster-admin'")
        .message("cluster-admin is never bound: name a ClusterRole that grants what is needed").field_path(".clusterRole"),
)]
pub struct Binding {
    /// The binding's name, unique in the list.
    #[schemars(length(min = 1, max = 39), pattern(ITEM_NAME))]
    pub name: String,
    /// The role that is bound: one of access.roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 39), pattern(ITEM_NAME))]
    pub role: Option<String>,
    /// The ClusterRole that is bound, for this namespace. The operator needs the verb `bind` on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cluster_role: Option<String>,
    /// Who gets the role.
    #[schemars(length(min = 1, max = 32))]
    pub subjects: Vec<Subject>,
}

/// Who gets a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.name != 'system:masters'")
        .message("system:masters is above all authorization and is never bound").field_path(".name"),
    validation = Rule::new("self.kind == 'ServiceAccount' ? has(self.__namespace__) : !has(self.__namespace__)")
        .message("a ServiceAccount needs its `namespace` ({namespace} is the one that the binding is in); a User or Group has none"),
    validation = Rule::new("self.kind != 'ServiceAccount' || self.name.matches(r'^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')")
        .message("the name of a ServiceAccount is a DNS name").field_path(".name"),
)]
pub struct Subject {
    /// User, Group or ServiceAccount.
    pub kind: SubjectKind,
    /// The subject's name. `{namespace}` stands for the name of the namespace that the binding is in; a name that
    /// begins with `system:` only once that is filled in is refused.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace of a ServiceAccount; `{namespace}` is the one that the binding is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        pattern(r"^(\{namespace\}|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$")
    )]
    pub namespace: Option<String>,
}

/// The kind of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs)] // Kubernetes' own names
pub enum SubjectKind {
    User,
    Group,
    ServiceAccount,
}
