//! A cluster of which an operator that starts can read a part only.

use std::path::Path;

use serde_json::json;

use super::{COUNT, QUOTA, but, confirm, confirmed, spec, waits, written};
use crate::oracles::{children, converged, safe};
use crate::stage::{BINARY, LABEL, delete};
use crate::support::proxy::{Answer, Fault, Matching};
use crate::support::{ControlPlane, Stage};

/// What a namespace is held to is known by all of these.
const LISTS: [&str; 5] = [
    "namespaces",
    "baselinereports",
    "networkpolicies",
    "resourcequotas",
    "rolebindings",
];

#[tokio::test]
async fn a_large_change_that_an_operator_finds_at_its_start_waits_also_where_it_can_read_half_of_the_cluster_only() {
    let plane = ControlPlane::start().await.unwrap();
    let (mut stage, proxy) = Stage::behind_proxy(&plane, Path::new(BINARY), |_| {}).await.unwrap();
    let begin = plane.audit().mark().unwrap();
    let (set, namespaces) = confirmed(&plane, "half").await;
    let before = children(&set.admin, &namespaces).await.unwrap();
    let view = json!([{"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "all"}]}]);
    let let_go = but(json!({"namespaceSelector": {"matchLabels": {LABEL: "nobody"}}}));
    let enforced = but(json!({"access": {"bindings": view}}));
    for (change, counted) in [(let_go, "loosens 36"), (enforced.clone(), "newly enforces 12")] {
        stage.operator.kill().unwrap();
        let mark = plane.audit().mark().unwrap();
        set.baseline(change).await;
        // In turn, so that each list fails in either way.
        let faults = [Fault::Answer(Answer::status(500)), Fault::Truncate]
            .into_iter()
            .cycle();
        let rules: Vec<_> = LISTS
            .into_iter()
            .zip(faults.skip(usize::from(counted.starts_with("newly"))))
            .map(|(resource, fault)| proxy.disturb(Matching::of("list", resource), fault))
            .collect();
        let half_read = async {
            for rule in &rules {
                rule.hit(4).await.unwrap();
            }
            let writes = plane.audit().writes_since(mark).unwrap();
            assert!(writes.is_empty(), "{counted}: {writes:?}");
            proxy.forget();
        };
        let (started, ()) = tokio::join!(stage.restart(&plane), half_read);
        started.unwrap();

        let message = waits(&set).await;
        assert!(
            message.contains(counted) && message.contains(&format!("in {COUNT} of {COUNT} namespaces")),
            "{message}"
        );
        let writes = written(&plane, mark, &namespaces);
        assert!(writes.is_empty(), "{counted}: {writes:?}");
        assert_eq!(children(&set.admin, &namespaces).await.unwrap(), before);
        // Nobody was let go: all of them are still repaired.
        for namespace in &namespaces {
            delete(&set.admin, "ResourceQuota", Some(namespace), QUOTA).await;
            set.present("ResourceQuota", namespace, QUOTA).await;
        }
        set.baseline(spec()).await;
        set.until("Ready", "True").await;
        converged(&set, &spec(), &namespaces).await;
    }
    // The way out is the same as ever.
    confirm(&plane, &set, enforced.clone()).await;
    converged(&set, &enforced, &namespaces).await;
    safe(&plane, begin);
}
