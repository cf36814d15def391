//! The chart and kustomize give the same objects for the same choices.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::helm::{Helm, text};
use crate::objects::{assert_same, objects, without_helms_own};
use crate::stage::file;

/// What a kustomization of somebody's own gives; `config` in it is this repository's folder.
async fn kustomized(kustomization: &str) -> BTreeMap<String, Value> {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(file("config"), folder.path().join("config")).unwrap();
    std::os::unix::fs::symlink(file("crds"), folder.path().join("crds")).unwrap();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("kustomization.yaml"), kustomization).unwrap();
    let mut objects = objects(&kustomize(&own).await);
    // `helm install --create-namespace` makes it, and cannot label it.
    objects.remove("Namespace /security-baseline-system").unwrap();
    objects
}

async fn kustomize(folder: &Path) -> String {
    let output = tokio::process::Command::new("kubectl")
        .args(["kustomize", text(folder), "--load-restrictor=LoadRestrictionsNone"])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The configuration in the ConfigMap, taken out of it: the chart states it without comments where values change it.
fn configuration(objects: &mut BTreeMap<String, Value>) -> Value {
    let map = objects
        .get_mut("ConfigMap security-baseline-system/security-baseline-operator")
        .unwrap();
    let text = map["data"]["config.yaml"].take();
    serde_saphyr::from_str(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn the_chart_as_it_is_and_config_default_are_the_same_to_the_letter() {
    let chart = without_helms_own(&Helm::offline().template("").await);
    let kustomize = kustomized("resources: [../config/default]\n").await;
    assert_same(&chart, &kustomize);
    assert!(chart.len() > 20, "{:?}", chart.keys());
}

#[tokio::test]
async fn the_same_choices_are_the_same_objects_in_the_chart_and_in_a_kustomization() {
    let mut chart = without_helms_own(
        &Helm::offline()
            .template(
                r"
image: {repository: registry.example.com/sbo, tag: v9}
bindableClusterRoles: [view, edit]
networkPolicy: {enabled: true}
admission: {podSecurityLabels: true}
config: {workers: 7, brake: {percent: 20}, excludedNamespaces: [kube-*], exceptions: {maxDuration: 168h}}
nodeSelector: {disktype: ssd}
",
            )
            .await,
    );
    let mut kustomize = kustomized(
        r#"
resources: [../config/default]
components: [../config/components/network-policy, ../config/components/pod-security-labels]
images: [{name: security-baseline-operator, newName: registry.example.com/sbo, newTag: v9}]
patches:
- target: {kind: ClusterRole, name: "security-baseline-operator:bind"}
  patch: |
    - {op: add, path: /rules/0/resourceNames/-, value: edit}
- target: {kind: ValidatingAdmissionPolicy, name: security-baseline-exception-expiry}
  patch: |
    - {op: replace, path: /spec/variables/0/expression, value: "duration('168h')"}
- target: {kind: Deployment}
  patch: |
    - {op: add, path: /spec/template/spec/nodeSelector/disktype, value: ssd}
"#,
    )
    .await;
    let mut wanted = configuration(&mut kustomize);
    wanted["workers"] = 7.into();
    wanted["brake"]["percent"] = 20.into();
    wanted["excludedNamespaces"] = serde_json::json!(["kube-*"]);
    wanted["exceptions"]["maxDuration"] = "168h".into();
    assert_eq!(configuration(&mut chart), wanted);
    assert_same(&chart, &kustomize);
}

#[tokio::test]
async fn two_replicas_are_the_same_in_the_chart_and_in_a_kustomization() {
    let values = r"
replicaCount: 2
podDisruptionBudget: {enabled: true}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            app.kubernetes.io/name: security-baseline-operator
            app.kubernetes.io/component: operator
";
    let chart = without_helms_own(&Helm::offline().template(values).await);
    let kustomize =
        kustomized("resources: [../config/default]\ncomponents: [../config/components/high-availability]\n").await;
    assert_same(&chart, &kustomize);
    let deployment = &chart["Deployment security-baseline-system/security-baseline-operator"];
    assert_eq!(deployment["spec"]["replicas"], 2);
}

#[tokio::test]
async fn alerts_and_dashboards_are_the_same_in_the_chart_and_in_a_kustomization() {
    let kustomization = "resources: [../config/default]\ncomponents: [../config/components/monitoring]\n";
    let values = "
serviceMonitor: {enabled: true, renderMode: alwaysRender}
prometheusRule: {enabled: true, renderMode: alwaysRender}
grafanaDashboard: {enabled: true}
";
    let chart = without_helms_own(&Helm::offline().template(values).await);
    assert_same(&chart, &kustomized(kustomization).await);
    for kind in [
        "ServiceMonitor",
        "PrometheusRule",
        "ConfigMap security-baseline-system/security-baseline-dashboard",
    ] {
        assert!(chart.keys().any(|key| key.starts_with(kind)), "{kind}");
    }
}
