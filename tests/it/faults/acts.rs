//! What is enforced in these tests, one spec after another, and what somebody does to it.

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::oracles::{converged, end, settled};
use crate::stage::{Set, create, delete, everything, grant, merge, shared};
use crate::support::recorder::{Recorder, Tampering};

// What `everything` asks for.
pub const INGRESS: &str = "security-baseline-default-deny-ingress";
pub const EGRESS: &str = "security-baseline-default-deny-egress";
pub const QUOTA: &str = "security-baseline-compute";
pub const LIMITS: &str = "security-baseline-defaults";
pub const ROLE: &str = "security-baseline-developer";
pub const VIEWERS: &str = "security-baseline-viewers";
pub const BINDING: &str = "security-baseline-developers";

/// Other contents for every object and label that there is.
pub fn replaced() -> Value {
    let mut spec = everything();
    spec["networkIsolation"]["allowSameNamespace"] = json!(false);
    spec["networkIsolation"]["allowKubernetesAPI"] = json!(false);
    spec["networkIsolation"]["allow"][0]["name"] = json!("from-gateway");
    spec["networkIsolation"]["allow"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "to-mirror", "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]}));
    spec["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(60);
    spec["limitRanges"]["items"][0]["limits"][0]["default"]["cpu"] = json!("400m");
    spec["podSecurity"]["warn"]["level"] = json!("baseline");
    spec["access"]["roles"][0]["rules"][0]["verbs"] = json!(["get", "list", "watch"]);
    for binding in spec["access"]["bindings"].as_array_mut().unwrap() {
        binding["subjects"]
            .as_array_mut()
            .unwrap()
            .push(json!({"kind": "Group", "name": "on-call"}));
    }
    spec
}

/// What cannot be changed in place is changed.
pub fn recreated() -> Value {
    let mut spec = replaced();
    spec["resourceQuotas"]["items"][0]["scopes"] = json!(["NotTerminating"]);
    let binding = spec["access"]["bindings"][0].as_object_mut().unwrap();
    binding.remove("role");
    binding.insert("clusterRole".to_owned(), json!("view"));
    spec
}

/// Something of every kind leaves.
fn removed() -> Value {
    let mut spec = recreated();
    spec["networkIsolation"] = json!({"defaultDeny": ["Ingress"]});
    for section in ["resourceQuotas", "limitRanges", "access"] {
        spec.as_object_mut().unwrap().remove(section);
    }
    spec["podSecurity"].as_object_mut().unwrap().remove("warn");
    spec
}

/// Specs that have the operator do everything that it can do: create, replace, recreate, remove.
pub fn steps() -> [Value; 4] {
    [everything(), replaced(), recreated(), removed()]
}

/// What a namespace comes to by each of [`steps`], one after the other, with an operator that nothing disturbs.
pub async fn undisturbed() -> &'static [Value] {
    static ENDS: OnceCell<Vec<Value>> = OnceCell::const_new();
    ENDS.get_or_init(async || {
        let (plane, _) = shared().await;
        grant(plane).await;
        let set = Set::new(plane, "undisturbed").await;
        let namespaces = set.namespaces(plane, 1).await;
        let mut ends = Vec::new();
        for spec in steps() {
            set.baseline(spec.clone()).await;
            converged(&set, &spec, &namespaces).await;
            settled(plane, &set).await;
            ends.push(end(&set, &namespaces[0]).await);
        }
        ends
    })
    .await
}

/// Something that somebody does to what is enforced.
#[derive(Clone, Copy)]
pub enum Break {
    /// An object of this kind and name is deleted.
    Gone(&'static str, &'static str),
    /// The policy that denies ingress allows everything.
    Open,
    /// The same, as another object of its name.
    Recreated,
    /// The quota allows more.
    Raised,
    /// The role allows to read Secrets.
    Widened,
    /// The label that enforces Pod Security is taken off.
    Stripped,
}

impl Break {
    /// Does it. Answers what was done, for the recorder.
    pub async fn act(self, recorder: &Recorder, set: &Set, namespace: &str) -> Tampering {
        let from = recorder.version().await.unwrap() + 1;
        let (kind, name, change) = match self {
            Self::Gone(kind, name) => (kind, name, Value::Null),
            Self::Open | Self::Recreated => ("NetworkPolicy", INGRESS, json!({"spec": {"ingress": [{}]}})),
            Self::Raised => ("ResourceQuota", QUOTA, json!({"spec": {"hard": {"pods": "5000"}}})),
            Self::Widened => (
                "Role",
                ROLE,
                json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}),
            ),
            Self::Stripped => (
                "Namespace",
                namespace,
                json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": null}}}),
            ),
        };
        let within = (kind != "Namespace").then_some(namespace);
        match (self, change) {
            (Self::Gone(..), _) => delete(&set.admin, kind, within, name).await,
            (Self::Recreated, change) => {
                let mut another = json!({"metadata": {"name": name}, "spec": {"podSelector": {}}});
                another["spec"]["ingress"] = change["spec"]["ingress"].clone();
                delete(&set.admin, kind, within, name).await;
                create(&set.admin, kind, within, another).await.unwrap();
            }
            (_, change) => drop(merge(&set.admin, kind, within, name, change).await.unwrap()),
        }
        Tampering {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            versions: from..=recorder.version().await.unwrap(),
        }
    }
}
