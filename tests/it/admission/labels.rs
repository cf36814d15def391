//! The shipped policy that refuses to lower a Pod Security label that is held: what it refuses, and what it does not.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::exceptions::{from_now, hours};
use crate::stage::{SOON, Set, api, create, get, merge, own};
use crate::support::{ControlPlane, Stage, eventually};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const WARN: &str = "pod-security.kubernetes.io/warn";

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
        (json!({VERSION: "latest"}), VERSION, "v1.36"),
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
