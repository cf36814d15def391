//! What waits before it is enforced: the brake, the look at what runs, the pace; and how a fight is told.
//!
//! With the configuration as it is shipped.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::oracles::{quiet, safe};
use crate::stage::{SOON, Set, api, condition, control, create, delete, get, grant, merge, own_as_shipped, writes_in};
use crate::support::eventually;

const DENY: &str = "security-baseline-default-deny-ingress";

fn ingress_denied() -> Value {
    json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}})
}

fn stalled(baseline: &Value) -> &str {
    condition(baseline, "Stalled")["message"].as_str().unwrap()
}

/// Waits until these namespaces are older than whatever is enforced from now on: the API server counts in seconds.
async fn aged(set: &Set, namespace: &str) {
    eventually("the namespace has some age", SOON, async || {
        let object = get(&set.admin, "Namespace", None, namespace).await.unwrap();
        let created: Timestamp = object["metadata"]["creationTimestamp"].as_str().unwrap().parse()?;
        let age = Timestamp::now().duration_since(created);
        anyhow::ensure!(age.as_secs() >= 2, "not yet");
        Ok(())
    })
    .await
    .unwrap();
}

/// Runs the command that a message ends with, as somebody would who read it.
async fn obey(plane: &crate::support::ControlPlane, message: &str) {
    let (_, command) = message.split_once("kubectl ").unwrap();
    let args: Vec<&str> = command.split_whitespace().collect();
    plane.kubectl(&args).await.unwrap();
}

#[tokio::test]
async fn much_that_is_newly_enforced_or_loosened_waits_for_the_confirmation_of_that_very_change() {
    let (plane, mut stage) = own_as_shipped().await;
    let set = Set::new(&plane, "brake").await;
    let namespaces = set.namespaces(&plane, 12).await;
    let mark = plane.audit().mark().unwrap();
    set.baseline(ingress_denied()).await;
    let waits = |what: &'static str| {
        let set = &set;
        async move {
            set.baseline_until(&set.name, what, |b| {
                condition(b, "Stalled")["reason"] == "AwaitingConfirmation"
                    && b["status"]["observedGeneration"] == b["metadata"]["generation"]
            })
            .await
        }
    };
    let first = waits("waits to be confirmed").await;
    assert!(
        stalled(&first).contains("newly enforces 12 controls in 12 of 12 namespaces"),
        "{first}"
    );
    assert!(first["status"].get("appliedGeneration").is_none(), "nothing holds yet");
    // It is audited meanwhile, and nothing is written.
    set.report_until(&namespaces[0], "tells what would be done", |r| {
        control(r, "networkIsolation")["findings"][0]["reason"] == "Missing"
    })
    .await;
    assert!(namespaces.iter().all(|n| writes_in(&plane, mark, n).is_empty()));
    // A restart changes nothing, nor does a confirmation of something else.
    stage.restart(&plane).await.unwrap();
    let other = json!({"metadata": {"annotations": {"securitybaseline.dev/confirm": "0123456789abcdef-99"}}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, other)
        .await
        .unwrap();
    let again = waits("waits still").await;
    assert_eq!(stalled(&again), stalled(&first));
    obey(&plane, stalled(&again)).await;
    set.until_enforced(12).await;

    // A new namespace never waits.
    let new = set.namespace(&plane, "new").await;
    set.present("NetworkPolicy", &new, DENY).await;
    set.until_enforced(13).await;

    // Back to Audit loosens: what was accepted keeps holding, and repairs go on.
    let mut audit = ingress_denied();
    audit["mode"] = json!("Audit");
    set.baseline(audit).await;
    let loosens = waits("waits to loosen").await;
    assert!(
        stalled(&loosens).contains("loosens 13 controls in 13 of 13 namespaces"),
        "{loosens}"
    );
    let before = set.present("NetworkPolicy", &namespaces[1], DENY).await;
    delete(&set.admin, "NetworkPolicy", Some(&namespaces[1]), DENY).await;
    set.object_until("NetworkPolicy", &namespaces[1], DENY, "is back", |p| {
        p["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;
    // Taking the change back needs nobody.
    set.baseline(ingress_denied()).await;
    set.until_enforced(13).await;
    quiet(&plane, &set, &namespaces, Duration::from_secs(1)).await;
    safe(&plane, mark);
}

#[tokio::test]
async fn what_would_break_running_pods_is_held_there_and_nowhere_else_until_it_is_ignored() {
    let (plane, _stage) = own_as_shipped().await;
    grant(&plane).await;
    let set = Set::new(&plane, "preflight").await;
    let (busy, idle) = (set.namespace(&plane, "busy").await, set.namespace(&plane, "idle").await);
    set.object_until("ServiceAccount", &busy, "default", "is made", |_| true)
        .await;
    let pod = json!({"metadata": {"name": "agent"}, "spec": {
        "hostNetwork": true,
        "containers": [{"name": "c", "image": "example.com/none", "resources": {"requests": {"cpu": "2"}}}],
    }});
    create(&set.admin, "Pod", Some(&busy), pod).await.unwrap();
    aged(&set, &busy).await;
    let mut spec = ingress_denied();
    spec["podSecurity"] = json!({"enforce": {"level": "baseline"}});
    spec["resourceQuotas"] = json!({"items": [
        {"name": "small", "hard": {"requests.cpu": 1}},
        {"name": "large", "hard": {"pods": 10}},
    ]});
    set.baseline(spec.clone()).await;
    let report = set
        .report_until(&busy, "tells what is held", |r| {
            ["podSecurity", "resourceQuotas"]
                .iter()
                .all(|section| control(r, section)["state"] == "Blocked")
        })
        .await;
    let held = &control(&report, "podSecurity")["blocked"][0];
    assert_eq!(held["reason"], "ViolatingPods");
    for told in ["agent", "host namespaces", "all pods were checked", "preflight"] {
        assert!(held["message"].as_str().unwrap().contains(told), "{told}: {held}");
    }
    let held = &control(&report, "resourceQuotas")["blocked"][0];
    assert_eq!(held["reason"], "QuotaBelowUsage");
    assert!(
        held["message"]
            .as_str()
            .unwrap()
            .contains("requests.cpu 2 is used, 1 would be allowed"),
        "{held}"
    );
    // The other sections, and the other namespace, go on.
    set.present("NetworkPolicy", &busy, DENY).await;
    set.present("ResourceQuota", &idle, "security-baseline-small").await;
    assert!(
        get(&set.admin, "ResourceQuota", Some(&busy), "security-baseline-small")
            .await
            .is_none()
    );

    spec["preflight"] = json!("Ignore");
    set.baseline(spec).await;
    set.until_enforced(2).await;
    assert!(
        get(&set.admin, "Pod", Some(&busy), "agent").await.is_some(),
        "what runs goes on"
    );
}

#[tokio::test]
async fn a_rollout_keeps_its_pace_and_neither_repairs_nor_new_namespaces_wait_for_it() {
    let (plane, _stage) = own_as_shipped().await;
    let set = Set::new(&plane, "pace").await;
    let namespaces = set.namespaces(&plane, 5).await;
    aged(&set, &namespaces[4]).await;
    let mut spec = ingress_denied();
    spec["rollout"] = json!({"maxNamespacesPerMinute": 2});
    set.baseline(spec).await;
    set.until_counted("two come at once", SOON, |counts| {
        counts["compliant"] == 2 && counts["pending"] == 3
    })
    .await;
    let ready = set.until("Reconciling", "True").await;
    assert_eq!(condition(&ready, "Ready")["status"], "False");
    let new = set.namespace(&plane, "new").await;
    set.present("NetworkPolicy", &new, DENY).await;
    let mut held = Vec::new();
    for namespace in &namespaces {
        held.extend(
            get(&set.admin, "NetworkPolicy", Some(namespace), DENY)
                .await
                .map(|p| (namespace, p)),
        );
    }
    assert_eq!(held.len(), 2, "the others still wait");
    let (namespace, before) = &held[0];
    delete(&set.admin, "NetworkPolicy", Some(namespace), DENY).await;
    set.object_until("NetworkPolicy", namespace, DENY, "is back", |p| {
        p["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;
    // A faster pace is taken up at once.
    let mut spec = ingress_denied();
    spec["rollout"] = json!({"maxNamespacesPerMinute": 600});
    set.baseline(spec).await;
    set.until_enforced(6).await;
}

#[tokio::test]
async fn a_client_that_undoes_every_repair_is_named_and_the_others_keep_their_speed() {
    let (plane, _stage) = own_as_shipped().await;
    let set = Set::new(&plane, "fight").await;
    let (contested, other) = (
        set.namespace(&plane, "contested").await,
        set.namespace(&plane, "other").await,
    );
    set.baseline(ingress_denied()).await;
    set.until_enforced(2).await;
    let policies = api(&set.admin, "NetworkPolicy", Some(&contested));
    let params = PatchParams {
        field_manager: Some("meddler".to_owned()),
        ..PatchParams::default()
    };
    let open = Patch::Merge(json!({"spec": {"ingress": [{}]}}));
    let fight = async {
        loop {
            policies.patch(DENY, &params, &open).await.unwrap();
            set.object_until("NetworkPolicy", &contested, DENY, "is repaired", |p| {
                p["spec"].get("ingress").is_none()
            })
            .await;
        }
    };
    let told = set.report_until(&contested, "is contested", |r| {
        condition(r, "Contested")["status"] == "True"
    });
    let report = tokio::select! {
        report = told => report,
        () = fight => unreachable!(),
    };
    let contest = &report["status"]["contested"][0];
    assert_eq!(
        (&contest["by"], &contest["reason"]),
        (&json!("meddler"), &json!("Reverted"))
    );
    let baseline = set
        .baseline_until(&set.name, "counts it", |b| b["status"]["namespaces"]["contested"] == 1)
        .await;
    assert!(
        condition(&baseline, "Contested")["message"]
            .as_str()
            .unwrap()
            .contains("meddler")
    );
    assert_eq!(condition(&baseline, "Ready")["status"], "True");
    // The weaker state is never left for long, and another namespace is not kept waiting.
    let started = std::time::Instant::now();
    delete(&set.admin, "NetworkPolicy", Some(&other), DENY).await;
    set.present("NetworkPolicy", &other, DENY).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    set.object_until("NetworkPolicy", &contested, DENY, "is whole at the end", |p| {
        p["spec"].get("ingress").is_none()
    })
    .await;
    let report = set.report_until(&other, "is not contested", |_| true).await;
    assert_eq!(condition(&report, "Contested")["status"], "False");
}
