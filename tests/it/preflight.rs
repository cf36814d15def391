//! What enforcing would break is found before it is enforced for the first time.

use serde_json::{Value, json};

use crate::oracles::{ends_well, safe};
use crate::stage::{LABEL, Set, condition, control, create, delete, get, merge, shared, writes_in};
use crate::support::ControlPlane;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const QUOTA: &str = "security-baseline-compute";
const POLICY: &str = "security-baseline-default-deny-ingress";

/// A pod that the level `baseline` refuses. There is no node: it stays Pending, and counts all the same.
fn on_the_host(name: &str) -> Value {
    let mut pod = pod(name, "10m");
    pod["spec"]["hostNetwork"] = json!(true);
    pod
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "automountServiceAccountToken": false,
        "containers": [{"name": "c", "image": "example.com/none", "resources": {"requests": {"cpu": cpu}}}],
    }})
}

fn spec(pods: u32, cpu: &str) -> Value {
    json!({
        "mode": "Enforce",
        "podSecurity": {"enforce": {"level": "baseline"}},
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": pods, "requests.cpu": cpu}}]},
    })
}

/// A set with a namespace in which these pods run.
async fn running(plane: &ControlPlane, prefix: &str, pods: &[Value]) -> (Set, String) {
    let set = Set::new(plane, prefix).await;
    let namespace = older(plane, &set, "a").await;
    for pod in pods {
        create(&set.admin, "Pod", Some(&namespace), pod.clone()).await.unwrap();
    }
    (set, namespace)
}

/// A namespace that is older than what comes next.
async fn older(plane: &ControlPlane, set: &Set, suffix: &str) -> String {
    let namespace = set.namespace(plane, suffix).await;
    set.object_until("ServiceAccount", &namespace, "default", "is made", |_| true)
        .await;
    set.aged(std::slice::from_ref(&namespace)).await;
    namespace
}

fn blocked<'a>(report: &'a Value, section: &str) -> &'a Value {
    &control(report, section)["blocked"][0]
}

#[tokio::test]
async fn running_pods_that_violate_a_level_hold_it_are_named_and_the_other_sections_go_on() {
    let (plane, _) = shared().await;
    let mark = plane.audit().mark().unwrap();
    let pods = [on_the_host("web-1"), on_the_host("web-2"), pod("modest", "10m")];
    let (set, namespace) = running(plane, "violate", &pods).await;
    let clean = older(plane, &set, "clean").await;
    set.baseline(spec(10, "5")).await;
    let report = set
        .report_until(&namespace, "tells what would break", |r| {
            blocked(r, "podSecurity")["reason"] == "ViolatingPods"
                && control(r, "networkIsolation")["state"] == "Compliant"
                && control(r, "resourceQuotas")["state"] == "Compliant"
        })
        .await;
    let message = blocked(&report, "podSecurity")["message"].as_str().unwrap();
    for told in [
        "2 pods violate",
        "web-1 (and 1 other pod)",
        "host namespaces",
        "all pods were checked",
        "preflight",
    ] {
        assert!(message.contains(told), "{told}: {message}");
    }
    assert_eq!(condition(&report, "Ready")["status"], "False");
    set.present("NetworkPolicy", &namespace, POLICY).await;
    set.labels_until(&clean, "are enforced where nothing would break", |l| {
        l[ENFORCE] == "baseline"
    })
    .await;
    set.baseline_until(&set.name, "counts one blocked of two", |b| {
        b["status"]["namespaces"]["blocked"] == 1 && b["status"]["namespaces"]["compliant"] == 1
    })
    .await;
    let labels = get(&set.admin, "Namespace", None, &namespace).await.unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels.get(ENFORCE), None);
    let written = writes_in(plane, mark, &namespace);
    assert!(written.iter().all(|w| w.resource != "namespaces"), "{written:?}");

    // Mended, and somebody says so.
    for name in ["web-1", "web-2"] {
        delete(&set.admin, "Pod", Some(&namespace), name).await;
        set.gone("Pod", &namespace, name).await;
    }
    let said = json!({"metadata": {"annotations": {"securitybaseline.dev/resume-rollout": "mended"}}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, said)
        .await
        .unwrap();
    set.until_enforced(2).await;
    set.labels_until(&namespace, "are enforced", |l| l[ENFORCE] == "baseline")
        .await;
    safe(plane, mark);
    ends_well(plane, &set, &spec(10, "5"), &[namespace, clean]).await;
}

#[tokio::test]
async fn preflight_ignore_enforces_all_the_same_and_takes_down_nothing() {
    let (plane, _) = shared().await;
    let (set, namespace) = running(plane, "ignore", &[on_the_host("web")]).await;
    set.baseline(spec(10, "5")).await;
    set.report_until(&namespace, "is held", |r| {
        blocked(r, "podSecurity")["reason"] == "ViolatingPods"
    })
    .await;
    let mut ignores = spec(10, "5");
    ignores["preflight"] = json!("Ignore");
    set.baseline(ignores.clone()).await;
    set.until_enforced(1).await;
    set.labels_until(&namespace, "are enforced", |l| l[ENFORCE] == "baseline")
        .await;
    assert!(get(&set.admin, "Pod", Some(&namespace), "web").await.is_some());
    ends_well(plane, &set, &ignores, &[namespace]).await;
}

#[tokio::test]
async fn a_quota_below_what_is_used_is_held_with_the_amounts_and_one_above_is_enforced() {
    let (plane, _) = shared().await;
    let mark = plane.audit().mark().unwrap();
    let (set, namespace) = running(plane, "below", &[pod("a", "1500m"), pod("b", "1")]).await;
    set.baseline(spec(1, "2")).await;
    let report = set
        .report_until(&namespace, "is held", |r| {
            blocked(r, "resourceQuotas")["reason"] == "QuotaBelowUsage"
                && control(r, "podSecurity")["state"] == "Compliant"
                && control(r, "networkIsolation")["state"] == "Compliant"
        })
        .await;
    let message = blocked(&report, "resourceQuotas")["message"].as_str().unwrap();
    for told in [
        "pods 2 is used, 1 would be allowed",
        "requests.cpu 2500m is used, 2 would be allowed",
        "preflight",
    ] {
        assert!(message.contains(told), "{told}: {message}");
    }
    assert!(
        get(&set.admin, "ResourceQuota", Some(&namespace), QUOTA)
            .await
            .is_none()
    );
    set.baseline(spec(2, "2500m")).await;
    set.until_enforced(1).await;
    set.present("ResourceQuota", &namespace, QUOTA).await;
    safe(plane, mark);
    ends_well(plane, &set, &spec(2, "2500m"), &[namespace]).await;
}

#[tokio::test]
async fn a_namespace_that_is_born_under_a_baseline_is_not_looked_at_and_neither_is_a_repair() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "born").await;
    set.baseline(spec(10, "5")).await;
    set.until("Ready", "True").await;
    let mark = plane.audit().mark().unwrap();
    let namespace = set.namespace(plane, "a").await;
    set.until_enforced(1).await;
    delete(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
    set.present("ResourceQuota", &namespace, QUOTA).await;
    set.until_enforced(1).await;
    let looks = plane.audit().since(mark).unwrap().into_iter().filter(|r| {
        r.namespace.as_deref() == Some(&namespace) && r.resource == "pods"
            || r.uri.contains("dryRun") && r.name.as_deref() == Some(&namespace)
    });
    let looks: Vec<_> = looks.collect();
    assert!(looks.is_empty(), "{looks:?}");
    ends_well(plane, &set, &spec(10, "5"), &[namespace]).await;
}

#[tokio::test]
async fn a_level_that_is_raised_is_held_where_pods_violate_it_while_repairs_and_other_sections_go_on() {
    let (plane, _) = shared().await;
    let (set, namespace) = running(plane, "raise", &[on_the_host("web")]).await;
    let mut weak = spec(10, "5");
    weak["podSecurity"] = json!({"enforce": {"level": "privileged"}});
    set.baseline(weak).await;
    set.until_enforced(1).await;
    let mark = plane.audit().mark().unwrap();
    let mut raised = spec(9, "5");
    raised["networkIsolation"] = json!({"defaultDeny": ["Ingress", "Egress"], "allowDNS": false});
    set.baseline(raised.clone()).await;
    let report = set
        .report_until(&namespace, "holds the raised level", |r| {
            blocked(r, "podSecurity")["reason"] == "ViolatingPods"
                && control(r, "networkIsolation")["state"] == "Compliant"
                && control(r, "resourceQuotas")["state"] == "Compliant"
        })
        .await;
    let told = blocked(&report, "podSecurity")["message"].as_str().unwrap();
    assert!(told.contains("1 pod violates"), "{told}");
    set.labels_until(&namespace, "are as they were", |l| l[ENFORCE] == "privileged")
        .await;
    delete(&set.admin, "ResourceQuota", Some(&namespace), QUOTA).await;
    set.present("ResourceQuota", &namespace, QUOTA).await;
    let written = writes_in(plane, mark, &namespace);
    assert!(written.iter().all(|w| w.resource != "namespaces"), "{written:?}");

    // Who takes the label off does not bring the raise about: what was written is put back.
    let off = json!({"metadata": {"labels": {ENFORCE: null}}});
    merge(&set.admin, "Namespace", None, &namespace, off).await.unwrap();
    set.report_until(&namespace, "tells the repair, and still holds the raise", |r| {
        r["status"]["drift"]["repaired"] == 2 && blocked(r, "podSecurity")["reason"] == "ViolatingPods"
    })
    .await;
    let put_back = get(&set.admin, "Namespace", None, &namespace).await.unwrap();
    assert_eq!(put_back["metadata"]["labels"][ENFORCE], "privileged");
    delete(&set.admin, "Pod", Some(&namespace), "web").await;
    set.gone("Pod", &namespace, "web").await;
    let said = json!({"metadata": {"annotations": {"securitybaseline.dev/resume-rollout": "mended"}}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, said)
        .await
        .unwrap();
    set.labels_until(&namespace, "are raised", |l| l[ENFORCE] == "baseline")
        .await;
    safe(plane, mark);
    ends_well(plane, &set, &raised, &[namespace]).await;
}

#[tokio::test]
async fn a_namespace_that_gets_the_labels_when_pods_run_in_it_already_is_looked_at_first() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "late").await;
    set.baseline(spec(10, "5")).await;
    set.until("Ready", "True").await;
    let namespace = format!("{}-a", set.name);
    plane.namespace(&namespace, &[]).await.unwrap();
    set.object_until("ServiceAccount", &namespace, "default", "is made", |_| true)
        .await;
    create(&set.admin, "Pod", Some(&namespace), on_the_host("web"))
        .await
        .unwrap();
    // Younger than a minute it would count as new.
    set.older_than(61, std::slice::from_ref(&namespace)).await;
    let label = json!({"metadata": {"labels": {LABEL: set.name}}});
    merge(&set.admin, "Namespace", None, &namespace, label).await.unwrap();
    set.report_until(&namespace, "is held", |r| {
        blocked(r, "podSecurity")["reason"] == "ViolatingPods" && control(r, "networkIsolation")["state"] == "Compliant"
    })
    .await;
}
