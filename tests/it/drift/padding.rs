//! An object that is filled up to what the API server bears is repaired all the same.

use serde_json::{Value, json};

use super::{DENY, Held, Way};
use crate::stage::condition;
use crate::tamper::{Intruder, live};

/// What the API server takes of all annotations together, in bytes (source: `TotalAnnotationSizeLimitB` of Kubernetes).
const ANNOTATIONS: usize = 256 * 1024;

#[tokio::test]
async fn a_policy_that_a_tenant_opens_and_fills_to_the_brim_is_repaired_without_the_filling() {
    let held = Held::new("padding").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let tenant = Intruder {
        client: held.plane.tenant(namespace).await.unwrap().client,
        manager: "filler",
        way: Way::Update,
    };
    let declared = live(set, "NetworkPolicy", Some(namespace), DENY).await;
    let change = json!({
        "metadata": {"annotations": {
            "argocd.argoproj.io/ignore-resource-updates": null,
            "pad": "x".repeat(ANNOTATIONS - "pad".len()),
        }},
        "spec": {"ingress": [{}]},
    });
    tenant
        .change("NetworkPolicy", Some(namespace), DENY, &change)
        .await
        .unwrap();
    let report = set
        .report_until(namespace, "tells the repair", |r| r["status"]["drift"]["repaired"] == 1)
        .await;
    assert_eq!(condition(&report, "Ready")["status"], "True");
    let claims = report["status"]["drift"]["records"].as_array().unwrap().iter();
    let claims: Vec<_> = claims
        .map(|r| (r["path"].as_str().unwrap(), r["claimedBy"].as_str().unwrap()))
        .collect();
    assert!(
        claims.contains(&(
            "metadata.annotations[argocd.argoproj.io/ignore-resource-updates]",
            "unknown"
        )),
        "{claims:?}"
    );
    assert_eq!(
        report["status"]["drift"]["lastClaimedBy"], "filler",
        "somebody rather than nobody: {claims:?}"
    );
    let repaired = live(set, "NetworkPolicy", Some(namespace), DENY).await;
    assert_eq!(repaired["spec"], declared["spec"]);
    assert_eq!(repaired["metadata"]["annotations"], declared["metadata"]["annotations"]);
    assert_eq!(repaired["metadata"]["uid"], declared["metadata"]["uid"]);
}

#[tokio::test]
async fn a_policy_that_is_as_large_as_the_store_takes_is_repaired_without_the_filling() {
    let held = Held::new("brim").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let tenant = Intruder {
        client: held.plane.tenant(namespace).await.unwrap().client,
        manager: "filler",
        way: Way::Update,
    };
    let declared = live(set, "NetworkPolicy", Some(namespace), DENY).await;
    // Labels have no limit of their own. Ever smaller lots of them, until not one more fits.
    let key = |number: usize| format!("{}.example.com/{}-{number}", "p".repeat(60), "n".repeat(50));
    let mut number = 0;
    for lot in [1000, 200, 40, 8, 1] {
        loop {
            let labels: serde_json::Map<String, Value> = (number..number + lot)
                .map(|n| (key(n), json!("v".repeat(63))))
                .collect();
            let change = json!({ "metadata": { "labels": labels } });
            if let Err(error) = tenant.change("NetworkPolicy", Some(namespace), DENY, &change).await {
                assert!(error.to_string().contains("too large"), "{error}");
                break;
            }
            number += lot;
        }
    }
    assert!(number > 1000, "{number} labels");
    // What that and the open spec leave free is filled too: less than the declared spec needs is left.
    let mut opened = false;
    for free in (0..100).rev().map(|eighth| "z".repeat(8 * eighth)) {
        let change = json!({"metadata": {"annotations": {"z": free}}, "spec": {"ingress": [{}]}});
        opened |= tenant
            .change("NetworkPolicy", Some(namespace), DENY, &change)
            .await
            .is_ok();
        if opened {
            break;
        }
    }
    assert!(opened);
    set.report_until(namespace, "tells the repair", |r| r["status"]["drift"]["repaired"] == 1)
        .await;
    let repaired = live(set, "NetworkPolicy", Some(namespace), DENY).await;
    assert_eq!(repaired["spec"], declared["spec"]);
}
