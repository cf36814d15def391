//! How fast namespaces that exist already are enforced for the first time.

use std::path::Path;

use serde_json::{Value, json};

use crate::oracles::{PATIENCE, converged, quiet, requests, safe};
use crate::stage::{BINARY, Set, api, condition, delete, shared, shell, unbraked};
use crate::support::{ControlPlane, Stage, eventually};

const POLICY: &str = "security-baseline-default-deny-ingress";
const MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

fn spec(per_minute: u32) -> Value {
    json!({
        "mode": "Enforce",
        "rollout": {"maxNamespacesPerMinute": per_minute},
        "networkIsolation": {"defaultDeny": ["Ingress"]},
    })
}

/// Namespaces that are older than what comes next.
async fn older(plane: &ControlPlane, set: &Set, count: usize) -> Vec<String> {
    let namespaces = set.namespaces(plane, count).await;
    set.aged(&namespaces).await;
    namespaces
}

/// In which of these namespaces the policy is.
async fn enforced(set: &Set, namespaces: &[String]) -> Vec<String> {
    let all = api(&set.admin, "NetworkPolicy", None)
        .list(&Default::default())
        .await
        .unwrap();
    let here = all.items.into_iter().filter_map(|p| p.metadata.namespace);
    let mut here: Vec<_> = here.filter(|namespace| namespaces.contains(namespace)).collect();
    here.sort();
    here
}

#[tokio::test]
async fn a_minutes_worth_comes_at_once_the_rest_waits_and_repairs_and_new_namespaces_do_not() {
    let (plane, _) = shared().await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(plane, "pace").await;
    let namespaces = older(plane, &set, 6).await;
    set.baseline(spec(3)).await;
    set.until_counted("three of six", PATIENCE, |c| c["compliant"] == 3 && c["pending"] == 3)
        .await;
    let first = enforced(&set, &namespaces).await;
    assert_eq!(first.len(), 3, "{first:?}");
    let progress = set.until("Reconciling", "True").await;
    assert!(
        condition(&progress, "Reconciling")["message"]
            .as_str()
            .unwrap()
            .starts_with("3 of 6 namespaces"),
        "{progress}"
    );

    // Neither waits behind them.
    let before = set.present("NetworkPolicy", &first[0], POLICY).await;
    delete(&set.admin, "NetworkPolicy", Some(&first[0]), POLICY).await;
    set.object_until("NetworkPolicy", &first[0], POLICY, "is back", |p| {
        p["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;
    let born = set.namespace(plane, "born").await;
    set.present("NetworkPolicy", &born, POLICY).await;
    // The fourth has its turn after 20 s.
    assert_eq!(enforced(&set, &namespaces).await, first);

    // Somebody is in a hurry.
    set.baseline(spec(1000)).await;
    let all: Vec<String> = namespaces.into_iter().chain([born]).collect();
    converged(&set, &spec(1000), &all).await;
    quiet(plane, &set, &all, MOMENT).await;
    safe(plane, mark);
}

/// Nobody may write NetworkPolicies, as a change board has it.
const BAN: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: ban}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [networkpolicies]}
  validations:
  - {expression: "false", reason: Forbidden, message: "frozen by the change board"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: ban}
spec: {policyName: ban, validationActions: [Deny]}
"#;

#[tokio::test]
async fn a_rollout_whose_writes_are_refused_stops_by_itself_and_goes_on_by_the_command_in_its_message() {
    let plane = ControlPlane::start().await.unwrap();
    let configuration = |config: &mut Value| {
        unbraked(config);
        config["rollout"]["stopAtRefusedPercent"] = json!(20);
    };
    let _stage = Stage::with(&plane, Path::new(BINARY), configuration).await.unwrap();
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(&plane, "stops").await;
    let namespaces = older(&plane, &set, 12).await;
    let file = plane.info().dir.join("ban.yaml");
    std::fs::write(&file, BAN).unwrap();
    plane.install(&file).await.unwrap();
    eventually("the ban holds", PATIENCE, async || {
        let policy = json!({"metadata": {"name": "try"}, "spec": {"podSelector": {}}});
        let tried = crate::tamper::create(&set.admin, "NetworkPolicy", "default", &policy).await;
        if tried.is_ok() {
            delete(&set.admin, "NetworkPolicy", Some("default"), "try").await;
        }
        anyhow::ensure!(tried.is_err(), "not yet");
        Ok(())
    })
    .await
    .unwrap();
    set.baseline(spec(8)).await;
    let stopped = set
        .baseline_until(&set.name, "has stopped", |b| {
            condition(b, "Stalled")["reason"] == "RolloutStopped"
        })
        .await;
    let message = condition(&stopped, "Stalled")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("frozen by the change board"), "{message}");
    // What had no turn yet is not tried.
    let tried: std::collections::BTreeSet<_> = requests(&plane, &set, mark)
        .into_iter()
        .filter(|r| r.resource == "networkpolicies" && r.verb == "create")
        .filter_map(|r| r.namespace)
        .collect();
    assert!((5..=8).contains(&tried.len()), "{tried:?}");

    // Who was tried is tried again, and tells it; the rest waits for somebody although the way is free.
    plane.delete_manifests(&file).await.unwrap();
    let count = i64::try_from(tried.len()).unwrap();
    set.until_counted("all that were tried", PATIENCE, |c| {
        c["compliant"] == count && c["pending"] == 12 - count
    })
    .await;
    assert_eq!(enforced(&set, &namespaces).await.len(), tried.len());
    let born = set.namespace(&plane, "born").await;
    set.present("NetworkPolicy", &born, POLICY).await;

    let (_, command) = message.split_once("or: kubectl ").unwrap();
    shell(&plane, &format!("kubectl {command}")).await;
    let all: Vec<String> = namespaces.into_iter().chain([born]).collect();
    converged(&set, &spec(8), &all).await;
    set.until("Ready", "True").await;
    quiet(&plane, &set, &all, MOMENT).await;
    safe(&plane, mark);
}
