//! Baselines, exceptions and reports in every state that they can be in, each brought about for real.

use std::path::Path;

use serde_json::{Value, json};

use crate::exceptions;
use crate::stage::{BINARY, Set, condition, create, delete, get, grant, merge, shell};
use crate::support::{ControlPlane, Stage, eventually, install_yaml};

/// An object as it was when it was in a state.
pub struct State {
    /// The state, in the words of the documentation.
    pub name: &'static str,
    /// The object.
    pub object: Value,
}

/// An object that is in a state.
pub fn state(name: &'static str, object: Value) -> State {
    State { name, object }
}

/// The quota that most of them ask for.
const QUOTA: &str = "security-baseline-pods";

fn pods(mode: &str, most: u32) -> Value {
    json!({"mode": mode, "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": most}}]}})
}

fn deny() -> Value {
    json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}})
}

/// A role that is granted.
fn role(verb: &str) -> Value {
    let rules = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [verb]}]);
    json!({"mode": "Enforce", "access": {"roles": [{"name": "developer", "rules": rules}]}})
}

/// A binding that the operator may not make.
fn refused() -> Value {
    let subjects = json!([{"kind": "User", "name": "u"}]);
    json!({"mode": "Enforce", "access": {"bindings": [{"name": "b", "clusterRole": "edit", "subjects": subjects}]}})
}

/// A control plane, and the operator as it is shipped; but that it repairs what somebody keeps undoing at once.
pub async fn play(plane: &ControlPlane) -> Stage {
    let configuration = |config: &mut Value| config["contestedPauseSeconds"] = json!(0);
    let stage = Stage::with(plane, Path::new(BINARY), configuration).await.unwrap();
    grant(plane).await;
    stage
}

/// All states of a baseline, of the reports beside it, and of exceptions.
pub async fn all(plane: &ControlPlane) -> Vec<State> {
    plane.install(&install_yaml()).await.unwrap();
    let unseen = Set::new(plane, "unseen").await;
    unseen.baseline(pods("Audit", 5)).await;
    let found = get(&unseen.admin, "SecurityBaseline", None, &unseen.name)
        .await
        .unwrap();
    let mut states = vec![state("new, and not looked at yet", found)];
    let early = exceptions::unseen(plane).await;
    let mut stage = play(plane).await;
    states.push(state("selects nothing", unseen.until("Ready", "True").await));
    states.extend(audit(plane).await);
    states.extend(rollout(plane).await);
    states.extend(tenants(plane).await);
    states.extend(refusals(plane).await);
    states.push(deletion(plane).await);
    states.push(early);
    states.extend(exceptions::all(plane).await);
    states.push(stop(&unseen, &stage).await);
    states.push(excluded(plane, &mut stage).await);
    states
}

async fn report(set: &Set, namespace: &str, reason: &str) -> Value {
    set.report_until(namespace, reason, |r| condition(r, "Ready")["reason"] == reason)
        .await
}

async fn because(set: &Set, condition_type: &str, reason: &str) -> Value {
    set.baseline_until(&set.name, reason, |b| {
        b["status"]["observedGeneration"] == b["metadata"]["generation"]
            && condition(b, condition_type)["status"] == "True"
            && condition(b, condition_type)["reason"] == reason
    })
    .await
}

async fn audit(plane: &ControlPlane) -> Vec<State> {
    let set = Set::new(plane, "audit").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(pods("Audit", 5)).await;
    set.until("Drifted", "True").await;
    let drifted = because(&set, "Ready", "Audited").await;
    let reported = report(&set, &namespace, "Drifted").await;
    set.baseline(pods("Enforce", 5)).await;
    set.until_enforced(1).await;
    set.baseline(pods("Audit", 5)).await;
    let audited = because(&set, "Ready", "Audited").await;
    set.until("Drifted", "False").await;
    let mut suspended = pods("Audit", 5);
    suspended["suspend"] = json!(true);
    set.baseline(suspended).await;
    let suspended = because(&set, "Stalled", "Suspended").await;
    vec![
        state("audited, something departs", drifted),
        state("of an audited namespace that departs", reported),
        state("audited, nothing departs", audited),
        state("suspended", suspended),
    ]
}

/// A rollout that takes its time, and a change that waits and is confirmed.
async fn rollout(plane: &ControlPlane) -> Vec<State> {
    let paced = Set::new(plane, "paced").await;
    let waiting = paced.namespaces(plane, 6).await;
    paced.aged(&waiting).await;
    let mut slowly = pods("Enforce", 5);
    slowly["rollout"] = json!({"maxNamespacesPerMinute": 3});
    paced.baseline(slowly).await;
    let reconciling = because(&paced, "Reconciling", "Progressing").await;
    let pending = report(&paced, &waiting[5], "Pending").await;

    let set = Set::new(plane, "rollout").await;
    let namespaces = set.namespaces(plane, 12).await;
    set.aged(&namespaces).await;
    set.baseline(pods("Enforce", 5)).await;
    let waits = because(&set, "Stalled", "AwaitingConfirmation").await;
    let message = condition(&waits, "Stalled")["message"].as_str().unwrap();
    let (_, command) = message.split_once("To go on: ").unwrap();
    shell(plane, command).await;
    set.until_enforced(12).await;
    let ready = because(&set, "Ready", "Enforced").await;
    let compliant = report(&set, &namespaces[0], "Compliant").await;
    vec![
        state("being rolled out", reconciling),
        state("waits for a confirmation", waits),
        state("enforced", ready),
        state("of a namespace that is as declared", compliant),
        state("of a namespace that waits for its turn", pending),
    ]
}

/// Has every network policy of a namespace refused.
async fn no_policies(set: &Set, namespace: &str) {
    let none =
        json!({"metadata": {"name": "none"}, "spec": {"hard": {"count/networkpolicies.networking.k8s.io": "0"}}});
    create(&set.admin, "ResourceQuota", Some(namespace), none)
        .await
        .unwrap();
}

/// What a tenant can cause.
async fn tenants(plane: &ControlPlane) -> Vec<State> {
    let contested = Set::new(plane, "contested").await;
    let namespace = contested.namespace(plane, "a").await;
    contested.baseline(pods("Enforce", 5)).await;
    contested.until_enforced(1).await;
    for _ in 0..4 {
        let loose = json!({"spec": {"hard": {"pods": "5000"}}});
        merge(&contested.admin, "ResourceQuota", Some(&namespace), QUOTA, loose)
            .await
            .unwrap();
        contested
            .object_until("ResourceQuota", &namespace, QUOTA, "is repaired", |q| {
                q["spec"]["hard"]["pods"] == "5"
            })
            .await;
    }
    contested.until("Contested", "True").await;
    let fought_over = because(&contested, "Ready", "Enforced").await;
    let named = contested
        .report_until(&namespace, "tells of the fight", |r| {
            condition(r, "Contested")["status"] == "True" && condition(r, "Ready")["reason"] == "Compliant"
        })
        .await;

    let degraded = Set::new(plane, "degraded").await;
    let namespaces = degraded.namespaces(plane, 5).await;
    no_policies(&degraded, &namespaces[2]).await;
    degraded.baseline(deny()).await;
    because(&degraded, "Degraded", "Blocked").await;
    let tolerated = because(&degraded, "Ready", "Enforced").await;
    let blocked = report(&degraded, &namespaces[2], "Blocked").await;

    let weakened = Set::new(plane, "weakened").await;
    let namespace = weakened.namespace(plane, "a").await;
    let open = json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{}]}});
    create(&weakened.admin, "NetworkPolicy", Some(&namespace), open)
        .await
        .unwrap();
    weakened.baseline(deny()).await;
    because(&weakened, "Degraded", "Weakened").await;
    let undone = because(&weakened, "Ready", "Enforced").await;
    let told = report(&weakened, &namespace, "Weakened").await;
    delete(&weakened.admin, "SecurityBaseline", None, &weakened.name).await;
    let nobodys = report(&weakened, &namespace, "NotSelected").await;
    vec![
        state("contested: somebody undoes repairs", fought_over),
        state("degraded: a few namespaces are blocked", tolerated),
        state("of a namespace that is blocked", blocked),
        state("degraded: weakened from beside it", undone),
        state("of a namespace that is weakened", told),
        state("of a namespace that is fought over", named),
        state("of a namespace that no baseline holds any more", nobodys),
    ]
}

async fn refusals(plane: &ControlPlane) -> Vec<State> {
    let invalid = Set::new(plane, "invalid").await;
    let half = json!({"resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": "1.5"}}]}});
    invalid.baseline(half).await;
    let invalid = because(&invalid, "Stalled", "InvalidSpec").await;

    let blocked = Set::new(plane, "blocked").await;
    blocked.namespace(plane, "a").await;
    blocked.baseline(refused()).await;
    let blocked = because(&blocked, "Stalled", "Blocked").await;

    let stopped = Set::new(plane, "stopped").await;
    let namespaces = stopped.namespaces(plane, 9).await;
    for namespace in &namespaces {
        no_policies(&stopped, namespace).await;
    }
    stopped.aged(&namespaces).await;
    // It stops once five were refused, which come at once; the others are still to come.
    let mut slowly = deny();
    slowly["rollout"] = json!({"maxNamespacesPerMinute": 5});
    stopped.baseline(slowly).await;
    let stopped = because(&stopped, "Stalled", "RolloutStopped").await;

    let younger = Set::new(plane, "conflict").await;
    younger.namespace(plane, "a").await;
    let older = format!("{}-older", younger.name);
    younger.baseline_named(&older, role("get")).await.unwrap();
    younger.until_named(&older, "Ready", "True").await;
    // The API server counts ages in seconds.
    younger.older_than_baseline(&older).await;
    younger.baseline(role("update")).await;
    let conflict = because(&younger, "Stalled", "Conflict").await;
    vec![
        state("its spec is refused", invalid),
        state("many namespaces are blocked", blocked),
        state("its rollout stopped by itself", stopped),
        state("in conflict with an older baseline", conflict),
    ]
}

impl Set {
    /// Waits until whatever is created now is younger than a baseline.
    async fn older_than_baseline(&self, name: &str) {
        let found = get(&self.admin, "SecurityBaseline", None, name).await.unwrap();
        let made: k8s_openapi::jiff::Timestamp = found["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        eventually("a second has passed", crate::stage::SOON, async || {
            anyhow::ensure!(
                k8s_openapi::jiff::Timestamp::now().as_second() > made.as_second(),
                "not yet"
            );
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// A baseline that is being deleted, and cannot go.
async fn deletion(plane: &ControlPlane) -> State {
    let set = Set::new(plane, "deleting").await;
    let namespace = set.namespace(plane, "a").await;
    let mut spec = pods("Enforce", 5);
    spec["deletionPolicy"] = json!("Delete");
    set.baseline(spec).await;
    set.until_enforced(1).await;
    let keep = json!({"metadata": {"finalizers": ["example.com/keep"]}});
    merge(&set.admin, "ResourceQuota", Some(&namespace), QUOTA, keep)
        .await
        .unwrap();
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    let stuck = because(&set, "Stalled", "CleanupBlocked").await;
    let go = json!({"metadata": {"finalizers": null}});
    merge(&set.admin, "ResourceQuota", Some(&namespace), QUOTA, go)
        .await
        .unwrap();
    set.gone("ResourceQuota", &namespace, QUOTA).await;
    state("being deleted", stuck)
}

/// The emergency stop.
async fn stop(set: &Set, stage: &Stage) -> State {
    let file = stage.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("stop: false", "stop: true")).unwrap();
    state(
        "the operator's emergency stop is on",
        because(set, "Stalled", "Stopped").await,
    )
}

/// The report of a namespace that the configuration excludes since.
async fn excluded(plane: &ControlPlane, stage: &mut Stage) -> State {
    let file = stage.config_file();
    let mut config: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["stop"] = json!(false);
    let set = Set::new(plane, "excluded").await;
    let namespace = set.namespace(plane, "a").await;
    set.baseline(pods("Audit", 5)).await;
    std::fs::write(&file, config.to_string()).unwrap();
    report(&set, &namespace, "Drifted").await;
    config["excludedNamespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!(namespace));
    std::fs::write(&file, config.to_string()).unwrap();
    stage.restart(plane).await.unwrap();
    state(
        "of a namespace that the configuration excludes",
        report(&set, &namespace, "Excluded").await,
    )
}
