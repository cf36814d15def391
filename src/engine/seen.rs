//! An object as a watch sees it: its metadata, and the rest as the text that it came in.
//!
//! A watch of NetworkPolicies sees everybody's, and a tenant may make one as large as a megabyte. Only what concerns us
//! is taken apart; a tree of JSON values takes ten times the room of its text.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ApiResource;
use kube::core::DynamicResourceScope;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An object of any kind that we watch.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Text")]
pub struct Seen {
    /// Who it is, and nothing else of its metadata.
    metadata: ObjectMeta,
    text: Text,
}

/// The parts of an object as they came. Each field beside the metadata is one that some of the kinds have.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text {
    metadata: Box<RawValue>,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
    rules: Option<Box<RawValue>>,
    role_ref: Option<Box<RawValue>>,
    subjects: Option<Box<RawValue>>,
    endpoints: Option<Box<RawValue>>,
    ports: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
    scope: Option<Box<RawValue>>,
    source: Option<Box<RawValue>>,
    configuration: Option<Box<RawValue>>,
    summary: Option<Box<RawValue>>,
    results: Option<Box<RawValue>>,
}

/// What tells one object from another, and one version of it from the next. To take its managedFields apart, most of it
/// in a cluster's steady state, would be most of the work.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl TryFrom<Text> for Seen {
    type Error = serde_json::Error;

    fn try_from(text: Text) -> Result<Self, Self::Error> {
        let Identity {
            name,
            namespace,
            uid,
            resource_version,
        } = serde_json::from_str(text.metadata.get())?;
        let metadata = ObjectMeta {
            name,
            namespace,
            uid,
            resource_version,
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, text })
    }
}

impl Seen {
    /// The whole object.
    pub fn into_value(self) -> Value {
        let text = self.text;
        let fields = [
            ("metadata", Some(text.metadata)),
            ("spec", text.spec),
            ("status", text.status),
            ("rules", text.rules),
            ("roleRef", text.role_ref),
            ("subjects", text.subjects),
            ("endpoints", text.endpoints),
            ("ports", text.ports),
            ("data", text.data),
            ("scope", text.scope),
            ("source", text.source),
            ("configuration", text.configuration),
            ("summary", text.summary),
            ("results", text.results),
        ];
        let mut object = Map::new();
        for (field, text) in fields {
            if let Some(text) = text {
                // It was JSON when it came.
                object.insert(field.to_owned(), serde_json::from_str(text.get()).unwrap_or_default());
            }
        }
        Value::Object(object)
    }
}

/// A kind that is named by an [`ApiResource`], as of kube's own `DynamicObject`.
impl kube::Resource for Seen {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_goes_in_and_comes_out_whole() {
        let object = json!({
            "metadata": {"name": "a", "namespace": "b", "uid": "c", "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u"}],
            "spec": {"ingress": [{}], "unknown": {"deep": [1, null, "x"]}},
        });
        let seen: Seen = serde_json::from_str(&object.to_string()).unwrap();
        assert_eq!(seen.into_value(), object);
    }
}
