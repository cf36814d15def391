//! `render`: what a baseline means, offline, by the very code that enforces it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::Done;
use super::names;
use crate::api::v1alpha1::{LabelSelector, Mode, NetworkPeer, NetworkPort, Protocol, SecurityBaselineSpec};
use crate::controls::REGISTRY;
use crate::core::exceptions::{Exception, waivers};
use crate::core::plan::{Step, plan};
use crate::core::select::selects;
use crate::core::validate::{Problems, validate};
use crate::core::world::{Baseline, ClusterFacts, Destination, GrantableRule, NamespaceFacts, World};
use crate::engine::clock::{Clock, SystemClock};
use crate::engine::config::Exceptions;

/// Arguments of `render`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file with the SecurityBaseline; `-` is standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// The namespace to render for.
    #[arg(short, long, value_name = "NAME", default_value = "example", value_parser = names::namespace)]
    namespace: String,
    /// The namespace's labels. Without them the namespace counts as selected.
    #[arg(long, value_name = "KEY=VALUE,…", value_delimiter = ',', value_parser = label)]
    namespace_labels: Vec<(String, String)>,
    /// A file with BaselineExceptions, which are taken out as they are valid now. May be given more than once.
    #[arg(short, long, value_name = "FILE")]
    exceptions: Vec<PathBuf>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn render(args: &Args) -> Done {
    let text = read_file(&args.file)?;
    let now = SystemClock.now();
    let mut exceptions = Vec::new();
    for file in &args.exceptions {
        exceptions.extend(read_exceptions(&read_file(file)?, now).map_err(|e| format!("{}: {e}", file.display()))?);
    }
    let text = rendered(&text, &args.namespace, &args.namespace_labels, &exceptions, now)?;
    super::print(&text)
}

fn read_file(path: &Path) -> Result<String, Box<dyn std::error::Error>> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    Ok(std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// The objects that Enforce would create, as YAML documents; remarks as comments.
fn rendered(
    text: &str,
    namespace: &str,
    labels: &[(String, String)],
    exceptions: &[Arc<Exception>],
    now: Timestamp,
) -> Result<String, Box<dyn std::error::Error>> {
    let (name, mut spec) = read(text)?;
    accepted(&format!("the baseline {name}"), validate(REGISTRY, &spec))?;
    let labels: BTreeMap<String, String> = labels
        .iter()
        .cloned()
        .chain([("kubernetes.io/metadata.name".to_owned(), namespace.to_owned())])
        .collect();
    if labels.len() > 1 && !selects(&spec, namespace, &labels) {
        return Ok(format!(
            "# the baseline {name} does not select a namespace {namespace} with these labels\n"
        ));
    }
    let modes: Vec<String> = REGISTRY
        .iter()
        .filter_map(|c| Some(format!("{}: {:?}", c.section(), c.mode(&spec)?)))
        .collect();
    let mut out = format!(
        "# What the baseline {name} means for the namespace {namespace}, once it is enforced ({}).\n# Cluster DNS and what may be granted are not known offline: the usual ones are assumed.\n",
        modes.join(", ")
    );
    enforce_all(&mut spec);
    let mut world = world(name, spec, namespace, labels);
    world.waivers = waivers(exceptions, namespace, now);
    let plan = plan(REGISTRY, &world);
    for waived in &plan.waived {
        let what = waived.object.as_deref().unwrap_or(waived.control.as_str());
        let to = waived
            .level
            .map(|level| format!(" to {}", level.as_str()))
            .unwrap_or_default();
        let by = waived.exceptions.join(", ");
        out += &format!("# waived: {what}{to}: by {by}, until {}\n", waived.expires);
    }
    for exception in exceptions {
        if !plan
            .waived
            .iter()
            .any(|waived| waived.exceptions.contains(&exception.name))
        {
            let expired = if exception.expires <= now {
                "it has expired"
            } else {
                "it names nothing of this"
            };
            out += &format!("# the exception {} waives nothing here: {expired}\n", exception.name);
        }
    }
    for held in plan.sections.iter().flat_map(|s| &s.held) {
        out += &format!("# held: {}: {}: {}\n", held.object, held.reason, held.message);
    }
    for warning in REGISTRY.iter().flat_map(|c| c.warnings(&world.baselines[0].spec)) {
        out += &format!("# warning: {}: {}\n", warning.path, warning.message);
    }
    for action in &plan.actions {
        let object = match &action.step {
            Step::Create(child) => child.to_object(namespace),
            Step::Label(labels) => json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels},
            }),
            // In a bare namespace there is nothing to replace or delete.
            Step::Replace { .. } | Step::Recreate { .. } | Step::Delete { .. } => continue,
        };
        out += "---\n";
        out += &serde_saphyr::to_string(&object)?;
    }
    Ok(out)
}

/// Reads a SecurityBaseline.
fn read(text: &str) -> Result<(String, SecurityBaselineSpec), Box<dyn std::error::Error>> {
    let object: Value = serde_saphyr::from_str(text)?;
    if object["kind"] != "SecurityBaseline" {
        return Err("the file holds no SecurityBaseline: its `kind` is something else".into());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("unnamed").to_owned();
    let spec = serde_path_to_error::deserialize(&object["spec"])
        .map_err(|e| format!("the baseline {name} is refused: spec.{}: {}", e.path(), e.inner()))?;
    Ok((name, spec))
}

/// Reads the exceptions in a file. One that was not created yet counts as created now.
fn read_exceptions(text: &str, now: Timestamp) -> Result<Vec<Arc<Exception>>, Box<dyn std::error::Error>> {
    let mut exceptions = Vec::new();
    let documents = serde_saphyr::from_multiple::<Value>(text)?;
    // What `kubectl get` prints of several is one list.
    let objects = documents
        .iter()
        .flat_map(|document| match document["items"].as_array() {
            Some(items) => items.iter().collect(),
            None => vec![document],
        });
    for object in objects {
        if object["kind"] != "BaselineException" {
            return Err("the file holds something else than BaselineExceptions: look at `kind`".into());
        }
        let name = object["metadata"]["name"].as_str().unwrap_or("unnamed").to_owned();
        let created = match object["metadata"]["creationTimestamp"].as_str() {
            Some(created) => created.parse()?,
            None => now,
        };
        let spec = serde_path_to_error::deserialize(&object["spec"])
            .map_err(|e| format!("the exception {name} is refused: spec.{}: {}", e.path(), e.inner()))?;
        let limit = Exceptions::default().max_duration;
        match Exception::accept(name.clone(), name.clone(), 1, created, spec, limit) {
            Ok(exception) => exceptions.push(Arc::new(exception)),
            Err(problems) => accepted(&format!("the exception {name}"), problems)?,
        }
    }
    Ok(exceptions)
}

/// Refuses what has problems, by all of them.
fn accepted(what: &str, problems: Problems) -> Done {
    let problems = problems.into_vec();
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    Err(format!("{what} is refused:\n  {}", lines.join("\n  ")).into())
}

fn enforce_all(spec: &mut SecurityBaselineSpec) {
    spec.mode = Mode::Enforce;
    spec.suspend = false;
    let modes = [
        spec.network_isolation.as_mut().map(|s| &mut s.mode),
        spec.resource_quotas.as_mut().map(|s| &mut s.mode),
        spec.limit_ranges.as_mut().map(|s| &mut s.mode),
        spec.pod_security.as_mut().map(|s| &mut s.mode),
        spec.access.as_mut().map(|s| &mut s.mode),
    ];
    for mode in modes.into_iter().flatten() {
        *mode = None;
    }
}

/// A bare namespace in a cluster as most are.
fn world(name: String, spec: SecurityBaselineSpec, namespace: &str, labels: BTreeMap<String, String>) -> World {
    // What may be granted is not known here. What the baseline asks for is shown; the operator checks it.
    let asked = spec
        .access
        .iter()
        .flat_map(|a| &a.roles)
        .flat_map(|r| &r.rules)
        .map(|rule| GrantableRule {
            api_groups: rule.api_groups.clone(),
            resources: rule.resources.clone(),
            resource_names: rule.resource_names.clone(),
            verbs: rule.verbs.clone(),
        });
    let grantable = asked.collect();
    let selector = |key: &str, value: &str| LabelSelector {
        match_labels: BTreeMap::from([(key.to_owned(), value.to_owned())]),
        ..LabelSelector::default()
    };
    let port = |protocol| NetworkPort {
        protocol: Some(protocol),
        port: Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(53)),
        end_port: None,
    };
    let facts = NamespaceFacts {
        name: namespace.to_owned(),
        labels,
        ..NamespaceFacts::default()
    };
    let baselines = vec![Arc::new(Baseline {
        name,
        uid: String::new(),
        created: Timestamp::UNIX_EPOCH,
        generation: 1,
        since: Timestamp::UNIX_EPOCH,
        spec,
        frozen: None,
        replaced: None,
        leaving: false,
    })];
    let cluster = Arc::new(ClusterFacts {
        dns: Some(Destination {
            peers: vec![NetworkPeer {
                namespace_selector: Some(selector("kubernetes.io/metadata.name", "kube-system")),
                pod_selector: Some(selector("k8s-app", "kube-dns")),
                ip_block: None,
            }],
            ports: vec![port(Protocol::Udp), port(Protocol::Tcp)],
        }),
        node_local_dns: std::collections::BTreeSet::new(),
        api_server: None,
        grantable,
    });
    World::bare(facts, baselines, cluster, Timestamp::UNIX_EPOCH)
}
