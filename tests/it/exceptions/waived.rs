//! What exceptions let namespaces off, by an operator that runs: while they are valid, and when they end.

use serde_json::{Value, json};

use super::*;
use crate::brake::waits;
use crate::oracles::{converged, converged_under, holding, quiet, safe};
use crate::stage::{SOON, Set, condition, control, create, delete, everything, get, merge, own_as_shipped, writes_in};
use crate::support::audit::Mark;
use crate::support::{watch_gone, watch_until};

pub const EGRESS: &str = "security-baseline-default-deny-egress";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// A namespace that a baseline of everything holds, at rest.
pub struct Held<'a> {
    pub plane: &'a ControlPlane,
    pub set: Set,
    pub namespace: String,
    mark: Mark,
}

impl<'a> Held<'a> {
    pub async fn on(plane: &'a ControlPlane, prefix: &str) -> Self {
        let mark = plane.audit().mark().unwrap();
        let (set, mut namespaces) = holding(plane, prefix, &everything(), 1).await;
        Self {
            plane,
            set,
            namespace: namespaces.remove(0),
            mark,
        }
    }

    /// The name of an exception of this test.
    pub fn named(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.set.name)
    }

    /// Lets the namespace off this, for so many seconds. Answers the exception, and when it expires.
    pub async fn waive(&self, suffix: &str, waive: Value, seconds: i64) -> (Value, Timestamp) {
        let expires = Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
        let mut wanted = exception(&self.named(suffix), &expires.to_string());
        wanted["spec"]["namespaces"] = json!([self.namespace]);
        wanted["spec"]["waive"] = waive;
        let made = create(&self.set.admin, "BaselineException", None, wanted)
            .await
            .unwrap();
        (made, expires)
    }

    /// Waits until the exception's condition `Active` has this reason, and answers the exception.
    pub async fn until(&self, suffix: &str, reason: &str) -> Value {
        until(&self.set.admin, &self.named(suffix), reason).await
    }

    /// Ends an exception now, or at the next full second.
    pub async fn end(&self, suffix: &str) {
        let now = json!({"spec": {"expiresAt": written(Timestamp::now())}});
        merge(&self.set.admin, "BaselineException", None, &self.named(suffix), now)
            .await
            .unwrap();
    }

    pub async fn delete(&self, suffix: &str) {
        delete(&self.set.admin, "BaselineException", None, &self.named(suffix)).await;
    }

    /// O1, O2 and O4 with these exceptions, of what `render --exceptions` says.
    pub async fn holds_under(&self, exceptions: &[Value]) {
        let namespaces = std::slice::from_ref(&self.namespace);
        converged_under(&self.set, &everything(), namespaces, exceptions).await;
        quiet(self.plane, &self.set, namespaces, Duration::from_secs(1)).await;
        safe(self.plane, self.mark);
    }

    /// Waits until an object is there, and answers how long after `since` it was seen.
    pub async fn back(&self, kind: &str, name: &str, since: Timestamp) -> SignedDuration {
        self.set.present(kind, &self.namespace, name).await;
        Timestamp::now().duration_since(since)
    }
}

/// Waits until an exception's condition `Active` has this reason at its generation, and nothing is still to be done.
pub async fn until(admin: &Client, name: &str, reason: &str) -> Value {
    let all = exceptions(admin);
    let found = watch_until(&all, name, reason, SOON, |object| {
        let object = serde_json::to_value(object).unwrap();
        let active = condition(&object, "Active");
        active["reason"] == reason
            && active["observedGeneration"] == object["metadata"]["generation"]
            && condition(&object, "Reconciling")["status"] == "False"
    });
    serde_json::to_value(found.await.unwrap()).unwrap()
}

pub fn egress() -> Value {
    json!([{"control": "networkIsolation", "objects": [format!("NetworkPolicy/{EGRESS}")]}])
}

/// A second, with nothing for a machine that is busy.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The events about an exception: their reasons, sorted.
pub async fn told(admin: &Client, name: &str) -> Vec<String> {
    let events = api(admin, "Event", Some("default"))
        .list(&Default::default())
        .await
        .unwrap();
    let mut about: Vec<Value> = events.items.iter().map(|e| serde_json::to_value(e).unwrap()).collect();
    about.retain(|e| e["involvedObject"]["kind"] == "BaselineException" && e["involvedObject"]["name"] == name);
    let mut reasons: Vec<String> = about.iter().map(|e| e["reason"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    reasons
}

#[tokio::test]
async fn a_waived_direction_goes_as_a_whole_and_is_back_within_a_second_of_the_expiry() {
    let (plane, _) = shared().await;
    let held = Held::on(plane, "direction").await;
    let (made, expires) = held.waive("debug", egress(), 20).await;
    held.set.gone("NetworkPolicy", &held.namespace, EGRESS).await;
    let active = held.until("debug", "Active").await;
    assert_eq!(condition(&active, "Ready")["status"], "True");
    assert_eq!(condition(&active, "ExpiringSoon")["status"], "True");
    assert_eq!(active["status"]["matched"], 1);
    assert_eq!(
        active["status"]["waived"],
        json!([{"namespace": held.namespace, "control": "networkIsolation", "object": format!("NetworkPolicy/{EGRESS}")}])
    );
    let report = held
        .set
        .report_until(&held.namespace, "tells what is waived", |r| {
            let network = control(r, "networkIsolation");
            network["state"] == "Compliant" && !network["waived"].is_null()
        })
        .await;
    assert_eq!(
        control(&report, "networkIsolation")["waived"],
        json!([{"object": format!("NetworkPolicy/{EGRESS}"), "exceptions": [held.named("debug")], "until": expires.to_string()}])
    );
    // What is left is what `render --exceptions` says, and nobody polls for the end.
    held.holds_under(&[made]).await;
    assert!(Timestamp::now() < expires, "this machine is too slow for the test");
    let late = held.back("NetworkPolicy", EGRESS, expires).await;
    assert!(late >= SignedDuration::ZERO && late < SECOND, "back after {late:#}");
    let expired = held.until("debug", "Expired").await;
    assert_eq!(condition(&expired, "Ready")["status"], "True");
    assert_eq!(expired["status"]["matched"], 0);
    held.holds_under(&[]).await;
    let report = held.set.report_until(&held.namespace, "is there", |_| true).await;
    assert_eq!(report["status"]["drift"]["total"], 0, "nobody did anything: {report}");
    let name = held.named("debug");
    eventually("events tell it", SOON, async || {
        let told = told(&held.set.admin, &name).await;
        anyhow::ensure!(told == ["Active", "Expired", "ExpiringSoon"], "{told:?}");
        Ok(())
    })
    .await
    .unwrap();
    held.delete("debug").await;
}

#[tokio::test]
async fn one_waived_object_goes_and_its_neighbours_stay_and_a_deleted_exception_restores_it_at_once() {
    let (plane, _) = shared().await;
    let held = Held::on(plane, "child").await;
    let binding = "security-baseline-viewers";
    let waive = json!([{"control": "access", "objects": [format!("RoleBinding/{binding}")]}]);
    let (made, _) = held.waive("one", waive, 3600).await;
    held.set.gone("RoleBinding", &held.namespace, binding).await;
    held.until("one", "Active").await;
    held.holds_under(&[made]).await;
    held.delete("one").await;
    let late = held.back("RoleBinding", binding, Timestamp::now()).await;
    assert!(late < SECOND, "back after {late:#}");
    held.holds_under(&[]).await;
}

#[tokio::test]
async fn of_a_whole_control_nothing_is_left_and_what_a_tenant_puts_in_its_place_is_taken_over_at_the_end() {
    let (plane, _) = shared().await;
    let held = Held::on(plane, "whole").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let all = json!([{"control": "networkIsolation"}, {"control": "resourceQuotas"}]);
    let (made, _) = held.waive("all", all, 3600).await;
    held.until("all", "Active").await;
    held.holds_under(std::slice::from_ref(&made)).await;
    let report = set.report_until(namespace, "is there", |_| true).await;
    for section in ["networkIsolation", "resourceQuotas"] {
        let control = control(&report, section);
        assert_eq!(control["state"], "Compliant", "{control}");
        assert_eq!(control["waived"][0]["exceptions"], json!([held.named("all")]));
    }

    let tenant = plane.tenant(namespace).await.unwrap();
    let mark = plane.audit().mark().unwrap();
    let open =
        json!({"metadata": {"name": EGRESS}, "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}});
    let theirs = create(&tenant.client, "NetworkPolicy", Some(namespace), open)
        .await
        .unwrap();
    set.fence(namespace, everything()).await;
    let written = writes_in(plane, mark, namespace);
    assert!(written.is_empty(), "{written:?}");
    // Back to the spec without the fence.
    set.baseline(everything()).await;

    held.end("all").await;
    let taken = set
        .object_until("NetworkPolicy", namespace, EGRESS, "is ours again", |o| {
            o["spec"]["egress"] != json!([{}])
        })
        .await;
    assert_eq!(taken["metadata"]["uid"], theirs["metadata"]["uid"], "it is taken over");
    held.until("all", "Expired").await;
    held.holds_under(&[]).await;
    held.delete("all").await;
}

#[tokio::test]
async fn pod_security_falls_to_the_stricter_of_two_stated_levels_and_returns() {
    let (plane, _) = shared().await;
    let held = Held::on(plane, "levels").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let to = |level: &str| json!([{"control": "podSecurity", "level": level}]);
    let (low, _) = held.waive("low", to("privileged"), 3600).await;
    set.labels_until(namespace, "falls", |l| l[ENFORCE] == "privileged")
        .await;
    held.until("low", "Active").await;
    held.holds_under(std::slice::from_ref(&low)).await;
    let report = set.report_until(namespace, "is there", |_| true).await;
    assert_eq!(control(&report, "podSecurity")["waived"][0]["level"], "privileged");

    let (high, _) = held.waive("high", to("baseline"), 3600).await;
    let labels = set
        .labels_until(namespace, "is stricter", |l| l[ENFORCE] == "baseline")
        .await;
    assert_eq!(
        labels["pod-security.kubernetes.io/warn"], "restricted",
        "the others stay"
    );
    held.until("high", "Active").await;
    held.holds_under(&[low, high]).await;

    held.end("low").await;
    held.until("low", "Expired").await;
    let labels = get(&set.admin, "Namespace", None, namespace).await.unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels[ENFORCE], "baseline");
    held.end("high").await;
    set.labels_until(namespace, "returns", |l| l[ENFORCE] == "restricted")
        .await;
    held.until("high", "Expired").await;
    held.holds_under(&[]).await;
    let report = set.report_until(namespace, "is there", |_| true).await;
    assert_eq!(report["status"]["drift"]["total"], 0, "{report}");
    held.delete("low").await;
    held.delete("high").await;
}

#[tokio::test]
async fn what_two_exceptions_waive_is_back_when_the_last_of_them_ends() {
    let (plane, _) = shared().await;
    let held = Held::on(plane, "overlap").await;
    held.waive("short", egress(), 3600).await;
    let (long, _) = held.waive("long", json!([{"control": "networkIsolation"}]), 7200).await;
    held.until("short", "Active").await;
    held.until("long", "Active").await;
    held.end("short").await;
    held.until("short", "Expired").await;
    held.holds_under(&[long]).await;
    assert_eq!(
        get(&held.set.admin, "NetworkPolicy", Some(&held.namespace), EGRESS).await,
        None
    );
    held.delete("long").await;
    held.set.present("NetworkPolicy", &held.namespace, EGRESS).await;
    held.holds_under(&[]).await;
    held.delete("short").await;
}

#[tokio::test]
async fn an_exception_that_names_nothing_that_is_asked_for_says_so_until_something_is() {
    let (plane, stage) = shared().await;
    let held = Held::on(plane, "vain").await;
    let (set, free, later) = (&held.set, held.named("free"), held.named("later"));
    plane.namespace(&free, &[]).await.unwrap();
    let mut wanted = exception(&held.named("vain"), &from_now(hours(1)));
    wanted["spec"]["namespaces"] = json!([held.namespace, free, later]);
    wanted["spec"]["waive"] =
        json!([{"control": "resourceQuotas", "objects": ["ResourceQuota/security-baseline-none"]}]);
    create(&set.admin, "BaselineException", None, wanted).await.unwrap();
    let vain = held.until("vain", "MatchesNothing").await;
    assert_eq!(condition(&vain, "Ready")["status"], "True");
    assert_eq!(
        condition(&vain, "Active")["message"],
        format!(
            "it waives nothing: there is no namespace {later}; no baseline holds the namespace {free}; no baseline asks for ResourceQuota/security-baseline-none in {}",
            held.namespace
        )
    );
    assert!(crate::stage::metric(&stage.operator, "security_baseline_exceptions{state=\"unmatched\"}").await >= 1);
    held.holds_under(&[]).await;

    let all = json!({"spec": {"waive": [{"control": "resourceQuotas"}]}});
    merge(&set.admin, "BaselineException", None, &held.named("vain"), all)
        .await
        .unwrap();
    held.until("vain", "Active").await;
    // A namespace that comes under the baseline later is let off as soon as it does, and one that goes is not told.
    plane
        .namespace(&later, &[(crate::stage::LABEL, &set.name)])
        .await
        .unwrap();
    let is_two = |object: &DynamicObject| object.data["status"]["matched"] == 2;
    watch_until(
        &exceptions(&set.admin),
        &held.named("vain"),
        "matches twice",
        SOON,
        is_two,
    )
    .await
    .unwrap();
    set.present("LimitRange", &later, "security-baseline-defaults").await;
    assert_eq!(
        get(&set.admin, "ResourceQuota", Some(&later), "security-baseline-compute").await,
        None
    );
    delete(&set.admin, "Namespace", None, &later).await;
    let is_one = |object: &DynamicObject| object.data["status"]["matched"] == 1;
    watch_until(
        &exceptions(&set.admin),
        &held.named("vain"),
        "matches once",
        SOON,
        is_one,
    )
    .await
    .unwrap();
    held.delete("vain").await;
    watch_gone(&api(&set.admin, "Namespace", None), &later, SOON)
        .await
        .unwrap();
    held.holds_under(&[]).await;
}

/// Limits of pods, enforced.
fn limited(cpu: &str) -> Value {
    json!({"mode": "Enforce", "limitRanges": {"items": [{"name": "x", "limits": [{"type": "Pod", "max": {"cpu": cpu}}]}]}})
}

#[tokio::test]
async fn exceptions_never_wait_for_a_confirmation() {
    const LIMITS: &str = "security-baseline-x";
    let (plane, _stage) = own_as_shipped().await;
    let mark = plane.audit().mark().unwrap();
    let (set, spec) = (Set::new(&plane, "many").await, limited("1"));
    // More namespaces than a baseline may let off, or hold to more, without being confirmed: the brake is in force.
    set.baseline(spec.clone()).await;
    let namespaces = set.namespaces(&plane, 12).await;
    converged(&set, &spec, &namespaces).await;
    let mut audited = spec.clone();
    audited["mode"] = json!("Audit");
    for (change, counted) in [(audited, "loosens 12"), (limited("500m"), "tightens 12")] {
        set.baseline(change).await;
        let message = waits(&set).await;
        assert!(message.contains(counted), "{message}");
    }
    set.baseline(spec.clone()).await;
    set.until("Stalled", "False").await;

    let mut wanted = exception(&set.name, &from_now(hours(1)));
    wanted["spec"]["namespaces"] = json!(namespaces);
    create(&set.admin, "BaselineException", None, wanted).await.unwrap();
    for namespace in &namespaces {
        set.gone("LimitRange", namespace, LIMITS).await;
    }
    let active = until(&set.admin, &set.name, "Active").await;
    assert_eq!(active["status"]["matched"], 12);
    let baseline = set.until("Stalled", "False").await;
    assert_eq!(baseline["status"]["namespaces"]["compliant"], 12);
    // A change of the baseline is counted as if nothing were waived, since that comes back.
    set.baseline(limited("500m")).await;
    let message = waits(&set).await;
    assert!(message.contains("tightens 12"), "{message}");
    set.baseline(spec.clone()).await;
    set.until("Stalled", "False").await;

    delete(&set.admin, "BaselineException", None, &set.name).await;
    converged(&set, &spec, &namespaces).await;
    set.until("Stalled", "False").await;
    quiet(&plane, &set, &namespaces, Duration::from_secs(1)).await;
    safe(&plane, mark);
}
