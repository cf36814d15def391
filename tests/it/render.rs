//! The commands that need no cluster: `render` and `crds`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::stage::{BINARY, LABEL, Set, everything, file, get, grant, shared};

/// Runs the operator's binary with this on its standard input.
fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(BINARY)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn documents(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    all.into_iter().filter(|d| !d.is_null()).collect()
}

fn baseline(spec: &Value) -> String {
    let mut spec = spec.clone();
    if spec["namespaceSelector"].is_null() {
        spec["namespaceSelector"] = json!({"matchLabels": {LABEL: "rendered"}});
    }
    let object = json!({
        "apiVersion": "securitybaseline.dev/v1alpha1",
        "kind": "SecurityBaseline",
        "metadata": {"name": "rendered"},
        "spec": spec,
    });
    serde_saphyr::to_string(&object).unwrap()
}

/// A live object without what the API server adds to every object.
fn bare(mut live: Value) -> Value {
    live.as_object_mut().unwrap().remove("status");
    let metadata = live["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| matches!(field.as_str(), "name" | "namespace" | "labels" | "annotations"));
    live
}

#[tokio::test]
async fn render_prints_the_very_objects_that_enforce_creates() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "render").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(everything()).await;
    set.until_enforced(1).await;

    // Audit or not: what is printed is what Enforce would do.
    let mut audited = everything();
    audited["mode"] = json!("Audit");
    let input = baseline(&audited);
    let from_stdin = run(&["render", "-f", "-", "--namespace", &namespace], &input);
    assert!(from_stdin.status.success(), "{}", text(&from_stdin.stderr));
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), &input).unwrap();
    let path = path.path().to_str().unwrap();
    let from_file = run(&["render", "-f", path, "--namespace", &namespace], "");
    assert_eq!(from_stdin.stdout, from_file.stdout);

    let rendered = documents(text(&from_stdin.stdout));
    let mut kinds: Vec<&str> = rendered.iter().map(|d| d["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "LimitRange",
            "Namespace",
            "NetworkPolicy",
            "NetworkPolicy",
            "ResourceQuota",
            "Role",
            "RoleBinding",
            "RoleBinding"
        ]
    );
    for object in rendered {
        let (kind, name) = (
            object["kind"].as_str().unwrap(),
            object["metadata"]["name"].as_str().unwrap(),
        );
        if kind == "Namespace" {
            let live = get(&set.admin, kind, None, name).await.unwrap();
            for (key, value) in object["metadata"]["labels"].as_object().unwrap() {
                assert_eq!(live["metadata"]["labels"][key], *value, "{key}");
            }
            continue;
        }
        let live = get(&set.admin, kind, Some(&namespace), name).await.unwrap();
        assert_eq!(object, bare(live));
    }
}

#[test]
fn render_says_whether_labels_are_selected() {
    let input = baseline(&json!({"podSecurity": {"warn": {"level": "baseline"}}}));
    let label = |value: &str| format!("team=a,{LABEL}={value}");
    let selected = run(
        &["render", "-f", "-", "-n", "x", "--namespace-labels", &label("rendered")],
        &input,
    );
    assert_eq!(documents(text(&selected.stdout)).len(), 1);
    let other = run(
        &["render", "-f", "-", "-n", "x", "--namespace-labels", &label("other")],
        &input,
    );
    assert!(other.status.success());
    assert!(
        text(&other.stdout).contains("does not select a namespace x"),
        "{}",
        text(&other.stdout)
    );
    assert!(documents(text(&other.stdout)).is_empty());
}

#[test]
fn render_refuses_a_bad_baseline_and_names_the_field() {
    for (input, named) in [
        (
            baseline(&json!({"resourceQuotas": {"items": [{"name": "a", "hard": {"pods": -1}}]}})),
            "spec.resourceQuotas.items[0].hard[pods]",
        ),
        (
            baseline(&json!({"podSecurity": {"enforce": {"level": "strict"}}})),
            "spec.podSecurity.enforce.level",
        ),
        (baseline(&json!({"firewall": {}})), "firewall"),
        ("kind: ConfigMap\n".to_owned(), "no SecurityBaseline"),
        ("kind: [".to_owned(), "line"),
    ] {
        let refused = run(&["render", "-f", "-"], &input);
        assert_eq!(refused.status.code(), Some(2), "{input}");
        assert!(
            text(&refused.stderr).contains(named),
            "{named} in {}",
            text(&refused.stderr)
        );
        assert!(refused.stdout.is_empty());
    }
    let missing = run(&["render", "-f", "/nowhere/at-all.yaml"], "");
    assert!(text(&missing.stderr).contains("/nowhere/at-all.yaml"));
}

/// Renders a baseline under exceptions, each in a file of its own.
fn under(exceptions: &[Value]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut args = vec![
        "render".to_owned(),
        "-f".into(),
        "-".into(),
        "-n".into(),
        "team-a".into(),
    ];
    for (i, exception) in exceptions.iter().enumerate() {
        let file = dir.path().join(format!("{i}.yaml"));
        std::fs::write(&file, exception.to_string()).unwrap();
        args.extend(["--exceptions".to_owned(), file.display().to_string()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run(&args, &baseline(&everything()))
}

/// An exception from the quota, and from Pod Security above `baseline`; what it says otherwise is merged in.
fn exception(name: &str, created: Option<&str>, expires: &str) -> Value {
    json!({
        "kind": "BaselineException",
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {
            "namespaces": ["team-a"],
            "waive": [{"control": "resourceQuotas"}, {"control": "podSecurity", "level": "baseline"}],
            "reason": "a test", "approver": "tester", "expiresAt": expires,
        },
    })
}

#[test]
fn render_takes_out_what_exceptions_waive_now_and_says_so() {
    let in_an_hour = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let valid = exception("valid", None, &in_an_hour);
    let expired = exception("expired", Some("2026-01-01T00:00:00Z"), "2026-01-02T00:00:00Z");
    let mut elsewhere = exception("elsewhere", None, &in_an_hour);
    elsewhere["spec"]["namespaces"] = json!(["team-b"]);
    let whole = documents(text(&under(&[]).stdout));
    let list = json!({"kind": "List", "items": [expired, elsewhere]});
    for (exceptions, waived) in [(vec![list.clone()], false), (vec![list, valid], true)] {
        let rendered = under(&exceptions);
        assert!(rendered.status.success(), "{}", text(&rendered.stderr));
        let out = text(&rendered.stdout);
        assert!(
            out.contains("# the exception expired waives nothing here: it has expired"),
            "{out}"
        );
        assert!(
            out.contains("# the exception elsewhere waives nothing here: it names nothing"),
            "{out}"
        );
        let left = documents(out);
        let kind = |kind: &str| left.iter().find(|d| d["kind"] == kind);
        assert_eq!(kind("ResourceQuota").is_none(), waived);
        assert_eq!(left.len(), whole.len() - usize::from(waived));
        let level = &kind("Namespace").unwrap()["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
        assert_eq!(*level, if waived { "baseline" } else { "restricted" });
        let told = format!("# waived: podSecurity to baseline: by valid, until {in_an_hour}");
        assert_eq!(out.contains(&told), waived, "{out}");
    }
}

#[test]
fn render_refuses_a_bad_exception_and_names_the_field() {
    let long = exception("long", Some("2026-01-01T00:00:00Z"), "2027-01-01T00:00:00Z");
    let mut typo = long.clone();
    typo["spec"]["waive"][0]["object"] = json!("x");
    for (bad, named) in [
        (long, "spec.expiresAt"),
        (typo, "spec.waive[0].object"),
        (json!({"kind": "ConfigMap"}), "something else than BaselineExceptions"),
    ] {
        let refused = under(&[bad]);
        assert_eq!(refused.status.code(), Some(2));
        let told = text(&refused.stderr);
        assert!(told.contains(named) && told.contains("0.yaml"), "{told}");
        assert!(refused.stdout.is_empty());
    }
}

#[test]
fn every_sample_renders() {
    for entry in std::fs::read_dir(file("config/samples")).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read_to_string(&path).unwrap();
        if !content.contains("kind: SecurityBaseline") {
            continue;
        }
        let rendered = run(&["render", "-f", path.to_str().unwrap()], "");
        assert!(rendered.status.success(), "{}", text(&rendered.stderr));
        let out = text(&rendered.stdout);
        assert!(!documents(out).is_empty() && !out.contains("# held"), "{out}");
    }
}

#[test]
fn crds_prints_what_the_folder_holds() {
    let printed = run(&["crds"], "");
    assert!(printed.status.success());
    let mut held = Vec::new();
    for name in [
        "securitybaselines.yaml",
        "baselinereports.yaml",
        "baselineexceptions.yaml",
    ] {
        held.extend(documents(&std::fs::read_to_string(file("crds").join(name)).unwrap()));
    }
    assert_eq!(documents(text(&printed.stdout)), held);
}

#[test]
fn who_reads_only_the_beginning_is_no_error() {
    let mut child = Command::new(BINARY)
        .arg("crds")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        text(&output.stderr)
    );
}
