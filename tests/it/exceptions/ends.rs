//! Exceptions and an operator that is away, that is told to refuse them, or that cannot know of them.

use std::path::Path;

use serde_json::{Value, json};

use super::waived::{EGRESS, Held, egress, told, until};
use super::*;
use crate::oracles::{converged, holding, quiet, safe, settled};
use crate::stage::{BINARY, SOON, condition, control, create, delete, everything, get, merge, metric, own, unbraked};
use crate::support::proxy::{Answer, Fault, Matching};
use crate::support::{ControlPlane, Stage, watch_gone, watch_until};

/// A pod that the quota of [`everything`] has no room for.
fn large() -> Value {
    json!({"metadata": {"name": "large"}, "spec": {
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "c", "image": "example.com/none",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            "resources": {"requests": {"cpu": "11"}, "limits": {"cpu": "12"}},
        }],
    }})
}

#[tokio::test]
async fn what_expires_while_the_operator_is_down_is_back_when_it_starts_and_what_expires_later_by_its_timer() {
    let (plane, mut stage) = own().await;
    let held = Held::on(&plane, "down").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    // Of one control nothing is left, its namespace is older than the baseline, and what runs meanwhile is above it: what
    // comes back is not taken for newly enforced, which that would hold.
    let quotas = json!([{"control": "resourceQuotas"}]);
    let (_, first) = held.waive("first", quotas, 10).await;
    let (_, second) = held.waive("second", egress(), 30).await;
    held.until("first", "Active").await;
    held.until("second", "Active").await;
    set.report_until(namespace, "tells both", |r| {
        !control(r, "resourceQuotas")["waived"].is_null() && !control(r, "networkIsolation")["waived"].is_null()
    })
    .await;
    create(&set.admin, "Pod", Some(namespace), large()).await.unwrap();
    stage.operator.kill().unwrap();
    let left = Duration::try_from(first.duration_since(Timestamp::now())).unwrap_or_default();
    tokio::time::sleep(left).await;
    assert_eq!(
        get(
            &set.admin,
            "ResourceQuota",
            Some(namespace),
            "security-baseline-compute"
        )
        .await,
        None
    );

    stage.restart(&plane).await.unwrap();
    set.present("ResourceQuota", namespace, "security-baseline-compute")
        .await;
    held.until("first", "Expired").await;
    assert_eq!(get(&set.admin, "NetworkPolicy", Some(namespace), EGRESS).await, None);
    assert!(Timestamp::now() < second, "this machine is too slow for the test");
    let late = held.back("NetworkPolicy", EGRESS, second).await;
    assert!(
        late >= SignedDuration::ZERO && late < SignedDuration::from_secs(1),
        "back after {late:#}"
    );
    held.until("second", "Expired").await;
    held.holds_under(&[]).await;
    let report = set.report_until(namespace, "is there", |_| true).await;
    assert_eq!(report["status"]["drift"]["total"], 0, "nobody did anything: {report}");
    assert_eq!(
        metric(&stage.operator, "security_baseline_exceptions{state=\"expired\"}").await,
        2
    );
}

#[tokio::test]
async fn an_exception_that_slipped_past_the_policy_is_refused_and_waives_nothing_until_it_is_mended() {
    let plane = ControlPlane::start().await.unwrap();
    let stage = Stage::with(&plane, BINARY.as_ref(), |c| {
        c["exceptions"]["warnBefore"] = json!("10s")
    })
    .await
    .unwrap();
    let held = Held::on(&plane, "refused").await;
    let admin = &held.set.admin;
    plane
        .kubectl(&[
            "delete",
            "validatingadmissionpolicybinding",
            "security-baseline-exception-expiry",
        ])
        .await
        .unwrap();
    let mut wanted = exception(&held.named("year"), &from_now(hours(24 * 365)));
    wanted["spec"]["namespaces"] = json!([held.namespace]);
    wanted["spec"]["waive"] = egress();
    eventually("the policy is out of force", SOON, async || {
        create(admin, "BaselineException", None, wanted.clone()).await?;
        Ok(())
    })
    .await
    .unwrap();
    let refused = held.until("year", "Refused").await;
    assert_eq!(condition(&refused, "Stalled")["status"], "True");
    assert_eq!(refused["status"]["problems"][0]["path"], "spec.expiresAt");
    assert_eq!(refused["status"]["matched"], 0);
    held.holds_under(&[]).await;
    let counted = async |state: &str| {
        metric(
            &stage.operator,
            &format!("security_baseline_exceptions{{state=\"{state}\"}}"),
        )
        .await
    };
    let expiry = "security_baseline_exception_expiry_timestamp_seconds";
    assert_eq!((counted("refused").await, counted("active").await), (1, 0));
    assert_eq!(metric(&stage.operator, expiry).await, 0);

    // Mended, it holds; and that it ends soon is told by a timer.
    let expires = Timestamp::from_second(Timestamp::now().as_second() + 20).unwrap();
    let mend = json!({"spec": {"expiresAt": expires.to_string()}});
    merge(admin, "BaselineException", None, &held.named("year"), mend)
        .await
        .unwrap();
    let active = held.until("year", "Active").await;
    assert_eq!(condition(&active, "ExpiringSoon")["status"], "False");
    assert_eq!((counted("refused").await, counted("active").await), (0, 1));
    assert_eq!(
        metric(&stage.operator, expiry).await,
        u64::try_from(expires.as_second()).unwrap()
    );
    held.holds_under(&[active]).await;
    let all = exceptions(admin);
    let name = held.named("year");
    let soon = watch_until(&all, &name, "ends soon", SOON, |object| {
        condition(&serde_json::to_value(object).unwrap(), "ExpiringSoon")["status"] == "True"
    });
    soon.await.unwrap();
    assert_eq!(
        metric(&stage.operator, "security_baseline_exceptions_expiring").await,
        1
    );
    let left = expires.duration_since(Timestamp::now());
    assert!(
        left > SignedDuration::from_secs(7) && left <= SignedDuration::from_secs(10),
        "{left:#} before"
    );
    held.until("year", "Expired").await;
    assert_eq!(
        metric(&stage.operator, expiry).await,
        0,
        "what has expired has no series"
    );
    assert_eq!(
        metric(&stage.operator, "security_baseline_exceptions_expiring").await,
        0
    );
    eventually("events tell it", SOON, async || {
        let told = told(admin, &name).await;
        anyhow::ensure!(told == ["Active", "Expired", "ExpiringSoon", "Refused"], "{told:?}");
        Ok(())
    })
    .await
    .unwrap();
    held.delete("year").await;
    eventually("it is forgotten", SOON, async || {
        let left = counted("expired").await;
        anyhow::ensure!(left == 0, "{left}");
        Ok(())
    })
    .await
    .unwrap();
    held.holds_under(&[]).await;
}

#[tokio::test]
async fn an_exception_whose_deletion_a_finalizer_delays_holds_no_longer() {
    let (plane, _) = shared().await;
    let held = Held::on(plane, "finalizer").await;
    let admin = &held.set.admin;
    held.waive("kept", egress(), 3600).await;
    held.until("kept", "Active").await;
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    let name = held.named("kept");
    merge(admin, "BaselineException", None, &name, hold).await.unwrap();
    held.delete("kept").await;
    held.set.present("NetworkPolicy", &held.namespace, EGRESS).await;
    until(admin, &name, "Deleted").await;
    held.holds_under(&[]).await;
    let free = json!({"metadata": {"finalizers": null}});
    merge(admin, "BaselineException", None, &name, free).await.unwrap();
    watch_gone(&exceptions(admin), &name, SOON).await.unwrap();
}

#[tokio::test]
async fn exceptions_that_cannot_be_listed_at_the_start_are_waited_for_and_nothing_that_they_waive_comes_back() {
    let plane = ControlPlane::start().await.unwrap();
    let (mut stage, proxy) = Stage::behind_proxy(&plane, Path::new(BINARY), unbraked).await.unwrap();
    let held = Held::on(&plane, "unlisted").await;
    held.waive("one", egress(), 3600).await;
    held.until("one", "Active").await;
    settled(&plane, &held.set).await;
    stage.operator.kill().unwrap();

    // For a quarter of a minute at least.
    let fails = proxy.disturb_first(
        6,
        Matching::of("list", "baselineexceptions"),
        Fault::Answer(Answer::status(500)),
    );
    let mark = plane.audit().mark().unwrap();
    stage.restart(&plane).await.unwrap();
    fails.hit(6).await.unwrap();
    settled(&plane, &held.set).await;
    let writes = plane.audit().writes_since(mark).unwrap();
    assert!(writes.is_empty(), "{writes:?}");
    let egress = get(&held.set.admin, "NetworkPolicy", Some(&held.namespace), EGRESS).await;
    assert_eq!(egress, None);
}

#[tokio::test]
async fn a_cluster_without_the_kind_has_no_exceptions_and_works_and_takes_them_up_when_it_has_it() {
    let (plane, mut stage) = own().await;
    let mark = plane.audit().mark().unwrap();
    let (set, namespaces) = holding(&plane, "without", &everything(), 1).await;
    let mut wanted = exception("one", &from_now(hours(1)));
    wanted["spec"]["namespaces"] = json!(namespaces);
    wanted["spec"]["waive"] = egress();
    create(&set.admin, "BaselineException", None, wanted.clone())
        .await
        .unwrap();
    set.gone("NetworkPolicy", &namespaces[0], EGRESS).await;
    // With the kind go all exceptions.
    let kind = "baselineexceptions.securitybaseline.dev";
    delete(&set.admin, "CustomResourceDefinition", None, kind).await;
    set.present("NetworkPolicy", &namespaces[0], EGRESS).await;
    stage.operator.kill().unwrap();
    delete(&set.admin, "NetworkPolicy", Some(&namespaces[0]), EGRESS).await;
    stage.restart(&plane).await.unwrap();
    set.present("NetworkPolicy", &namespaces[0], EGRESS).await;
    converged(&set, &everything(), &namespaces).await;

    plane.install(&file("crds/baselineexceptions.yaml")).await.unwrap();
    eventually("the kind is served", SOON, async || {
        create(&set.admin, "BaselineException", None, wanted.clone()).await?;
        Ok(())
    })
    .await
    .unwrap();
    // The watch that broke is tried again after half a minute at the latest.
    let policies = api(&set.admin, "NetworkPolicy", Some(&namespaces[0]));
    watch_gone(&policies, EGRESS, Duration::from_secs(60)).await.unwrap();
    until(&set.admin, "one", "Active").await;
    delete(&set.admin, "BaselineException", None, "one").await;
    converged(&set, &everything(), &namespaces).await;
    quiet(&plane, &set, &namespaces, Duration::from_secs(1)).await;
    safe(&plane, mark);
}
