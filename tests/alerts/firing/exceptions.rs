//! What waives something, or does not.

use serde_json::json;

use super::{EVEN, exception, shared};
use crate::stage::delete;

#[tokio::test]
async fn an_exception_that_ends_soon_is_told_by_its_name_until_it_is_gone() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("expiring", &EVEN).await;
    let waive = json!([{"control": "limitRanges"}]);
    // A day is 24 minutes here.
    let later = exception(&set, &[&namespace], &waive, 3600).await;
    let soon = exception(&set, &[&namespace], &waive, 600).await;
    let expiring = scene.alarm("ExceptionExpiringSoon", &[("exception", soon.as_str())], &namespace);
    expiring.fires().await;
    expiring.runbook().await;
    scene
        .alarm("ExceptionExpiringSoon", &[("exception", later.as_str())], &namespace)
        .is_quiet()
        .await;
    delete(&set.admin, "BaselineException", None, &soon).await;
    expiring.resolves().await;
    delete(&set.admin, "BaselineException", None, &later).await;
}

#[tokio::test]
async fn an_exception_that_waives_nothing_is_told_until_it_is_gone() {
    let scene = shared().await;
    let (set, namespace) = scene.holding("ineffective", &EVEN).await;
    let ineffective = scene.alarm("ExceptionIneffective", &[("state", "unmatched")], &namespace);
    ineffective.is_quiet().await;
    let waive = json!([{"control": "limitRanges", "objects": ["LimitRange/security-baseline-none"]}]);
    let name = exception(&set, &[&namespace], &waive, 3600).await;
    ineffective.fires().await;
    ineffective.runbook().await;
    delete(&set.admin, "BaselineException", None, &name).await;
    ineffective.resolves().await;
}
