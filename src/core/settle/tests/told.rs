//! What a report says in words.

use k8s_openapi::jiff::SignedDuration;

use super::*;
use crate::core::merge::Conflict;
use crate::core::world::testing::findings;
use crate::core::world::{Undoes, Weakening};

/// An object that [`full_spec`] asks for.
const DEVELOPER: &str = "Role/security-baseline-developer";

fn message<'a>(settled: &'a Settled, type_: &str) -> &'a str {
    let condition = settled.report.conditions.iter().find(|c| c.type_ == type_).unwrap();
    &condition.message
}

/// What is told of an object, or of a label on the namespace.
fn told_of(settled: &Settled, reason: &str, object: &str) -> Vec<String> {
    let notes = settled.report.controls.iter().flat_map(|c| &c.findings);
    notes
        .filter(|n| n.reason == reason && n.object.replace("security-baseline-", "") == object)
        .map(|n| n.message.clone())
        .collect()
}

#[test]
fn the_conditions_say_what_holds() {
    let rests = settled(&converged(full_spec()));
    assert_eq!(message(&rests, "Ready"), "the namespace is in the declared state");
    assert_eq!(message(&rests, "Drifted"), "nothing departs from what is declared");
    let departs = settled(&drifted(full_spec()));
    assert!(message(&departs, "Ready").starts_with("networkIsolation NetworkPolicy/"));
    assert!(message(&departs, "Drifted").starts_with("the namespace departs from what is declared"));
    let mut released = converged(full_spec());
    released.baselines.clear();
    assert!(message(&settled(&released), "Ready").starts_with("no baseline holds this namespace"));
}

#[test]
fn of_many_baselines_that_asked_for_less_the_oldest_are_named_and_all_are_counted() {
    let less = |baselines: i64| {
        let quota = |pods: i64| json!({"namespaceSelector": {}, "mode": "Enforce", "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": pods}}]}});
        let all = (0..baselines).map(|i| with_spec(&format!("b{i:02}"), i, quota(100 - i)));
        let report = settled(&bare_world(all.collect())).report;
        let control = report
            .controls
            .into_iter()
            .find(|c| c.name == "resourceQuotas")
            .unwrap();
        let [value] = &control.effective[..] else {
            panic!("{control:?}")
        };
        let named: Vec<String> = value.asked_less.iter().map(|less| less.baseline.clone()).collect();
        (named, value.asked_less_total)
    };
    let names = |count: i64| (0..count).map(|i| format!("b{i:02}")).collect::<Vec<_>>();
    // The youngest one's is the least.
    assert_eq!(less(2), (names(1), None));
    assert_eq!(less(9), (names(8), None));
    assert_eq!(less(10), (names(8), Some(9)));
    assert_eq!(less(30), (names(8), Some(29)));
}

#[test]
fn the_first_thing_to_do_is_told_with_how_many_more_there_are() {
    let mut world = bare(full_spec());
    let all = findings(&plan(REGISTRY, &world)).len();
    assert!(
        settled(&world).members[0]
            .message
            .ends_with(&format!("(and {} more)", all - 1))
    );
    // What is held counts too: without the cluster's DNS, the deny of egress is held, and found no more.
    std::sync::Arc::make_mut(&mut world.cluster).dns = None;
    let held = plan(REGISTRY, &world);
    assert_eq!(held.sections.iter().map(|s| s.held.len()).sum::<usize>(), 1);
    assert_eq!(findings(&held).len(), all - 1);
    assert!(
        settled(&world).members[0]
            .message
            .ends_with(&format!("(and {} more)", all - 1))
    );
    let one = settled(&drifted(full_spec()));
    assert!(!one.members[0].message.contains("more)"), "{}", one.members[0].message);
}

#[test]
fn what_was_deleted_or_is_no_longer_declared_is_told_as_that() {
    let mut world = converged(full_spec());
    let web = id(&world, "NetworkPolicy/allow-web");
    world.live.remove(&web);
    assert_eq!(
        told_of(&settled(&world), "Deleted", "NetworkPolicy/allow-web"),
        ["was deleted"]
    );
    let mut world = converged(full_spec());
    world.baselines = vec![with_spec(
        "b",
        1,
        full_spec_but(json!({"limitRanges": null, "podSecurity": {"warn": null}})),
    )];
    let surplus = settled(&world);
    assert_eq!(
        told_of(&surplus, "Surplus", "LimitRange/defaults"),
        ["is no longer declared"]
    );
    assert_eq!(
        told_of(&surplus, "Surplus", "Namespace/team-a"),
        [
            "metadata.labels[pod-security.kubernetes.io/warn]: declared nothing, found restricted",
            "metadata.labels[pod-security.kubernetes.io/warn-version]: declared nothing, found latest",
        ]
    );
}

#[test]
fn what_undoes_a_control_is_told_by_what_it_does() {
    let mut world = opened();
    let undone = settled(&world);
    assert_eq!(
        told_of(&undone, "Weakened", "NetworkPolicy/open"),
        ["it allows all ingress"]
    );
    assert_eq!(undone.members[0].standing, Standing::Weakened);
    // What does so for some pods only is a warning of the section that it is about, and of no other.
    let narrower = Weakening {
        undoes: Vec::new(),
        narrower: vec![Undoes::Ingress],
        what: "it allows all ingress of some pods".to_owned(),
    };
    world
        .foreign
        .values_mut()
        .for_each(|known| *known = narrower.clone().into());
    let opened = settled(&world);
    let controls = opened.report.controls.iter();
    let warned = controls.flat_map(|c| c.warnings.iter().map(|w| (c.name.as_str(), w.reason.as_str())));
    assert_eq!(warned.collect::<Vec<_>>(), [("networkIsolation", "WeakenedInPart")]);
    assert_eq!(opened.members[0].standing, Standing::Compliant);
}

/// A namespace with a policy beside the default deny that allows everything.
fn opened() -> World {
    let mut world = converged(full_spec());
    let weakening = Weakening {
        undoes: vec![Undoes::Ingress],
        narrower: Vec::new(),
        what: "it allows all ingress".to_owned(),
    };
    let kind = crate::controls::kind_named("NetworkPolicy").unwrap();
    let id = crate::core::object::ChildId {
        kind,
        name: "open".to_owned(),
    };
    world.foreign.insert(id, weakening.into());
    world
}

#[test]
fn what_undoes_a_control_is_told_beside_whatever_else_departs() {
    let sentence = Some("networkIsolation NetworkPolicy/open: it allows all ingress".to_owned());
    let alone = settled(&opened());
    assert_eq!(alone.members[0].weakened, sentence);
    assert_eq!(settled(&converged(full_spec())).members[0].weakened, None);

    // Another section is audited, and departs.
    let mut world = opened();
    let audits = json!({"resourceQuotas": {"mode": "Audit"}});
    world.baselines = vec![with_spec("b", 1, full_spec_but(audits))];
    let quota = id(&world, "ResourceQuota/compute");
    world.live.remove(&quota);
    let beside = settled(&world);
    assert_eq!(beside.members[0].standing, Standing::Drifted);
    assert_eq!(beside.members[0].weakened, sentence);

    // It concerns those who asked for what is undone.
    let quotas = json!({"namespaceSelector": {}, "resourceQuotas": {"items": [{"name": "q", "hard": {"pods": 1}}]}});
    let mut world = opened();
    world.baselines.push(with_spec("quotas", 2, quotas));
    let members = settled(&world).members;
    assert_eq!((&members[0].weakened, &members[1].weakened), (&sentence, &None));
}

#[test]
fn a_fight_is_told_to_the_baselines_that_ask_for_what_is_fought_over() {
    let fought = |object: &str| {
        let mut world = converged(full_spec());
        let quotas =
            json!({"namespaceSelector": {}, "resourceQuotas": {"items": [{"name": "q", "hard": {"pods": 1}}]}});
        world.baselines.push(with_spec("quotas", 2, quotas));
        world.fights.rewritten(object, false, world.now);
        let members = settled(&world).members;
        [members[0].contested.is_some(), members[1].contested.is_some()]
    };
    assert_eq!(fought(DEVELOPER), [true, false]);
    assert_eq!(fought("ResourceQuota/security-baseline-q"), [false, true]);
    assert_eq!(fought("Namespace/team-a"), [true, false]);
    assert_eq!(fought("Role/security-baseline-nobodys"), [false, false]);
}

#[test]
fn where_no_baseline_holds_any_more_nobody_fights() {
    let mut world = converged(full_spec());
    world.fights.rewritten(DEVELOPER, false, world.now);
    assert_eq!(settled(&world).report.contested.len(), 1);
    world.baselines.clear();
    let left = settled(&world);
    assert_eq!(condition(&left, "Contested"), pair("False", "NotContested"));
    assert!(left.report.contested.is_empty());
}

#[test]
fn who_keeps_undoing_a_repair_is_named_and_an_admission_is_not_called_a_client() {
    let mut world = converged(full_spec());
    assert_eq!(condition(&settled(&world), "Contested"), pair("False", "NotContested"));
    for _ in 0..3 {
        world.now += SignedDuration::from_secs(60);
        world.fights.reverted(DEVELOPER, "rules", "helm", world.now);
    }
    let reverted = settled(&world);
    assert_eq!(condition(&reverted, "Contested"), pair("True", Contest::REVERTED));
    let sentence = message(&reverted, "Contested");
    assert!(
        sentence.starts_with(&format!(
            "{DEVELOPER}: helm (as it calls itself) keeps changing rules, "
        )),
        "{sentence}"
    );
    assert_eq!(reverted.members[0].contested.as_deref(), Some(sentence));

    let mut world = converged(full_spec());
    world.fights.rewritten(DEVELOPER, false, world.now);
    let rewritten = settled(&world);
    assert_eq!(condition(&rewritten, "Contested"), pair("True", Contest::REWRITTEN));
    let sentence = message(&rewritten, "Contested");
    assert!(
        sentence.starts_with(&format!("{DEVELOPER}: what is written is changed on its way (")),
        "{sentence}"
    );
}

/// A baseline with a quota of this name that counts pods of this scope.
fn scoped(name: &str, created: i64, mode: &str, quotas: &[(&str, &str)]) -> std::sync::Arc<Baseline> {
    let items: Vec<_> = quotas
        .iter()
        .map(|(quota, scope)| json!({"name": quota, "hard": {"pods": 1}, "scopes": [scope]}))
        .collect();
    let spec = json!({"namespaceSelector": {}, "mode": mode, "resourceQuotas": {"items": items}});
    with_spec(name, created, spec)
}

#[test]
fn a_baseline_that_yields_is_in_conflict_and_the_one_that_holds_is_not() {
    let mut world = bare_world(vec![
        scoped("older", 1, "Enforce", &[("q", "BestEffort")]),
        scoped("younger", 2, "Enforce", &[("q", "Terminating")]),
    ]);
    let standings = |world: &World| -> Vec<(Standing, String)> {
        let members = settled(world).members.into_iter();
        members.map(|m| (m.standing, m.reason)).collect()
    };
    assert_eq!(
        standings(&world),
        [
            (Standing::Pending, "Missing".to_owned()),
            (Standing::Conflict, "Conflict".to_owned())
        ]
    );
    // What could not be written is told first: it concerns both.
    let plan = plan(REGISTRY, &world);
    let failure = Failure {
        reason: "Forbidden",
        message: "no".to_owned(),
    };
    let mut attempt = Attempt::default();
    attempt.absorb(&world, &plan, &[(plan.actions[0].clone(), Err(failure))], world.now);
    let blocked = settle(&world, &plan, &attempt, GO).members;
    assert!(
        blocked
            .iter()
            .all(|m| m.standing == Standing::Blocked && m.reason == "Forbidden")
    );
    crate::core::world::testing::carry_out(&mut world, &plan);
    assert_eq!(
        standings(&world),
        [
            (Standing::Compliant, String::new()),
            (Standing::Conflict, "Conflict".to_owned())
        ]
    );
}

#[test]
fn a_conflict_that_only_an_audit_has_is_told_after_those_of_what_is_enforced_and_each_once() {
    let world = bare_world(vec![
        scoped("older", 1, "Enforce", &[("p", "BestEffort"), ("q", "BestEffort")]),
        scoped("younger", 2, "Enforce", &[("q", "Terminating")]),
        scoped("audits", 3, "Audit", &[("p", "Terminating")]),
    ]);
    let plan = plan(REGISTRY, &world);
    let objects = |conflicts: Vec<&Conflict>| conflicts.iter().map(|c| c.object.clone()).collect::<Vec<_>>();
    let asked = plan.effective.asked.as_ref().unwrap();
    assert_eq!(
        objects(asked.conflicts.iter().collect()),
        ["ResourceQuota/p", "ResourceQuota/q"]
    );
    assert_eq!(
        objects(plan.conflicts().collect()),
        ["ResourceQuota/q", "ResourceQuota/p"]
    );
    assert_eq!(settled(&world).report.conflicts.len(), 2);
}
