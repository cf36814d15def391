//! Each alert fires for real: the test causes the trouble as a user would, sees the alert firing by Prometheus, runs the commands
//! of its runbook, mends the trouble, and sees the alert resolve.

mod cluster;
mod decisions;
mod drift;
mod exceptions;
mod requests;

use std::path::Path;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::alarm::Alarm;
use crate::prometheus::Prometheus;
use crate::stage::{BINARY, Set, create, delete};
use crate::support::{ControlPlane, Stage, unique};

/// A baseline without anything that breaks pods.
pub static EVEN: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "mode": "Enforce",
        "networkIsolation": {"defaultDeny": ["Ingress"], "allowSameNamespace": true},
        "limitRanges": {"items": [{"name": "defaults", "limits": [{"type": "Container", "defaultRequest": {"cpu": "100m"}}]}]},
    })
});

/// What a baseline's default deny of ingress is called.
const DENY: &str = "security-baseline-default-deny-ingress";

/// A control plane, the operator on it, and a Prometheus that scrapes that.
pub struct Scene {
    pub plane: &'static ControlPlane,
    pub stage: Stage,
    pub prometheus: Prometheus,
}

/// The one that tests share whose trouble is that of one baseline.
pub async fn shared() -> &'static Scene {
    static SHARED: OnceCell<Scene> = OnceCell::const_new();
    let plane = ControlPlane::shared().await;
    SHARED
        .get_or_init(|| async {
            let stage = Stage::with(plane, Path::new(BINARY), |config| {
                // One or two namespaces change at once; three wait to be confirmed.
                config["brake"] = json!({"namespaces": 2, "percent": 1});
                config["rollout"] = json!({"maxNamespacesPerMinute": 1_000_000, "stopAtRefusedPercent": 100});
                config["contestedPauseSeconds"] = json!(0);
                config["metrics"]["namespaceLabel"] = json!(true);
            });
            let stage = stage.await.unwrap();
            let prometheus = Prometheus::scraping(stage.operator.port()).await;
            Scene {
                plane,
                stage,
                prometheus,
            }
        })
        .await
}

impl Scene {
    fn alarm<'a>(&'a self, name: &'static str, labels: &[(&'static str, &'a str)], namespace: &'a str) -> Alarm<'a> {
        Alarm {
            plane: self.plane,
            prometheus: &self.prometheus,
            name,
            labels: labels.to_vec(),
            namespace,
        }
    }

    /// A set with one namespace that is held to this.
    pub async fn holding(&self, prefix: &str, spec: &Value) -> (Set, String) {
        let set = Set::new(self.plane, prefix).await;
        let namespace = set.namespace(self.plane, "a").await;
        set.baseline(spec.clone()).await;
        set.until_enforced(1).await;
        (set, namespace)
    }
}

/// Has something drift that is put back at once.
pub async fn drifts(set: &Set, namespace: &str) {
    delete(&set.admin, "LimitRange", Some(namespace), "security-baseline-defaults").await;
    set.present("LimitRange", namespace, "security-baseline-defaults").await;
}

/// An exception for some namespaces that ends in so many seconds; its name.
pub async fn exception(set: &Set, namespaces: &[&str], waive: &Value, seconds: i64) -> String {
    let name = unique("exception");
    let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
    let object = json!({"metadata": {"name": name}, "spec": {
        "namespaces": namespaces, "waive": waive, "reason": "a test", "approver": "its author",
        "expiresAt": format!("{expires:.0}"),
    }});
    create(&set.admin, "BaselineException", None, object).await.unwrap();
    name
}
