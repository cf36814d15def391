//! What holds of any object, and of any way to cut everything into pieces.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::controls::network_isolation::NetworkIsolation;
use crate::core::control::Control;
use crate::core::object::testing::hostile_object;
use crate::core::world::ClusterFacts;
use crate::core::world::testing::{namespace, with_spec};

/// All of a family, cut into blocks: each of the numbers says which block is halved next.
fn cut(six: bool, halvings: &[Index]) -> Vec<String> {
    let (width, mut blocks) = (if six { 128 } else { 32 }, vec![(0_u128, 0_u32)]);
    for index in halvings {
        let at = index.index(blocks.len());
        let (base, length) = blocks[at];
        if length < width {
            blocks[at].1 += 1;
            blocks.push((base | 1 << (width - length - 1), length + 1));
        }
    }
    let shown = blocks.into_iter().map(|(base, length)| {
        if six {
            format!("{}/{length}", std::net::Ipv6Addr::from_bits(base))
        } else {
            format!(
                "{}/{length}",
                std::net::Ipv4Addr::from_bits(u32::try_from(base).unwrap())
            )
        }
    });
    shown.collect()
}

/// Rules for these blocks, spread over so many rules.
fn spread(blocks: &[String], rules: usize) -> Value {
    let mut all = vec![json!({"from": []}); rules.min(blocks.len())];
    for (i, block) in blocks.iter().enumerate() {
        let at = i % all.len();
        all[at]["from"]
            .as_array_mut()
            .unwrap()
            .push(json!({"ipBlock": {"cidr": block}}));
    }
    Value::Array(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn all_addresses_are_everything_however_they_are_cut_and_less_is_not(
        six: bool,
        halvings in proptest::collection::vec(any::<Index>(), 0..60),
        rules in 1..5_usize,
        gone in any::<Index>(),
    ) {
        let mut blocks = cut(six, &halvings);
        prop_assert_eq!(of_rules(spread(&blocks, rules)), undone());
        let taken = blocks.remove(gone.index(blocks.len()));
        if !blocks.is_empty() {
            // Half of all addresses, or more of them.
            let left = if taken.ends_with("/1") { nothing() } else { narrower() };
            prop_assert_eq!(of_rules(spread(&blocks, rules)), left, "{}", taken);
        }
        let all = if six { "::/0" } else { "0.0.0.0/0" };
        let excepted = format!("{all}!{}", blocks.join("!"));
        let excepted = excepted.trim_end_matches('!');
        prop_assert_eq!(of_rules(super::blocks(&[&[excepted]])), if blocks.is_empty() { undone() } else { nothing() });
        let mut pieces: Vec<&str> = blocks.iter().map(String::as_str).collect();
        pieces.push(excepted);
        prop_assert_eq!(of_rules(super::blocks(&[&pieces])), undone());
    }

    #[test]
    fn all_ports_are_everything_however_they_are_cut_and_less_is_not(
        cuts in proptest::collection::btree_set(2..=65535_u32, 0..20),
        apart: bool,
        gone in any::<Index>(),
    ) {
        let firsts: Vec<u32> = std::iter::once(1).chain(cuts).collect();
        let ends = firsts[1..].iter().map(|next| next - 1).chain([65535]);
        let mut ranges: Vec<Value> = firsts.iter().zip(ends).map(|(a, b)| json!({"port": a, "endPort": b})).collect();
        let rules = |ranges: &[Value]| if apart {
            Value::Array(ranges.iter().map(|range| json!({"ports": [range]})).collect())
        } else {
            json!([{ "ports": ranges }])
        };
        prop_assert_eq!(of_rules(rules(&ranges)), undone());
        ranges.remove(gone.index(ranges.len()));
        if !ranges.is_empty() {
            prop_assert_eq!(of_rules(rules(&ranges)), narrower());
        }
    }

    #[test]
    fn what_a_baseline_denies_and_allows_by_name_undoes_nothing(
        allow in proptest::collection::vec(select(vec![
            json!({"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}),
            json!({"from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}], "ports": [{"port": 443}]}),
            json!({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
        ]), 0..4),
    ) {
        let allow: Vec<Value> = allow.iter().enumerate().map(|(i, r)| json!({"name": format!("r{i}"), "ingress": [r]})).collect();
        let section = json!({"defaultDeny": ["Ingress", "Egress"], "allowDNS": false, "allowSameNamespace": true, "allow": allow});
        let baseline = with_spec("b", 1, json!({"namespaceSelector": {}, "networkIsolation": section}));
        for child in NetworkIsolation.render(&baseline.spec, &namespace(), &ClusterFacts::default()).children {
            prop_assert_eq!(weakening(child.id.kind, &child.to_object("team-a")), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_json_makes_the_judgement_panic_and_what_it_says_is_bounded((kind, object) in hostile_object()) {
        if let Some(found) = weakening(kind, &object) {
            prop_assert!(!found.undoes.is_empty() || !found.narrower.is_empty());
            prop_assert!(found.undoes.iter().all(|u| !found.narrower.contains(u)));
            prop_assert!(found.what.chars().count() <= 512 && found.what.is_ascii());
        }
    }

    #[test]
    fn any_text_for_an_address_is_survived(cidr in "\\PC{0,40}|[0-9a-f:./]{0,50}", except in "[0-9a-f:./]{0,30}") {
        of_rules(json!([{"from": [{"ipBlock": {"cidr": cidr, "except": [except, 7]}}]}]));
    }
}

#[test]
fn a_policy_as_large_as_they_come_is_judged_in_linear_time() {
    // About 1.5 MB, the most that etcd takes; comparing everything with everything would take minutes.
    let block = |i: u32| json!({"ipBlock": {"cidr": format!("10.{}.{}.{}/32", i >> 16, i >> 8 & 255, i & 255)}});
    let excepts: Vec<String> = (0..40_000_u32)
        .map(|i| format!("10.9.{}.{}/32", i >> 8, i & 255))
        .collect();
    let mut peers: Vec<Value> = (0..25_000).map(block).collect();
    peers.push(json!({"ipBlock": {"cidr": "0.0.0.0/0", "except": excepts}}));
    assert_eq!(of_rules(json!([{ "from": peers }])), narrower());
    let rules: Vec<Value> = (0..25_000)
        .map(|i| json!({"from": [block(i)], "ports": [{"port": i % 65535 + 1}]}))
        .collect();
    assert_eq!(of_rules(Value::Array(rules)), nothing());
}
