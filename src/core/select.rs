//! Which namespaces a baseline selects.

use std::collections::BTreeMap;

use crate::api::v1alpha1::{LabelSelector, SecurityBaselineSpec, SelectorOperator};

/// Namespaces that no baseline ever reaches, whatever their labels say and whatever the configuration leaves out.
pub const ALWAYS_EXCLUDED: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// The labels of a namespace, however they are kept.
pub trait Labels {
    /// The value of a label, if the namespace has it.
    fn value(&self, key: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn value(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// Whether a selector matches these labels. An empty selector matches everything.
pub fn matches(selector: &LabelSelector, labels: &impl Labels) -> bool {
    selector
        .match_labels
        .iter()
        .all(|(key, value)| labels.value(key) == Some(value))
        && selector.match_expressions.iter().all(|requirement| {
            let value = labels.value(&requirement.key);
            let listed = value.is_some_and(|v| requirement.values.iter().any(|listed| listed == v));
            match requirement.operator {
                SelectorOperator::In => listed,
                // As in Kubernetes, an absent label is not in any list.
                SelectorOperator::NotIn => !listed,
                SelectorOperator::Exists => value.is_some(),
                SelectorOperator::DoesNotExist => value.is_none(),
            }
        })
}

/// Whether the baseline selects a namespace of this name with these labels. (Names that the operator's configuration
/// excludes are dealt with before, for all baselines at once.)
pub fn selects(spec: &SecurityBaselineSpec, name: &str, labels: &impl Labels) -> bool {
    !spec.excluded_namespaces.iter().any(|pattern| glob(pattern, name)) && matches(&spec.namespace_selector, labels)
}

/// Whether a name matches a pattern in which `*` stands for any characters, also none.
pub fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::v1alpha1::LabelSelectorRequirement;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn expression(key: &str, operator: SelectorOperator, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_expressions: vec![LabelSelectorRequirement {
                key: key.into(),
                operator,
                values: values.iter().map(|v| (*v).into()).collect(),
            }],
            ..LabelSelector::default()
        }
    }

    #[test]
    fn a_baseline_selects_by_labels_what_it_does_not_exclude_by_name() {
        let spec = |excluded: &[&str]| {
            let spec =
                serde_json::json!({"namespaceSelector": {"matchLabels": {"a": "b"}}, "excludedNamespaces": excluded});
            serde_json::from_value::<SecurityBaselineSpec>(spec).unwrap()
        };
        let (labelled, bare) = (labels(&[("a", "b")]), labels(&[]));
        assert!(selects(&spec(&["other", "team-*-ci"]), "team-a", &labelled));
        assert!(!selects(&spec(&[]), "team-a", &bare));
        assert!(!selects(&spec(&["other", "team-*"]), "team-a", &labelled));
        assert!(!selects(&spec(&["team-*"]), "team-a", &bare));
    }

    #[test]
    fn an_empty_selector_matches_every_namespace() {
        assert!(matches(&LabelSelector::default(), &labels(&[])));
    }

    #[test]
    fn labels_and_expressions_must_all_hold() {
        let team = labels(&[("team", "a"), ("tier", "prod")]);
        let selector = LabelSelector {
            match_labels: labels(&[("team", "a")]),
            ..LabelSelector::default()
        };
        assert!(matches(&selector, &team));
        assert!(!matches(&selector, &labels(&[("team", "b")])));
        assert!(matches(
            &expression("tier", SelectorOperator::In, &["prod", "dev"]),
            &team
        ));
        assert!(!matches(&expression("tier", SelectorOperator::NotIn, &["prod"]), &team));
        assert!(matches(&expression("absent", SelectorOperator::NotIn, &["x"]), &team));
        assert!(matches(&expression("tier", SelectorOperator::Exists, &[]), &team));
        assert!(matches(
            &expression("absent", SelectorOperator::DoesNotExist, &[]),
            &team
        ));
        assert!(!matches(&expression("absent", SelectorOperator::Exists, &[]), &team));
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("sandbox-*", "sandbox-7", true),
            ("sandbox-*", "sandbox-", true),
            ("sandbox-*", "my-sandbox-7", false),
            ("*-dev", "team-dev", true),
            ("*-dev", "team-dev-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("*ab*b", "xab", false),
            ("*", "anything", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} and {name}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_made_from_a_name_matches_it(name in "[a-z0-9-]{1,20}", from in 0_usize..20, to in 0_usize..20) {
            let (from, to) = (from.min(name.len()), to.min(name.len()));
            let pattern = format!("{}*{}", &name[..from.min(to)], &name[from.max(to)..]);
            prop_assert!(glob(&pattern, &name));
        }
    }
}
