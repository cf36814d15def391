//! A snapshot of a cluster, read under the rights of whoever asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::Client;
use kube::api::{DynamicObject, GetParams, ListParams};
use kube::core::Resource;
use kube::core::request::Request;
use serde_json::Value;

use super::{Snapshot, Unknown};
use crate::engine::clock::Clock;
use crate::engine::cluster::Source;
use crate::engine::config::{Config, ConfigError, says_stop};
use crate::engine::facts::meta;
use crate::engine::work::in_time;

/// How many objects are listed at a time.
const PAGE: u32 = 500;
/// How often a list is begun anew when the API server has forgotten where it was.
const MOST_LISTS: usize = 3;

/// Which namespaces are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// These alone.
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether an object of a source is looked at.
    pub(super) fn has(&self, source: &Source, object: &Value) -> bool {
        let Self::Only(names) = self else { return true };
        match source.watched.name {
            "namespaces" => names.contains(meta(object, "name")),
            _ if is_of_namespaces(source) => names.contains(meta(object, "namespace")),
            _ => true,
        }
    }
}

/// Whether a source is about objects in every namespace.
fn is_of_namespaces(source: &Source) -> bool {
    source.watched.name == "reports" || crate::controls::kind_named(&source.watched.resource.kind).is_some()
}

/// Why no snapshot could be taken.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A right is missing without which nothing can be said.
    #[error("you may not {right}, and without that nothing can be said ({message}); {hint}")]
    Forbidden {
        /// The right.
        right: String,
        /// What the API server said.
        message: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// A namespace is not there.
    #[error("there is no namespace {0}")]
    NoNamespace(String),
    /// The operator's configuration cannot be used.
    #[error(
        "the operator's configuration in ConfigMap {place} cannot be used: {error}; state another one with --config"
    )]
    Config {
        /// The ConfigMap, as namespace/name.
        place: String,
        /// What is wrong with it.
        error: ConfigError,
        /// Whether it asks for the emergency stop all the same.
        stops: bool,
    },
    /// A request failed.
    #[error("could not {what}: {source}")]
    Request {
        /// What was asked for.
        what: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// Nothing that a user can mend.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// What came of a list.
enum Listed {
    All(Vec<Value>),
    /// The cluster has no such kind, and so no such objects.
    NoKind,
    Unknown(Unknown),
}

/// The key of the operator's ConfigMap.
const CONFIG_KEY: &str = "config.yaml";

/// The operator's configuration as a ConfigMap of the cluster has it, and a text that says where it is from. Where it is not there or
/// may not be read, what is shipped counts.
///
/// # Errors
/// When it is there and cannot be used, or the API server does not answer.
pub async fn config_of(client: &Client, namespace: &str, name: &str) -> Result<(Config, String), ReadError> {
    let request = Request::new(format!("/api/v1/namespaces/{namespace}/configmaps"))
        .get(name, &GetParams::default())
        .map_err(kube::Error::BuildRequest);
    let found = match request {
        Ok(request) => in_time(client.request::<Value>(request)).await,
        Err(error) => Err(error),
    };
    let name = format!("{namespace}/{name}");
    let mut config = Config::default();
    namespace.clone_into(&mut config.own_namespace);
    match found {
        Ok(object) => match object["data"][CONFIG_KEY].as_str() {
            Some(text) => {
                let mut config = Config::parse(text, &name).map_err(|error| ReadError::Config {
                    place: name.clone(),
                    error,
                    stops: says_stop(text),
                })?;
                namespace.clone_into(&mut config.own_namespace);
                Ok((config, format!("ConfigMap {name}")))
            }
            None => Ok((config, format!("defaults (ConfigMap {name} has no {CONFIG_KEY})"))),
        },
        Err(kube::Error::Api(status)) if status.code == 404 => {
            Ok((config, format!("defaults (there is no ConfigMap {name})")))
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            Ok((config, format!("defaults (you may not get ConfigMap {name})")))
        }
        Err(source) => Err(ReadError::Request {
            what: format!("get ConfigMap {name}"),
            source: Box::new(source),
        }),
    }
}

impl Snapshot {
    /// Lists all that the operator watches, a page at a time. `progress` is told what is being listed.
    ///
    /// # Errors
    /// When namespaces or baselines may not be read, or the API server does not answer.
    pub async fn read(
        client: Client,
        config: Config,
        clock: Arc<dyn Clock>,
        scope: Scope,
        progress: impl Fn(&str),
    ) -> Result<Self, ReadError> {
        let mut snapshot = Self::empty(client.clone(), config, clock, scope.clone())?;
        for source in snapshot.sources() {
            progress(source.watched.name);
            let listed = match &scope {
                Scope::Only(names) if source.watched.name == "namespaces" => namespaces(&client, names).await?,
                Scope::Only(names) if is_of_namespaces(&source) => {
                    let mut all = Vec::new();
                    let mut unknown = None;
                    for name in names {
                        match list(&client, &source, Some(name)).await? {
                            Listed::All(objects) => all.extend(objects),
                            Listed::NoKind => {}
                            Listed::Unknown(one) => unknown = unknown.or(Some(one)),
                        }
                    }
                    unknown.map_or(Listed::All(all), Listed::Unknown)
                }
                _ => list(&client, &source, source.watched.namespace.as_deref()).await?,
            };
            match listed {
                Listed::All(objects) => {
                    for object in objects {
                        snapshot.take_up(&source, object);
                    }
                }
                Listed::NoKind => snapshot.installed &= source.watched.name != "baselines",
                Listed::Unknown(unknown) if ["namespaces", "baselines"].contains(&unknown.source) => {
                    return Err(ReadError::Forbidden {
                        hint: if unknown.source == "namespaces" {
                            "ask for it (config/ci/reader.yaml), or name one namespace with --namespace"
                        } else {
                            "ask for it (config/ci/reader.yaml); what the operator says of your namespace is in its BaselineReport: kubectl get baselinereport baseline --namespace NAME --output yaml"
                        },
                        right: unknown.right,
                        message: unknown.message,
                    });
                }
                Listed::Unknown(unknown) => snapshot.unknown.push(unknown),
            }
        }
        snapshot.complete().await;
        Ok(snapshot)
    }
}

/// These namespaces, one by one: whoever may see one need not be allowed to list them all.
async fn namespaces(client: &Client, names: &BTreeSet<String>) -> Result<Listed, ReadError> {
    let mut found = Vec::new();
    for name in names {
        let request = Request::new("/api/v1/namespaces")
            .get(name, &GetParams::default())
            .map_err(kube::Error::BuildRequest);
        let answer = match request {
            Ok(request) => in_time(client.request::<Value>(request)).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(object) => found.push(object),
            Err(kube::Error::Api(status)) if status.code == 404 => return Err(ReadError::NoNamespace(name.clone())),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                return Ok(Listed::Unknown(Unknown {
                    source: "namespaces",
                    right: format!("get the namespace {name}"),
                    message: status.message.clone(),
                }));
            }
            Err(source) => {
                return Err(ReadError::Request {
                    what: format!("get the namespace {name}"),
                    source: Box::new(source),
                });
            }
        }
    }
    Ok(Listed::All(found))
}

/// All objects of a source, in one namespace or everywhere.
async fn list(client: &Client, source: &Source, namespace: Option<&str>) -> Result<Listed, ReadError> {
    let watched = &source.watched;
    let group = &watched.resource.group;
    let dot = if group.is_empty() { "" } else { "." };
    let place = namespace.map_or_else(String::new, |namespace| format!(" in the namespace {namespace}"));
    let named = watched.config.field_selector.as_deref();
    let named = named.and_then(|selector| selector.strip_prefix("metadata.name="));
    let named = named.map_or_else(String::new, |name| format!(" (the one named {name})"));
    let everywhere = if namespace.is_none() && is_of_namespaces(source) {
        " in all namespaces"
    } else {
        ""
    };
    let right = format!("list {}{dot}{group}{named}{place}{everywhere}", watched.resource.plural);
    for _ in 0..MOST_LISTS {
        match pages(client, source, namespace).await {
            Ok(objects) => return Ok(Listed::All(objects)),
            // The pages took too long.
            Err(kube::Error::Api(status)) if status.code == 410 => {}
            Err(kube::Error::Api(status)) if status.code == 403 => {
                return Ok(Listed::Unknown(Unknown {
                    source: watched.name,
                    right,
                    message: status.message.clone(),
                }));
            }
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Listed::NoKind),
            Err(source) => {
                return Err(ReadError::Request {
                    what: right,
                    source: Box::new(source),
                });
            }
        }
    }
    Err(ReadError::Request {
        what: right,
        source: Box::new(kube::Error::Service(
            "the cluster changes faster than it can be listed".into(),
        )),
    })
}

async fn pages(client: &Client, source: &Source, namespace: Option<&str>) -> kube::Result<Vec<Value>> {
    let watched = &source.watched;
    let mut params = ListParams::default().limit(PAGE);
    params.label_selector.clone_from(&watched.config.label_selector);
    params.field_selector.clone_from(&watched.config.field_selector);
    let path = DynamicObject::url_path(&watched.resource, namespace);
    let mut all = Vec::new();
    loop {
        let request = Request::new(path.as_str())
            .list(&params)
            .map_err(kube::Error::BuildRequest)?;
        let mut page: Value = in_time(client.request(request)).await?;
        if let Value::Array(items) = page["items"].take() {
            all.extend(items);
        }
        match page["metadata"]["continue"].as_str() {
            Some(next) if !next.is_empty() => params.continue_token = Some(next.to_owned()),
            _ => return Ok(all),
        }
    }
}
