//! What a diff says of changes, from files.

use std::path::Path;

use serde_json::{Value, json};

use super::{Ran, arg, namespace_of, run, written};

const API: &str = "securitybaseline.dev/v1alpha1";

/// Runs a command that must not reach a cluster.
async fn offline(args: &[&str]) -> Ran {
    run(Path::new("/dev/null"), args).await
}

fn namespace(name: &str, tenant: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name,
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"tenant": tenant}}})
}

/// A baseline that enforces, of the namespaces of a tenant.
fn baseline(tenant: &str) -> Value {
    json!({"apiVersion": API, "kind": "SecurityBaseline", "metadata": {"name": "tenants", "uid": "t", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"namespaceSelector": {"matchLabels": {"tenant": tenant}}, "mode": "Enforce",
            "networkIsolation": {"defaultDeny": ["Ingress"]}, "podSecurity": {"enforce": {"level": "restricted"}}}})
}

fn exception(hours: i64, waive: Value) -> Value {
    let now = jiff::Timestamp::now();
    let expires = now + jiff::SignedDuration::from_hours(hours);
    json!({"apiVersion": API, "kind": "BaselineException", "metadata": {"name": "legacy", "uid": "e", "generation": 1, "creationTimestamp": now.to_string()},
        "spec": {"namespaces": ["team-a"], "reason": "a test", "approver": "nobody", "expiresAt": expires.to_string(), "waive": waive}})
}

fn list(items: Vec<Value>) -> tempfile::NamedTempFile {
    written(&json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// What a diff says where these objects are there.
async fn diff(there: Vec<Value>, args: &[&str]) -> Value {
    let there = list(there);
    let ran = offline(&[&["diff", "--objects", arg(&there), "-o", "json"], args].concat()).await;
    assert!(ran.code < 2, "{}", ran.err);
    ran.json()
}

fn loosened<'a>(diff: &'a Value, namespace: &str) -> Vec<&'a str> {
    let sections = namespace_of(diff, namespace)["sections"]
        .as_array()
        .into_iter()
        .flatten();
    let loosened = sections.filter(|section| section["loosens"] == true);
    loosened.filter_map(|section| section["name"].as_str()).collect()
}

#[tokio::test]
async fn an_exception_loosens_what_it_waives_and_one_that_is_made_longer_does_too() {
    let there = || vec![namespace("team-a", "yes"), namespace("team-b", "yes"), baseline("yes")];
    let whole = json!([{"control": "networkIsolation"}]);
    let level = json!([{"control": "podSecurity", "level": "baseline"}]);
    for (waive, expected) in [(&whole, "networkIsolation"), (&level, "podSecurity")] {
        let file = written(&exception(5, waive.clone()));
        let diff = diff(there(), &["-f", arg(&file)]).await;
        assert_eq!(loosened(&diff, "team-a"), [expected], "{diff}");
        assert_eq!(
            (&diff["summary"]["loosen"], loosened(&diff, "team-b").len()),
            (&json!(1), 0)
        );
    }
    let with = |hours| [there(), vec![exception(hours, whole.clone())]].concat();
    let longer = written(&exception(9, whole.clone()));
    let diff_of = diff(with(5), &["-f", arg(&longer)]).await;
    assert_eq!(loosened(&diff_of, "team-a"), ["networkIsolation"], "{diff_of}");
    let shorter = diff(with(20), &["-f", arg(&longer)]).await;
    assert_eq!(shorter["summary"]["loosen"], 0, "{shorter}");
    let ends = diff(with(5), &["--deleted", arg(&longer)]).await;
    assert_eq!(
        (&ends["summary"]["loosen"], &ends["objects"][0]["change"]),
        (&json!(0), &json!("delete")),
        "{ends}"
    );
}

#[tokio::test]
async fn what_a_change_deletes_is_told_and_what_only_moves_is_not_deleted() {
    let there = || vec![namespace("team-a", "yes"), baseline("yes")];
    let file = written(&baseline("yes"));
    let gone = diff(there(), &["--deleted", arg(&file)]).await;
    assert_eq!(namespace_of(&gone, "team-a")["leaves"], true, "{gone}");
    assert_eq!(loosened(&gone, "team-a"), ["networkIsolation", "podSecurity"], "{gone}");
    let moved = offline(&[
        "diff",
        "--objects",
        arg(&list(there())),
        "-f",
        arg(&file),
        "--deleted",
        arg(&file),
    ])
    .await;
    assert_eq!(
        (moved.code, moved.out.contains("It changes nothing.")),
        (0, true),
        "{}",
        moved.out
    );
    // A namespace that is deleted is not loosened: nothing is there any more.
    let namespaces = written(&namespace("team-a", "yes"));
    let goes = diff(there(), &["--deleted", arg(&namespaces)]).await;
    assert_eq!(
        (&goes["summary"]["leaves"], &goes["summary"]["loosen"]),
        (&json!(1), &json!(0)),
        "{goes}"
    );
    // What is not there cannot be deleted.
    let absent = diff(vec![namespace("team-a", "yes")], &["--deleted", arg(&file)]).await;
    assert_eq!(absent["objects"][0]["change"], "none", "{absent}");
}

#[tokio::test]
async fn namespaces_that_come_and_go_are_counted_whichever_are_shown() {
    let there = || vec![namespace("team-a", "yes"), namespace("team-b", "no"), baseline("yes")];
    let mut other = baseline("no");
    // Nothing is declared that could differ.
    other["spec"]
        .as_object_mut()
        .unwrap()
        .retain(|key, _| key == "namespaceSelector");
    let file = written(&other);
    let moved = diff(there(), &["-f", arg(&file)]).await;
    assert_eq!(namespace_of(&moved, "team-b")["joins"], true, "{moved}");
    assert_eq!(namespace_of(&moved, "team-a")["leaves"], true, "{moved}");
    let one = diff(there(), &["-f", arg(&file), "-n", "team-b"]).await;
    assert_eq!(one["summary"], moved["summary"]);
    assert_eq!(
        (
            &one["summary"]["joins"],
            &one["summary"]["leaves"],
            one["namespaces"].as_array().unwrap().len()
        ),
        (&json!(1), &json!(1), 1)
    );
    let text = offline(&["diff", "--objects", arg(&list(there())), "-f", arg(&file)])
        .await
        .out;
    for told in ["join", "leave", "1 held from now on, 1 held no more"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[tokio::test]
async fn a_label_that_git_states_no_longer_is_taken_off() {
    let report = json!({"apiVersion": API, "kind": "BaselineReport", "metadata": {"name": "baseline", "namespace": "team-a", "uid": "r", "resourceVersion": "5"},
        "status": {"conditions": [], "baselines": [{"name": "tenants", "uid": "t", "generation": 1, "state": "Enforced", "admittedBy": [{"key": "tenant", "value": "yes"}]}]}});
    let mut live = namespace("team-a", "yes");
    let applied = json!({"metadata": {"name": "team-a", "labels": {"tenant": "yes"}}});
    live["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()});
    let bare = written(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}}));
    let unreported = diff(vec![live.clone(), baseline("yes")], &["-f", arg(&bare)]).await;
    assert_eq!(unreported["summary"]["leaves"], 1, "{unreported}");
    let held = diff(vec![live, baseline("yes"), report], &["-f", arg(&bare)]).await;
    assert_eq!(
        (&held["summary"]["deselected"], &held["summary"]["leaves"]),
        (&json!(1), &json!(0)),
        "what lost its labels is held on: {held}"
    );
}

#[tokio::test]
async fn folders_are_taken_and_what_follows_a_file_of_objects_is_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.yaml", &namespace("team-a", "yes").to_string());
    put("b.json", &baseline("yes").to_string());
    put("notes.txt", "no object");
    let here = folder.path().to_str().unwrap();
    let explained = offline(&["explain", "--objects", here, "team-a", "--exit-zero"]).await;
    assert!(
        explained.out.contains("held by tenants"),
        "{}{}",
        explained.out,
        explained.err
    );
    let same = offline(&["diff", "--objects", here, "-f", here]).await;
    assert_eq!(same.code, 0, "{}{}", same.out, same.err);
}

/// A folder with one good file, and these beside it.
fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let good = ("good.yaml", baseline("yes").to_string());
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned()));
    for (name, text) in files.chain([good]) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[tokio::test]
async fn what_is_ours_and_not_understood_is_an_error_that_names_the_file_and_the_mend() {
    let there = list(vec![namespace("team-a", "yes"), baseline("yes")]);
    let spec = "spec: {namespaceSelector: {}}";
    for (version, kind, metadata, object, mend) in [
        (
            API,
            "SecurityBaseline",
            "{name: n}",
            "SecurityBaseline/false",
            "in quotes",
        ),
        (
            API,
            "Securitybaseline",
            "{name: a}",
            "Securitybaseline/a",
            "write SecurityBaseline",
        ),
        (
            API,
            "SecurityBaseline",
            "{generateName: a-}",
            "SecurityBaseline",
            "give it one",
        ),
        (
            API,
            "SecurityBaseline",
            "{name: Bad_Name}",
            "SecurityBaseline/Bad_Name",
            "lower-case",
        ),
        (
            "securitybaseline.dev/v1beta1",
            "SecurityBaseline",
            "{name: a}",
            "SecurityBaseline/a",
            API,
        ),
        ("v1", "Namespace", "{name: n}", "Namespace/false", "in quotes"),
        (
            "v1",
            "Namespace",
            "{name: a, labels: {tenant: y}}",
            "Namespace/a",
            "labels[tenant] is true and no text: write it in quotes",
        ),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {metadata}\n{spec}\n");
        let folder = folder_with(&[("bad.yaml", &text)]);
        let here = folder.path().to_str().unwrap();
        let ran = offline(&["diff", "--objects", arg(&there), "-f", here]).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{text}{}", ran.err);
        for told in [&format!("bad.yaml: {object}: "), mend] {
            assert!(ran.err.contains(told), "{told}: {}", ran.err);
        }
        // It never was there to be deleted, and who mends it passes.
        let good = written(&baseline("yes"));
        let mended = offline(&["diff", "--objects", arg(&there), "-f", arg(&good), "--deleted", here]).await;
        assert_eq!(mended.code, 0, "{text}{}", mended.err);
        assert!(
            mended.err.contains("never taken") && mended.err.contains(mend),
            "{}",
            mended.err
        );
    }
}

#[tokio::test]
async fn what_is_of_others_is_passed_over_and_counted() {
    let there = list(vec![namespace("team-a", "yes"), baseline("yes")]);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: a}\n";
    let folder = folder_with(&[("a.yaml", secret), ("b.yaml", secret), ("c.yaml", role)]);
    let ran = offline(&["diff", "--objects", arg(&there), "-f", folder.path().to_str().unwrap()]).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("It changes nothing.")
            && ran
                .err
                .contains("passed over, as nothing to the operator: 1 Role, 2 Secret"),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[tokio::test]
async fn what_is_waived_is_not_explained_as_if_it_held() {
    let waived = json!([{"control": "podSecurity", "level": "baseline"},
        {"control": "networkIsolation", "objects": ["NetworkPolicy/security-baseline-default-deny-ingress"]}]);
    let mut wide = baseline("yes");
    wide["spec"]["networkIsolation"]["defaultDeny"] = json!(["Ingress", "Egress"]);
    let there = list(vec![namespace("team-a", "yes"), wide, exception(5, waived)]);
    let ran = offline(&["explain", "team-a", "--objects", arg(&there), "--exit-zero"]).await;
    for told in ["restricted (waived to baseline)", "Ingress (waived)", "Egress  "] {
        assert!(ran.out.contains(told), "{told}: {}{}", ran.out, ran.err);
    }
    let other = offline(&["exceptions", "-n", "team-b", "--objects", arg(&there)]).await;
    assert!(
        other
            .out
            .contains("There is no BaselineException that is about team-b."),
        "{}",
        other.out
    );
}

#[tokio::test]
async fn a_name_that_does_something_on_a_terminal_is_shown_and_does_nothing() {
    let mut hostile = baseline("yes");
    hostile["metadata"]["name"] = json!("a\u{1b}[2Jb");
    let file = written(&hostile);
    let ran = offline(&[
        "diff",
        "--objects",
        arg(&list(vec![namespace("team-a", "yes")])),
        "-f",
        arg(&file),
    ])
    .await;
    assert!(
        ran.err.contains("a\u{fffd}[2Jb") && !ran.err.contains('\u{1b}'),
        "{:?}",
        ran.err
    );
}
