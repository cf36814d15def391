//! The chart in a namespace and under names of somebody's own: the rights, the ServiceAccount and the policies go along.

use std::path::Path;

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::helm::{Helm, chart, text};
use crate::stage::{BINARY, Set, api, create, everything};
use crate::support::{ControlPlane, Stage, unique};

const VALUES: &str = r"
nameOverride: posture
serviceAccount: {name: posture-account}
bindableClusterRoles: []
grantableRoles: [{apiGroups: [apps], resources: [deployments], verbs: [get, list, watch, update, patch]}]
config: {exceptions: {maxDuration: 2h}}
";

#[tokio::test]
async fn under_other_names_in_another_namespace_it_enforces_within_the_same_bounds() {
    let plane = ControlPlane::start().await.unwrap();
    let helm = Helm::on(&plane);
    let values = helm.values(VALUES);
    let chart = chart();
    let target = ["any-release", "--namespace", "platform-security"];
    let install = ["install", "--create-namespace", text(&chart), "--values", text(&values)];
    helm.run(&[&install[..1], &target[..1], &install[2..], &target[1..], &install[1..2]].concat())
        .await;
    let manifest = helm.run(&[&["get", "manifest"][..], &target].concat()).await;
    let stage = Stage::of(&plane, Path::new(BINARY), &manifest, |_| {}).await.unwrap();

    let set = Set::new(&plane, "any").await;
    let namespace = set.namespace(&plane, "a").await;
    let mut spec = everything();
    spec["access"]["bindings"].as_array_mut().unwrap().pop();
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    set.present("RoleBinding", &namespace, "security-baseline-developers")
        .await;

    // No ClusterRole may be bound: an empty list is not every one.
    spec["access"]["bindings"] =
        json!([{"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "auditors"}]}]);
    set.baseline(spec).await;
    let report = set
        .report_until(&namespace, "a binding is refused", |r| {
            r.to_string().contains("GrantRefused")
        })
        .await;
    assert!(report.to_string().contains("security-baseline-viewers"), "{report}");

    // The operator writes finalizers of baselines and nothing else, under this name too.
    let own = plane
        .client_for_service_account("platform-security", "posture-account")
        .await
        .unwrap();
    let baselines = api(&own, "SecurityBaseline", None);
    let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
    let refused = baselines
        .patch(&set.name, &PatchParams::default(), &patch)
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("changes the finalizers of a baseline and nothing else"),
        "{refused}"
    );

    // Exceptions end within the limit that the values state, by the API server's word.
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(3);
    let exception = json!({"metadata": {"name": unique("long")}, "spec": {
        "namespaces": [namespace], "waive": [{"control": "limitRanges"}], "reason": "r", "approver": "a", "expiresAt": expires.to_string(),
    }});
    let refused = create(&set.admin, "BaselineException", None, exception)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("more than 2h"), "{refused}");

    drop(stage);
}
