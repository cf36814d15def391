//! The main job: four controls enforced, and kept.

use serde_json::json;

use crate::stage::{Set, everything, grant, shared};

#[tokio::test]
async fn audit_finds_everything_and_writes_nothing_and_enforce_then_creates_it() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "main-job").await;
    let namespace = set.namespace(plane, "a").await;
    let mark = plane.audit().mark().unwrap();
    let mut spec = everything();
    spec["mode"] = json!("Audit");
    set.baseline(spec).await;
    let report = set
        .report_until(&namespace, "all sections drifted", |r| {
            r["status"]["controls"]
                .as_array()
                .is_some_and(|c| c.iter().all(|c| c["state"] == "Drifted" && c["mode"] == "Audit"))
        })
        .await;
    assert_eq!(report["status"]["controls"].as_array().unwrap().len(), 5);
    let written: Vec<_> = plane
        .audit()
        .writes_since(mark)
        .unwrap()
        .into_iter()
        .filter(|w| w.namespace.as_deref() == Some(&namespace) || w.name.as_deref() == Some(&namespace))
        .filter(|w| !matches!(w.resource.as_str(), "baselinereports" | "events"))
        .collect();
    assert!(written.is_empty(), "{written:?}");

    set.baseline(everything()).await;
    let status = set.until_enforced(1).await;
    assert_eq!(status["status"]["appliedGeneration"], 2);
}
