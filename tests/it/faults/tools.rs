//! The proxy and the recorder themselves: that they do to a client what the tests take them to do.

use std::time::Duration;

use anyhow::ensure;
use futures::{StreamExt, TryStreamExt};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::stage::{SOON, api, create, get};
use crate::support::proxy::{Answer, Fault, Matching, Proxy, When};
use crate::support::recorder::Recorder;
use crate::support::{ControlPlane, OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, eventually};

/// A control plane with a proxy, and a client of the operator's ServiceAccount that goes through it, and tries nothing
/// again by itself. It may do anything.
async fn proxied() -> (ControlPlane, Proxy, Client) {
    let plane = ControlPlane::start().await.unwrap();
    plane.namespace(OPERATOR_NAMESPACE, &[]).await.unwrap();
    let admin = plane.admin().await.unwrap();
    let account = json!({"metadata": {"name": OPERATOR_SERVICE_ACCOUNT}});
    create(&admin, "ServiceAccount", Some(OPERATOR_NAMESPACE), account)
        .await
        .unwrap();
    let account = format!("--serviceaccount={OPERATOR_NAMESPACE}:{OPERATOR_SERVICE_ACCOUNT}");
    let bind = [
        "create",
        "clusterrolebinding",
        "all",
        "--clusterrole=cluster-admin",
        &account,
    ];
    plane.kubectl(&bind).await.unwrap();
    let proxy = Proxy::start(&plane).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    config.default_retry = false;
    let client = Client::try_from(config).unwrap();
    // The binding reaches the authorizer by a watch of its own.
    let maps = api(&client, "ConfigMap", Some("default"));
    eventually("the rights hold", SOON, async || {
        Ok(maps.list(&ListParams::default()).await.map(drop)?)
    })
    .await
    .unwrap();
    (plane, proxy, client)
}

async fn put(client: &Client, name: &str) -> kube::Result<Value> {
    create(
        client,
        "ConfigMap",
        Some("default"),
        json!({"metadata": {"name": name}}),
    )
    .await
}

async fn is_there(client: &Client, name: &str) -> bool {
    get(client, "ConfigMap", Some("default"), name).await.is_some()
}

#[tokio::test]
async fn the_proxy_passes_on_who_asks_and_disturbs_what_it_is_told_on_the_side_that_it_is_told() {
    let (plane, proxy, client) = proxied().await;
    let admin = plane.admin().await.unwrap();
    let creation = |name: &str| Matching::of("create", "configmaps").within("default").named(name);

    // Undisturbed; and nobody is let in by the proxy itself.
    let mark = plane.audit().mark().unwrap();
    put(&client, "free").await.unwrap();
    eventually("it is in the operator's audit log", SOON, async || {
        ensure!(
            plane
                .audit()
                .since(mark)?
                .iter()
                .any(|r| r.verb == "create" && r.code == 201),
            "not yet"
        );
        Ok(())
    })
    .await
    .unwrap();
    let nobody = Config::new(format!("http://127.0.0.1:{}", proxy.port()).parse().unwrap());
    let refused = put(&Client::try_from(nobody).unwrap(), "nobodys").await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 401 || status.code == 403),
        "{refused}"
    );

    // Lost before, lost after.
    let lost = proxy.disturb(creation("before"), Fault::Drop(When::Before));
    put(&client, "before").await.unwrap_err();
    assert_eq!((lost.hits(), is_there(&admin, "before").await), (1, false));
    let lost = proxy.disturb_first(1, creation("after"), Fault::Drop(When::After));
    put(&client, "after").await.unwrap_err();
    assert_eq!((lost.hits(), is_there(&admin, "after").await), (1, true));
    // What the API server refused was not done, so it is not lost.
    let lost = proxy.disturb_first(1, creation("free"), Fault::Drop(When::After));
    let told = put(&client, "free").await.unwrap_err();
    assert!(
        matches!(&told, kube::Error::Api(status) if status.code == 409),
        "{told}"
    );
    assert_eq!(lost.hits(), 0);

    // Held before, held after, and let go.
    for (name, when) in [("held-before", When::Before), ("held-after", When::After)] {
        let held = proxy.disturb(creation(name), Fault::Hold(when));
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { put(&client, name).await }
        });
        held.hit(1).await.unwrap();
        assert_eq!(is_there(&admin, name).await, when == When::After);
        assert!(!waiting.is_finished());
        held.release();
        waiting.await.unwrap().unwrap();
        assert!(is_there(&admin, name).await);
    }
    // Held, and forgotten.
    let held = proxy.disturb(creation("forgotten"), Fault::Hold(When::Before));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { put(&client, "forgotten").await }
    });
    held.hit(1).await.unwrap();
    proxy.forget();
    waiting.await.unwrap().unwrap_err();
    assert!(!is_there(&admin, "forgotten").await);
    put(&client, "forgotten").await.unwrap();

    // Answers of its own, in order, until they are used up.
    let code =
        |told: &kube::Error| matches!(told, kube::Error::Api(status) if status.code == 429 || status.code == 404);
    let busy = proxy.disturb_first(1, creation("answered"), Fault::Answer(Answer::busy(1)));
    proxy.disturb_first(1, creation("answered"), Fault::Answer(Answer::page(404)));
    for _ in 0..2 {
        let told = put(&client, "answered").await.unwrap_err();
        assert!(code(&told), "{told}");
    }
    assert_eq!((busy.hits(), is_there(&admin, "answered").await), (1, false));
    put(&client, "answered").await.unwrap();
    assert_eq!(proxy.asked(&creation("answered")).len(), 3);

    // Half of a list.
    let maps = api(&client, "ConfigMap", Some("default"));
    proxy.disturb_first(1, Matching::of("list", "configmaps"), Fault::Truncate);
    let told = maps.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(told, kube::Error::SerdeError(_)), "{told}");
    maps.list(&ListParams::default()).await.unwrap();

    let disturbed: Vec<String> = proxy
        .disturbed()
        .iter()
        .map(|(kind, when)| format!("{kind} {when:?}"))
        .collect();
    assert_eq!(
        disturbed,
        [
            "create configmaps Before",
            "create configmaps After",
            "list configmaps After"
        ]
    );
}

#[tokio::test]
async fn the_proxy_cuts_freezes_and_delays_the_watches_of_a_kind_and_of_no_other() {
    let (_plane, proxy, client) = proxied().await;
    let watching = async |kind: &str| {
        let api: Api<DynamicObject> = api(&client, kind, Some("default"));
        let version = api
            .list(&ListParams::default())
            .await
            .unwrap()
            .metadata
            .resource_version
            .unwrap();
        api.watch(&WatchParams::default().disable_bookmarks(), &version)
            .await
            .unwrap()
            .boxed()
    };
    let name = |event: WatchEvent<DynamicObject>| match event {
        WatchEvent::Added(object) => object.metadata.name.unwrap(),
        event => panic!("{event:?}"),
    };
    let mut maps = watching("ConfigMap").await;
    let mut accounts = watching("ServiceAccount").await;

    proxy.freeze("configmaps", true);
    put(&client, "a").await.unwrap();
    put(&client, "b").await.unwrap();
    create(
        &client,
        "ServiceAccount",
        Some("default"),
        json!({"metadata": {"name": "a"}}),
    )
    .await
    .unwrap();
    // The other kind's event, which is later, is through.
    assert_eq!(name(accounts.try_next().await.unwrap().unwrap()), "a");
    timeout(Duration::from_millis(100), maps.next()).await.unwrap_err();
    proxy.freeze("configmaps", false);
    assert_eq!(name(maps.try_next().await.unwrap().unwrap()), "a");
    assert_eq!(name(maps.try_next().await.unwrap().unwrap()), "b");

    proxy.delay("configmaps", Duration::from_millis(700));
    let begin = Instant::now();
    put(&client, "c").await.unwrap();
    assert_eq!(name(maps.try_next().await.unwrap().unwrap()), "c");
    assert!(begin.elapsed() >= Duration::from_millis(600), "{:?}", begin.elapsed());
    proxy.delay("configmaps", Duration::ZERO);

    proxy.cut("configmaps");
    assert!(!matches!(maps.next().await, Some(Ok(_))), "the watch goes on");
    create(
        &client,
        "ServiceAccount",
        Some("default"),
        json!({"metadata": {"name": "b"}}),
    )
    .await
    .unwrap();
    assert_eq!(name(accounts.try_next().await.unwrap().unwrap()), "b");
    // A new one is not cut.
    let mut maps = watching("ConfigMap").await;
    put(&client, "d").await.unwrap();
    assert_eq!(name(maps.try_next().await.unwrap().unwrap()), "d");
}

#[tokio::test]
async fn the_recorder_keeps_every_state_in_order_and_says_where_it_could_not() {
    use crate::support::Component;

    let plane = ControlPlane::start().await.unwrap();
    let admin = plane.admin().await.unwrap();
    let recorder = Recorder::start(&plane).await.unwrap();
    plane.namespace("a", &[]).await.unwrap();
    let policies = api(&admin, "NetworkPolicy", Some("a"));
    let begin = recorder.version().await.unwrap();
    let policy = json!({"metadata": {"name": "p"}, "spec": {"podSelector": {}}});
    create(&admin, "NetworkPolicy", Some("a"), policy.clone())
        .await
        .unwrap();
    for i in 0..20 {
        let change = json!({"metadata": {"annotations": {"i": i.to_string()}}});
        policies
            .patch("p", &PatchParams::default(), &Patch::Merge(&change))
            .await
            .unwrap();
    }
    policies.delete("p", &Default::default()).await.unwrap();
    create(&admin, "NetworkPolicy", Some("a"), policy).await.unwrap();
    recorder.caught_up().await.unwrap();
    let seen = |after: u64| -> Vec<Value> {
        let states = recorder
            .states()
            .into_iter()
            .filter(|s| s.kind == "NetworkPolicy" && s.version > after);
        states
            .map(|s| {
                s.object
                    .map_or(Value::Null, |o| o["metadata"]["annotations"]["i"].clone())
            })
            .collect()
    };
    let mut expected = vec![Value::Null];
    expected.extend((0..20).map(|i| json!(i.to_string())));
    expected.extend([Value::Null, Value::Null]);
    assert_eq!(seen(begin), expected);
    assert_eq!(recorder.gaps(), Vec::<String>::new());

    // Restarted, the API server knows nothing from before: what is there then is kept, and that there is a gap.
    plane.kill(Component::ApiServer).await.unwrap();
    plane.start_component(Component::ApiServer).await.unwrap();
    let begin = recorder.version().await.unwrap();
    let change = json!({"metadata": {"annotations": {"i": "last"}}});
    policies
        .patch("p", &PatchParams::default(), &Patch::Merge(&change))
        .await
        .unwrap();
    recorder.caught_up().await.unwrap();
    assert_eq!(seen(begin).last(), Some(&json!("last")));
}
