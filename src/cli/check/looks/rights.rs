//! Rights: the operator's own, and those that it takes to install it.

use serde_json::Value;

use super::OPERATOR;
use crate::cli::Failure;
use crate::cli::check::{Check, Outcome};
use crate::engine::ask::{self, Right, Seen};
use crate::engine::client::Connection;

/// The operator's ClusterRole as it is shipped.
const SHIPPED_ROLE: &str = include_str!("../../../../config/rbac/operator.yaml");

/// The rights in the operator's ClusterRole.
fn needed() -> Result<Vec<Right>, Failure> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(SHIPPED_ROLE)?;
    let list = |value: &Value| -> Vec<String> {
        let texts = value.as_array().into_iter().flatten();
        texts.filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    let mut rights = Vec::new();
    for rule in documents
        .iter()
        .filter_map(|document| document["rules"].as_array())
        .flatten()
    {
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
                            namespace: String::new(),
                        });
                    }
                }
            }
        }
    }
    Ok(rights)
}

/// Whether the operator's ServiceAccount has what its ClusterRole says.
pub(super) async fn rights(connection: &Connection, namespace: &str, account: &Seen<Value>) -> Result<Check, Failure> {
    const NAME: &str = "The operator's rights";
    if *account == Seen::Absent {
        let message =
            format!("there is no ServiceAccount {namespace}/{OPERATOR}: kubectl apply --server-side -k config/default");
        return Ok(Check::new(NAME, Outcome::Failed, message));
    }
    let rights = needed()?;
    let count = rights.len();
    Ok(
        match ask::lacking(&connection.client, (namespace, OPERATOR), rights).await? {
            Seen::There(lacking) if lacking.is_empty() => Check::new(
                NAME,
                Outcome::Ok,
                format!("ServiceAccount {namespace}/{OPERATOR} has all {count}"),
            ),
            Seen::There(lacking) => Check::new(
                NAME,
                Outcome::Failed,
                format!(
                    "ServiceAccount {namespace}/{OPERATOR} may not {}: apply config/rbac, or look for what denies it",
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
pub(super) async fn own_rights(connection: &Connection, namespace: &str) -> Result<Check, Failure> {
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
        right("apps", "deployments", namespace),
    ];
    // The API server lets nobody hand out what they lack.
    rights.extend(needed()?);
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
        let needed: Vec<String> = needed().unwrap().iter().map(ToString::to_string).collect();
        for right in [
            "patch namespaces",
            "update securitybaselines/status.securitybaseline.dev",
            "get customresourcedefinitions.apiextensions.k8s.io securitybaselines.securitybaseline.dev",
        ] {
            assert!(needed.iter().any(|needed| needed == right), "{right}: {needed:?}");
        }
        assert!(needed.len() > 30);
    }
}
