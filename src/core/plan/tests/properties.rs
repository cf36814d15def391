//! What holds of every world that a baseline, its admins and its tenants can bring about.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::json;

use super::*;

/// Something that happens to a namespace.
#[derive(Clone, Debug)]
enum Event {
    /// A child is deleted.
    Delete(Index),
    /// A child is changed.
    Change(Index, Meddling),
    /// A child is deleted, and another put in its place.
    TakeOver(Index),
    /// The record of a child is lost.
    Forget(Index),
    /// The record of a child is of another object.
    Misremember(Index),
    /// A label is set by another client.
    Label(&'static str, &'static str),
    /// A label is removed by another client.
    Unlabel(&'static str),
    /// The admin takes sections out of the spec, and another value in.
    Respec(Vec<&'static str>, Vec<&'static str>),
    /// The admin replaces the baseline by another one.
    Replace,
    /// The cluster's DNS is no longer found, and nothing may be handed out.
    Blind,
}

#[derive(Clone, Copy, Debug)]
enum Meddling {
    Spec,
    Immutable,
    OurLabel,
    Owner,
    Nothing,
}

const SECTIONS: [&str; 5] = [
    "networkIsolation",
    "resourceQuotas",
    "limitRanges",
    "podSecurity",
    "access",
];

fn event() -> impl Strategy<Value = Event> {
    use Meddling::{Immutable, Nothing, OurLabel, Owner, Spec};
    let keys = select(vec![
        "pod-security.kubernetes.io/enforce",
        "pod-security.kubernetes.io/enforce-version",
        "pod-security.kubernetes.io/warn",
        "team",
    ]);
    let sections = || subsequence(SECTIONS.to_vec(), 0..3);
    prop_oneof![
        any::<Index>().prop_map(Event::Delete),
        (any::<Index>(), select(vec![Spec, Immutable, OurLabel, Owner, Nothing]))
            .prop_map(|(i, m)| Event::Change(i, m)),
        any::<Index>().prop_map(Event::TakeOver),
        any::<Index>().prop_map(Event::Forget),
        any::<Index>().prop_map(Event::Misremember),
        (
            keys.clone(),
            select(vec!["privileged", "baseline", "restricted", "v1.0"])
        )
            .prop_map(|(k, v)| Event::Label(k, v)),
        keys.prop_map(Event::Unlabel),
        (sections(), sections()).prop_map(|(a, b)| Event::Respec(a, b)),
        Just(Event::Replace),
        Just(Event::Blind),
    ]
}

/// A spec without some sections, and with others changed.
fn spec_without(removed: &[&str], changed: &[&str]) -> Value {
    let mut spec = full_spec();
    for section in changed {
        match *section {
            "networkIsolation" => spec["networkIsolation"]["allow"] = json!([]),
            "resourceQuotas" => spec["resourceQuotas"]["items"][1]["scopes"] = json!(["NotBestEffort"]),
            "limitRanges" => spec["limitRanges"]["items"][0]["name"] = json!("other"),
            "podSecurity" => spec["podSecurity"] = json!({"enforce": {"level": "privileged"}}),
            _ => spec["access"]["bindings"][1]["clusterRole"] = json!("edit"),
        }
    }
    for section in removed {
        spec.as_object_mut().unwrap().remove(*section);
    }
    spec
}

fn happen(world: &mut World, event: &Event) {
    let at = |world: &World, i: &Index| {
        let all: Vec<ChildId> = world.live.keys().cloned().collect();
        (!all.is_empty()).then(|| i.get(&all).clone())
    };
    match event {
        Event::Delete(i) => {
            if let Some(id) = at(world, i) {
                world.live.remove(&id);
            }
        }
        Event::Change(i, how) => {
            if let Some(id) = at(world, i) {
                meddle(world, &id, |object| match how {
                    Meddling::Spec => object["spec"]["ingress"] = json!([{}]),
                    Meddling::Immutable => {
                        object["roleRef"] = json!({"kind": "ClusterRole", "name": "cluster-admin"});
                        object["spec"]["scopes"] = json!(["Terminating"]);
                    }
                    Meddling::OurLabel => object["metadata"]["labels"] = json!({"app.kubernetes.io/name": "mine"}),
                    Meddling::Owner => object["metadata"]["ownerReferences"] = json!([{"uid": "bait"}]),
                    Meddling::Nothing => object["metadata"]["annotations"]["note"] = json!("hello"),
                });
            }
        }
        Event::TakeOver(i) => {
            if let Some(id) = at(world, i) {
                put(world, &id, json!({"metadata": {"finalizers": ["hold"]}}), None);
            }
        }
        Event::Forget(i) => {
            if let Some(id) = at(world, i) {
                world.prior.inventory.remove(&id);
            }
        }
        Event::Misremember(i) => {
            if let Some(recorded) = at(world, i).and_then(|id| world.prior.inventory.get_mut(&id)) {
                recorded.uid = "long gone".to_owned();
            }
        }
        Event::Label(key, value) => {
            world.namespace.labels.insert((*key).to_owned(), (*value).to_owned());
            world.namespace.our_labels.remove(*key);
        }
        Event::Unlabel(key) => {
            world.namespace.labels.remove(*key);
            world.namespace.our_labels.remove(*key);
        }
        Event::Respec(removed, changed) => {
            let name = world.baselines[0].name.clone();
            world.baselines = vec![with_spec(&name, 1, spec_without(removed, changed))];
        }
        Event::Replace => world.baselines = vec![with_spec("other", 2, full_spec())],
        Event::Blind => world.cluster = Arc::default(),
    }
}

fn any_world() -> impl Strategy<Value = World> {
    (any::<bool>(), proptest::collection::vec(event(), 0..8)).prop_map(|(bare, events)| {
        let mut world = if bare {
            world(vec![with_spec("b", 1, full_spec())])
        } else {
            converged(full_spec())
        };
        for event in &events {
            happen(&mut world, event);
        }
        world
    })
}

/// The same world, audited.
fn audited(world: &World) -> World {
    let mut world = world.clone();
    for baseline in &mut world.baselines {
        Arc::make_mut(baseline).spec.mode = Mode::Audit;
    }
    world
}

/// The objects that are held back.
fn held(plan: &Plan) -> Vec<String> {
    let held = plan.sections.iter().flat_map(|s| &s.held);
    held.map(|held| held.object.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn audit_finds_just_what_enforce_finds_and_does_nothing(world in any_world(), unread in any::<Index>()) {
        let mut world = world;
        let all: Vec<ChildId> = world.live.keys().cloned().collect();
        if !all.is_empty() {
            world.live.get_mut(unread.get(&all)).unwrap().object = None;
        }
        let (enforced, audited) = (plan(REGISTRY, &world), plan(REGISTRY, &audited(&world)));
        let told = |plan: &Plan| -> Vec<Finding> {
            let told = findings(plan).into_iter().cloned();
            told.map(|finding| Finding { mode: Mode::Audit, ..finding }).collect()
        };
        prop_assert_eq!(told(&enforced), told(&audited));
        prop_assert_eq!(steps(&audited), Vec::<String>::new());
        prop_assert_eq!(enforced.unread, audited.unread);
        prop_assert_eq!(enforced.wanted, audited.wanted);
        prop_assert_eq!(enforced.inventory, audited.inventory);
    }

    #[test]
    fn one_round_of_work_is_enough_and_then_there_is_quiet(world in any_world()) {
        let mut world = world;
        let first = plan(REGISTRY, &world);
        carry_out(&mut world, &first);
        let second = plan(REGISTRY, &world);
        prop_assert_eq!(steps(&second), Vec::<String>::new());
        // Of what is held back nothing is put back.
        let held = held(&second);
        let left = findings(&second).into_iter().filter(|f| !held.contains(&f.object));
        prop_assert_eq!(left.count(), 0);
        for (id, wanted) in second.wanted.iter().filter(|(id, _)| !held.contains(&id.to_string())) {
            prop_assert_eq!(world.live[id].digest, *wanted);
            prop_assert_eq!(&second.inventory[id].uid, &world.live[id].uid);
        }
        remember(&mut world);
        let (inventory, labels) = (world.prior.inventory.clone(), world.prior.labels.clone());
        remember(&mut world);
        prop_assert_eq!((inventory, labels), (world.prior.inventory.clone(), world.prior.labels.clone()));
    }

    #[test]
    fn every_finding_has_its_action_and_every_action_its_finding(world in any_world()) {
        let plan = plan(REGISTRY, &world);
        let held = held(&plan);
        let of_work = findings(&plan).into_iter().filter(|f| !held.contains(&f.object));
        let mut found: Vec<_> = of_work.map(|f| f.object.clone()).collect();
        let mut done: Vec<_> = plan.actions.iter().map(|a| a.object.clone()).collect();
        for list in [&mut found, &mut done] {
            list.sort();
        }
        let actions = done.len();
        found.dedup();
        done.dedup();
        prop_assert_eq!(done.len(), actions, "an object is written once");
        prop_assert_eq!(found, done);
    }

    #[test]
    fn nothing_is_deleted_but_what_is_recorded_as_the_holders_under_the_uid_that_is_there(world in any_world()) {
        let plan = plan(REGISTRY, &world);
        for action in &plan.actions {
            if let Step::Delete { id, uid, .. } = &action.step {
                let recorded = &world.prior.inventory[id];
                prop_assert_eq!(uid, &recorded.uid);
                prop_assert_eq!(uid, &world.live[id].uid);
                prop_assert_eq!(&recorded.baseline, &world.baselines[0].uid);
                prop_assert!(!plan.wanted.contains_key(id));
            }
        }
    }

    #[test]
    fn nothing_is_done_for_a_section_that_is_audited(
        world in any_world(),
        modes in proptest::collection::vec(select(vec![None, Some("Audit"), Some("Enforce")]), 6),
    ) {
        let mut world = world;
        let mut spec = serde_json::to_value(&world.baselines[0].spec).unwrap();
        spec["mode"] = json!(modes[5].unwrap_or("Enforce"));
        for (section, mode) in SECTIONS.into_iter().zip(&modes) {
            if let (Some(section), Some(mode)) = (spec.get_mut(section), mode) {
                section["mode"] = json!(mode);
            }
        }
        let modes = |section: &str| match spec.get(section).and_then(|s| s.get("mode")) {
            Some(mode) => mode.clone(),
            None => spec["mode"].clone(),
        };
        world.baselines = vec![with_spec(&world.baselines[0].name, 1, spec.clone())];
        let plan = plan(REGISTRY, &world);
        for action in &plan.actions {
            prop_assert_eq!(modes(action.section), json!("Enforce"), "{:?}", action);
        }
        for section in &plan.sections {
            prop_assert_eq!(modes(section.section), json!(section.mode));
        }
    }
}
