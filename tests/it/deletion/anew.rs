//! A baseline that comes back under its name.

use serde_json::{Value, json};

use super::{ENFORCE, MOMENT, deleted, labels, left, under};
use crate::oracles::{children, converged, quiet, safe, settled};
use crate::stage::{Set, delete, get, grant, merge, own, writes_in};

#[tokio::test]
async fn a_baseline_that_is_made_anew_under_its_name_while_the_operator_is_down_is_not_cleaned_up_for_the_old_one() {
    let (plane, mut stage) = own().await;
    grant(&plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(&plane, "anew").await;
    let namespaces = set.namespaces(&plane, 2).await;
    set.baseline(under("Delete")).await;
    converged(&set, &under("Delete"), &namespaces).await;
    let finalized = |b: &Value| b["metadata"]["finalizers"].is_array();
    let old = set.baseline_until(&set.name, "has its finalizer", finalized).await;
    settled(&plane, &set).await;
    let before = objects(&set, &namespaces).await;

    // Somebody deletes it, has it go without the operator, and applies it once more, with less in it.
    let mut less = under("Delete");
    for section in ["resourceQuotas", "podSecurity"] {
        less.as_object_mut().unwrap().remove(section);
    }
    stage.operator.kill().unwrap();
    let down = plane.audit().mark().unwrap();
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    let gone = json!({"metadata": {"finalizers": null}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, gone)
        .await
        .unwrap();
    deleted(&set, &set.name).await;
    set.baseline(less).await;
    stage.restart(&plane).await.unwrap();
    set.until_enforced(2).await;
    let new = set.baseline_until(&set.name, "has its finalizer", finalized).await;
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(new["metadata"].get("deletionTimestamp"), None);
    quiet(&plane, &set, &namespaces, MOMENT).await;
    assert_eq!(objects(&set, &namespaces).await, before, "nothing was touched");
    for namespace in &namespaces {
        let writes = writes_in(&plane, down, namespace);
        assert!(writes.is_empty(), "{writes:?}");
        let report = set.report_until(namespace, "is there", |_| true).await;
        assert_eq!(report["status"]["drift"]["total"], 0, "{report}");
        assert_eq!(labels(&set, namespace).await[ENFORCE], "restricted");
    }
    // What it asks for goes with it, and what only the other one asked for is nobody's.
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    deleted(&set, &set.name).await;
    for namespace in &namespaces {
        assert_eq!(left(&set, namespace).await, ["ResourceQuota/security-baseline-compute"]);
        assert_eq!(labels(&set, namespace).await[ENFORCE], "restricted");
    }
    safe(&plane, mark);
}

/// Everything under reserved names in these namespaces, with UIDs and resourceVersions.
async fn objects(set: &Set, namespaces: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (namespace, kind, name) in children(&set.admin, namespaces).await.unwrap().into_keys() {
        let live = get(&set.admin, &kind, Some(&namespace), &name).await.unwrap();
        let metadata = &live["metadata"];
        found.push(format!(
            "{kind} {name} {} {}",
            metadata["uid"], metadata["resourceVersion"]
        ));
    }
    found
}
