//! What `check` looks at.

mod admission;
mod plugins;
mod rights;

use std::sync::Arc;

use serde_json::Value;

use plugins::enforced;
use rights::{needed, own_rights, rights};

use super::model::{Check, Outcome};
use crate::api::KUBERNETES;
use crate::cli::Failure;
use crate::cli::cluster::{Connect, Progress};
use crate::core::object::FIELD_MANAGER;
use crate::engine::ask::{self, Seen};
use crate::engine::client::Connection;
use crate::engine::clock::SystemClock;
use crate::engine::config::Config;
use crate::engine::snapshot::{ReadError, Scope, Snapshot, config_of};

/// The operator as it was found.
struct Operator<'a> {
    namespace: &'a str,
    name: &'a str,
    deployment: Seen<Value>,
}

impl Operator<'_> {
    /// The name of its ServiceAccount: what its Deployment says; it is called the same as that elsewhere.
    fn account(&self) -> &str {
        let Seen::There(deployment) = &self.deployment else {
            return self.name;
        };
        let stated = deployment["spec"]["template"]["spec"]["serviceAccountName"].as_str();
        stated.unwrap_or(self.name)
    }
}

/// All checks, in the order in which they matter.
pub(super) async fn all(
    connection: &Connection,
    connect: &Connect,
    pre: bool,
    progress: &Progress,
) -> Result<Vec<Check>, Failure> {
    let mut checks = vec![version(connection).await?];
    let crds = crds(connection, pre).await?;
    checks.extend(crds);
    let (namespace, name) = (connect.operator_namespace.as_str(), connect.operator_name.as_str());
    let kind = ("apps", "Deployment", "deployments");
    let operator = Operator {
        namespace,
        name,
        deployment: ask::object(&connection.client, kind, Some(namespace), name).await?,
    };
    let kind = ("", "ServiceAccount", "serviceaccounts");
    let account = ask::object(&connection.client, kind, Some(namespace), operator.account()).await?;
    let there = matches!(account, Seen::There(_));
    let (config, configuration) = configuration(connection, connect).await?;
    let needed = needed(namespace, &config.cluster_dns.namespace)?;
    if pre && !there {
        checks.push(own_rights(connection, namespace, needed).await?);
    } else {
        checks.push(rights(connection, &operator, &account, needed).await?);
        checks.push(admission::policies(connection, &operator).await?);
    }
    if !pre {
        checks.push(running(&operator));
    }
    checks.push(configuration);
    checks.extend(facts(connection, config, progress).await?);
    checks.push(enforced(connection).await?);
    Ok(checks)
}

async fn version(connection: &Connection) -> Result<Check, Failure> {
    const NAME: &str = "Kubernetes version";
    let (major, minor, text) = ask::version(&connection.client).await?;
    let (oldest, newest) = (KUBERNETES.start(), KUBERNETES.end());
    let (outcome, message) = if (major, minor) < (1, *oldest) {
        let told = format!("{text} is too old: it does not take the CRDs, which need 1.{oldest} or newer");
        (Outcome::Failed, told)
    } else if (major, minor) > (1, *newest) {
        let told = format!("{text} should do; the newest that the tests run on is 1.{newest}");
        (Outcome::Warning, told)
    } else if minor == *oldest || minor == *newest {
        (Outcome::Ok, format!("{text}: the tests run on 1.{minor}"))
    } else {
        let told = format!("{text} lies between 1.{oldest} and 1.{newest}, which the tests run on");
        (Outcome::Ok, told)
    };
    Ok(Check::new(NAME, outcome, message))
}

async fn crds(connection: &Connection, pre: bool) -> Result<Vec<Check>, Failure> {
    let mut checks = Vec::new();
    for (name, title) in [
        ("securitybaselines.securitybaseline.dev", "CRD SecurityBaseline"),
        ("baselinereports.securitybaseline.dev", "CRD BaselineReport"),
        ("baselineexceptions.securitybaseline.dev", "CRD BaselineException"),
    ] {
        let kind = (
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            "customresourcedefinitions",
        );
        let (result, message) = match ask::object(&connection.client, kind, None, name).await? {
            Seen::There(crd) if is_established(&crd) => (Outcome::Ok, "is established".to_owned()),
            Seen::There(_) => (
                Outcome::Failed,
                format!("is not established: kubectl describe crd {name}"),
            ),
            Seen::Absent if pre => (Outcome::Ok, "is not there yet".to_owned()),
            Seen::Absent => (
                Outcome::Failed,
                "is not there: install it with the chart or the kustomization of the operator (docs/install.md)"
                    .to_owned(),
            ),
            Seen::Hidden(why) => (Outcome::Unknown, format!("you may not get it: {why}")),
        };
        checks.push(Check::new(title, result, message));
    }
    Ok(checks)
}

fn is_established(crd: &Value) -> bool {
    let conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|c| c["type"] == "Established" && c["status"] == "True")
}

fn running(operator: &Operator) -> Check {
    const NAME: &str = "The operator";
    let deployment = format!("{}/{}", operator.namespace, operator.name);
    match &operator.deployment {
        Seen::There(found) if found["status"]["availableReplicas"].as_i64().unwrap_or_default() > 0 => {
            Check::new(NAME, Outcome::Ok, format!("Deployment {deployment} is available"))
        }
        Seen::There(_) => Check::new(
            NAME,
            Outcome::Failed,
            format!("Deployment {deployment} has no available replica: nothing is repaired"),
        ),
        Seen::Absent => Check::new(
            NAME,
            Outcome::Warning,
            format!(
                "there is no Deployment {deployment}; it may have another name (--operator-name, --operator-namespace), or run outside of the cluster"
            ),
        ),
        Seen::Hidden(why) => Check::new(NAME, Outcome::Unknown, format!("you may not get its Deployment: {why}")),
    }
}

/// The operator's configuration, and what is to be said of it. Where it cannot be used, the other checks go by the defaults.
async fn configuration(connection: &Connection, connect: &Connect) -> Result<(Config, Check), Failure> {
    const NAME: &str = "Configuration";
    const STOPS: &str = "the emergency stop is asked for: nothing is written but status and reports";
    match config_of(&connection.client, &connect.operator_namespace, &connect.operator_name).await {
        Ok((config, from)) => {
            let check = if config.stop {
                Check::new(NAME, Outcome::Warning, format!("{from}; stop is true: {STOPS}"))
            } else {
                Check::new(NAME, Outcome::Ok, format!("{from}; stop is false"))
            };
            Ok((config, check))
        }
        Err(ReadError::Config { place, error, stops }) => {
            let config = Config {
                own_namespace: connect.operator_namespace.clone(),
                ..Config::default()
            };
            // The lines after it show the place in the text, which is no text for a row.
            let error = error.to_string();
            let error = error.lines().next().unwrap_or_default();
            let but = if stops { format!(", but {STOPS}") } else { String::new() };
            let message = format!(
                "ConfigMap {place} cannot be used: {error}; mend it: an operator that starts with it ends at once. One that runs goes on with what it read before{but}. What follows is checked by the defaults"
            );
            Ok((config, Check::new(NAME, Outcome::Failed, message)))
        }
        Err(error) => Err(error.into()),
    }
}

/// What the operator finds of the cluster, as far as whoever asks may see it.
async fn facts(connection: &Connection, config: Config, progress: &Progress) -> Result<Vec<Check>, Failure> {
    let read = Snapshot::read(
        connection.client.clone(),
        config,
        Arc::new(SystemClock),
        Scope::All,
        |what| {
            progress.tell(&format!("listing {what}"));
        },
    );
    let snapshot = match read.await {
        Ok(snapshot) => snapshot,
        Err(ReadError::Forbidden { right, .. }) => {
            let message = format!("you may not {right}");
            return Ok(vec![Check::new("What the operator finds", Outcome::Unknown, message)]);
        }
        Err(error) => return Err(error.into()),
    };
    let cluster = snapshot.cluster();
    let hidden = |source: &str| snapshot.unknown.iter().find(|unknown| unknown.source == source);
    let unless = |name, source: &str, found: Option<String>, missing: (Outcome, String)| match (found, hidden(source)) {
        (Some(found), _) => Check::new(name, Outcome::Ok, found),
        (None, Some(unknown)) => Check::new(name, Outcome::Unknown, format!("you may not {}", unknown.right)),
        (None, None) => Check::new(name, missing.0, missing.1),
    };
    let dns = cluster.dns.as_ref().map(|_| {
        let nodes = match cluster.node_local_dns.len() {
            0 => String::new(),
            count => format!(", and {count} addresses of a cache on the nodes"),
        };
        format!("found{nodes}")
    });
    let no_dns =
        "not found: an egress deny is held back; state dns in the baseline, set clusterDNS, or set allowDNS to false";
    let endpoints = cluster
        .api_server
        .as_ref()
        .map(|found| format!("found, in {} slices", found.len()));
    let no_endpoints = "not found: a baseline with allowKubernetesAPI is held back";
    let mut checks = vec![
        unless("Cluster DNS", "dns", dns, (Outcome::Warning, no_dns.to_owned())),
        unless(
            "API server's endpoints",
            "api-server",
            endpoints,
            (Outcome::Warning, no_endpoints.to_owned()),
        ),
    ];
    checks.push(names(&snapshot));
    Ok(checks)
}

/// Objects of others under names that are reserved, where a baseline may reach them.
fn names(snapshot: &Snapshot) -> Check {
    const NAME: &str = "Reserved names";
    let foreign: Vec<String> = snapshot
        .children()
        .filter(|(namespace, id, object)| {
            let ours = object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == FIELD_MANAGER;
            let recorded = snapshot.report(namespace).is_some_and(|report| {
                let mut inventory = report.inventory.iter();
                inventory.any(|entry| entry.kind == id.kind.kind && entry.name == id.name)
            });
            !ours && !recorded && !snapshot.config().excludes(namespace)
        })
        .map(|(namespace, id, _)| format!("{id} in {namespace}"))
        .collect();
    let kinds = crate::controls::kinds();
    let hidden = snapshot
        .unknown
        .iter()
        .find(|unknown| kinds.iter().any(|kind| kind.plural == unknown.source));
    match (foreign.first(), hidden) {
        (Some(first), _) => Check::new(
            NAME,
            Outcome::Failed,
            format!(
                "{} of others bear names that begin with security-baseline-, such as {first}: rename them before a baseline takes them over",
                foreign.len()
            ),
        ),
        (None, Some(unknown)) => Check::new(NAME, Outcome::Unknown, format!("you may not {}", unknown.right)),
        (None, None) => Check::new(NAME, Outcome::Ok, "nobody else bears one"),
    }
}
