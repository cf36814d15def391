//! Worlds for tests, and a cluster of sorts: what a plan does to a world.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::api::v1alpha1::FieldProblem;
use crate::controls::REGISTRY;
use crate::core::object::{Canonical, ChildId};
use crate::core::plan::{Finding, Plan, Step, plan};
use crate::core::validate::validate;

/// A baseline of this name, created this many seconds after the epoch, with this spec.
pub(crate) fn with_spec(name: &str, created: i64, spec: Value) -> Arc<Baseline> {
    Arc::new(Baseline {
        name: name.into(),
        uid: format!("uid-{name}"),
        created: Timestamp::from_second(created).unwrap(),
        generation: 1,
        since: Timestamp::UNIX_EPOCH,
        spec: serde_json::from_value(spec).unwrap(),
        frozen: None,
        replaced: None,
        leaving: false,
    })
}

/// A namespace `team-a` without labels.
pub(crate) fn namespace() -> NamespaceFacts {
    NamespaceFacts {
        name: "team-a".into(),
        uid: "uid-team-a".into(),
        created: None,
        labels: BTreeMap::new(),
        our_labels: BTreeSet::new(),
        claims: BTreeMap::new(),
        terminating: false,
    }
}

/// A bare namespace under these baselines, in a cluster of which everything is known.
pub(crate) fn world(baselines: Vec<Arc<Baseline>>) -> World {
    let now = Timestamp::from_second(1_000).unwrap();
    World::bare(namespace(), baselines, Arc::new(cluster()), now)
}

/// A cluster whose DNS and API server were found, and whose administrator lets deployments be handed out.
pub(crate) fn cluster() -> ClusterFacts {
    let peer = |selector: Value| serde_json::from_value(selector).unwrap();
    let port = |port: Value| serde_json::from_value(port).unwrap();
    ClusterFacts {
        dns: Some(Destination {
            peers: vec![peer(json!({
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }))],
            ports: vec![
                port(json!({"protocol": "UDP", "port": 53})),
                port(json!({"protocol": "TCP", "port": 53})),
            ],
        }),
        node_local_dns: BTreeSet::new(),
        api_server: Some(vec![Destination {
            peers: vec![peer(json!({"ipBlock": {"cidr": "192.0.2.10/32"}}))],
            ports: vec![port(json!({"protocol": "TCP", "port": 6443}))],
        }]),
        grantable: vec![grantable(&["apps"], &["deployments"], &[], &["*"])],
    }
}

/// A rule that an administrator lets be handed out.
pub(crate) fn grantable(groups: &[&str], resources: &[&str], names: &[&str], verbs: &[&str]) -> GrantableRule {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    GrantableRule {
        api_groups: owned(groups),
        resources: owned(resources),
        resource_names: owned(names),
        verbs: owned(verbs),
    }
}

/// A spec that enforces something of every control.
pub(crate) fn full_spec() -> Value {
    json!({
        "namespaceSelector": {},
        "mode": "Enforce",
        "networkIsolation": {
            "defaultDeny": ["Ingress", "Egress"],
            "allowSameNamespace": true,
            "allow": [
                {"name": "from-ingress", "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"role": "ingress"}}}]}]},
                {"name": "web", "podSelector": {"matchLabels": {"app": "web"}}, "egress": [{"ports": [{"port": 443}]}]},
            ],
        },
        "resourceQuotas": {"items": [
            {"name": "compute", "hard": {"requests.cpu": 10, "limits.memory": "40Gi", "pods": "50"}},
            {"name": "best-effort", "hard": {"pods": 5}, "scopes": ["BestEffort"]},
        ]},
        "limitRanges": {"items": [{"name": "defaults", "limits": [
            {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "0.1"}},
        ]}]},
        "podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "warn": {"level": "restricted"}},
        "access": {
            "roles": [{"name": "developer", "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "update"]}]}],
            "bindings": [
                {"name": "developers", "role": "developer", "subjects": [{"kind": "Group", "name": "team:{namespace}"}]},
                {"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "User", "name": "auditor"}]},
            ],
        },
    })
}

/// [`full_spec`] with some of it changed: `change` is merged into it, and a null takes a field out.
pub(crate) fn full_spec_but(change: Value) -> Value {
    let mut spec = full_spec();
    merge_patch(&mut spec, change);
    spec
}

fn merge_patch(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(&key);
        } else {
            merge_patch(&mut into[&key], value);
        }
    }
}

/// What is wrong with a spec, by all controls.
pub(crate) fn problems(spec: Value) -> Vec<FieldProblem> {
    validate(REGISTRY, &serde_json::from_value(spec).unwrap()).into_vec()
}

/// The paths of what is wrong with a spec.
pub(crate) fn problem_paths(spec: Value) -> Vec<String> {
    problems(spec).into_iter().map(|p| p.path).collect()
}

/// A number that was not handed out before.
pub(crate) fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Puts an object under a name, as a cluster would: with this UID, or a new one, and a new resourceVersion.
pub(crate) fn put(world: &mut World, id: &ChildId, mut object: Value, uid: Option<String>) {
    let uid = uid.unwrap_or_else(|| format!("uid-{}", serial()));
    let resource_version = serial().to_string();
    object["metadata"]["uid"] = uid.clone().into();
    object["metadata"]["resourceVersion"] = resource_version.clone().into();
    let live = Live {
        uid,
        resource_version,
        digest: Canonical::of(id.kind, &object).digest(),
        object: Some(Arc::new(object)),
        form: None,
        kept: None,
    };
    world.live.insert(id.clone(), live);
}

/// Changes a live object, as another client would.
pub(crate) fn meddle(world: &mut World, id: &ChildId, change: impl FnOnce(&mut Value)) {
    let live = world.live[id].clone();
    let mut object = (**live.object.as_ref().unwrap()).clone();
    change(&mut object);
    put(world, id, object, Some(live.uid));
}

/// Does to a world what a plan says, as the engine does to a cluster.
pub(crate) fn carry_out(world: &mut World, plan: &Plan) {
    let namespace = world.namespace.name.clone();
    for action in &plan.actions {
        match &action.step {
            Step::Create(child) => {
                assert!(!world.live.contains_key(&child.id), "{} is there already", child.id);
                put(world, &child.id, child.to_object(&namespace), None);
            }
            Step::Replace { child, live } => {
                let uid = world.live[&child.id].uid.clone();
                assert_eq!(live["metadata"]["uid"], uid, "replaces what is there");
                let replacement = child.to_replacement(&namespace, live);
                let canonical = |object| Canonical::of(child.id.kind, object).0;
                for fixed in child.id.kind.immutable {
                    assert_eq!(
                        canonical(&replacement).pointer(fixed),
                        canonical(live).pointer(fixed),
                        "{fixed} cannot be changed"
                    );
                }
                put(world, &child.id, replacement, Some(uid));
            }
            Step::Recreate { child, uid, .. } => {
                assert_eq!(&world.live[&child.id].uid, uid, "recreates what is there");
                put(world, &child.id, child.to_object(&namespace), None);
            }
            Step::Delete { id, uid, .. } => {
                assert_eq!(&world.live[id].uid, uid, "deletes what is there");
                world.live.remove(id);
            }
            Step::Label(labels) => {
                let facts = &mut world.namespace;
                facts
                    .labels
                    .retain(|key, _| labels.contains_key(key) || !facts.our_labels.contains(key));
                facts.labels.extend(labels.clone());
                facts.our_labels = labels.keys().cloned().collect();
            }
        }
    }
    remember(world);
}

/// Records in the world's report what a plan finds there.
pub(crate) fn remember(world: &mut World) {
    let Plan { inventory, labels, .. } = plan(REGISTRY, world);
    world.prior.inventory = inventory;
    world.prior.labels = labels;
}

/// A namespace in which this spec was carried out.
pub(crate) fn converged(spec: Value) -> World {
    let mut world = world(vec![with_spec("b", 1, spec)]);
    let plan = plan(REGISTRY, &world);
    carry_out(&mut world, &plan);
    world
}

/// The live object that is shown as this kind/name, the reserved prefix left out.
pub(crate) fn id(world: &World, shown: &str) -> ChildId {
    let (kind, name) = shown.split_once('/').unwrap();
    let shown = format!("{kind}/security-baseline-{name}");
    let known = world.live.keys().chain(world.prior.inventory.keys());
    known
        .into_iter()
        .find(|id| id.to_string() == shown)
        .unwrap_or_else(|| panic!("no {shown}"))
        .clone()
}

/// All findings of a plan.
pub(crate) fn findings(plan: &Plan) -> Vec<&Finding> {
    plan.sections.iter().flat_map(|s| &s.findings).collect()
}

/// What a plan does, as words: the step and the object.
pub(crate) fn steps(plan: &Plan) -> Vec<String> {
    let steps = plan.actions.iter().map(|action| {
        let verb = match action.step {
            Step::Create(_) => "create",
            Step::Replace { .. } => "replace",
            Step::Recreate { .. } => "recreate",
            Step::Delete { .. } => "delete",
            Step::Label(_) => "label",
        };
        format!("{verb} {}", action.object.replace("security-baseline-", ""))
    });
    steps.collect()
}
