//! What waits for a baseline, and what it is told.

use serde_json::{Value, json};

use crate::flux::{Flux, in_git, ready};
use crate::stage::{LABEL, Set, condition, delete, file, get, merge, own_as_shipped};
use crate::support::ControlPlane;

/// A ConfigMap, as something that is to be applied after the baselines.
const AFTER: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: after, namespace: default}}";

/// The samples as they are shipped.
fn samples() -> Vec<(String, String)> {
    let folder = std::fs::read_dir(file("config/samples")).unwrap();
    folder
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

async fn after_is_there(set: &Set) -> bool {
    get(&set.admin, "ConfigMap", Some("default"), "after").await.is_some()
}

#[tokio::test]
async fn the_samples_are_applied_and_what_depends_on_them_waits_until_the_operator_has_taken_them_up() {
    let (plane, mut stage) = own_as_shipped().await;
    stage.operator.kill().unwrap();
    let (flux, set) = (Flux::start(&plane).await, Set::new(&plane, "samples").await);
    let samples = samples();
    let files: Vec<(&str, String)> = samples
        .iter()
        .map(|(name, text)| (name.as_str(), text.clone()))
        .collect();
    flux.publish("baselines", "v1", &files).await;
    flux.publish("after", "v1", &[("after.yaml", AFTER.to_owned())]).await;
    flux.kustomization("after", json!({"dependsOn": [{"name": "baselines"}]}))
        .await;
    flux.kustomization("baselines", json!({})).await;

    // Nobody has looked at them: they are under way, which is no failure, and nothing goes on.
    flux.until("baselines", "waits for the baselines", |k| {
        condition(k, "Healthy")["reason"] == "Progressing"
    })
    .await;
    let held = flux
        .until("after", "waits for the other one", |k| {
            condition(k, "Ready")["reason"] == "DependencyNotReady"
        })
        .await;
    assert!(
        condition(&held, "Ready")["message"]
            .as_str()
            .unwrap()
            .contains("baselines"),
        "{held}"
    );
    assert!(!after_is_there(&set).await);

    stage.restart(&plane).await.unwrap();
    flux.until_applied("baselines", "v1").await;
    flux.until_applied("after", "v1").await;
    assert!(after_is_there(&set).await);
    for name in [
        "tenants",
        "network-isolation",
        "resource-quotas",
        "limit-ranges",
        "pod-security",
        "access",
    ] {
        set.until_named(name, "Ready", "True").await;
    }
}

fn pods(set: &Set, most: &str) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {LABEL: set.name}},
        "mode": "Enforce",
        "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": most}}]},
    })
}

async fn play() -> (ControlPlane, crate::support::Stage, Flux, Set) {
    let (plane, stage) = own_as_shipped().await;
    let flux = Flux::start(&plane).await;
    let set = Set::new(&plane, "waits").await;
    (plane, stage, flux, set)
}

#[tokio::test]
async fn a_baseline_that_is_refused_fails_its_kustomization_long_before_the_timeout_and_names_it() {
    let (_plane, _stage, flux, set) = play().await;
    let git = |most: &str| vec![("baseline.yaml", in_git("tenants", &pods(&set, most)))];
    flux.publish("baselines", "v1", &git("1.5")).await;
    let begun = std::time::Instant::now();
    flux.kustomization("baselines", json!({"timeout": "10m"})).await;
    let failed = flux
        .until("baselines", "has failed", |k| {
            condition(k, "Ready")["reason"] == "HealthCheckFailed"
        })
        .await;
    println!(
        "failed after {:?}: {}",
        begun.elapsed(),
        condition(&failed, "Ready")["message"]
    );
    assert!(begun.elapsed().as_secs() < 60, "after {:?}", begun.elapsed());
    let message = condition(&failed, "Ready")["message"].as_str().unwrap();
    // Flux names what failed, and not why: that is on the baseline.
    assert!(
        message.contains("SecurityBaseline/tenants status: 'Failed'"),
        "{message}"
    );
    let why = set.until_named("tenants", "Stalled", "True").await;
    let why = condition(&why, "Stalled")["message"].as_str().unwrap();
    assert!(why.contains("spec.resourceQuotas.items[0].hard[pods]"), "{why}");
    // Mended in Git, it goes on.
    flux.publish("baselines", "v2", &git("5")).await;
    flux.until_applied("baselines", "v2").await;
}

#[tokio::test]
async fn a_suspended_baseline_fails_its_kustomization_unless_a_health_check_expression_says_otherwise() {
    let (_plane, _stage, flux, set) = play().await;
    let mut spec = pods(&set, "5");
    spec["suspend"] = json!(true);
    flux.publish("baselines", "v1", &[("baseline.yaml", in_git("tenants", &spec))])
        .await;
    flux.kustomization("baselines", json!({})).await;
    let failed = flux
        .until("baselines", "has failed", |k| {
            condition(k, "Ready")["reason"] == "HealthCheckFailed"
        })
        .await;
    let message = condition(&failed, "Ready")["message"].as_str().unwrap();
    assert!(
        message.contains("SecurityBaseline/tenants status: 'Failed'"),
        "{message}"
    );
    let documented = crate::docs::yaml_after("<!-- healthCheckExprs -->");
    flux.kustomization("baselines", documented["spec"].clone()).await;
    flux.until("baselines", "is ready", ready).await;
    // It is no way around what is wrong.
    spec["resourceQuotas"]["items"][0]["hard"]["pods"] = json!("1.5");
    flux.publish("baselines", "v2", &[("baseline.yaml", in_git("tenants", &spec))])
        .await;
    flux.until("baselines", "has failed again", |k| {
        k["status"]["lastAttemptedRevision"] == "v2" && condition(k, "Ready")["reason"] == "HealthCheckFailed"
    })
    .await;
}

#[tokio::test]
async fn what_kubectl_puts_on_a_baseline_flux_takes_off_and_a_confirmation_has_done_its_work_by_then() {
    let (plane, _stage, flux, set) = play().await;
    let namespaces = set.namespaces(&plane, 12).await;
    set.aged(&namespaces).await;
    flux.publish(
        "baselines",
        "v1",
        &[("baseline.yaml", in_git(&set.name, &pods(&set, "5")))],
    )
    .await;
    flux.kustomization("baselines", json!({})).await;
    let waits = set
        .baseline_until(&set.name, "waits for a confirmation", |b| {
            condition(b, "Stalled")["reason"] == "AwaitingConfirmation"
        })
        .await;
    let message = condition(&waits, "Stalled")["message"].as_str().unwrap();
    let (_, command) = message.split_once("To go on: ").unwrap();
    crate::stage::shell(&plane, command).await;
    set.until_enforced(12).await;
    flux.until_applied("baselines", "v1").await;
    set.baseline_until(&set.name, "is without the annotation", |b| {
        b["metadata"]["annotations"]["securitybaseline.dev/confirm"].is_null()
    })
    .await;

    // So is a suspension by kubectl; one by the command line stays, where Git says nothing about it.
    let suspended = |b: &Value| b["spec"]["suspend"] == true;
    let patch = "--patch={\"spec\":{\"suspend\":true}}";
    plane
        .kubectl(&["patch", "securitybaseline", &set.name, "--type=merge", patch])
        .await
        .unwrap();
    set.baseline_until(&set.name, "is resumed by Flux", |b| !suspended(b))
        .await;
    // (It exits with 1, since a suspension of so many namespaces waits for a confirmation.)
    let suspend = format!("{} suspend {}", crate::stage::BINARY, set.name);
    let waits = format!("code=0; said=$({suspend}) || code=$?; echo $said; [[ $code = 1 && $said = *confirm* ]]");
    crate::stage::shell(&plane, &waits).await;
    flux.rounds("baselines", 1).await;
    let now = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert!(suspended(&now), "{now}");
    let resume = json!({"spec": {"suspend": false}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, resume)
        .await
        .unwrap();
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
}
