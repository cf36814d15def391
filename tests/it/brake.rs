//! A change that loosens much, or enforces much that was not enforced, waits until somebody confirms it.

mod half_read;

use serde_json::{Value, json};

use crate::oracles::{about, converged, safe, settled};
use crate::stage::{LABEL, Set, api, condition, control, delete, get, merge, own_as_shipped, shell, writes_in};
use crate::support::{ControlPlane, watch_gone};

const COUNT: usize = 12;
const QUOTA: &str = "security-baseline-compute";
const CONFIRM: &str = "securitybaseline.dev/confirm";

/// Three controls, enforced.
fn spec() -> Value {
    json!({
        "mode": "Enforce",
        "podSecurity": {"enforce": {"level": "baseline"}},
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 5}}]},
    })
}

/// The same with some of it changed; a null takes a field out.
fn but(change: Value) -> Value {
    let mut spec = spec();
    for (key, value) in change.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    spec
}

/// Waits until the baseline says that its present generation waits, and answers what it says.
pub async fn waits(set: &Set) -> String {
    let baseline = set
        .baseline_until(&set.name, "waits for a confirmation", |b| {
            b["status"]["observedGeneration"] == b["metadata"]["generation"]
                && condition(b, "Stalled")["reason"] == "AwaitingConfirmation"
        })
        .await;
    assert_eq!(condition(&baseline, "Ready")["status"], "False");
    condition(&baseline, "Stalled")["message"].as_str().unwrap().to_owned()
}

/// The command in a message.
fn command(message: &str) -> String {
    let (_, command) = message.split_once("To go on: ").unwrap();
    command.to_owned()
}

/// What the command annotates with.
fn confirmation(message: &str) -> String {
    let (_, value) = message.rsplit_once(&format!("{CONFIRM}=")).unwrap();
    value.to_owned()
}

async fn annotate(set: &Set, value: &str) {
    let annotation = json!({"metadata": {"annotations": {CONFIRM: value}}});
    merge(&set.admin, "SecurityBaseline", None, &set.name, annotation)
        .await
        .unwrap();
}

/// Applies a spec that waits, and confirms it.
async fn confirm(plane: &ControlPlane, set: &Set, spec: Value) {
    set.baseline(spec).await;
    shell(plane, &command(&waits(set).await)).await;
}

/// A baseline of twelve namespaces that was confirmed, and is enforced.
async fn confirmed(plane: &ControlPlane, prefix: &str) -> (Set, Vec<String>) {
    let set = Set::new(plane, prefix).await;
    let namespaces = set.namespaces(plane, COUNT).await;
    confirm(plane, &set, spec()).await;
    converged(&set, &spec(), &namespaces).await;
    settled(plane, &set).await;
    (set, namespaces)
}

/// What the operator writes to the namespaces of a set.
fn written(plane: &ControlPlane, mark: crate::support::audit::Mark, namespaces: &[String]) -> Vec<String> {
    let all = namespaces.iter().flat_map(|n| writes_in(plane, mark, n));
    all.map(|w| format!("{} {} in {:?}", w.verb, w.resource, w.namespace))
        .collect()
}

#[tokio::test]
async fn every_kind_of_large_loosening_or_tightening_waits_and_what_held_before_keeps_holding() {
    let (plane, _stage) = own_as_shipped().await;
    let begin = plane.audit().mark().unwrap();
    let (set, namespaces) = confirmed(&plane, "kinds").await;
    let mark = plane.audit().mark().unwrap();
    let quota = |pods: u32| json!({"items": [{"name": "compute", "hard": {"pods": pods}}]});
    let allow = |rule: Value| json!({"defaultDeny": ["Ingress"], "allow": [rule]});
    let rule = json!({"name": "web", "ingress": [{"ports": [{"port": 80}]}]});
    let mut own_rule = rule.clone();
    own_rule["podSelector"] = json!({"matchLabels": {"app": "web"}});
    let bindings = json!({"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "all"}]}]});
    let kinds = [
        (
            "another selector",
            but(json!({"namespaceSelector": {"matchLabels": {LABEL: "nobody"}}})),
            "loosens 36",
        ),
        (
            "exclusions",
            but(json!({"excludedNamespaces": [format!("{}-*", set.name)]})),
            "loosens 36",
        ),
        ("back to Audit", but(json!({"mode": "Audit"})), "loosens 36"),
        (
            "a section in Audit",
            but(json!({"podSecurity": {"mode": "Audit", "enforce": {"level": "baseline"}}})),
            "loosens 12",
        ),
        ("suspension", but(json!({"suspend": true})), "loosens 36"),
        (
            "a lower level",
            but(json!({"podSecurity": {"enforce": {"level": "privileged"}}})),
            "loosens 12",
        ),
        ("an allow", but(json!({"networkIsolation": allow(rule)})), "loosens 12"),
        (
            "an allow for some pods",
            but(json!({"networkIsolation": allow(own_rule)})),
            "loosens 12",
        ),
        (
            "a removed section",
            but(json!({"networkIsolation": null})),
            "loosens 12",
        ),
        ("a raised quota", but(json!({"resourceQuotas": quota(6)})), "loosens 12"),
        (
            "a raised level",
            but(json!({"podSecurity": {"enforce": {"level": "restricted"}}})),
            "tightens 12",
        ),
        (
            "a lowered quota",
            but(json!({"resourceQuotas": quota(4)})),
            "tightens 12",
        ),
        (
            "a denied direction",
            but(json!({"networkIsolation": {"defaultDeny": ["Ingress", "Egress"], "allowDNS": false}})),
            "tightens 12",
        ),
        (
            "a section that was not enforced",
            but(json!({"access": bindings})),
            "newly enforces 12",
        ),
    ];
    for (what, change, counted) in kinds {
        set.baseline(change).await;
        let message = waits(&set).await;
        assert!(
            message.contains(counted) && message.contains("12 of 12 namespaces"),
            "{what}: {message}"
        );
        set.baseline(spec()).await;
        set.until("Ready", "True").await;
    }
    settled(&plane, &set).await;
    let writes = written(&plane, mark, &namespaces);
    assert!(writes.is_empty(), "{writes:?}");

    // What tightens has waited, and goes when it is confirmed.
    let lowered = but(json!({"resourceQuotas": quota(4)}));
    confirm(&plane, &set, lowered.clone()).await;
    converged(&set, &lowered, &namespaces).await;
    // A grant that is taken away goes at once, however many it is taken from.
    let mut granted = lowered.clone();
    granted["access"] = bindings;
    confirm(&plane, &set, granted.clone()).await;
    converged(&set, &granted, &namespaces).await;
    set.baseline(lowered.clone()).await;
    converged(&set, &lowered, &namespaces).await;
    set.until("Stalled", "False").await;
    // Those who lost their label are held, and to let them all go waits too.
    let unlabelled = json!({"metadata": {"labels": {LABEL: null}}});
    for namespace in &namespaces {
        merge(&set.admin, "Namespace", None, namespace, unlabelled.clone())
            .await
            .unwrap();
    }
    set.until_counted("all deselected", crate::stage::SOON, |c| c["deselected"] == 12)
        .await;
    set.baseline(but(
        json!({"resourceQuotas": quota(4), "releasedNamespaces": namespaces}),
    ))
    .await;
    assert!(waits(&set).await.contains("loosens 36"));
    safe(&plane, begin);
}

#[tokio::test]
async fn the_printed_command_confirms_this_change_alone_and_repairs_and_new_namespaces_go_on_meanwhile() {
    let (plane, _stage) = own_as_shipped().await;
    let begin = plane.audit().mark().unwrap();
    let (set, mut namespaces) = confirmed(&plane, "confirm").await;
    let raised = but(json!({"resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 6}}]}}));
    set.baseline(but(json!({"mode": "Audit"}))).await;
    let other = confirmation(&waits(&set).await);

    // Neither another change's confirmation, nor one of less, nor just any.
    set.baseline(raised.clone()).await;
    let message = waits(&set).await;
    let (token, _) = confirmation(&message)
        .rsplit_once('-')
        .map(|(t, n)| (t.to_owned(), n.to_owned()))
        .unwrap();
    for wrong in [other.as_str(), &format!("{token}-11"), &token, "true"] {
        annotate(&set, wrong).await;
        // It has been considered again when a repair that came later is done.
        delete(&set.admin, "ResourceQuota", Some(&namespaces[0]), QUOTA).await;
        set.present("ResourceQuota", &namespaces[0], QUOTA).await;
        let live = get(&set.admin, "ResourceQuota", Some(&namespaces[1]), QUOTA)
            .await
            .unwrap();
        assert_eq!(live["spec"]["hard"]["pods"], "5", "{wrong}");
    }
    let born = set.namespace(&plane, "born").await;
    let fresh = set.present("ResourceQuota", &born, QUOTA).await;
    assert_eq!(fresh["spec"]["hard"]["pods"], "5", "by what holds");
    namespaces.push(born);

    // It is about one more by now, so the first message's command would not do either.
    let grown = set
        .baseline_until(&set.name, "counts anew", |b| {
            condition(b, "Stalled")["message"]
                .as_str()
                .unwrap()
                .contains("13 of 13")
        })
        .await;
    shell(
        &plane,
        &command(condition(&grown, "Stalled")["message"].as_str().unwrap()),
    )
    .await;
    converged(&set, &raised, &namespaces).await;
    set.until("Ready", "True").await;

    // The same change once more is another one; so is the way back.
    set.baseline(but(json!({"preflight": "Ignore"}))).await;
    let back = waits(&set).await;
    assert!(back.contains("tightens 13"), "{back}");
    shell(&plane, &command(&back)).await;
    set.until("Ready", "True").await;
    set.baseline(raised).await;
    waits(&set).await;

    // So does a deletion that takes everything along.
    set.baseline(but(json!({"deletionPolicy": "Delete"}))).await;
    set.baseline_until(&set.name, "has its finalizer", |b| {
        b["metadata"]["finalizers"].is_array()
    })
    .await;
    set.until("Ready", "True").await;
    let mark = plane.audit().mark().unwrap();
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    let message = waits(&set).await;
    assert!(message.contains("loosens 39"), "{message}");
    delete(&set.admin, "ResourceQuota", Some(&namespaces[0]), QUOTA).await;
    set.present("ResourceQuota", &namespaces[0], QUOTA).await;
    let deletions = written(&plane, mark, &namespaces);
    assert!(!deletions.iter().any(|w| w.starts_with("delete")), "{deletions:?}");
    shell(&plane, &command(&message)).await;
    watch_gone(
        &api(&set.admin, "SecurityBaseline", None),
        &set.name,
        crate::stage::SOON,
    )
    .await
    .unwrap();
    let left = crate::oracles::children(&set.admin, &namespaces).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    safe(&plane, begin);
}

#[tokio::test]
async fn a_new_baseline_that_waits_is_audited_meanwhile_also_across_a_restart_and_so_does_a_changed_configuration() {
    let (plane, mut stage) = own_as_shipped().await;
    let begin = plane.audit().mark().unwrap();
    let set = Set::new(&plane, "new").await;
    let namespaces = set.namespaces(&plane, COUNT).await;
    set.baseline(spec()).await;
    let message = waits(&set).await;
    assert!(
        message.contains("newly enforces 36 controls in 12 of 12 namespaces"),
        "{message}"
    );
    for namespace in &namespaces {
        let report = set
            .report_until(namespace, "is audited", |r| {
                control(r, "networkIsolation")["state"] == "Drifted"
            })
            .await;
        let deny = control(&report, "networkIsolation");
        assert_eq!(
            (&deny["mode"], &deny["findings"][0]["reason"]),
            (&json!("Audit"), &json!("Missing"))
        );
    }
    stage.operator.kill().unwrap();
    stage.restart(&plane).await.unwrap();
    // A fence: what is new after the restart was looked at.
    let late = set.namespace(&plane, "late").await;
    set.report_until(&late, "is audited", |r| {
        control(r, "networkIsolation")["mode"] == "Audit"
    })
    .await;
    let grown = set
        .baseline_until(&set.name, "counts anew", |b| {
            condition(b, "Stalled")["message"]
                .as_str()
                .is_some_and(|m| m.contains("13 of 13"))
        })
        .await;
    let all = [namespaces.clone(), vec![late]].concat();
    let writes = written(&plane, begin, &all);
    assert!(writes.is_empty(), "{writes:?}");
    // The change is the same, and it has grown.
    let grown = condition(&grown, "Stalled")["message"].as_str().unwrap().to_owned();
    let token = |message: &str| confirmation(message).split('-').next().unwrap().to_owned();
    assert_eq!(token(&grown), token(&message));
    shell(&plane, &command(&grown)).await;
    converged(&set, &spec(), &all).await;
    settled(&plane, &set).await;

    // While the operator does not run, its configuration comes to exclude them all: they stay held until it says so.
    stage.operator.kill().unwrap();
    let shipped: Value = serde_saphyr::from_str(&std::fs::read_to_string(stage.config_file()).unwrap()).unwrap();
    let mut excluding = shipped.clone();
    excluding["excludedNamespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!(format!("{}-*", set.name)));
    std::fs::write(stage.config_file(), serde_saphyr::to_string(&excluding).unwrap()).unwrap();
    stage.restart(&plane).await.unwrap();
    let stalled = set.until("Stalled", "True").await;
    let told = condition(&stalled, "Stalled")["message"].as_str().unwrap().to_owned();
    assert!(told.contains("brake.confirmedExclusions: 13"), "{told}");
    delete(&set.admin, "ResourceQuota", Some(&all[0]), QUOTA).await;
    set.present("ResourceQuota", &all[0], QUOTA).await;
    stage.operator.kill().unwrap();
    excluding["brake"]["confirmedExclusions"] = json!(13);
    std::fs::write(stage.config_file(), serde_saphyr::to_string(&excluding).unwrap()).unwrap();
    stage.restart(&plane).await.unwrap();
    let mark = plane.audit().mark().unwrap();
    delete(&set.admin, "ResourceQuota", Some(&all[0]), QUOTA).await;
    set.baseline_until(&set.name, "selects none", |b| {
        b["status"]["namespaces"]["selected"] == 0
    })
    .await;
    let requests = plane.audit().writes_since(mark).unwrap();
    let there: Vec<_> = requests
        .iter()
        .filter(|r| about(&set, r) && r.resource != "securitybaselines")
        .collect();
    let told = |resource: &str| ["events", "baselinereports"].contains(&resource);
    assert!(there.iter().all(|r| told(&r.resource)), "{there:?}");
    // Their reports do not go on saying that all is well.
    for namespace in &all {
        let report = set
            .report_until(namespace, "says that nobody looks", |r| {
                condition(r, "Ready")["reason"] == "Excluded"
            })
            .await;
        assert_eq!(condition(&report, "Ready")["status"], "Unknown");
        assert!(report["status"]["inventory"].as_array().is_some_and(|i| !i.is_empty()));
    }
    safe(&plane, begin);
}
