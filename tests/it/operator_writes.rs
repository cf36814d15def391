//! What the operator's own rights do not let it do, though RBAC alone would.

use serde_json::json;

use crate::stage::{Set, api, merge, own};
use crate::support::eventually;

/// The namespace and the name of the operator's ServiceAccount, as shipped.
const ACCOUNT: (&str, &str) = ("security-baseline-system", "security-baseline-operator");

#[tokio::test]
async fn with_its_own_token_the_operator_cannot_change_what_a_baseline_declares() {
    // Of its own: the others' oracles judge all that is done with the operator's token.
    let (plane, _stage) = own().await;
    let set = Set::new(&plane, "declared").await;
    set.baseline(json!({"mode": "Audit"})).await;
    let operator = plane.client_for_service_account(ACCOUNT.0, ACCOUNT.1).await.unwrap();
    // The policy is in force a moment after it is installed.
    let mut tries = 0;
    eventually("changes are refused", crate::stage::SOON, async || {
        tries += 1;
        let change = json!({"metadata": {"annotations": {"example.com/try": tries.to_string()}}});
        match merge(&operator, "SecurityBaseline", None, &set.name, change).await {
            Err(error) if error.to_string().contains("and nothing else") => Ok(()),
            other => anyhow::bail!("{other:?}"),
        }
    })
    .await
    .unwrap();
    for change in [
        json!({"spec": {"mode": "Enforce"}}),
        json!({"metadata": {"annotations": {"securitybaseline.dev/confirm": "yes"}}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
    ] {
        let refused = merge(&operator, "SecurityBaseline", None, &set.name, change).await;
        assert!(refused.unwrap_err().to_string().contains("and nothing else"));
    }
    let finalizers = json!({"metadata": {"finalizers": ["securitybaseline.dev/cleanup"]}});
    merge(&operator, "SecurityBaseline", None, &set.name, finalizers)
        .await
        .unwrap();
    let none = json!({"metadata": {"finalizers": null}});
    merge(&operator, "SecurityBaseline", None, &set.name, none)
        .await
        .unwrap();
    let kept = api(&set.admin, "SecurityBaseline", None).get(&set.name).await.unwrap();
    assert_eq!(kept.data["spec"]["mode"], "Audit");
    // What was written here with the operator's token was not the operator's doing.
    std::mem::forget(set);
}
