//! What waits for a person.

use serde_json::json;

use super::{EVEN, shared};
use crate::stage::{Set, delete};

#[tokio::test]
async fn a_refused_spec_is_told_with_its_reason_until_it_is_mended() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("stalled", &EVEN).await;
    let labels = [("baseline", set.name.as_str()), ("reason", "InvalidSpec")];
    let stalled = scene.alarm("Stalled", &labels, &namespace);
    stalled.is_quiet().await;
    let refused = json!({"resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": "1.5"}}]}});
    set.baseline(refused).await;
    stalled.fires().await;
    stalled.runbook().await;
    set.baseline(EVEN.clone()).await;
    stalled.resolves().await;
}

#[tokio::test]
async fn a_change_that_waits_to_be_confirmed_is_told_until_it_is() {
    let scene = shared().await;
    let set = Set::new(scene.plane, "confirm").await;
    let namespaces = set.namespaces(scene.plane, 3).await;
    let mut audited = EVEN.clone();
    audited["mode"] = json!("Audit");
    set.baseline(audited).await;
    set.until("Ready", "True").await;
    let waits = scene.alarm(
        "AwaitingConfirmation",
        &[("baseline", set.name.as_str())],
        &namespaces[0],
    );
    waits.is_quiet().await;
    set.baseline(EVEN.clone()).await;
    waits.fires().await;
    waits.runbook().await;
    // As the runbook says.
    let baseline = crate::stage::get(&set.admin, "SecurityBaseline", None, &set.name)
        .await
        .unwrap();
    let conditions = baseline["status"]["conditions"].as_array().unwrap();
    let stalled = conditions.iter().find(|c| c["type"] == "Stalled").unwrap();
    let command = stalled["message"]
        .as_str()
        .unwrap()
        .split("To go on: kubectl ")
        .nth(1)
        .unwrap();
    let args: Vec<&str> = command.split_whitespace().collect();
    scene.plane.kubectl(&args).await.unwrap();
    waits.resolves().await;
    set.until_enforced(3).await;
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
}

#[tokio::test]
async fn a_suspended_baseline_is_told_when_it_lasts_until_it_is_resumed() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("suspended", &EVEN).await;
    let suspended = scene.alarm("Suspended", &[("baseline", set.name.as_str())], &namespace);
    suspended.is_quiet().await;
    let mut spec = EVEN.clone();
    spec["suspend"] = json!(true);
    set.baseline(spec).await;
    suspended.fires().await;
    suspended.runbook().await;
    set.baseline(EVEN.clone()).await;
    suspended.resolves().await;
}
