//! Requests of the command line that are no snapshot: a few reads, and the few writes that a person asks for.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::work::in_time;
use crate::api::v1alpha1::SecurityBaseline;
use crate::core::object::FIELD_MANAGER;

/// The field manager of what the command line writes. It must not begin with `kubectl`: Flux takes such managers off.
pub const PLUGIN_MANAGER: &str = "security-baseline-plugin";

/// How many reviews are asked for at a time.
const AT_A_TIME: usize = 8;

/// An API of a kind by its names; in a namespace, or of the cluster.
fn api(client: &Client, group: &str, kind: &str, plural: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// What a look at something that may not be there, or not be seen, finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen<T> {
    /// This.
    There(T),
    /// Nothing.
    Absent,
    /// It may not be seen, and this is what the API server said.
    Hidden(String),
}

fn seen<T>(answer: kube::Result<T>) -> kube::Result<Seen<T>> {
    match answer {
        Ok(found) => Ok(Seen::There(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Seen::Absent),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Seen::Hidden(status.message.clone())),
        Err(error) => Err(error),
    }
}

/// The API server's version, as major and minor.
///
/// # Errors
/// That of the request.
pub async fn version(client: &Client) -> kube::Result<(u32, u32, String)> {
    let info = in_time(client.apiserver_version()).await?;
    let number = |text: &str| text.trim_end_matches('+').parse().unwrap_or_default();
    Ok((number(&info.major), number(&info.minor), info.git_version))
}

/// An object, if it is there.
///
/// # Errors
/// That of the request.
pub async fn object(
    client: &Client,
    (group, kind, plural): (&str, &str, &str),
    namespace: Option<&str>,
    name: &str,
) -> kube::Result<Seen<Value>> {
    let found = seen(in_time(api(client, group, kind, plural, namespace).get(name)).await)?;
    Ok(match found {
        Seen::There(object) => Seen::There(serde_json::to_value(object).unwrap_or_default()),
        Seen::Absent => Seen::Absent,
        Seen::Hidden(message) => Seen::Hidden(message),
    })
}

/// The names of all objects of a kind, each with its namespace.
///
/// # Errors
/// That of the request.
pub async fn names(
    client: &Client,
    (group, kind, plural): (&str, &str, &str),
) -> kube::Result<Seen<Vec<(String, String)>>> {
    let list = api(client, group, kind, plural, None);
    let found = seen(in_time(list.list_metadata(&ListParams::default())).await)?;
    Ok(match found {
        Seen::There(list) => Seen::There(
            list.items
                .into_iter()
                .map(|object| {
                    let metadata = object.metadata;
                    (
                        metadata.namespace.unwrap_or_default(),
                        metadata.name.unwrap_or_default(),
                    )
                })
                .collect(),
        ),
        Seen::Absent => Seen::Absent,
        Seen::Hidden(message) => Seen::Hidden(message),
    })
}

/// A right: a verb on a resource, perhaps of one name or in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The verb.
    pub verb: String,
    /// The API group.
    pub group: String,
    /// The resource, perhaps with a subresource.
    pub resource: String,
    /// The object's name; empty for all.
    pub name: String,
    /// The namespace; empty for all.
    pub namespace: String,
}

impl Right {
    fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (self.resource.as_str(), None),
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ResourceAttributes {
            verb: some(&self.verb),
            group: some(&self.group),
            resource: some(resource),
            subresource,
            name: some(&self.name),
            namespace: some(&self.namespace),
            ..ResourceAttributes::default()
        }
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(f, " in {}", self.namespace)?;
        }
        Ok(())
    }
}

/// Which of these rights a ServiceAccount lacks.
///
/// # Errors
/// That of a request.
pub async fn lacking(
    client: &Client,
    (namespace, account): (&str, &str),
    rights: Vec<Right>,
) -> kube::Result<Seen<Vec<Right>>> {
    let groups = [
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ];
    let review = |right: &Right| SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{namespace}:{account}")),
            groups: Some(groups.to_vec()),
            resource_attributes: Some(right.attributes()),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    denied(client, rights, review, |answer| answer.status).await
}

/// Which of these rights whoever asks lacks.
///
/// # Errors
/// That of a request.
pub async fn lacking_myself(client: &Client, rights: Vec<Right>) -> kube::Result<Seen<Vec<Right>>> {
    let review = |right: &Right| SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.attributes()),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    denied(client, rights, review, |answer| answer.status).await
}

/// Which of these rights the answers to such reviews deny.
async fn denied<K>(
    client: &Client,
    rights: Vec<Right>,
    review: impl Fn(&Right) -> K,
    status: impl Fn(K) -> Option<SubjectAccessReviewStatus>,
) -> kube::Result<Seen<Vec<Right>>>
where
    K: Resource<Scope = ClusterResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let reviews: Api<K> = Api::all(client.clone());
    let ask = |right: Right| {
        let (reviews, status, review) = (&reviews, &status, review(&right));
        async move {
            let answer = in_time(reviews.create(&PostParams::default(), &review)).await?;
            let allowed = status(answer).is_some_and(|status| status.allowed);
            kube::Result::Ok((!allowed).then_some(right))
        }
    };
    let answers: kube::Result<Vec<_>> = futures::stream::iter(rights.into_iter().map(ask))
        .buffered(AT_A_TIME)
        .try_collect()
        .await;
    seen(answers.map(|all| all.into_iter().flatten().collect()))
}

/// A baseline.
///
/// # Errors
/// That of the request.
pub async fn baseline(client: &Client, name: &str) -> kube::Result<SecurityBaseline> {
    let api: Api<SecurityBaseline> = Api::all(client.clone());
    in_time(api.get(name)).await
}

/// Merges a patch into a baseline as it was read: if somebody changed it since, the API server refuses. Answers what it is
/// then.
///
/// # Errors
/// That of the request.
pub async fn merge_into(client: &Client, read: &SecurityBaseline, mut patch: Value) -> kube::Result<SecurityBaseline> {
    let api: Api<SecurityBaseline> = Api::all(client.clone());
    let name = read.metadata.name.as_deref().unwrap_or_default();
    patch["metadata"]["resourceVersion"] = json!(read.metadata.resource_version);
    let params = PatchParams {
        field_manager: Some(PLUGIN_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    in_time(api.patch(name, &params, &Patch::Merge(patch))).await
}

/// Which events are of the operator: the API server chooses them by this.
fn of_the_operator() -> String {
    format!("reportingComponent={FIELD_MANAGER}")
}

/// Events as kubectl reads them, in the core group. The operator writes them in `events.k8s.io`, which whoever may view,
/// edit or administer a namespace may not read in every version (in 1.37 they may, in 1.34 not); the events are the same.
fn events_api(client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
    api(client, "", "Event", "events", namespace)
}

/// The operator's events so far.
///
/// # Errors
/// That of the request.
pub async fn events(client: &Client, namespace: Option<&str>) -> kube::Result<Vec<Value>> {
    let api = events_api(client, namespace);
    let params = ListParams::default().fields(&of_the_operator());
    let list = in_time(api.list(&params)).await?;
    Ok(list
        .items
        .iter()
        .filter_map(|event| serde_json::to_value(event).ok())
        .collect())
}

/// Hands on the operator's events: those of before together, then each as it comes, until there is an error or `each` says
/// so.
///
/// # Errors
/// That of the first list, or what a watch ends with that cannot be begun anew.
pub async fn watch_events(
    client: &Client,
    namespace: Option<&str>,
    mut each: impl FnMut(Vec<Value>) -> bool,
) -> Result<(), watcher::Error> {
    let api = events_api(client, namespace);
    let config = watcher::Config::default().fields(&of_the_operator());
    let mut stream = Box::pin(watcher(api, config).default_backoff());
    let value = |event: DynamicObject| serde_json::to_value(event).unwrap_or_default();
    let identity = |event: &DynamicObject| {
        let metadata = &event.metadata;
        (metadata.uid.clone(), metadata.resource_version.clone())
    };
    // The versions that were handed on, by UID: a watch that begins anew lists all of them once more.
    let mut known = BTreeMap::new();
    let mut listed = Vec::new();
    loop {
        let news = match stream.try_next().await {
            Ok(None) => return Ok(()),
            Err(error) if is_final(&error) => return Err(error),
            // The watch begins anew by itself.
            Err(_) => continue,
            Ok(Some(watcher::Event::Init)) => {
                listed.clear();
                continue;
            }
            Ok(Some(watcher::Event::InitApply(event))) => {
                listed.push(event);
                continue;
            }
            Ok(Some(watcher::Event::InitDone)) => {
                let before = std::mem::replace(&mut known, listed.iter().map(identity).collect());
                let news = std::mem::take(&mut listed).into_iter();
                let is_news = |event: &DynamicObject| {
                    let (uid, version) = identity(event);
                    before.get(&uid) != Some(&version)
                };
                news.filter(is_news).map(value).collect()
            }
            Ok(Some(watcher::Event::Apply(event))) => {
                known.extend([identity(&event)]);
                vec![value(event)]
            }
            Ok(Some(watcher::Event::Delete(event))) => {
                known.remove(&event.metadata.uid);
                continue;
            }
        };
        if !each(news) {
            return Ok(());
        }
    }
}

/// Whether a watch of events that ends like this is not begun anew: what cannot be listed, or may not be watched.
fn is_final(error: &watcher::Error) -> bool {
    let refused = |code: u16| code == 401 || code == 403;
    match error {
        watcher::Error::InitialListFailed(_) => true,
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) | watcher::Error::WatchError(status) => {
            refused(status.code)
        }
        _ => false,
    }
}
