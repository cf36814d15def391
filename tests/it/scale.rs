//! Many namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::oracles::{converged, quiet, requests, safe, settled};
use crate::stage::{Set, api, everything, get, grant, merge, own};

const NAMESPACES: usize = 200;

#[tokio::test]
async fn two_hundred_namespaces_converge_with_hardly_more_requests_than_objects() {
    let (plane, stage) = own().await;
    grant(&plane).await;
    let set = Set::new(&plane, "scale").await;
    let namespaces = set.namespaces(&plane, NAMESPACES).await;
    let (mark, begin) = (plane.audit().mark().unwrap(), std::time::Instant::now());
    set.baseline(unlooked()).await;
    converged(&set, &unlooked(), &namespaces).await;
    let took = begin.elapsed();
    settled(&plane, &set).await;

    let all: Vec<_> = plane
        .audit()
        .since(mark)
        .unwrap()
        .into_iter()
        .filter(|r| r.verb != "watch")
        .collect();
    let about = requests(&plane, &set, mark);
    // Events are told of a few namespaces only; they are requests, and no objects that are held.
    let objects: BTreeSet<_> = about
        .iter()
        .filter(|r| r.is_write() && r.code < 300 && r.resource != "events")
        .map(|r| {
            let name = r
                .name
                .clone()
                .or_else(|| Some(r.body.as_ref()?["metadata"]["name"].as_str()?.to_owned()));
            (r.resource.clone(), r.namespace.clone(), name)
        })
        .collect();
    // Seven children, the labels and the report of each, and the baseline's status.
    assert_eq!(objects.len(), NAMESPACES * 9 + 1);
    let ratio = all.len() as f64 / objects.len() as f64;
    println!(
        "{NAMESPACES} namespaces: {took:?}, {} requests for {} objects ({ratio:.3} each), {} kB resident",
        all.len(),
        objects.len(),
        resident(stage.operator.pid()),
    );
    assert!(ratio <= 1.3, "{ratio}");
    quiet(&plane, &set, &namespaces, Duration::from_secs(3)).await;

    // A hundred drifts at once are undone, and each of them costs little.
    let mark_of_drift = plane.audit().mark().unwrap();
    let deny = "security-baseline-default-deny-ingress";
    for namespace in namespaces.iter().take(100) {
        let policies = api(&set.admin, "NetworkPolicy", Some(namespace));
        policies.delete(deny, &DeleteParams::default()).await.unwrap();
    }
    for namespace in namespaces.iter().take(100) {
        set.report_until(namespace, "drift counted", |r| r["status"]["drift"]["repaired"] == 1)
            .await;
    }
    converged(&set, &everything(), &namespaces).await;
    settled(&plane, &set).await;
    let creations = requests(&plane, &set, mark_of_drift)
        .into_iter()
        .filter(|r| r.resource == "networkpolicies")
        .count();
    assert_eq!(creations, 100);
    quiet(&plane, &set, &namespaces, Duration::from_secs(3)).await;

    // What somebody else put on an object is kept, so that one is read first. Of the others nothing can get lost.
    let quota = "security-baseline-compute";
    let theirs = json!({"metadata": {"labels": {"example.com/cost-centre": "4711"}}});
    merge(&set.admin, "ResourceQuota", Some(&namespaces[0]), quota, theirs)
        .await
        .unwrap();
    let mut changed = unlooked();
    changed["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(60);
    let mark_of_change = plane.audit().mark().unwrap();
    let change = json!({"spec": {"resourceQuotas": changed["resourceQuotas"]}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, change)
        .await
        .unwrap();
    for namespace in &namespaces {
        let as_changed = |quota: &Value| quota["spec"]["hard"]["pods"] == "60";
        set.object_until("ResourceQuota", namespace, quota, "60 pods", as_changed)
            .await;
    }
    settled(&plane, &set).await;
    let mut about = BTreeMap::new();
    for request in requests(&plane, &set, mark_of_change) {
        if request.resource == "resourcequotas" && request.verb != "watch" {
            *about.entry(request.verb).or_insert(0) += 1;
        }
    }
    assert_eq!(
        about,
        BTreeMap::from([("get".to_owned(), 1), ("update".to_owned(), NAMESPACES)])
    );
    let kept = get(&set.admin, "ResourceQuota", Some(&namespaces[0]), quota)
        .await
        .unwrap();
    assert_eq!(kept["metadata"]["labels"]["example.com/cost-centre"], "4711");
    let none = json!({"metadata": {"labels": {"example.com/cost-centre": null}}});
    merge(&set.admin, "ResourceQuota", Some(&namespaces[0]), quota, none)
        .await
        .unwrap();
    converged(&set, &changed, &namespaces).await;
    safe(&plane, mark);
}

/// The memory that a process has resident, in kB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Everything, without a look at what runs: only what it takes to write is counted.
fn unlooked() -> Value {
    let mut spec = everything();
    spec["preflight"] = json!("Ignore");
    spec
}
