//! What a person decides: `confirm`, `release`, `suspend`, `resume`; and `events`, which tell of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{arg, reader, run, run_with, written};
use crate::stage::{BINARY, LABEL, SOON, Set, condition, delete, get, merge, own_as_shipped, shared};
use crate::support::{ControlPlane, eventually};

/// The managers of an object's fields.
fn managers(object: &Value) -> Vec<&str> {
    let fields = object["metadata"]["managedFields"].as_array().unwrap().iter();
    fields.filter_map(|entry| entry["manager"].as_str()).collect()
}

#[tokio::test]
async fn a_change_that_waits_is_counted_before_and_confirmed_by_a_person() {
    let (plane, _stage) = own_as_shipped().await;
    let reader = reader(&plane).await;
    let set = Set::new(&plane, "confirm").await;
    let names = set.namespaces(&plane, 12).await;
    set.aged(&names).await;
    let spec = json!({"namespaceSelector": {"matchLabels": {LABEL: set.name}}, "mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    let object = json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": set.name}, "spec": spec});
    let file = written(&object);
    let ran = run(&reader, &["diff", "-f", arg(&file), "-o", "json"]).await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    let brake = &ran.json()["objects"][0]["brake"];
    assert_eq!(
        (&brake["waits"], &brake["affected"], &brake["newlyEnforces"]),
        (&json!(true), &json!(12), &json!(12))
    );
    let foreseen = brake["message"]
        .as_str()
        .unwrap()
        .split(" To go on")
        .next()
        .unwrap()
        .to_owned();

    set.baseline(spec).await;
    let waits = set.until("Stalled", "True").await;
    let message = condition(&waits, "Stalled")["message"].as_str().unwrap();
    assert!(message.starts_with(&foreseen), "{message}\n{foreseen}");

    let admin = plane.admin_kubeconfig();
    let nobody = run(admin, &["confirm", &set.name]).await;
    assert_eq!(nobody.code, 2);
    assert!(
        nobody.out.contains(&foreseen) && nobody.err.contains("--yes"),
        "{}{}",
        nobody.out,
        nobody.err
    );
    let refused = run(&reader, &["confirm", &set.name, "--yes"]).await;
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("security-baseline:admin"), "{}", refused.err);
    let confirmed = run(admin, &["confirm", &set.name, "--yes"]).await;
    assert_eq!(confirmed.code, 0, "{}", confirmed.err);
    set.until_enforced(12).await;
    let again = run(admin, &["confirm", &set.name, "--yes"]).await;
    assert_eq!(again.code, 0);
    assert!(again.out.contains("waits for nothing"), "{}", again.out);

    // A suspension loosens, and waits as any other change does; it is not told as done.
    for _ in 0..2 {
        let waits = run(admin, &["suspend", &set.name]).await;
        assert_eq!(waits.code, 1, "{}{}", waits.out, waits.err);
        let way = format!("confirm {}", set.name);
        assert!(
            waits.out.contains("is not suspended yet") && waits.out.contains(&way),
            "{}",
            waits.out
        );
    }
    let baseline = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert!(
        managers(&baseline).contains(&"security-baseline-plugin"),
        "{:?}",
        managers(&baseline)
    );
    assert_eq!(run(admin, &["confirm", &set.name, "--yes"]).await.code, 0);
    eventually("the suspension holds", SOON, async || {
        let ran = run(admin, &["suspend", &set.name]).await;
        anyhow::ensure!(ran.code == 0 && ran.out.contains("is suspended already"), "{}", ran.out);
        Ok(())
    })
    .await
    .unwrap();

    // Whoever may do less than the operator needs is told what it lacks, in whichever role that is.
    delete(
        &set.admin,
        "Role",
        Some("kube-system"),
        "security-baseline:operator-dns",
    )
    .await;
    rights_lack(&plane, "list services in kube-system").await;
    let lacking = json!({"rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch", "patch"]}]});
    merge(&set.admin, "ClusterRole", None, "security-baseline-operator", lacking)
        .await
        .unwrap();
    rights_lack(&plane, "limitranges").await;
}

/// Waits until `check` says that the operator lacks a right.
async fn rights_lack(plane: &ControlPlane, right: &str) {
    eventually("the right is missing", SOON, async || {
        let ran = run(plane.admin_kubeconfig(), &["check", "-o", "json"]).await;
        anyhow::ensure!(ran.code == 1, "{}", ran.out);
        let checks = ran.json();
        let mut checks = checks["checks"].as_array().unwrap().iter();
        let rights = checks.find(|c| c["name"] == "The operator's rights").unwrap();
        let message = rights["message"].as_str().unwrap();
        anyhow::ensure!(rights["result"] == "Failed" && message.contains(right), "{rights}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_baseline_is_suspended_and_goes_on() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "suspend").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    set.until_enforced(1).await;
    // Only what is on record can be told as deleted.
    set.report_until(&namespace, "has the policy on record", |r| {
        r["status"]["inventory"].as_array().is_some_and(|all| !all.is_empty())
    })
    .await;
    let admin = plane.admin_kubeconfig();
    let ran = run(admin, &["suspend", &set.name]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("is suspended: nothing is written"), "{}", ran.out);
    let told = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert_eq!(
        condition(&told, "Stalled")["reason"],
        "Suspended",
        "it is told once it holds"
    );
    delete(
        &set.admin,
        "NetworkPolicy",
        Some(&namespace),
        "security-baseline-default-deny-ingress",
    )
    .await;
    let reader = reader(plane).await;
    // The reports and the objects are listed one after the other, while the operator still takes up what was done.
    eventually("audit tells it", SOON, async || {
        let audit = run(&reader, &["audit", "-n", &namespace, "-o", "json"]).await;
        let codes = super::codes(&audit.json());
        for code in ["SB-NET-005", "SB-NET-203", "SB-GEN-203"] {
            anyhow::ensure!(codes.iter().any(|c| c == code), "{code}: {codes:?}");
        }
        Ok(())
    })
    .await
    .unwrap();
    assert!(run(admin, &["suspend", &set.name]).await.out.contains("already"));
    assert_eq!(run(admin, &["resume", &set.name]).await.code, 0);
    set.present("NetworkPolicy", &namespace, "security-baseline-default-deny-ingress")
        .await;
    // Who states the field in what they apply undoes it at their next turn.
    set.baseline(json!({"mode": "Enforce", "suspend": false, "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    let ran = run(admin, &["suspend", &set.name]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("test states spec.suspend"), "{}", ran.err);
    assert_eq!(run(admin, &["resume", &set.name]).await.code, 0);
    let none = run(admin, &["resume", "no-such-baseline"]).await;
    assert_eq!(none.code, 2);
    assert!(
        none.err.contains("there is no SecurityBaseline no-such-baseline"),
        "{}",
        none.err
    );
}

#[tokio::test]
async fn a_namespace_is_released_once_its_labels_are_gone() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "release").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    set.until_enforced(1).await;
    merge(
        &set.admin,
        "Namespace",
        None,
        &namespace,
        json!({"metadata": {"labels": {LABEL: null}}}),
    )
    .await
    .unwrap();
    set.report_until(&namespace, "tells it", |r| {
        r["status"]["baselines"][0]["deselected"] == true
    })
    .await;
    let audit = run(&reader, &["audit", "-n", &namespace, "-o", "json"]).await;
    assert_eq!(
        (audit.code, super::codes(super::namespace_of(&audit.json(), &namespace))),
        (1, vec!["SB-GEN-304".to_owned()])
    );

    let admin = plane.admin_kubeconfig();
    let ran = run(admin, &["release", &set.name, &namespace]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("still has the labels"), "{}", ran.out);
    set.report_until(&namespace, "is let go", |r| {
        r["status"]["inventory"][0]["orphaned"] == true
    })
    .await;
    let audit = run(&reader, &["audit", "-n", &namespace, "-o", "json"]).await;
    assert_eq!(audit.code, 0, "what is orphaned is good to know: {}", audit.out);
    assert_eq!(
        super::codes(super::namespace_of(&audit.json(), &namespace)),
        ["SB-GEN-305"]
    );

    let other = set.namespace(plane, "b").await;
    let ran = run(admin, &["release", &set.name, &other]).await;
    assert!(ran.out.contains("still has the labels"), "{}", ran.out);
    let baseline = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert_eq!(baseline["spec"]["releasedNamespaces"], json!([namespace, other]));
}

#[tokio::test]
async fn events_are_shown_and_watched() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "events").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    set.until_enforced(1).await;
    let mut watch = tokio::process::Command::new(BINARY)
        .args(["events", "--watch", "--namespace", &namespace])
        .env("KUBECONFIG", &reader)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    delete(
        &set.admin,
        "NetworkPolicy",
        Some(&namespace),
        "security-baseline-default-deny-ingress",
    )
    .await;
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let seen = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("DriftRepaired") {
                return line;
            }
        }
        panic!("the watch ended");
    };
    let line = tokio::time::timeout(SOON, seen).await.unwrap();
    assert!(line.contains(&format!("BaselineReport/{namespace}/baseline")), "{line}");
    watch.kill().await.unwrap();

    let listed = run(&reader, &["events", "-n", &namespace]).await;
    assert_eq!(listed.code, 0, "{}", listed.err);
    assert!(listed.out.contains("DriftRepaired"), "{}", listed.out);
    let others = run(&reader, &["events", "-n", "kube-system"]).await;
    assert!(others.out.contains("told nothing"), "{}", others.out);
}

#[tokio::test]
async fn as_a_plugin_it_goes_by_the_name_that_its_user_types() {
    let (plane, _) = shared().await;
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-security_baseline");
    std::os::unix::fs::symlink(BINARY, &plugin).unwrap();
    std::os::unix::fs::symlink(BINARY, folder.path().join("kubectl_complete-security_baseline")).unwrap();
    let help = run_with(&plugin, plane.admin_kubeconfig(), &["audit", "--help"], "").await;
    assert!(
        help.out.contains("Usage: kubectl security-baseline audit"),
        "{}",
        help.out
    );
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let completed = tokio::process::Command::new("kubectl")
        .args(["__complete", "security-baseline", "ex"])
        .env("PATH", &path)
        .env("KUBECONFIG", plane.admin_kubeconfig())
        .output();
    let completed = tokio::time::timeout(Duration::from_secs(60), completed)
        .await
        .unwrap()
        .unwrap();
    let completed = String::from_utf8(completed.stdout).unwrap();
    let offered: Vec<&str> = completed.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(offered, ["explain", "exceptions", ":4"], "{completed}");
    let output = tokio::process::Command::new("kubectl")
        .args(["security-baseline", "explain", "no-such-namespace"])
        .env("PATH", path)
        .env("KUBECONFIG", plane.admin_kubeconfig())
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("kubectl security-baseline: there is no namespace no-such-namespace"),
        "{said}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = run_with(&plugin, plane.admin_kubeconfig(), &["completion", shell], "").await;
        assert!(
            script.out.contains("kubectl-security_baseline") && script.out.contains("explain"),
            "{shell}"
        );
    }
}
