//! Reports for other tools: where the cluster has a kind for them, and only there.

mod crashes;
mod crds;
mod kinds;
mod others;

use std::time::Duration;

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use self::crds::{Kind, OPEN_REPORT, POLICY_REPORT};
use crate::oracles::{PATIENCE, ends_well, quiet, requests, settled};
use crate::stage::{BINARY, LABEL, Set, api, condition, create, delete, file, get, merge, unbraked};
use crate::support::{ControlPlane, Stage, blocks};

const NAME: &str = "security-baseline-report";

/// A control plane that has these kinds, and then an operator.
async fn with(kinds: &[Kind]) -> (ControlPlane, Stage) {
    let plane = ControlPlane::start().await.unwrap();
    for kind in kinds {
        kind.install(&plane).await;
    }
    let stage = Stage::with(&plane, BINARY.as_ref(), unbraked).await.unwrap();
    (plane, stage)
}

/// Two controls in this mode.
fn two(mode: &str) -> Value {
    json!({
        "mode": mode,
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": {"items": [{"name": "pods", "hard": {"pods": 5}}]},
    })
}

#[tokio::test]
async fn the_commands_on_the_page_about_them_work() {
    let (plane, _stage) = with(&[POLICY_REPORT]).await;
    let set = Set::new(&plane, "polrpage").await;
    plane.namespace("team-a", &[(LABEL, &set.name)]).await.unwrap();
    set.baseline(two("Audit")).await;
    set.present("PolicyReport", "team-a", NAME).await;
    let page = std::fs::read_to_string(file("docs/policy-reports.md")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let found = blocks(&page, "<!-- run where the kind is -->");
    assert_eq!(found.len(), 2);
    // The first removes what the second shows, and what is removed comes back while the operator runs.
    for block in &found {
        set.present("PolicyReport", "team-a", NAME).await;
        block.run("policy-reports.md", plane.admin_kubeconfig(), &path).await;
    }

    OPEN_REPORT.install(&plane).await;
    let written = set.present("Report", "team-a", NAME).await;
    let found = blocks(&page, "<!-- run where the kind is openreports.io -->");
    assert_eq!(found.len(), 1);
    found[0].run("policy-reports.md", plane.admin_kubeconfig(), &path).await;
    set.object_until("Report", "team-a", NAME, "was removed, and written anew", |report| {
        report["metadata"]["uid"] != written["metadata"]["uid"]
    })
    .await;
}

/// How many results came out so.
fn counts(report: &Value) -> [i64; 5] {
    ["pass", "fail", "warn", "error", "skip"].map(|outcome| report["summary"][outcome].as_i64().unwrap())
}

/// The results that came out so.
fn results<'a>(report: &'a Value, outcome: &str) -> Vec<&'a Value> {
    let all = report["results"].as_array().unwrap();
    all.iter().filter(|result| result["result"] == outcome).collect()
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

/// Sees that the API server knows every field that the operator sends: of one that it does not know it would only say so
/// in a warning, and drop it.
async fn is_valid(plane: &ControlPlane, set: &Set, kind: Kind, namespace: &str) {
    let admin = plane.admin().await.unwrap();
    let sent = plane.audit().since(crate::support::audit::Mark::START).unwrap();
    let mut bodies = sent.into_iter().filter_map(|request| {
        let about = crate::oracles::about(set, &request) && request.namespace.as_deref() == Some(namespace);
        request
            .body
            .filter(|body| about && body["kind"] == kind.kind && body["results"].is_array())
    });
    let mut body = bodies.next_back().expect("nothing was sent");
    let metadata = body["metadata"].as_object_mut().unwrap();
    metadata.remove("resourceVersion");
    metadata.remove("managedFields");
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::apply("strict").force().validation_strict()
    };
    let name = body["metadata"]["name"].as_str().unwrap().to_owned();
    let objects = api(&admin, kind.kind, Some(namespace));
    objects.patch(&name, &params, &Patch::Apply(&body)).await.unwrap();
}

#[tokio::test]
async fn a_namespace_has_one_valid_report_that_changes_once_with_a_finding_and_not_when_nothing_changes() {
    let (plane, mut stage) = with(&[POLICY_REPORT]).await;
    let set = Set::new(&plane, "polr").await;
    let namespaces = set.namespaces(&plane, 2).await;
    let namespace = namespaces[0].as_str();
    set.baseline(two("Enforce")).await;
    set.until_enforced(2).await;
    // It is written after the BaselineReport, by a job of its own: the status may tell sooner that all is enforced.
    let report = set
        .object_until("PolicyReport", namespace, NAME, "tells that both controls hold", |r| {
            counts(r) == [2, 0, 0, 0, 0]
        })
        .await;
    assert_eq!(report["scope"]["name"], namespace);
    let told = set.report_until(namespace, "is there", |_| true).await;
    let owner = &report["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], told["metadata"]["uid"]);
    is_valid(&plane, &set, POLICY_REPORT, namespace).await;
    settled(&plane, &set).await;

    // What is repaired at once changes the ledger, and nothing that is so or not.
    let before = get(&set.admin, "PolicyReport", Some(namespace), NAME).await.unwrap();
    delete(&set.admin, "ResourceQuota", Some(namespace), "security-baseline-pods").await;
    set.report_until(namespace, "counts the repair", |r| {
        r["status"]["drift"]["repaired"] == 1
    })
    .await;
    settled(&plane, &set).await;
    let after = get(&set.admin, "PolicyReport", Some(namespace), NAME).await.unwrap();
    assert_eq!(version(&after), version(&before));

    // A tenant's policy that undoes the deny is a finding; the report changes once, and back once.
    let mark = plane.audit().mark().unwrap();
    let open = json!({"metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{}]}});
    create(&set.admin, "NetworkPolicy", Some(namespace), open)
        .await
        .unwrap();
    let found = set
        .object_until("PolicyReport", namespace, NAME, "tells the finding", |r| {
            r["summary"]["fail"] == 1
        })
        .await;
    assert_eq!(counts(&found), [1, 1, 0, 0, 0], "{found}");
    let fail = results(&found, "fail")[0].clone();
    assert_eq!(fail["rule"], "SB-NET-008", "{fail}");
    assert_eq!(fail["properties"]["code"], "SB-NET-008");
    assert_eq!(fail["policy"], "networkIsolation");
    assert_eq!(
        (&fail["severity"], &fail["source"]),
        (&json!("high"), &json!("security-baseline-operator"))
    );
    assert_eq!(
        (&fail["resources"][0]["kind"], &fail["resources"][0]["name"]),
        (&json!("NetworkPolicy"), &json!("open"))
    );
    is_valid(&plane, &set, POLICY_REPORT, namespace).await;
    delete(&set.admin, "NetworkPolicy", Some(namespace), "open").await;
    set.object_until("PolicyReport", namespace, NAME, "is as before", |r| {
        r["results"] == before["results"]
    })
    .await;
    settled(&plane, &set).await;
    let writes = plane.audit().writes_since(mark).unwrap();
    let writes = writes.iter().filter(|w| w.resource == "policyreports").count();
    assert_eq!(writes, 2);

    // At rest nothing is asked for, and a restart writes nothing.
    quiet(&plane, &set, &namespaces, Duration::from_secs(5)).await;
    let before = get(&set.admin, "PolicyReport", Some(namespace), NAME).await.unwrap();
    let mark = plane.audit().mark().unwrap();
    assert!(stage.operator.terminate(PATIENCE).await.unwrap().success());
    stage.restart(&plane).await.unwrap();
    settled(&plane, &set).await;
    let asked = requests(&plane, &set, mark);
    assert!(asked.is_empty(), "{asked:?}");
    let after = get(&set.admin, "PolicyReport", Some(namespace), NAME).await.unwrap();
    assert_eq!(version(&after), version(&before));
    ends_well(&plane, &set, &two("Enforce"), &namespaces).await;
}

#[tokio::test]
async fn a_report_goes_when_no_baseline_holds_its_namespace_any_more_and_only_if_it_is_the_operators() {
    let (plane, _stage) = with(&[POLICY_REPORT]).await;
    let set = Set::new(&plane, "polrgone").await;
    let namespaces = set.namespaces(&plane, 2).await;
    let (let_go, kept) = (namespaces[0].as_str(), namespaces[1].as_str());
    set.baseline(two("Enforce")).await;
    set.until_enforced(2).await;
    for namespace in &namespaces {
        set.present("PolicyReport", namespace, NAME).await;
    }
    merge(
        &set.admin,
        "Namespace",
        None,
        let_go,
        json!({"metadata": {"labels": {LABEL: null}}}),
    )
    .await
    .unwrap();
    // While it is held all the same, the report says that it tried to walk out.
    set.object_until("PolicyReport", let_go, NAME, "tells it", |r| {
        let walked_out = |result: &Value| result["rule"] == "SB-GEN-304";
        r["results"].as_array().unwrap().iter().any(walked_out)
    })
    .await;
    let mark = plane.audit().mark().unwrap();
    let mut spec = two("Enforce");
    spec["releasedNamespaces"] = json!([let_go]);
    set.baseline(spec.clone()).await;
    set.gone("PolicyReport", let_go, NAME).await;
    settled(&plane, &set).await;
    let deleted = plane.audit().writes_since(mark).unwrap();
    let deleted: Vec<_> = deleted.iter().filter(|w| w.verb == "delete").collect();
    assert_eq!(deleted.len(), 1, "{deleted:?}");
    let preconditions = &deleted[0].body.as_ref().unwrap()["preconditions"];
    assert!(preconditions["uid"].is_string() && preconditions["resourceVersion"].is_string());
    let told = set.report_until(let_go, "is left", |_| true).await;
    assert_eq!(condition(&told, "Ready")["reason"], "NotSelected");

    // Where it is gone, somebody else's report of that name is somebody else's.
    let theirs = json!({"metadata": {"name": NAME}, "results": []});
    let theirs = create(&set.admin, "PolicyReport", Some(let_go), theirs).await.unwrap();
    spec["releasedNamespaces"] = json!([let_go, "no-such-namespace"]);
    set.baseline(spec).await;
    set.until_enforced(1).await;
    settled(&plane, &set).await;
    let now = get(&set.admin, "PolicyReport", Some(let_go), NAME).await.unwrap();
    assert_eq!(version(&now), version(&theirs));

    // With its baseline the last one goes too.
    delete(&set.admin, "SecurityBaseline", None, &set.name).await;
    set.gone("PolicyReport", kept, NAME).await;
}

#[tokio::test]
async fn a_list_of_results_is_bounded_beside_a_true_summary() {
    let (plane, _stage) = with(&[OPEN_REPORT]).await;
    let set = Set::new(&plane, "polrmany").await;
    let namespace = set.namespace(&plane, "a").await;
    let named = |count: usize, item: &dyn Fn(usize) -> Value| -> Vec<Value> { (0..count).map(item).collect() };
    set.baseline(json!({
        "resourceQuotas": {"items": named(32, &|i| json!({"name": format!("q{i}"), "hard": {"pods": 5}}))},
        "limitRanges": {"items": named(16, &|i| json!({"name": format!("l{i}"), "limits": [{"type": "Pod", "max": {"cpu": "2"}}]}))},
        "access": {"bindings": named(32, &|i| json!({"name": format!("b{i}"), "clusterRole": "view", "subjects": [{"kind": "Group", "name": "auditors"}]}))},
        "networkIsolation": {
            "defaultDeny": ["Ingress", "Egress"],
            "allow": named(32, &|i| json!({"name": format!("r{i}"), "podSelector": {"matchLabels": {"app": "a"}}, "ingress": [{"ports": [{"port": 80}]}]})),
        },
    }))
    .await;
    let report = set
        .object_until("Report", &namespace, NAME, "tells all", |r| {
            r["summary"]["fail"].as_i64() > Some(100)
        })
        .await;
    let [pass, fail, warn, error, skip] = counts(&report);
    let listed = report["results"].as_array().unwrap().len();
    assert_eq!(listed, 100);
    assert_eq!(report["configuration"]["limits"]["maxResults"], 100);
    let left_out = &report["metadata"]["annotations"]["securitybaseline.dev/results-left-out"];
    let all = pass + fail + warn + error + skip;
    assert_eq!(*left_out, json!((all - 100).to_string()));
    let told = set.report_until(&namespace, "is there", |_| true).await;
    let controls = told["status"]["controls"].as_array().unwrap();
    let findings: usize = controls
        .iter()
        .map(|c| c["findings"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(fail, i64::try_from(findings).unwrap());
    is_valid(&plane, &set, OPEN_REPORT, &namespace).await;
    let all = api(&set.admin, "Report", None)
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(all.items.len(), 1, "one for each namespace that a baseline holds");
    settled(&plane, &set).await;
}
