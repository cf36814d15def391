mod contest;
mod first;
mod halves;
mod held;
mod labels;
mod properties;
mod release;
mod removal;
mod tightened;
mod waived;

use serde_json::{Value, json};

use super::*;
use crate::controls::REGISTRY;
use crate::core::object::Canonical;
use crate::core::world::testing::{
    carry_out, cluster, converged, findings, full_spec, full_spec_but, id, meddle, put, remember, steps, with_spec,
    world,
};
use crate::core::world::{ClusterFacts, Live};

const DENY: &str = "NetworkPolicy/default-deny-ingress";

/// The kinds of findings, by object, the reserved prefix left out.
fn found(plan: &Plan) -> Vec<(FindingKind, String)> {
    let found = findings(plan).into_iter();
    found
        .map(|f| (f.kind, f.object.replace("security-baseline-", "")))
        .collect()
}

/// Gives the world a newer spec of the same baseline.
fn respec(world: &mut World, spec: Value) {
    world.baselines = vec![with_spec("b", 1, spec)];
}

fn audit(spec: Value) -> Value {
    let mut spec = spec;
    spec["mode"] = json!("Audit");
    spec
}

#[test]
fn a_bare_namespace_gets_everything_in_the_order_in_which_it_protects() {
    let plan = plan(REGISTRY, &world(vec![with_spec("b", 1, full_spec())]));
    assert_eq!(
        steps(&plan),
        [
            "create NetworkPolicy/default-deny-ingress",
            "create NetworkPolicy/default-deny-egress",
            "create NetworkPolicy/allow-web",
            "create LimitRange/defaults",
            "create ResourceQuota/compute",
            "create ResourceQuota/best-effort",
            "create Role/developer",
            "create RoleBinding/developers",
            "create RoleBinding/viewers",
            "label Namespace/team-a",
        ]
    );
    assert!(
        findings(&plan).iter().all(|f| f.kind == FindingKind::Missing),
        "nobody did anything"
    );
    assert_eq!(findings(&plan).len(), 9 + 4);
    assert!(plan.inventory.is_empty(), "nothing is there yet");
    assert!(plan.unread.is_empty());
    let sections: Vec<_> = plan.sections.iter().map(|s| (s.section, s.mode)).collect();
    assert_eq!(
        sections,
        [
            ("podSecurity", Mode::Enforce),
            ("networkIsolation", Mode::Enforce),
            ("limitRanges", Mode::Enforce),
            ("resourceQuotas", Mode::Enforce),
            ("access", Mode::Enforce),
        ]
    );
}

#[test]
fn audit_finds_the_same_and_does_nothing() {
    let enforced = plan(REGISTRY, &world(vec![with_spec("b", 1, full_spec())]));
    let audited = plan(REGISTRY, &world(vec![with_spec("b", 1, audit(full_spec()))]));
    let found = |plan: &Plan, mode| -> Vec<Finding> {
        let told = findings(plan).into_iter().cloned();
        told.map(|finding| Finding { mode, ..finding }).collect()
    };
    assert!(findings(&audited).iter().all(|f| f.mode == Mode::Audit));
    assert_eq!(
        findings(&enforced).into_iter().cloned().collect::<Vec<_>>(),
        found(&audited, Mode::Enforce)
    );
    assert_eq!(steps(&audited), [""; 0]);
}

#[test]
fn where_everything_is_as_asked_for_nothing_is_done_or_found_and_all_of_it_is_on_record() {
    let world = converged(full_spec());
    let plan = plan(REGISTRY, &world);
    assert_eq!(steps(&plan), [""; 0]);
    assert_eq!(found(&plan), []);
    assert_eq!(plan.inventory.len(), 9);
    for (id, recorded) in &plan.inventory {
        assert_eq!(recorded.uid, world.live[id].uid);
        assert_eq!(recorded.baseline, "uid-b");
        assert_eq!(recorded.digest, Some(world.live[id].digest));
        assert_eq!(Some(&plan.wanted[id]), recorded.digest.as_ref());
    }
    assert_eq!(plan.labels.len(), 4);
}

#[test]
fn what_is_as_asked_for_need_not_be_read() {
    let mut world = converged(full_spec());
    for live in world.live.values_mut() {
        live.object = None;
    }
    let plan = plan(REGISTRY, &world);
    assert!(plan.unread.is_empty());
    assert!(findings(&plan).is_empty());
}

#[test]
fn what_was_deleted_is_created_again() {
    let mut world = converged(full_spec());
    let deny = id(&world, DENY);
    world.live.remove(&deny);
    let plan = plan(REGISTRY, &world);
    assert_eq!(found(&plan), [(FindingKind::Deleted, DENY.to_owned())]);
    assert_eq!(steps(&plan), [format!("create {DENY}")]);
    assert_eq!(
        findings(&plan)[0].differences[0].claim.by,
        "unknown",
        "a deletion leaves no claim"
    );
}

#[test]
fn what_was_changed_is_replaced_and_the_field_and_the_client_are_told() {
    let mut world = converged(full_spec());
    let deny = id(&world, DENY);
    meddle(&mut world, &deny, |object| {
        object["spec"]["ingress"] = json!([{}]);
        object["metadata"]["managedFields"] = json!([
            {"manager": "kubectl-edit", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:ingress": {}}}},
        ]);
    });
    let plan = plan(REGISTRY, &world);
    assert_eq!(found(&plan), [(FindingKind::Changed, DENY.to_owned())]);
    let finding = findings(&plan)[0];
    assert_eq!(finding.differences[0].claim.by, "kubectl-edit");
    assert_eq!(finding.differences[0].path, "spec.ingress[0].from");
    assert_eq!(finding.differences[0].found, "");
    let [
        Action {
            step: Step::Replace { child, live },
            section,
            ..
        },
    ] = &plan.actions[..]
    else {
        panic!("{:?}", plan.actions)
    };
    assert_eq!(*section, "networkIsolation");
    assert_eq!(child.id, deny);
    assert_eq!(live["spec"]["ingress"], json!([{}]), "the object that is replaced");
    assert_eq!(plan.inventory[&deny], world.prior.inventory[&deny], "still on record");
}

#[test]
fn what_was_deleted_and_created_anew_by_somebody_else_is_drift() {
    let mut world = converged(full_spec());
    let deny = id(&world, DENY);
    put(&mut world, &deny, json!({"spec": {"ingress": [{}]}}), None);
    let plan = plan(REGISTRY, &world);
    assert_eq!(found(&plan), [(FindingKind::Changed, DENY.to_owned())]);
    assert_eq!(steps(&plan), [format!("replace {DENY}")]);
}

#[test]
fn a_changed_spec_makes_what_is_there_outdated_and_nobody_to_blame() {
    let mut world = converged(full_spec());
    respec(
        &mut world,
        full_spec_but(json!({"networkIsolation": {"allowSameNamespace": false}})),
    );
    let plan = plan(REGISTRY, &world);
    assert_eq!(
        found(&plan),
        [
            (FindingKind::Outdated, DENY.to_owned()),
            (FindingKind::Outdated, "NetworkPolicy/default-deny-egress".to_owned()),
        ]
    );
    assert!(!FindingKind::Outdated.is_drift());
    assert_eq!(steps(&plan).len(), 2);
    assert!(steps(&plan).iter().all(|s| s.starts_with("replace NetworkPolicy/")));
}

#[test]
fn what_was_changed_before_the_spec_was_is_still_drift() {
    let mut world = converged(full_spec());
    let deny = id(&world, DENY);
    meddle(&mut world, &deny, |object| object["spec"]["ingress"] = json!([{}]));
    respec(
        &mut world,
        full_spec_but(json!({"networkIsolation": {"allowSameNamespace": false}})),
    );
    assert!(found(&plan(REGISTRY, &world)).contains(&(FindingKind::Changed, DENY.to_owned())));
}

#[test]
fn a_copy_of_what_was_asked_for_earlier_that_somebody_else_made_is_drift() {
    let mut world = converged(full_spec());
    let deny = id(&world, DENY);
    let copy = (**world.live[&deny].object.as_ref().unwrap()).clone();
    put(&mut world, &deny, copy, None);
    assert_eq!(found(&plan(REGISTRY, &world)), [], "as asked for, whoever made it");
    respec(
        &mut world,
        full_spec_but(json!({"networkIsolation": {"allowSameNamespace": false}})),
    );
    assert!(found(&plan(REGISTRY, &world)).contains(&(FindingKind::Changed, DENY.to_owned())));
}

#[test]
fn an_unknown_object_under_a_wanted_name_is_taken_over_and_told_apart_from_drift() {
    let mut world = converged(full_spec());
    let deny = id(&world, DENY);
    world.prior.inventory.clear();
    put(
        &mut world,
        &deny,
        json!({"metadata": {"labels": {"team": "a"}}, "spec": {"ingress": [{}]}}),
        None,
    );
    let plan = plan(REGISTRY, &world);
    assert_eq!(found(&plan), [(FindingKind::NameTaken, DENY.to_owned())]);
    assert_eq!(steps(&plan), [format!("replace {DENY}")]);
    assert!(!FindingKind::NameTaken.is_drift());
    assert!(!plan.inventory.contains_key(&deny), "not ours before it is written");
    assert_eq!(plan.inventory.len(), 8, "what is as asked for is");
}

#[test]
fn what_differs_and_is_not_at_hand_has_to_be_read_first() {
    let mut world = converged(full_spec());
    let deny = id(&world, DENY);
    meddle(&mut world, &deny, |object| object["spec"]["ingress"] = json!([{}]));
    world.live.get_mut(&deny).unwrap().object = None;
    let plan = plan(REGISTRY, &world);
    assert_eq!(plan.unread, std::slice::from_ref(&deny));
    assert_eq!(steps(&plan), [""; 0]);
    assert_eq!(found(&plan), []);
    assert_eq!(plan.inventory[&deny], world.prior.inventory[&deny]);
}

#[test]
fn what_cannot_be_changed_is_deleted_and_created() {
    for (shown, field, value) in [
        (
            "RoleBinding/viewers",
            "roleRef",
            json!({"kind": "ClusterRole", "name": "cluster-admin"}),
        ),
        (
            "ResourceQuota/best-effort",
            "spec",
            json!({"hard": {"pods": "5"}, "scopes": ["NotBestEffort"]}),
        ),
        ("ResourceQuota/best-effort", "spec", json!({"hard": {"pods": "5"}})),
        (
            "ResourceQuota/compute",
            "spec",
            json!({"hard": {"pods": "5"}, "scopeSelector": {"matchExpressions": [{"scopeName": "BestEffort", "operator": "Exists"}]}}),
        ),
    ] {
        let mut world = converged(full_spec());
        let child = id(&world, shown);
        meddle(&mut world, &child, |object| object[field] = value.clone());
        let plan = plan(REGISTRY, &world);
        assert_eq!(steps(&plan), [format!("recreate {shown}")], "{value}");
        let Step::Recreate {
            uid, resource_version, ..
        } = &plan.actions[0].step
        else {
            unreachable!()
        };
        assert_eq!(
            (uid, resource_version),
            (&world.live[&child].uid, &world.live[&child].resource_version)
        );
    }
    let mut world = converged(full_spec());
    for (shown, field, value) in [
        ("RoleBinding/viewers", "subjects", json!([])),
        (
            "ResourceQuota/best-effort",
            "spec",
            json!({"hard": {"pods": "6"}, "scopes": ["BestEffort"]}),
        ),
    ] {
        let child = id(&world, shown);
        meddle(&mut world, &child, |object| object[field] = value.clone());
    }
    assert_eq!(
        steps(&plan(REGISTRY, &world)),
        ["replace ResourceQuota/best-effort", "replace RoleBinding/viewers"]
    );
}

#[test]
fn a_section_overrides_the_mode_of_the_baseline() {
    let spec = full_spec_but(json!({"mode": "Audit", "networkIsolation": {"mode": "Enforce"}}));
    let only = plan(REGISTRY, &world(vec![with_spec("b", 1, spec)]));
    assert!(
        steps(&only).iter().all(|s| s.starts_with("create NetworkPolicy/")),
        "{:?}",
        steps(&only)
    );
    assert_eq!(steps(&only).len(), 3);
    let spec = full_spec_but(json!({"access": {"mode": "Audit"}, "podSecurity": {"mode": "Audit"}}));
    let but = plan(REGISTRY, &world(vec![with_spec("b", 1, spec)]));
    assert_eq!(steps(&but).len(), 6);
    assert!(!steps(&but).iter().any(|s| s.contains("Role") || s.starts_with("label")));
    assert_eq!(findings(&but).len(), 13, "they are found all the same");
}

#[test]
fn nothing_is_done_in_a_namespace_that_is_being_deleted_or_that_nothing_selects() {
    let world = converged(full_spec());
    let recorded = world.prior.inventory.clone();
    for change in [
        (|world| world.namespace.terminating = true) as fn(&mut World),
        |world| world.baselines.clear(),
    ] {
        let mut world = world.clone();
        change(&mut world);
        let plan = plan(REGISTRY, &world);
        assert_eq!(steps(&plan), [""; 0]);
        assert!(plan.sections.is_empty());
        assert!(plan.baselines().is_empty());
        let uids = |all: &BTreeMap<ChildId, Recorded>| all.iter().map(|(i, r)| (i.clone(), r.uid.clone())).collect();
        let (kept, recorded): (Vec<_>, Vec<_>) = (uids(&plan.inventory), uids(&recorded));
        assert_eq!(kept, recorded, "what is recorded stays recorded");
    }
}

#[test]
fn a_suspended_baseline_is_planned_and_nothing_of_it_is_done() {
    let suspended = full_spec_but(json!({"suspend": true}));
    let go = plan(REGISTRY, &world(vec![with_spec("b", 1, full_spec())]));
    let held = plan(REGISTRY, &world(vec![with_spec("b", 1, suspended)]));
    assert_eq!(found(&go), found(&held));
    assert_eq!(steps(&held), [""; 0]);
    assert!(
        held.sections
            .iter()
            .all(|s| s.paused == Some("Suspended") && s.mode == Mode::Enforce)
    );
}

#[test]
fn the_emergency_stop_holds_everything() {
    use crate::core::gate::{Fleet, Verdict, judge};
    assert_eq!(judge(Fleet::default()), Verdict::Go);
    assert_eq!(judge(Fleet { stopped: true }), Verdict::Hold { reason: "Stopped" });
}

#[test]
fn what_is_held_back_is_neither_found_nor_done() {
    let mut world = world(vec![with_spec("b", 1, full_spec())]);
    world.cluster = Arc::default();
    let plan = plan(REGISTRY, &world);
    let held: Vec<_> = plan.sections.iter().flat_map(|s| &s.held).map(|h| h.reason).collect();
    assert_eq!(held, ["DNSNotFound", "GrantRefused", "RoleHeld"]);
    assert!(
        !steps(&plan)
            .iter()
            .any(|s| s.contains("egress") || s.contains("developer"))
    );
    assert!(steps(&plan).contains(&"create RoleBinding/viewers".to_owned()));
}

#[test]
fn a_live_object_that_we_never_wrote_but_is_as_asked_for_is_put_on_record() {
    // A lost report is rebuilt from what is there.
    let mut world = converged(full_spec());
    let before = std::mem::take(&mut world.prior.inventory);
    remember(&mut world);
    assert_eq!(world.prior.inventory, before);
    let deny = id(&world, DENY);
    let Live { digest, object, .. } = &world.live[&deny];
    assert_eq!(*digest, Canonical::of(deny.kind, object.as_ref().unwrap()).digest());
    let plan = plan(REGISTRY, &world);
    carry_out(&mut world, &plan);
    assert_eq!(world.prior.inventory, before);
}

#[test]
fn what_is_as_it_was_asked_for_before_is_replaced_without_being_read_where_it_is_known_what_that_was() {
    let mut world = converged(full_spec());
    let before = plan(REGISTRY, &world);
    let compute = id(&world, "ResourceQuota/compute");
    let form = before.as_asked.iter().find(|child| child.id == compute).cloned();
    let mut changed = full_spec();
    changed["resourceQuotas"]["items"][0]["hard"]["pods"] = json!(60);
    world.baselines = vec![with_spec("b", 2, changed)];
    let read = plan(REGISTRY, &world);
    world.live.get_mut(&compute).unwrap().object = None;
    let unread = plan(REGISTRY, &world).unread;
    assert_eq!(unread, std::slice::from_ref(&compute), "nobody knows what it is");

    world.live.get_mut(&compute).unwrap().form = form;
    let known = plan(REGISTRY, &world);
    assert!(known.unread.is_empty(), "{:?}", known.unread);
    assert_eq!(steps(&known), steps(&read));
    let step = |plan: &Plan| match &plan.actions[0].step {
        Step::Replace { child, live } => child.to_replacement("team-a", live),
        other => panic!("{other:?}"),
    };
    assert_eq!(step(&known), step(&read));
    let told = |plan: &Plan| findings(plan).into_iter().cloned().collect::<Vec<_>>();
    let paths = |plan: &Plan| {
        let all = told(plan).into_iter().flat_map(|f| f.differences);
        all.map(|d| (d.path, d.expected, d.found)).collect::<Vec<_>>()
    };
    assert_eq!(paths(&known), paths(&read));
    assert!(
        told(&known)
            .iter()
            .all(|f| f.differences.iter().all(|d| d.claim.states_our_name()))
    );

    // What is not as it was written last is somebody's doing: it is read, to say whose.
    world.prior.inventory.get_mut(&compute).unwrap().digest = None;
    assert_eq!(plan(REGISTRY, &world).unread, [compute]);
}
