//! Carrying out a plan: the one place that writes to namespaces and to the objects in them.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::GroupVersionKind;
use kube::core::request::Request as Resource;
use serde_json::{Value, json};

use super::Context;
use super::errors::{Failed, in_full, is_unacceptable};
use super::facts::meta;
use super::index::{Last, Sent};
use super::queue::{Key, Lane};
use super::work::in_time;
use crate::core::object::{Canonical, Child, ChildId, ChildKind, FIELD_MANAGER, RESERVED_PREFIX};
use crate::core::plan::{Action, Step};
use crate::core::settle::Failure;
use crate::core::text::bounded;
use crate::core::world::World;

/// How often in a row a namespace's repairs may come too late. From then on they replace whatever version is there: somebody
/// who writes all the time would else keep what it wrote for as long as it likes.
const MOST_CONFLICTS: u32 = 5;

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is as asked for now.
    Done,
    /// The API server had nothing to change: a difference was seen where there is none, or admission took it back.
    Nothing,
    /// Admission made something else of it.
    Rewritten,
}

/// Carries out one action.
///
/// # Errors
/// What the failure means for the work that is left.
pub async fn apply(context: &Context, world: &World, action: &Action) -> Result<Effect, Failed> {
    let namespace = &world.namespace.name;
    context.index.lock().sends(namespace, Sent::of(&action.step));
    let removed = |done: Result<(), Failed>| done.map(|()| Effect::Done);
    let (operation, kind, done) = match &action.step {
        Step::Create(child) => ("create", child.id.kind.kind, create(context, world, child).await),
        Step::Replace { child, live } => (
            "replace",
            child.id.kind.kind,
            replace(context, world, child, live).await,
        ),
        Step::Recreate {
            child,
            uid,
            resource_version,
            ..
        } => (
            "recreate",
            child.id.kind.kind,
            recreate(context, world, child, uid, resource_version).await,
        ),
        Step::Delete {
            id,
            uid,
            resource_version,
        } => (
            "delete",
            id.kind.kind,
            removed(delete(context, world, id, uid, resource_version).await),
        ),
        Step::Label(labels) => ("label", "Namespace", label(context, world, labels).await),
    };
    context.index.lock().sends(namespace, None);
    let outcome = match &done {
        Ok(Effect::Done) => "done",
        Ok(Effect::Nothing) => "nothing",
        Ok(Effect::Rewritten) => "rewritten",
        Err(Failed::Conflict) => "conflict",
        Err(Failed::Gone) => "gone",
        Err(Failed::Blocked(_)) => "refused",
        Err(Failed::Webhook(_) | Failed::Transient(..)) => "failed",
    };
    context
        .metrics
        .writes
        .with_label_values(&[operation, kind, outcome])
        .inc();
    done
}

/// The API of a kind in a namespace.
pub fn api(context: &Context, namespace: &str, kind: &ChildKind) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(kind.group, kind.version, kind.kind);
    Api::namespaced_with(
        context.client.clone(),
        namespace,
        &ApiResource::from_gvk_with_plural(&gvk, kind.plural),
    )
}

fn params(dry_run: bool) -> PostParams {
    PostParams {
        dry_run,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}

/// Creates an object as it is, and answers it as it was stored.
async fn post(
    context: &Context,
    namespace: &str,
    kind: &ChildKind,
    object: &Value,
    dry_run: bool,
) -> kube::Result<Value> {
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let resource = Resource::new(api(context, namespace, kind).resource_url());
    let request = resource
        .create(&params(dry_run), body)
        .map_err(kube::Error::BuildRequest)?;
    in_time(context.client.request(request)).await
}

/// Replaces an object, and answers it as it was stored.
async fn put(context: &Context, namespace: &str, id: &ChildId, object: &Value) -> kube::Result<Value> {
    let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
    let resource = Resource::new(api(context, namespace, id.kind).resource_url());
    let request = resource.replace(&id.name, &params(false), body);
    in_time(context.client.request(request.map_err(kube::Error::BuildRequest)?)).await
}

async fn create(context: &Context, world: &World, child: &Child) -> Result<Effect, Failed> {
    let namespace = &world.namespace.name;
    let written = post(context, namespace, child.id.kind, &child.to_object(namespace), false).await?;
    Ok(take_up(context, world, child, written, false))
}

async fn replace(context: &Context, world: &World, child: &Child, live: &Value) -> Result<Effect, Failed> {
    let namespace = &world.namespace.name;
    let conflicts = context.index.lock().failed_in_a_row(namespace, Duration::ZERO);
    // Of the version that was judged, or, where that was too late again and again, of whichever is there.
    let versioned = |mut replacement: Value| {
        if conflicts >= MOST_CONFLICTS
            && let Some(metadata) = replacement["metadata"].as_object_mut()
        {
            metadata.remove("resourceVersion");
        }
        replacement
    };
    let replacement = versioned(child.to_replacement(namespace, live));
    let written = match put(context, namespace, &child.id, &replacement).await {
        Err(error) if is_unacceptable(&error) => {
            let bare = versioned(child.to_bare_replacement(namespace, live));
            let written = put(context, namespace, &child.id, &bare).await?;
            tracing::warn!(
                namespace,
                object = %child.id,
                error = in_full(&error),
                "the API server took the repair only without what other clients had put on the object"
            );
            written
        }
        written => written?,
    };
    let unchanged = meta(&written, "resourceVersion") == meta(live, "resourceVersion");
    if unchanged {
        false_alarm(context, namespace, Some(&child.id));
    }
    Ok(take_up(context, world, child, written, unchanged))
}

/// Counts a repair that changed nothing. It is logged once for each object, or it would be for ever.
fn false_alarm(context: &Context, namespace: &str, child: Option<&ChildId>) {
    let kind = child.map_or("Namespace", |id| id.kind.kind);
    context.metrics.false_alarms.with_label_values(&[kind]).inc();
    if context.index.lock().false_alarm(namespace, child) {
        let object = child.map_or_else(|| format!("Namespace/{namespace}"), ToString::to_string);
        tracing::warn!(
            namespace,
            object,
            "a repair changed nothing: a difference was seen where there is none, or admission took the repair back"
        );
    }
}

/// Deletes and creates what cannot be changed. The new object is tried out first, under another name: what would be
/// refused (a grant that the operator may not hand out) must not cost the old one.
async fn recreate(context: &Context, world: &World, child: &Child, uid: &str, version: &str) -> Result<Effect, Failed> {
    let namespace = &world.namespace.name;
    let mut trial = child.to_object(namespace);
    if let Some(metadata) = trial["metadata"].as_object_mut() {
        metadata.remove("name");
        metadata.insert("generateName".to_owned(), format!("{RESERVED_PREFIX}trial-").into());
    }
    post(context, namespace, child.id.kind, &trial, true).await?;
    remove(context, namespace, &child.id, uid, version).await?;
    gone(context, namespace, &child.id, uid);
    create(context, world, child).await
}

async fn delete(context: &Context, world: &World, id: &ChildId, uid: &str, version: &str) -> Result<(), Failed> {
    let namespace = &world.namespace.name;
    match remove(context, namespace, id, uid, version).await {
        // Gone already is as good.
        Err(Failed::Gone) => {}
        other => other?,
    }
    gone(context, namespace, id, uid);
    Ok(())
}

/// Deletes an object, and only the very one that was judged, as it was then. One that another client's finalizer keeps
/// is not gone: nothing can be created in its place. But what it grants is taken away at once, or whoever has it could
/// keep it with a finalizer.
async fn remove(context: &Context, namespace: &str, id: &ChildId, uid: &str, version: &str) -> Result<(), Failed> {
    let api = api(context, namespace, id.kind);
    let preconditions = Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: Some(version.to_owned()),
    };
    let params = DeleteParams {
        preconditions: Some(preconditions),
        ..DeleteParams::background()
    };
    context.index.lock().child_leaves(namespace, id, uid);
    let deleted = in_time(api.delete(&id.name, &params)).await.map_err(Failed::from);
    if matches!(deleted, Err(Failed::Conflict | Failed::Blocked(_) | Failed::Webhook(_))) {
        context.index.lock().child_stays(namespace, id);
    }
    let Some(mut left) = deleted?.left() else {
        return Ok(());
    };
    let finalizers = left.metadata.finalizers.clone().unwrap_or_default();
    if finalizers.is_empty() {
        return Ok(());
    }
    let granting = |field: &&&str| left.data[**field].as_array().is_some_and(|list| !list.is_empty());
    let granting: Vec<&str> = id.kind.grants.iter().filter(granting).copied().collect();
    if !granting.is_empty() {
        for field in granting {
            left.data[field] = json!([]);
        }
        in_time(api.replace(&id.name, &self::params(false), &left)).await?;
    }
    Err(Failed::Blocked(Failure {
        reason: "HeldByFinalizer",
        message: bounded(
            &format!(
                "it is being deleted, and another client's finalizer keeps it: {}; remove the finalizer",
                finalizers.join(", ")
            ),
            1024,
        ),
    }))
}

/// Applies exactly these labels. The UID makes it fail rather than reach another namespace of the same name.
async fn label(context: &Context, world: &World, labels: &BTreeMap<String, String>) -> Result<Effect, Failed> {
    let name = &world.namespace.name;
    let before = context.index.lock().version_of(&world.namespace);
    let body = label_body(world, labels);
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Namespace"), "namespaces");
    let api: Api<DynamicObject> = Api::all_with(context.client.clone(), &resource);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let written = in_time(api.patch(name, &params, &Patch::Apply(&body))).await?;
    let written = serde_json::to_value(&written).map_err(kube::Error::SerdeError)?;
    let version = meta(&written, "resourceVersion");
    let as_asked = |(key, value): (&String, &String)| written["metadata"]["labels"][key] == **value;
    let effect = if before.is_some_and(|before| version == before) {
        false_alarm(context, name, None);
        Effect::Nothing
    } else if labels.iter().all(as_asked) {
        Effect::Done
    } else {
        Effect::Rewritten
    };
    let mut index = context.index.lock();
    let holding = index.counting(name);
    let news = index.namespace_seen(&written);
    let look = news || index.counting(name) != holding;
    index.answered(name, None, version, effect, context.clock.now());
    drop(index);
    if look {
        // Somebody changed it meanwhile, or other baselines select it by what was written.
        context.queue.push(Key::Namespace(name.as_str().into()), Lane::Repair);
    }
    Ok(effect)
}

/// What is applied to label a namespace with exactly these.
pub fn label_body(world: &World, labels: &BTreeMap<String, String>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": world.namespace.name, "uid": world.namespace.uid, "labels": labels},
    })
}

/// Takes up that we deleted an object.
fn gone(context: &Context, namespace: &str, id: &ChildId, uid: &str) {
    let last = Last {
        uid: Some(uid),
        version: None,
    };
    context.index.lock().child_gone(id.kind, namespace, &id.name, last);
}

/// Takes up what the API server answered to a write of a child: its echo is then nothing new. Answers whether it is as
/// it was sent.
fn take_up(context: &Context, world: &World, child: &Child, written: Value, unchanged: bool) -> Effect {
    let kind = child.id.kind;
    let digest = Canonical::of(kind, &written).digest();
    let effect = if unchanged {
        Effect::Nothing
    } else if digest == child.digest() {
        Effect::Done
    } else {
        Effect::Rewritten
    };
    let (namespace, version) = (
        meta(&written, "namespace").to_owned(),
        meta(&written, "resourceVersion").to_owned(),
    );
    let mut index = context.index.lock();
    if index.is_another(&world.namespace) {
        // The namespace was deleted and made anew meanwhile: what was written went with the old one.
        return effect;
    }
    index.child_digested(kind, written, digest);
    index.answered(&namespace, Some(&child.id), &version, effect, context.clock.now());
    effect
}
