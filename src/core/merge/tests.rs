mod bounds;
mod generate;
mod properties;
mod sections;
mod withdrawn;

use serde_json::{Value, json};

use super::*;
use crate::controls::REGISTRY;
use crate::core::control::Rendered;
use crate::core::gate::Verdict;
use crate::core::plan::{Finding, Plan, plan};
use crate::core::settle::{Attempt, settle};
use crate::core::world::testing::{cluster, findings, namespace, steps, with_spec, world};

/// A baseline with some sections, enforced unless they say otherwise.
fn baseline(name: &str, created: i64, sections: Value) -> Arc<Baseline> {
    let mut spec = json!({"namespaceSelector": {}, "mode": "Enforce"});
    spec.as_object_mut()
        .unwrap()
        .extend(sections.as_object().unwrap().clone());
    with_spec(name, created, spec)
}

/// The same baseline after an edit, as the operator takes it up.
fn edited(before: &Baseline, sections: Value) -> Arc<Baseline> {
    let created = before.created.as_second();
    let mut after = (*baseline(&before.name, created, sections)).clone();
    after.frozen = frozen(REGISTRY, before, &after.spec);
    Arc::new(after)
}

fn pods(most: u32) -> Value {
    json!({"items": [{"name": "pods", "hard": {"pods": most}}]})
}

fn quota(spec: &SecurityBaselineSpec) -> &str {
    &spec.resource_quotas.as_ref().unwrap().items[0].hard["pods"].0
}

/// What a plan finds and does in a bare namespace, as words.
fn told(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let told = |f: &&Finding| {
        format!(
            "{:?} {:?} {}",
            f.mode,
            f.kind,
            f.object.replace("security-baseline-", "")
        )
    };
    (steps(plan), findings(plan).iter().map(told).collect())
}

#[test]
fn an_audit_never_dilutes_an_enforce_and_what_only_it_asks_for_is_only_told() {
    let enforces = baseline("enforces", 2, json!({"resourceQuotas": pods(5)}));
    // The older one, and it would hold if it were enforced.
    let audits = baseline(
        "audits",
        1,
        json!({"mode": "Audit", "resourceQuotas": {"items": [
            {"name": "pods", "hard": {"pods": 3}},
            {"name": "more", "hard": {"pods": 1}},
        ]}}),
    );
    let effective = merge(REGISTRY, &[enforces.clone(), audits.clone()]);
    assert_eq!(quota(&effective.enforced.spec), "5");
    assert_eq!(effective.enforced.spec.resource_quotas.as_ref().unwrap().items.len(), 1);
    assert_eq!(quota(&effective.asked.as_ref().unwrap().spec), "3");
    assert_eq!(effective.sections["resourceQuotas"].mode(), Mode::Enforce);
    let (steps, found) = told(&plan(REGISTRY, &world(vec![enforces, audits])));
    assert_eq!(steps, ["create ResourceQuota/pods"]);
    assert_eq!(
        found,
        [
            "Enforce Missing ResourceQuota/pods",
            "Audit Missing ResourceQuota/more",
            "Audit Audited ResourceQuota/pods",
        ]
    );
}

#[test]
fn a_baseline_that_is_back_in_audit_or_suspended_keeps_its_share_where_another_enforces_and_is_itself_not_written() {
    let both = json!({"resourceQuotas": {"items": [
        {"name": "pods", "hard": {"pods": 3}},
        {"name": "own", "hard": {"pods": 9}},
    ]}});
    let other = baseline("other", 2, json!({"resourceQuotas": pods(5)}));
    let before = baseline("frozen", 1, both.clone());
    for stopped in [json!({"mode": "Audit"}), json!({"suspend": true})] {
        let mut sections = both.clone();
        sections
            .as_object_mut()
            .unwrap()
            .extend(stopped.as_object().unwrap().clone());
        // It may even say something else meanwhile: what was enforced last counts.
        sections["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(4);
        let after = edited(&before, sections.clone());
        let effective = merge(REGISTRY, &[other.clone(), after.clone()]);
        assert_eq!(quota(&effective.enforced.spec), "3", "{stopped}");
        let (steps, _) = told(&plan(REGISTRY, &world(vec![other.clone(), after.clone()])));
        assert_eq!(steps, ["create ResourceQuota/pods"], "its own is not written");
        // Alone, nothing of it is.
        assert_eq!(told(&plan(REGISTRY, &world(vec![after.clone()]))).0, [""; 0]);
        // A second edit does not forget it, and enforcing again ends it.
        let again = edited(&after, sections.clone());
        assert_eq!(again.frozen, after.frozen);
        assert_eq!(edited(&after, both.clone()).frozen, None);
    }
}

#[test]
fn a_section_that_is_taken_out_keeps_no_share() {
    let before = baseline("b", 1, json!({"resourceQuotas": pods(3), "limitRanges": {"items": []}}));
    assert_eq!(edited(&before, json!({})).frozen, None);
    let audited = edited(&before, json!({"mode": "Audit", "resourceQuotas": pods(3)}));
    assert_eq!(quota(audited.frozen.as_ref().unwrap()), "3");
    assert_eq!(audited.frozen.as_ref().unwrap().limit_ranges, None);
    assert_eq!(edited(&audited, json!({"mode": "Audit"})).frozen, None);
}

#[test]
fn a_conflict_is_named_on_both_and_the_older_baseline_holds() {
    let role = |verb: &str| json!({"access": {"roles": [{"name": "dev", "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": [verb]}]}]}});
    let (older, younger) = (
        baseline("z-older", 1, role("get")),
        baseline("a-younger", 2, role("list")),
    );
    for order in [
        vec![older.clone(), younger.clone()],
        vec![younger.clone(), older.clone()],
    ] {
        let world = world(order);
        let plan = plan(REGISTRY, &world);
        let rules = &plan.effective.enforced.spec.access.as_ref().unwrap().roles[0].rules;
        assert_eq!(rules[0].verbs, ["get"]);
        let settled = settle(&world, &plan, &Attempt::default(), Verdict::Go);
        let message = &settled.report.conflicts[0].message;
        assert!(
            message.contains("z-older") && message.contains("a-younger"),
            "{message}"
        );
        for member in &settled.members {
            assert_eq!(member.conflict.as_ref(), Some(message), "{}", member.baseline);
        }
    }
    // Of one age, the first by name holds.
    let twins = [baseline("b", 1, role("get")), baseline("a", 1, role("list"))];
    let effective = merge(REGISTRY, &twins);
    assert_eq!(effective.baselines[effective.enforced.conflicts[0].holds].name, "a");
}

#[test]
fn a_conflict_with_what_is_only_audited_is_told_although_nothing_else_differs() {
    let scoped = |mode: &str, scope: &str| json!({"mode": mode, "resourceQuotas": {"items": [{"name": "q", "hard": {"pods": 1}, "scopes": [scope]}]}});
    let enforces = baseline("enforces", 1, scoped("Enforce", "BestEffort"));
    let audits = baseline("audits", 2, scoped("Audit", "Terminating"));
    let effective = merge(REGISTRY, &[enforces, audits]);
    assert_eq!(effective.enforced.conflicts, []);
    assert_eq!(effective.asked.unwrap().conflicts.len(), 1);
}

#[test]
fn each_section_is_merged_in_its_own_mode() {
    let a = baseline(
        "a",
        1,
        json!({"podSecurity": {"mode": "Audit", "enforce": {"level": "restricted"}}, "resourceQuotas": pods(5)}),
    );
    let b = baseline(
        "b",
        2,
        json!({"mode": "Audit", "podSecurity": {"mode": "Enforce", "enforce": {"level": "baseline"}}, "resourceQuotas": pods(3)}),
    );
    let effective = merge(REGISTRY, &[a, b]);
    let section = |name: &str| {
        (
            effective.sections[name].enforcing.clone(),
            effective.sections[name].auditing.clone(),
        )
    };
    assert_eq!(section("podSecurity"), (vec![1], vec![0]));
    assert_eq!(section("resourceQuotas"), (vec![0], vec![1]));
    assert_eq!(quota(&effective.enforced.spec), "5");
    let level = |merged: &Merged| merged.spec.pod_security.clone().unwrap().enforce.unwrap().level;
    assert_eq!(level(&effective.enforced).as_str(), "baseline");
    assert_eq!(level(effective.asked.as_ref().unwrap()).as_str(), "restricted");
}

#[test]
fn what_is_enforced_is_recorded_for_the_oldest_baseline_that_enforces_it_and_else_for_the_oldest() {
    let audits = baseline("a", 1, json!({"mode": "Audit", "resourceQuotas": pods(5)}));
    let enforces = |name: &str, created| baseline(name, created, json!({"resourceQuotas": pods(5)}));
    let all = vec![audits.clone(), enforces("b", 2), enforces("c", 3)];
    let plan = plan(REGISTRY, &world(all));
    let quota = &plan.actions[0];
    assert_eq!(quota.baseline, "uid-b");
    let askers = &plan.effective.children.values().next().unwrap();
    assert_eq!(askers.owner(), Some(1));
    let alone = merge(REGISTRY, &[audits]);
    assert_eq!(alone.children.values().next().unwrap().owner(), Some(0));
    assert_eq!(Askers::default().owner(), None);
}
