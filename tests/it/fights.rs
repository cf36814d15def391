//! Somebody keeps undoing what is repaired.

mod hostile;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::oracles::{PATIENCE, about, converged, holding, quiet, safe, settled};
use crate::stage::{BINARY, Set, condition, delete, get, merge, unbraked};
use crate::support::{ControlPlane, Stage, eventually};
use crate::tamper::{Intruder, Way};

const QUOTA: &str = "security-baseline-compute";
const POLICY: &str = "security-baseline-default-deny-ingress";
const MOMENT: Duration = Duration::from_secs(1);

fn spec() -> Value {
    json!({
        "mode": "Enforce",
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 5}}]},
    })
}

/// A control plane, an operator with the pauses in fights that are shipped, and this many namespaces that it holds.
async fn held(prefix: &str, spec: &Value, count: usize) -> (ControlPlane, Stage, Set, Vec<String>) {
    let plane = ControlPlane::start().await.unwrap();
    let configuration = |config: &mut Value| {
        let shipped = config["contestedPauseSeconds"].clone();
        unbraked(config);
        config["contestedPauseSeconds"] = shipped;
    };
    let stage = Stage::with(&plane, Path::new(BINARY), configuration).await.unwrap();
    let (set, namespaces) = holding(&plane, prefix, spec, count).await;
    (plane, stage, set, namespaces)
}

fn contested(report: &Value) -> &Value {
    &report["status"]["contested"][0]
}

#[tokio::test]
async fn an_opponent_who_comes_every_second_is_named_within_seconds_and_others_are_repaired_as_fast_as_ever() {
    let (plane, _stage, set, namespaces) = held("fight", &spec(), 4).await;
    let mark = plane.audit().mark().unwrap();
    let (fought, begun) = (namespaces[0].clone(), Instant::now());
    let stop = Arc::new(AtomicBool::new(false));
    let opponent = {
        let (stop, fought) = (stop.clone(), fought.clone());
        let intruder = Intruder {
            client: set.admin.clone(),
            manager: "helm",
            way: Way::Update,
        };
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let loose = json!({"spec": {"hard": {"pods": "5000"}}});
                intruder
                    .change("ResourceQuota", Some(&fought), QUOTA, &loose)
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    };
    let report = set
        .report_until(&fought, "names the opponent", |r| contested(r)["reason"] == "Reverted")
        .await;
    let found = begun.elapsed();
    assert!(found < Duration::from_secs(15), "after {found:?}");
    let contest = contested(&report);
    assert_eq!(contest["object"], format!("ResourceQuota/{QUOTA}"));
    assert_eq!(
        (&contest["by"], &contest["path"]),
        (&json!("helm"), &json!("spec.hard.pods"))
    );
    let baseline = set.until("Contested", "True").await;
    let message = condition(&baseline, "Contested")["message"].as_str().unwrap();
    assert!(message.contains(&fought) && message.contains("helm"), "{message}");
    assert_eq!(
        condition(&baseline, "Ready")["status"],
        "True",
        "one tenant's fight halts nobody"
    );

    // Meanwhile the other namespaces are repaired as ever.
    let mut slowest = Duration::ZERO;
    for round in 0..3 {
        for namespace in &namespaces[1..] {
            let before = get(&set.admin, "NetworkPolicy", Some(namespace), POLICY).await.unwrap();
            let at = Instant::now();
            delete(&set.admin, "NetworkPolicy", Some(namespace), POLICY).await;
            set.object_until("NetworkPolicy", namespace, POLICY, "is back", |p| {
                p["metadata"]["uid"] != before["metadata"]["uid"]
            })
            .await;
            // From the third time on, it would be a fight of its own.
            if round < 2 {
                slowest = slowest.max(at.elapsed());
            }
        }
        if round == 1 {
            break;
        }
    }
    println!("found after {found:?}, the slowest repair of others took {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");

    // It never gives up: while it is weaker, it is tried every five seconds at the latest.
    let last = |writes: &[crate::support::audit::Request]| writes.len();
    let tries = || {
        let mut writes = plane.audit().writes_since(mark).unwrap();
        writes.retain(|w| w.namespace.as_deref() == Some(&fought) && w.resource == "resourcequotas");
        last(&writes)
    };
    let before = tries();
    eventually("it is tried again and again", Duration::from_secs(20), async || {
        anyhow::ensure!(tries() >= before + 2, "{} tries", tries());
        Ok(())
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    opponent.await.unwrap();
    set.object_until("ResourceQuota", &fought, QUOTA, "is repaired in the end", |q| {
        q["spec"]["hard"]["pods"] == "5"
    })
    .await;
    let tried = tries();
    assert!(
        tried <= 30,
        "{tried} writes against an opponent of {:?}",
        begun.elapsed()
    );
    converged(&set, &spec(), &namespaces).await;
    quiet(&plane, &set, &namespaces, MOMENT).await;
    safe(&plane, mark);
}

/// An admission policy that gives everybody more pods than were asked for, in one namespace.
fn generous(namespace: &str) -> String {
    format!(
        r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: generous}}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
    - {{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [resourcequotas]}}
  matchConditions:
  - {{name: here, expression: "request.namespace == '{namespace}'"}}
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: '[JSONPatch{{op: "replace", path: "/spec/hard/pods", value: "77"}}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: generous}}
spec: {{policyName: generous}}
"#
    )
}

#[tokio::test]
async fn an_admission_that_rewrites_what_is_written_is_contested_and_no_loop() {
    let (plane, _stage, set, namespaces) = held("rewritten", &spec(), 2).await;
    if !plane
        .serves("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy")
        .await
        .unwrap()
    {
        return;
    }
    let mark = plane.audit().mark().unwrap();
    let (here, there) = (&namespaces[0], &namespaces[1]);
    let file = plane.info().dir.join("generous.yaml");
    std::fs::write(&file, generous(here)).unwrap();
    plane.install(&file).await.unwrap();
    // The API server takes it up a moment later: until then a change is just repaired.
    eventually("the policy is in force", PATIENCE, async || {
        let touch = json!({"metadata": {"labels": {"touched": jiff::Timestamp::now().as_millisecond().to_string()}}});
        let touched = merge(&set.admin, "ResourceQuota", Some(here), QUOTA, touch).await?;
        anyhow::ensure!(touched["spec"]["hard"]["pods"] == "77", "not yet");
        Ok(())
    })
    .await
    .unwrap();
    let report = set
        .report_until(here, "says that it is rewritten", |r| {
            contested(r)["reason"] == "Rewritten"
        })
        .await;
    assert_eq!(contested(&report)["object"], format!("ResourceQuota/{QUOTA}"));
    let ready = set.until("Contested", "True").await;
    let message = condition(&ready, "Contested")["message"].as_str().unwrap();
    assert!(message.contains("MutatingAdmissionPolicy"), "{message}");

    // It costs less and less: a try after 2 s, 6 s, 18 s and so on, and each a few requests.
    let quiet_since = plane.audit().mark().unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    let all = plane.audit().since(quiet_since).unwrap();
    let cost = all.iter().filter(|r| r.verb != "watch" && about(&set, r));
    let cost: Vec<_> = cost.map(|r| format!("{} {}", r.verb, r.resource)).collect();
    assert!(cost.len() <= 16, "{cost:?}");
    // And the other namespace knows nothing of it.
    delete(&set.admin, "ResourceQuota", Some(there), QUOTA).await;
    set.object_until("ResourceQuota", there, QUOTA, "is as asked for", |q| {
        q["spec"]["hard"]["pods"] == "5"
    })
    .await;

    // Once nobody rewrites it, the next who touches it has it repaired, and the contest is over.
    plane.delete_manifests(&file).await.unwrap();
    eventually("it is repaired", PATIENCE, async || {
        let touch = json!({"metadata": {"labels": {"touched": jiff::Timestamp::now().as_millisecond().to_string()}}});
        merge(&set.admin, "ResourceQuota", Some(here), QUOTA, touch).await?;
        let live = get(&set.admin, "ResourceQuota", Some(here), QUOTA).await.unwrap();
        anyhow::ensure!(live["spec"]["hard"]["pods"] == "5", "{live}");
        Ok(())
    })
    .await
    .unwrap();
    set.report_until(here, "says that it is over", |r| {
        condition(r, "Contested")["status"] == "False"
    })
    .await;
    settled(&plane, &set).await;
    safe(&plane, mark);
}
