//! Specs that are accepted, made so that baselines meet: few names, few values.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::core::validate::validate;

/// One of a few values, so that baselines meet.
fn few<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    select(values.to_vec())
}

fn amounts(resources: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let amount = few(&["1", "2", "2000m", "3", "5"]);
    btree_map(few(resources), amount, 0..3).prop_map(|list| json!(list))
}

fn named(name: &str, mut item: Value) -> Value {
    item["name"] = json!(name);
    item
}

/// Items under two names, some of them there.
fn items(item: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Vec<Value>> {
    let item = item.boxed();
    (option::of(item.clone()), option::of(item)).prop_map(|(a, b)| {
        let all = [("a", a), ("b", b)];
        all.into_iter()
            .filter_map(|(name, item)| Some(named(name, item?)))
            .collect()
    })
}

fn network() -> impl Strategy<Value = Value> {
    let rule = (few(&[80, 443]), any::<bool>(), 1..4_u8);
    let rules = items(rule.prop_map(|(port, own, way)| json!({"port": port, "own": own, "way": way})));
    let directions = subsequence(vec!["Ingress", "Egress"], 1..=2);
    (
        directions,
        few(&[None, Some(true)]),
        few(&["found", "stated", "off"]),
        any::<bool>(),
        rules,
    )
        .prop_map(|(directions, same, dns, api, rules)| {
            let mut section = json!({"defaultDeny": directions, "allowSameNamespace": same});
            if directions.contains(&"Egress") {
                section["allowKubernetesAPI"] = json!(api);
                match dns {
                    "stated" => {
                        section["dns"] =
                            json!({"peers": [{"ipBlock": {"cidr": "192.0.2.53/32"}}], "ports": [{"port": 53}]})
                    }
                    "off" => section["allowDNS"] = json!(false),
                    _ => {}
                }
            }
            let rule = |rule: Value| {
                let ports = json!([{"ports": [{"port": rule["port"]}]}]);
                let mut allow = json!({"name": rule["name"]});
                if rule["own"] == true {
                    allow["podSelector"] = json!({"matchLabels": {"app": "web"}});
                }
                for (i, direction) in directions.iter().enumerate() {
                    if rule["way"].as_u64().unwrap() & (1 << i) != 0 || directions.len() == 1 {
                        allow[direction.to_lowercase()] = ports.clone();
                    }
                }
                allow
            };
            section["allow"] = rules.into_iter().map(rule).collect();
            section
        })
}

/// Bounds of one resource that do not contradict each other, some of them there.
fn bounds() -> impl Strategy<Value = [Option<u32>; 4]> {
    (vec(1..6_u32, 4), subsequence(vec![0_usize, 1, 2, 3], 0..=4)).prop_map(|(mut amounts, there)| {
        amounts.sort_unstable();
        let mut bounds = [None; 4];
        for i in there {
            bounds[i] = Some(amounts[i]);
        }
        bounds
    })
}

fn limit() -> impl Strategy<Value = Value> {
    let resources = subsequence(vec!["cpu", "memory", "example.com/gpu"], 1..=2);
    (
        few(&["Container", "Pod"]),
        resources,
        vec(bounds(), 2),
        option::of(1..4_u32),
    )
        .prop_map(|(type_, resources, bounds, ratio)| {
            let mut limit = json!({ "type": type_ });
            for (resource, [min, request, default, max]) in resources.into_iter().zip(bounds) {
                // What is not shared out has one default; the maximum is one, where none is stated.
                let one = request.filter(|_| resource.contains('/') && default.or(max).is_some());
                let default = one.or(default);
                let ratio = ratio.filter(|ratio| ratio * min.unwrap_or(1) <= max.unwrap_or(9));
                let lists = [
                    ("min", min),
                    ("max", max),
                    ("maxLimitRequestRatio", ratio),
                    ("defaultRequest", request),
                    ("default", default),
                ];
                // Type Pod has no defaults.
                for (list, amount) in lists.into_iter().take(if type_ == "Pod" { 3 } else { 5 }) {
                    if let Some(amount) = amount {
                        limit[list][resource] = json!(amount);
                    }
                }
            }
            json!({ "limits": [limit] })
        })
}

fn pod_security() -> impl Strategy<Value = Value> {
    let standard = || {
        let level = few(&["privileged", "baseline", "restricted"]);
        let version = few(&[None, Some("latest"), Some("v1.9"), Some("v1.10"), Some("v1.36")]);
        (level, version).prop_map(|(level, version)| json!({"level": level, "version": version}))
    };
    (option::of(standard()), option::of(standard()))
        .prop_map(|(enforce, warn)| json!({"enforce": enforce, "warn": warn}))
}

fn access() -> impl Strategy<Value = Value> {
    let role = few(&["get", "list"])
        .prop_map(|verb| json!({"rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [verb]}]}));
    let user = |user: &str| json!({"kind": "User", "name": user});
    let users = subsequence(vec![user("jane"), user("joe"), user("ann")], 1..3);
    let binding = (few(&["a", "b", "view"]), users).prop_map(|(to, users)| json!({"to": to, "subjects": users}));
    (items(role), items(binding)).prop_map(|(roles, bindings)| {
        let has = |name: &Value| roles.iter().any(|role| &role["name"] == name);
        let bind = |mut binding: Value| {
            let to = binding.as_object_mut().unwrap().remove("to").unwrap();
            let field = if has(&to) { "role" } else { "clusterRole" };
            binding[field] = to;
            binding
        };
        let bindings: Vec<Value> = bindings.into_iter().map(bind).collect();
        json!({"roles": roles, "bindings": bindings})
    })
}

/// Limit ranges alone, since theirs is the rule with the most exceptions.
pub(super) fn limit_ranges() -> impl Strategy<Value = Vec<Arc<Baseline>>> {
    let sections = limit().prop_map(|item| sound(json!({"limitRanges": {"items": [named("a", item)]}})));
    baselines(sections, 2)
}

/// Some sections that are accepted.
fn sections() -> impl Strategy<Value = Value> {
    let quota = (
        amounts(&["pods", "requests.cpu"]),
        few(&[json!([]), json!(["Terminating"])]),
    );
    let quota = quota.prop_map(|(hard, scopes)| json!({"hard": hard, "scopes": scopes}));
    (
        option::of(network()),
        items(quota),
        items(limit()),
        option::of(pod_security()),
        access(),
    )
        .prop_map(|(network, quotas, limits, security, access)| {
            let all = [
                ("networkIsolation", network),
                ("resourceQuotas", Some(json!({ "items": quotas }))),
                ("limitRanges", Some(json!({ "items": limits }))),
                ("podSecurity", security),
                ("access", Some(access)),
            ];
            all.into_iter()
                .filter_map(|(name, section)| Some((name.to_owned(), section?)))
                .collect::<Value>()
        })
        .prop_map(sound)
}

/// Without the sections that are refused: bounds that contradict each other, lists of nothing.
fn sound(sections: Value) -> Value {
    let accepted = |(name, section): (&String, &Value)| {
        let mut alone = json!({"namespaceSelector": {}});
        alone[name] = section.clone();
        let spec = serde_json::from_value(alone).unwrap();
        validate(REGISTRY, &spec).is_empty()
    };
    let all = sections.as_object().unwrap();
    all.iter()
        .filter(|(name, section)| accepted((name, section)))
        .map(|(n, s)| (n.clone(), s.clone()))
        .collect()
}

/// Baselines of a few ages, enforced.
pub(super) fn some(least: usize) -> impl Strategy<Value = Vec<Arc<Baseline>>> {
    baselines(sections(), least)
}

fn baselines(sections: impl Strategy<Value = Value>, least: usize) -> impl Strategy<Value = Vec<Arc<Baseline>>> {
    vec((sections, 1..4_i64), least..5).prop_map(|all| {
        let named = all.into_iter().enumerate();
        named
            .map(|(i, (sections, age))| baseline(&format!("b{i}"), age, sections))
            .collect()
    })
}

/// The same, but one of them audited or suspended: as it was, and as it is.
pub(super) fn some_and_another() -> impl Strategy<Value = (Vec<Arc<Baseline>>, Arc<Baseline>, Arc<Baseline>)> {
    let stopped = few(&[json!({"mode": "Audit"}), json!({"suspend": true})]);
    (some(1), sections(), 1..4_i64, stopped).prop_map(|(others, sections, age, stopped)| {
        let before = baseline("another", age, sections.clone());
        let mut sections = sections;
        sections
            .as_object_mut()
            .unwrap()
            .extend(stopped.as_object().unwrap().clone());
        let after = edited(&before, sections);
        (others, before, after)
    })
}
