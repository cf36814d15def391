//! What no baseline may say: a spec for each mistake, the field that the refusal has to name, and the mend.

mod access;
mod network;

use serde_json::{Value, json};

/// A mistake: what it is, the spec, the field's path, and a part of what the refusal tells.
pub struct Refusal(pub &'static str, pub Value, pub &'static str, pub &'static str);

/// A section of an otherwise good spec.
fn section(name: &str, value: Value) -> Value {
    json!({"namespaceSelector": {}, name: value})
}

fn quota(quota: Value) -> Value {
    let mut quota = quota;
    quota["name"] = json!("q");
    section("resourceQuotas", json!({"items": [quota]}))
}

fn limit(limit: Value) -> Value {
    section("limitRanges", json!({"items": [{"name": "l", "limits": [limit]}]}))
}

fn many(count: usize, item: impl Fn(String) -> Value) -> Value {
    (0..count).map(|i| item(format!("n{i}"))).collect()
}

pub fn all() -> Vec<Refusal> {
    [
        selection(),
        conduct(),
        pod_security(),
        quotas(),
        limits(),
        network::network(),
        network::peers(),
        access::access(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn selection() -> Vec<Refusal> {
    let selector = |selector: Value| json!({"namespaceSelector": selector});
    vec![
        Refusal(
            "no selector",
            json!({"mode": "Audit"}),
            "spec.namespaceSelector",
            "Required value",
        ),
        Refusal(
            "an unknown mode",
            json!({"namespaceSelector": {}, "mode": "enforce"}),
            "spec.mode",
            "\"Audit\", \"Enforce\"",
        ),
        Refusal(
            "a bad label key",
            selector(json!({"matchLabels": {"-bad": "x"}})),
            "spec.namespaceSelector.matchLabels",
            "an optional DNS prefix and a slash",
        ),
        Refusal(
            "a bad label value",
            selector(json!({"matchLabels": {"key": "no spaces"}})),
            "spec.namespaceSelector.matchLabels.key",
            "should match",
        ),
        Refusal(
            "a bad key in an expression",
            selector(json!({"matchExpressions": [{"key": "a b", "operator": "Exists"}]})),
            "spec.namespaceSelector.matchExpressions[0].key",
            "should match",
        ),
        Refusal(
            "In without values",
            selector(json!({"matchExpressions": [{"key": "a", "operator": "In"}]})),
            "spec.namespaceSelector.matchExpressions[0]",
            "need at least one of `values`",
        ),
        Refusal(
            "Exists with values",
            selector(json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]})),
            "spec.namespaceSelector.matchExpressions[0]",
            "take none",
        ),
        Refusal(
            "a bad pattern",
            json!({"namespaceSelector": {}, "excludedNamespaces": ["Team?"]}),
            "spec.excludedNamespaces[0]",
            "should match",
        ),
        Refusal(
            "too many exclusions",
            json!({"namespaceSelector": {}, "excludedNamespaces": many(257, Value::String)}),
            "spec.excludedNamespaces",
            "at most 256 items",
        ),
    ]
}

/// What a baseline says of how it is carried out and ended.
fn conduct() -> Vec<Refusal> {
    let rollout = |rollout: Value| section("rollout", rollout);
    let released = |names: Value| section("releasedNamespaces", names);
    let rate = "spec.rollout.maxNamespacesPerMinute";
    vec![
        Refusal(
            "an unknown deletionPolicy",
            section("deletionPolicy", json!("Destroy")),
            "spec.deletionPolicy",
            "\"Retain\", \"Delete\"",
        ),
        Refusal(
            "an unknown preflight",
            section("preflight", json!("hold")),
            "spec.preflight",
            "\"Hold\", \"Ignore\"",
        ),
        Refusal("a rollout of no pace", rollout(json!({})), rate, "Required value"),
        Refusal(
            "a rollout that never comes",
            rollout(json!({"maxNamespacesPerMinute": 0})),
            rate,
            "greater than or equal to 1",
        ),
        Refusal(
            "a rollout at no pace that there is",
            rollout(json!({"maxNamespacesPerMinute": 1_000_001})),
            rate,
            "less than or equal to 1000000",
        ),
        Refusal(
            "a rollout at a pace in words",
            rollout(json!({"maxNamespacesPerMinute": "5"})),
            rate,
            "must be of type integer",
        ),
        Refusal(
            "a pattern of released namespaces",
            released(json!(["team-a", "team-*"])),
            "spec.releasedNamespaces[1]",
            "should match",
        ),
        Refusal(
            "a released namespace without a name",
            released(json!([""])),
            "spec.releasedNamespaces[0]",
            "should be at least 1 chars long",
        ),
        Refusal(
            "too many released namespaces",
            released(many(1025, Value::String)),
            "spec.releasedNamespaces",
            "at most 1024 items",
        ),
    ]
}

fn pod_security() -> Vec<Refusal> {
    let enforce = |standard: Value| section("podSecurity", json!({"enforce": standard}));
    let version = "write latest or a version of Kubernetes such as v1.36";
    vec![
        Refusal(
            "an empty podSecurity",
            section("podSecurity", json!({})),
            "spec.podSecurity",
            "give it enforce, audit or warn",
        ),
        Refusal(
            "an unknown level",
            enforce(json!({"level": "strict"})),
            "spec.podSecurity.enforce.level",
            "\"privileged\", \"baseline\", \"restricted\"",
        ),
        Refusal(
            "a version without v",
            enforce(json!({"level": "baseline", "version": "1.36"})),
            "spec.podSecurity.enforce.version",
            version,
        ),
        Refusal(
            "a patch version",
            enforce(json!({"level": "baseline", "version": "v1.36.1"})),
            "spec.podSecurity.enforce.version",
            version,
        ),
    ]
}

fn quotas() -> Vec<Refusal> {
    let hard = |key: &str, value: Value| quota(json!({"hard": {key: value}}));
    let (amount, key) = (
        "write an amount of zero or more",
        "not a resource that Kubernetes can count",
    );
    let item = |name: String| json!({"name": name, "hard": {"pods": 1}});
    vec![
        Refusal(
            "empty resourceQuotas",
            section("resourceQuotas", json!({"items": []})),
            "spec.resourceQuotas.items",
            "at least 1 items",
        ),
        Refusal(
            "a quota of nothing",
            quota(json!({"hard": {}})),
            "spec.resourceQuotas.items[0].hard",
            "at least one resource",
        ),
        Refusal(
            "a negative number",
            hard("pods", json!(-1)),
            "spec.resourceQuotas.items[0].hard[pods]",
            amount,
        ),
        Refusal(
            "a negative quantity",
            hard("memory", json!("-5Gi")),
            "spec.resourceQuotas.items[0].hard[memory]",
            amount,
        ),
        Refusal(
            "no quantity",
            hard("memory", json!("5 gigs")),
            "spec.resourceQuotas.items[0].hard[memory]",
            amount,
        ),
        Refusal(
            "an uncountable key",
            hard("cpus", json!(1)),
            "spec.resourceQuotas.items[0].hard",
            key,
        ),
        Refusal(
            "a limit of pods",
            hard("limits.pods", json!(1)),
            "spec.resourceQuotas.items[0].hard",
            key,
        ),
        Refusal(
            "scopes that exclude each other",
            quota(json!({"hard": {"pods": 1}, "scopes": ["BestEffort", "NotBestEffort"]})),
            "spec.resourceQuotas.items[0].scopes",
            "keep one of them",
        ),
        Refusal(
            "an unknown scope",
            quota(json!({"hard": {"pods": 1}, "scopes": ["Everything"]})),
            "spec.resourceQuotas.items[0].scopes[0]",
            "supported values",
        ),
        Refusal(
            "two quotas of one name",
            section("resourceQuotas", json!({"items": [item("a".into()), item("a".into())]})),
            "spec.resourceQuotas.items[1]",
            "Duplicate value",
        ),
        Refusal(
            "a bad quota name",
            section("resourceQuotas", json!({"items": [item("Compute".into())]})),
            "spec.resourceQuotas.items[0].name",
            "should match",
        ),
        Refusal(
            "a long quota name",
            section("resourceQuotas", json!({"items": [item("a".repeat(40))]})),
            "spec.resourceQuotas.items[0].name",
            "may not be more than 39 bytes",
        ),
        Refusal(
            "too many quotas",
            section("resourceQuotas", json!({"items": many(33, item)})),
            "spec.resourceQuotas.items",
            "at most 32 items",
        ),
        Refusal(
            "too many keys",
            quota(
                json!({"hard": (0..33).map(|i| (format!("count/r{i}"), json!(1))).collect::<serde_json::Map<_, _>>()}),
            ),
            "spec.resourceQuotas.items[0].hard",
            "at most 32 items",
        ),
    ]
}

fn limits() -> Vec<Refusal> {
    let at = "spec.limitRanges.items[0].limits[0]";
    let item = |name: String| json!({"name": name, "limits": [{"type": "Pod", "max": {"cpu": 1}}]});
    vec![
        Refusal(
            "empty limitRanges",
            section("limitRanges", json!({"items": []})),
            "spec.limitRanges.items",
            "at least 1 items",
        ),
        Refusal(
            "a limit of nothing",
            limit(json!({"type": "Container"})),
            at,
            "give it max, min, default, defaultRequest",
        ),
        Refusal(
            "a negative limit",
            limit(json!({"type": "Container", "max": {"cpu": "-1"}})),
            "spec.limitRanges.items[0].limits[0].max[cpu]",
            "zero or more",
        ),
        Refusal(
            "min above max",
            limit(json!({"type": "Container", "min": {"cpu": 2}, "max": {"cpu": "1500m"}})),
            "spec.limitRanges.items[0].limits[0].min",
            "lower min, or raise max",
        ),
        Refusal(
            "a default for a pod",
            limit(json!({"type": "Pod", "default": {"cpu": 1}})),
            at,
            "state them for type Container",
        ),
        Refusal(
            "a claim without storage",
            limit(json!({"type": "PersistentVolumeClaim", "max": {"cpu": 1}})),
            at,
            "needs min or max of `storage`",
        ),
        Refusal(
            "two limit ranges of one name",
            section("limitRanges", json!({"items": [item("a".into()), item("a".into())]})),
            "spec.limitRanges.items[1]",
            "Duplicate value",
        ),
        Refusal(
            "two limits of one type",
            section(
                "limitRanges",
                json!({"items": [{"name": "l", "limits": [{"type": "Pod", "max": {"cpu": 1}}, {"type": "Pod", "max": {"cpu": 2}}]}]}),
            ),
            "spec.limitRanges.items[0].limits[1]",
            "Duplicate value",
        ),
        Refusal(
            "too many limit ranges",
            section("limitRanges", json!({"items": many(17, item)})),
            "spec.limitRanges.items",
            "at most 16 items",
        ),
    ]
}
