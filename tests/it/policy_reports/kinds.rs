//! Kinds that come and go, and both at once.

use anyhow::ensure;
use kube::api::ListParams;
use serde_json::json;

use super::crds::{OPEN_REPORT, POLICY_REPORT};
use super::{NAME, is_valid, two, with};
use crate::oracles::{ends_well, holding, requests, settled};
use crate::stage::{BINARY, SOON, Set, api, delete, unbraked};
use crate::support::audit::{Mark, Request};
use crate::support::{ControlPlane, Stage, eventually};

/// Whether a request is about reports of either kind.
fn of_reports(request: &Request) -> bool {
    matches!(request.group.as_str(), "wgpolicyk8s.io" | "openreports.io")
}

/// How many reports of a kind there are; 0 where there is no such kind.
async fn count(set: &Set, kind: &str) -> usize {
    let list = api(&set.admin, kind, None).list(&ListParams::default()).await;
    list.map(|list| list.items.len()).unwrap_or_default()
}

async fn until_count(set: &Set, kind: &str, wanted: usize) {
    eventually(&format!("there are {wanted} of {kind}"), SOON, async || {
        let there = count(set, kind).await;
        ensure!(there == wanted, "there are {there}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_kind_that_is_installed_later_is_used_at_once_and_one_that_goes_is_asked_for_no_more() {
    let (plane, stage) = with(&[]).await;
    // What is told of its watch: when all was listed last, and whether it is up.
    let told = async || {
        let text = stage.operator.metrics().await.unwrap();
        let verified = text.contains("last_verification_timestamp_seconds{watch=\"policyreports\"}");
        let up = text.contains("watch_up{needed=\"false\",watch=\"policyreports\"} 1");
        [verified, up]
    };
    let (set, namespaces) = holding(&plane, "polrlater", &two("Enforce"), 3).await;
    let asked: Vec<_> = plane.audit().since(Mark::START).unwrap();
    let about: Vec<_> = asked.iter().filter(|r| of_reports(r)).collect();
    assert!(about.is_empty(), "where no kind is, nothing is asked for: {about:?}");

    POLICY_REPORT.install(&plane).await;
    for namespace in &namespaces {
        set.present("PolicyReport", namespace, NAME).await;
    }
    is_valid(&plane, &set, POLICY_REPORT, &namespaces[0]).await;
    settled(&plane, &set).await;
    assert_eq!(told().await, [true, true]);

    POLICY_REPORT.remove(&plane).await;
    settled(&plane, &set).await;
    eventually("nothing is overdue of what is gone", SOON, async || {
        ensure!(told().await == [false, false], "still there");
        Ok(())
    })
    .await
    .unwrap();
    // Something happens, and is told where it can be.
    let mark = plane.audit().mark().unwrap();
    delete(
        &set.admin,
        "ResourceQuota",
        Some(&namespaces[0]),
        "security-baseline-pods",
    )
    .await;
    set.report_until(&namespaces[0], "counts the repair", |r| {
        r["status"]["drift"]["repaired"] == 1
    })
    .await;
    settled(&plane, &set).await;
    let about: Vec<_> = plane.audit().since(mark).unwrap();
    let about: Vec<_> = about.iter().filter(|r| of_reports(r)).collect();
    assert!(about.is_empty(), "{about:?}");

    POLICY_REPORT.install(&plane).await;
    until_count(&set, "PolicyReport", 3).await;
    assert_eq!(told().await, [true, true]);
    ends_well(&plane, &set, &two("Enforce"), &namespaces).await;
}

#[tokio::test]
async fn where_both_kinds_are_there_only_open_reports_are_written_and_what_was_written_before_goes() {
    let (plane, mut stage) = with(&[POLICY_REPORT]).await;
    let (set, namespaces) = holding(&plane, "polrboth", &two("Enforce"), 3).await;
    until_count(&set, "PolicyReport", 3).await;
    OPEN_REPORT.install(&plane).await;
    until_count(&set, "Report", 3).await;
    until_count(&set, "PolicyReport", 0).await;
    let report = set.present("Report", &namespaces[0], NAME).await;
    assert_eq!(report["source"], "security-baseline-operator");
    is_valid(&plane, &set, OPEN_REPORT, &namespaces[0]).await;
    settled(&plane, &set).await;

    // Nor are the others written after a restart.
    let mark = plane.audit().mark().unwrap();
    stage.operator.kill().unwrap();
    stage.restart(&plane).await.unwrap();
    settled(&plane, &set).await;
    let writes = plane.audit().writes_since(mark).unwrap();
    assert!(writes.is_empty(), "{writes:?}");

    OPEN_REPORT.remove(&plane).await;
    until_count(&set, "PolicyReport", 3).await;
    ends_well(&plane, &set, &two("Enforce"), &namespaces).await;
}

#[tokio::test]
async fn with_policy_reports_off_nothing_is_asked_for_though_the_kind_is_there() {
    let plane = ControlPlane::start().await.unwrap();
    POLICY_REPORT.install(&plane).await;
    let off = |config: &mut serde_json::Value| {
        unbraked(config);
        config["policyReports"] = json!("Off");
    };
    let _stage = Stage::with(&plane, BINARY.as_ref(), off).await.unwrap();
    let (set, namespaces) = holding(&plane, "polroff", &two("Enforce"), 2).await;
    assert_eq!(count(&set, "PolicyReport").await, 0);
    let asked = plane.audit().since(Mark::START).unwrap();
    let about: Vec<_> = asked
        .iter()
        .filter(|r| of_reports(r) || r.resource == "customresourcedefinitions")
        .collect();
    assert!(about.is_empty(), "{about:?}");
    assert!(requests(&plane, &set, Mark::START).len() > 2, "it was not asleep");
    ends_well(&plane, &set, &two("Enforce"), &namespaces).await;
}
