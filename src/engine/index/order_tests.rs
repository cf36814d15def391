//! Answers to our own requests and events of watches come in any order; the newer one holds.

use serde_json::{Value, json};

use super::*;
use crate::controls::kind_named;
use crate::core::object::FIELD_MANAGER;
use crate::core::select::Labels;

const KIND: &str = "ResourceQuota";

fn quota(version: u64, pods: u64) -> Value {
    json!({
        "metadata": {"name": "security-baseline-compute", "namespace": "a", "uid": "u", "resourceVersion": version.to_string()},
        "spec": {"hard": {"pods": pods.to_string()}},
    })
}

fn index() -> Index {
    Index::new(Config::default())
}

fn live(index: &Index) -> Option<String> {
    let child = index.namespaces.get("a")?.children.values().next()?;
    Some(child.live.as_ref()?.resource_version.to_string())
}

#[test]
fn an_answer_that_an_event_overtook_does_not_hide_what_the_event_told() {
    let (mut index, kind) = (index(), kind_named(KIND).unwrap());
    index.child_seen(kind, quota(11, 5000));
    index.child_seen(kind, quota(10, 50));
    assert_eq!(live(&index).as_deref(), Some("11"));
}

#[test]
fn an_answer_that_a_deletion_overtook_does_not_bring_the_object_back() {
    let (mut index, kind) = (index(), kind_named(KIND).unwrap());
    index.namespace_seen(&json!({"metadata": {"name": "a", "uid": "n", "resourceVersion": "1"}}));
    index.child_seen(kind, quota(10, 50));
    let id = ChildId {
        kind,
        name: "security-baseline-compute".to_owned(),
    };
    index.entry("a").children.get_mut(&id).unwrap().wanted = Some(Digest::of(&json!(1)));
    let last = Last {
        uid: Some("u"),
        version: Some("12"),
    };
    index.child_gone(kind, "a", &id.name, last);
    index.child_seen(kind, quota(11, 50));
    assert_eq!(live(&index), None);
    // Created anew after the deletion.
    index.child_seen(kind, quota(13, 50));
    assert_eq!(live(&index).as_deref(), Some("13"));
}

#[test]
fn what_a_list_does_not_show_is_read_before_it_is_gone_if_it_may_be_newer_than_the_list() {
    let (mut index, kind) = (index(), kind_named(KIND).unwrap());
    let name = "security-baseline-compute";
    let id = ChildId {
        kind,
        name: name.to_owned(),
    };
    index.namespace_seen(&json!({"metadata": {"name": "a", "uid": "n", "resourceVersion": "1"}}));
    index.child_seen(kind, quota(10, 50));
    let wanted = Canonical::of(kind, &quota(10, 50)).digest();
    index.entry("a").children.get_mut(&id).unwrap().wanted = Some(wanted);
    // Known from before the list: what it does not show is gone.
    index.children_listed_anew(kind);
    assert!(!index.child_in_doubt(kind, "a", name));
    // Created while the list was on its way.
    index.child_seen(kind, quota(11, 50));
    assert!(index.child_in_doubt(kind, "a", name));
    let digest = |index: &Index| {
        index.namespaces["a"]
            .children
            .get(&id)
            .unwrap()
            .live
            .as_ref()
            .map(|live| live.digest)
    };
    assert_ne!(digest(&index), Some(wanted));
    // The read, or the event, shows it as it is.
    index.child_seen(kind, quota(11, 50));
    assert_eq!(digest(&index), Some(wanted));
}

#[test]
fn a_total_that_nobody_can_have_counted_is_not_believed() {
    let mut index = index();
    index.all_synced();
    let told = |total: i64| -> BaselineReportStatus {
        serde_json::from_value(
            json!({"conditions": [], "drift": {"total": total, "repaired": total, "records": [], "open": []}}),
        )
        .unwrap()
    };
    let total = |index: &Index| index.namespaces["a"].prior.as_ref().unwrap().rest().drift.total;
    index.report_seen("a", "r", "1", &told(-5));
    assert_eq!(total(&index), 0);
    // Another operator's, by mistake: the greater one holds.
    index.report_seen("a", "r", "2", &told(7));
    assert_eq!(total(&index), 7);
    index.report_seen("a", "r", "3", &told(i64::MAX));
    assert_eq!(total(&index), 7);
}

#[test]
fn what_was_read_is_no_proof_of_what_is_newer() {
    let (mut index, kind) = (index(), kind_named(KIND).unwrap());
    let id = ChildId {
        kind,
        name: "security-baseline-compute".to_owned(),
    };
    index.child_seen(kind, quota(11, 5000));
    index.evidence("a", &id, quota(10, 50));
    assert!(index.namespaces["a"].children.get(&id).unwrap().evidence.is_none());
    index.evidence("a", &id, quota(11, 5000));
    assert!(index.namespaces["a"].children.get(&id).unwrap().evidence.is_some());
}

#[test]
fn a_namespace_is_as_its_newest_version_says() {
    let namespace = |version: u64, level: &str| json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": version.to_string(), "labels": {"level": level}}});
    let mut index = index();
    let level = |index: &Index| {
        index.namespaces["a"]
            .facts
            .as_ref()
            .unwrap()
            .value("level")
            .unwrap()
            .to_owned()
    };
    index.namespace_seen(&namespace(12, "restricted"));
    assert!(
        !index.namespace_seen(&namespace(11, "privileged")),
        "an event of before our answer"
    );
    assert_eq!(level(&index), "restricted");
    index.namespace_seen(&namespace(13, "baseline"));
    assert_eq!(level(&index), "baseline");
}

#[test]
fn a_new_list_holds_even_where_versions_went_back() {
    let (mut index, kind) = (index(), kind_named(KIND).unwrap());
    index.child_seen(kind, quota(1000, 50));
    index.children_listed_anew(kind);
    index.child_seen(kind, quota(10, 5000));
    assert_eq!(live(&index).as_deref(), Some("10"));
}

#[test]
fn what_we_delete_ourselves_is_not_missed_however_its_end_is_told() {
    let id = ChildId {
        kind: kind_named(KIND).unwrap(),
        name: "security-baseline-compute".to_owned(),
    };
    let last = Last {
        uid: Some("u"),
        version: None,
    };
    // Whether it was as we wrote it, whether the deletion was refused, and whether somebody is to be blamed.
    for (as_written, refused, missed) in [(true, false, false), (true, true, true), (false, false, true)] {
        let mut index = index();
        index.namespace_seen(&json!({"metadata": {"name": "a", "uid": "n", "resourceVersion": "1"}}));
        index.child_seen(id.kind, quota(10, 50));
        let live = index.namespaces["a"].children.get(&id).unwrap().live.clone().unwrap();
        let as_written = if as_written { live.digest } else { Digest::of(&json!(1)) };
        let (entry, pools) = index.entry_and_pools("a");
        entry.children.get_mut(&id).unwrap().wanted = Some(Digest::of(&json!(2)));
        // A report that is written meanwhile still has it on record.
        entry.report = Some(ReportEntry {
            uid: "r".into(),
            resource_version: "1".into(),
            meaning: live.digest,
            troubles: Troubles::default(),
        });
        let prior = entry.prior.get_or_insert_default();
        prior.wrote(&id, live.uid, "b", as_written, pools);
        index.child_leaves("a", &id, "u");
        if refused {
            index.child_stays("a", &id);
        }
        index.child_gone(id.kind, "a", &id.name, last);
        // Its end may be told before that of a second try to delete it.
        index.child_leaves("a", &id, "u");
        let on_record = |index: &mut Index| {
            index
                .world("a", Timestamp::UNIX_EPOCH)
                .unwrap()
                .prior
                .inventory
                .contains_key(&id)
        };
        assert_eq!(on_record(&mut index), missed, "{as_written} {refused}");
        // Another one of its name is.
        let mut another = quota(12, 50);
        another["metadata"]["uid"] = json!("another");
        index.child_seen(id.kind, another);
        index.child_gone(id.kind, "a", &id.name, Last::default());
        assert!(on_record(&mut index));
    }
}

#[test]
fn who_else_writes_a_report_is_agreed_with_on_counts_and_times_and_takes_nothing_away() {
    let report = |version: u64, total: i64, status: &str, since: &str| {
        let status: BaselineReportStatus = serde_json::from_value(json!({
            "conditions": [{"type": "Ready", "status": status, "reason": "x", "message": "", "lastTransitionTime": since}],
            "drift": {"total": total, "repaired": total},
        }))
        .unwrap();
        (version.to_string(), status)
    };
    let mut index = index();
    // Until then what the newest report says is taken as it is: another replica leads, and writes it.
    index.report_seen("a", "r", "0", &report(0, 9, "False", "2025-01-01T00:00:00Z").1);
    index.report_seen("a", "r", "1", &report(1, 2, "True", "2026-01-01T00:00:09Z").1);
    index.all_synced();
    let mut seen = |(version, status): (String, BaselineReportStatus)| {
        index.report_seen("a", "r", &version, &status);
        let prior = index.namespaces["a"].prior.as_ref().unwrap().open();
        (
            prior.drift.total,
            prior.conditions[0].status.clone(),
            prior.conditions[0].since.to_string(),
        )
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z");
    let told = |total, status: &str, since: &str| (total, status.to_owned(), since.to_owned());
    assert_eq!(seen(report(1, 2, "True", late)), told(2, "True", late));
    assert_eq!(seen(report(2, 3, "True", early)), told(3, "True", early));
    assert_eq!(seen(report(3, 1, "True", late)), told(3, "True", early));
    assert_eq!(seen(report(4, 3, "False", early)), told(3, "True", early));
}

#[test]
fn what_an_object_is_is_known_by_its_digest_unless_somebody_put_something_on_it_or_a_write_failed() {
    let (mut index, kind) = (index(), kind_named(KIND).unwrap());
    let child = Child::new(
        kind,
        "resource-quotas",
        "compute",
        json!({"spec": {"hard": {"pods": "50"}}}),
    );
    let stored = |version: u64| {
        let mut object = child.to_object("a");
        object["metadata"]["uid"] = "u".into();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object
    };
    let seen = |index: &mut Index| {
        let members = Members::default();
        let world = index.world_of("a", members, Timestamp::UNIX_EPOCH).unwrap();
        world.live[&child.id].known("a")
    };
    index.namespace_seen(&json!({"metadata": {"name": "a", "uid": "n", "resourceVersion": "1"}}));
    index.child_seen(kind, stored(2));
    assert_eq!(seen(&mut index), None, "nobody asked for it yet");
    index.forms.keep(&child);
    assert_eq!(seen(&mut index), Some(stored(2)));

    let mut version = 3;
    for field in ["labels", "annotations", "finalizers"] {
        let mut object = stored(version);
        match field {
            "finalizers" => object["metadata"][field] = json!(["example.com/theirs"]),
            _ => object["metadata"][field]["example.com/theirs"] = "x".into(),
        }
        index.child_seen(kind, object);
        assert_eq!(seen(&mut index), None, "{field}");
        index.child_seen(kind, stored(version + 1));
        assert_eq!(seen(&mut index), Some(stored(version + 1)), "{field}");
        version += 2;
    }

    index.retries("a", Some(Duration::ZERO));
    assert_eq!(seen(&mut index), None, "something was not as it was thought to be");
}

/// An index that knows a namespace that a baseline holds, and wants a quota in it.
fn held(wanted: Digest) -> (Index, ChildId) {
    let mut index = index();
    let id = ChildId {
        kind: kind_named(KIND).unwrap(),
        name: "security-baseline-compute".to_owned(),
    };
    index.namespace_seen(&labelled(1, json!({}), &[]));
    index.report_seen("a", "r", "1", &BaselineReportStatus::default());
    index
        .entry("a")
        .children
        .entry(Arc::new(id.clone()))
        .or_default()
        .wanted = Some(wanted);
    index.all_synced();
    (index, id)
}

/// The namespace with these labels, of which we wrote those of these keys.
fn labelled(version: u64, labels: Value, ours: &[&str]) -> Value {
    let fields: Value = ours.iter().map(|key| (format!("f:{key}"), json!({}))).collect();
    json!({"metadata": {
        "name": "a", "uid": "n", "resourceVersion": version.to_string(), "labels": labels,
        "managedFields": [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": fields}}}],
    }})
}

#[test]
fn the_echo_of_a_created_object_that_overtakes_the_answer_is_nothing_new_and_anything_else_is() {
    let kind = kind_named(KIND).unwrap();
    let asked = Canonical::of(kind, &quota(1, 50)).digest();
    for (sent, pods, looks) in [(true, 50, false), (true, 5000, true), (false, 50, true)] {
        let (mut index, id) = held(asked);
        index.sends("a", sent.then_some(Sent::Child(id)));
        assert_eq!(index.child_seen(kind, quota(10, pods)), looks, "{sent} {pods}");
    }
}

#[test]
fn the_echo_of_labels_that_overtakes_the_answer_is_nothing_new_and_anything_else_is() {
    let level = |level: &str| json!({"pod-security.kubernetes.io/enforce": level, "team": "a"});
    let ours = ["pod-security.kubernetes.io/enforce"];
    let other = json!({"pod-security.kubernetes.io/enforce": "restricted", "team": "b"});
    for (now, by, looks) in [
        (level("restricted"), &ours[..], false),
        (level("restricted"), &[][..], true),
        (level("privileged"), &ours[..], true),
        (other, &ours[..], true),
    ] {
        let (mut index, _) = held(Digest::unseen());
        index.namespace_seen(&labelled(2, json!({"team": "a"}), &[]));
        let labels = BTreeMap::from([(ours[0].to_owned(), "restricted".to_owned())]);
        index.sends("a", Some(Sent::Labels(labels)));
        assert_eq!(
            index.namespace_seen(&labelled(3, now.clone(), by)),
            looks,
            "{now} {by:?}"
        );
        index.sends("a", None);
        assert!(
            index.namespace_seen(&labelled(4, json!({}), &[])),
            "it is known as it is now"
        );
    }
}

#[test]
fn the_echo_of_a_report_that_overtakes_the_answer_is_nothing_new_and_anything_else_is() {
    let told = |by: &str| {
        serde_json::from_value::<BaselineReportStatus>(
            json!({"inventory": [{"kind": "Role", "name": by, "uid": "u", "baseline": "b", "digest": "d"}]}),
        )
        .unwrap_or_default()
    };
    assert_ne!(meaning(&told("we")), meaning(&told("somebody")));
    for (by, looks) in [("we", false), ("somebody", true)] {
        let (mut index, _) = held(Digest::unseen());
        index.sends("a", Some(Sent::Report(meaning(&told("we")))));
        assert_eq!(index.report_seen("a", "r", "2", &told(by)), looks, "{by}");
    }
}

#[test]
fn an_answer_to_a_report_that_is_older_than_what_somebody_did_to_it_since_does_not_stand() {
    let status = BaselineReportStatus::default();
    let written = |index: &mut Index, version: &str| index.report_written("a", "r", version, meaning(&status), &status);
    let (mut index, _) = held(Digest::unseen());
    assert!(written(&mut index, "10"));
    index.report_seen("a", "r", "12", &status);
    assert!(!written(&mut index, "11"), "it was changed");
    assert!(index.knows_report("a", "12"));

    let gone = Last {
        uid: Some("r"),
        version: Some("14"),
    };
    assert!(index.report_gone("a", gone));
    assert!(!written(&mut index, "13"), "it was deleted");
    assert!(index.report("a").is_none());
    index.reports_listed_anew();
    assert!(written(&mut index, "1"), "of an etcd that was restored");
}

#[test]
fn drift_whose_report_was_written_and_not_answered_is_told_by_its_echo() {
    let status = BaselineReportStatus::default();
    for (sent, left) in [(meaning(&status), 0), (Digest::unseen(), 1)] {
        let (mut index, _) = held(Digest::unseen());
        index.update_attempt("a", |attempt| attempt.drifted = 1);
        index.sends("a", Some(Sent::Report(sent)));
        index.report_seen("a", "r", "2", &status);
        assert_eq!(index.attempt("a").drifted, left);
    }
}
