//! What departs, and what undoes a baseline.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use super::{DENY, EVEN, drifts, shared};
use crate::alarm::Alarm;
use crate::stage::{Set, create, delete, get, grant, merge};
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, eventually, taking_back};

const PATIENCE: Duration = Duration::from_secs(60);

/// An admission policy of somebody's own by which the operator may not write NetworkPolicies in one namespace.
fn refusing(name: &str, namespace: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [networkpolicies]}}
  matchConditions:
  - {{name: here, expression: "request.namespace == '{namespace}'"}}
  - {{name: ours, expression: "request.userInfo.username.endsWith(':{OPERATOR_SERVICE_ACCOUNT}')"}}
  validations:
  - {{expression: "false", message: "nobody writes policies here"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}, validationActions: [Deny]}}
"#
    )
}

async fn install(plane: &ControlPlane, manifests: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.yaml"), manifests).unwrap();
    plane.install(&folder.path().join("all.yaml")).await.unwrap();
    folder
}

async fn delete_all(plane: &ControlPlane, manifests: &tempfile::TempDir) {
    let file = manifests.path().join("all.yaml");
    plane
        .kubectl(&["delete", "--filename", file.to_str().unwrap()])
        .await
        .unwrap();
}

/// Waits until the API server refuses, to the operator, what a policy is against.
async fn until_refused(plane: &ControlPlane, namespace: &str) {
    let account = format!("--as=system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_SERVICE_ACCOUNT}");
    let probe = format!(
        r#"{{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {{"name": "probe", "namespace": "{namespace}"}}, "spec": {{"podSelector": {{}}}}}}"#
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.json");
    std::fs::write(&file, probe).unwrap();
    eventually("the policy is in force", PATIENCE, async || {
        let args = [
            "create",
            "--dry-run=server",
            &account,
            "--filename",
            file.to_str().unwrap(),
        ];
        let said = plane.kubectl(&args).await;
        ensure!(
            said.is_err_and(|e| format!("{e:#}").contains("nobody writes")),
            "not yet"
        );
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_cannot_be_repaired_is_told_as_unrepaired_and_blocked_until_it_is() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("unrepaired", &EVEN).await;
    let labels = [("baseline", set.name.as_str())];
    let unrepaired = scene.alarm("DriftUnrepaired", &labels, &namespace);
    let blocked = scene.alarm("NamespaceBlocked", &labels, &namespace);
    unrepaired.is_quiet().await;
    blocked.is_quiet().await;

    let policy = install(scene.plane, &refusing(&set.name, &namespace)).await;
    until_refused(scene.plane, &namespace).await;
    delete(&set.admin, "NetworkPolicy", Some(&namespace), DENY).await;
    unrepaired.fires().await;
    unrepaired.runbook().await;
    blocked.fires().await;
    blocked.runbook().await;

    delete_all(scene.plane, &policy).await;
    unrepaired.resolves().await;
    blocked.resolves().await;
    set.present("NetworkPolicy", &namespace, DENY).await;
}

#[tokio::test]
async fn drift_that_is_found_is_told_by_its_section_for_a_while() {
    let scene = shared().await;
    let mut spec = EVEN.clone();
    spec["resourceQuotas"] = json!({"items": [{"name": "pods", "hard": {"pods": 10}}]});
    let (set, namespace) = scene.holding("found", &spec).await;
    // No other test has a quota drift.
    let found = scene.alarm("DriftDetected", &[("section", "resourceQuotas")], &namespace);
    found.is_quiet().await;
    delete(&set.admin, "ResourceQuota", Some(&namespace), "security-baseline-pods").await;
    found.fires().await;
    found.runbook().await;
    found.resolves().await;
}

#[tokio::test]
async fn whoever_keeps_undoing_repairs_is_told_until_the_namespace_is_out_of_reach() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("contested", &EVEN).await;
    let contested = scene.alarm("Contested", &[("baseline", set.name.as_str())], &namespace);
    contested.is_quiet().await;
    let open = json!({"spec": {"ingress": [{}]}});
    for _ in 0..6 {
        merge(&set.admin, "NetworkPolicy", Some(&namespace), DENY, open.clone())
            .await
            .unwrap();
        let opens = |policy: &Value| {
            let rules = policy["spec"]["ingress"].as_array();
            rules.is_some_and(|rules| rules.contains(&json!({})))
        };
        set.object_until("NetworkPolicy", &namespace, DENY, "is repaired", |policy| {
            !opens(policy)
        })
        .await;
    }
    contested.fires().await;
    contested.runbook().await;
    // A contest is told for a day (docs/adr/0013): here the namespace goes.
    delete(&set.admin, "Namespace", None, &namespace).await;
    contested.resolves().await;
}

#[tokio::test]
async fn a_policy_beside_a_default_deny_that_allows_everything_is_told_until_it_is_gone() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("weakened", &EVEN).await;
    let weakened = scene.alarm("Weakened", &[("baseline", set.name.as_str())], &namespace);
    weakened.is_quiet().await;
    // A limit range that is only audited by now departs too: that hides nothing.
    let mut spec = EVEN.clone();
    spec["limitRanges"]["mode"] = json!("Audit");
    set.baseline(spec).await;
    set.until("Ready", "True").await;
    delete(&set.admin, "LimitRange", Some(&namespace), "security-baseline-defaults").await;
    set.until("Drifted", "True").await;
    let open = json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{}]}});
    create(&set.admin, "NetworkPolicy", Some(&namespace), open)
        .await
        .unwrap();
    weakened.fires().await;
    weakened.runbook().await;
    delete(&set.admin, "NetworkPolicy", Some(&namespace), "open").await;
    weakened.resolves().await;
}

/// A baseline with a Role of one verb.
fn role(verb: &str) -> Value {
    let rules = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [verb]}]);
    json!({"mode": "Enforce", "access": {"roles": [{"name": "developer", "rules": rules}]}})
}

#[tokio::test]
async fn a_baseline_that_yields_to_an_older_one_is_told_until_it_does_not() {
    let scene = shared().await;
    grant(scene.plane).await;
    let (set, namespace) = scene.holding("conflict", &role("get")).await;
    let younger = format!("{}-younger", set.name);
    let conflict = scene.alarm("Conflict", &[("baseline", younger.as_str())], &namespace);
    conflict.is_quiet().await;
    set.older_than(0, std::slice::from_ref(&namespace)).await;
    set.baseline_named(&younger, role("update")).await.unwrap();
    conflict.fires().await;
    conflict.runbook().await;
    set.baseline_named(&younger, role("get")).await.unwrap();
    conflict.resolves().await;
    assert!(get(&set.admin, "SecurityBaseline", None, &younger).await.is_some());
}

#[tokio::test]
async fn a_namespace_that_lost_its_label_is_told_until_it_has_it_again() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("deselected", &EVEN).await;
    let deselected = scene.alarm("Deselected", &[("baseline", set.name.as_str())], &namespace);
    deselected.is_quiet().await;
    labelled(&set, &namespace, &Value::Null).await;
    deselected.fires().await;
    deselected.runbook().await;
    labelled(&set, &namespace, &json!(set.name)).await;
    deselected.resolves().await;
}

async fn labelled(set: &Set, namespace: &str, value: &Value) {
    let patch = json!({"metadata": {"labels": {crate::stage::LABEL: value}}});
    merge(&set.admin, "Namespace", None, namespace, patch).await.unwrap();
}

#[tokio::test]
async fn repairs_that_change_nothing_are_told_by_their_kind_for_a_while() {
    let scene = shared().await;
    let serves = scene
        .plane
        .serves("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy");
    if !serves.await.unwrap() {
        return;
    }
    let (set, namespace) = scene.holding("unchanged", &EVEN).await;
    let alarms: Alarm<'_> = scene.alarm("FalseAlarms", &[("kind", "NetworkPolicy")], &namespace);
    alarms.is_quiet().await;
    let policy = install(scene.plane, &taking_back(&set.name, &namespace, DENY)).await;
    // The API server takes up the policy a moment later; until then repairs are repairs. And in the same second it calls an
    // object changed whose managedFields alone did.
    let mut round = 0;
    eventually("a repair changes nothing", PATIENCE, async || {
        round += 1;
        let open =
            json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}, "spec": {"ingress": [{}]}});
        merge(&set.admin, "NetworkPolicy", Some(&namespace), DENY, open).await?;
        let name = "security_baseline_false_alarms_total{kind=\"NetworkPolicy\"}";
        ensure!(crate::stage::metric(&scene.stage.operator, name).await > 0, "not yet");
        Ok(())
    })
    .await
    .unwrap();
    alarms.fires().await;
    alarms.runbook().await;
    delete_all(scene.plane, &policy).await;
    drifts(&set, &namespace).await;
    alarms.resolves().await;
}
