//! What breaks around the operator, and that it ends where it would have ended without.

mod acts;
pub mod crashes;
mod kinds;
mod outages;
mod play;
mod races;
mod refusals;
mod retries;
mod rights;
mod shrinking;
mod terminating;
mod tools;
mod watches;

use std::time::Duration;

use anyhow::ensure;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;

use crate::oracles::{CHILDREN, PATIENCE, about, converged, holding, quiet, safe};
use crate::stage::{Set, api, everything, grant, own};
use crate::support::audit::Mark;
use crate::support::{Component, ControlPlane, Stage, eventually, http_get};
use crate::tamper::{Intruder, OUR_MANAGER, Way};

const MOMENT: Duration = Duration::from_secs(1);

/// Sixty namespaces, and a baseline of everything that has only begun to reach them.
async fn halfway(plane: &ControlPlane, prefix: &str) -> (Set, Vec<String>) {
    grant(plane).await;
    let set = Set::new(plane, prefix).await;
    let namespaces = set.namespaces(plane, 60).await;
    let mark = plane.audit().mark().unwrap();
    set.baseline(everything()).await;
    begun(plane, &set, mark).await;
    (set, namespaces)
}

/// Waits until a rollout has written something.
async fn begun(plane: &ControlPlane, set: &Set, mark: Mark) {
    eventually("the rollout has begun", PATIENCE, async || {
        let written = plane
            .audit()
            .writes_since(mark)?
            .iter()
            .filter(|w| about(set, w))
            .count();
        ensure!(written > 20, "{written} writes");
        Ok(())
    })
    .await
    .unwrap();
}

/// How many children there are in all.
async fn count(set: &Set) -> usize {
    let mut count = 0;
    for kind in CHILDREN {
        let all = api(&set.admin, kind, None).list(&ListParams::default()).await.unwrap();
        let ours = |name: Option<String>| name.is_some_and(|name| name.starts_with("security-baseline-"));
        count += all.items.into_iter().filter(|o| ours(o.metadata.name.clone())).count();
    }
    count
}

#[tokio::test]
async fn an_operator_that_ends_in_the_middle_of_a_rollout_goes_on_where_it_was() {
    for how in ["killed", "terminated"] {
        let (plane, mut stage) = own().await;
        let mark = plane.audit().mark().unwrap();
        let (set, namespaces) = halfway(&plane, how).await;
        match how {
            "killed" => stage.operator.kill().unwrap(),
            _ => assert!(
                stage
                    .operator
                    .terminate(Duration::from_secs(20))
                    .await
                    .unwrap()
                    .success()
            ),
        }
        let written = count(&set).await;
        assert!((1..60 * 7).contains(&written), "{written} children: not in the middle");
        stage.restart(&plane).await.unwrap();
        converged(&set, &everything(), &namespaces).await;
        quiet(&plane, &set, &namespaces, MOMENT).await;
        safe(&plane, mark);
        // Nothing that the first one wrote was taken for somebody else's work.
        let reports = api(&set.admin, "BaselineReport", None)
            .list(&ListParams::default())
            .await
            .unwrap();
        for report in reports {
            let report = serde_json::to_value(report).unwrap();
            assert_eq!(report["status"]["drift"]["total"], 0, "{report}");
        }
    }
}

/// What `/readyz` answers.
async fn until_ready_is(stage: &Stage, code: u16) {
    eventually("readyz changes", PATIENCE, async || {
        let (answer, body) = http_get(stage.operator.port(), "/readyz").await?;
        ensure!(answer == code, "{answer}: {body}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_api_server_that_goes_in_the_middle_of_a_rollout_and_comes_back_is_waited_for() {
    let (plane, mut stage) = own().await;
    let begin = plane.audit().mark().unwrap();
    let (set, mut namespaces) = halfway(&plane, "outage").await;
    let pid = stage.operator.pid();
    for how in ["stopped", "killed"] {
        if how == "killed" {
            // Another rollout: what each namespace has changes.
            let mark = plane.audit().mark().unwrap();
            set.baseline(other()).await;
            begun(&plane, &set, mark).await;
        }
        match how {
            "stopped" => plane.stop(Component::ApiServer).await.unwrap(),
            _ => plane.kill(Component::ApiServer).await.unwrap(),
        }
        until_ready_is(&stage, 503).await;
        plane.start_component(Component::ApiServer).await.unwrap();
        until_ready_is(&stage, 200).await;
        let spec = if how == "stopped" { everything() } else { other() };
        converged(&set, &spec, &namespaces).await;
        quiet(&plane, &set, &namespaces, MOMENT).await;
        assert!(stage.operator.exited().unwrap().is_none(), "it was restarted");
        assert_eq!(stage.operator.pid(), pid);
        // And its watches are whole: it sees a new namespace, and a deletion.
        namespaces.push(set.namespace(&plane, how).await);
        let policies = api(&set.admin, "NetworkPolicy", Some(&namespaces[0]));
        policies
            .delete("security-baseline-default-deny-ingress", &DeleteParams::default())
            .await
            .unwrap();
        set.report_until(&namespaces[0], "drift counted", |r| {
            r["status"]["drift"]["repaired"].as_i64() >= Some(1)
        })
        .await;
        converged(&set, &spec, &namespaces).await;
    }
    safe(&plane, begin);
}

/// Everything, otherwise.
fn other() -> serde_json::Value {
    let mut spec = everything();
    spec["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(60);
    spec["networkIsolation"]["allowSameNamespace"] = json!(false);
    spec["podSecurity"]["enforce"]["level"] = json!("baseline");
    spec
}

#[tokio::test]
async fn an_idle_operator_is_ready_again_after_an_outage_in_which_nothing_changed() {
    let (plane, stage) = own().await;
    for _ in 0..2 {
        plane.kill(Component::ApiServer).await.unwrap();
        until_ready_is(&stage, 503).await;
        plane.start_component(Component::ApiServer).await.unwrap();
        until_ready_is(&stage, 200).await;
    }
}

#[tokio::test]
async fn what_drifts_while_the_operator_is_down_is_undone_and_recorded_when_it_is_back() {
    let (plane, mut stage) = own().await;
    let mark = plane.audit().mark().unwrap();
    let (set, namespaces) = holding(&plane, "absent", &everything(), 2).await;
    stage.operator.kill().unwrap();

    let namespace = namespaces[0].as_str();
    let policies = api(&set.admin, "NetworkPolicy", Some(namespace));
    policies
        .delete("security-baseline-default-deny-egress", &DeleteParams::default())
        .await
        .unwrap();
    for (manager, kind, name, change) in [
        (
            "kubectl-edit",
            "NetworkPolicy",
            "security-baseline-default-deny-ingress",
            json!({"spec": {"ingress": [{}]}}),
        ),
        (
            "kubectl-patch",
            "ResourceQuota",
            "security-baseline-compute",
            json!({"spec": {"hard": {"pods": "5000"}}}),
        ),
        (OUR_MANAGER, "Role", "security-baseline-developer", json!({"rules": []})),
        (
            "helm",
            "Namespace",
            namespace,
            json!({"metadata": {"labels": {"pod-security.kubernetes.io/warn": null}}}),
        ),
    ] {
        let intruder = Intruder {
            client: set.admin.clone(),
            manager,
            way: Way::Update,
        };
        let place = (kind != "Namespace").then_some(namespace);
        intruder.change(kind, place, name, &change).await.unwrap();
    }
    stage.restart(&plane).await.unwrap();
    let report = set
        .report_until(namespace, "five drifts counted", |r| {
            r["status"]["drift"]["repaired"] == 5
        })
        .await;
    let records = report["status"]["drift"]["records"].as_array().unwrap();
    let of = |object: &str| {
        records
            .iter()
            .find(|r| r["object"] == object)
            .unwrap_or_else(|| panic!("{object}: {report}"))
    };
    assert_eq!(
        of("NetworkPolicy/security-baseline-default-deny-egress")["found"],
        "absent"
    );
    assert_eq!(
        of("NetworkPolicy/security-baseline-default-deny-ingress")["claimedBy"],
        "kubectl-edit"
    );
    assert_eq!(of("ResourceQuota/security-baseline-compute")["found"], "\"5000\"");
    assert_eq!(of("Role/security-baseline-developer")["control"], "access");
    let label = of(&format!("Namespace/{namespace}"));
    assert_eq!(label["path"], "metadata.labels[pod-security.kubernetes.io/warn]");
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, MOMENT).await;
    safe(&plane, mark);
}
