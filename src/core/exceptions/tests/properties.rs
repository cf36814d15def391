//! What holds of every spec and all exceptions.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::core::control::Rendered;
use crate::core::object::Child;
use crate::core::world::testing::{cluster, namespace};

const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
const RULES: [&str; 3] = ["one", "two", "three"];

/// A spec of any sections that is accepted.
fn asked() -> impl Strategy<Value = Value> {
    (network(), quotas(), limits(), pod_security(), access()).prop_map(|(network, quotas, limits, pods, access)| {
        let mut spec = json!({"namespaceSelector": {}, "mode": "Enforce"});
        for (name, section) in [
            ("networkIsolation", network),
            ("resourceQuotas", quotas),
            ("limitRanges", limits),
            ("podSecurity", pods),
            ("access", access),
        ] {
            if let Some(section) = section {
                spec[name] = section;
            }
        }
        spec
    })
}

fn network() -> impl Strategy<Value = Option<Value>> {
    let directions = subsequence(vec!["Ingress", "Egress"], 1..=2);
    let rule = (any::<bool>(), any::<bool>(), any::<bool>());
    let rules = vec(proptest::option::of(rule), RULES.len());
    let section = (directions, rules, any::<bool>()).prop_map(|(directions, rules, api)| {
        let denies = |direction: &str| directions.contains(&direction);
        let mut allow = Vec::new();
        for (name, rule) in RULES.iter().zip(rules) {
            let Some((own, into, out)) = rule else { continue };
            let mut rule = json!({"name": name});
            if own {
                rule["podSelector"] = json!({"matchLabels": {"app": name}});
            }
            // Where neither is asked for, it is one of the directions that are denied.
            if denies("Ingress") && (into || !out || !denies("Egress")) {
                rule["ingress"] = json!([{"ports": [{"port": 80}]}]);
            }
            if denies("Egress") && (out || !denies("Ingress")) {
                rule["egress"] = json!([{"ports": [{"port": 443}]}]);
            }
            allow.push(rule);
        }
        let mut section = json!({"defaultDeny": directions, "allow": allow});
        if denies("Egress") {
            section["allowKubernetesAPI"] = json!(api);
            section["allowDNS"] = json!(true);
        }
        section
    });
    proptest::option::of(section)
}

fn quotas() -> impl Strategy<Value = Option<Value>> {
    let item = |name: &&str| json!({"name": name, "hard": {"pods": 5}});
    items(item)
}

fn limits() -> impl Strategy<Value = Option<Value>> {
    let item = |name: &&str| json!({"name": name, "limits": [{"type": "Pod", "max": {"cpu": 1}}]});
    items(item)
}

fn items(item: impl Fn(&&str) -> Value) -> impl Strategy<Value = Option<Value>> {
    subsequence(RULES.to_vec(), 0..=3).prop_map(move |names| {
        let items: Vec<Value> = names.iter().map(&item).collect();
        (!items.is_empty()).then(|| json!({"items": items}))
    })
}

fn pod_security() -> impl Strategy<Value = Option<Value>> {
    let standard = || proptest::option::of(select(&LEVELS[..]));
    (standard(), standard(), standard()).prop_map(|(enforce, audit, warn)| {
        let mut section = json!({});
        for (mode, level) in [("enforce", enforce), ("audit", audit), ("warn", warn)] {
            if let Some(level) = level {
                section[mode] = json!({"level": level, "version": "v1.36"});
            }
        }
        (section != json!({})).then_some(section)
    })
}

fn access() -> impl Strategy<Value = Option<Value>> {
    let roles = subsequence(RULES.to_vec(), 0..=3);
    (roles, vec(proptest::option::of(0..4_usize), 3)).prop_map(|(roles, bound)| {
        let rule = json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]});
        let mut bindings = Vec::new();
        for (name, role) in RULES.iter().zip(bound) {
            let Some(role) = role else { continue };
            let mut binding = json!({"name": name, "subjects": [{"kind": "User", "name": "jane"}]});
            match roles.get(role) {
                Some(role) => binding["role"] = json!(role),
                None => binding["clusterRole"] = json!("view"),
            }
            bindings.push(binding);
        }
        let roles: Vec<Value> = roles
            .iter()
            .map(|name| json!({"name": name, "rules": [rule]}))
            .collect();
        let mut section = json!({});
        for (field, list) in [("roles", roles), ("bindings", bindings)] {
            if !list.is_empty() {
                section[field] = json!(list);
            }
        }
        (section != json!({})).then_some(section)
    })
}

/// Every object that some spec of [`asked`] asks for, by its control.
fn names() -> Vec<(&'static str, Vec<String>)> {
    let of = |kind: &str, prefix: &str| -> Vec<String> {
        let name = |rule| format!("{kind}/security-baseline-{prefix}{rule}");
        RULES.into_iter().map(name).collect()
    };
    let deny = |direction: &str| format!("NetworkPolicy/security-baseline-default-deny-{direction}");
    let mut network = of("NetworkPolicy", "allow-");
    network.extend([deny("ingress"), deny("egress")]);
    vec![
        ("networkIsolation", network),
        ("resourceQuotas", of("ResourceQuota", "")),
        ("limitRanges", of("LimitRange", "")),
        ("access", [of("Role", ""), of("RoleBinding", "")].concat()),
    ]
}

/// What an exception waives; `whole` allows for whole controls.
fn waive(whole: bool) -> impl Strategy<Value = Value> {
    let level = proptest::option::of(select(&LEVELS[..]));
    let parts: Vec<_> = names()
        .into_iter()
        .map(|(control, names)| {
            let count = names.len();
            let objects =
                subsequence(names, 1..=count).prop_map(move |o| Some(json!({"control": control, "objects": o})));
            let all = Just(Some(json!({"control": control})));
            let all = if whole { all.boxed() } else { Just(None).boxed() };
            prop_oneof![3 => Just(None), 4 => objects, 1 => all]
        })
        .collect();
    (level, parts).prop_map(|(level, parts)| {
        let level = level.map(|level| json!({"control": "podSecurity", "level": level}));
        let parts: Vec<Value> = parts.into_iter().chain([level]).flatten().collect();
        json!(parts)
    })
}

/// Up to four exceptions, in this or another namespace, that expire at some second between 1 and 6.
fn exceptions(whole: bool) -> impl Strategy<Value = Vec<Arc<Exception>>> {
    let one = (waive(whole), 1..=6_i64, 0..4_usize).prop_filter("waives something", |(w, ..)| w != &json!([]));
    vec(one, 0..4).prop_map(|all| {
        let made = all.into_iter().enumerate().map(|(i, (waive, expires, place))| {
            let mut exception = (*exception(&format!("e{i}"), expires, waive)).clone();
            if place == 0 {
                exception.spec.namespaces = vec!["team-b".into()];
            }
            Arc::new(exception)
        });
        made.collect()
    })
}

/// What a spec means in a namespace: all children, all labels.
fn rendered(spec: &SecurityBaselineSpec) -> Rendered {
    let mut all = Rendered::default();
    for control in REGISTRY {
        let rendered = control.render(spec, &namespace(), &cluster());
        all.children.extend(rendered.children);
        all.labels.extend(rendered.labels);
        assert_eq!(rendered.held, []);
    }
    all
}

/// What becomes of a child when these objects are waived, read off the child itself.
fn expected(child: &Child, named: &BTreeSet<String>) -> Option<Child> {
    if named.contains(&child.id.to_string()) {
        return None;
    }
    let left = child.clone();
    if child.id.kind.kind == "RoleBinding" {
        let role = &child.fields["roleRef"];
        let role = format!("{}/{}", role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
        return (!named.contains(&role)).then_some(left);
    }
    if child.id.kind.kind != "NetworkPolicy" {
        return Some(left);
    }
    let mut fields = child.fields.clone();
    let spec = fields["spec"].as_object_mut().unwrap();
    let types = spec["policyTypes"].as_array_mut().unwrap();
    let waived = |direction: &str| named.contains(&format!("NetworkPolicy/security-baseline-default-deny-{direction}"));
    types.retain(|t| !waived(&t.as_str().unwrap().to_lowercase()));
    let isolates = !types.is_empty();
    spec.retain(|field, _| !waived(field));
    let name = child.id.name.trim_start_matches(crate::core::object::RESERVED_PREFIX);
    isolates.then(|| Child::new(child.id.kind, child.component, name, fields.into()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_named_goes_and_what_is_not_named_is_unchanged(asked in asked(), all in exceptions(false), now in 0..7_i64) {
        let asked = spec(asked);
        prop_assert_eq!(validate_baseline(REGISTRY, &asked).into_vec(), []);
        let holding = all.iter().filter(|e| e.expires > at(now) && e.spec.namespaces == ["team-a"]);
        let entries: Vec<_> = holding.flat_map(|e| &e.spec.waive).collect();
        let named: BTreeSet<String> = entries.iter().flat_map(|w| w.objects.iter().flatten()).cloned().collect();
        let level = entries.iter().filter_map(|w| w.level).max();

        let (left, waived) = waivers(&all, "team-a", at(now)).apply(&asked);
        prop_assert_eq!(validate_baseline(REGISTRY, &left).into_vec(), []);
        let (before, after) = (rendered(&asked), rendered(&left));
        let children: Vec<Child> = before.children.iter().filter_map(|child| expected(child, &named)).collect();
        prop_assert_eq!(&after.children, &children);

        // All that is gone is told, and nothing else is.
        let ids = |rendered: &Rendered| -> BTreeSet<String> { rendered.children.iter().map(|c| c.id.to_string()).collect() };
        let gone: BTreeSet<String> = ids(&before).difference(&ids(&after)).cloned().collect();
        let told: BTreeSet<String> = waived.iter().filter_map(|w| w.object.clone()).collect();
        prop_assert_eq!(told, gone);

        let mut lowered = asked.clone();
        let enforce = lowered.pod_security.as_mut().and_then(|p| p.enforce.as_mut());
        let falls = enforce.is_some_and(|enforce| {
            let falls = level.is_some_and(|level| level < enforce.level);
            enforce.level = enforce.level.min(level.unwrap_or(enforce.level));
            falls
        });
        prop_assert_eq!(&left.pod_security, &lowered.pod_security);
        prop_assert_eq!(waived.iter().any(|w| w.control == WaivedControl::PodSecurity), falls);
        prop_assert_eq!(waived.is_empty(), left == asked);
    }

    #[test]
    fn the_order_of_exceptions_never_matters(
        asked in asked(),
        (all, shuffled) in exceptions(true).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        now in 0..7_i64,
    ) {
        let (one, other) = (waivers(&all, "team-a", at(now)), waivers(&shuffled, "team-a", at(now)));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(one.apply(&spec(asked.clone())), other.apply(&spec(asked)));
    }

    #[test]
    fn nothing_changes_before_the_next_expiry_and_expired_exceptions_might_as_well_not_exist(
        all in exceptions(true),
        now in 0..7_i64,
    ) {
        let here = waivers(&all, "team-a", at(now));
        let left: Vec<_> = all.iter().filter(|e| e.expires > at(now)).cloned().collect();
        prop_assert_eq!(&waivers(&left, "team-a", at(now)), &here);
        match here.next {
            Some(next) => {
                prop_assert!(next > at(now));
                prop_assert_eq!(&waivers(&all, "team-a", next - SignedDuration::from_nanos(1)), &here);
                prop_assert_ne!(&waivers(&all, "team-a", next), &here);
            }
            None => prop_assert!(here.is_empty()),
        }
    }

    #[test]
    fn what_is_left_has_nothing_more_to_waive(asked in asked(), all in exceptions(true)) {
        let here = waivers(&all, "team-a", at(0));
        let (left, _) = here.apply(&spec(asked));
        prop_assert_eq!(here.apply(&left), (left, vec![]));
    }
}
