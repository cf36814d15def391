use serde_json::json;

use super::*;

fn told(quota: Value, pods: &[Value]) -> Vec<String> {
    let found = above(&quota, pods);
    found
        .into_iter()
        .map(|a| format!("{} {} > {}", a.resource, a.used, a.hard))
        .collect()
}

fn pod(spec: Value) -> Value {
    json!({"spec": spec, "status": {"phase": "Running"}})
}

fn container(requests: Value, limits: Value) -> Value {
    json!({"resources": {"requests": requests, "limits": limits}})
}

#[test]
fn what_all_running_pods_request_is_compared_with_what_would_be_allowed() {
    let one = pod(json!({"containers": [container(json!({"cpu": "300m", "memory": "1Gi"}), json!({"cpu": 1}))]}));
    let mut ended = one.clone();
    ended["status"]["phase"] = "Succeeded".into();
    let pods = [one.clone(), one, ended];
    let quota = json!({"hard": {"requests.cpu": "500m", "memory": "2Gi", "limits.cpu": "1500m", "pods": 1, "count/pods": "2", "services": 0}});
    assert_eq!(
        told(quota, &pods),
        [
            "count/pods 3 > 2",
            "limits.cpu 2 > 1500m",
            "pods 2 > 1",
            "requests.cpu 600m > 500m"
        ]
    );
}

#[test]
fn a_pod_counts_with_what_its_start_takes_its_sidecars_and_its_overhead() {
    let cpu = |amount: &str| json!({"resources": {"requests": {"cpu": amount}}});
    let mut sidecar = cpu("2");
    sidecar["restartPolicy"] = "Always".into();
    let spec = json!({"containers": [cpu("1")], "initContainers": [sidecar, cpu("4")], "overhead": {"cpu": "500m"}});
    assert_eq!(told(json!({"hard": {"cpu": 0}}), &[pod(spec)]), ["cpu 6500m > 0"]);
    let whole = json!({"containers": [cpu("1")], "resources": {"requests": {"cpu": 3}}});
    assert_eq!(told(json!({"hard": {"cpu": 0}}), &[pod(whole)]), ["cpu 3 > 0"]);
}

#[test]
fn only_pods_in_the_scopes_of_a_quota_count() {
    let idle = pod(json!({"containers": [{}]}));
    let busy = pod(json!({"containers": [container(json!({"cpu": 1}), json!({}))], "priorityClassName": "high"}));
    let job = pod(json!({"containers": [container(json!({"cpu": 1}), json!({}))], "activeDeadlineSeconds": 10}));
    let term = json!({"namespaces": ["other"]});
    let wide = pod(
        json!({"containers": [{}], "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}),
    );
    let low = pod(json!({"containers": [{}], "priorityClassName": "low"}));
    let pods = [idle, busy, job, wide, low];
    let in_scope = |quota: Value| {
        let mut quota = quota;
        quota["hard"] = json!({"pods": 0});
        told(quota, &pods)
            .first()
            .map_or(0, |told| told.split(' ').nth(1).unwrap().parse::<usize>().unwrap())
    };
    let by = |operator: &str, values: Value| json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": operator, "values": values}]}});
    for (quota, count) in [
        (json!({}), 5),
        (json!({"scopes": ["BestEffort"]}), 3),
        (json!({"scopes": ["NotBestEffort"]}), 2),
        (json!({"scopes": ["Terminating"]}), 1),
        (json!({"scopes": ["NotTerminating"]}), 4),
        (json!({"scopes": ["NotTerminating", "NotBestEffort"]}), 1),
        (json!({"scopes": ["CrossNamespacePodAffinity"]}), 1),
        (json!({"scopes": ["VolumeAttributesClass"]}), 0),
        (by("In", json!(["high"])), 1),
        (by("NotIn", json!(["high"])), 4),
        (by("Exists", json!(null)), 2),
        (by("DoesNotExist", json!(null)), 3),
    ] {
        assert_eq!(in_scope(quota.clone()), count, "{quota}");
    }
}

#[test]
fn what_a_container_needs_at_the_start_comes_on_top_of_the_sidecars_before_it() {
    let cpu = |amount: &str| json!({"resources": {"requests": {"cpu": amount}}});
    let mut sidecar = cpu("2");
    sidecar["restartPolicy"] = "Always".into();
    let spec = json!({"containers": [cpu("1")], "initContainers": [sidecar, cpu("4")]});
    assert_eq!(told(json!({"hard": {"cpu": 5}}), &[pod(spec)]), ["cpu 6 > 5"]);
    // And what runs then, with the sidecars, where that is more.
    let mut sidecar = cpu("2");
    sidecar["restartPolicy"] = "Always".into();
    let spec = json!({"containers": [cpu("3")], "initContainers": [sidecar, cpu("1")]});
    assert_eq!(told(json!({"hard": {"cpu": 4}}), &[pod(spec)]), ["cpu 5 > 4"]);
}

#[test]
fn overhead_counts_for_requests_and_only_for_limits_that_are_stated() {
    let overhead = |container: Value| pod(json!({"containers": [container], "overhead": {"cpu": "500m"}}));
    let quota = || json!({"hard": {"limits.cpu": 0, "requests.cpu": 0}});
    assert_eq!(told(quota(), &[overhead(json!({}))]), ["requests.cpu 500m > 0"]);
    let limited = container(json!({}), json!({"cpu": 1}));
    assert_eq!(
        told(quota(), &[overhead(limited)]),
        ["limits.cpu 1500m > 0", "requests.cpu 500m > 0"]
    );
}

#[test]
fn huge_pages_are_counted_by_their_size() {
    let pages = container(json!({"hugepages-2Mi": "4Mi"}), json!({}));
    let pods = [pod(json!({"containers": [pages]}))];
    let quota = json!({"hard": {"hugepages-2Mi": "2Mi", "hugepages-1Gi": 0}});
    assert_eq!(told(quota, &pods).len(), 1);
}
