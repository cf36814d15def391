//! What the API server takes and refuses, and what people see with kubectl.

mod files;
mod labels;
pub mod refusals;

use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use self::refusals::Refusal;
use crate::stage::{self, Set, condition, everything, file, get, grant, merge, shared};
use crate::support::{ControlPlane, install_yaml};

fn baseline(name: &str, spec: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "securitybaseline.dev/v1alpha1",
        "kind": "SecurityBaseline",
        "metadata": {"name": name},
        "spec": spec,
    }))
    .unwrap()
}

#[tokio::test]
async fn every_mistake_is_refused_at_admission_by_a_message_that_names_the_field_and_the_mend() {
    let (plane, _) = shared().await;
    let baselines = stage::api(&plane.admin().await.unwrap(), "SecurityBaseline", None);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut wrong = Vec::new();
    for Refusal(what, spec, field, mend) in refusals::all() {
        match baselines.create(&dry, &baseline("mistake", &spec)).await {
            Err(kube::Error::Api(status)) if status.code == 422 => {
                // One line for each field: the field and the mend are told together.
                let told = |part: &str| part.contains(field) && part.contains(mend);
                if !status.message.split(", spec").any(|part| told(&format!("spec{part}"))) && !told(&status.message) {
                    wrong.push(format!("{what}: {}", status.message));
                }
            }
            Err(error) => wrong.push(format!("{what}: {error}")),
            Ok(_) => wrong.push(format!("{what}: accepted")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_empty_selector_is_accepted_as_it_is_and_a_field_that_does_not_exist_is_not() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let good = baseline("good", &json!({"namespaceSelector": {}}));
    let taken = stage::api(&admin, "SecurityBaseline", None).create(&dry, &good).await;
    let taken = taken.unwrap();
    assert_eq!(taken.data["spec"], json!({"namespaceSelector": {}, "mode": "Audit"}));

    let set = Set::new(plane, "typo").await;
    let spec = json!({"podSecurity": {"enforced": {"level": "baseline"}}});
    let error = set.baseline_named(&set.name, spec).await.unwrap_err().to_string();
    assert!(error.contains("spec.podSecurity.enforced"), "{error}");
}

#[tokio::test]
async fn a_bad_edit_of_a_good_baseline_leaves_the_old_one_enforced() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "bad-edit").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(everything()).await;
    set.until_enforced(1).await;

    let mut bad = everything();
    bad["resourceQuotas"]["items"][0]["hard"]["pods"] = json!("many");
    set.baseline_named(&set.name, bad).await.unwrap_err();
    let after = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert_eq!(after["metadata"]["generation"], 1);

    let opened = json!({"spec": {"hard": {"pods": "1000"}}});
    let quota = ("ResourceQuota", "security-baseline-compute");
    merge(&set.admin, quota.0, Some(&namespace), quota.1, opened)
        .await
        .unwrap();
    set.object_until(quota.0, &namespace, quota.1, "is as it was", |q| {
        q["spec"]["hard"]["pods"] == "50"
    })
    .await;
    let ready = set.until("Ready", "True").await;
    assert_eq!(condition(&ready, "Ready")["reason"], "Enforced");
}

#[tokio::test]
async fn every_sample_applies_without_a_warning_and_comes_true() {
    let (plane, _) = shared().await;
    let samples = file("config/samples");
    // All at once, as the kustomization says, and file by file.
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&samples).unwrap() {
        let path = entry.unwrap().path();
        // The exception's needs a date first, and has a test of its own.
        let apart = ["kustomization.yaml", crate::exceptions::SAMPLE];
        if path.file_name().is_some_and(|name| !apart.iter().any(|a| name == *a)) {
            let path = path.to_str().unwrap().to_owned();
            let apply = [
                "--warnings-as-errors",
                "apply",
                "--server-side",
                "--output=name",
                "-f",
                &path,
            ];
            let applied = plane.kubectl(&apply).await.unwrap();
            let of_baseline =
                |line: &str| Some(line.strip_prefix("securitybaseline.securitybaseline.dev/")?.to_owned());
            names.extend(applied.lines().filter_map(of_baseline));
        }
    }
    let samples = samples.to_str().unwrap();
    let apply = ["--warnings-as-errors", "apply", "--server-side", "-k", samples];
    plane.kubectl(&apply).await.unwrap();
    names.sort();
    assert_eq!(
        names,
        [
            "access",
            "limit-ranges",
            "network-isolation",
            "pod-security",
            "resource-quotas",
            "tenants"
        ]
    );

    let set = Set::new(plane, "samples").await;
    for name in &names {
        let namespace = format!("{}-{name}", set.name);
        let label = match name.as_str() {
            "tenants" => ("platform.example.com/tenant", "true"),
            _ => ("platform.example.com/baseline", name.as_str()),
        };
        plane.namespace(&namespace, &[label]).await.unwrap();
        let audited = set.until_named(name, "Ready", "True").await;
        assert_eq!(audited["status"]["problems"], Value::Null, "{name}");
        // What is audited, and then the same enforced, is a state that a real cluster comes to.
        let mut enforced = json!({"spec": {"mode": "Enforce"}});
        if name == "tenants" {
            enforced["spec"]["networkIsolation"] = json!({"mode": "Enforce"});
        }
        merge(&set.admin, "SecurityBaseline", None, name, enforced)
            .await
            .unwrap();
        set.baseline_until(name, "is enforced", |b| {
            b["status"]["appliedGeneration"] == b["metadata"]["generation"]
                && b["status"]["namespaces"]["selected"] == 1
                && b["status"]["namespaces"]["compliant"] == 1
        })
        .await;
    }
    for name in &names {
        stage::delete(&set.admin, "SecurityBaseline", None, name).await;
    }
}

#[tokio::test]
async fn kubectl_shows_waits_for_and_explains_a_baseline() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "kubectl").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "podSecurity": {"enforce": {"level": "baseline"}}}))
        .await;
    let name = set.name.as_str();
    let waited = plane
        .kubectl(&["wait", "--for=condition=Ready", &format!("sb/{name}"), "--timeout=30s"])
        .await
        .unwrap();
    assert!(waited.contains("condition met"), "{waited}");
    set.until_enforced(1).await;

    let shown = plane.kubectl(&["get", "sb", name]).await.unwrap();
    let lines: Vec<Vec<&str>> = shown.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        [
            "NAME",
            "READY",
            "MODE",
            "NAMESPACES",
            "DRIFTED",
            "BLOCKED",
            "REASON",
            "AGE"
        ]
    );
    assert_eq!(lines[1][..7], [name, "True", "Enforce", "1", "0", "0", "Enforced"]);
    // The API server holds back what is written of a kind that it has only just come to know, for two seconds.
    set.report_until(&namespace, "is there", |_| true).await;
    let wide = ["get", "br", "-n", &namespace, "--output=wide"];
    let report = plane.kubectl(&wide).await.unwrap();
    assert!(report.contains("READY") && report.contains("Compliant"), "{report}");
    let both = plane
        .kubectl(&["get", "security", "-n", &namespace, "--output=name"])
        .await
        .unwrap();
    assert!(
        both.contains(&format!("securitybaseline.securitybaseline.dev/{name}")),
        "{both}"
    );
    assert!(both.contains("baselinereport.securitybaseline.dev/baseline"), "{both}");

    let field = "securitybaseline.spec.networkIsolation.defaultDeny";
    let explained = plane.kubectl(&["explain", field]).await.unwrap();
    assert!(
        explained.contains("The directions that are denied by default."),
        "{explained}"
    );
}

/// Every field of both kinds says what it is: `kubectl explain` is the reference that people have at hand.
#[tokio::test]
async fn every_field_of_a_baseline_is_explained() {
    let (plane, _) = shared().await;
    let crds = stage::api(&plane.admin().await.unwrap(), "CustomResourceDefinition", None);
    let crd = crds.get("securitybaselines.securitybaseline.dev").await.unwrap();
    let schema = &crd.data["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let mut bare = Vec::new();
    for part in ["spec", "status"] {
        undescribed(part, &schema[part], &mut bare);
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

fn undescribed(path: &str, schema: &Value, bare: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().is_none_or(str::is_empty) {
            bare.push(path.clone());
        }
        undescribed(&path, field, bare);
        undescribed(&path, &field["items"], bare);
    }
}

#[tokio::test]
async fn a_baseline_that_no_operator_has_seen_does_not_look_healthy() {
    let plane = ControlPlane::start().await.unwrap();
    plane.install(&install_yaml()).await.unwrap();
    let set = Set::new(&plane, "unseen").await;
    set.baseline(json!({"mode": "Enforce"})).await;
    let fresh = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    assert_eq!(fresh["status"], json!({"observedGeneration": -1}));
    let wait = [
        "wait",
        "--for=condition=Ready",
        &format!("sb/{}", set.name),
        "--timeout=1s",
    ];
    plane.kubectl(&wait).await.unwrap_err();
}
