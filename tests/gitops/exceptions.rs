//! Exceptions in every state.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stage::{SOON, Set, api, condition, create, get, merge};
use crate::states::{State, state};
use crate::support::{ControlPlane, eventually, watch_until};

/// An exception of a set's, that ends after so long.
fn exception(set: &Set, suffix: &str, namespaces: &[&str], lasts: SignedDuration) -> Value {
    let expires = Timestamp::from_second((Timestamp::now() + lasts).as_second()).unwrap();
    json!({
        "metadata": {"name": format!("{}-{suffix}", set.name)},
        "spec": {
            "namespaces": namespaces,
            "waive": [{"control": "resourceQuotas"}],
            "reason": "a test",
            "approver": "tester",
            "expiresAt": expires.to_string(),
        },
    })
}

async fn until(set: &Set, suffix: &str, condition_type: &str, reason: &str) -> Value {
    let name = format!("{}-{suffix}", set.name);
    let all = api(&set.admin, "BaselineException", None);
    let found = watch_until(&all, &name, reason, SOON, |object| {
        let object = serde_json::to_value(object).unwrap();
        condition(&object, condition_type)["reason"] == reason
            && object["status"]["observedGeneration"] == object["metadata"]["generation"]
    });
    serde_json::to_value(found.await.unwrap()).unwrap()
}

/// All states of an exception, where the operator runs.
pub async fn all(plane: &ControlPlane) -> Vec<State> {
    let set = Set::new(plane, "excepted").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(json!({"mode": "Enforce", "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": 5}}]}}))
        .await;
    set.until_enforced(1).await;
    let week = SignedDuration::from_hours(168);
    for (suffix, namespaces) in [("active", [namespace.as_str()]), ("vain", ["nobody"])] {
        create(
            &set.admin,
            "BaselineException",
            None,
            exception(&set, suffix, &namespaces, week),
        )
        .await
        .unwrap();
    }
    let active = until(&set, "active", "Ready", "Active").await;
    let vain = until(&set, "vain", "Ready", "MatchesNothing").await;
    // It ends, in a moment.
    let soon = Timestamp::from_second(Timestamp::now().as_second() + 3).unwrap();
    let change = json!({"spec": {"expiresAt": soon.to_string()}});
    merge(
        &set.admin,
        "BaselineException",
        None,
        &format!("{}-vain", set.name),
        change,
    )
    .await
    .unwrap();
    let expired = until(&set, "vain", "Ready", "Expired").await;
    vec![
        state("waives something", active),
        state("names nothing that is there", vain),
        state("its time is over", expired),
        state("its spec is refused", refused(plane, &set).await),
    ]
}

/// One that slips past the admission policy, which is taken away for it.
async fn refused(plane: &ControlPlane, set: &Set) -> Value {
    let binding = "security-baseline-exception-expiry";
    plane
        .kubectl(&["delete", "validatingadmissionpolicybinding", binding])
        .await
        .unwrap();
    let year = exception(set, "year", &["nobody"], SignedDuration::from_hours(24 * 365));
    eventually("the policy is out of force", SOON, async || {
        create(&set.admin, "BaselineException", None, year.clone()).await?;
        Ok(())
    })
    .await
    .unwrap();
    until(set, "year", "Stalled", "InvalidSpec").await
}

/// An exception that no operator has seen.
pub async fn unseen(plane: &ControlPlane) -> State {
    let set = Set::new(plane, "early").await;
    let week = SignedDuration::from_hours(168);
    create(
        &set.admin,
        "BaselineException",
        None,
        exception(&set, "a", &["nobody"], week),
    )
    .await
    .unwrap();
    let found = get(&set.admin, "BaselineException", None, &format!("{}-a", set.name)).await;
    state("new, and not looked at yet", found.unwrap())
}
