//! A snapshot out of files: what `kubectl get … --output yaml` (or json) prints.

use std::sync::Arc;

use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use tower::BoxError;

use super::{ReadError, Scope, Snapshot};
use crate::engine::clock::Clock;
use crate::engine::cluster::Source;
use crate::engine::config::Config;
use crate::engine::facts::meta;

/// Why a file cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is neither YAML nor JSON.
    #[error("{0}; write what `kubectl get … --output yaml` prints (of a large cluster, --output json)")]
    Malformed(String),
    /// A document is no object.
    #[error("document {0} has no `kind` and `apiVersion`: it is no Kubernetes object")]
    NoObject(usize),
}

/// The objects in a text: YAML documents or JSON, of which each is an object or a list of objects.
///
/// # Errors
/// When the text is neither, or holds something else than objects.
pub fn objects(text: &str) -> Result<Vec<Value>, FileError> {
    // What kubectl prints as JSON is one document, and read ten times as fast as such.
    let documents = match serde_json::from_str::<Value>(text) {
        Ok(document) => vec![document],
        Err(_) => serde_saphyr::from_multiple_with_options::<Value>(text, as_large_as(text))
            .map_err(|error| FileError::Malformed(error.to_string()))?,
    };
    let mut objects = Vec::new();
    for (place, document) in documents.into_iter().enumerate() {
        add(document, place, &mut objects)?;
    }
    Ok(objects)
}

/// Bounds for the YAML of a file that its user named. A dump of a large cluster has more nodes than the bounds that are
/// meant for configuration allow; it never has more than bytes, unless aliases make more of it than it is.
fn as_large_as(text: &str) -> serde_saphyr::Options {
    let usual = serde_saphyr::Budget::default();
    let bytes = text.len();
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: usual.max_nodes.max(bytes),
            max_events: usual.max_events.max(bytes),
            max_documents: usual.max_documents.max(bytes),
            max_total_scalar_bytes: usual.max_total_scalar_bytes.max(bytes),
        },
    }
}

fn add(mut document: Value, place: usize, objects: &mut Vec<Value>) -> Result<(), FileError> {
    if document.is_null() {
        return Ok(());
    }
    let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if kind.is_empty() || version.is_empty() {
        return Err(FileError::NoObject(place + 1));
    }
    let Some(items) = document.get_mut("items").and_then(Value::as_array_mut) else {
        objects.push(document);
        return Ok(());
    };
    for mut item in std::mem::take(items) {
        // The items of a list of one kind do not repeat what they are.
        if item["kind"].is_null() {
            item["kind"] = kind.trim_end_matches("List").into();
            item["apiVersion"] = version.as_str().into();
        }
        add(item, place, objects)?;
    }
    Ok(())
}

impl Snapshot {
    /// A snapshot of these objects: as if the cluster had them and nothing else.
    ///
    /// # Errors
    /// When a configuration does not fit, which would be a mistake here.
    pub async fn of(
        objects: Vec<Value>,
        config: Config,
        clock: Arc<dyn Clock>,
        scope: Scope,
    ) -> Result<Self, ReadError> {
        let mut snapshot = Self::empty(nowhere(), config, clock, scope)?;
        let sources = snapshot.sources();
        for source in &sources {
            for object in objects.iter().filter(|object| belongs(source, object)) {
                if snapshot.scope.has(source, object) {
                    snapshot.take_up(source, object.clone());
                }
            }
        }
        snapshot.complete().await;
        Ok(snapshot)
    }
}

/// A client for commands that have no cluster: it reaches nothing.
fn nowhere() -> Client {
    let refuse = |_: http::Request<Body>| async {
        Err::<http::Response<Body>, BoxError>("there is no cluster: the objects come from files".into())
    };
    Client::new(tower::service_fn(refuse), "default")
}

/// Whether an object is one that a source would list.
pub(super) fn belongs(source: &Source, object: &Value) -> bool {
    let watched = &source.watched;
    let namespace = watched.namespace.as_deref();
    object["kind"] == *watched.resource.kind
        && object["apiVersion"] == *watched.resource.api_version
        && namespace.is_none_or(|namespace| meta(object, "namespace") == namespace)
        && watched.config.field_selector.as_deref().is_none_or(|selector| {
            // The only one that the operator uses.
            selector.strip_prefix("metadata.name=") == Some(meta(object, "name"))
        })
        && watched
            .config
            .label_selector
            .as_deref()
            .is_none_or(|selector| selects(selector, &object["metadata"]["labels"]))
}

/// Whether labels match a selector as the configuration writes it: requirements of equality or presence, all of which
/// must hold. One of another form matches nothing.
fn selects(selector: &str, labels: &Value) -> bool {
    #[derive(Deserialize, Default)]
    #[serde(transparent)]
    struct Labels(std::collections::BTreeMap<String, String>);
    let Labels(labels) = serde_json::from_value(labels.clone()).unwrap_or_default();
    selector.split(',').map(str::trim).all(|requirement| {
        let parts = |by: &str| {
            requirement
                .split_once(by)
                .map(|(key, value)| (key.trim(), value.trim()))
        };
        if let Some((key, value)) = parts("!=") {
            return labels.get(key).is_none_or(|is| is != value);
        }
        match parts("==").or_else(|| parts("=")) {
            Some((key, value)) => labels.get(key).is_some_and(|is| is == value),
            None => labels.contains_key(requirement),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_documents_are_taken_apart() {
        let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [namespace("a"), namespace("b")]});
        assert_eq!(objects(&list.to_string()).unwrap(), [namespace("a"), namespace("b")]);
        let typed = json!({"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": {"name": "a"}}]});
        assert_eq!(objects(&typed.to_string()).unwrap(), [namespace("a")]);
        let documents = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n";
        assert_eq!(objects(documents).unwrap(), [namespace("a"), namespace("b")]);
        assert!(objects("just text").unwrap_err().to_string().contains("no `kind`"));
        assert!(objects("a: [").is_err());
    }

    #[test]
    fn a_dump_of_two_thousand_namespaces_is_read_and_what_aliases_multiply_is_not() {
        let labels: Vec<String> = (0..65).map(|label| format!("l{label}: x")).collect();
        let namespace = |number: usize| {
            let labels = labels.join(", ");
            format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n{number}, labels: {{{labels}}}}}\n")
        };
        let dump: String = (0..2_000).map(namespace).collect();
        assert_eq!(objects(&dump).unwrap().len(), 2_000);
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{before}]\n");
        }
        assert!(matches!(objects(&bomb), Err(FileError::Malformed(_))));
    }

    #[test]
    fn a_selector_is_read_as_the_configuration_writes_it() {
        let labels = json!({"k8s-app": "kube-dns", "tier": "x"});
        for (selector, expected) in [
            ("k8s-app=kube-dns", true),
            ("k8s-app == kube-dns, tier", true),
            ("k8s-app=other", false),
            ("tier!=x", false),
            ("absent!=x", true),
            ("absent", false),
            ("k8s-app in (kube-dns)", false),
        ] {
            assert_eq!(selects(selector, &labels), expected, "{selector}");
        }
        assert!(!selects("a=b", &Value::Null));
    }
}
