//! Clients that change what the operator holds.

use kube::Client;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::oracles::owned;
use crate::stage::{SOON, Set, api};
use crate::support::watch_until;

/// The field manager that the operator states. Nothing keeps another client from stating it too.
pub const OUR_MANAGER: &str = "security-baseline-operator";

/// How a client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a merge patch, as `kubectl edit` does.
    Update,
    /// By server-side apply, taking over what it states.
    Apply,
}

/// A client that states a field manager.
pub struct Intruder {
    pub client: Client,
    pub manager: &'static str,
    pub way: Way,
}

impl Intruder {
    /// Changes an object, which is the answer.
    pub async fn change(&self, kind: &str, namespace: Option<&str>, name: &str, change: &Value) -> kube::Result<Value> {
        let api = api(&self.client, kind, namespace);
        let changed = match self.way {
            Way::Update => {
                let params = PatchParams {
                    field_manager: Some(self.manager.to_owned()),
                    ..PatchParams::default()
                };
                api.patch(name, &params, &Patch::Merge(change)).await?
            }
            Way::Apply => {
                let mut body = change.clone();
                body["apiVersion"] = json!(api_version(kind));
                body["kind"] = json!(kind);
                body["metadata"]["name"] = json!(name);
                let params = PatchParams::apply(self.manager).force();
                api.patch(name, &params, &Patch::Apply(&body)).await?
            }
        };
        Ok(serde_json::to_value(changed).unwrap())
    }
}

fn api_version(kind: &str) -> &'static str {
    match kind {
        "NetworkPolicy" => "networking.k8s.io/v1",
        "Role" | "RoleBinding" => "rbac.authorization.k8s.io/v1",
        _ => "v1",
    }
}

/// Creates an object from its JSON.
pub async fn create(client: &Client, kind: &str, namespace: &str, object: &Value) -> kube::Result<Value> {
    create_as(client, None, kind, namespace, object).await
}

/// Creates an object from its JSON, stating a field manager.
pub async fn create_as(
    client: &Client,
    manager: Option<&str>,
    kind: &str,
    namespace: &str,
    object: &Value,
) -> kube::Result<Value> {
    let mut object = object.clone();
    object["apiVersion"] = json!(api_version(kind));
    object["kind"] = json!(kind);
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let params = PostParams {
        field_manager: manager.map(str::to_owned),
        ..PostParams::default()
    };
    let created = api(client, kind, Some(namespace)).create(&params, &object).await?;
    Ok(serde_json::to_value(created).unwrap())
}

/// An object as it is now.
pub async fn live(set: &Set, kind: &str, namespace: Option<&str>, name: &str) -> Value {
    let object = api(&set.admin, kind, namespace).get(name).await.unwrap();
    serde_json::to_value(object).unwrap()
}

/// The version of an object, which counts up over the whole cluster.
pub fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// Waits until an object that was changed (or deleted) is again what it was, by a later write than `changed`.
pub async fn until_repaired(
    set: &Set,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    before: &Value,
    changed: u64,
) -> Value {
    let same = |object: &Value| {
        let marks = ["labels", "annotations", "ownerReferences"];
        version(object) > changed
            && owned(object) == owned(before)
            && marks
                .iter()
                .all(|field| object["metadata"][*field] == before["metadata"][*field])
    };
    let found = watch_until(&api(&set.admin, kind, namespace), name, "as it was", SOON, |object| {
        same(&serde_json::to_value(object).unwrap())
    })
    .await
    .unwrap();
    serde_json::to_value(found).unwrap()
}
