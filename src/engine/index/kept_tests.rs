//! What is put away comes out as it was, and takes little room.

use proptest::prelude::*;
use serde_json::json;

use super::kept::{Facts, Pool, Pools, Record, Uid, Version};
use super::*;
use crate::controls::kind_named;
use crate::core::select::Labels;
use crate::core::world::{Membership, PriorCondition, Recorded, RecordedLabel};

#[test]
fn a_uid_and_a_version_are_told_as_they_came() {
    for text in [
        "0d9f1a3e-5b7c-4d21-9c6e-1f2a3b4c5d6e",
        "0D9F1A3E-5B7C-4D21-9C6E-1F2A3B4C5D6E",
        "0d9f1a3e5b7c4d219c6e1f2a3b4c5d6e",
        "{0d9f1a3e-5b7c-4d21-9c6e-1f2a3b4c5d6e}",
        "",
        "u",
    ] {
        let uid = Uid::from(text);
        assert_eq!(uid.to_string(), text);
        assert!(uid == *text && uid != *"another", "{text}");
    }
    for text in [
        "0",
        "1",
        "18446744073709551615",
        "18446744073709551616",
        "007",
        "+7",
        "",
        "a",
    ] {
        assert_eq!(Version::from(text).to_string(), text);
    }
    assert_eq!(Version::from("12").number(), 12);
    assert_eq!(
        Version::from("a").number(),
        u64::MAX,
        "what is no number counts as the newest"
    );
}

#[test]
fn what_nobody_holds_any_more_is_dropped_from_a_pool() {
    let mut pool = Pool::<str>::default();
    let held = pool.share("held");
    for number in 0..10_000 {
        pool.share(number.to_string().as_str());
    }
    assert!(pool.len() <= 64, "{} are kept", pool.len());
    assert!(Arc::ptr_eq(&held, &pool.share("held")));
}

fn record() -> impl Strategy<Value = Prior> {
    let uid = prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "[a-z]{0,3}"
    ];
    let kind = prop::sample::select(vec!["ResourceQuota", "Role", "NetworkPolicy"]);
    let written = (kind, "[a-c]{1,2}", uid, "[a-b]{0,1}", any::<bool>());
    let written = written.prop_map(|(kind, name, uid, baseline, digested)| {
        let id = ChildId {
            kind: kind_named(kind).unwrap(),
            name,
        };
        let digest = digested.then(|| Digest::of(&json!(uid)));
        (id, Recorded { uid, baseline, digest })
    });
    let members = prop::collection::btree_map("[a-c]", 0_i64..3, 0..3);
    let labels = prop::collection::btree_map("[a-c]", "[x-z]", 0..3);
    let inventory = prop::collection::vec(written, 0..8);
    (inventory, members, labels, 0_i64..3).prop_map(|(inventory, members, labels, total)| Prior {
        inventory: inventory.into_iter().collect(),
        members: Arc::new(
            members
                .into_iter()
                .map(|(uid, generation)| {
                    let admitted = BTreeMap::from([("key".to_owned(), None)]);
                    (uid.into(), Arc::new(Membership { generation, admitted }))
                })
                .collect(),
        ),
        labels: labels
            .into_iter()
            .map(|(key, value)| {
                (
                    key,
                    RecordedLabel {
                        value,
                        baseline: "b".to_owned(),
                    },
                )
            })
            .collect(),
        drift: PriorDrift {
            total,
            ..PriorDrift::default()
        },
        ..Prior::default()
    })
}

proptest! {
    #[test]
    fn what_is_on_record_comes_out_as_it_was_put_away(first in record(), second in record()) {
        let mut pools = Pools::default();
        let mut kept = Record::close(first.clone(), &mut pools);
        prop_assert_eq!(&kept.open(), &first);
        for uid in ["a", "b", "c", ""] {
            prop_assert_eq!(kept.knows(uid), first.knows(uid));
            prop_assert_eq!(kept.membership(uid), first.membership(uid));
        }
        // As one object after the other is written and removed.
        let mut expected = first;
        for (id, recorded) in &second.inventory {
            prop_assert_eq!(kept.written(id).is_some(), expected.inventory.contains_key(id));
            if let Some(digest) = recorded.digest {
                kept.wrote(id, recorded.uid.as_str().into(), &recorded.baseline, digest, &mut pools);
                expected.inventory.insert(id.clone(), recorded.clone());
            } else {
                kept.removed(id);
                expected.inventory.remove(id);
            }
        }
        prop_assert_eq!(&kept.open(), &expected);
        kept.update(&mut pools, |prior| prior.members = Arc::default());
        expected.members = Arc::default();
        prop_assert_eq!(kept.open(), expected);
    }

    #[test]
    fn what_is_known_of_a_namespace_comes_out_as_it_was_put_away(
        labels in prop::collection::btree_map("[a-d]{1,2}", "[x-z]?", 0..6),
        terminating: bool,
    ) {
        let facts = NamespaceFacts {
            name: "a".to_owned(),
            uid: "0d9f1a3e-5b7c-4d21-9c6e-1f2a3b4c5d6e".to_owned(),
            created: Some(Timestamp::UNIX_EPOCH),
            our_labels: labels.keys().take(2).cloned().collect(),
            labels,
            terminating,
            ..NamespaceFacts::default()
        };
        let kept = Facts::close(facts.clone(), &mut Pools::default());
        prop_assert_eq!(kept.open("a"), facts.clone());
        for key in ["a", "b", "aa", "bb", "zz"] {
            prop_assert_eq!(kept.value(key), facts.labels.value(key));
        }
    }
}

#[test]
fn a_namespace_in_the_declared_state_takes_less_than_a_kilobyte_of_its_own_beside_its_children() {
    assert!(size_of::<NamespaceEntry>() <= 640, "{}", size_of::<NamespaceEntry>());
    assert!(
        size_of::<(Arc<ChildId>, ChildEntry)>() <= 160,
        "{}",
        size_of::<ChildEntry>()
    );
}

#[test]
fn baselines_on_record_are_kept_once_for_all_namespaces_that_are_under_the_same_though_their_times_differ() {
    let mut pools = Pools::default();
    let mut kept = |second: i64| {
        let condition = PriorCondition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            since: Timestamp::from_second(second).unwrap(),
        };
        let member = ("one".into(), Arc::default());
        let prior = Prior {
            members: Arc::new(BTreeMap::from([member])),
            conditions: vec![condition],
            ..Prior::default()
        };
        Record::close(prior, &mut pools)
    };
    let (a, b) = (kept(1), kept(2));
    assert_ne!(a.rest(), b.rest());
    assert!(Arc::ptr_eq(&a.rest().members, &b.rest().members));
}
