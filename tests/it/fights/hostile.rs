//! One tenant at full speed. No clock decides: what counts is what the operator does before it repairs somebody else's
//! object, and how much it does for the tenant at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::Client;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::held;
use crate::oracles::{ends_well, settled};
use crate::stage::{Set, api, condition, create, delete, everything, get};
use crate::support::audit::{Mark, Request};
use crate::support::{ControlPlane, eventually};

/// A hundred edits a second, as far as the API server takes them.
const PACE: Duration = Duration::from_millis(10);

/// How many edits are under way at a time: more would only have the API server work on conflicts between themselves.
const CONNECTIONS: usize = 4;

/// The fewest edits that are waited for, so that it was a flood.
const FLOOD: usize = 500;

/// The most writes for the tenant that somebody else's repair may wait for: those of its namespace that are under way, and
/// not what comes after them.
const MOST_AHEAD: usize = 16;

/// What a tenant changes, now to this and now to that, so that every edit is a change.
#[derive(Clone)]
struct Target {
    kind: &'static str,
    name: String,
    changes: [Value; 2],
}

impl Target {
    fn new(kind: &'static str, name: impl Into<String>, changes: [Value; 2]) -> Self {
        Self {
            kind,
            name: name.into(),
            changes,
        }
    }

    fn policy(name: &str, direction: &str) -> Self {
        let rules = [json!([{}]), json!([{"ports": [{"port": 80}]}, {}])];
        Self::new(
            "NetworkPolicy",
            name,
            rules.map(|rules| json!({"spec": {direction: rules}})),
        )
    }
}

/// A tenant that edits a hundred times a second, until it is told to stop.
struct Hostile {
    stop: Arc<AtomicBool>,
    edits: JoinHandle<usize>,
}

impl Hostile {
    fn begin(client: &Client, namespace: &str, targets: Vec<Target>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, namespace, told) = (client.clone(), namespace.to_owned(), stop.clone());
        let edits = tokio::spawn(async move {
            let mut clock = tokio::time::interval(PACE);
            let (mut edits, mut done, mut i) = (JoinSet::new(), 0, 0);
            while !told.load(Ordering::Relaxed) || done < FLOOD {
                clock.tick().await;
                let target = &targets[i % targets.len()];
                let change = Patch::Merge(target.changes[i / targets.len() % 2].clone());
                let within = (target.kind != "Namespace").then_some(&*namespace);
                let (objects, name) = (api(&client, target.kind, within), target.name.clone());
                edits.spawn(async move {
                    let params = PatchParams {
                        field_manager: Some("hostile".to_owned()),
                        ..PatchParams::default()
                    };
                    objects.patch(&name, &params, &change).await
                });
                i += 1;
                while edits.len() >= CONNECTIONS {
                    let edit = edits.join_next().await;
                    done += usize::from(edit.is_some_and(|edit| edit.unwrap().is_ok()));
                }
            }
            edits.join_all().await;
            done
        });
        Self { stop, edits }
    }

    /// Answers how often it changed something.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.edits.await.unwrap()
    }
}

/// How much the operator wrote into a tenant's namespace after an object of somebody else was gone and before it was back.
async fn written_before_the_repair(
    plane: &ControlPlane,
    set: &Set,
    hostile: &str,
    other: &str,
    gone: (&str, &str),
) -> usize {
    let (kind, name) = gone;
    let before = get(&set.admin, kind, Some(other), name).await.unwrap();
    let from = plane.audit().mark().unwrap();
    delete(&set.admin, kind, Some(other), name).await;
    let (known, _) = plane.audit().more(from).unwrap();
    set.object_until(kind, other, name, "is back", |o| {
        o["metadata"]["uid"] != before["metadata"]["uid"]
    })
    .await;
    let back =
        |r: &Request| r.verb == "create" && r.namespace.as_deref() == Some(other) && r.name.as_deref() == Some(name);
    eventually("its creation is in the log", super::PATIENCE, async || {
        anyhow::ensure!(
            plane.audit().since(from)?.iter().any(|r| back(r) && r.code == 201),
            "not yet"
        );
        Ok(())
    })
    .await
    .unwrap();
    let since = plane.audit().since(known).unwrap();
    // It may have been back before the deletion was answered.
    let until = since.iter().position(back).unwrap_or_default();
    since[..until]
        .iter()
        .filter(|r| r.is_write() && is_about(r, hostile))
        .count()
}

fn is_about(request: &Request, namespace: &str) -> bool {
    request.namespace.as_deref() == Some(namespace)
        || request.resource == "namespaces" && request.name.as_deref() == Some(namespace)
}

/// Whole seconds from the first to the last of some requests, rounded up.
fn seconds(requests: &[Request]) -> usize {
    let (first, last) = (requests.first().unwrap().at, requests.last().unwrap().done);
    usize::try_from(last.duration_since(first).as_secs()).unwrap() + 1
}

/// Asserts that what the operator did because of a tenant is bounded by the time that it took and the objects that it is
/// about, however often these were edited.
fn assert_bounded(plane: &ControlPlane, set: &Set, since: Mark, namespace: &str, objects: usize, edits: usize) {
    let all = plane.audit().since(since).unwrap();
    let took = seconds(&all);
    let count = |which: &dyn Fn(&Request) -> bool| all.iter().filter(|r| r.is_write() && which(r)).count();
    let reports = count(&|r| is_about(r, namespace) && r.resource == "baselinereports");
    let events = count(&|r| is_about(r, namespace) && r.resource == "events");
    let repairs = count(&|r| is_about(r, namespace)) - reports - events;
    let statuses = count(&|r| r.resource == "securitybaselines" && r.name.as_deref() == Some(&set.name));
    println!("{edits} edits in {took} s: {repairs} repairs, {reports} reports, {events} events, {statuses} statuses");
    // Until it is a fight, and then a round of tries every five seconds.
    let most = objects * (20 + took);
    assert!(repairs <= most, "{repairs} writes for {objects} objects in {took} s");
    // One a second, and the odd one that is tried again or follows what came meanwhile.
    assert!(reports <= 2 * took + 2, "{reports} reports in {took} s");
    // Of what happened five at once and one in 30 s, of how the namespace stands six and one in 120 s.
    assert!(events <= 11 + took / 30 + took / 120 + 2, "{events} events in {took} s");
    assert!(statuses <= took + 2, "{statuses} statuses in {took} s");
}

#[tokio::test]
async fn a_tenant_with_a_hundred_edits_a_second_delays_nobodys_repair_and_fills_neither_reports_nor_events() {
    let (plane, _stage, set, namespaces) = held("flood", &everything(), 5).await;
    let others = &namespaces[2..];
    // On one object, and in another namespace on all that a tenant may write, and on many of its own.
    let one = vec![Target::policy(super::POLICY, "ingress")];
    let mut many = one.clone();
    many.push(Target::policy("security-baseline-default-deny-egress", "egress"));
    let rules = ["get", "list"].map(|verb| json!([{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]}]));
    many.push(Target::new(
        "Role",
        "security-baseline-developer",
        rules.map(|rules| json!({"rules": rules})),
    ));
    let levels =
        ["privileged", "baseline"].map(|l| json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": l}}}));
    many.push(Target::new("Namespace", &namespaces[1], levels));
    let held = [one.len(), many.len()];
    for i in 0..20 {
        many.push(Target::policy(&format!("own-{i}"), "ingress"));
    }
    let gone = [
        ("NetworkPolicy", super::POLICY),
        ("RoleBinding", "security-baseline-viewers"),
    ];
    for (i, targets) in [one, many.clone()].into_iter().enumerate() {
        let hostile = namespaces[i].as_str();
        let tenant = plane.tenant(hostile).await.unwrap();
        for own in targets.iter().filter(|t| t.name.starts_with("own-")) {
            let policy =
                json!({"metadata": {"name": own.name}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}});
            create(&tenant.client, "NetworkPolicy", Some(hostile), policy)
                .await
                .unwrap();
        }
        settled(&plane, &set).await;
        let mark = plane.audit().mark().unwrap();
        let flood = Hostile::begin(&tenant.client, hostile, targets);
        set.report_until(hostile, "is contested", |r| {
            condition(r, "Contested")["status"] == "True"
        })
        .await;
        let mut ahead = Vec::new();
        for other in others {
            ahead.push(written_before_the_repair(&plane, &set, hostile, other, gone[i]).await);
            // And it is told there, in a report and in an event.
            let count = i64::try_from(i).unwrap() + 1;
            set.report_until(other, "tells of the repair", |r| {
                r["status"]["drift"]["repaired"] == json!(count)
            })
            .await;
            eventually("its event is there", super::PATIENCE, async || {
                let events = api(&set.admin, "Event", Some(other))
                    .list(&ListParams::default())
                    .await?;
                let told = events.items.iter().any(|e| {
                    let note = e.data["message"].as_str().unwrap_or_default();
                    e.data["reason"] == "DriftRepaired" && note.contains(gone[i].1)
                });
                anyhow::ensure!(told, "no event in {other}");
                Ok(())
            })
            .await
            .unwrap();
        }
        println!("writes for the tenant before each repair of somebody else: {ahead:?}");
        assert!(ahead.iter().all(|n| *n <= MOST_AHEAD), "{ahead:?}");
        let edits = flood.end().await;
        assert!(edits >= FLOOD, "{edits} edits are no flood");
        assert_bounded(&plane, &set, mark, hostile, held[i], edits);
        let baseline = set.until("Contested", "True").await;
        assert_eq!(
            condition(&baseline, "Ready")["status"],
            "True",
            "one tenant halts nobody"
        );
        let report = get(&set.admin, "BaselineReport", Some(hostile), "baseline")
            .await
            .unwrap();
        let records = report["status"]["drift"]["records"].as_array().unwrap().len();
        assert!(
            records <= 20 && report.to_string().len() < 64 * 1024,
            "{records} records"
        );
    }
    for own in many.iter().filter(|t| t.name.starts_with("own-")) {
        delete(&set.admin, "NetworkPolicy", Some(&namespaces[1]), &own.name).await;
    }
    // And the last word is the baseline's.
    ends_well(&plane, &set, &everything(), &namespaces).await;
}
