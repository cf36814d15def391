//! Roles and RoleBindings.
//!
//! The operator may hand out only what an administrator lets it: the rules of the ClusterRole
//! `security-baseline:grantable`. The API server checks the same when the Role is written (the operator has no
//! `escalate`); checking it here tells the missing rule before anything is tried, and keeps the operator's own rights
//! (it writes NetworkPolicies, quotas, Roles) from being handed out by a baseline that merely asks for them.

mod weaker;

use k8s_openapi::api::rbac::v1::{PolicyRule as ApiRule, RoleRef, Subject as ApiSubject};
use serde_json::{Map, Value, json};

use crate::api::v1alpha1::{Binding, Mode, PolicyRule, SecurityBaselineSpec, Subject, SubjectKind};
use crate::core::control::{Control, Held, Rendered};
use crate::core::object::{Child, ChildId, ChildKind, RESERVED_PREFIX, drop_empty};
use crate::core::validate::{Problems, is_dns_label, is_dns_subdomain};
use crate::core::world::{ClusterFacts, GrantableRule, NamespaceFacts};

/// The section `access`.
pub struct Access;

static ROLE: ChildKind = ChildKind {
    group: RBAC,
    version: "v1",
    kind: "Role",
    plural: "roles",
    fields: &["rules"],
    normalise: normalise_role,
    immutable: &[],
    grants: &["rules"],
    weaker: weaker::role,
};

static ROLE_BINDING: ChildKind = ChildKind {
    group: RBAC,
    version: "v1",
    kind: "RoleBinding",
    plural: "rolebindings",
    fields: &["roleRef", "subjects"],
    normalise: normalise_binding,
    immutable: &["/roleRef"],
    grants: &["subjects"],
    weaker: weaker::binding,
};

const RBAC: &str = "rbac.authorization.k8s.io";
const COMPONENT: &str = "access";
const NAMESPACE: &str = "{namespace}";

/// Roles come before the bindings to them.
static KINDS: [&ChildKind; 2] = [&ROLE, &ROLE_BINDING];

impl Control for Access {
    fn section(&self) -> &'static str {
        "access"
    }

    fn kinds(&self) -> &'static [&'static ChildKind] {
        &KINDS
    }

    fn mode(&self, spec: &SecurityBaselineSpec) -> Option<Mode> {
        Some(spec.access.as_ref()?.mode.unwrap_or(spec.mode))
    }

    fn copy(&self, from: &SecurityBaselineSpec, to: &mut SecurityBaselineSpec) {
        to.access.clone_from(&from.access);
        // The mode of the section itself: the other spec may have another one for all.
        if let Some(section) = &mut to.access {
            section.mode = Some(section.mode.unwrap_or(from.mode));
        }
    }

    fn validate(&self, spec: &SecurityBaselineSpec, problems: &mut Problems) {
        let Some(section) = &spec.access else { return };
        problems.require(
            !section.roles.is_empty() || !section.bindings.is_empty(),
            "spec.access",
            "an empty section does nothing: give it roles or bindings, or leave access out",
        );
        problems.unique("spec.access.roles", section.roles.iter().map(|r| r.name.as_str()));
        problems.unique("spec.access.bindings", section.bindings.iter().map(|b| b.name.as_str()));
        for (i, role) in section.roles.iter().enumerate() {
            let path = format!("spec.access.roles[{i}]");
            problems.item_name(format_args!("{path}.name"), &role.name);
            problems.require(
                !role.rules.is_empty(),
                format_args!("{path}.rules"),
                "a role allows something: add a rule",
            );
            for (j, rule) in role.rules.iter().enumerate() {
                check_rule(&format!("{path}.rules[{j}]"), rule, problems);
            }
        }
        for (i, binding) in section.bindings.iter().enumerate() {
            let path = format!("spec.access.bindings[{i}]");
            check_binding(&path, binding, problems);
            problems.require(
                binding
                    .role
                    .as_ref()
                    .is_none_or(|name| section.roles.iter().any(|r| &r.name == name)),
                format_args!("{path}.role"),
                "a binding's `role` must be one of access.roles: add it there, or name a clusterRole",
            );
        }
    }

    fn is_templated(&self, spec: &SecurityBaselineSpec) -> bool {
        let bindings = spec.access.iter().flat_map(|section| &section.bindings);
        bindings.flat_map(|binding| &binding.subjects).any(|subject| {
            let namespace = subject.namespace.as_deref().unwrap_or_default();
            subject.name.contains(NAMESPACE) || namespace.contains(NAMESPACE)
        })
    }

    fn render(&self, spec: &SecurityBaselineSpec, namespace: &NamespaceFacts, cluster: &ClusterFacts) -> Rendered {
        let mut rendered = Rendered::default();
        let Some(section) = &spec.access else { return rendered };
        let mut refused = Vec::new();
        for role in &section.roles {
            let missing: Vec<String> = role
                .rules
                .iter()
                .filter_map(|rule| missing(rule, &cluster.grantable))
                .collect();
            if missing.is_empty() {
                let rules: Vec<ApiRule> = role.rules.iter().map(api_rule).collect();
                rendered
                    .children
                    .push(Child::new(&ROLE, COMPONENT, &role.name, json!({ "rules": rules })));
            } else {
                refused.push(role.name.as_str());
                rendered.held.push(hold(
                    &ROLE,
                    &role.name,
                    "GrantRefused",
                    format!(
                        "the operator may not hand this out: {}; an administrator allows it with a ClusterRole that has exactly these rules and the label securitybaseline.dev/aggregate-to-grantable: \"true\"",
                        missing.join("; ")
                    ),
                ));
            }
        }
        for binding in &section.bindings {
            match bind(binding, namespace, &refused) {
                Ok(fields) => {
                    rendered
                        .children
                        .push(Child::new(&ROLE_BINDING, COMPONENT, &binding.name, fields));
                }
                Err((reason, message)) => rendered.held.push(hold(&ROLE_BINDING, &binding.name, reason, message)),
            }
        }
        rendered
    }
}

fn hold(kind: &'static ChildKind, name: &str, reason: &'static str, message: String) -> Held {
    let id = ChildId {
        kind,
        name: format!("{RESERVED_PREFIX}{name}"),
    };
    Held::child(id, reason, message)
}

fn bind(binding: &Binding, namespace: &NamespaceFacts, refused: &[&str]) -> Result<Value, (&'static str, String)> {
    let (kind, name) = match (&binding.role, &binding.cluster_role) {
        (Some(role), _) => {
            if refused.contains(&role.as_str()) {
                return Err(("RoleHeld", format!("the role {role} that it binds is refused")));
            }
            ("Role", format!("{RESERVED_PREFIX}{role}"))
        }
        (None, Some(cluster_role)) => ("ClusterRole", cluster_role.clone()),
        (None, None) => return Err(("InvalidSpec", "it names no role".to_owned())),
    };
    let subjects = binding
        .subjects
        .iter()
        .map(|s| subject(s, namespace))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "roleRef": RoleRef { api_group: RBAC.to_owned(), kind: kind.to_owned(), name },
        "subjects": subjects,
    }))
}

/// A subject with the namespace's name filled in. A namespace called `system` must not turn `{namespace}:masters` into
/// a name that Kubernetes keeps for itself.
fn subject(subject: &Subject, namespace: &NamespaceFacts) -> Result<ApiSubject, (&'static str, String)> {
    let name = subject.name.replace(NAMESPACE, &namespace.name);
    let reserved = name.starts_with("system:") && subject.kind != SubjectKind::ServiceAccount;
    if name == "system:masters" || (reserved && !subject.name.starts_with("system:")) {
        return Err((
            "SystemSubject",
            format!(
                "{:?} becomes {name:?} here; names that begin with system: are Kubernetes' own",
                subject.name
            ),
        ));
    }
    let account = subject.kind == SubjectKind::ServiceAccount;
    Ok(ApiSubject {
        kind: format!("{:?}", subject.kind),
        name,
        api_group: (!account).then(|| RBAC.to_owned()),
        namespace: subject
            .namespace
            .as_ref()
            .filter(|_| account)
            .map(|n| n.replace(NAMESPACE, &namespace.name)),
    })
}

fn api_rule(rule: &PolicyRule) -> ApiRule {
    ApiRule {
        api_groups: Some(rule.api_groups.clone()),
        resources: Some(rule.resources.clone()),
        resource_names: (!rule.resource_names.is_empty()).then(|| rule.resource_names.clone()),
        verbs: rule.verbs.clone(),
        non_resource_urls: None,
    }
}

/// What of a rule may not be handed out, as a rule; `None` if all of it may.
fn missing(rule: &PolicyRule, grantable: &[GrantableRule]) -> Option<String> {
    let mut atoms = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                if !covered(group, resource, verb, &rule.resource_names, grantable) {
                    atoms.push((group, resource, verb));
                }
            }
        }
    }
    if atoms.is_empty() {
        return None;
    }
    let distinct = |pick: fn(&(&String, &String, &String)) -> String| {
        let mut all: Vec<String> = atoms.iter().map(pick).collect();
        all.sort();
        all.dedup();
        all
    };
    let names = if rule.resource_names.is_empty() {
        String::new()
    } else {
        format!(", resourceNames: {:?}", rule.resource_names)
    };
    Some(format!(
        "apiGroups: {:?}, resources: {:?}{names}, verbs: {:?}",
        distinct(|a| a.0.clone()),
        distinct(|a| a.1.clone()),
        distinct(|a| a.2.clone()),
    ))
}

/// Whether a verb on a resource may be handed out. As RBAC has it, `*` stands for anything; but writing what we enforce
/// is handed out only by a rule that names it.
fn covered(group: &str, resource: &str, verb: &str, names: &[String], grantable: &[GrantableRule]) -> bool {
    let by_name_only = is_enforced(group, resource) && !matches!(verb, "get" | "list" | "watch");
    let has = |list: &[String], item: &str| list.iter().any(|x| x == item || (x == "*" && !by_name_only));
    let matching: Vec<_> = grantable
        .iter()
        .filter(|rule| {
            has(&rule.api_groups, group)
                && has(&rule.verbs, verb)
                && (has(&rule.resources, resource)
                    || resource.split_once('/').is_some_and(|(_, sub)| {
                        !by_name_only && rule.resources.iter().any(|r| r.strip_prefix("*/") == Some(sub))
                    }))
        })
        .collect();
    // A rule without names is for all of them; each name may be covered by another rule.
    matching.iter().any(|rule| rule.resource_names.is_empty())
        || (!names.is_empty()
            && names
                .iter()
                .all(|name| matching.iter().any(|rule| rule.resource_names.contains(name))))
}

/// Whether a resource is one that the operator enforces, or reports with.
fn is_enforced(group: &str, resource: &str) -> bool {
    let resource = resource.split('/').next().unwrap_or(resource);
    group == crate::api::GROUP
        || (group.is_empty() && resource == "namespaces")
        || super::kinds().iter().any(|k| k.group == group && k.plural == resource)
}

fn check_rule(path: &str, rule: &PolicyRule, problems: &mut Problems) {
    for (field, list) in [
        ("apiGroups", &rule.api_groups),
        ("resources", &rule.resources),
        ("verbs", &rule.verbs),
    ] {
        problems.require(!list.is_empty(), format_args!("{path}.{field}"), "name at least one");
        problems.require(
            list.iter().all(|item| !item.contains('*')),
            format_args!("{path}.{field}"),
            "a scoped role names what it allows: '*' is refused",
        );
        // The core API group is the empty one.
        problems.require(
            field == "apiGroups" || list.iter().all(|item| !item.is_empty()),
            format_args!("{path}.{field}"),
            "an empty name stands for nothing: remove it",
        );
    }
    problems.require(
        !rule
            .verbs
            .iter()
            .any(|v| matches!(v.as_str(), "escalate" | "bind" | "impersonate")),
        format_args!("{path}.verbs"),
        "escalate, bind and impersonate are refused: they would undo what the role is scoped to",
    );
}

fn check_binding(path: &str, binding: &Binding, problems: &mut Problems) {
    problems.item_name(format_args!("{path}.name"), &binding.name);
    problems.require(
        binding.role.is_some() != binding.cluster_role.is_some(),
        path,
        "a binding names one role: give it `role` (one of access.roles) or `clusterRole`",
    );
    problems.require(
        binding.cluster_role.as_deref() != Some("cluster-admin"),
        format_args!("{path}.clusterRole"),
        "cluster-admin is never bound: name a ClusterRole that grants what is needed",
    );
    problems.require(
        binding.cluster_role.as_deref().is_none_or(is_path_segment),
        format_args!("{path}.clusterRole"),
        "write the name of a ClusterRole: it has neither '/' nor '%'",
    );
    problems.require(
        !binding.subjects.is_empty(),
        format_args!("{path}.subjects"),
        "name at least one subject",
    );
    for (i, subject) in binding.subjects.iter().enumerate() {
        let path = format!("{path}.subjects[{i}]");
        problems.require(
            subject.name != "system:masters",
            format_args!("{path}.name"),
            "system:masters is above all authorization and is never bound",
        );
        let namespace = subject.namespace.as_deref();
        if subject.kind == SubjectKind::ServiceAccount {
            problems.require(
                namespace.is_some_and(|n| n == NAMESPACE || is_dns_label(n)),
                format_args!("{path}.namespace"),
                "a ServiceAccount needs its namespace; {namespace} is the one that the binding is in",
            );
            problems.require(
                is_dns_subdomain(&subject.name),
                format_args!("{path}.name"),
                "the name of a ServiceAccount is a DNS name",
            );
        } else {
            problems.require(
                namespace.is_none(),
                format_args!("{path}.namespace"),
                "a User or Group has no namespace: leave it out",
            );
            problems.require(
                !subject.name.is_empty(),
                format_args!("{path}.name"),
                "name the subject",
            );
        }
    }
}

/// What an RBAC object may be named (source: `IsPathSegmentName` of Kubernetes).
fn is_path_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '%'])
}

fn normalise_role(fields: &mut Map<String, Value>) {
    // `rules: null` (which an empty Role reads back as), `rules: []` and no rules are one.
    drop_empty(fields, &["rules"]);
    for rule in fields
        .get_mut("rules")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(rule) = rule.as_object_mut() {
            drop_empty(
                rule,
                &["apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs"],
            );
        }
    }
}

fn normalise_binding(fields: &mut Map<String, Value>) {
    drop_empty(fields, &["subjects"]);
    // Source of these defaults: `SetDefaults_RoleBinding` and `SetDefaults_Subject` of Kubernetes.
    if let Some(role) = fields.get_mut("roleRef").and_then(Value::as_object_mut) {
        role.entry("apiGroup").or_insert_with(|| RBAC.into());
    }
    for subject in fields
        .get_mut("subjects")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(subject) = subject.as_object_mut() else {
            continue;
        };
        subject.retain(|_, value| !value.is_null() && value != "");
        if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
            subject.entry("apiGroup").or_insert_with(|| RBAC.into());
        }
    }
}

#[cfg(test)]
mod tests;
