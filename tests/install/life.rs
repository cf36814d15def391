//! The life of a release: installed, upgraded, rolled back, uninstalled, installed again. What protects stays throughout.

use std::collections::BTreeMap;
use std::path::Path;

use kube::Client;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::helm::{Helm, RELEASE, chart, text};
use crate::stage::{BINARY, SOON, Set, api, everything, get, merge};
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, Stage, watch_until};

/// Grants what the test's baseline hands out.
const GRANTS: &str =
    "grantableRoles: [{apiGroups: [apps], resources: [deployments], verbs: [get, list, watch, update, patch]}]";

/// The chart with another CRD of baselines, in a folder of its own.
fn chart_with_crd(change: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&chart(), folder.path());
    let crd = folder.path().join("files/crds/securitybaselines.yaml");
    let before = std::fs::read_to_string(&crd).unwrap();
    let after = change(&before);
    assert_ne!(before, after);
    std::fs::write(crd, after).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

/// What protects a namespace, and what it is decided by: each object with its UID and what it says.
async fn protection(admin: &Client, namespace: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut note = |kind: &str, object: Value, saying: &[&str]| {
        let metadata = &object["metadata"];
        let said: Vec<Value> = saying.iter().map(|key| object[*key].clone()).collect();
        let key = format!("{kind} {}", metadata["name"].as_str().unwrap());
        found.insert(key, json!([metadata["uid"], said]));
    };
    for kind in [
        "NetworkPolicy",
        "ResourceQuota",
        "LimitRange",
        "Role",
        "RoleBinding",
        "BaselineReport",
    ] {
        let all = api(admin, kind, Some(namespace))
            .list(&ListParams::default())
            .await
            .unwrap();
        for object in all {
            note(
                kind,
                serde_json::to_value(object).unwrap(),
                &["spec", "rules", "subjects", "roleRef"],
            );
        }
    }
    for kind in ["SecurityBaseline", "CustomResourceDefinition"] {
        for object in api(admin, kind, None).list(&ListParams::default()).await.unwrap() {
            // What a CRD says changes with the chart; that it is the same one is what counts.
            let saying: &[&str] = if kind == "SecurityBaseline" { &["spec"] } else { &[] };
            note(kind, serde_json::to_value(object).unwrap(), saying);
        }
    }
    let mut object = get(admin, "Namespace", None, namespace).await.unwrap();
    object["labels"] = object["metadata"]["labels"].take();
    note("Namespace", object, &["labels"]);
    found
}

/// Runs the operator as the release says, until it is ready.
async fn operator(plane: &ControlPlane, helm: &Helm) -> Stage {
    Stage::of(plane, Path::new(BINARY), &helm.manifest().await, |_| {})
        .await
        .unwrap()
}

/// Breaks what the operator holds, and waits until it is mended.
async fn repairs(set: &Set, namespace: &str) {
    let policy = "security-baseline-default-deny-ingress";
    let patch = json!({"spec": {"ingress": [{}]}});
    merge(&set.admin, "NetworkPolicy", Some(namespace), policy, patch)
        .await
        .unwrap();
    set.object_until("NetworkPolicy", namespace, policy, "mended", |p| {
        p["spec"]["ingress"]
            .as_array()
            .is_none_or(|rules| !rules.contains(&json!({})))
    })
    .await;
}

/// The names of the columns that `kubectl get securitybaselines` shows.
async fn columns(admin: &Client) -> Vec<String> {
    let crd = get(
        admin,
        "CustomResourceDefinition",
        None,
        "securitybaselines.securitybaseline.dev",
    )
    .await
    .unwrap();
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap();
    columns.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn whoever_turns_the_alerts_on_is_told_that_their_runbooks_are_nowhere_until_the_values_say_where() {
    let warned = async |rule: &str| {
        let helm = Helm::offline();
        let values = helm.values(&format!(
            "image: {{repository: example.com/operator}}\nprometheusRule: {rule}"
        ));
        let chart = chart();
        let args = [
            "install",
            "a",
            text(&chart),
            "--dry-run=client",
            "--values",
            text(&values),
        ];
        helm.run(&args).await.contains("Set prometheusRule.runbookURL")
    };
    assert!(!warned("{enabled: false}").await);
    assert!(warned("{enabled: true, renderMode: alwaysRender}").await);
    let stated = "{enabled: true, renderMode: alwaysRender, runbookURL: https://wiki.example.org/runbooks}";
    assert!(!warned(stated).await);
}

#[tokio::test]
async fn a_release_is_installed_upgraded_rolled_back_uninstalled_and_installed_again_and_weakens_nothing() {
    let plane = ControlPlane::start().await.unwrap();
    let helm = Helm::on(&plane);
    let set = Set::new(&plane, "life").await;

    // Installed, from a chart whose CRD lacks a column, and the operator enforces.
    let older = chart_with_crd(|crd| crd.replace("name: Blocked", "name: Stuck"));
    let notes = helm.release("install", older.path(), GRANTS).await;
    assert!(notes.contains("mode: Audit"), "{notes}");
    assert!(columns(&set.admin).await.contains(&"Stuck".to_owned()));
    let mut stage = operator(&plane, &helm).await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(everything()).await;
    set.until_enforced(1).await;
    set.present("Role", &namespace, "security-baseline-developer").await;
    repairs(&set, &namespace).await;
    let held = protection(&set.admin, &namespace).await;
    assert!(held.len() > 12, "{:?}", held.keys());

    // Upgraded: the CRD too. The configuration that the values state is the one that the operator runs with.
    helm.release("upgrade", &chart(), &format!("{GRANTS}\nconfig: {{logFormat: text}}"))
        .await;
    assert!(columns(&set.admin).await.contains(&"Blocked".to_owned()));
    stage.operator.kill().unwrap();
    stage = operator(&plane, &helm).await;
    let log = stage.operator.log().unwrap();
    let json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
    assert!(!log.is_empty() && !log.lines().any(json), "text is asked for: {log}");
    repairs(&set, &namespace).await;

    // Rolled back.
    helm.run(&["rollback", RELEASE, "1", "--namespace", OPERATOR_NAMESPACE])
        .await;
    assert!(columns(&set.admin).await.contains(&"Stuck".to_owned()));
    stage.operator.kill().unwrap();
    stage = operator(&plane, &helm).await;
    repairs(&set, &namespace).await;
    assert_eq!(held, protection(&set.admin, &namespace).await);

    // Uninstalled, while the operator runs: its rights are gone, and what it did stays.
    helm.run(&["uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE])
        .await;
    assert_eq!(
        get(&set.admin, "ClusterRole", None, "security-baseline-operator").await,
        None
    );
    stage.operator.kill().unwrap();
    assert_eq!(held, protection(&set.admin, &namespace).await);
    let crd = get(
        &set.admin,
        "CustomResourceDefinition",
        None,
        "baselinereports.securitybaseline.dev",
    )
    .await;
    assert_eq!(crd.unwrap()["metadata"]["deletionTimestamp"], Value::Null);

    // Installed again: it adopts the CRDs that stayed, and holds what it finds without writing it anew.
    helm.release("install", &chart(), GRANTS).await;
    assert!(columns(&set.admin).await.contains(&"Blocked".to_owned()));
    let stage = operator(&plane, &helm).await;
    repairs(&set, &namespace).await;
    let mut now = protection(&set.admin, &namespace).await;
    assert_eq!(held.keys().collect::<Vec<_>>(), now.keys().collect::<Vec<_>>());
    for (key, value) in &held {
        assert_eq!(Some(value), now.remove(key).as_ref(), "{key}");
    }
    drop(stage);
}

#[tokio::test]
async fn with_keep_off_uninstalling_takes_the_kinds_along_and_still_leaves_what_protects() {
    let plane = ControlPlane::start().await.unwrap();
    let helm = Helm::on(&plane);
    let set = Set::new(&plane, "gone").await;
    let said = helm.release("install", &chart(), "crds: {keep: false}").await;
    assert!(said.contains("WARNING: crds.keep is false"), "{said}");
    let mut stage = operator(&plane, &helm).await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    set.until_enforced(1).await;
    // One that needs the operator to go is deleted first, as the chart's notes and docs/install.md say.
    let other = Set::new(&plane, "taken").await;
    let taken = other.namespace(&plane, "a").await;
    other
        .baseline(
            json!({"mode": "Enforce", "deletionPolicy": "Delete", "networkIsolation": {"defaultDeny": ["Ingress"]}}),
        )
        .await;
    other.until_enforced(1).await;
    plane
        .kubectl(&["delete", "securitybaseline", &other.name, "--timeout=60s"])
        .await
        .unwrap();
    other
        .gone("NetworkPolicy", &taken, "security-baseline-default-deny-ingress")
        .await;
    stage.operator.kill().unwrap();

    helm.run(&["uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE])
        .await;
    let kinds = api(&set.admin, "CustomResourceDefinition", None);
    crate::support::watch_gone(&kinds, "securitybaselines.securitybaseline.dev", SOON)
        .await
        .unwrap();
    let policies = api(&set.admin, "NetworkPolicy", Some(&namespace));
    watch_until(
        &policies,
        "security-baseline-default-deny-ingress",
        "is there",
        SOON,
        |_| true,
    )
    .await
    .unwrap();
}
