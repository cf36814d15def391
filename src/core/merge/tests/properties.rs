//! What holds of all baselines together, over generated specs that are accepted.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::generate::{limit_ranges, some, some_and_another};
use super::*;
use crate::api::v1alpha1::{Direction, PodSecurity, PodSecurityStandard, ResourceList};
use crate::core::quantity::Milli;
use crate::core::validate::validate;

/// What a spec means, whatever the order in which it says it.
fn meaning(spec: &SecurityBaselineSpec) -> BTreeMap<String, Value> {
    let mut meaning = BTreeMap::new();
    for control in REGISTRY {
        let Rendered { children, labels, held } = control.render(spec, &namespace(), &cluster());
        assert_eq!(held, [], "all is known of this cluster");
        for child in children {
            let mut fields = child.canonical().0.clone();
            for list in ["/spec/ingress", "/spec/egress", "/spec/limits", "/rules", "/subjects"] {
                let Some(Value::Array(list)) = fields.pointer_mut(list) else {
                    continue;
                };
                let set: BTreeMap<String, Value> = list.drain(..).map(|item| (item.to_string(), item)).collect();
                list.extend(set.into_values());
            }
            // Nothing left of a list is no list.
            for direction in ["ingress", "egress"] {
                if fields["spec"][direction] == json!([]) {
                    fields["spec"].as_object_mut().unwrap().remove(direction);
                }
            }
            assert_eq!(meaning.insert(child.id.to_string(), fields), None);
        }
        meaning.extend(labels.into_iter().map(|label| (label.key, json!(label.value))));
    }
    meaning
}

/// A baseline that says what some say together, as old as the oldest of them.
fn grouped(all: &[Arc<Baseline>]) -> Arc<Baseline> {
    let merged = merge(REGISTRY, all);
    let mut one = (*merged.baselines[0]).clone();
    one.spec = SecurityBaselineSpec {
        mode: Mode::Enforce,
        ..merged.enforced.spec
    };
    Arc::new(one)
}

fn each_amount<'a>(
    before: &'a ResourceList,
    after: &'a ResourceList,
) -> impl Iterator<Item = (Milli, Option<Milli>)> + 'a {
    let value = |quantity| Milli::try_from(quantity).unwrap();
    before
        .iter()
        .map(move |(key, amount)| (value(amount), after.get(key).map(value)))
}

/// That what protects is as strict in `after` as in `before`.
fn as_strict(before: &Merged, after: &Merged) -> Result<(), TestCaseError> {
    let (was, is) = (&before.spec, &after.spec);
    let standards = |spec: &SecurityBaselineSpec| {
        let section: PodSecurity = spec.pod_security.clone().unwrap_or_default();
        [section.enforce, section.warn]
    };
    for (was, is) in standards(was).into_iter().zip(standards(is)) {
        let newer = |is: &PodSecurityStandard, was: &PodSecurityStandard| {
            newness(is.version.as_deref()) >= newness(was.version.as_deref())
        };
        prop_assert!(was.is_none_or(|was| is.is_some_and(|is| is.level >= was.level && newer(&is, &was))));
    }
    for quota in was.resource_quotas.iter().flat_map(|s| &s.items) {
        let mut items = is.resource_quotas.iter().flat_map(|s| &s.items);
        let now = items.find(|q| q.name == quota.name).unwrap();
        // An older baseline's scopes may hold now, and that is told.
        let told = after
            .conflicts
            .iter()
            .any(|c| c.object == format!("ResourceQuota/{}", quota.name));
        prop_assert!(told || each_amount(&quota.hard, &now.hard).all(|(was, is)| is.is_some_and(|is| is <= was)));
    }
    for item in was.limit_ranges.iter().flat_map(|s| &s.items) {
        let now = is
            .limit_ranges
            .iter()
            .flat_map(|s| &s.items)
            .find(|l| l.name == item.name)
            .unwrap();
        let told = after
            .conflicts
            .iter()
            .any(|c| c.object == format!("LimitRange/{}", item.name));
        for limit in &item.limits {
            let now = now.limits.iter().find(|l| l.type_ == limit.type_).unwrap();
            prop_assert!(each_amount(&limit.max, &now.max).all(|(was, is)| is.is_some_and(|is| is <= was)));
            prop_assert!(told || each_amount(&limit.min, &now.min).all(|(was, is)| is.is_some_and(|is| is >= was)));
            prop_assert!(
                told || each_amount(&limit.max_limit_request_ratio, &now.max_limit_request_ratio)
                    .all(|(was, is)| is.is_none_or(|is| is <= was))
            );
            for (key, default) in &limit.default {
                // It rises only where a minimum lifts it.
                let value = |q| Milli::try_from(q).unwrap();
                let lifted = now
                    .min
                    .get(key)
                    .is_some_and(|min| value(&now.default[key]) == value(min));
                prop_assert!(lifted || value(&now.default[key]) <= value(default));
            }
        }
    }
    for direction in [Direction::Ingress, Direction::Egress] {
        let denies = |spec: &SecurityBaselineSpec| spec.network_isolation.as_ref().is_some_and(|s| s.denies(direction));
        prop_assert!(!denies(was) || denies(is));
    }
    Ok(())
}

/// What a spec grants or allows, as words.
fn granted(spec: &SecurityBaselineSpec) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for access in spec.access.iter() {
        granted.extend(access.roles.iter().map(|role| format!("{role:?}")));
        for binding in &access.bindings {
            let to = (&binding.name, &binding.role, &binding.cluster_role);
            granted.extend(binding.subjects.iter().map(|subject| format!("{to:?} {subject:?}")));
        }
    }
    for network in spec.network_isolation.iter() {
        granted.extend(
            network
                .allow
                .iter()
                .filter(|r| r.name != "SAME-NAMESPACE")
                .map(|rule| format!("{rule:?}")),
        );
        granted.extend((network.allow_dns == Some(true)).then(|| "DNS".to_owned()));
        granted.extend((network.allow_kubernetes_api == Some(true)).then(|| "API".to_owned()));
    }
    granted
}

/// What is written of a namespace's labels and objects.
fn enforced(effective: &Effective) -> (BTreeSet<String>, BTreeSet<String>) {
    let children = effective
        .children
        .iter()
        .filter(|(_, askers)| askers.mode() == Mode::Enforce);
    let labels = effective
        .labels
        .iter()
        .filter(|(_, askers)| askers.mode() == Mode::Enforce);
    (
        children.map(|(id, _)| id.to_string()).collect(),
        labels.map(|(key, _)| key.clone()).collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_result_is_a_function_of_the_set((all, mixed) in some(1).prop_flat_map(|all| {
        let twice: Vec<_> = all.iter().chain(&all[..all.len() / 2]).cloned().collect();
        (Just(all), Just(twice).prop_shuffle())
    })) {
        prop_assert_eq!(merge(REGISTRY, &mixed), merge(REGISTRY, &all));
    }

    #[test]
    fn one_baseline_means_what_it_says_however_often_it_is_said(all in some(1)) {
        let alone = merge(REGISTRY, &all[..1]);
        prop_assert_eq!(meaning(&alone.enforced.spec), meaning(&all[0].spec));
        let mut twin = (*all[0]).clone();
        (twin.name, twin.uid) = ("twin".to_owned(), "twin".to_owned());
        let twice = merge(REGISTRY, &[all[0].clone(), Arc::new(twin)]);
        prop_assert_eq!(&twice.enforced.spec, &alone.enforced.spec);
        prop_assert_eq!(twice.enforced.conflicts, []);
        // And so of what several say.
        let together = merge(REGISTRY, &all).enforced.spec;
        prop_assert_eq!(meaning(&merge(REGISTRY, &[grouped(&all)]).enforced.spec), meaning(&together));
    }

    #[test]
    fn where_nothing_conflicts_it_does_not_matter_which_are_merged_first(all in prop_oneof![some(3).boxed(), limit_ranges().boxed()], picked: u8) {
        let whole = merge(REGISTRY, &all);
        if whole.enforced.conflicts.is_empty() {
            let (some, others): (Vec<_>, Vec<_>) = all.iter().cloned().enumerate().partition(|(i, _)| picked >> i & 1 == 0);
            let groups = [some, others].map(|group| group.into_iter().map(|(_, b)| b).collect::<Vec<_>>());
            let groups: Vec<_> = groups.iter().filter(|group| !group.is_empty()).map(|group| grouped(group)).collect();
            prop_assert_eq!(meaning(&merge(REGISTRY, &groups).enforced.spec), meaning(&whole.enforced.spec));
        }
    }

    #[test]
    fn one_more_baseline_never_weakens_what_protects(all in prop_oneof![some(2).boxed(), limit_ranges().boxed()]) {
        as_strict(&merge(REGISTRY, &all[1..]).enforced, &merge(REGISTRY, &all).enforced)?;
    }

    #[test]
    fn one_more_baseline_takes_away_no_grant_and_no_allow_but_by_a_conflict(all in some(2)) {
        let after = merge(REGISTRY, &all).enforced;
        if after.conflicts.is_empty() {
            let before = merge(REGISTRY, &all[1..]).enforced;
            prop_assert!(granted(&after.spec).is_superset(&granted(&before.spec)));
            // And what is granted together, somebody asks for.
            let asked: BTreeSet<_> = all.iter().flat_map(|b| granted(&merge(REGISTRY, std::slice::from_ref(b)).enforced.spec)).collect();
            prop_assert!(asked.is_superset(&granted(&after.spec)));
        }
    }

    #[test]
    fn an_audited_baseline_changes_nothing_that_is_enforced((others, _, after) in some_and_another()) {
        let mut audited = (*after).clone();
        audited.frozen = None;
        let (without, with) = (merge(REGISTRY, &others), merge(REGISTRY, &[others, vec![Arc::new(audited)]].concat()));
        prop_assert_eq!(meaning(&without.enforced.spec), meaning(&with.enforced.spec));
        prop_assert_eq!(enforced(&without), enforced(&with));
    }

    #[test]
    fn a_frozen_share_counts_for_others_and_is_itself_not_written((others, before, after) in some_and_another()) {
        let (alone, was, is) = (
            merge(REGISTRY, &others),
            merge(REGISTRY, &[others.clone(), vec![before]].concat()),
            merge(REGISTRY, &[others, vec![after]].concat()),
        );
        prop_assert_eq!(&is.enforced, &was.enforced, "nothing is loosened for the others");
        prop_assert_eq!(enforced(&is), enforced(&alone), "and nothing of its own is written");
    }

    #[test]
    fn of_a_conflict_the_older_baseline_holds_and_both_are_there(all in some(2)) {
        let effective = merge(REGISTRY, &all);
        for conflict in &effective.enforced.conflicts {
            prop_assert!(conflict.holds != conflict.yields && conflict.yields.max(conflict.holds) < effective.baselines.len());
            // A maximum holds against a minimum, whichever is older.
            prop_assert!(conflict.section == "limitRanges" || conflict.holds < conflict.yields, "{conflict:?}");
        }
    }

    #[test]
    fn every_merge_of_accepted_specs_would_be_accepted(all in prop_oneof![some(1).boxed(), limit_ranges().boxed()]) {
        let mut spec = merge(REGISTRY, &all).enforced.spec;
        // But for names that no user can write, so that they meet no user's, and sections in which nothing is left or asked for.
        for (i, rule) in spec.network_isolation.iter_mut().flat_map(|s| &mut s.allow).enumerate() {
            if rule.name == rule.name.to_uppercase() {
                rule.name = format!("internal-{i}");
            }
        }
        prop_assert_eq!(validate(REGISTRY, &spec).into_vec(), []);
    }

    #[test]
    fn every_value_is_told_with_who_supplied_it_and_who_asked_for_less(all in some(1)) {
        let effective = merge(REGISTRY, &all);
        for supplied in effective.enforced.values.values().flatten() {
            prop_assert!(supplied.by < effective.baselines.len());
            for (place, value) in &supplied.less {
                prop_assert!(*place < effective.baselines.len() && *place != supplied.by);
                prop_assert!(value != &supplied.value, "{supplied:?}");
            }
        }
    }
}
