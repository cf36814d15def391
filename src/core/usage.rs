//! What pods use, as a quota counts it (source: the quota evaluator for pods of Kubernetes).
//!
//! Other things that a quota may count (services, claims, `count/…`) are not looked at: that would take reading them all.

use serde_json::Value;

use super::quantity::Milli;

/// A resource of which more is used than a quota would allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above {
    /// The resource, as the quota names it.
    pub resource: String,
    /// How much is used.
    pub used: Milli,
    /// How much would be allowed.
    pub hard: Milli,
}

/// Of which resources these pods use more than a quota would allow, by its spec.
pub fn above(quota: &Value, pods: &[Value]) -> Vec<Above> {
    let counted: Vec<&Value> = pods.iter().filter(|pod| in_scope(quota, pod)).collect();
    let hard = quota["hard"].as_object().into_iter().flatten();
    hard.filter_map(|(resource, amount)| {
        let hard = quantity(amount)?;
        let used = used(resource, &counted)?;
        (used > hard).then(|| Above {
            resource: resource.clone(),
            used,
            hard,
        })
    })
    .collect()
}

/// How much of a resource pods use; `None` where it is not one of pods.
fn used(resource: &str, pods: &[&Value]) -> Option<Milli> {
    // Pods that ended use nothing; only `count/pods` counts them.
    let running = || pods.iter().filter(|pod| !ended(pod));
    let whole = |count: usize| Milli(count as i128 * 1000);
    let sum = |what: &str, resource: &str| Milli(running().map(|pod| of_pod(pod, what, resource).0).sum());
    match resource {
        "pods" => Some(whole(running().count())),
        "count/pods" => Some(whole(pods.len())),
        "cpu" | "memory" | "ephemeral-storage" => Some(sum("requests", resource)),
        _ if resource.starts_with("hugepages-") => Some(sum("requests", resource)),
        _ => {
            let (what, resource) = resource.split_once('.')?;
            matches!(what, "requests" | "limits").then(|| sum(what, resource))
        }
    }
}

fn ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
}

/// What a pod requests of a resource, or what its limit is: its containers' and sidecars' together or the most that
/// its start takes, whichever is more, and its overhead.
fn of_pod(pod: &Value, what: &str, resource: &str) -> Milli {
    let of = |container: &Value| amount(&container["resources"], what, resource);
    let spec = &pod["spec"];
    let list = |field: &str| spec[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let (mut sidecars, mut start) = (0, 0);
    for container in list("initContainers") {
        if container["restartPolicy"] == "Always" {
            sidecars += of(container);
            start = start.max(sidecars);
        } else {
            start = start.max(sidecars + of(container));
        }
    }
    let together = list("containers").iter().map(of).sum::<i128>() + sidecars;
    // What is stated for the pod as a whole holds instead.
    let stated = spec["resources"][what].get(resource).and_then(quantity);
    let used = stated.map_or(together.max(start), |stated| stated.0);
    let overhead = spec["overhead"]
        .get(resource)
        .and_then(quantity)
        .map_or(0, |overhead| overhead.0);
    Milli(if what == "limits" && used == 0 {
        0
    } else {
        used + overhead
    })
}

fn amount(resources: &Value, what: &str, resource: &str) -> i128 {
    resources[what]
        .get(resource)
        .and_then(quantity)
        .map_or(0, |amount| amount.0)
}

fn quantity(value: &Value) -> Option<Milli> {
    match value {
        Value::String(text) => Milli::parse(text).ok(),
        Value::Number(number) => Milli::parse(&number.to_string()).ok(),
        _ => None,
    }
}

fn in_scope(quota: &Value, pod: &Value) -> bool {
    let scopes = quota["scopes"].as_array().into_iter().flatten();
    let by_name = |scope: &Value| {
        scope
            .as_str()
            .is_some_and(|scope| has(pod, scope, "Exists", &Value::Null))
    };
    let requirements = quota["scopeSelector"]["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let by_requirement = |r: &Value| {
        let (scope, operator) = (r["scopeName"].as_str(), r["operator"].as_str());
        has(
            pod,
            scope.unwrap_or_default(),
            operator.unwrap_or_default(),
            &r["values"],
        )
    };
    scopes.into_iter().all(by_name) && requirements.into_iter().all(by_requirement)
}

fn has(pod: &Value, scope: &str, operator: &str, values: &Value) -> bool {
    let spec = &pod["spec"];
    let limited = spec["activeDeadlineSeconds"].as_i64().is_some();
    match scope {
        "Terminating" => limited,
        "NotTerminating" => !limited,
        "BestEffort" => best_effort(spec),
        "NotBestEffort" => !best_effort(spec),
        "PriorityClass" => {
            let class = spec["priorityClassName"].as_str().unwrap_or_default();
            let listed = values
                .as_array()
                .is_some_and(|values| values.iter().any(|v| v == class));
            match operator {
                "In" => listed,
                "NotIn" => !listed,
                "DoesNotExist" => class.is_empty(),
                _ => !class.is_empty(),
            }
        }
        "CrossNamespacePodAffinity" => ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
            let affinity = &spec["affinity"][kind];
            let required = affinity["requiredDuringSchedulingIgnoredDuringExecution"].as_array();
            let preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"].as_array();
            let preferred = preferred.into_iter().flatten().map(|term| &term["podAffinityTerm"]);
            let terms = required.into_iter().flatten().chain(preferred);
            terms.into_iter().any(|term| {
                term["namespaceSelector"].is_object() || term["namespaces"].as_array().is_some_and(|n| !n.is_empty())
            })
        }),
        // It is one of claims.
        _ => false,
    }
}

/// Whether no container asks for anything (source: the QoS classes of pods).
fn best_effort(spec: &Value) -> bool {
    let all = ["containers", "initContainers"]
        .iter()
        .flat_map(|field| spec[field].as_array().into_iter().flatten());
    !all.chain([spec]).any(|container| {
        ["requests", "limits"].iter().any(|what| {
            ["cpu", "memory"]
                .iter()
                .any(|resource| amount(&container["resources"], what, resource) > 0)
        })
    })
}

#[cfg(test)]
mod tests;
