//! Writes that the API server refuses.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::acts::Break;
use super::play::Play;
use crate::oracles::{PATIENCE, converged, quiet, safe, settled_but_for};
use crate::stage::{SOON, Set, api, everything, get, grant, metric, own};
use crate::support::eventually;
use crate::support::proxy::{Answer, Fault, Matching};
use crate::tamper::create;

const DENY: &str = "security-baseline-default-deny-ingress";

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
    // What is refused is tried again; nothing is said of it twice.
    settled_but_for(&plane, &set, |r| {
        r.namespace.as_deref() == Some(blocked) && r.resource == "networkpolicies" && r.code == 403
    })
    .await;
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
    quiet(&plane, &set, &namespaces, super::MOMENT).await;
    safe(&plane, mark);
}

/// A platform's webhook on ResourceQuotas that nobody serves.
const WEBHOOK: &str = r"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: down}
webhooks:
- name: down.example.com
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: 1
  admissionReviewVersions: [v1]
  clientConfig: {url: 'https://127.0.0.1:1/down'}
  rules:
  - {apiGroups: [''], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [resourcequotas]}
";

#[tokio::test]
async fn a_webhook_of_somebody_else_that_is_down_delays_its_kind_only_and_is_got_over() {
    let (plane, _stage) = own().await;
    let mark = plane.audit().mark().unwrap();
    grant(&plane).await;
    let set = Set::new(&plane, "webhook").await;
    let namespaces = set.namespaces(&plane, 3).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("webhook.yaml");
    std::fs::write(&file, WEBHOOK).unwrap();
    plane.install(&file).await.unwrap();
    let quota = json!({"metadata": {"generateName": "try-"}, "spec": {"hard": {"pods": "1"}}});
    eventually("the webhook is asked", PATIENCE, async || {
        let tried = create(&set.admin, "ResourceQuota", &namespaces[0], &quota).await;
        ensure!(tried.is_err(), "not refused");
        Ok(())
    })
    .await
    .unwrap();

    set.baseline(everything()).await;
    for namespace in &namespaces {
        // Whatever comes after the quota in the order of work, too.
        for (kind, name) in [
            ("NetworkPolicy", DENY),
            ("LimitRange", "security-baseline-defaults"),
            ("RoleBinding", "security-baseline-developers"),
        ] {
            set.present(kind, namespace, name).await;
        }
    }
    let report = set
        .report_until(&namespaces[0], "says what fails", |r| {
            r["status"]["controls"].as_array().is_some_and(|controls| {
                let said =
                    |c: &serde_json::Value| c["name"] == "resourceQuotas" && c["blocked"][0]["message"].is_string();
                controls.iter().any(said)
            })
        })
        .await;
    let message = report["status"]["controls"].to_string();
    assert!(message.contains("down.example.com"), "{message}");
    plane.delete_manifests(&file).await.unwrap();
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, super::MOMENT).await;
    safe(&plane, mark);
}

#[tokio::test]
async fn an_operator_that_is_told_to_end_while_its_reports_fail_ends_in_time_and_without_a_storm() {
    let mut play = Play::new("ending", 2).await;
    let reports = Matching::of("create", "baselinereports");
    let fails = play.proxy.disturb(reports.clone(), Fault::Answer(Answer::status(500)));
    play.set.baseline(everything()).await;
    fails.hit(2).await.unwrap();
    let before = play.proxy.asked(&reports).len();
    let ended = play.stage.operator.terminate(Duration::from_secs(25)).await.unwrap();
    assert!(ended.success(), "{ended:?}");
    // Once a second for each of the two, for as long as it may take to end.
    let asked = play.proxy.asked(&reports).len() - before;
    assert!((2..=40).contains(&asked), "{asked} tries");
    play.proxy.forget();
    play.stage.restart(&play.plane).await.unwrap();
    play.ends(&everything()).await;
}

#[tokio::test]
async fn reports_and_statuses_that_cannot_be_written_keep_nothing_from_being_enforced() {
    let mut play = Play::new("mute", 2).await;
    let refused = || Fault::Answer(Answer::status(500));
    for (verb, resource) in [("create", "baselinereports"), ("update", "baselinereports")] {
        play.proxy.disturb(Matching::of(verb, resource), refused());
    }
    for resource in ["securitybaselines", "baselinereports"] {
        for verb in ["update", "patch"] {
            play.proxy
                .disturb(Matching::of(verb, resource).subresource("status"), refused());
        }
    }
    play.set.baseline(everything()).await;
    for namespace in play.namespaces.clone() {
        play.set.present("NetworkPolicy", &namespace, DENY).await;
        play.tamper(Break::Gone("NetworkPolicy", DENY), &namespace).await;
        play.set.present("NetworkPolicy", &namespace, DENY).await;
        let report = get(&play.set.admin, "BaselineReport", Some(&namespace), "baseline").await;
        assert!(report.is_none(), "{report:?}");
    }
    eventually("a metric tells", SOON, async || {
        let failures = metric(&play.stage.operator, "security_baseline_status_failures_total").await;
        ensure!(failures >= 3, "{failures}");
        Ok(())
    })
    .await
    .unwrap();
    play.proxy.forget();
    play.ends(&everything()).await;
    let reports = api(&play.set.admin, "BaselineReport", None)
        .list(&Default::default())
        .await
        .unwrap();
    assert_eq!(reports.items.len(), play.namespaces.len());
    play.was_safe(&play.namespaces).await;
}
