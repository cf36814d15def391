//! Exceptions as the API server takes them: what it refuses, how long they last, and who may write them.

mod ends;
mod expiry;
mod rights;
mod waived;

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::stage::{self, api, file, shared};
use crate::support::{ControlPlane, eventually, install_yaml, unique};

/// The sample, which needs a date of the day before it is accepted.
pub const SAMPLE: &str = "baselineexception_egress.yaml";

/// This long from now, as it is written in a spec.
pub fn from_now(ahead: SignedDuration) -> String {
    written(Timestamp::now() + ahead)
}

fn written(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap().to_string()
}

pub fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// An exception that expires then.
fn exception(name: &str, expires: &str) -> Value {
    json!({
        "apiVersion": "securitybaseline.dev/v1alpha1",
        "kind": "BaselineException",
        "metadata": {"name": name},
        "spec": {
            "namespaces": ["team-a"],
            "waive": [{"control": "limitRanges"}],
            "reason": "a test",
            "approver": "tester",
            "expiresAt": expires,
        },
    })
}

fn exceptions(client: &Client) -> Api<DynamicObject> {
    api(client, "BaselineException", None)
}

fn dry() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

fn object(value: &Value) -> DynamicObject {
    serde_json::from_value(value.clone()).unwrap()
}

/// What the API server says when it refuses something as invalid.
fn refusal<K: std::fmt::Debug>(result: kube::Result<K>) -> Box<kube::core::Status> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 422 => status,
        other => panic!("not refused as invalid: {other:?}"),
    }
}

/// A control plane with all that is shipped, but no operator, once the admission policy is in force: the API server
/// takes it up by a watch.
async fn installed() -> ControlPlane {
    let plane = ControlPlane::start().await.unwrap();
    plane.install(&install_yaml()).await.unwrap();
    in_force(&plane.admin().await.unwrap()).await;
    plane
}

async fn in_force(admin: &Client) {
    eventually("the policy is in force", Duration::from_secs(30), async || {
        let late = object(&exception("late", &from_now(hours(24 * 365))));
        let taken = exceptions(admin).create(&dry(), &late).await;
        anyhow::ensure!(taken.is_err(), "an exception of a year is accepted");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn every_mistake_in_an_exception_is_refused_by_a_message_that_names_the_field_and_the_mend() {
    let (plane, _) = shared().await;
    let exceptions = exceptions(&plane.admin().await.unwrap());
    let (mut wrong, mut files) = (Vec::new(), 0);
    for entry in std::fs::read_dir(file("tests/fixtures/bad-exceptions")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let field = lines.next().unwrap().strip_prefix("# refused: ").unwrap();
        let mend = lines.next().unwrap().strip_prefix("# mend: ").unwrap();
        let bad = text.replace("in 168h", &from_now(hours(168)));
        let bad: DynamicObject = serde_saphyr::from_str(&bad).unwrap();
        let refused = refusal(exceptions.create(&dry(), &bad).await);
        let causes = refused
            .details
            .as_ref()
            .map(|d| d.causes.as_slice())
            .unwrap_or_default();
        if !causes.iter().any(|c| c.field == field && c.message.contains(mend)) {
            wrong.push(format!("{path:?}: {}", refused.message));
        }
        files += 1;
    }
    assert!(files > 15, "{files} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_refused_and_waives_nothing_by_accident() {
    let (plane, _) = shared().await;
    let mut typo = exception("typo", &from_now(hours(1)));
    // Without it, the whole control would be waived.
    typo["spec"]["waive"][0]["object"] = json!(["LimitRange/security-baseline-defaults"]);
    let exceptions = exceptions(&plane.admin().await.unwrap());
    let params = PatchParams::apply("test").force();
    let applied = exceptions.patch("typo", &params, &Patch::Apply(&typo)).await;
    let error = applied.unwrap_err().to_string();
    assert!(error.contains("spec.waive") && error.contains("object"), "{error}");
}

#[tokio::test]
async fn every_control_is_waived_whole_or_by_the_objects_that_it_has() {
    let (plane, _) = shared().await;
    let exceptions = exceptions(&plane.admin().await.unwrap());
    let named = |kind: &str, name: &str| format!("{kind}/security-baseline-{name}");
    let long = "x".repeat(39);
    let mut all = exception("all", &from_now(hours(1)));
    all["spec"]["waive"] = json!([
        {"control": "networkIsolation", "objects": [
            named("NetworkPolicy", "default-deny-ingress"),
            named("NetworkPolicy", "default-deny-egress"),
            named("NetworkPolicy", &format!("allow-{long}")),
        ]},
        {"control": "resourceQuotas", "objects": [named("ResourceQuota", &long)]},
        {"control": "limitRanges", "objects": [named("LimitRange", "a-1")]},
        {"control": "access", "objects": [named("Role", "developer"), named("RoleBinding", "developers")]},
        {"control": "podSecurity", "level": "privileged"},
    ]);
    exceptions.create(&dry(), &object(&all)).await.unwrap();
    for waiver in all["spec"]["waive"].as_array_mut().unwrap() {
        waiver.as_object_mut().unwrap().remove("objects");
    }
    exceptions.create(&dry(), &object(&all)).await.unwrap();
}

#[tokio::test]
async fn the_sample_is_accepted_with_a_date_of_ones_own_and_kubectl_shows_it() {
    let plane = installed().await;
    let text = std::fs::read_to_string(file("config/samples").join(SAMPLE)).unwrap();
    let stale: DynamicObject = serde_saphyr::from_str(&text).unwrap();
    let admin = plane.admin().await.unwrap();
    let refused = refusal(exceptions(&admin).create(&dry(), &stale).await);
    assert!(refused.message.contains("write a later moment"), "{}", refused.message);

    let dir = tempfile::tempdir().unwrap();
    let expires = from_now(hours(168));
    let dated = dir.path().join(SAMPLE);
    std::fs::write(&dated, text.replace("2025-01-31T00:00:00Z", &expires)).unwrap();
    let dated = dated.to_str().unwrap();
    plane
        .kubectl(&["--warnings-as-errors", "apply", "--server-side", "-f", dated])
        .await
        .unwrap();
    let shown = plane.kubectl(&["get", "be"]).await.unwrap();
    let lines: Vec<Vec<&str>> = shown.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        ["NAME", "ACTIVE", "REASON", "NAMESPACES", "EXPIRES", "APPROVER", "AGE"]
    );
    assert_eq!(
        lines[1][..4],
        ["team-a-egress", r#"["team-a"]"#, &expires, "jane@example.com"]
    );
    // Nobody has looked at it yet, and it does not look as if anybody had.
    let fresh = stage::get(&admin, "BaselineException", None, "team-a-egress")
        .await
        .unwrap();
    assert_eq!(fresh["status"], json!({"observedGeneration": -1}));
    let security = plane.kubectl(&["get", "security", "--output=name"]).await.unwrap();
    assert!(
        security.contains("baselineexception.securitybaseline.dev/team-a-egress"),
        "{security}"
    );
}

/// Two places know the limit, and what is shipped must say the same in both.
#[test]
fn the_shipped_policy_and_the_shipped_configuration_state_the_same_limit() {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(install_yaml()).unwrap()).unwrap();
    let of_kind = |kind: &str| documents.iter().find(|d| d["kind"] == kind).unwrap();
    let policy = &of_kind("ValidatingAdmissionPolicy")["spec"]["variables"][0];
    let text = of_kind("ConfigMap")["data"]["config.yaml"].as_str().unwrap();
    let configuration: Value = serde_saphyr::from_str(text).unwrap();
    let limit = configuration["exceptions"]["maxDuration"].as_str().unwrap();
    assert_eq!(
        *policy,
        json!({"name": "limit", "expression": format!("duration('{limit}')")})
    );
}

/// A name that no other test has.
fn name() -> String {
    unique("exception")
}
