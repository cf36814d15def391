//! What becomes of what a person wrote to a baseline: the operator may have it wait, or refuse the spec that it is in.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;

use super::read;
use crate::api::v1alpha1::{SecurityBaseline, SecurityBaselineSpec, SecurityBaselineStatus};
use crate::cli::output::harmless;
use crate::cli::{Failure, Verdict, called, print};
use crate::engine::ask::PLUGIN_MANAGER;
use crate::engine::client::Connection;

/// The reason for which a change waits until somebody confirms it.
pub(super) const WAITS: &str = "AwaitingConfirmation";

/// How long the operator may take to look at what was written, and how often it is asked whether it did.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(250);

/// What keeps a baseline from being carried out, if something does.
pub(super) fn stalled(status: &SecurityBaselineStatus) -> Option<&Condition> {
    let mut conditions = status.conditions.iter();
    conditions.find(|c| c.type_ == "Stalled" && c.status == "True")
}

/// Waits until the operator looked at what was written to a field of the spec, and tells what came of it: the first text
/// where it holds, the second where it waits.
pub(super) async fn told(
    connection: &Connection,
    written: &SecurityBaseline,
    field: &str,
    stated: impl Fn(&SecurityBaselineSpec) -> bool,
    [holds, not_yet]: [&str; 2],
) -> Result<Verdict, Failure> {
    let name = written.metadata.name.as_deref().unwrap_or_default();
    let generation = written.metadata.generation.unwrap_or_default();
    let Ok(looked_at) = tokio::time::timeout(PATIENCE, looked_at(connection, name, generation)).await else {
        return Ok(Verdict::Unknown(vec![format!(
            "spec.{field} of {name} is written, but the operator did not look at it for {} s, so that it is unknown whether it holds; whether the operator runs: {} check",
            PATIENCE.as_secs(),
            called()
        )]));
    };
    let (baseline, status) = looked_at?;
    if !stated(&baseline.spec) {
        return Err(format!(
            "spec.{field} of {name} was written, and somebody has undone it since; if the baseline is in Git, write it there"
        )
        .into());
    }
    if status.applied_generation.is_some_and(|applied| applied >= generation) {
        print(&format!("{name} {holds}.\n"))?;
        return Ok(Verdict::Clean);
    }
    let why = stalled(&status);
    if why.is_some_and(|why| why.reason == WAITS) {
        print(&format!(
            "{name} {not_yet}; the change waits for a confirmation: {} confirm {name}\n",
            called()
        ))?;
        return Ok(Verdict::Findings);
    }
    let why = why.map_or("its status says no more", |why| &why.message);
    Err(format!(
        "spec.{field} of {name} is written, but its spec is not accepted, and what was accepted before keeps holding: {}",
        harmless(why)
    )
    .into())
}

/// The baseline and its status, once the operator looked at this generation or a later one.
async fn looked_at(
    connection: &Connection,
    name: &str,
    generation: i64,
) -> Result<(SecurityBaseline, SecurityBaselineStatus), Failure> {
    loop {
        let mut baseline = read(connection, name).await?;
        match baseline.status.take() {
            Some(status) if status.observed_generation >= generation => return Ok((baseline, status)),
            _ => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Warns of who states a field of the spec in what they apply: at their next turn, what a person writes is undone.
pub(super) fn warn_of_others(baseline: &SecurityBaseline, field: &str) {
    for who in appliers(baseline, field) {
        let who = harmless(&who);
        eprintln!(
            "{}: {who} states spec.{field}, and may undo this: write it there too (in Git, say)",
            called()
        );
    }
}

/// Who states a field of the spec in what they apply.
fn appliers(baseline: &SecurityBaseline, field: &str) -> Vec<String> {
    let metadata = &baseline.metadata;
    let applied = metadata.managed_fields.iter().flatten().filter(|entry| {
        let fields = entry
            .fields_v1
            .as_ref()
            .map(|fields| &fields.0["f:spec"][format!("f:{field}")]);
        entry.operation.as_deref() == Some("Apply") && fields.is_some_and(|field| !field.is_null())
    });
    let managers = applied.filter_map(|entry| entry.manager.clone());
    let mut all: Vec<String> = managers.filter(|manager| manager != PLUGIN_MANAGER).collect();
    let annotations = metadata.annotations.as_ref();
    let last = annotations.and_then(|all| all.get("kubectl.kubernetes.io/last-applied-configuration"));
    let last: Value = last
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    if !last["spec"][field].is_null() {
        all.push("what was applied last (by kubectl apply or Argo CD)".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_applies_a_field_is_named_and_who_only_wrote_it_once_is_not() {
        let stated = json!({"f:spec": {"f:suspend": {}}});
        let entry = |manager: &str, operation: &str, fields: &Value| {
            json!({"manager": manager, "operation": operation, "apiVersion": "securitybaseline.dev/v1alpha1",
                "fieldsType": "FieldsV1", "fieldsV1": fields})
        };
        let baseline: SecurityBaseline = serde_json::from_value(json!({
            "apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline",
            "metadata": {"name": "a",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"spec\": {\"suspend\": false}}"},
                "managedFields": [
                    entry("kustomize-controller", "Apply", &stated),
                    entry("argocd-controller", "Apply", &json!({"f:spec": {"f:mode": {}}})),
                    entry("kubectl-patch", "Update", &stated),
                    entry(PLUGIN_MANAGER, "Apply", &stated),
                ]},
            "spec": {"namespaceSelector": {}},
        }))
        .unwrap();
        let told = appliers(&baseline, "suspend");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0] == "kustomize-controller" && told[1].contains("Argo CD"),
            "{told:?}"
        );
        assert_eq!(appliers(&baseline, "releasedNamespaces"), Vec::<String>::new());
    }
}
