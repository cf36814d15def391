//! The baseline, the CRDs and the operator go, in any order.

use serde_json::{Value, json};

use super::{delete, everything, grant};
use crate::oracles::{CHILDREN, converged, safe};
use crate::stage::{Set, api, own};
use crate::support::{ControlPlane, Stage, eventually, install_yaml, watch_gone};

const CRDS: [&str; 3] = [
    "securitybaselines.securitybaseline.dev",
    "baselinereports.securitybaseline.dev",
    "baselineexceptions.securitybaseline.dev",
];

/// What is there, as kind, name and UID, and the namespaces' labels.
async fn there(set: &Set, namespaces: &[String]) -> Vec<Value> {
    let mut all = Vec::new();
    for kind in CHILDREN.into_iter().chain(["Namespace"]) {
        for object in api(&set.admin, kind, None).list(&Default::default()).await.unwrap() {
            let here = object
                .metadata
                .namespace
                .clone()
                .or(object.metadata.name.clone())
                .unwrap();
            if namespaces.contains(&here) {
                let labels = (kind == "Namespace").then_some(&object.metadata.labels);
                all.push(json!([kind, here, object.metadata.name, object.metadata.uid, labels]));
            }
        }
    }
    all.sort_by_key(Value::to_string);
    all
}

/// Deletes the definitions of our kinds, and with them all objects of these kinds.
async fn crds_gone(set: &Set) {
    let crds = api(&set.admin, "CustomResourceDefinition", None);
    for name in CRDS {
        crds.delete(name, &Default::default()).await.unwrap();
    }
    for name in CRDS {
        watch_gone(&crds, name, crate::stage::SOON).await.unwrap();
    }
}

async fn baseline_gone(set: &Set) {
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    watch_gone(
        &api(&set.admin, "SecurityBaseline", None),
        &set.name,
        crate::stage::SOON,
    )
    .await
    .unwrap();
}

/// Installs everything again, and applies the baseline again.
async fn again(plane: &ControlPlane, stage: &mut Stage, set: &Set, namespaces: &[String]) {
    plane.install(&install_yaml()).await.unwrap();
    if stage.operator.exited().unwrap().is_some() {
        stage.restart(plane).await.unwrap();
    }
    // A kind is served a moment after it is defined, also to those who write it.
    eventually("it can be applied", crate::stage::SOON, async || {
        Ok(set.baseline_named(&set.name, everything()).await?)
    })
    .await
    .unwrap();
    converged(set, &everything(), namespaces).await;
}

#[tokio::test]
async fn with_retain_all_of_it_stays_whatever_goes_first_nothing_is_stuck_and_a_new_installation_takes_it_up() {
    let (plane, mut stage) = own().await;
    grant(&plane).await;
    let mark = plane.audit().mark().unwrap();
    let set = Set::new(&plane, "gone").await;
    let namespaces = set.namespaces(&plane, 2).await;
    set.baseline(everything()).await;
    converged(&set, &everything(), &namespaces).await;
    let before = there(&set, &namespaces).await;
    assert_eq!(
        before.len(),
        2 * 8,
        "seven children and the namespace, each: {before:#?}"
    );
    for order in [
        ["baseline", "operator", "crds"],
        ["operator", "crds", ""],
        ["crds", "operator", ""],
        ["crds", "", ""],
        ["operator", "baseline", "crds"],
    ] {
        for what in order {
            match what {
                "baseline" => baseline_gone(&set).await,
                "operator" => stage.operator.kill().unwrap(),
                "crds" => crds_gone(&set).await,
                _ => {}
            }
            assert_eq!(there(&set, &namespaces).await, before, "{order:?} after {what}");
        }
        let taken_up = plane.audit().mark().unwrap();
        again(&plane, &mut stage, &set, &namespaces).await;
        assert_eq!(there(&set, &namespaces).await, before, "{order:?}");
        let writes = plane.audit().writes_since(taken_up).unwrap();
        let of_children = writes
            .iter()
            .filter(|w| w.group != "securitybaseline.dev" && w.resource != "events");
        assert_eq!(
            of_children.count(),
            0,
            "{order:?}: what is as asked for is taken up without a write"
        );
    }
    safe(&plane, mark);
}
