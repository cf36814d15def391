//! The two forms of such a report, and which of them a cluster has.

use std::sync::Arc;

use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use kube::runtime::watcher;
use serde_json::Value;

use crate::engine::Context;
use crate::engine::cluster::Source;
use crate::engine::config::PolicyReports as Switch;
use crate::engine::facts::meta;
use crate::engine::index::Last;
use crate::engine::watch::{Shown, Sink, Watched};

/// The name of the one report of a namespace.
pub const NAME: &str = "security-baseline-report";

/// One of the kinds in which other tools read reports.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// The API group.
    pub group: &'static str,
    /// The API version.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The resource's name in URLs and in RBAC.
    pub plural: &'static str,
    /// Whether it states once who made it, and how much it lists at the most.
    pub states_source: bool,
    /// The name of the watch of its definition, in logs and metrics.
    definition: &'static str,
    /// The name of the watch of what is there of it.
    reports: &'static str,
}

/// Both forms. Where a cluster has both, the first one is written.
pub static FORMS: [Form; 2] = [
    Form {
        group: "openreports.io",
        version: "v1alpha1",
        kind: "Report",
        plural: "reports",
        states_source: true,
        definition: "openreports-crd",
        reports: "openreports",
    },
    Form {
        group: "wgpolicyk8s.io",
        version: "v1alpha2",
        kind: "PolicyReport",
        plural: "policyreports",
        states_source: false,
        definition: "policyreports-crd",
        reports: "policyreports",
    },
];

impl Form {
    /// The `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// The resource, for a client.
    pub fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    /// The name of its definition.
    fn definition(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// The watch of the reports of this form under our name, everybody else's left out.
    pub(super) fn watched(&self) -> Watched {
        Watched {
            resource: self.resource(),
            namespace: None,
            config: watcher::Config::default().fields(&format!("metadata.name={NAME}")),
            name: self.reports,
            needed: false,
        }
    }
}

/// The watches that tell whether a cluster has these kinds: of the two definitions alone, by name. They cost nothing while
/// nothing happens, and tell at once when a definition comes or goes. There are none where the feature is off.
pub fn definitions(context: &Context) -> Vec<Source> {
    if context.config.policy_reports == Switch::Off {
        return Vec::new();
    }
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let source = |form: &'static Form| Source {
        watched: Watched {
            resource: ApiResource::from_gvk_with_plural(&kind, "customresourcedefinitions"),
            namespace: None,
            config: watcher::Config::default().fields(&format!("metadata.name={}", form.definition())),
            name: form.definition,
            needed: false,
        },
        sink: Arc::new(Definition(form)),
        progress: Arc::default(),
    };
    FORMS.iter().map(source).collect()
}

/// Takes up whether a cluster has a form.
struct Definition(&'static Form);

impl Sink for Definition {
    fn applied(&self, context: &Context, object: Value) {
        let served = is_served(self.0, &object);
        context.policy_reports.serves(self.0, served);
    }

    fn deleted(&self, context: &Context, _: &str, _: &str, _: Last<'_>) {
        context.policy_reports.serves(self.0, false);
    }

    fn unshown(&self, _: &Context, shown: &Shown) -> Vec<(String, String)> {
        let gone = Some(self.0.definition()).filter(|name| !shown.has("", name));
        gone.map(|name| (String::new(), name)).into_iter().collect()
    }
}

/// Whether the API server serves a form, as its definition says.
fn is_served(form: &Form, definition: &Value) -> bool {
    let all = |path: &str| definition.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let serves = |version: &Value| version["name"] == form.version && version["served"] == true;
    let established = |condition: &Value| condition["type"] == "Established" && condition["status"] == "True";
    meta(definition, "deletionTimestamp").is_empty()
        && all("/spec/versions").any(serves)
        && all("/status/conditions").any(established)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_there_once_its_definition_is_established_in_the_version_that_is_written_and_until_it_is_deleted() {
        let [open, policy] = &FORMS;
        let there = json!({
            "metadata": {"name": "reports.openreports.io"},
            "spec": {"versions": [{"name": "v1alpha1", "served": true}]},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        });
        assert!(is_served(open, &there) && !is_served(policy, &there));
        for (path, value) in [
            ("/status/conditions/0/status", json!("False")),
            ("/spec/versions/0/served", json!(false)),
            ("/spec/versions/0/name", json!("v1beta1")),
        ] {
            let mut other = there.clone();
            *other.pointer_mut(path).unwrap() = value;
            assert!(!is_served(open, &other), "{path}");
        }
        let mut going = there;
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!is_served(open, &going));
    }
}
