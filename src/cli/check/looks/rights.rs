//! Rights: the operator's own, and those that it takes to install it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Operator;
use crate::cli::Failure;
use crate::cli::check::model::{Check, Outcome};
use crate::engine::ask::{self, Right, Seen};
use crate::engine::client::Connection;

/// The operator's roles as they are shipped. What baselines may hand out is not among them: administrators choose that.
const SHIPPED_ROLES: [&str; 4] = [
    include_str!("../../../../config/rbac/operator.yaml"),
    include_str!("../../../../config/rbac/leader_election.yaml"),
    include_str!("../../../../config/rbac/cluster_dns.yaml"),
    include_str!("../../../../config/rbac/api_server.yaml"),
];

/// The namespaces of roles that are elsewhere where the operator, or the cluster's DNS, is.
const SHIPPED_NAMESPACE: &str = "security-baseline-system";
const SHIPPED_DNS: &str = "kube-system";

/// The rights in the operator's roles, where it runs in one namespace and the cluster's DNS in another.
pub(super) fn needed(namespace: &str, dns: &str) -> Result<Vec<Right>, Failure> {
    let mut documents: Vec<Value> = Vec::new();
    for role in SHIPPED_ROLES {
        documents.extend(serde_saphyr::from_multiple::<Value>(role)?);
    }
    let list = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts.filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    let mut rights = Vec::new();
    let rules = documents.iter().flat_map(|document| {
        let place = match document["metadata"]["namespace"].as_str().unwrap_or_default() {
            SHIPPED_NAMESPACE => namespace,
            SHIPPED_DNS => dns,
            elsewhere => elsewhere,
        };
        let rules = document["rules"].as_array().into_iter().flatten();
        rules.map(move |rule| (place, rule))
    });
    for (place, rule) in rules {
        let mut names = list(&rule["resourceNames"]);
        if names.is_empty() {
            names.push(String::new());
        }
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                for verb in list(&rule["verbs"]) {
                    for name in &names {
                        rights.push(Right {
                            verb: verb.clone(),
                            group: group.clone(),
                            resource: resource.clone(),
                            name: name.clone(),
                            namespace: place.to_owned(),
                        });
                    }
                }
            }
        }
    }
    Ok(rights)
}

/// Whether the operator's ServiceAccount has what its roles say.
pub(super) async fn rights(
    connection: &Connection,
    operator: &Operator<'_>,
    account: &Seen<Value>,
    needed: Vec<Right>,
) -> Result<Check, Failure> {
    const NAME: &str = "The operator's rights";
    let (namespace, name) = (operator.namespace, operator.account());
    if *account == Seen::Absent {
        let message = format!(
            "there is no ServiceAccount {namespace}/{name}: install it with the chart or the kustomization of the operator (docs/install.md)"
        );
        return Ok(Check::new(NAME, Outcome::Failed, message));
    }
    let count = needed.len();
    Ok(
        match ask::lacking(&connection.client, (namespace, name), needed).await? {
            Seen::There(lacking) if lacking.is_empty() => Check::new(
                NAME,
                Outcome::Ok,
                format!("ServiceAccount {namespace}/{name} has all {count}"),
            ),
            Seen::There(lacking) => Check::new(
                NAME,
                Outcome::Failed,
                format!(
                    "ServiceAccount {namespace}/{name} may not {}: apply config/rbac, or look for what denies it",
                    named(&lacking)
                ),
            ),
            Seen::Absent => Check::new(
                NAME,
                Outcome::NotVisible,
                "the API server knows no SubjectAccessReviews",
            ),
            Seen::Hidden(_) => Check::new(
                NAME,
                Outcome::Unknown,
                "you may not create subjectaccessreviews.authorization.k8s.io; somebody who may has to run this",
            ),
        },
    )
}

/// Whether whoever asks may install the operator.
pub(super) async fn own_rights(connection: &Connection, namespace: &str, needed: Vec<Right>) -> Result<Check, Failure> {
    const NAME: &str = "Your rights to install";
    let right = |group: &str, resource: &str, namespace: &str| Right {
        verb: "create".to_owned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        name: String::new(),
        namespace: namespace.to_owned(),
    };
    let rbac = "rbac.authorization.k8s.io";
    let mut rights = vec![
        right("", "namespaces", ""),
        right("apiextensions.k8s.io", "customresourcedefinitions", ""),
        right("admissionregistration.k8s.io", "validatingadmissionpolicies", ""),
        right("admissionregistration.k8s.io", "validatingadmissionpolicybindings", ""),
        right(rbac, "clusterroles", ""),
        right(rbac, "clusterrolebindings", ""),
        right("", "serviceaccounts", namespace),
        right("", "configmaps", namespace),
        right("", "services", namespace),
        right("apps", "deployments", namespace),
    ];
    let places: BTreeSet<&str> = needed.iter().map(|right| right.namespace.as_str()).collect();
    for place in places.into_iter().filter(|place| !place.is_empty()) {
        rights.push(right(rbac, "roles", place));
        rights.push(right(rbac, "rolebindings", place));
    }
    // The API server lets nobody hand out what they lack.
    rights.extend(needed);
    Ok(match ask::lacking_myself(&connection.client, rights).await? {
        Seen::There(lacking) if lacking.is_empty() => Check::new(NAME, Outcome::Ok, "you may install it"),
        Seen::There(lacking) => Check::new(
            NAME,
            Outcome::Failed,
            format!("you may not {}: have an administrator install it", named(&lacking)),
        ),
        Seen::Absent | Seen::Hidden(_) => Check::new(
            NAME,
            Outcome::NotVisible,
            "the API server does not tell what you may do",
        ),
    })
}

/// The first of some rights, and how many more there are.
fn named(rights: &[Right]) -> String {
    const MOST: usize = 5;
    let first: Vec<String> = rights.iter().take(MOST).map(ToString::to_string).collect();
    let more = match rights.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    first.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_what_is_shipped() {
        let needed = needed("here", "dns").unwrap();
        let needed: Vec<String> = needed.iter().map(ToString::to_string).collect();
        for right in [
            "patch namespaces",
            "update securitybaselines/status.securitybaseline.dev",
            "get customresourcedefinitions.apiextensions.k8s.io securitybaselines.securitybaseline.dev",
            "update leases.coordination.k8s.io security-baseline-operator in here",
            "watch services in dns",
            "list endpointslices.discovery.k8s.io in default",
        ] {
            assert!(needed.iter().any(|needed| needed == right), "{right}: {needed:?}");
        }
        assert!(needed.len() > 30);
    }
}
