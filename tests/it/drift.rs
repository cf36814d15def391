//! What departs from the baseline is put back at once, and told.

mod audit;
mod down;
mod finalizers;
mod leave;
mod ledger;
mod padding;
mod reserved;
mod unchanged;
mod witness;

use serde_json::{Value, json};

use crate::oracles::{ends_well, holding, requests, safe};
use crate::stage::{Set, api, everything, shared};
use crate::support::{ControlPlane, Stage};
use crate::tamper::{Intruder, OUR_MANAGER, Way, create, live, until_repaired, version};

/// A namespace that a baseline of everything holds, at rest.
pub struct Held {
    pub plane: &'static ControlPlane,
    pub stage: &'static Stage,
    pub set: Set,
    pub namespace: String,
}

impl Held {
    pub async fn new(prefix: &str) -> Self {
        let (plane, stage) = shared().await;
        let (set, mut namespaces) = holding(plane, prefix, &everything(), 1).await;
        Self {
            plane,
            stage,
            set,
            namespace: namespaces.remove(0),
        }
    }

    /// Waits until the namespace is as the baseline says, and sees that it stays so.
    async fn ends_well(&self) {
        ends_well(
            self.plane,
            &self.set,
            &everything(),
            std::slice::from_ref(&self.namespace),
        )
        .await;
    }

    fn admin(&self, manager: &'static str, way: Way) -> Intruder {
        Intruder {
            client: self.set.admin.clone(),
            manager,
            way,
        }
    }

    /// Where an object of a drift is, and its name: a Namespace is nowhere.
    fn place<'a>(&'a self, drift: &Drift) -> (Option<&'a str>, &'a str) {
        match drift.kind {
            "Namespace" => (None, &self.namespace),
            _ => (Some(&self.namespace), drift.name),
        }
    }

    /// Makes one change, and waits until it is undone.
    async fn undone(&self, intruder: &Intruder, drift: &Drift) {
        let (kind, (namespace, name)) = (drift.kind, self.place(drift));
        let before = live(&self.set, kind, namespace, name).await;
        let change = drift.change(intruder.way);
        let changed = intruder.change(kind, namespace, name, &change).await.unwrap();
        assert_ne!(version(&before), version(&changed), "{} changes nothing", drift.what);
        assert!((drift.weaker)(&changed), "{}: {changed}", drift.what);
        until_repaired(&self.set, kind, namespace, name, &before, version(&changed)).await;
    }
}

/// A change that weakens a namespace.
pub struct Drift {
    what: &'static str,
    kind: &'static str,
    name: &'static str,
    merge: Value,
    /// The same, where server-side apply says it in another way.
    apply: Option<Value>,
    weaker: fn(&Value) -> bool,
}

impl Drift {
    fn change(&self, way: Way) -> Value {
        match (way, &self.apply) {
            (Way::Apply, Some(apply)) => apply.clone(),
            _ => self.merge.clone(),
        }
    }
}

const DENY: &str = "security-baseline-default-deny-ingress";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// The changes that a client makes to what is there.
fn drifts() -> Vec<Drift> {
    let open = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}});
    vec![
        Drift {
            what: "an allow-all rule in the default deny",
            kind: "NetworkPolicy",
            name: DENY,
            merge: open.clone(),
            apply: None,
            weaker: |o| o["spec"]["ingress"] == json!([{}]),
        },
        Drift {
            what: "a raised quota",
            kind: "ResourceQuota",
            name: "security-baseline-compute",
            merge: json!({"spec": {"hard": {"pods": "5000"}}}),
            apply: None,
            weaker: |o| o["spec"]["hard"]["pods"] == "5k",
        },
        Drift {
            what: "a widened role",
            kind: "Role",
            name: "security-baseline-developer",
            merge: json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}]}),
            apply: None,
            weaker: |o| o["rules"][0]["verbs"] == json!(["delete"]),
        },
        Drift {
            what: "a stripped Pod Security label",
            kind: "Namespace",
            name: "",
            merge: json!({"metadata": {"labels": {ENFORCE: null}}}),
            // An apply that states the operator's manager also strips all labels of the operator that it leaves out.
            apply: Some(json!({"metadata": {"labels": {ENFORCE: "privileged"}}})),
            weaker: |o| {
                o["metadata"]["labels"]
                    .get(ENFORCE)
                    .is_none_or(|level| level == "privileged")
            },
        },
    ]
}

#[tokio::test]
async fn each_weakening_is_undone_whoever_claims_it_and_however_it_is_written() {
    let held = Held::new("weaken").await;
    let mark = held.plane.audit().mark().unwrap();
    // A part of the control plane that writes like this does not get away with it either.
    const CONTROLLER: &str = "kube-controller-manager";
    for manager in ["kubectl-edit", OUR_MANAGER, CONTROLLER] {
        for way in [Way::Update, Way::Apply] {
            for drift in drifts() {
                held.undone(&held.admin(manager, way), &drift).await;
            }
        }
    }
    let told = |report: &Value, object: &str| {
        let mut records = report["status"]["drift"]["records"].as_array().unwrap().iter();
        records.any(|r| r["object"] == object && r["claimedBy"] == CONTROLLER)
    };
    let objects: Vec<String> = drifts()
        .iter()
        .map(|d| format!("{}/{}", d.kind, held.place(d).1))
        .collect();
    held.set
        .report_until(
            &held.namespace,
            "tells each with that name to it, and nothing is open",
            |r| r["status"]["drift"].get("open").is_none() && objects.iter().all(|object| told(r, object)),
        )
        .await;
    held.ends_well().await;
    // Seen by watches: nothing is listed, and no object is read to be compared. The ledger is, to be continued, and so
    // is what somebody else wrote meanwhile (the quota controller writes a status after each change of a quota).
    let requests = requests(held.plane, &held.set, mark);
    let reads = requests
        .iter()
        .filter(|r| r.verb == "get" && r.resource != "baselinereports");
    let conflicts = requests.iter().filter(|r| r.code == 409);
    assert!(reads.count() <= conflicts.count(), "{requests:?}");
    let lists = held
        .plane
        .audit()
        .since(mark)
        .unwrap()
        .into_iter()
        // Other tests' namespaces are looked at before they are enforced.
        .filter(|r| r.verb == "list" && r.resource != "pods")
        .count();
    assert_eq!(lists, 0);
    safe(held.plane, mark);
}

#[tokio::test]
async fn each_weakening_that_a_tenant_may_make_is_undone() {
    let held = Held::new("tenant").await;
    let tenant = held.plane.tenant(&held.namespace).await.unwrap();
    let intruder = Intruder {
        client: tenant.client,
        manager: "kubectl-patch",
        way: Way::Update,
    };
    // A ClusterRole `admin` may not write quotas.
    for drift in drifts().iter().filter(|d| d.kind != "ResourceQuota") {
        held.undone(&intruder, drift).await;
    }
    held.ends_well().await;
}

#[tokio::test]
async fn a_deleted_child_comes_back_and_one_recreated_weaker_is_put_right() {
    let held = Held::new("delete").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let tenant = held.plane.tenant(namespace).await.unwrap();
    let policies = api(&tenant.client, "NetworkPolicy", Some(namespace));
    for weaker in [false, true] {
        let before = live(set, "NetworkPolicy", Some(namespace), DENY).await;
        policies.delete(DENY, &Default::default()).await.unwrap();
        if weaker {
            let open = json!({"metadata": {"name": DENY}, "spec": {"podSelector": {}, "ingress": [{}]}});
            match create(&tenant.client, "NetworkPolicy", namespace, &open).await {
                Ok(_) => {}
                // The operator was faster.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => panic!("{error}"),
            }
        }
        let after = until_repaired(set, "NetworkPolicy", Some(namespace), DENY, &before, version(&before)).await;
        assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
        held.ends_well().await;
    }
    // And every other child, all at once, by an admin.
    for kind in crate::oracles::CHILDREN {
        let all = api(&set.admin, kind, Some(namespace));
        for object in all.list(&Default::default()).await.unwrap().items {
            let name = object.metadata.name.unwrap();
            if name.starts_with("security-baseline-") {
                all.delete(&name, &Default::default()).await.unwrap();
            }
        }
    }
    let recreated = |uids: &Value| uids.as_array().unwrap().iter().all(|e| !e["uid"].is_null());
    set.report_until(namespace, "all eight deletions counted", |r| {
        r["status"]["drift"]["repaired"].as_i64() >= Some(8) && recreated(&r["status"]["inventory"])
    })
    .await;
    held.ends_well().await;
}

#[tokio::test]
async fn an_owner_and_a_changed_label_of_ours_on_a_child_are_undone() {
    let held = Held::new("marks").await;
    let (set, namespace) = (&held.set, held.namespace.as_str());
    let owner = create(
        &set.admin,
        "ConfigMap",
        namespace,
        &json!({"metadata": {"name": "owner"}}),
    )
    .await
    .unwrap();
    let uid = &owner["metadata"]["uid"];
    let changes = [
        json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]}}),
        json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "helm"}}}),
        json!({"metadata": {"labels": {"app.kubernetes.io/component": null}}}),
        json!({"metadata": {"annotations": {"argocd.argoproj.io/ignore-resource-updates": null}}}),
    ];
    let children = crate::oracles::children(&set.admin, std::slice::from_ref(&held.namespace))
        .await
        .unwrap();
    assert_eq!(children.len(), 7);
    for (_, kind, name) in children.keys() {
        for change in &changes {
            let before = live(set, kind, Some(namespace), name).await;
            let changed = held
                .admin("kubectl-edit", Way::Update)
                .change(kind, Some(namespace), name, change)
                .await
                .unwrap();
            until_repaired(set, kind, Some(namespace), name, &before, version(&changed)).await;
        }
    }
    held.ends_well().await;
}
