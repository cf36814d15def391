//! Crashes in the middle of the removal of what was created for a baseline under `deletionPolicy: Delete`.

use serde_json::{Value, json};

use super::Crashes;
use super::writes::CLEANUP;
use crate::faults::MOMENT;
use crate::oracles::{PATIENCE, children, converged, quiet, safe, settled};
use crate::stage::{Set, api, condition, delete, everything, get};
use crate::support::proxy::{Fault, Matching, When};
use crate::support::recorder::Declared;
use crate::support::watch_gone;

/// What is left in a namespace: objects under reserved names, labels of Pod Security, and what its report says.
async fn left(set: &Set, namespace: &String) -> Value {
    let objects = children(&set.admin, std::slice::from_ref(namespace)).await.unwrap();
    let names: Vec<String> = objects
        .into_keys()
        .map(|(_, kind, name)| format!("{kind}/{name}"))
        .collect();
    let live = get(&set.admin, "Namespace", None, namespace).await.unwrap();
    let mut labels = live["metadata"]["labels"].clone();
    labels
        .as_object_mut()
        .unwrap()
        .retain(|key, _| key.starts_with("pod-security.kubernetes.io/"));
    let report = get(&set.admin, "BaselineReport", Some(namespace), "baseline")
        .await
        .unwrap();
    let status = &report["status"];
    json!({
        "going": live["metadata"]["deletionTimestamp"],
        "objects": names,
        "labels": labels,
        "ready": condition(&report, "Ready")["reason"],
        "drift": status["drift"]["total"],
        "of": [status["baselines"], status["controls"], status["inventory"], status["namespaceLabels"]],
    })
}

#[tokio::test]
async fn a_cleanup_that_is_killed_before_or_after_any_write_is_gone_through_with_by_the_next_life() {
    let mut crashes = Crashes::new().await;
    let mut spec = everything();
    spec["deletionPolicy"] = json!("Delete");
    for (set, namespaces) in crashes.sets() {
        set.baseline(spec.clone()).await;
        converged(set, &spec, namespaces).await;
        let finalized = |b: &Value| b["metadata"]["finalizers"].is_array();
        set.baseline_until(&set.name, "has its finalizer", finalized).await;
        settled(&crashes.play.plane, set).await;
    }
    let whole = crashes.play.recorder.version().await.unwrap();

    // The writes in the namespaces of one baseline; and that by which each of the two others goes, once all is removed.
    let mut rules = crashes.hold(CLEANUP);
    for ((other, _), when) in crashes.others.iter().zip([When::Before, When::After]) {
        let finalizer = Matching::of("patch", "securitybaselines").named(&other.name);
        rules.push(crashes.play.proxy.disturb(finalizer, Fault::Hold(when)));
    }
    for (set, _) in crashes.sets() {
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    }
    for rule in rules {
        rule.hit(1).await.unwrap();
    }
    // The one is held by its namespaces, the other two by nothing but the writes themselves.
    let mut there = Vec::new();
    for (set, _) in crashes.sets() {
        there.push(get(&set.admin, "SecurityBaseline", None, &set.name).await.is_some());
    }
    assert_eq!(there, [true, false, true]);
    crashes.play.stage.operator.kill().unwrap();
    crashes.play.proxy.forget();
    crashes.play.stage.restart(&crashes.play.plane).await.unwrap();

    for (set, namespaces) in crashes.sets() {
        watch_gone(&api(&set.admin, "SecurityBaseline", None), &set.name, PATIENCE)
            .await
            .unwrap();
        quiet(&crashes.play.plane, set, namespaces, MOMENT).await;
        for namespace in namespaces {
            // As where nothing was held: of the last of the namespaces.
            let nothing = json!({
                "going": null, "objects": [], "labels": {}, "ready": "NotSelected", "drift": 0,
                "of": [null, null, null, null],
            });
            assert_eq!(left(set, namespace).await, nothing, "{namespace}");
        }
    }
    let play = &crashes.play;
    let least = Declared::least(&[everything()]);
    play.recorder
        .assert_never_weaker(&least, &play.namespaces, whole, &[])
        .await;
    assert_eq!(play.recorder.gaps(), Vec::<String>::new());
    safe(&play.plane, play.begin);
}
