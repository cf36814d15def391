//! Whether the shipped admission policies know the operator that runs here.

use serde_json::Value;

use super::Operator;
use crate::cli::Failure;
use crate::cli::check::model::{Check, Outcome};
use crate::engine::ask::{self, Seen};
use crate::engine::client::Connection;

/// The policies that tell the operator from everybody else, by the name of its ServiceAccount.
const POLICIES: [&str; 3] = [
    "security-baseline-operator-writes",
    "security-baseline-pod-security-labels",
    "security-baseline-reports",
];

pub(super) async fn policies(connection: &Connection, operator: &Operator<'_>) -> Result<Check, Failure> {
    const NAME: &str = "Admission policies";
    let user = format!("system:serviceaccount:{}:{}", operator.namespace, operator.account());
    let kind = (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
    );
    let (mut there, mut others, mut hidden) = (0, Vec::new(), None);
    for name in POLICIES {
        match ask::object(&connection.client, kind, None, name).await? {
            Seen::There(policy) if knows(&policy, &user) => there += 1,
            Seen::There(_) => others.push(name),
            Seen::Absent => {}
            Seen::Hidden(why) => hidden = Some(format!("you may not get them: {why}")),
        }
    }
    if !others.is_empty()
        && let Seen::Hidden(why) = &operator.deployment
    {
        hidden = Some(format!(
            "the operator's ServiceAccount is in its Deployment, which you may not get: {why}"
        ));
        others.clear();
    }
    let (outcome, message) = if !others.is_empty() {
        let told = format!(
            "the operator is {user}, and {} know another one: write that name into their matchConditions",
            others.join(", ")
        );
        (Outcome::Failed, told)
    } else if let Some(why) = hidden {
        (Outcome::Unknown, why)
    } else if there == 0 {
        (Outcome::Ok, "none is about the operator here".to_owned())
    } else {
        (Outcome::Ok, format!("they know the operator as {user}"))
    };
    Ok(Check::new(NAME, outcome, message))
}

/// Whether a policy has a condition that is about this user.
fn knows(policy: &Value, user: &str) -> bool {
    let conditions = policy["spec"]["matchConditions"].as_array().into_iter().flatten();
    let quoted = format!("'{user}'");
    conditions
        .filter_map(|condition| condition["expression"].as_str())
        .any(|expression| expression.contains(&quoted))
}
