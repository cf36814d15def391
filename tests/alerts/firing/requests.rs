//! What keeps the operator from seeing, writing and telling.

use std::path::Path;

use serde_json::{Value, json};

use super::{DENY, EVEN};
use crate::alarm::Alarm;
use crate::policy_reports::crds::POLICY_REPORT;
use crate::prometheus::Prometheus;
use crate::stage::{BINARY, Set, delete, unbraked};
use crate::support::proxy::{Answer, Fault, Matching, Proxy, When};
use crate::support::{ControlPlane, Stage};

/// An operator behind a proxy, that works on one thing at a time and lists everything anew every ten seconds.
struct Behind {
    plane: ControlPlane,
    stage: Stage,
    proxy: Proxy,
    prometheus: Prometheus,
}

impl Behind {
    async fn start() -> Self {
        let plane = ControlPlane::start().await.unwrap();
        let behind = Stage::behind_proxy(&plane, Path::new(BINARY), |config| {
            unbraked(config);
            config["workers"] = json!(1);
            config["verificationInterval"] = json!("10s");
        });
        let (stage, proxy) = behind.await.unwrap();
        let prometheus = Prometheus::scraping(stage.operator.port()).await;
        Self {
            plane,
            stage,
            proxy,
            prometheus,
        }
    }

    fn alarm<'a>(&'a self, name: &'static str, labels: &[(&'static str, &'a str)]) -> Alarm<'a> {
        Alarm {
            plane: &self.plane,
            prometheus: &self.prometheus,
            name,
            labels: labels.to_vec(),
            namespace: "default",
        }
    }
}

#[tokio::test]
async fn reports_that_cannot_be_written_and_work_that_waits_for_the_api_server_are_told_until_it_answers() {
    let scene = Behind::start().await;
    let set = Set::new(&scene.plane, "waits").await;
    let namespace = set.namespace(&scene.plane, "a").await;
    set.baseline(EVEN.clone()).await;
    set.until_enforced(1).await;
    let unwritten = scene.alarm("ReportsNotWritten", &[]);
    let late = scene.alarm("WorkLate", &[("lane", "status")]);
    unwritten.is_quiet().await;
    late.is_quiet().await;

    scene.proxy.disturb(
        Matching::of("update", "baselinereports"),
        Fault::Answer(Answer::status(500)),
    );
    delete(&set.admin, "NetworkPolicy", Some(&namespace), DENY).await;
    unwritten.fires().await;
    unwritten.runbook().await;
    scene.proxy.forget();
    unwritten.resolves().await;

    // Statuses hang; those behind wait until it is given up, and then for the next.
    let hangs = Matching::of("update", "securitybaselines").subresource("status");
    let held = scene.proxy.disturb(hangs, Fault::Hold(When::Before));
    for name in ["one", "two", "three", "four"] {
        let name = format!("{}-{name}", set.name);
        set.baseline_named(&name, EVEN.clone()).await.unwrap();
    }
    late.fires().await;
    late.runbook().await;
    held.release();
    scene.proxy.forget();
    late.resolves().await;
}

#[tokio::test]
async fn reports_for_other_tools_that_cannot_be_written_or_wait_for_one_that_hangs_are_told_until_they_are_there() {
    let scene = Behind::start().await;
    let set = Set::new(&scene.plane, "others").await;
    let namespace = set.namespace(&scene.plane, "a").await;
    let unwritten = scene.alarm("ReportsNotWritten", &[]);
    let late = scene.alarm("WorkLate", &[("lane", "record")]);
    unwritten.is_quiet().await;
    late.is_quiet().await;
    let refused = Matching::of("create", "policyreports");
    scene.proxy.disturb(refused, Fault::Answer(Answer::status(500)));
    POLICY_REPORT.install(&scene.plane).await;
    set.baseline(EVEN.clone()).await;
    set.until_enforced(1).await;
    unwritten.fires().await;
    scene.proxy.forget();
    unwritten.resolves().await;
    let kind = POLICY_REPORT.kind;
    set.present(kind, &namespace, "security-baseline-report").await;

    // One hangs until it is given up, and then the next; the others wait behind it.
    let hangs = Matching::of("create", "policyreports");
    let held = scene.proxy.disturb(hangs, Fault::Hold(When::Before));
    let others = set.namespaces(&scene.plane, 6).await;
    late.fires().await;
    held.release();
    scene.proxy.forget();
    late.resolves().await;
    for namespace in &others {
        set.present(kind, namespace, "security-baseline-report").await;
    }
}

#[tokio::test]
async fn repairs_that_wait_for_others_that_hang_are_told_until_they_are_done() {
    let scene = Behind::start().await;
    let set = Set::new(&scene.plane, "hang").await;
    // More than are repaired at a time.
    let namespaces = set.namespaces(&scene.plane, 24).await;
    set.baseline(EVEN.clone()).await;
    set.until_enforced(24).await;
    let stale = scene.alarm("ReconcileStale", &[("lane", "repair")]);
    stale.is_quiet().await;
    let hangs = Matching::of("create", "networkpolicies");
    let held = scene.proxy.disturb(hangs, Fault::Hold(When::Before));
    for namespace in &namespaces {
        delete(&set.admin, "NetworkPolicy", Some(namespace), DENY).await;
    }
    stale.fires().await;
    stale.runbook().await;
    held.release();
    scene.proxy.forget();
    stale.resolves().await;
}

/// What the operator watches.
const WATCHED: [&str; 8] = [
    "namespaces",
    "securitybaselines",
    "baselinereports",
    "networkpolicies",
    "resourcequotas",
    "limitranges",
    "roles",
    "rolebindings",
];

#[tokio::test]
async fn a_watch_that_may_not_list_and_then_an_api_server_that_fails_are_told_until_they_work() {
    let scene = Behind::start().await;
    let labels = [("watch", "limitranges")];
    let down = scene.alarm("WatchDown", &labels);
    let optional = scene.alarm("OptionalWatchDown", &[("watch", "exceptions")]);
    let overdue = scene.alarm("VerificationOverdue", &labels);
    let errors = scene.alarm("ApiErrors", &[]);
    for alarm in [&down, &optional, &overdue, &errors] {
        alarm.is_quiet().await;
    }

    // Somebody edits the operator's ClusterRole.
    let role = scene
        .plane
        .kubectl(&["get", "clusterrole", "security-baseline-operator", "--output=json"])
        .await
        .unwrap();
    let role: Value = serde_json::from_str(&role).unwrap();
    let mut without = role.clone();
    for rule in without["rules"].as_array_mut().unwrap() {
        if let Some(resources) = rule["resources"].as_array_mut() {
            resources.retain(|resource| resource != "limitranges" && resource != "baselineexceptions");
        }
    }
    write_role(&scene.plane, &without).await;
    down.fires().await;
    down.runbook().await;
    optional.fires().await;
    optional.runbook().await;
    overdue.fires().await;
    overdue.runbook().await;
    write_role(&scene.plane, &role).await;
    down.resolves().await;
    optional.resolves().await;
    overdue.resolves().await;

    for resource in WATCHED {
        for verb in ["list", "watch"] {
            scene
                .proxy
                .disturb(Matching::of(verb, resource), Fault::Answer(Answer::status(503)));
        }
        scene.proxy.cut(resource);
    }
    errors.fires().await;
    errors.runbook().await;
    scene.proxy.forget();
    errors.resolves().await;
    assert!(scene.stage.operator.metrics().await.unwrap().contains("code=\"503\""));
}

/// Puts the rules of a ClusterRole as they are in this one.
async fn write_role(plane: &ControlPlane, role: &Value) {
    let rules = role["rules"].as_array().unwrap().iter();
    let rules: Vec<&Value> = rules.filter(|rule| rule["resources"] != json!([])).collect();
    let patch = json!([{"op": "replace", "path": "/rules", "value": rules}]).to_string();
    let args = [
        "patch",
        "clusterrole",
        "security-baseline-operator",
        "--type=json",
        "--patch",
        &patch,
    ];
    plane.kubectl(&args).await.unwrap();
}
