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
        .env("GITHUB_PATH", folder.join("path"))
        .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
        .output()
        .await
        .unwrap()
}

/// The script of a step of a job.
fn script<'a>(workflow: &'a Value, job: &str, name: &str) -> &'a str {
    let mut steps = workflow["jobs"][job]["steps"].as_array().unwrap().iter();
    let found = steps.find(|step| step["name"] == name);
    found.unwrap_or_else(|| panic!("{job}: {name}"))["run"]
        .as_str()
        .unwrap()
}

fn git(folder: &Path, args: &[&str]) {
    let who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    let done = std::process::Command::new("git")
        .args(who)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// An archive as a release has it, with a program in it that calls the one that is tested; its checksum.
fn archive(folder: &Path) -> String {
    let inside = folder.join("archive");
    std::fs::create_dir(&inside).unwrap();
    let program = inside.join("kubectl-security_baseline");
    std::fs::write(&program, format!("#!/bin/sh\nexec '{BINARY}' \"$@\"\n")).unwrap();
    let make = "chmod +x archive/kubectl-security_baseline && tar -czf plugin-made.tar.gz -C archive kubectl-security_baseline && sha256sum plugin-made.tar.gz";
    let made = std::process::Command::new("sh")
        .args(["-c", make])
        .current_dir(folder)
        .output()
        .unwrap();
    let sum = String::from_utf8(made.stdout).unwrap();
    sum.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn the_example_workflow_shows_a_change_and_stops_one_that_loosens() {
    let (plane, _) = shared().await;
    let reader = reader(plane).await;
    let set = Set::new(plane, "pipeline").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"namespaceSelector": {"matchLabels": {LABEL: set.name}}, "mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;

    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::create_dir(here.join("baselines")).unwrap();
    let put = |name: &str, object: &Value| {
        let text = serde_saphyr::to_string(object).unwrap();
        std::fs::write(here.join("baselines").join(name), text).unwrap();
    };
    let baseline = |spec: &Value| json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": set.name}, "spec": spec});
    put("set.yaml", &baseline(&spec));
    git(here, &["init", "--quiet"]);
    git(here, &["add", "baselines"]);
    git(here, &["commit", "--quiet", "--message", "before"]);
    let mut tighter = spec.clone();
    tighter["networkIsolation"]["defaultDeny"] = json!(["Ingress", "Egress"]);
    put("set.yaml", &baseline(&tighter));
    // A second file, since a folder has more than one.
    put(
        "z.yaml",
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{}-b", set.name), "labels": {LABEL: set.name}}}),
    );
    git(here, &["add", "baselines"]);
    git(here, &["commit", "--quiet", "--message", "the pull request"]);

    let workflow = document("config/ci/pull-request.yaml");
    let version = format!("/v{}/", env!("CARGO_PKG_VERSION"));
    assert!(
        workflow["env"]["ARCHIVE"].as_str().unwrap().contains(&version),
        "{version}"
    );
    let kubeconfig = std::fs::read_to_string(&reader).unwrap();
    let at = here.join("kubeconfig").display().to_string();
    let sum = archive(here);
    let made = format!("file://{}", here.join("plugin-made.tar.gz").display());
    let env = [
        ("READER_KUBECONFIG", kubeconfig.as_str()),
        ("KUBECONFIG", at.as_str()),
        ("ARCHIVE", made.as_str()),
        ("SHA256", sum.as_str()),
    ];
    let mut ran = 0;
    for job in ["preview", "posture"] {
        for one in workflow["jobs"][job]["steps"].as_array().unwrap() {
            let Some(script) = one["run"].as_str() else { continue };
            let done = step(script, here, &env).await;
            assert!(
                done.status.success(),
                "{}: {}",
                one["name"],
                String::from_utf8_lossy(&done.stderr)
            );
            ran += 1;
        }
    }
    assert_eq!(ran, 8);
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

    // A baseline that audits from now on, an exception, and a file that is gone.
    let gate = script(&workflow, "preview", "It loosens nothing");
    let stops = async |what: &str| {
        let done = step(gate, here, &env).await;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(
            !done.status.success() && said.contains("this loosens"),
            "{what}: {said}"
        );
    };
    let mut looser = spec.clone();
    looser["mode"] = json!("Audit");
    put("set.yaml", &baseline(&looser));
    stops("Audit").await;
    put("set.yaml", &baseline(&spec));
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(5);
    put(
        "exception.yaml",
        &json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "BaselineException",
        "metadata": {"name": set.name}, "spec": {"namespaces": [namespace], "reason": "a test", "approver": "nobody",
        "expiresAt": expires.to_string(), "waive": [{"control": "networkIsolation"}]}}),
    );
    stops("an exception").await;
    std::fs::remove_file(here.join("baselines/exception.yaml")).unwrap();
    let moved = step("mv baselines/set.yaml baselines/renamed.yaml", here, &[]).await;
    assert!(moved.status.success());
    assert!(
        step(gate, here, &env).await.status.success(),
        "what only moved is not deleted"
    );
    std::fs::remove_file(here.join("baselines/renamed.yaml")).unwrap();
    stops("a deletion").await;
}

#[test]
fn a_release_fills_in_the_checksums_of_the_archives_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let fill = || {
        let ran = std::process::Command::new(file(".ci/krew"))
            .arg(folder.path())
            .output()
            .unwrap();
        (ran.status.success(), String::from_utf8(ran.stdout).unwrap())
    };
    assert!(!fill().0, "a manifest of no archive is of no use");
    let name = "kubectl-security_baseline-linux-amd64.tar.gz";
    std::fs::write(folder.path().join(name), "hello\n").unwrap();
    let (made, text) = fill();
    assert!(made, "{text}");
    let manifest: Value = serde_saphyr::from_str(&text).unwrap();
    let shipped = document("config/krew/security-baseline.yaml");
    let platforms = manifest["spec"]["platforms"].as_array().unwrap();
    assert_eq!(platforms.len(), 1, "{text}");
    assert!(platforms[0]["uri"].as_str().unwrap().ends_with(name), "{text}");
    assert_eq!(
        platforms[0]["sha256"],
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    );
    for same in ["version", "shortDescription", "description", "caveats"] {
        assert_eq!(manifest["spec"][same], shipped["spec"][same]);
    }
    let release = std::fs::read_to_string(file(".ci/release")).unwrap();
    assert!(release.contains("kubectl-security_baseline-linux-$arch.tar.gz"));
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
