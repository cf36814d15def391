//! The shipped policy that refuses to lower a Pod Security label that is held: what it refuses, and what it does not.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::exceptions::{from_now, hours};
use crate::stage::{SOON, Set, api, create, get, merge, own};
use crate::support::{ControlPlane, Stage, eventually};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const WARN: &str = "pod-security.kubernetes.io/warn";
const WARN_VERSION: &str = "pod-security.kubernetes.io/warn-version";

fn spec(mode: &str) -> Value {
    json!({"mode": mode, "podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "warn": {"level": "baseline"}}})
}

/// A namespace that is held to `baseline`, with the policy in force.
async fn held() -> (ControlPlane, Stage, Set, String) {
    let (plane, stage) = own().await;
    let set = Set::new(&plane, "kept").await;
    let namespace = set.namespace(&plane, "a").await;
    set.baseline(spec("Enforce")).await;
    set.until_enforced(1).await;
    plane.refuse_lower_labels(&namespace).await.unwrap();
    (plane, stage, set, namespace)
}

/// Sets labels, or takes them away where they are null.
async fn label(set: &Set, namespace: &str, labels: Value) -> kube::Result<Value> {
    merge(
        &set.admin,
        "Namespace",
        None,
        namespace,
        json!({"metadata": {"labels": labels}}),
    )
    .await
}

#[tokio::test]
async fn what_would_lower_a_label_is_refused_by_its_key_and_what_is_held_and_all_else_goes_through() {
    let (plane, _stage, set, namespace) = held().await;
    let tenant = plane.tenant(&namespace).await.unwrap();
    for (labels, key, value) in [
        (json!({ENFORCE: "privileged"}), ENFORCE, "baseline"),
        (json!({ENFORCE: null}), ENFORCE, "baseline"),
        (json!({WARN: null, "team": "blue"}), WARN, "baseline"),
        (json!({VERSION: "v1.0"}), VERSION, "v1.36"),
        (json!({VERSION: "v1.9"}), VERSION, "v1.36"),
        (json!({WARN_VERSION: "v1.36"}), WARN_VERSION, "latest"),
        (json!({ENFORCE: "restricted", VERSION: null}), VERSION, "v1.36"),
    ] {
        let patch = json!({"metadata": {"labels": labels}});
        for client in [&tenant.client, &set.admin] {
            let refused = merge(client, "Namespace", None, &namespace, patch.clone()).await;
            let Err(kube::Error::Api(status)) = refused else {
                panic!("{labels}: {refused:?}")
            };
            let told = format!("metadata.labels[\"{key}\"]: ");
            let mend = format!("since a security baseline enforces \"{value}\" here");
            assert!(
                status.code == 403 && status.message.contains(&told) && status.message.contains(&mend),
                "{labels}: {}",
                status.message
            );
        }
    }
    // Labels can be written by way of the status too.
    let patch = Patch::Merge(json!({"metadata": {"labels": {ENFORCE: "privileged"}}}));
    let by_status = api(&set.admin, "Namespace", None)
        .patch_status(&namespace, &PatchParams::default(), &patch)
        .await;
    let refused = by_status.unwrap_err().to_string();
    assert!(refused.contains("a security baseline enforces"), "{refused}");

    for fine in [
        json!({"team": "blue"}),
        json!({ENFORCE: "restricted"}),
        json!({ENFORCE: "baseline", WARN: "restricted"}),
        json!({VERSION: "v1.36", "team": null}),
    ] {
        label(&set, &namespace, fine).await.unwrap();
    }
    let report = set.fence(&namespace, spec("Enforce")).await;
    assert_eq!(report["status"]["drift"]["total"], 0, "{report}");
}

#[tokio::test]
async fn a_newer_version_goes_through_since_the_baseline_may_follow_and_is_repaired_where_it_does_not() {
    let (_plane, _stage, set, namespace) = held().await;
    for newer in ["v1.37", "v1.100", "latest"] {
        label(&set, &namespace, json!({VERSION: newer, ENFORCE: "restricted"}))
            .await
            .unwrap();
        set.labels_until(&namespace, "has the baseline's version", |l| l[VERSION] == "v1.36")
            .await;
    }
    // Both are raised in Git, and the namespace comes first.
    let mut raised = spec("Enforce");
    raised["podSecurity"]["enforce"] = json!({"level": "restricted", "version": "v1.37"});
    label(&set, &namespace, json!({VERSION: "v1.37", ENFORCE: "restricted"}))
        .await
        .unwrap();
    set.baseline(raised).await;
    set.until_enforced(1).await;
    set.labels_until(&namespace, "is raised", |l| {
        l[VERSION] == "v1.37" && l[ENFORCE] == "restricted"
    })
    .await;
    let older = label(&set, &namespace, json!({VERSION: "v1.36"})).await;
    assert!(older.unwrap_err().to_string().contains("enforces \"v1.37\" here"));
}

#[tokio::test]
async fn a_label_that_is_only_audited_is_not_refused_whatever_else_is_enforced() {
    let (plane, _stage, set, namespace) = held().await;
    // One baseline enforces something else, and asks for a level that it audits by now; another one enforces `warn` alone.
    let mut audits = spec("Enforce");
    audits["resourceQuotas"] = json!({"items": [{"name": "pods", "hard": {"pods": 5}}]});
    set.baseline(audits.clone()).await;
    let warns = json!({"mode": "Enforce", "podSecurity": {"warn": {"level": "baseline"}}});
    set.baseline_named(&format!("{}-warns", set.name), warns).await.unwrap();
    set.until_enforced(1).await;
    until_refused(&set, &namespace).await;
    audits["podSecurity"]["mode"] = json!("Audit");
    set.baseline(audits.clone()).await;
    until_taken(&set, &namespace, &audits).await;
    let warn = label(&set, &namespace, json!({WARN: "privileged"})).await;
    assert!(warn.unwrap_err().to_string().contains(WARN));
    drop(plane);
}

#[tokio::test]
async fn a_tenant_who_may_write_all_kinds_cannot_say_in_the_report_that_nothing_is_enforced() {
    let (plane, _stage, set, namespace) = held().await;
    let tenant = plane.tenant(&namespace).await.unwrap();
    let subject = json!([{"kind": "ServiceAccount", "name": "tenant", "namespace": namespace}]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    let owner = json!({"metadata": {"name": "owner"}, "roleRef": role, "subjects": subject});
    create(&set.admin, "RoleBinding", Some(&namespace), owner)
        .await
        .unwrap();
    let may = ["auth", "can-i", "delete", "baselinereports", "--namespace", &namespace];
    eventually("the tenant owns the namespace", SOON, async || {
        plane.kubectl_as(&tenant.kubeconfig, &may).await
    })
    .await
    .unwrap();
    let forged = r#"--patch={"status":{"namespaceLabels":[]}}"#;
    for args in [
        &["delete", "br", "baseline"][..],
        &["patch", "br", "baseline", "--type=merge", forged],
        &["annotate", "br", "baseline", "a=b"],
    ] {
        let args = [args, &["--namespace", &namespace]].concat();
        let refused = plane
            .kubectl_as(&tenant.kubeconfig, &args)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("the operator alone writes BaselineReports"),
            "{args:?}: {refused}"
        );
    }
    until_refused(&set, &namespace).await;
}

#[tokio::test]
async fn what_the_command_line_foresees_is_what_the_operator_does_also_where_lower_labels_are_refused() {
    let (plane, _stage, set, namespace) = held().await;
    let mut raised = spec("Enforce");
    raised["namespaceSelector"] = json!({"matchLabels": {crate::stage::LABEL: set.name}});
    // What runs is looked at where a level is raised; the older version is what would be refused to everybody else.
    raised["podSecurity"]["enforce"] = json!({"level": "restricted", "version": "v1.35"});
    let object = json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline",
        "metadata": {"name": set.name}, "spec": raised});
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), object.to_string()).unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["diff", "--filename", path, "--preflight", "--namespace", &namespace];
    let foreseen = crate::cli::run(plane.admin_kubeconfig(), &args).await;
    assert!(
        foreseen.code == 1 && foreseen.out.contains("to label") && !foreseen.out.contains("held"),
        "{}{}",
        foreseen.out,
        foreseen.err
    );
}

#[tokio::test]
async fn nothing_is_refused_that_is_not_enforced_nor_what_the_operator_itself_lowers() {
    let (plane, _stage, set, namespace) = held().await;
    // A namespace that is nobody's.
    let other = plane.namespace("nobodys", &[(ENFORCE, "restricted")]).await;
    other.unwrap();
    label(&set, "nobodys", json!({ENFORCE: null})).await.unwrap();

    // The baseline's own level is lowered and raised.
    let mut lower = spec("Enforce");
    lower["podSecurity"]["enforce"]["level"] = json!("privileged");
    set.baseline(lower).await;
    set.labels_until(&namespace, "follows", |l| l[ENFORCE] == "privileged")
        .await;
    set.baseline(spec("Enforce")).await;
    set.labels_until(&namespace, "follows", |l| l[ENFORCE] == "baseline")
        .await;
    until_refused(&set, &namespace).await;

    // An exception: what it waives is nobody's to hold.
    let name = format!("{}-e", set.name);
    let exception = json!({"metadata": {"name": name}, "spec": {
        "namespaces": [namespace], "waive": [{"control": "podSecurity", "level": "privileged"}],
        "reason": "a test", "approver": "tester", "expiresAt": from_now(hours(1))}});
    create(&set.admin, "BaselineException", None, exception).await.unwrap();
    set.labels_until(&namespace, "is waived", |l| l[ENFORCE] == "privileged")
        .await;
    // No level is as good as that one.
    eventually("it may be taken away", SOON, async || {
        Ok(label(&set, &namespace, json!({ENFORCE: null, VERSION: null})).await?)
    })
    .await
    .unwrap();
    crate::stage::delete(&set.admin, "BaselineException", None, &name).await;
    set.labels_until(&namespace, "is held again", |l| l[ENFORCE] == "baseline")
        .await;

    let mut suspended = spec("Enforce");
    suspended["suspend"] = json!(true);
    for loose in [suspended, spec("Audit")] {
        set.baseline(spec("Enforce")).await;
        set.until_enforced(1).await;
        set.labels_until(&namespace, "is held", |l| l[ENFORCE] == "baseline")
            .await;
        until_refused(&set, &namespace).await;
        set.baseline(loose.clone()).await;
        until_taken(&set, &namespace, &loose).await;
    }

    // A baseline that is deleted leaves its labels, and nobody holds them.
    set.baseline(spec("Enforce")).await;
    set.until_enforced(1).await;
    set.labels_until(&namespace, "is held", |l| l[ENFORCE] == "baseline")
        .await;
    until_refused(&set, &namespace).await;
    crate::stage::delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    until_taken(&set, &namespace, &json!("deleted")).await;

    // A namespace that is held can be deleted.
    let second = Set::new(&plane, "ends").await;
    let ends = second.namespace(&plane, "a").await;
    second.baseline(spec("Enforce")).await;
    second.until_enforced(1).await;
    crate::stage::delete(&second.admin, "Namespace", None, &ends).await;
    eventually("the namespace is gone", SOON, async || {
        match get(&second.admin, "Namespace", None, &ends).await {
            None => Ok(()),
            Some(left) => anyhow::bail!("{left}"),
        }
    })
    .await
    .unwrap();
}

/// Waits until the level cannot be lowered by hand. Where it could, the operator repairs it.
async fn until_refused(set: &Set, namespace: &str) {
    eventually("it is refused", SOON, async || {
        match label(set, namespace, json!({ENFORCE: "privileged"})).await {
            Err(_) => Ok(()),
            Ok(_) => anyhow::bail!("it was taken"),
        }
    })
    .await
    .unwrap();
}

/// Waits until the level can be lowered by hand.
async fn until_taken(set: &Set, namespace: &str, why: &Value) {
    eventually(&format!("it is taken: {why}"), SOON, async || {
        label(set, namespace, json!({ENFORCE: "privileged"})).await?;
        Ok(())
    })
    .await
    .unwrap();
}
