//! The actions that Argo CD offers do in a cluster what they say.

use serde_json::{Value, json};

use crate::lua::SETTINGS;
use crate::stage::{LABEL, Set, condition, create, delete, file, get, merge, own_as_shipped};
use crate::tools;

/// Does to the set's baseline what Argo CD does when somebody clicks an action: what differs is patched.
async fn click(set: &Set, action: &str) {
    let live = get(&set.admin, "SecurityBaseline", None, &set.name).await.unwrap();
    let answer = &tools::argo(&file(SETTINGS), std::slice::from_ref(&live))[0];
    let made = &answer["results"][action];
    assert!(made.is_object(), "{action} is not offered: {answer}");
    let patch = json!({
        "metadata": {"annotations": made["metadata"]["annotations"]},
        "spec": {"suspend": made["spec"]["suspend"]},
    });
    merge(&set.admin, "SecurityBaseline", None, &set.name, patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn suspend_and_resume_stop_and_start_and_refresh_has_what_is_held_back_looked_at_at_once() {
    let (plane, _stage) = own_as_shipped().await;
    let set = Set::new(&plane, "clicked").await;
    let namespace = set.namespace(&plane, "a").await;
    set.aged(std::slice::from_ref(&namespace)).await;
    set.object_until("ServiceAccount", &namespace, "default", "is made", |_| true)
        .await;
    let pod = json!({"metadata": {"name": "web"}, "spec": {"hostNetwork": true, "containers": [{"name": "c", "image": "example.com/none"}]}});
    create(&set.admin, "Pod", Some(&namespace), pod).await.unwrap();
    set.baseline(json!({"mode": "Enforce", "podSecurity": {"enforce": {"level": "baseline"}}, "networkIsolation": {"defaultDeny": ["Ingress"]}}))
        .await;
    let held = |b: &Value| condition(b, "Stalled")["reason"] == "Blocked";
    set.baseline_until(&set.name, "holds back what would break the pod", held)
        .await;

    // Mended; by itself it would be looked at again minutes later.
    delete(&set.admin, "Pod", Some(&namespace), "web").await;
    set.gone("Pod", &namespace, "web").await;
    click(&set, "refresh").await;
    set.until_enforced(1).await;

    click(&set, "suspend").await;
    set.baseline_until(&set.name, "is suspended", |b| {
        condition(b, "Stalled")["reason"] == "Suspended"
    })
    .await;
    delete(
        &set.admin,
        "NetworkPolicy",
        Some(&namespace),
        "security-baseline-default-deny-ingress",
    )
    .await;
    click(&set, "resume").await;
    set.until("Ready", "True").await;
    set.present("NetworkPolicy", &namespace, "security-baseline-default-deny-ingress")
        .await;
    assert_eq!(
        get(&set.admin, "Namespace", None, &namespace).await.unwrap()["metadata"]["labels"][LABEL],
        set.name
    );
}
