//! What no baseline may say: a spec for each mistake, the field that the refusal has to name, and the mend.

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

/// An ingress rule, where ingress is denied.
fn ingress(rule: Value) -> Value {
    section(
        "networkIsolation",
        json!({"defaultDeny": ["Ingress"], "allow": [{"name": "a", "ingress": [rule]}]}),
    )
}

/// Something changed in one good rule of a role.
fn rule(field: &str, value: Value) -> Value {
    let mut rule = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]});
    rule[field] = value;
    section("access", json!({"roles": [{"name": "r", "rules": [rule]}]}))
}

/// Something changed in one good binding.
fn binding(field: &str, value: Value) -> Value {
    let mut binding = json!({"name": "b", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "g"}]});
    binding[field] = value;
    section("access", json!({"bindings": [binding]}))
}

fn subject(subject: Value) -> Value {
    binding("subjects", json!([subject]))
}

fn many(count: usize, item: impl Fn(String) -> Value) -> Value {
    (0..count).map(|i| item(format!("n{i}"))).collect()
}

pub fn all() -> Vec<Refusal> {
    [
        selection(),
        pod_security(),
        quotas(),
        limits(),
        network(),
        peers(),
        access(),
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
            "deletion that deletes",
            json!({"namespaceSelector": {}, "deletionPolicy": "Delete"}),
            "spec.deletionPolicy",
            "leave it out, or write Retain",
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

fn network() -> Vec<Refusal> {
    let network = |value: Value| section("networkIsolation", value);
    let allow = |rules: Value| network(json!({"defaultDeny": ["Ingress"], "allow": rules}));
    let named = |name: String| json!({"name": name, "ingress": [{"ports": [{"port": 80}]}]});
    vec![
        Refusal(
            "an empty networkIsolation",
            network(json!({})),
            "spec.networkIsolation.defaultDeny",
            "Required value",
        ),
        Refusal(
            "nothing denied",
            network(json!({"defaultDeny": []})),
            "spec.networkIsolation.defaultDeny",
            "at least 1 items",
        ),
        Refusal(
            "an unknown direction",
            network(json!({"defaultDeny": ["In"]})),
            "spec.networkIsolation.defaultDeny[0]",
            "\"Ingress\", \"Egress\"",
        ),
        Refusal(
            "ingress that is not denied",
            network(json!({"defaultDeny": ["Egress"], "allow": [named("a".into())]})),
            "spec.networkIsolation.allow",
            "add Ingress to defaultDeny",
        ),
        Refusal(
            "egress that is not denied",
            allow(json!([{"name": "a", "egress": [{"ports": [{"port": 80}]}]}])),
            "spec.networkIsolation.allow",
            "add Egress to defaultDeny",
        ),
        Refusal(
            "DNS that is not denied",
            network(json!({"defaultDeny": ["Ingress"], "allowDNS": true})),
            "spec.networkIsolation.allowDNS",
            "add Egress to defaultDeny",
        ),
        Refusal(
            "an API server that is not denied",
            network(json!({"defaultDeny": ["Ingress"], "allowKubernetesAPI": true})),
            "spec.networkIsolation.allowKubernetesAPI",
            "add Egress to defaultDeny",
        ),
        Refusal(
            "a stated DNS that is not allowed",
            network(
                json!({"defaultDeny": ["Egress"], "allowDNS": false, "dns": {"peers": [{"podSelector": {}}], "ports": [{"port": 53}]}}),
            ),
            "spec.networkIsolation.dns",
            "leave one of them out",
        ),
        Refusal(
            "a rule that allows nothing",
            allow(json!([{"name": "a"}])),
            "spec.networkIsolation.allow[0]",
            "give it `ingress` or `egress`",
        ),
        Refusal(
            "two rules of one name",
            allow(json!([named("a".into()), named("a".into())])),
            "spec.networkIsolation.allow[1]",
            "Duplicate value",
        ),
        Refusal(
            "too many rules",
            allow(many(33, named)),
            "spec.networkIsolation.allow",
            "at most 32 items",
        ),
        Refusal(
            "an ingress rule for everything",
            ingress(json!({})),
            "spec.networkIsolation.allow[0].ingress[0]",
            "name at least one peer or one port",
        ),
        Refusal(
            "an egress rule for everything",
            network(json!({"defaultDeny": ["Egress"], "allow": [{"name": "a", "egress": [{}]}]})),
            "spec.networkIsolation.allow[0].egress[0]",
            "name at least one peer or one port",
        ),
        Refusal(
            "a rule of empty lists",
            ingress(json!({"from": [], "ports": []})),
            "spec.networkIsolation.allow[0].ingress[0].from",
            "at least 1 items",
        ),
    ]
}

fn peers() -> Vec<Refusal> {
    let peer = |peer: Value| ingress(json!({"from": [peer]}));
    let port = |port: Value| ingress(json!({"ports": [port]}));
    let (from, ports) = (
        "spec.networkIsolation.allow[0].ingress[0].from[0]",
        "spec.networkIsolation.allow[0].ingress[0].ports[0]",
    );
    let number = "1 to 65535";
    vec![
        Refusal(
            "a peer of nothing",
            peer(json!({})),
            from,
            "needs podSelector, namespaceSelector or ipBlock",
        ),
        Refusal(
            "a peer of two sorts",
            peer(json!({"podSelector": {}, "ipBlock": {"cidr": "192.0.2.0/24"}})),
            from,
            "write two peers",
        ),
        Refusal(
            "a bad CIDR",
            peer(json!({"ipBlock": {"cidr": "192.0.2.0"}})),
            "from[0].ipBlock.cidr",
            "such as 192.0.2.0/24",
        ),
        Refusal(
            "a bad exception",
            peer(json!({"ipBlock": {"cidr": "192.0.2.0/24", "except": ["x"]}})),
            "from[0].ipBlock.except[0]",
            "such as 192.0.2.0/24",
        ),
        Refusal(
            "a bad label in a peer",
            peer(json!({"podSelector": {"matchLabels": {"app": "-"}}})),
            "from[0].podSelector.matchLabels.app",
            "should match",
        ),
        Refusal("port zero", port(json!({"port": 0})), ports, number),
        Refusal("a port beyond all", port(json!({"port": 65536})), ports, number),
        Refusal("a port's number in quotes", port(json!({"port": "80"})), ports, number),
        Refusal("a bad port name", port(json!({"port": "Web_Port"})), ports, number),
        Refusal(
            "a range that ends before it begins",
            port(json!({"port": 80, "endPort": 79})),
            ports,
            "a numeric `port` not above it",
        ),
        Refusal(
            "an unknown protocol",
            port(json!({"port": 80, "protocol": "tcp"})),
            "ports[0].protocol",
            "\"TCP\"",
        ),
    ]
}

fn access() -> Vec<Refusal> {
    let (of_rule, of_subject) = ("spec.access.roles[0].rules[0]", "spec.access.bindings[0].subjects[0]");
    let role =
        |name: String| json!({"name": name, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let named =
        |name: String| json!({"name": name, "clusterRole": "view", "subjects": [{"kind": "User", "name": "u"}]});
    let verbs = "escalate, bind and impersonate are refused";
    let mut all = vec![
        Refusal(
            "empty access",
            section("access", json!({})),
            "spec.access",
            "give it roles or bindings",
        ),
        Refusal(
            "all groups",
            rule("apiGroups", json!(["*"])),
            "spec.access.roles[0].rules[0].apiGroups",
            "names its API groups",
        ),
        Refusal(
            "all resources",
            rule("resources", json!(["*"])),
            "spec.access.roles[0].rules[0].resources",
            "names its resources",
        ),
        Refusal(
            "all subresources",
            rule("resources", json!(["pods/*"])),
            "spec.access.roles[0].rules[0].resources",
            "names its resources",
        ),
        Refusal(
            "no verbs",
            rule("verbs", json!([])),
            "spec.access.roles[0].rules[0].verbs",
            "at least 1 items",
        ),
        Refusal(
            "a role of nothing",
            section("access", json!({"roles": [{"name": "r", "rules": []}]})),
            "spec.access.roles[0].rules",
            "at least 1 items",
        ),
        Refusal(
            "two roles of one name",
            section("access", json!({"roles": [role("a".into()), role("a".into())]})),
            "spec.access.roles[1]",
            "Duplicate value",
        ),
        Refusal(
            "too many roles",
            section("access", json!({"roles": many(33, role)})),
            "spec.access.roles",
            "at most 32 items",
        ),
        Refusal(
            "two bindings of one name",
            section("access", json!({"bindings": [named("a".into()), named("a".into())]})),
            "spec.access.bindings[1]",
            "Duplicate value",
        ),
        Refusal(
            "too many bindings",
            section("access", json!({"bindings": many(33, named)})),
            "spec.access.bindings",
            "at most 32 items",
        ),
        Refusal(
            "cluster-admin",
            binding("clusterRole", json!("cluster-admin")),
            "spec.access.bindings[0].clusterRole",
            "name a ClusterRole that grants what is needed",
        ),
        Refusal(
            "two roles in a binding",
            binding("role", json!("r")),
            "spec.access.bindings[0]",
            "a binding names one role",
        ),
        Refusal(
            "a role that is not there",
            section(
                "access",
                json!({"bindings": [{"name": "b", "role": "r", "subjects": [{"kind": "User", "name": "u"}]}]}),
            ),
            "spec.access.bindings",
            "must be one of access.roles",
        ),
        Refusal(
            "nobody",
            binding("subjects", json!([])),
            "spec.access.bindings[0].subjects",
            "at least 1 items",
        ),
        Refusal(
            "system:masters",
            subject(json!({"kind": "Group", "name": "system:masters"})),
            "spec.access.bindings[0].subjects[0].name",
            "is never bound",
        ),
        Refusal(
            "an account without a namespace",
            subject(json!({"kind": "ServiceAccount", "name": "a"})),
            of_subject,
            "needs its `namespace`",
        ),
        Refusal(
            "a group with a namespace",
            subject(json!({"kind": "Group", "name": "a", "namespace": "n"})),
            of_subject,
            "a User or Group has none",
        ),
        Refusal(
            "a bad account name",
            subject(json!({"kind": "ServiceAccount", "name": "A b", "namespace": "n"})),
            "spec.access.bindings[0].subjects[0].name",
            "is a DNS name",
        ),
        Refusal(
            "an unknown kind of subject",
            subject(json!({"kind": "Robot", "name": "a"})),
            "spec.access.bindings[0].subjects[0].kind",
            "\"User\", \"Group\", \"ServiceAccount\"",
        ),
    ];
    for verb in ["*", "escalate", "bind", "impersonate"] {
        all.push(Refusal(verb, rule("verbs", json!(["get", verb])), of_rule, verbs));
    }
    all
}
