//! Health and actions for Argo CD: the files, their fixtures, and the patch that is made of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::stage::{condition, file};
use crate::states::State;
use crate::tools;

/// The patch of `argocd-cm` that users install.
pub const SETTINGS: &str = "config/argocd/argocd-cm.yaml";
/// The files that it is made of, in Argo CD's own layout.
const FOLDER: &str = "config/argocd/resource_customizations";
const KINDS: [&str; 3] = ["SecurityBaseline", "BaselineException", "BaselineReport"];
const REFRESHED: &str = "/metadata/annotations/securitybaseline.dev~1resume-rollout";

fn folder(kind: &str) -> PathBuf {
    file(FOLDER).join("securitybaseline.dev").join(kind)
}

fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Writes the fixtures anew, of what a cluster had: `WRITE_FIXTURES=1 make test-gitops`.
pub fn write_fixtures(states: &[State], argo: &[Value]) {
    for kind in KINDS {
        let mut tests = Vec::new();
        for (State { object, .. }, answer) in states.iter().zip(argo) {
            // That one Argo CD judges by itself.
            if object["kind"] != kind || object["metadata"]["deletionTimestamp"].is_string() {
                continue;
            }
            let holds = |type_: &str| condition(object, type_)["status"] == "True";
            let mut name = condition(object, "Ready")["reason"]
                .as_str()
                .unwrap_or("New")
                .to_owned();
            // What is true beside Ready.
            for type_ in ["Degraded", "Contested", "Drifted"] {
                if holds("Ready") && holds(type_) {
                    name.push_str(condition(object, type_)["reason"].as_str().unwrap());
                }
            }
            let path = format!("testdata/{}.yaml", name.to_lowercase());
            write(&folder(kind).join(&path), object);
            tests.push(json!({"inputPath": path, "healthStatus": answer["health"]}));
        }
        write(&folder(kind).join("health_test.yaml"), &json!({"tests": tests}));
    }
}

/// Writes a fixture. What this run of the test called its objects is left out.
fn write(path: &Path, fixture: &Value) {
    let text = serde_saphyr::to_string(fixture).unwrap();
    std::fs::write(path, text.replace(&format!("-{}-", std::process::id()), "-")).unwrap();
}

#[test]
fn health_is_as_the_fixtures_say_by_the_files_and_by_the_patch_made_of_them() {
    for kind in KINDS {
        let tests = yaml(&folder(kind).join("health_test.yaml"));
        let tests = tests["tests"].as_array().unwrap();
        assert!(tests.len() >= 4, "{kind}: only {} tests", tests.len());
        let inputs: Vec<Value> = tests
            .iter()
            .map(|t| yaml(&folder(kind).join(t["inputPath"].as_str().unwrap())))
            .collect();
        for settings in [FOLDER, SETTINGS] {
            let answers = tools::argo(&file(settings), &inputs);
            for (test, answer) in tests.iter().zip(answers) {
                assert_eq!(
                    answer["health"], test["healthStatus"],
                    "{settings}: {kind}/{}",
                    test["inputPath"]
                );
            }
        }
        let fixtures: BTreeSet<_> = std::fs::read_dir(folder(kind).join("testdata"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(fixtures.len(), tests.len(), "every fixture of {kind} is tested");
    }
}

#[test]
fn actions_are_offered_and_do_as_their_fixtures_say_by_the_files_and_by_the_patch_made_of_them() {
    let folder = folder("SecurityBaseline").join("actions");
    let tests = yaml(&folder.join("action_test.yaml"));
    let input = |test: &Value| yaml(&folder.join(test["inputPath"].as_str().unwrap()));
    for settings in [FOLDER, SETTINGS] {
        let mut checked = 0;
        for test in tests["discoveryTests"].as_array().unwrap() {
            let answer = &tools::argo(&file(settings), &[input(test)])[0];
            let offered: Vec<Value> = answer["actions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|a| json!({"name": a["name"], "disabled": a["disabled"].as_bool().unwrap_or(false)}))
                .collect();
            assert_eq!(json!(offered), test["result"], "{settings}: {test}");
        }
        for test in tests["actionTests"].as_array().unwrap() {
            let answer = &tools::argo(&file(settings), &[input(test)])[0];
            let mut made = answer["results"][test["action"].as_str().unwrap()].clone();
            // The one thing that differs from time to time.
            if let Some(at) = made.pointer_mut(REFRESHED) {
                assert!(
                    at.as_str().unwrap().parse::<k8s_openapi::jiff::Timestamp>().is_ok(),
                    "{at}"
                );
                *at = json!("0001-01-01T00:00:00Z");
            }
            let expected = yaml(&folder.join(test["expectedOutputPath"].as_str().unwrap()));
            assert_eq!(made, expected, "{settings}: {test}");
            checked += 1;
        }
        assert_eq!(checked, 4);
    }
}

#[test]
fn the_patch_is_what_its_files_make() {
    let output = Command::new(file("config/argocd/patch.sh")).output().unwrap();
    assert!(output.status.success());
    let made = String::from_utf8(output.stdout).unwrap();
    assert!(
        made == std::fs::read_to_string(file(SETTINGS)).unwrap(),
        "{SETTINGS} is stale: make generate"
    );
}

#[test]
fn the_component_adds_the_patch_to_argo_cds_own_settings() {
    let manifests = crate::process::module("argocd", crate::argo::ARGO_CD, crate::argo::ARGO_CD).join("manifests");
    let folder = tempfile::tempdir().unwrap().keep().canonicalize().unwrap();
    std::fs::copy(
        manifests.join("base/config/argocd-cm.yaml"),
        folder.join("argocd-cm.yaml"),
    )
    .unwrap();
    // kustomize takes relative paths alone.
    let up = "../".repeat(folder.components().count() - 1);
    let component = file("config/argocd").canonicalize().unwrap();
    let ours = format!("{up}{}", component.strip_prefix("/").unwrap().display());
    let kustomization = json!({"resources": ["argocd-cm.yaml"], "components": [ours]});
    std::fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    let made = crate::process::run(&folder, "kubectl", &["kustomize", "."]);
    let made: Value = serde_saphyr::from_str(&String::from_utf8(made).unwrap()).unwrap();
    let data = made["data"].as_object().unwrap();
    for (key, value) in yaml(&file(SETTINGS))["data"].as_object().unwrap() {
        assert_eq!(data[key], *value, "{key}");
    }
    assert!(data.contains_key("resource.exclusions"), "Argo CD's own settings stay");
    std::fs::remove_dir_all(folder).unwrap();
}
