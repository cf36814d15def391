//! What tenants try with their own tokens: what RBAC refuses, and what becomes of it where a cluster lets them.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::oracles::{ends_well, holding, settled};
use crate::stage::{Set, api, condition, control, create, everything, get, merge, shared};
use crate::support::{ControlPlane, Tenant, eventually};
use crate::tamper::{live, until_repaired, version};

const POLICY: &str = "security-baseline-default-deny-ingress";
const QUOTA: &str = "security-baseline-compute";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const REPORT: &str = "baseline";
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of a tenant's tool, which it states as its field manager.
const TOOL: &str = "tenant-tool";

/// Asserts that RBAC refused, and nothing else.
fn forbidden<T: std::fmt::Debug>(what: &str, answer: kube::Result<T>) {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 403 && status.reason == "Forbidden" => {}
        other => panic!("{what}: {other:?}"),
    }
}

/// Gives a tenant more rights than the shipped roles do, and waits until they hold: `probes` are questions to
/// `kubectl auth can-i`.
async fn grant_more(plane: &ControlPlane, namespace: &str, tenant: &Tenant, rules: Value, probes: &[&[&str]]) {
    let admin = plane.admin().await.unwrap();
    let name = format!("too-much-for-{namespace}");
    let role = json!({"metadata": {"name": name}, "rules": rules});
    create(&admin, "ClusterRole", None, role).await.unwrap();
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": namespace}],
    });
    create(&admin, "ClusterRoleBinding", None, binding).await.unwrap();
    for probe in probes {
        let asked = [&["auth", "can-i", "--namespace", namespace], *probe].concat();
        eventually("the rights hold", PATIENCE, async || {
            plane.kubectl_as(&tenant.kubeconfig, &asked).await
        })
        .await
        .unwrap();
    }
}

/// A way past an object itself: one of its subresources, and what it changes.
struct Way {
    kind: &'static str,
    subresource: &'static str,
    change: Value,
    path: &'static str,
}

/// The ways past the objects of a namespace, which is this.
fn ways(namespace: &Value) -> Vec<Way> {
    let lower = || json!({"labels": {ENFORCE: "privileged"}});
    let of = &namespace["metadata"];
    let owner = json!({"apiVersion": "v1", "kind": "Namespace", "name": of["name"], "uid": of["uid"]});
    vec![
        Way {
            kind: "Namespace",
            subresource: "status",
            change: lower(),
            path: "metadata.labels[pod-security.kubernetes.io/enforce]",
        },
        Way {
            kind: "Namespace",
            subresource: "finalize",
            change: lower(),
            path: "metadata.labels[pod-security.kubernetes.io/enforce]",
        },
        Way {
            kind: "ResourceQuota",
            subresource: "status",
            change: json!({"labels": {"app.kubernetes.io/managed-by": "nobody"}, "ownerReferences": [owner]}),
            path: "metadata.labels[app.kubernetes.io/managed-by]",
        },
    ]
}

impl Way {
    fn place<'a>(&self, namespace: &'a str) -> (Option<&'a str>, &'a str) {
        match self.kind {
            "Namespace" => (None, namespace),
            _ => (Some(namespace), QUOTA),
        }
    }

    /// Goes this way, as whoever the client is: the change in the whole object, as `kubectl replace` sends it.
    async fn go(&self, set: &Set, tenant: &Tenant, namespace: &str) -> kube::Result<DynamicObject> {
        let (within, name) = self.place(namespace);
        let params = PostParams {
            field_manager: Some(TOOL.to_owned()),
            ..PostParams::default()
        };
        loop {
            let mut object = live(set, self.kind, within, name).await;
            for (field, change) in self.change.as_object().unwrap() {
                match change {
                    Value::Object(keys) => keys
                        .iter()
                        .for_each(|(key, value)| object["metadata"][field][key] = value.clone()),
                    list => object["metadata"][field] = list.clone(),
                }
            }
            let objects = api(&tenant.client, self.kind, within);
            match objects
                .replace_subresource(self.subresource, name, &params, &object)
                .await
            {
                // Somebody wrote it since it was read.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                answer => return answer,
            }
        }
    }
}

#[tokio::test]
async fn a_tenant_who_may_change_its_namespace_may_not_do_so_by_way_of_a_subresource() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "ways", &everything(), 1).await;
    let namespace = &namespaces[0];
    let tenant = plane.tenant(namespace).await.unwrap();
    let before = live(&set, "Namespace", None, namespace).await;
    for way in ways(&before) {
        let what = format!("{}/{}", way.kind, way.subresource);
        forbidden(&what, way.go(&set, &tenant, namespace).await);
    }
    let patch = Patch::Merge(json!({"metadata": {"labels": {ENFORCE: "privileged"}}}));
    let objects = api(&tenant.client, "Namespace", None);
    forbidden(
        "a patch",
        objects
            .patch_subresource("status", namespace, &PatchParams::default(), &patch)
            .await,
    );
    let after = live(&set, "Namespace", None, namespace).await;
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
    ends_well(plane, &set, &everything(), &namespaces).await;
}

#[tokio::test]
async fn what_comes_by_way_of_a_subresource_is_undone_like_any_other_and_told_with_it() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "through", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    let rules = json!([
        {"apiGroups": [""], "resources": ["namespaces/status", "namespaces/finalize"], "resourceNames": [namespace], "verbs": ["update", "patch"]},
        {"apiGroups": [""], "resources": ["resourcequotas/status"], "verbs": ["update", "patch"]},
    ]);
    let object = format!("namespaces/{namespace}");
    let probes: [&[&str]; 2] = [
        &["update", &object, "--subresource=finalize"],
        &["update", "resourcequotas", "--subresource=status"],
    ];
    grant_more(plane, namespace, &tenant, rules, &probes).await;
    let ways = ways(&live(&set, "Namespace", None, namespace).await);
    for (i, way) in ways.iter().enumerate() {
        let (within, name) = way.place(namespace);
        let before = live(&set, way.kind, within, name).await;
        let changed = way.go(&set, &tenant, namespace).await.unwrap();
        let changed = serde_json::to_value(changed).unwrap();
        for field in ["labels", "ownerReferences"] {
            if way.change.get(field).is_some() {
                assert_ne!(
                    changed["metadata"][field], before["metadata"][field],
                    "{} lets nothing through",
                    way.subresource
                );
            }
        }
        until_repaired(&set, way.kind, within, name, &before, version(&changed)).await;
        let count = i64::try_from(i).unwrap() + 1;
        let report = set
            .report_until(namespace, "counts it", |r| {
                r["status"]["drift"]["repaired"] == json!(count)
            })
            .await;
        let mut records = report["status"]["drift"]["records"].as_array().unwrap().iter();
        let told = records.find(|r| r["path"] == way.path && r["subresource"] == way.subresource);
        let told = told.unwrap_or_else(|| panic!("{}: {report}", way.subresource));
        assert_eq!(told["object"], format!("{}/{name}", way.kind));
        assert_eq!(
            (&told["claimedBy"], &told["operation"]),
            (&json!(TOOL), &json!("Update"))
        );
        settled(plane, &set).await;
    }
    ends_well(plane, &set, &everything(), &namespaces).await;
}

/// Everything that changes a report.
async fn attempts(tenant: &Tenant, namespace: &str, forged: &Value) -> Vec<(&'static str, kube::Result<()>)> {
    let reports = api(&tenant.client, "BaselineReport", Some(namespace));
    let object: DynamicObject = serde_json::from_value(forged.clone()).unwrap();
    let status = Patch::Merge(json!({"status": forged["status"]}));
    let mut applied = forged.clone();
    applied["metadata"] = json!({"name": REPORT});
    let (post, patch) = (PostParams::default(), PatchParams::default());
    let apply = PatchParams::apply(TOOL).force();
    let delete = DeleteParams::default();
    vec![
        ("create", reports.create(&post, &object).await.map(drop)),
        ("update", reports.replace(REPORT, &post, &object).await.map(drop)),
        ("patch", reports.patch(REPORT, &patch, &status).await.map(drop)),
        (
            "apply",
            reports.patch(REPORT, &apply, &Patch::Apply(&applied)).await.map(drop),
        ),
        ("delete", reports.delete(REPORT, &delete).await.map(drop)),
        (
            "delete all",
            reports
                .delete_collection(&delete, &ListParams::default())
                .await
                .map(drop),
        ),
    ]
}

#[tokio::test]
async fn a_tenant_reads_its_report_and_may_not_change_it() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "reads", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    let mut report = eventually("the right to read it is aggregated", PATIENCE, async || {
        let reports = api(&tenant.client, "BaselineReport", Some(namespace));
        Ok(serde_json::to_value(reports.get(REPORT).await?)?)
    })
    .await
    .unwrap();
    let before = report.clone();
    report["status"]["drift"]["total"] = json!(7);
    for (what, answer) in attempts(&tenant, namespace, &report).await {
        forbidden(what, answer);
    }
    let after = get(&set.admin, "BaselineReport", Some(namespace), REPORT)
        .await
        .unwrap();
    assert_eq!(after, before);
}

/// What a report tells, but for times.
fn told(report: &Value) -> Value {
    let mut status = report["status"].clone();
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        condition["lastTransitionTime"].take();
    }
    status
}

#[tokio::test]
async fn a_report_that_a_tenant_forges_is_overwritten_and_is_no_input() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "forges").await;
    let namespace = set.namespace(plane, "a").await;
    let spec = json!({"mode": "Audit", "networkIsolation": {"defaultDeny": ["Ingress"]}});
    set.baseline(spec.clone()).await;
    let honest = set
        .report_until(&namespace, "tells what is missing", |r| {
            control(r, "networkIsolation")["state"] == "Drifted"
        })
        .await;
    settled(plane, &set).await;
    // A cluster in which `admin` was given too much.
    let tenant = plane.tenant(&namespace).await.unwrap();
    let rules = json!([{"apiGroups": ["securitybaseline.dev"], "resources": ["baselinereports"], "verbs": ["*"]}]);
    grant_more(
        plane,
        &namespace,
        &tenant,
        rules,
        &[&["update", "baselinereports.securitybaseline.dev"]],
    )
    .await;
    // Its own, under a reserved name that nobody asks for: it would go if it were on record as ours.
    let theirs = "security-baseline-allow-theirs";
    let narrow = json!({"metadata": {"name": theirs}, "spec": {"podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress"]}});
    let theirs = create(&tenant.client, "NetworkPolicy", Some(&namespace), narrow)
        .await
        .unwrap();

    let mut forged = honest.clone();
    forged["status"]["conditions"] = honest["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            let mut c = c.clone();
            (c["status"], c["reason"]) = match c["type"].as_str() {
                Some("Ready") => (json!("True"), json!("Compliant")),
                _ => (json!("False"), json!("NoDrift")),
            };
            c
        })
        .collect();
    forged["status"]["controls"] =
        json!([{"name": "networkIsolation", "mode": "Enforce", "state": "Compliant", "enforcedBefore": true}]);
    forged["status"]["drift"] = json!({"total": 1_000_000, "repaired": 1_000_000, "records": [], "open": []});
    let uid = &honest["status"]["baselines"][0]["uid"];
    forged["status"]["inventory"] = json!([{
        "kind": "NetworkPolicy", "name": theirs["metadata"]["name"], "uid": theirs["metadata"]["uid"],
        "baseline": uid, "digest": "",
    }]);
    forged["status"]["namespaceLabels"] = json!([{"key": "team", "value": "a", "baseline": uid}]);
    for how in ["patched", "deleted"] {
        let reports = api(&tenant.client, "BaselineReport", Some(&namespace));
        match how {
            "patched" => {
                let status = json!({"status": forged["status"]});
                merge(&tenant.client, "BaselineReport", Some(&namespace), REPORT, status)
                    .await
                    .unwrap();
            }
            _ => {
                reports.delete(REPORT, &DeleteParams::default()).await.unwrap();
            }
        }
        let restored = set
            .report_until(&namespace, "tells the truth again", |r| told(r) == told(&honest))
            .await;
        assert_ne!(
            restored["metadata"]["resourceVersion"], honest["metadata"]["resourceVersion"],
            "{how}"
        );
        settled(plane, &set).await;
    }
    let seen = set.until("Drifted", "True").await;
    assert_eq!(
        seen["status"]["namespaces"]["drifted"], 1,
        "nor does the baseline believe it"
    );

    // Enforced, what is missing comes, and what was on no record but the forged one stays.
    let mut spec = spec;
    spec["mode"] = json!("Enforce");
    set.baseline(spec.clone()).await;
    set.until_enforced(1).await;
    set.present("NetworkPolicy", &namespace, POLICY).await;
    let fenced = set.fence(&namespace, spec).await;
    assert_eq!(
        fenced["status"]["inventory"].as_array().map(Vec::len),
        Some(1),
        "{fenced}"
    );
    assert_eq!(condition(&fenced, "Ready")["status"], "True");
    let kept = live(
        &set,
        "NetworkPolicy",
        Some(&namespace),
        theirs["metadata"]["name"].as_str().unwrap(),
    )
    .await;
    assert_eq!(kept["metadata"]["uid"], theirs["metadata"]["uid"]);
    crate::oracles::quiet(plane, &set, &[namespace], Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_tenant_may_declare_neither_a_baseline_nor_an_exception_nor_change_one() {
    let (plane, _) = shared().await;
    let (set, namespaces) = holding(plane, "declares", &everything(), 1).await;
    let namespace = namespaces[0].as_str();
    let tenant = plane.tenant(namespace).await.unwrap();
    // Once its rights on reports hold, so would any others that the shipped roles gave it.
    eventually("the shipped roles are aggregated", PATIENCE, async || {
        Ok(api(&tenant.client, "BaselineReport", Some(namespace))
            .get(REPORT)
            .await?)
    })
    .await
    .unwrap();
    let mine =
        json!({"metadata": {"name": format!("{}-mine", set.name)}, "spec": {"namespaceSelector": {}, "mode": "Audit"}});
    forbidden(
        "a baseline",
        create(&tenant.client, "SecurityBaseline", None, mine).await,
    );
    let waives = json!({
        "metadata": {"name": format!("{}-waived", set.name)},
        "spec": {
            "namespaces": [namespace], "waive": [{"control": "networkIsolation"}], "reason": "r", "approver": "a",
            "expiresAt": jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap().to_string(),
        },
    });
    forbidden(
        "an exception",
        create(&tenant.client, "BaselineException", None, waives).await,
    );
    let suspended = json!({"spec": {"suspend": true}});
    forbidden(
        "a change",
        merge(&tenant.client, "SecurityBaseline", None, &set.name, suspended).await,
    );
    let baselines = api(&tenant.client, "SecurityBaseline", None);
    forbidden(
        "a deletion",
        baselines.delete(&set.name, &DeleteParams::default()).await,
    );
    let status = Patch::Merge(json!({"status": {"namespaces": {"selected": 0}}}));
    forbidden(
        "a status",
        baselines
            .patch_status(&set.name, &PatchParams::default(), &status)
            .await,
    );
    ends_well(plane, &set, &everything(), &namespaces).await;
}
