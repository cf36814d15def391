//! A cluster that nobody changes costs nothing.

use std::time::Duration;

use serde_json::json;

use crate::oracles::{PATIENCE, converged, quiet, requests, safe, settled, versions};
use crate::stage::{Set, everything, grant, own};

#[tokio::test]
async fn twenty_namespaces_at_rest_cost_no_request_in_a_minute_and_no_write_after_a_restart() {
    let (plane, mut stage) = own().await;
    let begin = plane.audit().mark().unwrap();
    grant(&plane).await;
    let set = Set::new(&plane, "quiet").await;
    let namespaces = set.namespaces(&plane, 20).await;
    set.baseline(everything()).await;
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, Duration::from_secs(1)).await;

    // The window that is measured. This control plane has no other user: every request counts.
    let mark = plane.audit().mark().unwrap();
    quiet(&plane, &set, &namespaces, Duration::from_secs(60)).await;
    let others: Vec<_> = plane
        .audit()
        .since(mark)
        .unwrap()
        .into_iter()
        .filter(|r| r.verb != "watch")
        .collect();
    assert!(others.is_empty(), "{others:?}");

    for how in ["terminated", "killed"] {
        let (before, mark) = (versions(&set, &namespaces).await, plane.audit().mark().unwrap());
        match how {
            "terminated" => assert!(stage.operator.terminate(PATIENCE).await.unwrap().success()),
            _ => stage.operator.kill().unwrap(),
        }
        stage.restart(&plane).await.unwrap();
        settled(&plane, &set).await;
        assert_eq!(versions(&set, &namespaces).await, before, "after it was {how}");
        let writes = plane.audit().writes_since(mark).unwrap();
        assert!(writes.is_empty(), "after it was {how}: {writes:?}");
        assert!(requests(&plane, &set, mark).iter().all(|r| r.verb == "list"));
    }

    // It was at rest, and not asleep.
    let namespace = &namespaces[7];
    let policies = crate::stage::api(&set.admin, "NetworkPolicy", Some(namespace));
    policies
        .delete("security-baseline-default-deny-egress", &Default::default())
        .await
        .unwrap();
    set.report_until(namespace, "drift counted", |r| {
        r["status"]["drift"]["repaired"] == json!(1)
    })
    .await;
    converged(&set, &everything(), &namespaces).await;
    safe(&plane, begin);
}
