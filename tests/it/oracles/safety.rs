//! O4: safety throughout, from the audit log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use serde_json::Value;

use super::{POD_SECURITY, PREFIX};
use crate::support::audit::{Log, Mark, Request};
use crate::support::{ControlPlane, OPERATOR_NAMESPACE};

/// O4: whatever the operator wrote since `mark`, whether it was let or not, was its own to write.
pub fn safe(plane: &ControlPlane, mark: Mark) {
    let writes = plane.audit().writes_since(mark).unwrap();
    let mut outdated = Outdated::default();
    for write in &writes {
        if let Err(error) = outdated.judge(write) {
            panic!("{error:#}: {write:?}");
        }
    }
}

/// O4 over the whole run: judges whatever the operator wrote on a control plane and was not judged yet, for which test it
/// may have been. Every [`Set`](crate::stage::Set) ends with it, and so the last one sees that all was judged.
pub fn safe_so_far(log: &Log) {
    static JUDGED: Mutex<BTreeMap<PathBuf, (Mark, Outdated)>> = Mutex::new(BTreeMap::new());
    // A control plane of one test alone may be gone before its sets are: such a test looks for itself.
    if !log.path().exists() {
        return;
    }
    let mut judged = JUDGED.lock();
    let known = judged.entry(log.path().to_owned());
    let (mark, outdated) = known.or_insert_with(|| (Mark::START, Outdated::default()));
    let mut wrong = None;
    *mark = log
        .visit(*mark, |request| {
            if request.is_write()
                && let Err(error) = outdated.judge(&request)
            {
                wrong.get_or_insert_with(|| format!("{error:#}: {request:?}"));
            }
            Ok(())
        })
        .unwrap();
    drop(judged);
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// The namespaces in which a write came too late: there the operator may insist.
#[derive(Default)]
struct Outdated(BTreeSet<Option<String>>);

impl Outdated {
    fn judge(&mut self, write: &Request) -> Result<()> {
        let judged = judge(write, self.0.contains(&write.namespace));
        if write.code == 409 {
            self.0.insert(write.namespace.clone());
        }
        judged
    }
}

/// `insists`: whether it comes after one in the same namespace that was too late.
fn judge(write: &Request, insists: bool) -> Result<()> {
    if write.body.is_none() && matches!(write.code, 401 | 403 | 404 | 429 | 500..) {
        // The API server did not even read it.
        return Ok(());
    }
    let body = write.body.as_ref().unwrap_or(&Value::Null);
    let name = write.name.as_deref().or(body["metadata"]["name"].as_str());
    let name = name.context("a write without a name")?;
    if (write.group.as_str(), write.resource.as_str()) == ("coordination.k8s.io", "leases") {
        let own = (write.namespace.as_deref(), name) == (Some(OPERATOR_NAMESPACE), "security-baseline-operator");
        ensure!(own && write.verb != "delete", "not the operator's Lease");
        return Ok(());
    }
    for place in [
        write.namespace.as_deref(),
        (write.resource == "namespaces").then_some(name),
    ] {
        let excluded = ["kube-system", "kube-public", "kube-node-lease", OPERATOR_NAMESPACE];
        ensure!(
            !place.is_some_and(|p| excluded.contains(&p)),
            "a write in an excluded namespace"
        );
    }
    match (
        write.group.as_str(),
        write.resource.as_str(),
        write.subresource.as_deref(),
    ) {
        ("events.k8s.io" | "", "events", None) => {
            ensure!(
                matches!(write.verb.as_str(), "create" | "patch"),
                "an event is told, and not taken back"
            );
        }
        ("securitybaseline.dev", "securitybaselines" | "baselineexceptions", Some("status")) => {
            ensure!(
                matches!(write.verb.as_str(), "update" | "patch"),
                "a status is only updated"
            );
        }
        ("securitybaseline.dev", "securitybaselines", None) => {
            let metadata = body["metadata"].as_object();
            let known = |key: &String| matches!(key.as_str(), "finalizers" | "uid" | "resourceVersion");
            ensure!(
                write.verb == "patch"
                    && body.as_object().is_some_and(|b| b.len() == 1)
                    && metadata.is_some_and(|m| m.keys().all(known)),
                "a baseline is its owner's, but for its finalizers"
            );
        }
        ("securitybaseline.dev", "baselinereports", None) => {
            ensure!(name == "baseline", "another report than the one of the namespace");
            ensure!(write.verb != "delete", "a report goes with its namespace");
        }
        ("wgpolicyk8s.io", "policyreports", None) | ("openreports.io", "reports", None) => {
            policy_report(write, name, body)?;
        }
        ("", "namespaces", None) => namespace(write, body)?,
        ("networking.k8s.io", "networkpolicies", None)
        | ("", "resourcequotas" | "limitranges", None)
        | ("rbac.authorization.k8s.io", "roles" | "rolebindings", None) => child(write, name, body, insists)?,
        _ => anyhow::bail!("not the operator's to write"),
    }
    Ok(())
}

/// A report for other tools is the one of the namespace, and goes with the report that it is made from.
fn policy_report(write: &Request, name: &str, body: &Value) -> Result<()> {
    ensure!(
        name == "security-baseline-report",
        "another report than the one of the namespace"
    );
    match write.verb.as_str() {
        "create" => {}
        "update" => ensure!(
            body["metadata"]["resourceVersion"].is_string(),
            "a replacement of whatever version is there"
        ),
        "delete" => {
            let seen = &body["preconditions"];
            ensure!(
                seen["uid"].is_string() && seen["resourceVersion"].is_string(),
                "a deletion of whatever is there"
            );
            return Ok(());
        }
        verb => anyhow::bail!("{verb} is no way to write a report"),
    }
    let owner = &body["metadata"]["ownerReferences"][0];
    ensure!(
        owner["kind"] == "BaselineReport" && owner["uid"].is_string(),
        "a report that would stay behind"
    );
    Ok(())
}

/// Of a namespace only Pod Security labels are written, and those by patch.
fn namespace(write: &Request, body: &Value) -> Result<()> {
    ensure!(write.verb == "patch", "a namespace is only patched");
    for (field, value) in body.as_object().context("no object")? {
        let own = match field.as_str() {
            "apiVersion" | "kind" => true,
            "metadata" => value
                .as_object()
                .is_some_and(|m| m.keys().all(|k| matches!(k.as_str(), "name" | "uid" | "labels"))),
            _ => false,
        };
        ensure!(own, "{field} of a namespace is not the operator's");
    }
    let labels = body["metadata"]["labels"].as_object().into_iter().flatten();
    for (key, _) in labels {
        ensure!(key.starts_with(POD_SECURITY), "the label {key} is not the operator's");
    }
    ensure!(
        body["metadata"]["uid"].is_string(),
        "another namespace of that name could be met"
    );
    Ok(())
}

/// Under a reserved name, never a deny that denies nothing, and a deletion only of what was seen.
fn child(write: &Request, name: &str, body: &Value, insists: bool) -> Result<()> {
    ensure!(name.starts_with(PREFIX), "the name {name} is not reserved");
    match write.verb.as_str() {
        "create" => {}
        "update" => {
            let of = &body["metadata"];
            ensure!(of["uid"].is_string(), "a replacement of whatever object is there");
            let seen = insists || of["resourceVersion"].is_string();
            ensure!(seen, "a replacement of whatever version is there");
        }
        "delete" => {
            let seen = &body["preconditions"];
            ensure!(
                seen["uid"].is_string() && seen["resourceVersion"].is_string(),
                "a deletion of whatever is there"
            );
            return Ok(());
        }
        verb => anyhow::bail!("{verb} is no way to write a child"),
    }
    ensure!(
        body["metadata"].get("ownerReferences").is_none(),
        "a child with an owner is garbage one day"
    );
    if write.resource == "networkpolicies" {
        let types = body["spec"]["policyTypes"].as_array();
        ensure!(
            types.is_some_and(|types| !types.is_empty()),
            "a policy that does not say what it denies"
        );
        for direction in ["ingress", "egress"] {
            let mut rules = body["spec"][direction].as_array().into_iter().flatten();
            ensure!(
                rules.all(|rule| rule.as_object().is_some_and(|r| !r.is_empty())),
                "a rule that allows everything"
            );
        }
    }
    Ok(())
}
