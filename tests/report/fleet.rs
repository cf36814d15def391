//! Reports to look at: of clusters that are made up, by the program itself.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

/// What a tenant may write where it is shown.
pub const HOSTILE: &str = "</script><img src=x onerror=alert(1)>&\"'{{data}}";

/// The report of a cluster of so many namespaces, as a file.
pub fn page(namespaces: usize) -> PathBuf {
    report(namespaces, "html")
}

/// The same in another format.
pub fn report(namespaces: usize, format: &str) -> PathBuf {
    made(namespaces, fleet(namespaces), format)
}

/// The same of namespaces in which nothing is as declared, as it is when one begins to audit.
pub fn untouched(namespaces: usize) -> PathBuf {
    let mut all = fleet(namespaces);
    let items = all["items"].as_array_mut().unwrap();
    items.retain(|object| ["Namespace", "SecurityBaseline"].contains(&object["kind"].as_str().unwrap()));
    made(namespaces, all, "html")
}

fn made(namespaces: usize, fleet_of: Value, format: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let objects = folder.join(format!("fleet-{namespaces}-{number}.json"));
    let page = folder.join(format!("report-{namespaces}-{number}.{format}"));
    std::fs::write(&objects, fleet_of.to_string()).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_security-baseline-operator"))
        .args(["report", "--output", format, "--exit-zero", "--objects"])
        .arg(&objects)
        .stdout(std::fs::File::create(&page).unwrap())
        .stderr(Stdio::inherit())
        .status()
        .unwrap();
    assert!(status.success());
    page
}

fn fleet(namespaces: usize) -> Value {
    let mut items = vec![
        json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline",
            "metadata": {"name": "tenants", "uid": "t", "generation": 2, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"namespaceSelector": {"matchLabels": {"tenant": "yes"}}, "mode": "Audit",
                "podSecurity": {"mode": "Enforce", "enforce": {"level": "restricted"}},
                "networkIsolation": {"defaultDeny": ["Ingress"]},
                "limitRanges": {"items": [{"name": "defaults", "limits": [{"type": "Container", "default": {"memory": "256Mi"}}]}]},
                "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 50}}]},
                "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "auditors"}]}]}}}),
        json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "BaselineException",
            "metadata": {"name": "legacy", "uid": "e", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"namespaces": ["team-3"], "reason": HOSTILE, "approver": "security", "expiresAt": "2026-01-20T00:00:00Z", "waive": [{"control": "access"}]}}),
    ];
    for number in 0..namespaces {
        items.extend(team(number));
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// A namespace of which most are well, and some are not in one way or another.
fn team(number: usize) -> Vec<Value> {
    let name = format!("team-{number}");
    let labels = json!({"tenant": "yes", "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"});
    let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "uid": name, "resourceVersion": "2", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": labels}})];
    let mut child = |kind: &str, api: &str, called: &str, component: &str, fields: Value| {
        let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": called, "namespace": name, "uid": format!("{name}-{called}"), "resourceVersion": "3",
            "annotations": {"argocd.argoproj.io/ignore-resource-updates": "true"},
            "labels": {"app.kubernetes.io/name": "security-baseline", "app.kubernetes.io/component": component,
                "app.kubernetes.io/part-of": "security-baseline-operator", "app.kubernetes.io/managed-by": "security-baseline-operator"}}});
        object
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        objects.push(object);
    };
    let (net, rbac) = ("networking.k8s.io/v1", "rbac.authorization.k8s.io/v1");
    let deny = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}});
    if number % 5 != 1 {
        child(
            "NetworkPolicy",
            net,
            "security-baseline-default-deny-ingress",
            "network-isolation",
            deny,
        );
    }
    if number % 5 == 2 {
        let open = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}});
        child("NetworkPolicy", net, "open", "x", open);
    }
    child(
        "LimitRange",
        "v1",
        "security-baseline-defaults",
        "limit-ranges",
        json!({"spec": {"limits": [{"type": "Container", "default": {"memory": "256Mi"}}]}}),
    );
    child(
        "ResourceQuota",
        "v1",
        "security-baseline-compute",
        "resource-quotas",
        json!({"spec": {"hard": {"pods": "50"}}}),
    );
    let subject = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "auditors"}]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"});
    let blocked = number % 50 == 4;
    if !blocked {
        child(
            "RoleBinding",
            rbac,
            "security-baseline-viewers",
            "access",
            json!({"roleRef": role, "subjects": subject}),
        );
    }
    let record = |minute: usize, by: &str| {
        json!({"control": "networkIsolation", "object": "NetworkPolicy/security-baseline-default-deny-ingress",
        "path": "spec.ingress[0]", "expected": "", "found": HOSTILE, "seen": format!("2026-01-{:02}T10:{:02}:00Z", 2 + number % 20, minute), "claimedBy": by,
        "repaired": (minute % 3 != 0).then(|| format!("2026-01-{:02}T10:{:02}:01Z", 2 + number % 20, minute))})
    };
    let records: Vec<Value> = if number.is_multiple_of(5) {
        vec![
            record(40, "kubectl-edit"),
            record(31, "kubectl-edit"),
            record(21, HOSTILE),
            record(7, "helm"),
        ]
    } else {
        Vec::new()
    };
    let note = json!({"object": "RoleBinding/security-baseline-viewers", "reason": "RoleNotFound", "message": "the ClusterRole view does not exist"});
    let controls = if blocked {
        json!([{"name": "access", "mode": "Audit", "state": "Blocked", "blocked": [note]}])
    } else {
        json!([])
    };
    objects.push(json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "BaselineReport", "metadata": {"name": "baseline", "namespace": name, "uid": format!("r{number}"), "resourceVersion": "4"},
        "status": {"conditions": [], "controls": controls, "drift": {"total": records.len(), "repaired": records.len().min(2), "records": without_nulls(records)}}}));
    objects
}

/// As the API server keeps it: what is not there is left out.
fn without_nulls(mut records: Vec<Value>) -> Vec<Value> {
    for record in &mut records {
        record.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    records
}
