mod record;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;
use crate::core::exceptions::{Exception, waivers};

const WEB: &str = "NetworkPolicy/allow-web";

/// An exception for `team-a` that holds in [`world`], until 500 seconds later.
fn exception(name: &str, waive: Value) -> Arc<Exception> {
    let at = |second| Timestamp::from_second(second).unwrap();
    let spec = json!({
        "namespaces": ["team-a"], "waive": waive, "reason": "a test", "approver": "tester",
        "expiresAt": at(1_500).to_string(),
    });
    let spec = serde_json::from_value(spec).unwrap();
    let month = SignedDuration::from_hours(720);
    let accepted = Exception::accept(name.into(), format!("uid-{name}"), 1, at(900), spec, month);
    Arc::new(accepted.unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// Lets the world's namespace off this.
pub(super) fn waive(world: &mut World, waive: Value) {
    let exceptions = [exception("debug", waive)];
    world.waivers = waivers(&exceptions, &world.namespace.name, world.now);
}

/// Lets the time go by until what is waived is not waived any more.
pub(super) fn expire(world: &mut World) {
    world.now = world.waivers.next.unwrap();
    let exceptions = world.waivers.exceptions.clone();
    world.waivers = waivers(&exceptions, &world.namespace.name, world.now);
}

fn object(control: &str, shown: &str) -> Value {
    json!([{"control": control, "objects": [shown.replacen('/', "/security-baseline-", 1)]}])
}

/// Carries a plan out, and records it as the operator does.
fn work(world: &mut World) -> Plan {
    let plan = plan(REGISTRY, world);
    world.prior.enforced_before = plan.enforced_before.iter().map(|s| (*s).to_owned()).collect();
    carry_out(world, &plan);
    plan
}

#[test]
fn what_is_waived_is_removed_by_its_recorded_uid_and_told_as_waived_and_as_nothing_else() {
    let mut world = converged(full_spec());
    waive(&mut world, object("networkIsolation", WEB));
    let web = id(&world, WEB);
    let plan = plan(REGISTRY, &world);
    assert_eq!(found(&plan), [(FindingKind::Waived, WEB.to_owned())]);
    assert!(!FindingKind::Waived.is_drift());
    assert_eq!(findings(&plan)[0].differences[0].claim.by, "debug");
    assert_eq!(steps(&plan), [format!("delete {WEB}")]);
    let Step::Delete { uid, .. } = &plan.actions[0].step else {
        panic!("{:?}", plan.actions)
    };
    assert_eq!(*uid, world.live[&web].uid);
    assert!(!plan.wanted.contains_key(&web), "nobody is to put it back");
    assert_eq!(plan.waived.len(), 1);
    assert_eq!(plan.next_due, Some(Timestamp::from_second(1_500).unwrap()));

    work(&mut world);
    let after = plan_of(&world);
    assert_eq!((steps(&after), found(&after)), (Vec::new(), Vec::new()));
    assert_eq!(after.waived, plan.waived, "it is still told");
}

fn plan_of(world: &World) -> Plan {
    plan(REGISTRY, world)
}

#[test]
fn when_an_exception_ends_what_it_waived_is_back_and_nobody_is_to_blame() {
    let mut world = converged(full_spec());
    let before = world.prior.inventory.keys().cloned().collect::<Vec<_>>();
    waive(
        &mut world,
        json!([
            {"control": "networkIsolation"}, {"control": "resourceQuotas"}, {"control": "limitRanges"},
            {"control": "access"}, {"control": "podSecurity", "level": "privileged"},
        ]),
    );
    let waived = work(&mut world);
    assert_eq!(steps(&waived).len(), 9 + 1, "{:?}", steps(&waived));
    assert!(world.live.is_empty());
    assert_eq!(
        world.namespace.labels["pod-security.kubernetes.io/enforce"],
        "privileged"
    );
    assert!(findings(&plan_of(&world)).is_empty());
    assert!(plan_of(&world).sections.len() == 5, "each section is still told");

    expire(&mut world);
    let back = work(&mut world);
    assert!(findings(&back).iter().all(|f| !f.kind.is_drift()), "{:?}", found(&back));
    assert_eq!(back.next_due, None);
    assert_eq!(world.prior.inventory.keys().cloned().collect::<Vec<_>>(), before);
    assert_eq!(world.namespace.labels["pod-security.kubernetes.io/enforce"], "baseline");
    assert_eq!(steps(&plan_of(&world)), [""; 0]);
}

#[test]
fn a_waived_level_is_applied_as_the_stated_one_and_is_no_drift() {
    let restricted = json!({"podSecurity": {"enforce": {"level": "restricted"}}});
    let mut world = converged(full_spec_but(restricted));
    waive(&mut world, json!([{"control": "podSecurity", "level": "baseline"}]));
    let falls = work(&mut world);
    assert_eq!(found(&falls), [(FindingKind::Outdated, "Namespace/team-a".to_owned())]);
    assert_eq!(falls.waived[0].level.map(|level| level.as_str()), Some("baseline"));
    assert_eq!(world.namespace.labels["pod-security.kubernetes.io/enforce"], "baseline");
    // Less than that is drift.
    let mut less = world.clone();
    let enforce = "pod-security.kubernetes.io/enforce";
    less.namespace.labels.insert(enforce.into(), "privileged".into());
    assert_eq!(
        found(&plan_of(&less)),
        [(FindingKind::Changed, "Namespace/team-a".to_owned())]
    );
    // A stricter one that somebody else sets is theirs.
    let mut more = world.clone();
    more.namespace.labels.insert(enforce.into(), "restricted".into());
    more.namespace.our_labels.remove(enforce);
    assert_eq!(steps(&plan_of(&more)), [""; 0]);
}

#[test]
fn in_audit_what_is_waived_is_told_and_stays_and_what_is_not_there_is_not_missing() {
    let mut world = converged(full_spec());
    respec(&mut world, audit(full_spec()));
    waive(&mut world, object("networkIsolation", WEB));
    let told = plan_of(&world);
    assert_eq!(found(&told), [(FindingKind::Waived, WEB.to_owned())]);
    assert_eq!(findings(&told)[0].mode, Mode::Audit);
    assert_eq!(steps(&told), [""; 0]);
    assert!(told.inventory.contains_key(&id(&world, WEB)));

    let mut bare = crate::core::world::testing::world(vec![with_spec("b", 1, audit(full_spec()))]);
    waive(&mut bare, object("networkIsolation", WEB));
    assert!(!found(&plan_of(&bare)).iter().any(|(_, object)| object == WEB));
    assert_eq!(plan_of(&bare).waived.len(), 1);
}

#[test]
fn what_somebody_else_puts_under_a_waived_name_is_theirs_until_the_exception_ends() {
    let mut world = converged(full_spec());
    let web = id(&world, WEB);
    waive(&mut world, object("networkIsolation", WEB));
    work(&mut world);
    put(&mut world, &web, json!({"spec": {"ingress": [{}]}}), None);
    let left = work(&mut world);
    assert_eq!((steps(&left), found(&left)), (Vec::new(), Vec::new()));
    assert!(!left.inventory.contains_key(&web));
    expire(&mut world);
    let back = plan_of(&world);
    assert_eq!(found(&back), [(FindingKind::NameTaken, WEB.to_owned())]);
    assert_eq!(steps(&back), [format!("replace {WEB}")]);
}

#[test]
fn another_object_under_the_name_of_what_was_ours_is_not_removed_for_an_exception() {
    let mut world = converged(full_spec());
    let web = id(&world, WEB);
    put(&mut world, &web, json!({"spec": {"ingress": [{}]}}), None);
    waive(&mut world, object("networkIsolation", WEB));
    let left = plan_of(&world);
    assert_eq!((steps(&left), found(&left)), (Vec::new(), Vec::new()));
    assert!(!left.inventory.contains_key(&web));
}

#[test]
fn a_waived_object_goes_for_whoever_asks_for_it_and_what_nobody_asks_for_goes_as_before() {
    let mut world = converged(full_spec());
    // The baseline on record is gone, and another one asks for the same.
    world.baselines = vec![with_spec("other", 2, full_spec())];
    waive(&mut world, json!([{"control": "networkIsolation"}]));
    let gone = plan_of(&world);
    assert_eq!(
        steps(&gone),
        [
            "delete NetworkPolicy/default-deny-ingress",
            "delete NetworkPolicy/default-deny-egress",
            "delete NetworkPolicy/allow-web"
        ]
    );
    assert!(gone.actions.iter().all(|action| action.baseline == "uid-other"));

    let mut world = converged(full_spec());
    respec(&mut world, full_spec_but(json!({"networkIsolation": {"allow": null}})));
    waive(&mut world, json!([{"control": "networkIsolation"}]));
    let kinds = found(&plan_of(&world));
    assert!(kinds.contains(&(FindingKind::Surplus, WEB.to_owned())), "{kinds:?}");
    assert!(kinds.contains(&(FindingKind::Waived, DENY.to_owned())), "{kinds:?}");
}

#[test]
fn what_a_waived_direction_leaves_of_a_rule_is_kept() {
    let rules = json!({"networkIsolation": {"allow": [{
        "name": "web", "podSelector": {"matchLabels": {"app": "web"}},
        "ingress": [{"ports": [{"port": 80}]}], "egress": [{"ports": [{"port": 443}]}],
    }]}});
    let mut world = converged(full_spec_but(rules));
    waive(
        &mut world,
        object("networkIsolation", "NetworkPolicy/default-deny-egress"),
    );
    let plan = work(&mut world);
    assert_eq!(
        found(&plan),
        [
            (FindingKind::Outdated, WEB.to_owned()),
            (FindingKind::Waived, "NetworkPolicy/default-deny-egress".to_owned())
        ]
    );
    let web = world.live[&id(&world, WEB)].object.clone().unwrap();
    assert_eq!(web["spec"]["policyTypes"], json!(["Ingress"]));
}

#[test]
fn a_suspended_baseline_tells_what_is_waived_and_removes_nothing() {
    let mut world = converged(full_spec());
    respec(&mut world, full_spec_but(json!({"suspend": true})));
    waive(&mut world, object("networkIsolation", WEB));
    assert_eq!(steps(&plan_of(&world)), [""; 0]);
    assert_eq!(found(&plan_of(&world)), [(FindingKind::Waived, WEB.to_owned())]);
}

#[test]
fn what_was_enforced_once_and_is_asked_for_by_nobody_now_is_not_told_as_waived() {
    let mut world = converged(full_spec());
    let mut baseline = (*with_spec(
        "b",
        1,
        audit(full_spec_but(json!({"networkIsolation": {"allow": null}}))),
    ))
    .clone();
    baseline.frozen = Some(Arc::new(serde_json::from_value(full_spec()).unwrap()));
    world.baselines = vec![Arc::new(baseline)];
    waive(&mut world, object("networkIsolation", WEB));
    let plan = plan_of(&world);
    assert!(plan.waived.is_empty(), "{:?}", plan.waived);
    assert!(found(&plan).contains(&(FindingKind::Surplus, WEB.to_owned())));
}

#[test]
fn what_opens_a_waived_direction_undoes_nothing() {
    use crate::core::object::ChildId;
    use crate::core::world::{Undoes, Weakening};

    let mut world = converged(full_spec());
    let open = Weakening {
        undoes: vec![Undoes::Egress],
        narrower: Vec::new(),
        what: "it lets everything out".to_owned(),
    };
    let foreign = ChildId {
        kind: id(&world, WEB).kind,
        name: "open".to_owned(),
    };
    world.foreign.insert(foreign, Arc::new(open));
    assert_eq!(
        found(&plan_of(&world)),
        [(FindingKind::Weakened, "NetworkPolicy/open".to_owned())]
    );
    let deny = "NetworkPolicy/default-deny-egress";
    waive(&mut world, object("networkIsolation", deny));
    let told = found(&plan_of(&world));
    assert!(told.iter().all(|(kind, _)| *kind != FindingKind::Weakened), "{told:?}");
}
