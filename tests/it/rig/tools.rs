//! The rig's tools: the audit log, the operator's process, waiting, keeping logs.

use std::{fs, io::Write, os::unix::process::ExitStatusExt, path::Path, time::Duration};

use anyhow::{Context, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Node, ServiceAccount};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{PATIENCE, create, refusal};
use crate::support::{
    ControlPlane, OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, Operator, OperatorOptions, audit, eventually,
    free_port, unique, watch_until,
};

/// The stand-in for the operator's binary, told what to do.
fn stand_in(port: u16, what: &str) -> OperatorOptions {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rig/stand_in.sh");
    let mut options = OperatorOptions::new(binary, port).args([what]);
    options.env.push(("MARK".to_owned(), "marked".to_owned()));
    options
}

#[tokio::test]
async fn the_audit_log_counts_the_requests_of_the_operator_exactly_and_nobody_elses() {
    let plane = ControlPlane::start().await.unwrap();
    let admin = plane.admin().await.unwrap();
    plane.namespace(OPERATOR_NAMESPACE, &[]).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), OPERATOR_NAMESPACE);
    create(&accounts, json!({"metadata": {"name": OPERATOR_SERVICE_ACCOUNT}}))
        .await
        .unwrap();
    plane
        .kubectl(&[
            "create",
            "clusterrolebinding",
            "operator",
            "--clusterrole=edit",
            &format!("--serviceaccount={OPERATOR_NAMESPACE}:{OPERATOR_SERVICE_ACCOUNT}"),
        ])
        .await
        .unwrap();
    let client = plane
        .client_for_service_account(OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT)
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let admins_maps: Api<ConfigMap> = Api::namespaced(admin, "default");
    // The binding reaches the authorizer by a watch of its own.
    let allowed = async || Ok(maps.list(&ListParams::default()).await.map(drop)?);
    eventually("the operator may list", PATIENCE, allowed).await.unwrap();
    // The last of these requests may not be logged yet; the version is asked for to see that it is.
    client.apiserver_version().await.unwrap();
    let log = plane.audit();
    let mark = eventually("what came before is logged", PATIENCE, async || {
        let mark = log.mark()?;
        let text = fs::read_to_string(&plane.info().audit_log)?;
        ensure!(text.contains("\"requestURI\":\"/version\""), "not yet");
        Ok(mark)
    })
    .await
    .unwrap();

    create(&admins_maps, json!({"metadata": {"name": "admins"}}))
        .await
        .unwrap();
    create(&maps, json!({"metadata": {"name": "mine"}, "data": {"k": "v"}}))
        .await
        .unwrap();
    let dry = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let other: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "dry"}})).unwrap();
    maps.create(&dry, &other).await.unwrap();
    let patch = Patch::Merge(json!({"data": {"k": "w"}}));
    maps.patch("mine", &PatchParams::default(), &patch).await.unwrap();
    let mut watch = Box::pin(maps.watch(&WatchParams::default(), "0").await.unwrap());
    watch.next().await.unwrap().unwrap();
    drop(watch);
    let nodes: Api<Node> = Api::all(client.clone());
    let (params, all) = (DeleteParams::default(), ListParams::default());
    refusal(nodes.delete_collection(&params, &all).await);
    refusal(nodes.watch(&WatchParams::default(), "0").await.map(drop));
    client.apiserver_version().await.unwrap();

    let requests = eventually("all are logged", PATIENCE, async || {
        let requests = log.since(mark)?;
        ensure!(requests.len() >= 7, "{requests:#?}");
        // The end of the watch is logged as well, and is no request.
        let text = fs::read_to_string(&plane.info().audit_log)?;
        let ended = |line: &str| line.contains("\"verb\":\"watch\"") && line.contains("\"stage\":\"ResponseComplete\"");
        ensure!(
            text.lines().filter(|line| ended(line)).count() == 2,
            "a watch has not ended"
        );
        Ok(requests)
    })
    .await
    .unwrap();
    let mut seen: Vec<_> = requests
        .iter()
        .map(|r| format!("{} {} {}", r.verb, r.resource, r.code))
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "create configmaps 201",
            "create configmaps 201",
            "deletecollection nodes 403",
            "get  200",
            "patch configmaps 200",
            "watch configmaps 200",
            "watch nodes 403",
        ]
    );
    let writes = log.writes_since(mark).unwrap();
    let verbs: Vec<_> = writes.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["create", "patch", "deletecollection"]);
    assert_eq!(writes[0].body.as_ref().unwrap()["data"]["k"], "v");
    assert_eq!(writes[1].name.as_deref(), Some("mine"));
    assert_eq!(writes[1].namespace.as_deref(), Some("default"));
    assert!(writes[0].at <= writes[1].at);
}

#[test]
fn a_half_written_audit_line_is_left_for_later() {
    let line = json!({
        "auditID": "1", "stage": "ResponseComplete", "verb": "get", "requestURI": "/version",
        "responseStatus": {"code": 200}, "requestReceivedTimestamp": "2026-01-02T03:04:05.678901Z",
        "stageTimestamp": "2026-01-02T03:04:05.789012Z",
    })
    .to_string();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let log = audit::Log::new(file.path().to_owned());
    let (first, second) = line.split_at(20);
    write!(file, "{line}\n{first}").unwrap();
    let mark = log.mark().unwrap();
    assert_eq!(log.since(mark).unwrap().len(), 0);
    writeln!(file, "{second}").unwrap();
    let requests = log.since(mark).unwrap();
    assert_eq!((requests.len(), requests[0].code), (1, 200));
}

#[tokio::test]
async fn the_operators_process_is_made_ready_terminated_and_killed() {
    let plane = ControlPlane::shared().await;
    let port = free_port().unwrap();
    let options = OperatorOptions {
        kubeconfig: Some(plane.admin_kubeconfig().to_owned()),
        ..stand_in(port, "sleep")
    };
    let mut operator = Operator::spawn(plane, options.clone()).await.unwrap();
    let serving = tokio::spawn(serve(port));
    operator.ready(PATIENCE).await.unwrap();
    assert_eq!(operator.metrics().await.unwrap(), "all well");
    serving.abort();
    let expected = format!(
        "called with: run sleep as {}, marked marked\n",
        plane.admin_kubeconfig().display()
    );
    eventually("it has said how it was called", PATIENCE, async || {
        ensure!(operator.log()? == expected, "{}", operator.log()?);
        Ok(())
    })
    .await
    .unwrap();
    let status = operator.terminate(PATIENCE).await.unwrap();
    assert_eq!(status.signal(), Some(15));

    let mut operator = Operator::spawn(plane, options).await.unwrap();
    operator.kill().unwrap();
    assert_eq!(operator.exited().unwrap().unwrap().signal(), Some(9));

    let options = OperatorOptions {
        kubeconfig: Some(plane.admin_kubeconfig().to_owned()),
        ..stand_in(port, "end")
    };
    let mut operator = Operator::spawn(plane, options).await.unwrap();
    let error = operator.ready(PATIENCE).await.unwrap_err().to_string();
    assert!(
        error.contains("exit status: 3") && error.contains("called with: run end"),
        "{error}"
    );
}

/// Answers every request with 200.
async fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nall well").await.unwrap();
    }
}

#[test]
fn the_operators_log_is_kept_when_a_test_panics() {
    let fails = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let plane = ControlPlane::shared().await;
            let kubeconfig = Some(plane.admin_kubeconfig().to_owned());
            let options = OperatorOptions {
                kubeconfig,
                ..stand_in(1, "sleep")
            };
            let operator = Operator::spawn(plane, options).await.unwrap();
            let said = async || {
                operator
                    .log()?
                    .contains("called")
                    .then_some(())
                    .context("says nothing yet")
            };
            eventually("it says something", PATIENCE, said).await.unwrap();
            panic!("on purpose");
        })
    };
    let thread = std::thread::Builder::new()
        .name("rig::panics_on_purpose".to_owned())
        .spawn(fails)
        .unwrap();
    thread.join().unwrap_err();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-logs/rig.panics_on_purpose");
    assert!(
        fs::read_to_string(kept.join("operator/operator.log"))
            .unwrap()
            .contains("called with")
    );
    assert!(kept.join("shared-control-plane/kube-apiserver.log").exists());
    fs::remove_dir_all(kept).unwrap();
}

#[tokio::test]
async fn waiting_in_vain_tells_what_was_last_seen() {
    let plane = ControlPlane::shared().await;
    let namespace = unique("vain");
    plane.namespace(&namespace, &[]).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin().await.unwrap(), &namespace);
    create(&maps, json!({"metadata": {"name": "map"}, "data": {"colour": "blue"}}))
        .await
        .unwrap();
    let short = Duration::from_millis(500);
    let red = |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["colour"] == "red");
    let error = watch_until(&maps, "map", "is red", short, red)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("map is red") && error.contains("blue"), "{error}");
    let never = async || anyhow::bail!("the moon is not blue");
    let error: anyhow::Error = eventually::<()>("a blue moon", short, never).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("a blue moon: the moon is not blue"),
        "{error:#}"
    );
}
