//! Namespaces that are in Git too, with Pod Security labels of their own: who wins.

use serde_json::{Value, json};

use crate::flux::{Flux, in_git};
use crate::labels::{ENFORCE, History};
use crate::stage::{LABEL, Set, condition, delete, get, own_as_shipped};
use crate::support::recorder::Recorder;

const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
/// How Flux applies an object.
const SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";
const ROUNDS: usize = 6;

/// A namespace and a Kustomization that manages it too, with these labels of Pod Security and these annotations.
async fn managed(flux: &Flux, set: &Set, labels: Value, annotations: Value, spec: Value) -> String {
    let namespace = format!("{}-a", set.name);
    let mut metadata = json!({"name": namespace, "labels": {LABEL: set.name}, "annotations": annotations});
    for (key, value) in labels.as_object().unwrap() {
        metadata["labels"][key] = value.clone();
    }
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    flux.publish("tenants", &set.name, &[("namespace.yaml", object.to_string())])
        .await;
    flux.kustomization("tenants", spec).await;
    flux.until_applied("tenants", &set.name).await;
    set.baseline(json!({"mode": "Enforce", "podSecurity": {"enforce": {"level": "baseline"}}}))
        .await;
    set.until_enforced(1).await;
    namespace
}

#[tokio::test]
async fn a_namespace_in_git_keeps_its_label_where_it_is_as_strict_or_where_git_says_nothing_or_yields() {
    let (plane, _stage) = own_as_shipped().await;
    let flux = Flux::start(&plane).await;
    let recorder = Recorder::start(&plane).await.unwrap();
    let yielding = crate::docs::yaml_after("<!-- flux: namespaces -->")["spec"]["ignore"].clone();
    assert!(yielding.is_array());
    let weaker = || json!({ENFORCE: "privileged"});
    for (labels, annotations, spec, level) in [
        (json!({}), json!({}), json!({}), "baseline"),
        (json!({ENFORCE: "baseline"}), json!({}), json!({}), "baseline"),
        (json!({ENFORCE: "restricted"}), json!({}), json!({}), "restricted"),
        // The weaker one in Git makes the namespace, and is never applied again.
        (weaker(), json!({}), json!({"ignore": yielding}), "baseline"),
        (weaker(), json!({SSA: "IfNotPresent"}), json!({}), "baseline"),
    ] {
        let set = Set::new(&plane, "yields").await;
        let namespace = managed(&flux, &set, labels.clone(), annotations, spec).await;
        crate::oracles::settled(&plane, &set).await;
        let since = recorder.version().await.unwrap();
        flux.rounds("tenants", ROUNDS).await;
        let written = History::of(&recorder, &namespace, ENFORCE, since).await;
        assert!(written.values().is_empty(), "{labels}: {:?}", written.values());
        let live = get(&set.admin, "Namespace", None, &namespace).await.unwrap();
        assert_eq!(live["metadata"]["labels"][ENFORCE], level, "{labels}");
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    }
}

#[tokio::test]
async fn a_weaker_label_or_another_version_in_git_is_written_once_an_interval_repaired_and_told_also_where_it_merges() {
    let (plane, _stage) = own_as_shipped().await;
    let flux = Flux::start(&plane).await;
    let recorder = Recorder::start(&plane).await.unwrap();
    // The baseline says no version, which is `latest`.
    for (label, value, right, annotations) in [
        (ENFORCE, "privileged", "baseline", json!({})),
        (ENFORCE, "privileged", "baseline", json!({SSA: "Merge"})),
        (VERSION, "v1.30", "latest", json!({})),
    ] {
        let set = Set::new(&plane, "wars").await;
        let spec = json!({"interval": "10s"});
        let namespace = managed(&flux, &set, json!({label: value}), annotations.clone(), spec).await;
        let since = recorder.version().await.unwrap();
        flux.rounds("tenants", 4).await;
        let told = set.until("Contested", "True").await;
        let message = condition(&told, "Contested")["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains(&namespace) && message.contains("kustomize-controller"),
            "{message}"
        );
        assert_eq!(condition(&told, "Ready")["status"], "True", "one fight halts nobody");
        set.labels_until(&namespace, "are repaired", |l| l[label] == right)
            .await;
        // Flux writes once an interval, and the operator answers once: no loop.
        let history = History::of(&recorder, &namespace, label, since).await;
        let weak = history.weak_times(value);
        let written = history.values();
        assert!(weak <= 6 && written.len() <= 2 * weak + 1, "{annotations}: {written:?}");
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    }
}

#[tokio::test]
async fn where_lower_labels_are_refused_git_neither_weakens_nor_loops_and_its_kustomization_says_why() {
    let (plane, _stage) = own_as_shipped().await;
    let flux = Flux::start(&plane).await;
    let recorder = Recorder::start(&plane).await.unwrap();
    for (label, value, right) in [(ENFORCE, "privileged", "baseline"), (VERSION, "v1.30", "latest")] {
        let set = Set::new(&plane, "refused").await;
        let namespace = managed(&flux, &set, json!({label: value}), json!({}), json!({})).await;
        plane.refuse_lower_labels(&namespace).await.unwrap();
        set.labels_until(&namespace, "are held", |l| l[label] == right).await;
        crate::oracles::settled(&plane, &set).await;
        let since = recorder.version().await.unwrap();
        flux.rounds("tenants", ROUNDS).await;
        let written = History::of(&recorder, &namespace, label, since).await;
        assert!(written.values().is_empty(), "{label}: {:?}", written.values());
        let failed = flux
            .until("tenants", "has failed", |k| condition(k, "Ready")["status"] == "False")
            .await;
        let message = condition(&failed, "Ready")["message"].as_str().unwrap().to_owned();
        println!("{message}");
        let told = format!("metadata.labels[\"{label}\"]: \"{value}\" is refused");
        assert!(message.contains(&namespace) && message.contains(&told), "{message}");
        // Git says nothing of it any more: all is well, and still nobody wrote.
        let mended = format!("{}-mended", set.name);
        flux.publish(
            "tenants",
            &mended,
            &[("namespace.yaml", namespace_in_git(&set, &namespace, &[]))],
        )
        .await;
        flux.until_applied("tenants", &mended).await;
        let live = get(&set.admin, "Namespace", None, &namespace).await.unwrap();
        assert_eq!(live["metadata"]["labels"][label], right);
        let history = History::of(&recorder, &namespace, label, since).await;
        assert!(history.values().iter().all(|l| *l == right), "{:?}", history.values());
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    }
}

/// A Namespace as it stands in Git, with these labels beside the one that selects it.
fn namespace_in_git(set: &Set, namespace: &str, labels: &[(&str, &str)]) -> String {
    let mut all = json!({LABEL: set.name});
    for (key, value) in labels {
        all[*key] = json!(value);
    }
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": all}}).to_string()
}

#[tokio::test]
async fn where_lower_labels_are_refused_one_commit_may_raise_a_baseline_and_its_namespace() {
    let (plane, _stage) = own_as_shipped().await;
    let flux = Flux::start(&plane).await;
    let set = Set::new(&plane, "raised").await;
    let namespace = format!("{}-a", set.name);
    let files = |level: &str, version: &str| {
        let spec = json!({"mode": "Enforce", "namespaceSelector": {"matchLabels": {LABEL: set.name}},
            "podSecurity": {"enforce": {"level": level, "version": version}}});
        let labels = [(ENFORCE, level), (VERSION, version)];
        [
            ("namespace.yaml", namespace_in_git(&set, &namespace, &labels)),
            ("baseline.yaml", in_git(&set.name, &spec)),
        ]
    };
    flux.publish("tenants", "low", &files("baseline", "v1.35")).await;
    flux.kustomization("tenants", json!({})).await;
    flux.until_applied("tenants", "low").await;
    plane.refuse_lower_labels(&namespace).await.unwrap();
    flux.publish("tenants", "high", &files("restricted", "v1.36")).await;
    flux.until_applied("tenants", "high").await;
    set.labels_until(&namespace, "are raised", |l| {
        l[ENFORCE] == "restricted" && l[VERSION] == "v1.36"
    })
    .await;
}

#[tokio::test]
async fn where_lower_labels_are_refused_one_that_was_in_git_first_is_taken_out_while_the_binding_is_away() {
    let (plane, _stage) = own_as_shipped().await;
    let flux = Flux::start(&plane).await;
    let set = Set::new(&plane, "taken").await;
    let labels = json!({ENFORCE: "baseline", VERSION: "latest"});
    let namespace = managed(&flux, &set, labels, json!({}), json!({})).await;
    plane.refuse_lower_labels(&namespace).await.unwrap();
    flux.publish(
        "tenants",
        "none",
        &[("namespace.yaml", namespace_in_git(&set, &namespace, &[]))],
    )
    .await;
    let failed = flux
        .until("tenants", "has failed", |k| condition(k, "Ready")["status"] == "False")
        .await;
    let message = condition(&failed, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("to take it away is refused"), "{message}");
    let binding = "security-baseline-pod-security-labels";
    plane
        .kubectl(&["delete", "validatingadmissionpolicybinding", binding])
        .await
        .unwrap();
    flux.until_applied("tenants", "none").await;
    set.labels_until(&namespace, "are back", |l| {
        l[ENFORCE] == "baseline" && l[VERSION] == "latest"
    })
    .await;
}
