//! What a pipeline and a plugin manager take: the example workflow's commands are run, and krew's manifest is what krew
//! asks for.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::reader;
use crate::stage::{BINARY, LABEL, Set, file, shared};

fn document(path: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file(path)).unwrap()).unwrap()
}

/// Runs a step of the workflow as the runner does.
async fn step(script: &str, folder: &Path, env: &[(&str, &str)]) -> Output {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    tokio::process::Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script])
        .current_dir(folder)
        .envs(env.iter().copied())
        .env("PATH", path)
        .env("RUNNER_TEMP", folder)
        .env("GITHUB_ENV", folder.join("env"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_example_workflow_shows_a_change_and_stops_one_that_loosens() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "pipeline").await;
    set.namespace(plane, "a").await;
    let spec = json!({"namespaceSelector": {"matchLabels": {LABEL: set.name}}, "mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;

    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for name in ["bin", "baselines"] {
        std::fs::create_dir(here.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(BINARY, here.join("bin/kubectl-security_baseline")).unwrap();
    let propose = |spec: &Value| {
        let object = json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": set.name}, "spec": spec});
        std::fs::write(
            here.join("baselines/set.yaml"),
            serde_saphyr::to_string(&object).unwrap(),
        )
        .unwrap();
    };
    let mut tighter = spec.clone();
    tighter["networkIsolation"]["defaultDeny"] = json!(["Ingress", "Egress"]);
    propose(&tighter);
    // A second file, since a folder has more than one.
    let other = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{}-b", set.name), "labels": {LABEL: set.name}}});
    std::fs::write(here.join("baselines/z.yaml"), serde_saphyr::to_string(&other).unwrap()).unwrap();

    let workflow = document("config/ci/pull-request.yaml");
    let steps = workflow["jobs"]["preview"]["steps"].as_array().unwrap();
    let kubeconfig = std::fs::read_to_string(&reader).unwrap();
    let at = here.join("kubeconfig").display().to_string();
    let mut ran = 0;
    for one in steps.iter().filter(|step| step["run"].is_string()) {
        let env = [("READER_KUBECONFIG", kubeconfig.as_str()), ("KUBECONFIG", at.as_str())];
        let done = step(one["run"].as_str().unwrap(), here, &env).await;
        assert!(
            done.status.success(),
            "{}: {}",
            one["name"],
            String::from_utf8_lossy(&done.stderr)
        );
        ran += 1;
    }
    assert_eq!(ran, 4);
    let summary = std::fs::read_to_string(here.join("summary.md")).unwrap();
    assert!(
        summary.contains("default-deny-egress") && summary.contains(&format!("{}-b", set.name)),
        "{summary}"
    );
    let sarif: Value = serde_json::from_str(&std::fs::read_to_string(here.join("posture.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(
        std::fs::read_to_string(here.join("posture.html"))
            .unwrap()
            .starts_with("<!doctype html>")
    );

    let mut looser = spec;
    looser["mode"] = json!("Audit");
    propose(&looser);
    let gate = steps.iter().find(|step| step["name"] == "It loosens nothing").unwrap();
    let done = step(gate["run"].as_str().unwrap(), here, &[("KUBECONFIG", &at)]).await;
    assert!(!done.status.success());
    assert!(
        String::from_utf8_lossy(&done.stderr).contains("this loosens"),
        "{:?}",
        done.stderr
    );
}

#[test]
fn the_krew_manifest_is_what_krew_asks_for() {
    let manifest = document("config/krew/security-baseline.yaml");
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(
        (&manifest["kind"], &manifest["metadata"]["name"]),
        (&json!("Plugin"), &json!("security-baseline"))
    );
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    // The naming guide: at most 50 characters, and no full stop.
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(short.len() <= 50 && !short.ends_with('.'), "{short}");
    for platform in spec["platforms"].as_array().unwrap() {
        let bin = platform["bin"].as_str().unwrap();
        assert_eq!(bin, "kubectl-security_baseline");
        let files = platform["files"].as_array().unwrap();
        assert!(
            files.iter().any(|file| file["from"] == bin && file["to"] == "."),
            "{platform}"
        );
        assert!(platform["selector"]["matchLabels"]["os"].is_string(), "{platform}");
    }
}
