//! Specs that the API server let through, since an admin loosened the CRD: they hurt nobody.

use std::time::Duration;

use serde_json::{Value, json};

use crate::admission::refusals::{self, Refusal};
use crate::stage::{Set, api, condition, create, delete, get, merge, own, shared};
use crate::support::{ControlPlane, eventually, watch_gone};

const QUOTA: &str = "security-baseline-pods";

fn pods(most: u32) -> Value {
    json!({"mode": "Enforce", "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": most}}]}})
}

/// Takes all checks out of the CRD: any spec is stored from then on.
async fn loosen(plane: &ControlPlane) {
    let crds = api(&plane.admin().await.unwrap(), "CustomResourceDefinition", None);
    let name = "securitybaselines.securitybaseline.dev";
    let mut crd = serde_json::to_value(crds.get(name).await.unwrap()).unwrap();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema["required"] = json!([]);
    let spec = crd["spec"].clone();
    merge(
        &plane.admin().await.unwrap(),
        "CustomResourceDefinition",
        None,
        name,
        json!({"spec": spec}),
    )
    .await
    .unwrap();
    let admin = plane.admin().await.unwrap();
    eventually("anything is taken", Duration::from_secs(30), async || {
        let object = json!({"metadata": {"name": "anything"}, "spec": {"mode": 7}});
        create(&admin, "SecurityBaseline", None, object).await?;
        Ok(())
    })
    .await
    .unwrap();
    delete(&admin, "SecurityBaseline", None, "anything").await;
}

/// Replaces the spec of a baseline, whatever it was.
async fn replace_spec(set: &Set, name: &str, spec: &Value) -> i64 {
    let baselines = api(&set.admin, "SecurityBaseline", None);
    eventually("the spec is replaced", Duration::from_secs(30), async || {
        let mut object = baselines.get(name).await?;
        object.data["spec"] = spec.clone();
        Ok(baselines.replace(name, &Default::default(), &object).await?)
    })
    .await
    .unwrap()
    .metadata
    .generation
    .unwrap()
}

/// Waits until a generation was refused, and checks what is said of it.
async fn refused(set: &Set, name: &str, generation: i64) -> Value {
    let object = set
        .baseline_until(name, "is judged", |b| b["status"]["observedGeneration"] == generation)
        .await;
    let status = &object["status"];
    for (type_, expected) in [("Stalled", "True"), ("Ready", "False"), ("Reconciling", "False")] {
        let condition = condition(&object, type_);
        assert_eq!(condition["status"], expected, "{type_}: {status}");
        assert_eq!(condition["observedGeneration"], generation);
    }
    assert_eq!(condition(&object, "Stalled")["reason"], "InvalidSpec", "{status}");
    object
}

#[tokio::test]
async fn every_mistake_that_slips_through_is_refused_by_the_operator_and_the_old_spec_holds() {
    let (plane, mut stage) = own().await;
    let (set, other) = (Set::new(&plane, "slip").await, Set::new(&plane, "other").await);
    let (namespace, others) = (set.namespace(&plane, "a").await, other.namespace(&plane, "a").await);
    set.baseline(pods(5)).await;
    other.baseline(pods(5)).await;
    set.until_enforced(1).await;
    loosen(&plane).await;

    let mut wrong = Vec::new();
    for Refusal(what, spec, _, _) in refusals::all() {
        let generation = replace_spec(&set, &set.name, &spec).await;
        let object = set
            .baseline_until(&set.name, "is judged", |b| {
                b["status"]["observedGeneration"] == generation
            })
            .await;
        let problems = object["status"]["problems"].as_array().cloned().unwrap_or_default();
        let named = problems.iter().all(|p| {
            p["path"].as_str().unwrap().starts_with("spec") && p["message"].as_str().is_some_and(|m| m.len() > 10)
        });
        // Bounds on numbers of items are the API server's alone.
        let bound = what.starts_with("too many");
        if !bound && (problems.is_empty() || !named || condition(&object, "Stalled")["reason"] != "InvalidSpec") {
            wrong.push(format!("{what}: {}", object["status"]));
        }
        if !bound && object["status"]["appliedGeneration"] == generation {
            wrong.push(format!("{what}: applied"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // What was accepted last holds on, also in another life of the operator.
    replace_spec(&set, &set.name, &json!({"namespaceSelector": {"matchLabels": {crate::stage::LABEL: set.name}}, "mode": "Enforce", "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": 6}}]}})).await;
    set.until_enforced(1).await;
    let accepted = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    let generation = replace_spec(&set, &set.name, &json!({"podSecurity": "x", "mode": 7})).await;
    let object = refused(&set, &set.name, generation).await;
    assert_eq!(
        object["status"]["appliedGeneration"],
        accepted["metadata"]["generation"]
    );
    for life in 0..2 {
        let open = json!({"spec": {"hard": {"pods": format!("{}", 90 + life)}}});
        merge(&set.admin, "ResourceQuota", Some(&namespace), QUOTA, open)
            .await
            .unwrap();
        set.object_until("ResourceQuota", &namespace, QUOTA, "is as accepted last", |q| {
            q["spec"]["hard"]["pods"] == "6"
        })
        .await;
        // Nobody else is stopped by it.
        delete(&other.admin, "ResourceQuota", Some(&others), QUOTA).await;
        other.present("ResourceQuota", &others, QUOTA).await;
        other.until_enforced(1).await;
        if life == 0 {
            stage.operator.kill().unwrap();
            stage.restart(&plane).await.unwrap();
            refused(&set, &set.name, generation).await;
        }
    }
    let late = set.namespace(&plane, "late").await;
    set.present("ResourceQuota", &late, QUOTA).await;

    let selector = json!({"matchLabels": {crate::stage::LABEL: set.name}});
    let mut mended = pods(7);
    mended["namespaceSelector"] = selector;
    replace_spec(&set, &set.name, &mended).await;
    let ready = set.until_enforced(2).await;
    assert_eq!(ready["status"]["problems"], Value::Null);
    assert_eq!(ready["status"]["appliedGeneration"], ready["metadata"]["generation"]);
    set.until("Ready", "True").await;
    for namespace in [&namespace, &late] {
        set.object_until("ResourceQuota", namespace, QUOTA, "is as mended", |q| {
            q["spec"]["hard"]["pods"] == "7"
        })
        .await;
    }
}

#[tokio::test]
async fn a_baseline_whose_spec_is_refused_can_be_deleted_and_its_policy_holds() {
    let (plane, _stage) = own().await;
    let broken = |policy: &str| json!({"mode": 7, "deletionPolicy": policy});
    let sets = [Set::new(&plane, "along").await, Set::new(&plane, "stay").await];
    let mut namespaces = Vec::new();
    for set in &sets {
        namespaces.push(set.namespace(&plane, "a").await);
        let mut spec = pods(5);
        spec["deletionPolicy"] = json!("Delete");
        set.baseline(spec).await;
        set.until_enforced(1).await;
        set.baseline_until(&set.name, "has its finalizer", |b| {
            b["metadata"]["finalizers"].is_array()
        })
        .await;
    }
    loosen(&plane).await;
    for set in &sets {
        let generation = replace_spec(set, &set.name, &broken("Delete")).await;
        refused(set, &set.name, generation).await;
    }
    let [along, stay] = &sets;
    let baselines = api(&along.admin, "SecurityBaseline", None);
    // The way out of any deletion.
    let retain = json!({"spec": {"deletionPolicy": "Retain"}});
    merge(&stay.admin, "SecurityBaseline", None, &stay.name, retain)
        .await
        .unwrap();
    for set in &sets {
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
        watch_gone(&baselines, &set.name, crate::stage::SOON).await.unwrap();
    }
    assert!(
        get(&along.admin, "ResourceQuota", Some(&namespaces[0]), QUOTA)
            .await
            .is_none()
    );
    assert!(
        get(&stay.admin, "ResourceQuota", Some(&namespaces[1]), QUOTA)
            .await
            .is_some()
    );
}

#[tokio::test]
async fn what_cannot_be_understood_says_where_and_stops_nobody_else() {
    let (plane, mut stage) = own().await;
    loosen(&plane).await;
    // A watch that is older than the CRD's change may still prune by the schema from before it.
    stage.operator.kill().unwrap();
    stage.restart(&plane).await.unwrap();
    let set = Set::new(&plane, "odd").await;
    for (name, spec, path) in [
        ("number", json!({"namespaceSelector": {}, "mode": 7}), "spec.mode"),
        (
            "text",
            json!({"namespaceSelector": {}, "podSecurity": "x"}),
            "spec.podSecurity",
        ),
        (
            "unknown",
            json!({"namespaceSelector": {}, "firewall": {}}),
            "spec.firewall",
        ),
        (
            "deep",
            json!({"namespaceSelector": {}, "resourceQuotas": {"items": [{"name": "a", "hard": {"pods": true}}]}}),
            "spec.resourceQuotas.items[0].hard.pods",
        ),
    ] {
        create(
            &set.admin,
            "SecurityBaseline",
            None,
            json!({"metadata": {"name": name}, "spec": spec}),
        )
        .await
        .unwrap();
        let object = refused(&set, name, 1).await;
        let problem = &object["status"]["problems"][0];
        assert_eq!(problem["path"], path, "{problem}");
        assert_eq!(object["status"]["appliedGeneration"], Value::Null);
    }
    create(
        &set.admin,
        "SecurityBaseline",
        None,
        json!({"metadata": {"name": "nothing"}}),
    )
    .await
    .unwrap();
    set.baseline_until("nothing", "is refused", |b| {
        condition(b, "Stalled")["reason"] == "InvalidSpec"
    })
    .await;
    stage.operator.kill().unwrap();
    stage.restart(&plane).await.unwrap();
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(pods(5)).await;
    set.present("ResourceQuota", &namespace, QUOTA).await;
    set.until_enforced(1).await;
    let metrics = stage.operator.metrics().await.unwrap();
    assert!(metrics.contains("security_baseline_panics_total 0"), "{metrics}");
}

/// Some mistakes no schema can see; these come in through the front door.
#[tokio::test]
async fn what_the_schema_cannot_see_is_refused_by_the_operator_with_the_fields_path() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "unseen").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(pods(5)).await;
    set.until_enforced(1).await;
    let limit = |limit: Value| json!({"limitRanges": {"items": [{"name": "l", "limits": [limit]}]}});
    for (spec, path, mend) in [
        (
            json!({"resourceQuotas": {"items": [{"name": "q", "hard": {"pods": "1.5"}}]}}),
            "spec.resourceQuotas.items[0].hard[pods]",
            "whole numbers",
        ),
        (
            json!({"resourceQuotas": {"items": [{"name": "q", "hard": {"services": 1}, "scopes": ["BestEffort"]}]}}),
            "spec.resourceQuotas.items[0].hard[services]",
            "a quota of its own",
        ),
        (
            limit(json!({"type": "Container", "default": {"cpu": 2}, "max": {"cpu": 1}})),
            "spec.limitRanges.items[0].limits[0].default[cpu]",
            "lower the one, or raise the other",
        ),
        (
            limit(json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "500m"}})),
            "spec.limitRanges.items[0].limits[0].maxLimitRequestRatio[cpu]",
            "1 or more",
        ),
        (
            json!({"networkIsolation": {"defaultDeny": ["Ingress"], "allow": [{"name": "a", "ingress": [{"from": [{"ipBlock": {"cidr": "192.0.2.0/24", "except": ["198.51.100.0/24"]}}]}]}]}}),
            "spec.networkIsolation.allow[0].ingress[0].from[0].ipBlock.except[0]",
            "a part of its `cidr`",
        ),
    ] {
        let generation = set.baseline(spec).await.metadata.generation.unwrap();
        let object = refused(&set, &set.name, generation).await;
        let problem = &object["status"]["problems"][0];
        assert_eq!(problem["path"], path, "{problem}");
        assert!(problem["message"].as_str().unwrap().contains(mend), "{problem}");
        assert!(condition(&object, "Ready")["message"].as_str().unwrap().contains(path));
        assert_eq!(object["status"]["appliedGeneration"], 1);
        set.present("ResourceQuota", &namespace, QUOTA).await;
    }
    set.baseline(pods(6)).await;
    set.until_enforced(1).await;
}
