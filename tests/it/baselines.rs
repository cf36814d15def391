//! Baselines beside each other, in their modes, suspended, deleted, and what they never reach.

use serde_json::{Value, json};

use crate::oracles::{ends_quietly, ends_well};
use crate::stage::{self, LABEL, Set, condition, control, create, delete, get, merge, own, shared, writes_in};
use crate::support::unique;

/// A quota of so many pods, enforced.
fn pods(most: u32) -> Value {
    json!({"mode": "Enforce", "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": most}}]}})
}

const QUOTA: &str = "security-baseline-pods";

fn hard(quota: &Value) -> &Value {
    &quota["spec"]["hard"]["pods"]
}

fn states(report: &Value) -> Vec<(&str, &str)> {
    let all = report["status"]["baselines"].as_array().into_iter().flatten();
    all.map(|b| (b["name"].as_str().unwrap(), b["state"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn two_baselines_merge_to_the_stricter_and_what_is_left_holds_when_one_is_deleted() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "two").await;
    let (older, younger) = (set.name.clone(), format!("{}-younger", set.name));
    let namespace = set.namespace(plane, "a").await;
    let mut first = pods(7);
    first["podSecurity"] = json!({"enforce": {"level": "restricted"}});
    set.baseline(first).await;
    set.until_enforced(1).await;
    set.baseline_named(&younger, pods(5)).await.unwrap();

    set.object_until("ResourceQuota", &namespace, QUOTA, "is the smaller", |q| hard(q) == "5")
        .await;
    let report = set
        .report_until(&namespace, "names both", |r| states(r).len() == 2)
        .await;
    assert_eq!(
        states(&report),
        [(older.as_str(), "Enforced"), (younger.as_str(), "Enforced")]
    );
    let value = &control(&report, "resourceQuotas")["effective"][0];
    assert_eq!((&value["value"], &value["baseline"]), (&json!("5"), &json!(younger)));
    assert_eq!(value["askedLess"], json!([{"baseline": older, "value": "7"}]));
    for name in [&older, &younger] {
        let ready = set.until_named(name, "Ready", "True").await;
        assert_eq!(ready["status"]["conflicts"], json!({"total": 0}));
    }

    delete(&set.admin, "SecurityBaseline", None, &older).await;
    let report = set
        .report_until(&namespace, "names the younger alone", |r| {
            states(r) == [(younger.as_str(), "Enforced")] && condition(r, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(hard(&set.present("ResourceQuota", &namespace, QUOTA).await), "5");
    // What only the deleted one asked for stays: deleting a baseline retains.
    let labels = get(&set.admin, "Namespace", None, &namespace).await.unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted", "{report}");
    ends_quietly(plane, &set, &[namespace]).await;
}

#[tokio::test]
async fn a_baseline_that_is_edited_in_quick_succession_drifts_nowhere() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "quick").await;
    let mut namespaces = Vec::new();
    for i in 0..5 {
        namespaces.push(set.namespace(plane, &format!("n{i}")).await);
    }
    let mut last = Value::Null;
    for i in 0..30 {
        let mut spec = pods(5 + i);
        let level = ["baseline", "restricted"][i as usize % 2];
        spec["podSecurity"] = json!({"enforce": {"level": level}});
        if i % 3 == 0 {
            spec.as_object_mut().unwrap().remove("resourceQuotas");
        }
        set.baseline(spec.clone()).await;
        last = spec;
    }
    set.until_enforced(5).await;
    for namespace in &namespaces {
        let report = set
            .report_until(namespace, "is compliant", |r| condition(r, "Ready")["status"] == "True")
            .await;
        assert_eq!(
            report["status"]["drift"],
            json!({"total": 0, "repaired": 0}),
            "{namespace}"
        );
    }
    ends_well(plane, &set, &last, &namespaces).await;
}

#[tokio::test]
async fn a_suspended_baseline_writes_nothing_keeps_what_is_there_and_repairs_when_it_is_resumed() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "suspend").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(pods(5)).await;
    set.until_enforced(1).await;

    let mut spec = pods(5);
    spec["suspend"] = json!(true);
    set.baseline(spec.clone()).await;
    let stalled = set.until("Stalled", "True").await;
    assert_eq!(condition(&stalled, "Ready")["reason"], "Suspended");
    let mark = plane.audit().mark().unwrap();
    merge(
        &set.admin,
        "ResourceQuota",
        Some(&namespace),
        QUOTA,
        json!({"spec": {"hard": {"pods": "99"}}}),
    )
    .await
    .unwrap();
    let late = set.namespace(plane, "late").await;
    let report = set
        .report_until(&namespace, "tells the drift", |r| {
            control(r, "resourceQuotas")["state"] == "Drifted"
        })
        .await;
    let finding = &control(&report, "resourceQuotas")["findings"][0];
    assert_eq!(finding["object"], format!("ResourceQuota/{QUOTA}"));
    assert!(
        finding["message"].as_str().unwrap().contains("spec.hard.pods"),
        "{finding}"
    );
    set.fence(&late, spec).await;
    let drifted = set.until("Drifted", "True").await;
    assert_eq!(drifted["status"]["drifted"]["total"], 2, "{}", drifted["status"]);
    assert_eq!(hard(&set.present("ResourceQuota", &namespace, QUOTA).await), "99");
    for namespace in [&namespace, &late] {
        let written = writes_in(plane, mark, namespace);
        assert!(written.is_empty(), "{written:?}");
    }

    set.baseline(pods(5)).await;
    set.object_until("ResourceQuota", &namespace, QUOTA, "is repaired", |q| hard(q) == "5")
        .await;
    set.until_enforced(2).await;
    ends_well(plane, &set, &pods(5), &[namespace, late]).await;
}

#[tokio::test]
async fn each_section_may_have_a_mode_of_its_own() {
    let (plane, _) = shared().await;
    for (baseline, quotas) in [("Enforce", "Audit"), ("Audit", "Enforce")] {
        let set = Set::new(plane, "modes").await;
        let namespace = set.namespace(plane, "a").await;
        let mut spec = pods(5);
        spec["mode"] = json!(baseline);
        spec["resourceQuotas"]["mode"] = json!(quotas);
        spec["podSecurity"] = json!({"warn": {"level": "baseline"}});
        set.baseline(spec.clone()).await;
        set.until("Ready", "True").await;
        let report = set.fence(&namespace, spec).await;
        let (security, quota) = (control(&report, "podSecurity"), control(&report, "resourceQuotas"));
        assert_eq!((&security["mode"], &quota["mode"]), (&json!(baseline), &json!(quotas)));
        let state = |mode| if mode == "Enforce" { "Compliant" } else { "Drifted" };
        assert_eq!(security["state"], state(baseline), "{report}");
        assert_eq!(quota["state"], state(quotas), "{report}");
        let created = get(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
        assert_eq!(created.is_some(), quotas == "Enforce");
        let labels = get(&set.admin, "Namespace", None, &namespace).await.unwrap()["metadata"]["labels"].clone();
        let warned = labels["pod-security.kubernetes.io/warn"] == "baseline";
        assert_eq!(warned, baseline == "Enforce", "{labels}");
        ends_quietly(plane, &set, &[namespace]).await;
    }
}

#[tokio::test]
async fn back_in_audit_everything_stays_and_drift_is_only_told() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "back").await;
    let namespace = set.namespace(plane, "a").await;
    let mut spec = pods(5);
    spec["podSecurity"] = json!({"enforce": {"level": "baseline"}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let mark = plane.audit().mark().unwrap();

    spec["mode"] = json!("Audit");
    set.baseline(spec.clone()).await;
    let audited = set.until("Ready", "True").await;
    assert_eq!(condition(&audited, "Ready")["reason"], "Audited");
    merge(
        &set.admin,
        "ResourceQuota",
        Some(&namespace),
        QUOTA,
        json!({"spec": {"hard": {"pods": "99"}}}),
    )
    .await
    .unwrap();
    let weaker = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}});
    merge(&set.admin, "Namespace", None, &namespace, weaker).await.unwrap();
    let report = set
        .report_until(&namespace, "tells both", |r| {
            ["podSecurity", "resourceQuotas"]
                .iter()
                .all(|section| control(r, section)["state"] == "Drifted")
        })
        .await;
    let finding = &control(&report, "podSecurity")["findings"][0];
    assert_eq!(finding["reason"], "Changed");
    set.fence(&namespace, spec).await;
    assert_eq!(hard(&set.present("ResourceQuota", &namespace, QUOTA).await), "99");
    let written = writes_in(plane, mark, &namespace);
    assert!(written.is_empty(), "{written:?}");
    ends_quietly(plane, &set, &[namespace]).await;
}

#[tokio::test]
async fn the_emergency_stop_is_taken_up_while_running_and_taken_back() {
    let (plane, stage) = own().await;
    let set = Set::new(&plane, "stop").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(pods(5)).await;
    set.until_enforced(1).await;

    let shipped = std::fs::read_to_string(stage.config_file()).unwrap();
    assert!(shipped.contains("stop: false"));
    std::fs::write(stage.config_file(), shipped.replace("stop: false", "stop: true")).unwrap();
    let stalled = set.until("Stalled", "True").await;
    assert_eq!(condition(&stalled, "Ready")["reason"], "Stopped");
    let mark = plane.audit().mark().unwrap();
    delete(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
    set.report_until(&namespace, "tells the deletion", |r| {
        control(r, "resourceQuotas")["findings"][0]["reason"] == "Deleted"
    })
    .await;
    set.fence(&namespace, pods(5)).await;
    let written = writes_in(&plane, mark, &namespace);
    assert!(written.is_empty(), "{written:?}");
    assert!(
        stage
            .operator
            .metrics()
            .await
            .unwrap()
            .contains("security_baseline_stopped 1")
    );

    std::fs::write(stage.config_file(), &shipped).unwrap();
    set.present("ResourceQuota", &namespace, QUOTA).await;
    set.until_enforced(1).await;
    set.until("Stalled", "False").await;

    // Beside a key that is wrong, too.
    assert!(shipped.contains("workers: 64"));
    let mistaken = shipped.replace("workers: 64", "wrkers: 3");
    std::fs::write(stage.config_file(), mistaken.replace("stop: false", "stop: true")).unwrap();
    let stalled = set.until("Stalled", "True").await;
    assert_eq!(condition(&stalled, "Ready")["reason"], "Stopped");
    assert!(stage.operator.log().unwrap().contains("wrkers"), "the mistake is told");
    std::fs::write(stage.config_file(), shipped).unwrap();
    set.until("Stalled", "False").await;
    set.until_enforced(1).await;
    assert!(
        stage
            .operator
            .metrics()
            .await
            .unwrap()
            .contains("security_baseline_stopped 0")
    );
    ends_well(&plane, &set, &pods(5), &[namespace]).await;
}

#[tokio::test]
async fn a_deleted_baseline_leaves_everything_and_a_new_one_takes_it_up_again() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "retain").await;
    let namespace = set.namespace(plane, "a").await;
    let mut spec = pods(5);
    spec["podSecurity"] = json!({"enforce": {"level": "baseline"}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    let before = set.present("ResourceQuota", &namespace, QUOTA).await;
    let mark = plane.audit().mark().unwrap();

    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    set.report_until(&namespace, "says that nothing selects it", |r| {
        condition(r, "Ready")["reason"] == "NotSelected" && states(r).is_empty()
    })
    .await;
    let written = writes_in(plane, mark, &namespace);
    assert!(written.is_empty(), "{written:?}");
    let labels = get(&set.admin, "Namespace", None, &namespace).await.unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
    let kept = set.present("ResourceQuota", &namespace, QUOTA).await;
    assert_eq!(kept["metadata"]["uid"], before["metadata"]["uid"]);

    set.baseline(spec).await;
    set.until_enforced(1).await;
    let written = writes_in(plane, mark, &namespace);
    assert!(
        written.is_empty(),
        "what is as asked for is taken up without a write: {written:?}"
    );
    // It is the new one's now: what leaves its spec goes.
    set.baseline(json!({"mode": "Enforce"})).await;
    set.gone("ResourceQuota", &namespace, QUOTA).await;
    set.labels_until(&namespace, "without our labels", |l| {
        l["pod-security.kubernetes.io/enforce"].is_null()
    })
    .await;
    ends_quietly(plane, &set, &[namespace]).await;
}

#[tokio::test]
async fn an_excluded_namespace_is_never_touched_whatever_its_labels_say() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "excluded").await;
    let namespace = set.namespace(plane, "a").await;
    let sandbox = unique("sandbox");
    let excluded = [
        "kube-system",
        "security-baseline-system",
        "kube-public",
        "openshift-test",
        "argocd",
        sandbox.as_str(),
    ];
    let mark = plane.audit().mark().unwrap();
    for name in excluded {
        plane.namespace(name, &[]).await.unwrap();
        let label = json!({"metadata": {"labels": {LABEL: set.name}}});
        merge(&set.admin, "Namespace", None, name, label).await.unwrap();
    }
    // Something under a name that is asked for does not draw the operator in either.
    let taken = json!({"metadata": {"name": QUOTA}, "spec": {"hard": {"pods": "999"}}});
    create(&set.admin, "ResourceQuota", Some(&sandbox), taken)
        .await
        .unwrap();
    let mut spec = pods(5);
    spec["podSecurity"] = json!({"enforce": {"level": "restricted"}});
    spec["excludedNamespaces"] = json!(["sandbox-*"]);
    set.baseline(spec.clone()).await;
    let status = set.until_enforced(1).await;
    assert_eq!(status["status"]["namespaces"]["selected"], 1);
    spec["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(6);
    set.baseline(spec.clone()).await;
    set.object_until("ResourceQuota", &namespace, QUOTA, "follows", |q| hard(q) == "6")
        .await;
    set.until_enforced(1).await;
    for name in excluded {
        let written = plane.audit().writes_since(mark).unwrap();
        let written: Vec<_> = written
            .into_iter()
            .filter(|w| w.namespace.as_deref() == Some(name) || w.name.as_deref() == Some(name))
            .collect();
        assert!(written.is_empty(), "{name}: {written:?}");
        assert!(
            get(&set.admin, "BaselineReport", Some(name), "baseline")
                .await
                .is_none()
        );
        let label = json!({"metadata": {"labels": {LABEL: null}}});
        merge(&set.admin, "Namespace", None, name, label).await.unwrap();
    }
    let untouched = stage::get(&set.admin, "ResourceQuota", Some(&sandbox), QUOTA)
        .await
        .unwrap();
    assert_eq!(hard(&untouched), "999");
    ends_well(plane, &set, &spec, &[namespace]).await;
}
