//! Writes that the API server refuses.

use anyhow::ensure;
use serde_json::json;

use crate::oracles::{PATIENCE, converged, quiet, safe, settled};
use crate::stage::{Set, everything, grant, own};
use crate::support::eventually;
use crate::tamper::create;

/// A policy by which nobody may write NetworkPolicies in one namespace, as an admission policy of a platform does.
fn ban(namespace: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: ban}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [networkpolicies]}}
  matchConditions:
  - {{name: here, expression: "request.namespace == '{namespace}'"}}
  validations:
  - {{expression: "false", reason: Forbidden, message: "frozen by the change board"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: ban}}
spec: {{policyName: ban, validationActions: [Deny]}}
"#
    )
}

#[tokio::test]
async fn a_refusal_in_one_namespace_blocks_that_one_only_says_why_and_is_got_over() {
    let (plane, _stage) = own().await;
    let mark = plane.audit().mark().unwrap();
    grant(&plane).await;
    let set = Set::new(&plane, "refused").await;
    let namespaces = set.namespaces(&plane, 10).await;
    let blocked = namespaces[3].as_str();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ban.yaml");
    std::fs::write(&file, ban(blocked)).unwrap();
    plane.install(&file).await.unwrap();
    // The API server takes up a policy a moment later.
    let policy = json!({"metadata": {"name": "try"}, "spec": {"podSelector": {}}});
    eventually("the policy holds", PATIENCE, async || {
        let tried = create(&set.admin, "NetworkPolicy", blocked, &policy).await;
        if tried.is_ok() {
            let policies = crate::stage::api(&set.admin, "NetworkPolicy", Some(blocked));
            policies.delete("try", &Default::default()).await?;
        }
        ensure!(
            matches!(tried, Err(kube::Error::Api(status)) if status.code == 403),
            "not refused"
        );
        Ok(())
    })
    .await
    .unwrap();

    set.baseline(everything()).await;
    set.until_counted("all but one", PATIENCE, |c| c["compliant"] == 9 && c["blocked"] == 1)
        .await;
    settled_but_for(&plane, &set, blocked).await;
    let baseline = set.until("Degraded", "True").await;
    let item = &baseline["status"]["blocked"]["items"][0];
    assert_eq!(item["namespace"], blocked);
    assert_eq!(item["reason"], "Forbidden");
    let message = item["message"].as_str().unwrap();
    assert!(message.contains("frozen by the change board"), "{message}");
    assert_eq!(baseline["status"]["blocked"]["total"], 1);
    for (condition, status) in [("Ready", "True"), ("Stalled", "False"), ("Reconciling", "False")] {
        set.until(condition, status).await;
    }
    let others: Vec<String> = namespaces.iter().filter(|n| *n != blocked).cloned().collect();
    // What is not refused is there in the blocked namespace too.
    let report = set
        .report_until(blocked, "blocked in one control", |r| {
            let controls = r["status"]["controls"].as_array().unwrap();
            controls.iter().filter(|c| c["state"] == "Compliant").count() == 4
        })
        .await;
    let network = report["status"]["controls"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "networkIsolation");
    let network = network.unwrap();
    assert_eq!(network["state"], "Blocked");
    let of: Vec<_> = network["blocked"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["object"].clone())
        .collect();
    assert_eq!(
        of,
        [
            "NetworkPolicy/security-baseline-default-deny-ingress",
            "NetworkPolicy/security-baseline-default-deny-egress"
        ]
    );
    let live = crate::oracles::children(&set.admin, &others).await.unwrap();
    assert_eq!(live.len(), 9 * 7);

    plane.delete_manifests(&file).await.unwrap();
    converged(&set, &everything(), &namespaces).await;
    let baseline = set.until("Degraded", "False").await;
    assert_eq!(baseline["status"]["blocked"]["total"], 0);
    settled(&plane, &set).await;
    quiet(&plane, &set, &namespaces, super::MOMENT).await;
    safe(&plane, mark);
}

/// Waits until only what is refused is still tried: nothing is said of it twice.
async fn settled_but_for(plane: &crate::support::ControlPlane, set: &Set, blocked: &str) {
    eventually("only retries", PATIENCE, async || {
        let mark = plane.audit().mark()?;
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        let more = crate::oracles::requests(plane, set, mark);
        let retries = |r: &&crate::support::audit::Request| {
            r.namespace.as_deref() == Some(blocked) && r.resource == "networkpolicies" && r.code == 403
        };
        ensure!(more.iter().all(|r| retries(&r)), "{more:?}");
        Ok(())
    })
    .await
    .unwrap();
}
