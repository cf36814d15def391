//! Namespaces that are in Git too, with Pod Security labels of their own: who wins.

use serde_json::{Value, json};

use crate::flux::Flux;
use crate::stage::{LABEL, Set, condition, delete, get, own_as_shipped};
use crate::support::recorder::Recorder;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
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

/// How many states a namespace had since a version, and the levels that were enforced in them.
async fn levels(recorder: &Recorder, namespace: &str, since: u64) -> Vec<String> {
    recorder.caught_up().await.unwrap();
    let states = recorder
        .states()
        .into_iter()
        .filter(|s| s.kind == "Namespace" && s.name == namespace && s.version > since);
    states
        .map(|s| {
            s.object.unwrap()["metadata"]["labels"][ENFORCE]
                .as_str()
                .unwrap_or("none")
                .to_owned()
        })
        .collect()
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
        assert_eq!(
            levels(&recorder, &namespace, since).await,
            Vec::<String>::new(),
            "{labels}"
        );
        let live = get(&set.admin, "Namespace", None, &namespace).await.unwrap();
        assert_eq!(live["metadata"]["labels"][ENFORCE], level, "{labels}");
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    }
}

#[tokio::test]
async fn a_weaker_label_in_git_is_written_by_flux_once_an_interval_repaired_each_time_and_told_also_where_it_merges() {
    let (plane, _stage) = own_as_shipped().await;
    let flux = Flux::start(&plane).await;
    let recorder = Recorder::start(&plane).await.unwrap();
    for annotations in [json!({}), json!({SSA: "Merge"})] {
        let set = Set::new(&plane, "wars").await;
        let spec = json!({"interval": "10s"});
        let namespace = managed(&flux, &set, json!({ENFORCE: "privileged"}), annotations.clone(), spec).await;
        let since = recorder.version().await.unwrap();
        flux.rounds("tenants", 4).await;
        let told = set.until("Contested", "True").await;
        let message = condition(&told, "Contested")["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains(&namespace) && message.contains("kustomize-controller"),
            "{message}"
        );
        assert_eq!(condition(&told, "Ready")["status"], "True", "one fight halts nobody");
        set.labels_until(&namespace, "are repaired", |l| l[ENFORCE] == "baseline")
            .await;
        let levels = levels(&recorder, &namespace, since).await;
        println!("in 4 intervals, {annotations}: {levels:?}");
        // Flux writes once an interval, and the operator answers once: no loop.
        let (weaker, repaired): (Vec<_>, Vec<_>) = levels.iter().partition(|level| *level == "privileged");
        assert!(weaker.len() <= 6 && repaired.len() <= weaker.len() + 1, "{levels:?}");
        delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    }
}
