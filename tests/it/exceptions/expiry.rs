//! How long an exception lasts: the shipped admission policy.

use serde_json::{Value, json};

use super::waived::until;
use super::*;
use crate::stage::merge;

/// An exception that was created, and when.
async fn created(admin: &Client, expires: SignedDuration) -> (String, Timestamp) {
    let name = name();
    let made = exceptions(admin)
        .create(&PostParams::default(), &object(&exception(&name, &from_now(expires))))
        .await
        .unwrap();
    (name, made.metadata.creation_timestamp.unwrap().0)
}

/// Moves the expiry of an exception.
async fn moved(admin: &Client, name: &str, expires: Timestamp) -> kube::Result<Value> {
    let patch = json!({"spec": {"expiresAt": written(expires)}});
    merge(admin, "BaselineException", None, name, patch).await
}

#[tokio::test]
async fn an_exception_is_created_to_end_in_the_future_and_within_30_days() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    in_force(&admin).await;
    let create = async |expires: SignedDuration| {
        let object = object(&exception("mistake", &from_now(expires)));
        exceptions(&admin).create(&dry(), &object).await
    };
    for fine in [SignedDuration::from_mins(1), hours(1), hours(719)] {
        create(fine).await.unwrap();
    }
    for (bad, mend) in [
        (hours(721), "h after the creation of the exception"),
        (hours(721), "is more than 720h"),
        (
            hours(24 * 365 * 50),
            "write an earlier moment, or create a new exception to renew it",
        ),
        (hours(-1), "is not after the creation of the exception"),
        (hours(-24 * 365 * 50), "write a later moment"),
    ] {
        let refused = refusal(create(bad).await).message;
        assert!(
            refused.contains("spec.expiresAt: ") && refused.contains(mend),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn an_expiry_may_be_brought_forward_at_any_time_but_put_off_only_to_30_days_after_the_creation() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    in_force(&admin).await;
    let (name, created) = created(&admin, hours(24)).await;
    let limit = created + hours(720);
    moved(&admin, &name, limit).await.unwrap();
    let refused = refusal(moved(&admin, &name, limit + SignedDuration::from_secs(1)).await).message;
    let told = format!("is more than 720h after the creation of the exception ({created})");
    assert!(
        refused.contains("spec.expiresAt: ") && refused.contains(&told),
        "{refused}"
    );
    // Over at once, also by a moment before it began, and back again: it is still the same month.
    for fine in [created + hours(1), created - hours(1), Timestamp::UNIX_EPOCH, limit] {
        moved(&admin, &name, fine).await.unwrap();
    }
    // But not from one past moment to a later one that is past too.
    moved(&admin, &name, Timestamp::UNIX_EPOCH).await.unwrap();
    let refused = refusal(moved(&admin, &name, created - hours(1)).await).message;
    assert!(refused.contains("write a later moment"), "{refused}");
    stage::delete(&admin, "BaselineException", None, &name).await;
}

/// The limit counts from the creation, so nobody may say when that was.
#[tokio::test]
async fn a_forged_time_of_creation_does_not_move_the_limit() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    in_force(&admin).await;
    let mut forged = exception("forged", &from_now(hours(24 * 100)));
    forged["metadata"]["creationTimestamp"] = json!(from_now(hours(24 * 99)));
    refusal(exceptions(&admin).create(&dry(), &object(&forged)).await);

    let (name, _) = created(&admin, hours(100)).await;
    // The operator has answered, and has nothing more to say.
    let live = until(&admin, &name, "MatchesNothing").await;
    for forgery in [json!(from_now(hours(24 * 99))), Value::Null] {
        let mut forged = live.clone();
        forged["spec"]["expiresAt"] = json!(from_now(hours(24 * 100)));
        forged["metadata"]["creationTimestamp"] = forgery.clone();
        let forged = object(&forged);
        let replaced = exceptions(&admin).replace(&name, &PostParams::default(), &forged).await;
        let refused = refusal(replaced).message;
        assert!(refused.contains("is more than 720h"), "{refused}");

        let metadata = json!({"creationTimestamp": forgery});
        let patch = json!({"metadata": metadata, "spec": {"expiresAt": from_now(hours(24 * 100))}});
        refusal(merge(&admin, "BaselineException", None, &name, patch).await);
        // Server-side apply, of an object that is there and of one that is not.
        for name in [&name, "not-there"] {
            let mut applied = exception(name, &from_now(hours(24 * 100)));
            applied["metadata"]["creationTimestamp"] = forgery.clone();
            let params = PatchParams::apply("test").force();
            refusal(exceptions(&admin).patch(name, &params, &Patch::Apply(&applied)).await);
        }
    }
    let after = stage::get(&admin, "BaselineException", None, &name).await.unwrap();
    assert_eq!(after, live);
    stage::delete(&admin, "BaselineException", None, &name).await;
}

/// What cannot be evaluated is refused, or a fault in the policy would be a way around it.
#[tokio::test]
async fn a_time_that_the_policy_cannot_read_is_refused() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    in_force(&admin).await;
    // The format date-time takes it; CEL does not.
    let small = object(&exception("small", &from_now(hours(24)).to_lowercase()));
    let refused = refusal(exceptions(&admin).create(&dry(), &small).await).message;
    assert!(refused.contains("security-baseline-exception-expiry"), "{refused}");
}

/// The controller manager checks the policy's expressions against the CRD's schema, but only for versions that are
/// named: the policy is for all of them.
#[tokio::test]
async fn the_policy_fits_the_schema() {
    let plane = installed().await;
    let policy = "validatingadmissionpolicy/security-baseline-exception-expiry";
    let path = "/spec/matchConstraints/resourceRules/0/apiVersions";
    let named = json!([{"op": "replace", "path": path, "value": ["v1alpha1"]}]);
    plane
        .kubectl(&["patch", policy, "--type=json", &format!("--patch={named}")])
        .await
        .unwrap();
    let get = ["get", policy, "--output=jsonpath={.status}"];
    let checked = eventually("the policy was checked", Duration::from_secs(60), async || {
        let status: Value = serde_json::from_str(&plane.kubectl(&get).await?)?;
        anyhow::ensure!(status["observedGeneration"] == 2, "{status}");
        Ok(status)
    });
    let status = checked.await.unwrap();
    assert_eq!(status["typeChecking"], json!({}), "{status}");
}

#[tokio::test]
async fn a_refusal_states_the_limit_as_it_was_configured() {
    let plane = installed().await;
    let admin = plane.admin().await.unwrap();
    let long = object(&exception("long", &from_now(hours(800))));
    for limit in ["30m", "1h30m", "168h", "90s"] {
        let told = if limit == "90s" { "1m30s" } else { limit };
        let patch = json!([
            {"op": "replace", "path": "/spec/variables/0/expression", "value": format!("duration('{limit}')")}
        ]);
        let policy = "validatingadmissionpolicy/security-baseline-exception-expiry";
        plane
            .kubectl(&["patch", policy, "--type=json", &format!("--patch={patch}")])
            .await
            .unwrap();
        eventually("the limit is told", Duration::from_secs(30), async || {
            let refused = refusal(exceptions(&admin).create(&dry(), &long).await).message;
            let told = format!("is more than {told} after the creation of the exception");
            anyhow::ensure!(refused.contains(&told), "{refused}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_tighter_limit_holds_for_what_comes_and_locks_nothing_that_is_there() {
    let plane = installed().await;
    let admin = plane.admin().await.unwrap();
    let (name, created) = created(&admin, hours(700)).await;
    // The very patch that the documentation names.
    let page = std::fs::read_to_string(file("docs/exceptions.md")).unwrap();
    let patch = r#"{op: replace, path: /spec/variables/0/expression, value: "duration('168h')"}"#;
    assert!(page.contains(patch), "docs/exceptions.md shows another patch");
    let patch = format!("[{patch}]");
    let policy = "validatingadmissionpolicy/security-baseline-exception-expiry";
    plane
        .kubectl(&["patch", policy, "--type=json", &format!("--patch={patch}")])
        .await
        .unwrap();
    eventually("the new limit is in force", Duration::from_secs(30), async || {
        let long = object(&exception("long", &from_now(hours(169))));
        let taken = exceptions(&admin).create(&dry(), &long).await;
        anyhow::ensure!(taken.is_err(), "169 hours are accepted");
        Ok(())
    })
    .await
    .unwrap();
    exceptions(&admin)
        .create(&dry(), &object(&exception("short", &from_now(hours(167)))))
        .await
        .unwrap();

    let metadata = json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/hold"]}});
    merge(&admin, "BaselineException", None, &name, metadata).await.unwrap();
    let refused = refusal(moved(&admin, &name, created + hours(710)).await).message;
    assert!(refused.contains("is more than 168h"), "{refused}");
    moved(&admin, &name, created + hours(300)).await.unwrap();
    refusal(moved(&admin, &name, created + hours(301)).await);
    stage::delete(&admin, "BaselineException", None, &name).await;
    let free = json!({"metadata": {"finalizers": null}});
    merge(&admin, "BaselineException", None, &name, free).await.unwrap();
    let gone = stage::get(&admin, "BaselineException", None, &name).await;
    assert_eq!(gone, None);
}
