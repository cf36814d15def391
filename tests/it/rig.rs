//! The rig itself: that it is a real Kubernetes, obeys, and leaves nothing behind.

mod tools;
mod users;

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ResourceQuota, Service, ServiceAccount};
use kube::{Api, api::PostParams};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::{Component, ControlPlane, eventually, unique, watch_gone, watch_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Creates an object from its JSON.
async fn create<K>(api: &Api<K>, object: Value) -> Result<K, kube::Error>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap())
        .await
}

/// A pod that asks for nothing.
fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "example.com/none"}]}})
}

/// What the API server said when it refused.
fn refusal<K>(result: Result<K, kube::Error>) -> String {
    match result {
        Err(kube::Error::Api(status)) if status.code == 403 => status.message.clone(),
        Err(error) => panic!("not refused but failed: {error}"),
        Ok(_) => panic!("not refused"),
    }
}

/// Whether a process exists that is not merely waiting to be reaped.
fn lives(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state of a process, such as `S` (sleeping), `T` (stopped), `Z` (zombie).
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Waits until none of these processes lives.
async fn await_gone(pids: impl IntoIterator<Item = u32>) {
    for pid in pids {
        let gone = async || ensure_gone(pid);
        eventually("the process is gone", PATIENCE, gone).await.unwrap();
    }
}

fn ensure_gone(pid: u32) -> Result<()> {
    ensure!(!lives(pid), "process {pid} still lives");
    Ok(())
}

#[tokio::test]
async fn a_control_plane_starts_in_seconds_and_is_a_real_kubernetes() {
    ControlPlane::shared().await; // so that it is built
    let begin = Instant::now();
    let plane = ControlPlane::start().await.unwrap();
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(30), "took {took:?}");
    println!(
        "started in {took:?}, {} ms by its own account",
        plane.info().start_millis
    );

    let client = plane.admin().await.unwrap();
    // The one that tests/controlplane/go.mod pins, or the one that `make test KUBERNETES=…` names.
    let version = std::env::var("KUBERNETES").unwrap_or_else(|_| "v1.37.2".to_owned());
    assert_eq!(client.apiserver_version().await.unwrap().git_version, version);
    let services: Api<Service> = Api::namespaced(client.clone(), "kube-system");
    assert_eq!(
        services
            .get("kube-dns")
            .await
            .unwrap()
            .spec
            .unwrap()
            .cluster_ip
            .unwrap(),
        "10.96.0.10"
    );

    let namespace = unique("quota");
    plane
        .namespace(&namespace, &[("pod-security.kubernetes.io/enforce", "baseline")])
        .await
        .unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    watch_until(&accounts, "default", "is made", PATIENCE, |_| true)
        .await
        .unwrap();

    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &namespace);
    create(
        &quotas,
        json!({"metadata": {"name": "one-pod"}, "spec": {"hard": {"pods": "1"}}}),
    )
    .await
    .unwrap();
    let accounted = |quota: &ResourceQuota| quota.status.as_ref().is_some_and(|status| status.used.is_some());
    watch_until(&quotas, "one-pod", "is accounted", PATIENCE, accounted)
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let mut privileged = pod("privileged");
    privileged["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    assert!(refusal(create(&pods, privileged).await).contains("violates PodSecurity"));
    create(&pods, pod("first")).await.unwrap();
    assert!(refusal(create(&pods, pod("second")).await).contains("exceeded quota"));

    assert!(
        plane
            .kubectl(&["get", "namespace", &namespace])
            .await
            .unwrap()
            .contains("Active")
    );
    let error = plane
        .kubectl(&["get", "namespace", "absent"])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("NotFound"), "{error}");
}

#[tokio::test]
async fn each_component_is_frozen_killed_stopped_and_started_by_itself() {
    let plane = ControlPlane::start().await.unwrap();
    let mut before = plane.pids().await.unwrap();
    assert_eq!(before.len(), 3);
    for component in Component::ALL {
        let pid = before[component.name()];
        plane.freeze(component).await.unwrap();
        eventually("it is frozen", PATIENCE, async || {
            ensure!(state(pid) == Some('T'), "state {:?}", state(pid));
            Ok(())
        })
        .await
        .unwrap();
        plane.resume(component).await.unwrap();
        eventually("it goes on", PATIENCE, async || {
            ensure!(state(pid) != Some('T'), "still frozen");
            Ok(())
        })
        .await
        .unwrap();

        plane.freeze(component).await.unwrap();
        plane.kill(component).await.unwrap();
        before.remove(component.name());
        assert_eq!(plane.pids().await.unwrap(), before, "only {component} is gone");
        assert!(
            plane
                .stop(component)
                .await
                .unwrap_err()
                .root_cause()
                .to_string()
                .contains("is not running")
        );
        plane.start_component(component).await.unwrap();
        plane.stop(component).await.unwrap();
        plane.start_component(component).await.unwrap();
        let after = plane.pids().await.unwrap();
        assert_ne!(after[component.name()], pid);
        before.insert(component.name().to_owned(), after[component.name()]);
        assert_eq!(after, before, "only {component} is new");
    }
}

#[tokio::test]
async fn a_frozen_api_server_is_silent_and_a_killed_etcd_keeps_its_data() {
    let plane = ControlPlane::start().await.unwrap();
    let client = plane.admin().await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());

    plane.freeze(Component::ApiServer).await.unwrap();
    timeout(Duration::from_millis(300), namespaces.get("default"))
        .await
        .unwrap_err();
    plane.resume(Component::ApiServer).await.unwrap();
    namespaces.get("default").await.unwrap();

    let configmaps: Api<ConfigMap> = Api::namespaced(client, "default");
    create(
        &configmaps,
        json!({"metadata": {"name": "kept"}, "data": {"key": "value"}}),
    )
    .await
    .unwrap();
    plane.kill(Component::Etcd).await.unwrap();
    timeout(
        Duration::from_secs(1),
        create(&configmaps, json!({"metadata": {"name": "lost"}})),
    )
    .await
    .ok();
    plane.start_component(Component::Etcd).await.unwrap();
    let kept = watch_until(&configmaps, "kept", "is still there", PATIENCE, |_| true)
        .await
        .unwrap();
    assert_eq!(kept.data.unwrap()["key"], "value");

    // With the controller manager down nobody makes what its controllers make; it catches up.
    plane.stop(Component::ControllerManager).await.unwrap();
    plane.namespace("late", &[]).await.unwrap();
    let late: Api<ServiceAccount> = Api::namespaced(plane.admin().await.unwrap(), "late");
    assert!(late.get_opt("default").await.unwrap().is_none());
    plane.start_component(Component::ControllerManager).await.unwrap();
    watch_until(&late, "default", "is made", PATIENCE, |_| true)
        .await
        .unwrap();
    namespaces.delete("late", &Default::default()).await.unwrap();
    watch_gone(&namespaces, "late", PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_killed_launcher_leaves_no_process_behind() {
    let plane = ControlPlane::start().await.unwrap();
    let pids = plane.pids().await.unwrap();
    plane.freeze(Component::Etcd).await.unwrap();
    let launcher = Pid::from_raw(plane.info().pid.cast_signed()).unwrap();
    kill_process(launcher, Signal::KILL).unwrap();
    await_gone(pids.into_values()).await;
    plane.pids().await.unwrap_err();
    let dir = plane.info().dir.clone();
    drop(plane);
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_dropped_control_plane_leaves_no_process_and_no_directory_behind() {
    let plane = ControlPlane::start().await.unwrap();
    let (info, pids) = (plane.info().clone(), plane.pids().await.unwrap());
    plane.freeze(Component::ApiServer).await.unwrap();
    drop(plane);
    assert!(!info.dir.exists());
    assert!(!pids.into_values().chain([info.pid]).any(lives));
}

#[tokio::test]
async fn the_launcher_removes_its_directory_when_it_is_terminated() {
    let plane = ControlPlane::start().await.unwrap();
    let (info, pids) = (plane.info().clone(), plane.pids().await.unwrap());
    kill_process(Pid::from_raw(info.pid.cast_signed()).unwrap(), Signal::TERM).unwrap();
    await_gone(pids.into_values().chain([info.pid])).await;
    assert!(!info.dir.exists());
}

#[test]
fn tests_that_race_for_the_shared_control_plane_get_the_same_one() {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let plane = ControlPlane::shared().await;
            let namespaces: Api<Namespace> = Api::all(plane.admin().await.unwrap());
            namespaces.get("default").await.unwrap();
            plane.info().pid
        })
    };
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ask)).collect();
    let pids: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
}
