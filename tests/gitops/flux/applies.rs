//! What Flux writes, and what it takes away, beside what the operator does.

use serde_json::{Value, json};

use crate::flux::{Flux, in_git};
use crate::stage::{LABEL, Set, everything, get, grant, merge, own_as_shipped};
use crate::support::recorder::{Declared, Recorder};

const POLICY: &str = "security-baseline-default-deny-ingress";

fn selecting(set: &Set, mut spec: Value) -> Value {
    spec["namespaceSelector"] = json!({"matchLabels": {LABEL: set.name}});
    spec
}

/// Something else in Git, since a Kustomization of nothing is refused.
const OTHER: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: default}}";

#[tokio::test]
async fn a_baseline_that_is_pruned_leaves_everything_that_it_enforced_and_no_instant_is_weaker() {
    let (plane, _stage) = own_as_shipped().await;
    grant(&plane).await;
    let (flux, set) = (Flux::start(&plane).await, Set::new(&plane, "pruned").await);
    let recorder = Recorder::start(&plane).await.unwrap();
    let namespace = set.namespace(&plane, "a").await;
    let spec = selecting(&set, everything());
    let other = ("other.yaml", OTHER.to_owned());
    flux.publish(
        "baselines",
        "v1",
        &[other.clone(), ("baseline.yaml", in_git(&set.name, &spec))],
    )
    .await;
    flux.kustomization("baselines", json!({})).await;
    set.until_enforced(1).await;
    flux.until_applied("baselines", "v1").await;

    flux.publish("baselines", "v2", &[other]).await;
    flux.until_applied("baselines", "v2").await;
    assert_eq!(get(&set.admin, "SecurityBaseline", None, &set.name).await, None);
    // Nobody holds the namespace any more, and the report says that everything stayed.
    let report = set
        .report_until(&namespace, "tells that it is nobody's", |r| {
            r["status"]["inventory"]
                .as_array()
                .is_some_and(|all| !all.is_empty() && all.iter().all(|i| i["orphaned"] == true))
        })
        .await;
    assert!(report["status"]["inventory"].as_array().unwrap().len() >= 7, "{report}");
    let until = recorder.version().await.unwrap();
    recorder
        .assert_never_weaker(
            &Declared::least(&[spec.clone()]),
            std::slice::from_ref(&namespace),
            until,
            &[],
        )
        .await;

    // Back in Git, it is held again, and what was there is adopted as it is.
    let before = get(&set.admin, "NetworkPolicy", Some(&namespace), POLICY)
        .await
        .unwrap();
    flux.publish("baselines", "v3", &[("baseline.yaml", in_git(&set.name, &spec))])
        .await;
    flux.until_applied("baselines", "v3").await;
    set.until_enforced(1).await;
    assert_eq!(
        get(&set.admin, "NetworkPolicy", Some(&namespace), POLICY)
            .await
            .unwrap(),
        before
    );
}

/// The CRDs as they are shipped, as files in Git.
fn shipped_crds() -> Vec<(&'static str, String)> {
    [
        "securitybaselines.yaml",
        "baselinereports.yaml",
        "baselineexceptions.yaml",
    ]
    .map(|file| {
        let path = crate::stage::file(&format!("crds/{file}"));
        (file, std::fs::read_to_string(path).unwrap())
    })
    .to_vec()
}

#[tokio::test]
async fn crds_that_are_pruned_or_whose_kustomization_is_deleted_stay_with_every_baseline() {
    let (plane, _stage) = own_as_shipped().await;
    grant(&plane).await;
    let (flux, set) = (Flux::start(&plane).await, Set::new(&plane, "kinds").await);
    set.namespace(&plane, "a").await;
    set.baseline(everything()).await;
    set.until_enforced(1).await;
    let baseline = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    let (other, crds) = (("other.yaml", OTHER.to_owned()), shipped_crds());
    flux.publish("operator", "v1", &[crds.clone(), vec![other.clone()]].concat())
        .await;
    flux.kustomization("operator", json!({})).await;
    flux.until_applied("operator", "v1").await;

    flux.publish("operator", "v2", std::slice::from_ref(&other)).await;
    flux.until_applied("operator", "v2").await;
    flux.publish("operator", "v3", &[crds, vec![other]].concat()).await;
    flux.until_applied("operator", "v3").await;
    flux.forget("operator").await;
    // What was in Git beside them is gone.
    assert_eq!(get(&set.admin, "ConfigMap", Some("default"), "other").await, None);
    let now = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert_eq!(now["metadata"]["uid"], baseline["metadata"]["uid"]);
    assert!(now["metadata"]["deletionTimestamp"].is_null());
}

/// The resourceVersions of what the operator created in a namespace, and the generation of the baseline.
async fn versions(set: &Set, namespace: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for kind in crate::oracles::CHILDREN {
        let all = crate::stage::api(&set.admin, kind, Some(namespace))
            .list(&Default::default())
            .await
            .unwrap();
        found.extend(
            all.into_iter()
                .map(|object| json!([object.metadata.name, object.metadata.resource_version])),
        );
    }
    let baseline = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    found.push(baseline["metadata"]["generation"].clone());
    found.push(baseline["metadata"]["finalizers"].clone());
    found
}

#[tokio::test]
async fn flux_and_the_repair_of_drift_leave_each_other_alone() {
    let (plane, stage) = own_as_shipped().await;
    grant(&plane).await;
    let (flux, set) = (Flux::start(&plane).await, Set::new(&plane, "alone").await);
    let namespace = set.namespace(&plane, "a").await;
    // With a finalizer of the operator's on it.
    let mut spec = selecting(&set, everything());
    spec["deletionPolicy"] = json!("Delete");
    flux.publish("baselines", "v1", &[("baseline.yaml", in_git(&set.name, &spec))])
        .await;
    flux.kustomization("baselines", json!({})).await;
    set.until_enforced(1).await;
    flux.until_applied("baselines", "v1").await;
    crate::oracles::settled(&plane, &set).await;

    let before = versions(&set, &namespace).await;
    let mark = plane.audit().mark().unwrap();
    flux.rounds("baselines", 5).await;
    assert_eq!(versions(&set, &namespace).await, before);
    let written = plane.audit().writes_since(mark).unwrap();
    assert!(written.is_empty(), "the operator wrote: {written:?}");

    // Drift is the operator's, and a change of the baseline itself is Flux's.
    let open = json!({"spec": {"ingress": [{}]}});
    merge(&set.admin, "NetworkPolicy", Some(&namespace), POLICY, open)
        .await
        .unwrap();
    set.object_until("NetworkPolicy", &namespace, POLICY, "is repaired", |p| {
        p["spec"]["ingress"] != json!([{}])
    })
    .await;
    let audit = json!({"spec": {"mode": "Audit"}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, audit)
        .await
        .unwrap();
    set.baseline_until(&set.name, "is as in Git again", |b| b["spec"]["mode"] == "Enforce")
        .await;
    set.until_enforced(1).await;
    drop(stage);
}
