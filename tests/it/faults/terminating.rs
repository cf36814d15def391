//! Namespaces that go while something is on its way to them.

use anyhow::ensure;
use serde_json::json;

use super::acts::INGRESS;
use super::crashes::matching;
use super::play::Play;
use crate::oracles::{PATIENCE, converged, quiet, safe};
use crate::stage::{SOON, api, condition, create, delete, everything, get, merge, metric};
use crate::support::proxy::{Fault, When};
use crate::support::{eventually, watch_gone, watch_until};

const KEPT: &str = "keeps-its-namespace";

#[tokio::test]
async fn what_is_to_be_created_in_a_terminating_namespace_is_no_error_and_no_storm_of_events() {
    let play = Play::new("going", 3).await;
    let (plane, set) = (&play.plane, &play.set);
    let [new, held, stays] = &play.namespaces[..] else {
        panic!()
    };
    // Both take a while to go: something in them has a finalizer.
    for namespace in [new, held] {
        let kept = json!({"metadata": {"name": KEPT, "finalizers": ["test.example.com/stays"]}});
        create(&set.admin, "ConfigMap", Some(namespace), kept).await.unwrap();
    }
    // In one of them, the first of its objects is on its way while it begins to go.
    let creation = matching(("create", "networkpolicies", INGRESS), new);
    let rule = play.proxy.disturb(creation, Fault::Hold(When::Before));
    set.baseline(everything()).await;
    rule.hit(1).await.unwrap();
    converged_but_for(&play, new).await;
    let mark = plane.audit().mark().unwrap();
    for namespace in [new, held] {
        delete(&set.admin, "Namespace", None, namespace).await;
        watch_until(
            &api(&set.admin, "Namespace", None),
            namespace,
            "is terminating",
            SOON,
            |object| object.data["status"]["phase"] == "Terminating",
        )
        .await
        .unwrap();
    }
    rule.release();
    eventually("the API server refuses it", PATIENCE, async || {
        let requests = plane.audit().since(mark)?;
        let refused = requests
            .iter()
            .any(|r| r.namespace.as_deref() == Some(new) && r.resource == "networkpolicies" && r.code == 403);
        ensure!(refused, "not yet: {requests:?}");
        Ok(())
    })
    .await
    .unwrap();
    // What goes with the other one is not made anew.
    set.gone("NetworkPolicy", held, INGRESS).await;
    set.gone("BaselineReport", held, "baseline").await;

    let stays = std::slice::from_ref(stays);
    converged(set, &everything(), stays).await;
    quiet(plane, set, stays, super::MOMENT).await;
    let baseline = set.until("Degraded", "False").await;
    assert_eq!(baseline["status"]["blocked"]["total"], 0, "{}", baseline["status"]);
    assert_eq!(condition(&baseline, "Ready")["status"], "True");
    let requests = plane.audit().since(mark).unwrap();
    let tried: Vec<String> = requests
        .iter()
        .filter(|r| r.verb != "watch" && [Some(new.as_str()), Some(held)].contains(&r.namespace.as_deref()))
        .map(|r| format!("{} {} {:?}: {}", r.verb, r.resource, r.name, r.code))
        .collect();
    // Each of what was planned for the one, and its report, once.
    assert!(tried.len() <= 10, "{tried:#?}");
    assert!(!tried.iter().any(|t| t.contains("events")), "{tried:#?}");
    for failed in [
        "security_baseline_writes_total{kind=\"NetworkPolicy\",operation=\"create\",outcome=\"refused\"}",
        "security_baseline_status_failures_total",
    ] {
        assert_eq!(metric(&play.stage.operator, failed).await, 0, "{failed}");
    }
    let log = play.stage.operator.log().unwrap();
    assert!(!log.contains("could not be written"), "{log}");

    // And nothing keeps them.
    for namespace in [new, held] {
        let released = json!({"metadata": {"finalizers": null}});
        merge(&set.admin, "ConfigMap", Some(namespace), KEPT, released)
            .await
            .unwrap();
        watch_gone(&api(&set.admin, "Namespace", None), namespace, PATIENCE)
            .await
            .unwrap();
    }
    safe(plane, play.begin);
}

/// Waits until all namespaces but this one are as declared.
async fn converged_but_for(play: &Play, namespace: &str) {
    let all = i64::try_from(play.namespaces.len()).unwrap();
    play.set
        .until_counted("all but one", PATIENCE, |counts| counts["compliant"] == all - 1)
        .await;
    let report = get(&play.set.admin, "BaselineReport", Some(namespace), "baseline").await;
    assert_eq!(report, None);
}
