//! Several baselines on one namespace, as their authors see it.

mod many;

use std::time::Duration;

use serde_json::{Value, json};

use crate::oracles::{children, quiet, safe};
use crate::stage::{Set, condition, control, delete, get, grant, merge, shared};

const MOMENT: Duration = Duration::from_secs(1);
const QUOTA: &str = "security-baseline-compute";
const LIMITS: &str = "security-baseline-limits";

/// What an organisation, a regulator and a team ask for.
fn three() -> [Value; 3] {
    let subject = |name: &str| json!({"kind": "Group", "name": name});
    let limit = |limit: Value| json!({"items": [{"name": "limits", "limits": [limit]}]});
    [
        json!({
            "mode": "Enforce",
            "podSecurity": {"enforce": {"level": "restricted", "version": "v1.30"}},
            "networkIsolation": {"defaultDeny": ["Ingress"], "allowSameNamespace": true},
            "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 50, "requests.cpu": "10"}}]},
            "limitRanges": limit(json!({"type": "Container", "max": {"cpu": 4}, "default": {"memory": "1Gi"}})),
            "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [subject("auditors")]}]},
        }),
        json!({
            "mode": "Enforce",
            "podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "warn": {"level": "restricted"}},
            "networkIsolation": {"defaultDeny": ["Ingress", "Egress"], "allowDNS": false},
            "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 30, "requests.cpu": "12000m"}}]},
            "limitRanges": limit(json!({"type": "Container", "max": {"cpu": 2}, "defaultRequest": {"memory": "2Gi"}})),
        }),
        json!({
            "mode": "Enforce",
            "networkIsolation": {"defaultDeny": ["Ingress"], "allow": [{"name": "from-ingress", "ingress": [{"ports": [{"port": 8080}]}]}]},
            "resourceQuotas": {"items": [{"name": "compute", "hard": {"services": 5}}]},
            "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [subject("team")]}]},
        }),
    ]
}

/// The same as one baseline would say it.
fn together() -> Value {
    json!({
        "mode": "Enforce",
        "podSecurity": {"enforce": {"level": "restricted", "version": "v1.36"}, "warn": {"level": "restricted"}},
        "networkIsolation": {"defaultDeny": ["Ingress", "Egress"], "allowDNS": false, "allow": [
            {"name": "same", "ingress": [{"from": [{"podSelector": {}}]}]},
            {"name": "from-ingress", "ingress": [{"ports": [{"port": 8080}]}]},
        ]},
        "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 30, "requests.cpu": 10, "services": 5}}]},
        "limitRanges": {"items": [{"name": "limits", "limits": [{
            "type": "Container", "max": {"cpu": 2}, "default": {"memory": "1Gi"}, "defaultRequest": {"memory": "1Gi"},
        }]}]},
        "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [
            {"kind": "Group", "name": "auditors"}, {"kind": "Group", "name": "team"},
        ]}]},
    })
}

/// The names of a set's baselines, the oldest first.
fn names(set: &Set) -> [String; 3] {
    [
        set.name.clone(),
        format!("{}-regulator", set.name),
        format!("{}-team", set.name),
    ]
}

/// Makes one baseline after the other, each in a second of its own: their age is what decides.
async fn one_by_one(set: &Set, all: &[(&str, &Value)]) {
    for (i, (name, spec)) in all.iter().enumerate() {
        let made = set.baseline_named(name, (*spec).clone()).await.unwrap();
        let created = made.metadata.creation_timestamp.unwrap().0;
        while i + 1 < all.len() && jiff::Timestamp::now().as_second() == created.as_second() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a namespace has of ours: its Pod Security labels, and the objects.
async fn posture(set: &Set, namespace: &String) -> (Value, Vec<Value>) {
    let live = get(&set.admin, "Namespace", None, namespace).await.unwrap();
    let mut labels = live["metadata"]["labels"].clone();
    let of_pods = |key: &String| key.starts_with("pod-security.kubernetes.io/");
    labels.as_object_mut().unwrap().retain(|key, _| of_pods(key));
    let found = children(&set.admin, std::slice::from_ref(namespace)).await.unwrap();
    let named = found.into_iter().map(|((_, kind, name), o)| json!([kind, name, o]));
    (labels, named.collect())
}

async fn compliant(set: &Set, namespace: &str, baselines: usize) -> Value {
    set.report_until(namespace, "all of them hold it", |r| {
        r["status"]["baselines"]
            .as_array()
            .is_some_and(|b| b.len() == baselines)
            && condition(r, "Ready")["status"] == "True"
    })
    .await
}

#[tokio::test]
async fn three_baselines_mean_what_one_would_say_and_the_report_names_who_supplied_each_value() {
    let (plane, _) = shared().await;
    let mark = plane.audit().mark().unwrap();
    let (set, one) = (Set::new(plane, "three").await, Set::new(plane, "one").await);
    let (namespace, alone) = (set.namespace(plane, "a").await, one.namespace(plane, "a").await);
    let (names, specs) = (names(&set), three());
    let all: Vec<_> = names.iter().map(String::as_str).zip(&specs).collect();
    one_by_one(&set, &all).await;
    one.baseline(together()).await;
    one.until_enforced(1).await;
    let report = compliant(&set, &namespace, 3).await;
    assert_eq!(posture(&set, &namespace).await, posture(&one, &alone).await);

    let value = |section: &str, field: &str| {
        let values = control(&report, section)["effective"].as_array().unwrap();
        values.iter().find(|v| v["field"] == field).unwrap().clone()
    };
    let [organisation, regulator, team] = &names;
    for (section, field, expected, by, less) in [
        (
            "podSecurity",
            "enforce",
            "restricted",
            organisation,
            json!([{"baseline": regulator, "value": "baseline"}]),
        ),
        (
            "podSecurity",
            "enforce-version",
            "v1.36",
            regulator,
            json!([{"baseline": organisation, "value": "v1.30"}]),
        ),
        (
            "resourceQuotas",
            "compute/pods",
            "30",
            regulator,
            json!([{"baseline": organisation, "value": "50"}]),
        ),
        (
            "resourceQuotas",
            "compute/requests.cpu",
            "10",
            organisation,
            json!([{"baseline": regulator, "value": "12000m"}]),
        ),
        ("resourceQuotas", "compute/services", "5", team, Value::Null),
        (
            "limitRanges",
            "limits/Container/max/cpu",
            "2",
            regulator,
            json!([{"baseline": organisation, "value": "4"}]),
        ),
        ("networkIsolation", "allow", "from-ingress", team, Value::Null),
    ] {
        let found = value(section, field);
        assert_eq!(
            (&found["value"], &found["baseline"]),
            (&json!(expected), &json!(by)),
            "{field}"
        );
        assert_eq!(found["askedLess"], less, "{field}");
    }
    for name in &names {
        let ready = set.until_named(name, "Ready", "True").await;
        assert_eq!(ready["status"]["namespaces"]["compliant"], 1, "{name}");
    }
    // What is drift to all of them is put back once, as they mean it together.
    let loose = json!({"spec": {"hard": {"pods": "50"}}});
    merge(&set.admin, "ResourceQuota", Some(&namespace), QUOTA, loose)
        .await
        .unwrap();
    set.object_until("ResourceQuota", &namespace, QUOTA, "is the smallest", |q| {
        q["spec"]["hard"]["pods"] == "30"
    })
    .await;
    quiet(plane, &set, std::slice::from_ref(&namespace), MOMENT).await;
    safe(plane, mark);
}

#[tokio::test]
async fn what_is_left_of_baselines_holds_whichever_is_deleted_and_in_the_end_as_if_it_had_been_alone() {
    let (plane, _) = shared().await;
    let (set, one) = (Set::new(plane, "left").await, Set::new(plane, "alone").await);
    let (namespace, alone) = (set.namespace(plane, "a").await, one.namespace(plane, "a").await);
    // Each asks for the same objects, so that nothing is left over of what only the others asked for.
    let spec = |pods: u32, level: &str, cpu: u32| {
        json!({
            "mode": "Enforce",
            "podSecurity": {"enforce": {"level": level}},
            "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": pods}}]},
            "limitRanges": {"items": [{"name": "limits", "limits": [{"type": "Pod", "max": {"cpu": cpu}}]}]},
        })
    };
    let specs = [
        spec(5, "restricted", 4),
        spec(3, "baseline", 2),
        spec(9, "privileged", 8),
    ];
    let names = names(&set);
    let all: Vec<_> = names.iter().map(String::as_str).zip(&specs).collect();
    one_by_one(&set, &all).await;
    compliant(&set, &namespace, 3).await;
    for (deleted, pods, level, cpu) in [(1, "5", "restricted", "4"), (0, "9", "privileged", "8")] {
        delete(&set.admin, "SecurityBaseline", None, &names[deleted]).await;
        set.object_until("ResourceQuota", &namespace, QUOTA, "follows", |q| {
            q["spec"]["hard"]["pods"] == pods
        })
        .await;
        set.object_until("LimitRange", &namespace, LIMITS, "follows", |l| {
            l["spec"]["limits"][0]["max"]["cpu"] == cpu
        })
        .await;
        set.labels_until(&namespace, "follow", |l| {
            l["pod-security.kubernetes.io/enforce"] == level
        })
        .await;
    }
    one.baseline(specs[2].clone()).await;
    one.until_enforced(1).await;
    let report = compliant(&set, &namespace, 1).await;
    assert_eq!(report["status"]["drift"]["total"], 0, "{report}");
    assert_eq!(posture(&set, &namespace).await, posture(&one, &alone).await);
}

fn role(verb: &str) -> Value {
    let rules = json!([{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [verb]}]);
    json!({"mode": "Enforce", "access": {
        "roles": [{"name": "developer", "rules": rules}],
        "bindings": [{"name": "developers", "role": "developer", "subjects": [{"kind": "Group", "name": verb}]}],
    }})
}

#[tokio::test]
async fn a_conflict_is_named_on_both_the_older_one_holds_and_the_younger_takes_over_when_it_goes() {
    let (plane, _) = shared().await;
    grant(plane).await;
    let set = Set::new(plane, "conflict").await;
    let namespace = set.namespace(plane, "a").await;
    // By name the younger one would come first.
    let (older, younger) = (format!("{}-b", set.name), format!("{}-a", set.name));
    one_by_one(&set, &[(&older, &role("get")), (&younger, &role("update"))]).await;
    let yields = set.until_named(&younger, "Stalled", "True").await;
    assert_eq!(condition(&yields, "Ready")["reason"], "Conflict");
    let holds = set.until_named(&older, "Degraded", "True").await;
    assert_eq!(condition(&holds, "Ready")["status"], "True", "{}", holds["status"]);
    for (which, baseline) in [("younger", &yields), ("older", &holds)] {
        let conflicts = &baseline["status"]["conflicts"];
        assert_eq!(conflicts["total"], 1, "{which}");
        let message = conflicts["items"][0]["message"].as_str().unwrap();
        assert!(
            message.contains(&older) && message.contains(&younger),
            "{which}: {message}"
        );
    }
    let report = set
        .report_until(&namespace, "tells both conflicts", |r| {
            r["status"]["conflicts"].as_array().is_some_and(|c| c.len() == 2)
        })
        .await;
    let objects: Vec<_> = report["status"]["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["object"].clone())
        .collect();
    assert_eq!(objects, ["Role/developer", "RoleBinding/developers"]);
    let live = set.present("Role", &namespace, "security-baseline-developer").await;
    assert_eq!(live["rules"][0]["verbs"], json!(["get"]));
    let binding = set
        .present("RoleBinding", &namespace, "security-baseline-developers")
        .await;
    let subjects: Vec<_> = binding["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].clone())
        .collect();
    assert_eq!(subjects, ["get"], "who lost its role binds nobody to the other one");

    delete(&set.admin, "SecurityBaseline", None, &older).await;
    set.object_until(
        "Role",
        &namespace,
        "security-baseline-developer",
        "is the younger's",
        |r| r["rules"][0]["verbs"] == json!(["update"]),
    )
    .await;
    set.until_named(&younger, "Ready", "True").await;
}

fn pods(mode: &str, pods: u32) -> Value {
    json!({"mode": mode, "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": pods}}]}})
}

async fn allowed(set: &Set, namespace: &str, pods: &str) {
    set.object_until("ResourceQuota", namespace, QUOTA, "allows so many pods", |q| {
        q["spec"]["hard"]["pods"] == pods
    })
    .await;
}

#[tokio::test]
async fn nobodys_audit_or_suspension_dilutes_what_another_baseline_enforces() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "diluted").await;
    let namespace = set.namespace(plane, "a").await;
    let (strict, other) = (set.name.clone(), format!("{}-other", set.name));
    one_by_one(&set, &[(&strict, &pods("Enforce", 3)), (&other, &pods("Enforce", 5))]).await;
    allowed(&set, &namespace, "3").await;
    let mut suspended = pods("Enforce", 3);
    suspended["suspend"] = json!(true);
    for stopped in [pods("Audit", 3), suspended] {
        set.baseline(stopped).await;
        set.report_until(&namespace, "says that it does not enforce", |r| {
            r["status"]["baselines"][0]["state"] != "Enforced"
        })
        .await;
        // It is still held to, and to the smaller amount.
        let loose = json!({"spec": {"hard": {"pods": "99"}}});
        merge(&set.admin, "ResourceQuota", Some(&namespace), QUOTA, loose)
            .await
            .unwrap();
        allowed(&set, &namespace, "3").await;
    }
    // A younger one that only audits is told what it would change, and changes nothing.
    let audits = format!("{}-audits", set.name);
    set.baseline_named(&audits, pods("Audit", 2)).await.unwrap();
    let report = set
        .report_until(&namespace, "tells what would be", |r| {
            control(r, "resourceQuotas")["findings"][0]["reason"] == "Audited"
        })
        .await;
    let message = control(&report, "resourceQuotas")["findings"][0]["message"]
        .as_str()
        .unwrap();
    assert!(message.contains("declared \"2\", found \"3\""), "{message}");
    allowed(&set, &namespace, "3").await;
    // Nobody's share counts beyond its baseline.
    delete(&set.admin, "SecurityBaseline", None, &strict).await;
    allowed(&set, &namespace, "5").await;
}

#[tokio::test]
async fn what_an_audited_baseline_no_longer_asks_for_is_granted_no_more() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "withdrawn").await;
    let namespace = set.namespace(plane, "a").await;
    let (older, other) = (set.name.clone(), format!("{}-other", set.name));
    let asks = |mode: &str, groups: &[&str], allow: Value| {
        let subjects: Vec<_> = groups
            .iter()
            .map(|name| json!({"kind": "Group", "name": name}))
            .collect();
        json!({
            "mode": mode,
            "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": subjects}]},
            "networkIsolation": {"defaultDeny": ["Ingress"], "allow": allow},
        })
    };
    let rule = json!([{"name": "from-partner", "ingress": [{"ports": [{"protocol": "TCP", "port": 8080}]}]}]);
    let both = ["auditors", "contractors"];
    let before = asks("Enforce", &both, rule.clone());
    one_by_one(
        &set,
        &[(&older, &before), (&other, &asks("Enforce", &["team"], json!([])))],
    )
    .await;
    let bound = async |groups: &[&str]| {
        set.object_until(
            "RoleBinding",
            &namespace,
            "security-baseline-viewers",
            "binds them",
            |b| {
                let subjects = b["subjects"].as_array().into_iter().flatten();
                subjects.map(|s| s["name"].as_str().unwrap()).eq(groups.iter().copied())
            },
        )
        .await;
    };
    let deny = "security-baseline-default-deny-ingress";
    bound(&["auditors", "contractors", "team"]).await;
    set.baseline(asks("Audit", &both, rule.clone())).await;
    set.report_until(&namespace, "says that it does not enforce", |r| {
        r["status"]["baselines"][0]["state"] != "Enforced"
    })
    .await;
    // What it still asks for is kept.
    let policy = set.present("NetworkPolicy", &namespace, deny).await;
    assert_eq!(policy["spec"]["ingress"], rule[0]["ingress"]);
    bound(&["auditors", "contractors", "team"]).await;

    set.baseline(asks("Audit", &["auditors"], json!([]))).await;
    bound(&["auditors", "team"]).await;
    set.object_until("NetworkPolicy", &namespace, deny, "allows it no more", |p| {
        p["spec"].get("ingress").is_none()
    })
    .await;
}
