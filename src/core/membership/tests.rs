use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::core::object::ChildId;
use crate::core::world::testing::{id, namespace, with_spec, world};
use crate::core::world::{Recorded, RecordedLabel};

type Labels = BTreeMap<String, String>;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn spec(change: Value) -> SecurityBaselineSpec {
    let mut spec = json!({"namespaceSelector": {"matchLabels": {"tenant": "true"}}});
    spec.as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// What is on record of a namespace that was selected with these labels.
fn record(spec: &SecurityBaselineSpec, labels: &Labels) -> Membership {
    Membership {
        generation: 1,
        admitted: admitted(&spec.namespace_selector, labels),
    }
}

/// How a spec stands to a namespace with these labels that it selected when it had others.
fn stands(spec: &SecurityBaselineSpec, now: &[(&str, &str)], then: &[(&str, &str)]) -> Standing {
    standing(spec, "team-a", &labels(now), Some(&record(spec, &labels(then))))
}

const TENANT: &[(&str, &str)] = &[("tenant", "true")];

#[test]
fn a_namespace_is_selected_by_its_labels_and_one_that_never_was_is_out() {
    let spec = spec(json!({}));
    assert_eq!(standing(&spec, "team-a", &labels(TENANT), None), Standing::Selected);
    assert_eq!(standing(&spec, "team-a", &labels(&[]), None), Standing::Out);
    assert_eq!(stands(&spec, TENANT, TENANT), Standing::Selected);
}

#[test]
fn a_namespace_that_takes_off_or_changes_the_label_is_held_all_the_same() {
    let spec = spec(json!({}));
    assert_eq!(stands(&spec, &[], TENANT), Standing::Deselected);
    assert_eq!(stands(&spec, &[("tenant", "false")], TENANT), Standing::Deselected);
}

#[test]
fn a_namespace_that_puts_on_a_label_that_must_not_be_there_is_held_all_the_same() {
    for expression in [
        json!({"key": "free", "operator": "DoesNotExist"}),
        json!({"key": "free", "operator": "NotIn", "values": ["yes"]}),
    ] {
        let spec = spec(json!({"namespaceSelector": {"matchExpressions": [expression]}}));
        assert_eq!(stands(&spec, &[("free", "yes")], &[]), Standing::Deselected);
    }
}

#[test]
fn one_that_is_released_by_name_goes_only_while_its_labels_do_not_match() {
    let spec = spec(json!({"releasedNamespaces": ["team-a"]}));
    assert_eq!(stands(&spec, &[], TENANT), Standing::Out);
    assert_eq!(stands(&spec, TENANT, TENANT), Standing::Selected);
    let other = self::spec(json!({"releasedNamespaces": ["team"]}));
    assert_eq!(
        stands(&other, &[], TENANT),
        Standing::Deselected,
        "a name, and no pattern"
    );
}

#[test]
fn an_excluded_namespace_is_out_whatever_it_has_been() {
    let spec = spec(json!({"excludedNamespaces": ["team-*"]}));
    assert_eq!(stands(&spec, TENANT, TENANT), Standing::Out);
    assert_eq!(stands(&spec, &[], TENANT), Standing::Out);
}

#[test]
fn a_changed_selector_is_held_against_the_live_labels_or_the_recorded_ones() {
    let before = spec(json!({}));
    let recorded = record(&before, &labels(TENANT));
    let under = |selector: Value, live: &[(&str, &str)]| {
        let spec = spec(json!({"namespaceSelector": selector}));
        standing(&spec, "team-a", &labels(live), Some(&recorded))
    };
    // Of the label that it took off, the record speaks; of others, the namespace does.
    let both = json!({"matchLabels": {"tenant": "true", "stage": "prod"}});
    assert_eq!(under(both.clone(), &[("stage", "prod")]), Standing::Deselected);
    assert_eq!(under(both, &[]), Standing::Out);
    let others = json!({"matchLabels": {"tenant": "false"}});
    assert_eq!(under(others.clone(), &[]), Standing::Out, "an admin's change is obeyed");
    assert_eq!(under(others, &[("tenant", "false")]), Standing::Selected);
}

#[test]
fn who_lets_a_namespace_go_is_told_from_who_never_had_it() {
    let sections = json!({"namespaceSelector": {"matchLabels": {"tenant": "true"}}});
    let [held, record_only, object_only, label_only, never] =
        ["held", "record", "object", "label", "never"].map(|name| with_spec(name, 1, sections.clone()));
    let mut leaving = (*with_spec("leaving", 1, json!({"namespaceSelector": {}}))).clone();
    leaving.leaving = true;
    let leaving = Arc::new(leaving);
    let on_record = BTreeMap::from([
        (held.uid.as_str().into(), Arc::new(record(&held.spec, &labels(TENANT)))),
        (leaving.uid.as_str().into(), Arc::default()),
        (record_only.uid.as_str().into(), Arc::default()),
    ]);
    let mut prior = Prior {
        members: Arc::new(on_record),
        ..Prior::default()
    };
    let object = child();
    let recorded = Recorded {
        uid: "u".into(),
        baseline: object_only.uid.clone(),
        digest: None,
    };
    prior.inventory.insert(object, recorded);
    let label = RecordedLabel {
        value: "v".into(),
        baseline: label_only.uid.clone(),
    };
    prior.labels.insert("key".into(), label);
    let all = [held, record_only, object_only, label_only, never, leaving];
    let found = members(&all, "team-a", &namespace().labels, Some(&prior));
    let names = |list: &[Arc<Baseline>]| list.iter().map(|b| b.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found.holding), ["held"]);
    assert_eq!(found.deselected, BTreeSet::from(["uid-held".to_owned()]));
    assert_eq!(names(&found.released), ["record", "object", "label", "leaving"]);
    let unknown = members(&all, "team-a", &namespace().labels, None::<&Prior>);
    assert!(unknown.holding.is_empty() && unknown.released.is_empty());
}

/// Some child's identity.
fn child() -> ChildId {
    let quota = json!({"namespaceSelector": {}, "mode": "Enforce", "resourceQuotas": {"items": [{"name": "q", "hard": {"pods": 1}}]}});
    let mut world = world(vec![with_spec("b", 1, quota)]);
    let plan = crate::core::plan::plan(crate::controls::REGISTRY, &world);
    crate::core::world::testing::carry_out(&mut world, &plan);
    id(&world, "ResourceQuota/q")
}

const KEYS: [&str; 3] = ["a", "b", "c"];

fn any_labels() -> impl Strategy<Value = Labels> {
    let values = (select(vec!["1", "2"]), select(vec!["1", "2"]), select(vec!["1", "2"]));
    (subsequence(KEYS.to_vec(), 0..=3), values).prop_map(|(keys, (a, b, c))| {
        let all = KEYS.into_iter().zip([a, b, c]);
        labels(&all.filter(|(key, _)| keys.contains(key)).collect::<Vec<_>>())
    })
}

fn any_selector() -> impl Strategy<Value = Value> {
    let operator = select(vec!["In", "NotIn", "Exists", "DoesNotExist"]);
    let expression = (select(KEYS.to_vec()), operator).prop_map(|(key, operator)| {
        let mut expression = json!({"key": key, "operator": operator});
        if operator.ends_with("In") {
            expression["values"] = json!(["1"]);
        }
        expression
    });
    (any_labels(), proptest::collection::vec(expression, 0..3)).prop_map(|(mut labels, expressions)| {
        labels.pop_last();
        json!({"matchLabels": labels, "matchExpressions": expressions})
    })
}

proptest! {
    #[test]
    fn no_label_leads_out_of_a_baseline(selector in any_selector(), then in any_labels(), now in any_labels()) {
        let spec = spec(json!({"namespaceSelector": selector}));
        let matched = |labels: &Labels| matches(&spec.namespace_selector, labels);
        if matched(&then) {
            let expected = if matched(&now) { Standing::Selected } else { Standing::Deselected };
            prop_assert_eq!(standing(&spec, "team-a", &now, Some(&record(&spec, &then))), expected);
        }
    }
}
