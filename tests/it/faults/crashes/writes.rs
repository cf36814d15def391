//! The writes at which the operator is killed, and those at which it has to be.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::faults::acts::{BINDING, Break, EGRESS, INGRESS, LIMITS, QUOTA, ROLE, VIEWERS};
use crate::support::install_yaml;
use crate::support::proxy::{Kind, Matching};

/// A write of the operator: verb, resource and name. The name of a Namespace is filled in; a `try` is a dry run.
pub type Write = (&'static str, &'static str, &'static str);

pub const ROLLOUT: [Write; 10] = [
    ("create", "networkpolicies", INGRESS),
    ("create", "networkpolicies", EGRESS),
    ("create", "resourcequotas", QUOTA),
    ("create", "limitranges", LIMITS),
    ("create", "roles", ROLE),
    ("create", "rolebindings", BINDING),
    ("create", "rolebindings", VIEWERS),
    ("try", "namespaces", ""),
    ("patch", "namespaces", ""),
    ("create", "baselinereports", "baseline"),
];

pub const REPLACEMENT: [Write; 9] = [
    ("update", "networkpolicies", INGRESS),
    ("update", "networkpolicies", EGRESS),
    ("update", "resourcequotas", QUOTA),
    ("update", "limitranges", LIMITS),
    ("update", "roles", ROLE),
    ("update", "rolebindings", BINDING),
    ("update", "rolebindings", VIEWERS),
    ("patch", "namespaces", ""),
    ("update", "baselinereports", "baseline"),
];

pub const RECREATION: [Write; 7] = [
    ("try", "resourcequotas", ""),
    ("delete", "resourcequotas", QUOTA),
    ("create", "resourcequotas", QUOTA),
    ("try", "rolebindings", ""),
    ("delete", "rolebindings", BINDING),
    ("create", "rolebindings", BINDING),
    ("update", "baselinereports", "baseline"),
];

pub const REMOVAL: [Write; 7] = [
    ("delete", "networkpolicies", EGRESS),
    ("delete", "resourcequotas", QUOTA),
    ("delete", "limitranges", LIMITS),
    ("delete", "roles", ROLE),
    ("delete", "rolebindings", BINDING),
    ("patch", "namespaces", ""),
    ("update", "baselinereports", "baseline"),
];

/// Of a baseline that goes with all that was created for it.
pub const CLEANUP: [Write; 9] = [
    ("delete", "networkpolicies", INGRESS),
    ("delete", "networkpolicies", EGRESS),
    ("delete", "resourcequotas", QUOTA),
    ("delete", "limitranges", LIMITS),
    ("delete", "roles", ROLE),
    ("delete", "rolebindings", BINDING),
    ("delete", "rolebindings", VIEWERS),
    ("patch", "namespaces", ""),
    ("update", "baselinereports", "baseline"),
];

/// What is broken, and the write that mends it or tells of it.
pub const REPAIR: [(Break, Write); 8] = [
    (
        Break::Gone("NetworkPolicy", EGRESS),
        ("create", "networkpolicies", EGRESS),
    ),
    (Break::Gone("RoleBinding", BINDING), ("create", "rolebindings", BINDING)),
    (Break::Open, ("update", "networkpolicies", INGRESS)),
    (Break::Raised, ("update", "resourcequotas", QUOTA)),
    (Break::Widened, ("update", "roles", ROLE)),
    (Break::Stripped, ("patch", "namespaces", "")),
    (Break::Open, ("update", "baselinereports", "baseline")),
    (
        Break::Gone("BaselineReport", "baseline"),
        ("create", "baselinereports", "baseline"),
    ),
];

/// The requests that are this write in a namespace.
pub fn matching((verb, resource, name): Write, namespace: &str) -> Matching {
    match (verb, resource) {
        ("try", "namespaces") => Matching::of("patch", resource).dry_run().named(namespace),
        ("try", _) => Matching::of("create", resource).dry_run().within(namespace),
        (_, "namespaces") => Matching::of(verb, resource).named(namespace),
        _ => Matching::of(verb, resource).named(name).within(namespace),
    }
}

/// The groups of reports for other tools. These clusters have no kind for them: see `policy_reports::crashes`.
const FOR_OTHER_TOOLS: [&str; 2] = ["openreports.io", "wgpolicyk8s.io"];

fn is_for_other_tools(kind: &Kind) -> bool {
    FOR_OTHER_TOOLS.contains(&&*kind.group)
}

/// The kinds of writes that the shipped ClusterRole of the operator allows, but for those of reports for other tools.
pub fn granted() -> BTreeSet<Kind> {
    let all = all_granted().into_iter();
    all.filter(|kind| !is_for_other_tools(kind)).collect()
}

/// The same of reports for other tools.
pub fn granted_for_reports() -> BTreeSet<Kind> {
    all_granted().into_iter().filter(is_for_other_tools).collect()
}

fn all_granted() -> BTreeSet<Kind> {
    let text = std::fs::read_to_string(install_yaml()).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let role = documents
        .iter()
        .find(|d| d["kind"] == "ClusterRole" && d["metadata"]["name"] == "security-baseline-operator")
        .unwrap();
    let texts = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let mut kinds = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(&rule["apiGroups"]) {
            for (resource, verb) in texts(&rule["resources"])
                .iter()
                .flat_map(|r| texts(&rule["verbs"]).into_iter().map(move |v| (r, v)))
            {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                kinds.insert(Kind {
                    verb,
                    resource: resource.to_owned(),
                    group: group.clone(),
                    subresource: subresource.to_owned(),
                    dry_run: false,
                });
            }
        }
    }
    kinds.retain(Kind::is_write);
    kinds
}
