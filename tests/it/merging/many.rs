//! Hundreds of baselines over the same namespaces.

use serde_json::{Value, json};

use super::{MOMENT, QUOTA};
use crate::oracles::{PATIENCE, quiet, requests, safe, settled};
use crate::stage::{Set, delete, own};
use crate::support::eventually;

const BASELINES: usize = 200;
const NAMESPACES: usize = 10;

/// Each allows one pod more than the one before.
fn spec(i: usize) -> Value {
    json!({
        "mode": "Enforce",
        "podSecurity": {"enforce": {"level": "baseline"}},
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 100 + i}}]},
    })
}

/// How many namespaces each baseline calls compliant, in all.
async fn compliant(set: &Set) -> i64 {
    let all = crate::stage::api(&set.admin, "SecurityBaseline", None)
        .list(&Default::default())
        .await
        .unwrap();
    let count = |b: &kube::api::DynamicObject| b.data["status"]["namespaces"]["compliant"].as_i64().unwrap_or_default();
    all.items.iter().map(count).sum()
}

#[tokio::test]
async fn hundreds_of_baselines_over_some_namespaces_cost_a_request_or_two_each_and_an_edit_hardly_more() {
    let (plane, _stage) = own().await;
    let begin = plane.audit().mark().unwrap();
    let set = Set::new(&plane, "many").await;
    let namespaces = set.namespaces(&plane, NAMESPACES).await;
    let name = |i: usize| format!("{}-{i:03}", set.name);
    // The strictest is there from the beginning.
    set.baseline_named(&name(0), spec(0)).await.unwrap();
    set.baseline_until(&name(0), "is taken up", |b| b["status"]["appliedGeneration"] == 1)
        .await;
    for i in 1..BASELINES {
        set.baseline_named(&name(i), spec(i)).await.unwrap();
    }
    let pairs = i64::try_from(BASELINES * NAMESPACES).unwrap();
    eventually("all hold all", PATIENCE, async || {
        let found = compliant(&set).await;
        anyhow::ensure!(found == pairs, "{found} of {pairs}");
        Ok(())
    })
    .await
    .unwrap();
    settled(&plane, &set).await;
    let all = requests(&plane, &set, begin);
    let writes = |resource: &str| all.iter().filter(|r| r.is_write() && r.resource == resource).count();
    // What is written follows from the objects, not from how many ask for them.
    let of_policies: Vec<_> = all
        .iter()
        .filter(|r| r.is_write() && r.resource == "networkpolicies")
        .map(|r| (&r.verb, &r.namespace, r.code))
        .collect();
    assert_eq!(of_policies.len(), NAMESPACES, "{of_policies:?}");
    assert_eq!(writes("namespaces"), NAMESPACES);
    assert_eq!(writes("resourcequotas"), NAMESPACES);
    assert!(
        writes("securitybaselines") <= 4 * BASELINES,
        "{} statuses",
        writes("securitybaselines")
    );

    // One more, stricter than all: each namespace changes once, and each baseline hears of it at most once.
    let mark = plane.audit().mark().unwrap();
    let strict = format!("{}-strict", set.name);
    let mut stricter = spec(0);
    stricter["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(5);
    set.baseline_named(&strict, stricter).await.unwrap();
    for namespace in &namespaces {
        set.object_until("ResourceQuota", namespace, QUOTA, "is the strictest", |q| {
            q["spec"]["hard"]["pods"] == "5"
        })
        .await;
    }
    settled(&plane, &set).await;
    let after = requests(&plane, &set, mark);
    let quotas = after.iter().filter(|r| r.is_write() && r.resource == "resourcequotas");
    // The quota controller's status may come in between.
    assert!(quotas.filter(|r| r.code < 300).count() == NAMESPACES);
    assert!(
        after.len() <= 2 * BASELINES + 10 * NAMESPACES,
        "{} requests",
        after.len()
    );

    // A repair does not take longer for being asked for by all of them.
    let at = std::time::Instant::now();
    delete(
        &set.admin,
        "NetworkPolicy",
        Some(&namespaces[3]),
        "security-baseline-default-deny-ingress",
    )
    .await;
    set.present(
        "NetworkPolicy",
        &namespaces[3],
        "security-baseline-default-deny-ingress",
    )
    .await;
    let took = at.elapsed();
    println!("{} requests in all, a repair in {took:?}", all.len());
    assert!(took.as_secs() < 5, "{took:?}");
    quiet(&plane, &set, &namespaces, MOMENT).await;
    safe(&plane, begin);
}
