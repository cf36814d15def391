//! Of what only grants or allows, an audited baseline keeps no more than its spec still asks for.

use super::*;

/// What is kept of a section that was enforced, once it is audited and says something else; as the section of both.
fn kept(section: &str, before: &Value, after: Value) -> Value {
    let enforced = baseline("b", 1, json!({section: before}));
    let audited = edited(&enforced, json!({"mode": "Audit", section: before}));
    let withdrawn = edited(&audited, json!({"mode": "Audit", section: after}));
    // Asking for it again enforces nothing: it is audited.
    let again = edited(&withdrawn, json!({"mode": "Audit", section: before}));
    assert_eq!(again.frozen, withdrawn.frozen);
    // It makes no difference whether the two edits come as one, or through a suspension.
    let suspended = edited(&enforced, json!({"suspend": true, section: after}));
    assert_eq!(suspended.frozen, withdrawn.frozen);
    let kept = serde_json::to_value(withdrawn.frozen.as_deref().unwrap()).unwrap();
    let mut kept = kept[section].clone();
    kept.as_object_mut().unwrap().remove("mode");
    kept
}

#[test]
fn a_withdrawn_subject_binding_or_role_of_an_audited_baseline_is_granted_no_more() {
    let group = |name: &str| json!({"kind": "Group", "name": name});
    let binding = |name: &str, to: Value, subjects: &[&str]| {
        let mut binding = json!({"name": name, "subjects": subjects.iter().map(|s| group(s)).collect::<Vec<_>>()});
        binding.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
        binding
    };
    let role = |name: &str, verbs: &[&str]| json!({"name": name, "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": verbs}]});
    let (view, edit) = (json!({"clusterRole": "view"}), json!({"clusterRole": "edit"}));
    let (dev, ops) = (json!({"role": "dev"}), json!({"role": "ops"}));
    let before = json!({
        "roles": [role("dev", &["get", "list"]), role("ops", &["get", "delete"]), role("gone", &["get"])],
        "bindings": [
            binding("viewers", view.clone(), &["auditors", "contractors"]),
            binding("editors", view.clone(), &["auditors"]),
            binding("none", view.clone(), &["contractors"]),
            binding("devs", dev.clone(), &["team"]),
            binding("ops", ops.clone(), &["team"]),
            binding("left", view.clone(), &["auditors"]),
        ],
    });
    assert_eq!(
        kept("access", &before, before.clone()),
        before,
        "what is still asked for stays"
    );
    let after = json!({
        // One grants more now, which is not enforced; one less.
        "roles": [role("dev", &["get", "list", "watch"]), role("ops", &["get"])],
        "bindings": [
            binding("viewers", view.clone(), &["others", "auditors"]),
            binding("editors", edit, &["auditors"]),
            binding("none", view.clone(), &["others"]),
            binding("devs", dev.clone(), &["team"]),
            binding("ops", ops, &["team"]),
        ],
    });
    let expected = json!({
        "roles": [role("dev", &["get", "list"])],
        "bindings": [binding("viewers", view, &["auditors"]), binding("devs", dev, &["team"])],
    });
    assert_eq!(kept("access", &before, after), expected);
}

#[test]
fn a_role_that_was_withdrawn_for_all_objects_but_some_is_granted_no_more() {
    let role = |names: Value| json!({"roles": [{"name": "dev", "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": names}]}]});
    let is_kept = |before: Value, after: Value| kept("access", &role(before), role(after)) != json!({});
    assert!(!is_kept(json!([]), json!(["a"])));
    assert!(!is_kept(json!(["a", "b"]), json!(["a"])));
    assert!(is_kept(json!(["a"]), json!(["a", "b"])));
    assert!(is_kept(json!(["a"]), json!([])));
    let other = |field: &str, value: &str| {
        let mut other = role(json!([]));
        other["roles"][0]["rules"][0][field] = json!([value]);
        kept("access", &role(json!([])), other)
    };
    assert_eq!(other("apiGroups", "apps"), json!({}));
    assert_eq!(other("resources", "secrets"), json!({}));
    assert_eq!(other("verbs", "list"), json!({}));
}

#[test]
fn a_withdrawn_allow_rule_of_an_audited_baseline_is_allowed_no_more_and_its_deny_stays() {
    let peer = |name: &str| json!({"podSelector": {"matchLabels": {"app": name}}});
    let ports = |all: &[u16]| {
        all.iter()
            .map(|port| json!({"protocol": "TCP", "port": port}))
            .collect::<Vec<_>>()
    };
    let rule = |name: &str, ingress: Value| json!({"name": name, "ingress": ingress});
    let section = |allow: Value| json!({"defaultDeny": ["Ingress", "Egress"], "allow": allow});
    let own = |name: &str| json!({"name": "own", "podSelector": {"matchLabels": {"app": name}}, "ingress": [{"ports": ports(&[1])}]});
    let before = section(json!([
        rule("gone", json!([{"ports": ports(&[1])}])),
        rule("same", json!([{"from": [peer("a")]}, {"from": [peer("a"), peer("b")]}])),
        rule("fewer", json!([{"from": [peer("a"), peer("b")], "ports": ports(&[1, 2])}, {"ports": ports(&[3])}])),
        rule("bounded", json!([{"from": [peer("a")]}])),
        rule("other", json!([{"ports": ports(&[1])}])),
        own("web"),
        {"name": "out", "egress": [{"to": [peer("a"), peer("b")], "ports": ports(&[1])}]},
    ]));
    assert_eq!(kept("networkIsolation", &before, before.clone()), before);
    let mut for_all = rule("same", json!([{"from": [peer("a")]}, {"from": [peer("a"), peer("b")]}]));
    for_all["podSelector"] = json!({});
    let after = section(json!([
        for_all,
        rule("fewer", json!([{"from": [peer("c"), peer("a")], "ports": ports(&[2])}])),
        rule("bounded", json!([{"ports": ports(&[7])}])),
        rule("other", json!([{"ports": ports(&[2])}])),
        own("db"),
        {"name": "out", "egress": [{"to": [peer("b")]}]},
    ]));
    let expected = section(json!([
        rule("same", json!([{"from": [peer("a")]}, {"from": [peer("a"), peer("b")]}])),
        rule("fewer", json!([{"from": [peer("a")], "ports": ports(&[2])}])),
        rule("bounded", json!([{"from": [peer("a")], "ports": ports(&[7])}])),
        {"name": "out", "egress": [{"to": [peer("b")], "ports": ports(&[1])}]},
    ]));
    assert_eq!(kept("networkIsolation", &before, after), expected);
}

#[test]
fn withdrawn_dns_api_server_and_same_namespace_of_an_audited_baseline_are_allowed_no_more() {
    let cut = |before: Value, after: Value| kept("networkIsolation", &before, after);
    let both = json!(["Ingress", "Egress"]);
    let all = json!({"defaultDeny": both, "allowKubernetesAPI": true, "allowSameNamespace": true});
    let none =
        json!({"defaultDeny": both, "allowDNS": false, "allowKubernetesAPI": false, "allowSameNamespace": false});
    assert_eq!(cut(all.clone(), all.clone()), all);
    assert_eq!(cut(all.clone(), none.clone()), none);
    assert_eq!(cut(none.clone(), all.clone()), none, "what is new is only audited");
    // Who does not deny egress any more asks for nothing to be allowed in it; that it was denied stays.
    assert_eq!(
        cut(
            all.clone(),
            json!({"defaultDeny": ["Ingress"], "allowSameNamespace": true})
        ),
        none
    );
    let unsaid = cut(all, json!({"defaultDeny": both, "allowDNS": true}));
    assert_eq!(
        unsaid,
        json!({"defaultDeny": both, "allowKubernetesAPI": false, "allowSameNamespace": false})
    );

    let stated = |cidrs: &[&str]| {
        let peers: Vec<_> = cidrs.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect();
        json!({"defaultDeny": ["Egress"], "dns": {"peers": peers, "ports": [{"protocol": "UDP", "port": 53}]}})
    };
    let (a, b) = ("192.0.2.1/32", "192.0.2.2/32");
    assert_eq!(cut(stated(&[a, b]), stated(&[b])), stated(&[b]));
    let denied = json!({"defaultDeny": ["Egress"], "allowDNS": false});
    assert_eq!(cut(stated(&[a]), stated(&[b])), denied);
    let detected = json!({"defaultDeny": ["Egress"]});
    assert_eq!(cut(stated(&[a]), detected.clone()), denied);
    assert_eq!(cut(detected, stated(&[a])), denied);
}

#[test]
fn what_protects_stays_in_the_share_of_an_audited_baseline_whatever_its_spec_says_meanwhile() {
    let before = json!({
        "networkIsolation": {"defaultDeny": ["Ingress", "Egress"]},
        "resourceQuotas": pods(3),
        "podSecurity": {"enforce": {"level": "restricted"}},
    });
    let enforced = baseline("b", 1, before);
    let after = json!({
        "mode": "Audit",
        "networkIsolation": {"defaultDeny": ["Ingress"]},
        "resourceQuotas": pods(9),
        "podSecurity": {"enforce": {"level": "privileged"}},
    });
    let kept = edited(&enforced, after).frozen.clone().unwrap();
    assert_eq!(quota(&kept), "3");
    assert_eq!(kept.network_isolation.as_ref().unwrap().default_deny.len(), 2);
    let level = kept.pod_security.as_ref().unwrap().enforce.as_ref().unwrap().level;
    assert_eq!(level.as_str(), "restricted");
}

#[test]
fn what_only_an_audited_baseline_granted_and_withdrew_leaves_what_others_enforce() {
    let asks = |subjects: &[&str], allow: Value| {
        let subjects: Vec<_> = subjects
            .iter()
            .map(|name| json!({"kind": "Group", "name": name}))
            .collect();
        json!({
            "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": subjects}]},
            "networkIsolation": {"defaultDeny": ["Ingress"], "allow": allow},
        })
    };
    let rule = json!({"name": "from-partner", "ingress": [{"ports": [{"port": 80}]}]});
    let enforced = baseline("ma", 1, asks(&["auditors", "contractors"], json!([rule])));
    let mb = baseline("mb", 2, asks(&["team"], json!([])));
    let audited = |mut sections: Value, before: &Baseline| {
        sections["mode"] = json!("Audit");
        edited(before, sections)
    };
    let granted = |ma: &Arc<Baseline>| {
        let spec = merge(REGISTRY, &[ma.clone(), mb.clone()]).enforced.spec;
        let subjects: Vec<_> = spec.access.unwrap().bindings[0]
            .subjects
            .iter()
            .map(|s| s.name.clone())
            .collect();
        (subjects, spec.network_isolation.unwrap().allow.len())
    };
    let ma = audited(asks(&["auditors", "contractors"], json!([rule])), &enforced);
    assert_eq!(
        granted(&ma),
        (["auditors", "contractors", "team"].map(str::to_owned).into(), 1)
    );
    let ma = audited(asks(&["auditors"], json!([])), &ma);
    assert_eq!(granted(&ma), (["auditors", "team"].map(str::to_owned).into(), 0));
}
