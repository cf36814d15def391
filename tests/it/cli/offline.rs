//! The same from files, without a cluster.

use std::path::Path;

use serde_json::{Value, json};

use super::{Ran, arg, codes, namespace_of, reader, run, run_with, written};
use crate::stage::{BINARY, Set, everything, grant, shared};
use crate::support::ControlPlane;

/// Runs a command that must not reach a cluster.
async fn offline(args: &[&str]) -> Ran {
    run(Path::new("/dev/null"), args).await
}

/// What a user saves of a cluster, to look at it elsewhere.
async fn saved(plane: &ControlPlane) -> tempfile::NamedTempFile {
    let kinds = "securitybaselines,baselineexceptions,baselinereports,namespaces,networkpolicies,resourcequotas,limitranges,roles,rolebindings";
    let kubeconfig = reader(plane).await;
    let mut text = plane
        .kubectl_as(
            &kubeconfig,
            &[
                "get",
                kinds,
                "--all-namespaces",
                "--output=yaml",
                "--show-managed-fields",
            ],
        )
        .await
        .unwrap();
    for more in [["services", "kube-system"], ["endpointslices", "default"]] {
        let args = ["get", more[0], "--namespace", more[1], "--output=yaml"];
        text += &format!("---\n{}", plane.kubectl_as(&kubeconfig, &args).await.unwrap());
    }
    let role = ["get", "clusterrole", "security-baseline:grantable", "--output=yaml"];
    text += &format!("---\n{}", plane.kubectl_as(&kubeconfig, &role).await.unwrap());
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test]
async fn what_was_saved_of_a_cluster_tells_the_same_as_the_cluster() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "offline").await;
    let namespace = set.namespace(plane, "a").await;
    let mut spec = everything();
    spec["mode"] = json!("Audit");
    spec["limitRanges"]["mode"] = json!("Enforce");
    set.baseline(spec).await;
    set.until("Ready", "True").await;
    set.present("LimitRange", &namespace, "security-baseline-defaults")
        .await;
    set.report_until(&namespace, "is whole", |r| {
        r["status"]["controls"].as_array().is_some_and(|c| c.len() == 5)
    })
    .await;
    let saved = saved(plane).await;
    let args = ["audit", "-n", &namespace, "-o", "json"];
    let there = run(&reader(plane).await, &args).await;
    let here = offline(&[&args[..], &["--objects", arg(&saved)]].concat()).await;
    assert_eq!((here.code, &here.err), (there.code, &there.err));
    assert_eq!(
        namespace_of(&here.json(), &namespace),
        namespace_of(&there.json(), &namespace)
    );
    let explained = offline(&["explain", &namespace, "--objects", arg(&saved)]).await;
    assert!(explained.out.contains("held by"), "{}{}", explained.out, explained.err);
}

/// A namespace and a baseline that selects it, as somebody has them in Git.
fn in_git(mode: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "labels": {"tenant": "yes"}}},
        {"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": "tenants"},
         "spec": {"namespaceSelector": {"matchLabels": {"tenant": "yes"}}, "mode": mode, "networkIsolation": {"defaultDeny": ["Ingress"]}}},
    ]})
}

#[tokio::test]
async fn a_pull_request_is_looked_at_without_a_cluster() {
    let (before, after) = (written(&in_git("Audit")), written(&in_git("Enforce")));
    let audit = offline(&["audit", "--objects", arg(&before), "-o", "json"]).await;
    assert_eq!(
        (audit.code, codes(&audit.json())),
        (1, vec!["SB-GEN-204".to_owned(), "SB-NET-001".to_owned()]),
        "{}",
        audit.err
    );
    let diff = offline(&["diff", "-f", arg(&after), "--objects", arg(&before)]).await;
    assert_eq!(diff.code, 1, "{}", diff.err);
    for told in [
        "SecurityBaseline/tenants changes",
        "create",
        "NetworkPolicy/security-baseline-default-deny-ingress",
        "1 to create",
    ] {
        assert!(diff.out.contains(told), "{told}: {}", diff.out);
    }
    let text = std::fs::read_to_string(after.path()).unwrap();
    let piped = run_with(
        BINARY.as_ref(),
        Path::new("/dev/null"),
        &["diff", "-f", "-", "--objects", arg(&before)],
        &text,
    )
    .await;
    assert_eq!((piped.code, piped.out), (diff.code, diff.out));
    let same = offline(&["diff", "-f", arg(&before), "--objects", arg(&before)]).await;
    assert_eq!(same.code, 0, "{}", same.out);
}

#[tokio::test]
async fn colours_are_for_terminals_and_for_who_asks() {
    let file = written(&in_git("Audit"));
    let plain = offline(&["audit", "--objects", arg(&file)]).await;
    assert!(
        !plain.out.contains('\u{1b}') && !plain.err.contains('\u{1b}'),
        "{}",
        plain.out
    );
    let coloured = offline(&["audit", "--objects", arg(&file), "--color", "always"]).await;
    assert!(coloured.out.contains("\u{1b}[31m"), "{}", coloured.out);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_names_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "just text").unwrap();
    for path in [arg(&file), "/no/such/file"] {
        let ran = offline(&["audit", "--objects", path]).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        assert!(ran.err.contains(path), "{}", ran.err);
    }
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "brakes: 1").unwrap();
    let objects = written(&in_git("Audit"));
    let ran = offline(&["audit", "--objects", arg(&objects), "--config", arg(&config)]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("brakes"), "{}", ran.err);
}

#[tokio::test]
async fn a_text_that_is_no_name_is_refused_before_anything_is_asked() {
    for (args, argument) in [
        (&["suspend", "tenants?dryRun=All"][..], "<BASELINE>"),
        (&["resume", "a/b"], "<BASELINE>"),
        (&["confirm", "../a"], "<BASELINE>"),
        (&["release", "a", "b?c"], "<NAMESPACES>"),
        (&["release", "a#", "b"], "<BASELINE>"),
        (&["explain", ""], "<NAMESPACE>"),
        (&["tree", "A"], "[BASELINE]"),
        (&["audit", "-n", ""], "--namespace"),
        (&["events", "-n", "a.b"], "--namespace"),
        (&["diff", "-f", "a.yaml", "-n", "A"], "--namespace"),
        (&["render", "-f", "a.yaml", "-n", "A"], "--namespace"),
        (&["check", "--operator-namespace", "a/b"], "--operator-namespace"),
        (&["check", "--operator-name", "a?b"], "--operator-name"),
    ] {
        let ran = offline(args).await;
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        for told in [argument, "it is no name: write "] {
            assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
        }
    }
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_named_and_so_is_the_cause() {
    let kubeconfig = written(&json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]}));
    for command in [&["audit"][..], &["suspend", "tenants"], &["check"], &["events"]] {
        let ran = run(kubeconfig.path(), command).await;
        assert_eq!(ran.code, 2, "{}", ran.err);
        for told in ["http://127.0.0.1:1 could not be reached", "Connection refused"] {
            assert!(ran.err.contains(told), "{command:?}: {}", ran.err);
        }
    }
}

#[tokio::test]
async fn the_configuration_that_is_stated_counts() {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "excludedNamespaces: [team-*]").unwrap();
    let objects = written(&in_git("Audit"));
    let ran = offline(&[
        "audit",
        "--objects",
        arg(&objects),
        "--config",
        arg(&config),
        "-o",
        "json",
    ])
    .await;
    assert_eq!(
        (ran.code, &ran.json()["summary"]["namespaces"]),
        (0, &json!(0)),
        "{}",
        ran.err
    );
}
