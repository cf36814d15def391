//! The operator's own rights, taken from it while it runs, and given back.

use anyhow::ensure;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::acts::{Break, EGRESS, INGRESS, QUOTA};
use super::play::{Ledger, Play};
use super::until_ready_is;
use crate::oracles::{converged, quiet, safe};
use crate::stage::{SOON, Set, condition, control, create, everything, get, merge, own};
use crate::support::{OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, eventually};

/// Takes rights out of the operator's ClusterRole: these verbs on this resource. Answers what it said before, once the API
/// server goes by the change.
async fn revoke(set: &Set, verbs: &[&str], of: (&str, &str)) -> Value {
    let role = get(&set.admin, "ClusterRole", None, OPERATOR_SERVICE_ACCOUNT)
        .await
        .unwrap();
    let mut rules = role["rules"].clone();
    for rule in rules.as_array_mut().unwrap() {
        if rule["resources"].as_array().unwrap().contains(&json!(of.1)) {
            let left = rule["verbs"].as_array_mut().unwrap();
            left.retain(|verb| !verbs.iter().any(|gone| verb == gone));
        }
    }
    // A rule without verbs is none.
    rules.as_array_mut().unwrap().retain(|rule| rule["verbs"] != json!([]));
    say(set, &rules).await;
    for verb in verbs {
        until_may(set, verb, of, false).await;
    }
    role["rules"].clone()
}

/// Has the operator's ClusterRole say this.
async fn say(set: &Set, rules: &Value) {
    merge(
        &set.admin,
        "ClusterRole",
        None,
        OPERATOR_SERVICE_ACCOUNT,
        json!({"rules": rules}),
    )
    .await
    .unwrap();
}

/// Waits until the API server goes by it that the operator may, or may not, do something everywhere.
async fn until_may(set: &Set, verb: &str, (group, resource): (&str, &str), may: bool) {
    let reviews: Api<SubjectAccessReview> = Api::all(set.admin.clone());
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {
        "user": format!("system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_SERVICE_ACCOUNT}"),
        "resourceAttributes": {"verb": verb, "group": group, "resource": resource},
    }}))
    .unwrap();
    eventually("the rights are as they were made", SOON, async || {
        let judged = reviews.create(&PostParams::default(), &review).await?;
        let allowed = judged.status.is_some_and(|status| status.allowed);
        ensure!(allowed == may, "{verb} {resource}: {allowed}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn rights_that_are_revoked_are_named_and_what_was_missed_is_made_good_without_a_restart_when_they_are_back() {
    const POLICIES: (&str, &str) = ("networking.k8s.io", "networkpolicies");
    let mut play = Play::new("rights", 2).await;
    let namespaces = play.namespaces.clone();
    play.set.baseline(everything()).await;
    converged(&play.set, &everything(), &namespaces).await;
    let (pid, broken, blind) = (play.stage.operator.pid(), &namespaces[0], &namespaces[1]);

    // It may not write them: what is to be put right is named, and so is the right. All else goes on.
    let rules = revoke(&play.set, &["create", "update", "delete"], POLICIES).await;
    play.tamper(Break::Gone("NetworkPolicy", INGRESS), broken).await;
    play.tamper(Break::Raised, broken).await;
    let report = play
        .set
        .report_until(broken, "names what is missing", |r| {
            let network = control(r, "networkIsolation");
            network["state"] == "Blocked" && network["blocked"][0]["reason"] == "Forbidden"
        })
        .await;
    let blocked = &control(&report, "networkIsolation")["blocked"][0];
    assert_eq!(blocked["object"], format!("NetworkPolicy/{INGRESS}"));
    let names = |message: &str| message.contains("cannot create resource \"networkpolicies\"");
    assert!(names(blocked["message"].as_str().unwrap()), "{blocked}");
    let baseline = play.set.until("Degraded", "True").await;
    let told = &baseline["status"]["blocked"];
    assert_eq!(
        (
            &told["total"],
            &told["items"][0]["namespace"],
            &told["items"][0]["reason"]
        ),
        (&json!(1), &json!(broken), &json!("Forbidden"))
    );
    assert!(names(told["items"][0]["message"].as_str().unwrap()), "{told}");
    play.set
        .object_until("ResourceQuota", broken, QUOTA, "is repaired", |q| {
            q["spec"]["hard"]["pods"] == "50"
        })
        .await;
    let late = play.set.namespace(&play.plane, "late").await;
    play.set
        .present("LimitRange", &late, "security-baseline-defaults")
        .await;

    // It may not see them either: what is not seen is not taken for gone, nor for right.
    let verbs = ["get", "list", "watch"];
    revoke(&play.set, &verbs, POLICIES).await;
    play.proxy.cut(POLICIES.1);
    until_ready_is(&play.stage, 503).await;
    play.tamper(Break::Open, blind).await;
    play.tamper(Break::Gone("NetworkPolicy", EGRESS), blind).await;

    say(&play.set, &rules).await;
    play.namespaces.push(late);
    converged(&play.set, &everything(), &play.namespaces).await;
    until_ready_is(&play.stage, 200).await;
    play.ends_as_undisturbed(0, Ledger::Any).await;
    for namespace in [broken, blind] {
        let report = play.set.report_until(namespace, "is there", |_| true).await;
        let drift = &report["status"]["drift"];
        assert!(drift["total"].as_i64() >= Some(2), "{drift}");
        assert_eq!(drift["repaired"], drift["total"], "nothing is lost: {drift}");
    }
    assert!(play.stage.operator.exited().unwrap().is_none());
    assert_eq!(play.stage.operator.pid(), pid);
}

#[tokio::test]
async fn quotas_are_held_while_the_operator_may_not_look_at_pods_and_either_way_out_that_is_told_works() {
    let (plane, _stage) = own().await;
    let mark = plane.audit().mark().unwrap();
    let (set, ignoring) = (Set::new(&plane, "blind").await, Set::new(&plane, "ignoring").await);
    let (namespace, ignored) = (set.namespace(&plane, "a").await, ignoring.namespace(&plane, "a").await);
    let both = [namespace.clone(), ignored.clone()];
    set.aged(&both).await;
    let rules = revoke(&set, &["list"], ("", "pods")).await;
    let mut spec = json!({
        "mode": "Enforce",
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 3}}]},
    });
    for (set, namespace) in [(&set, &namespace), (&ignoring, &ignored)] {
        set.object_until("ServiceAccount", namespace, "default", "is made", |_| true)
            .await;
        let pod = json!({"metadata": {"name": "runs"}, "spec": {
            "automountServiceAccountToken": false, "containers": [{"name": "c", "image": "example.com/none"}],
        }});
        create(&set.admin, "Pod", Some(namespace), pod).await.unwrap();
        set.baseline(spec.clone()).await;
        let report = set
            .report_until(namespace, "is held", |r| {
                control(r, "resourceQuotas")["blocked"][0]["reason"] == "PreflightForbidden"
                    && control(r, "networkIsolation")["state"] == "Compliant"
            })
            .await;
        let message = control(&report, "resourceQuotas")["blocked"][0]["message"]
            .as_str()
            .unwrap();
        for told in [
            "cannot list resource \"pods\"",
            "grant the operator that right",
            "spec.preflight to Ignore",
        ] {
            assert!(message.contains(told), "{told}: {message}");
        }
        assert_eq!(condition(&report, "Ready")["status"], "False");
        let baseline = set.until("Degraded", "True").await;
        assert_eq!(
            baseline["status"]["blocked"]["items"][0]["reason"],
            "PreflightForbidden"
        );
        set.present("NetworkPolicy", namespace, INGRESS).await;
        assert_eq!(get(&set.admin, "ResourceQuota", Some(namespace), QUOTA).await, None);
    }

    let mut ignores = spec.clone();
    ignores["preflight"] = json!("Ignore");
    ignoring.baseline(ignores.clone()).await;
    converged(&ignoring, &ignores, &both[1..]).await;
    assert_eq!(get(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await, None);

    say(&set, &rules).await;
    until_may(&set, "list", ("", "pods"), true).await;
    let said = json!({"metadata": {"annotations": {"securitybaseline.dev/resume-rollout": "granted"}}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, said)
        .await
        .unwrap();
    converged(&set, &spec, &both[..1]).await;
    quiet(&plane, &set, &both[..1], super::MOMENT).await;
    // It is looked at again, and not only let through.
    spec["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(0);
    set.baseline(spec).await;
    set.report_until(&namespace, "is held for what runs", |r| {
        control(r, "resourceQuotas")["blocked"][0]["reason"] == "QuotaBelowUsage"
    })
    .await;
    safe(&plane, mark);
}
