//! What must always hold, as functions that any test calls: O1 (convergence), O2 (quiet), O3 (differential) and O4
//! (safety) of the design.
//!
//! None of them asks the operator's own code what is right. What is asked for is what `render` prints, as the API
//! server itself spells it; what was done is what the API server's audit log says.

mod differential;
mod safety;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::api::{DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage::{BINARY, Set, api, grant};
use crate::support::audit::{Mark, Request};
use crate::support::{ControlPlane, eventually};

pub use self::differential::{assert_same_end, end, forget_edits, forget_ledger};
pub use self::safety::{safe, safe_so_far};

/// How long convergence may take, for as many namespaces as any test has, on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than the operator waits before it writes a status.
const DEBOUNCE: Duration = Duration::from_millis(2500);

/// How long nothing is to happen after a test.
const MOMENT: Duration = Duration::from_millis(500);

/// How often the audit log is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The kinds of objects that the operator creates.
pub const CHILDREN: [&str; 5] = ["NetworkPolicy", "ResourceQuota", "LimitRange", "Role", "RoleBinding"];

const PREFIX: &str = "security-baseline-";
const POD_SECURITY: &str = "pod-security.kubernetes.io/";

/// What is owned of an object: everything but its type, its metadata and its status.
pub fn owned(object: &Value) -> Value {
    let mut fields = object.clone();
    for field in ["apiVersion", "kind", "metadata", "status"] {
        fields.as_object_mut().unwrap().remove(field);
    }
    fields
}

/// The children of some namespaces, by namespace, kind and name, each with its labels.
pub type Children = BTreeMap<(String, String, String), Value>;

/// O1: waits until the baseline says that all of these namespaces are as declared, and then sees that they are: every
/// object that `render` prints is there as the API server would have it, nothing else stands under a reserved name, the
/// Pod Security labels are there, and each report says so.
pub async fn converged(set: &Set, spec: &Value, namespaces: &[String]) {
    converged_under(set, spec, namespaces, &[]).await;
}

/// The same where these exceptions are valid in all of these namespaces.
pub async fn converged_under(set: &Set, spec: &Value, namespaces: &[String], exceptions: &[Value]) {
    let total = i64::try_from(namespaces.len()).unwrap();
    set.until_counted("all compliant", PATIENCE, |counts| {
        counts["selected"] == total && counts["compliant"] == total
    })
    .await;
    let expected = expected(set, spec, &namespaces[0], exceptions).await.unwrap();
    eventually("the cluster matches the baseline", PATIENCE, async || {
        matches(set, &expected, namespaces).await
    })
    .await
    .unwrap();
}

/// A set of this many namespaces that a baseline holds, at rest.
pub async fn holding(plane: &ControlPlane, prefix: &str, spec: &Value, count: usize) -> (Set, Vec<String>) {
    grant(plane).await;
    let set = Set::new(plane, prefix).await;
    let namespaces = set.namespaces(plane, count).await;
    set.baseline(spec.clone()).await;
    converged(&set, spec, &namespaces).await;
    settled(plane, &set).await;
    (set, namespaces)
}

/// What a baseline asks for in a namespace.
struct Expected {
    namespace: String,
    children: Children,
    labels: Value,
}

async fn matches(set: &Set, expected: &Expected, namespaces: &[String]) -> Result<()> {
    let live = children(&set.admin, namespaces).await?;
    let mut wanted = Children::new();
    for namespace in namespaces {
        // Nothing but names that are made of the namespace's differs between two of them.
        let there = |text: &str| text.replace(&expected.namespace, namespace);
        for ((_, kind, name), object) in &expected.children {
            let object = serde_json::from_str(&there(&object.to_string()))?;
            wanted.insert((namespace.clone(), kind.clone(), name.clone()), object);
        }
    }
    for (key, object) in &wanted {
        let found = live.get(key).with_context(|| format!("{key:?} is missing"))?;
        ensure!(found == object, "{key:?} is {found}, and not {object}");
    }
    for key in live.keys() {
        ensure!(wanted.contains_key(key), "{key:?} is there, and nobody asks for it");
    }
    for namespace in namespaces {
        let object = serde_json::to_value(api(&set.admin, "Namespace", None).get(namespace).await?)?;
        let mut labels = object["metadata"]["labels"].clone();
        labels
            .as_object_mut()
            .unwrap()
            .retain(|key, _| key.starts_with(POD_SECURITY));
        ensure!(labels == expected.labels, "{namespace} has the labels {labels}");
    }
    let reports = api(&set.admin, "BaselineReport", None)
        .list(&ListParams::default())
        .await?;
    let generation = api(&set.admin, "SecurityBaseline", None)
        .get(&set.name)
        .await?
        .metadata
        .generation;
    let ready: BTreeSet<String> = reports
        .items
        .iter()
        .map(|report| serde_json::to_value(report).unwrap())
        .filter(|report| {
            let controls = report["status"]["controls"].as_array().into_iter().flatten();
            let mut by = report["status"]["baselines"].as_array().into_iter().flatten();
            by.any(|b| b["name"] == set.name && b["generation"] == json!(generation))
                && report["status"]["conditions"][0]["type"] == "Ready"
                && report["status"]["conditions"][0]["status"] == "True"
                && controls.clone().count() > 0
                && controls.clone().all(|c| c["state"] == "Compliant")
        })
        .map(|report| report["metadata"]["namespace"].as_str().unwrap().to_owned())
        .collect();
    for namespace in namespaces {
        ensure!(
            ready.contains(namespace),
            "the report of {namespace} does not say that it is ready, by generation {generation:?}"
        );
    }
    Ok(())
}

/// Everything under a reserved name in these namespaces: what is owned of it, and its labels under the operator's keys.
pub async fn children(admin: &Client, namespaces: &[String]) -> Result<Children> {
    let mut found = Children::new();
    for kind in CHILDREN {
        for object in api(admin, kind, None).list(&ListParams::default()).await?.items {
            let (namespace, name) = (
                object.metadata.namespace.clone().unwrap(),
                object.metadata.name.clone().unwrap(),
            );
            if namespaces.contains(&namespace) && name.starts_with(PREFIX) {
                let object = told(&serde_json::to_value(object)?);
                found.insert((namespace, kind.to_owned(), name), object);
            }
        }
    }
    Ok(found)
}

/// What of an object is compared.
fn told(object: &Value) -> Value {
    json!({
        "owned": owned(object),
        "labels": object["metadata"]["labels"],
        "annotations": object["metadata"]["annotations"],
        "owners": object["metadata"]["ownerReferences"],
    })
}

/// What `render` prints, each object as the API server answers that it would store it.
async fn expected(set: &Set, spec: &Value, namespace: &str, exceptions: &[Value]) -> Result<Expected> {
    let mut expected = Expected {
        namespace: namespace.to_owned(),
        children: Children::new(),
        labels: json!({}),
    };
    for mut document in rendered(&set.name, spec, namespace, exceptions)? {
        let kind = document["kind"].as_str().context("no kind")?.to_owned();
        if kind == "Namespace" {
            expected.labels = document["metadata"]["labels"].clone();
            continue;
        }
        let name = document["metadata"]["name"].as_str().context("no name")?.to_owned();
        // Under another name, since this one may be there already.
        document["metadata"]["name"] = json!(format!("oracle-{name}"));
        let object: DynamicObject = serde_json::from_value(document)?;
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let stored = api(&set.admin, &kind, Some(namespace)).create(&params, &object).await?;
        let stored = told(&serde_json::to_value(stored)?);
        expected.children.insert((namespace.to_owned(), kind, name), stored);
    }
    ensure!(
        !expected.children.is_empty() || expected.labels != json!({}),
        "render prints nothing"
    );
    Ok(expected)
}

/// The documents that `security-baseline-operator render` prints.
fn rendered(name: &str, spec: &Value, namespace: &str, exceptions: &[Value]) -> Result<Vec<Value>> {
    let mut baseline = json!({
        "apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": name}, "spec": spec,
    });
    if baseline["spec"].get("namespaceSelector").is_none() {
        baseline["spec"]["namespaceSelector"] = json!({});
    }
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("baseline.yaml");
    std::fs::write(&file, baseline.to_string())?;
    let mut render = Command::new(Path::new(BINARY));
    render.args(["render", "--namespace", namespace, "--file"]).arg(&file);
    for (i, exception) in exceptions.iter().enumerate() {
        let file = dir.path().join(format!("exception-{i}.yaml"));
        std::fs::write(&file, exception.to_string())?;
        render.arg("--exceptions").arg(&file);
    }
    let output = render.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_saphyr::from_multiple(&String::from_utf8(output.stdout)?)?)
}

/// Whether a request is about a set: its baseline, or something in its namespaces.
pub fn about(set: &Set, request: &Request) -> bool {
    let ours = |name: &Option<String>| {
        let rest = name.as_deref().and_then(|name| name.strip_prefix(&set.name));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
    };
    ours(&request.namespace) || ours(&request.name)
}

/// The requests about a set since `mark` that are no watches.
pub fn requests(plane: &ControlPlane, set: &Set, mark: Mark) -> Vec<Request> {
    let all = plane.audit().since(mark).unwrap();
    all.into_iter().filter(|request| asks(set, request)).collect()
}

/// Whether a request is about a set, and no watch.
fn asks(set: &Set, request: &Request) -> bool {
    request.verb != "watch" && about(set, request)
}

/// Waits until the operator has nothing to say about a set any more, for as long as it may hold back a status.
pub async fn settled(plane: &ControlPlane, set: &Set) {
    settled_but_for(plane, set, |_| false).await;
}

/// The same, but for some requests that go on.
pub async fn settled_but_for(plane: &ControlPlane, set: &Set, goes_on: impl Fn(&Request) -> bool) {
    let (begin, mut last) = (Instant::now(), Instant::now());
    let mut mark = plane.audit().mark().unwrap();
    while last.elapsed() < DEBOUNCE {
        tokio::time::sleep(LOOK).await;
        let (end, mut more) = plane.audit().more(mark).unwrap();
        mark = end;
        more.retain(|request| asks(set, request) && !goes_on(request));
        if !more.is_empty() {
            last = Instant::now();
            assert!(begin.elapsed() < PATIENCE, "still, after {PATIENCE:?}: {more:?}");
        }
    }
}

/// The resourceVersions of all that the operator writes for a set.
pub async fn versions(set: &Set, namespaces: &[String]) -> BTreeMap<(String, String), String> {
    let mut versions = BTreeMap::new();
    for kind in CHILDREN
        .into_iter()
        .chain(["BaselineReport", "Namespace", "SecurityBaseline"])
    {
        for object in api(&set.admin, kind, None)
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
        {
            let (namespace, name) = (
                object.metadata.namespace.unwrap_or_default(),
                object.metadata.name.unwrap(),
            );
            if namespaces.contains(&namespace) || namespaces.contains(&name) || name == set.name {
                let version = object.metadata.resource_version.unwrap();
                versions.insert((kind.to_owned(), format!("{namespace}/{name}")), version);
            }
        }
    }
    versions
}

/// O2: once the last request is answered, nothing that the operator writes for the set changes for this long, and the
/// operator asks for nothing about it.
pub async fn quiet(plane: &ControlPlane, set: &Set, namespaces: &[String], window: Duration) {
    settled(plane, set).await;
    let (before, mark) = (versions(set, namespaces).await, plane.audit().mark().unwrap());
    tokio::time::sleep(window).await;
    assert_eq!(versions(set, namespaces).await, before);
    let requests = requests(plane, set, mark);
    assert!(requests.is_empty(), "{requests:?}");
}

/// How a test ends after which the set's baseline still holds these namespaces: under O1 and O2. (O4 every test ends
/// under that has a [`Set`]; O3 needs an [`end`] to compare with.)
pub async fn ends_well(plane: &ControlPlane, set: &Set, spec: &Value, namespaces: &[String]) {
    converged(set, spec, namespaces).await;
    ends_quietly(plane, set, namespaces).await;
}

/// The same where what there is is not what one baseline alone asks for: under O2.
pub async fn ends_quietly(plane: &ControlPlane, set: &Set, namespaces: &[String]) {
    quiet(plane, set, namespaces, MOMENT).await;
}
