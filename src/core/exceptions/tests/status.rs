use super::*;
use crate::core::exceptions::status::{ExceptionFacts, Found, State, next_change, status};

const HOUR: i64 = 3600;

/// What is found in a namespace that asks for everything and is as these exceptions say.
fn done(exceptions: &[Arc<Exception>], namespace: &str) -> Found {
    Found::Done(
        waivers(exceptions, namespace, at(1))
            .apply(&spec(full_spec_but(json!({"networkIsolation": {"allow": null}}))))
            .1,
    )
}

fn facts<'a>(exception: &'a Exception, found: &[(&str, Found)]) -> ExceptionFacts<'a> {
    ExceptionFacts {
        judged: exception.generation,
        accepted: Some(exception),
        problems: Vec::new(),
        deleted: false,
        namespaces: found
            .iter()
            .map(|(name, found)| ((*name).to_owned(), found.clone()))
            .collect(),
        warn_before: SignedDuration::from_hours(24),
    }
}

/// The conditions that are True, and the reasons and messages of all, by type.
fn told(facts: &ExceptionFacts, now: i64) -> (Vec<String>, BTreeMap<String, (String, String)>) {
    let status = status(facts, &Default::default(), at(now));
    assert_eq!(status.conditions.len(), 5, "all are always there");
    let holding = status.conditions.iter().filter(|c| c.status == "True");
    let holding = holding.map(|c| c.type_.clone()).collect();
    let all = status.conditions.into_iter().map(|c| (c.type_, (c.reason, c.message)));
    (holding, all.collect())
}

fn egress(expires: i64) -> Arc<Exception> {
    let names = ["NetworkPolicy/default-deny-egress", "NetworkPolicy/allow-none"];
    exception("debug", expires, objects("networkIsolation", &names))
}

#[test]
fn an_exception_that_waives_something_says_what_where_until_when_and_what_it_names_in_vain() {
    let exception = egress(100 * HOUR);
    let found = done(std::slice::from_ref(&exception), "team-a");
    let all = [("absent", Found::Absent), ("free", Found::Unheld), ("team-a", found)];
    let facts = facts(&exception, &all);
    let status = status(&facts, &Default::default(), at(1));
    assert_eq!((status.observed_generation, status.matched), (1, 1));
    let [waived] = &status.waived[..] else {
        panic!("{:?}", status.waived)
    };
    assert_eq!(
        (waived.namespace.as_str(), waived.control),
        ("team-a", WaivedControl::NetworkIsolation)
    );
    assert_eq!(
        waived.object.as_deref(),
        Some("NetworkPolicy/security-baseline-default-deny-egress")
    );
    let (holding, all) = told(&facts, 1);
    assert_eq!(holding, ["Ready", "Active"]);
    assert_eq!(
        all["Active"],
        (
            "Active".to_owned(),
            "it waives 1 thing in 1 namespace until 1970-01-05T04:00:00Z; and nothing where there is no namespace absent; no baseline holds the namespace free; no baseline asks for NetworkPolicy/security-baseline-allow-none in team-a".to_owned()
        )
    );
}

#[test]
fn an_exception_that_matches_nothing_says_so_and_is_ready_all_the_same() {
    let exception = egress(100 * HOUR);
    let facts = facts(&exception, &[("team-a", Found::Done(Vec::new()))]);
    assert_eq!(facts.state(at(1)), State::Unmatched);
    let (holding, all) = told(&facts, 1);
    assert_eq!(holding, ["Ready"]);
    assert_eq!(all["Active"].0, "MatchesNothing");
    assert!(all["Active"].1.contains("allow-none in team-a"), "{:?}", all["Active"]);
    assert_eq!(all["Ready"], all["Active"]);
}

#[test]
fn what_only_others_waive_is_not_told_as_its_own() {
    let (mine, other) = (
        exception("mine", 100 * HOUR, objects("limitRanges", &["LimitRange/defaults"])),
        exception(
            "other",
            100 * HOUR,
            objects("resourceQuotas", &["ResourceQuota/compute"]),
        ),
    );
    let found = done(&[mine.clone(), other], "team-a");
    let status = status(&facts(&mine, &[("team-a", found)]), &Default::default(), at(1));
    let objects: Vec<_> = status.waived.iter().filter_map(|w| w.object.as_deref()).collect();
    assert_eq!(objects, ["LimitRange/security-baseline-defaults"]);
}

#[test]
fn a_level_that_is_no_lower_than_what_holds_matches_nothing() {
    let exception = exception(
        "pods",
        100 * HOUR,
        json!([{"control": "podSecurity", "level": "restricted"}]),
    );
    let found = done(std::slice::from_ref(&exception), "team-a");
    let (_, all) = told(&facts(&exception, &[("team-a", found)]), 1);
    assert_eq!(
        all["Active"].1,
        "it waives nothing: no baseline asks for podSecurity above restricted in team-a"
    );
}

#[test]
fn while_a_namespace_is_still_to_be_worked_on_it_is_reconciling_and_not_told_as_unmatched() {
    let exception = egress(100 * HOUR);
    let facts = facts(&exception, &[("team-a", Found::Pending)]);
    let (holding, all) = told(&facts, 1);
    assert_eq!(holding, ["Reconciling"]);
    for type_ in ["Ready", "Active", "Reconciling"] {
        assert_eq!(
            all[type_],
            ("Progressing".to_owned(), "1 namespace still to be worked on".to_owned())
        );
    }
}

#[test]
fn what_waives_something_already_is_active_and_not_ready_until_its_last_namespace_was_worked_on() {
    let exception = egress(100 * HOUR);
    let found = done(std::slice::from_ref(&exception), "team-a");
    let facts = facts(&exception, &[("team-a", found), ("team-b", Found::Pending)]);
    let (holding, all) = told(&facts, 1);
    assert_eq!(holding, ["Reconciling", "Active"]);
    let progress = "1 namespace still to be worked on".to_owned();
    assert_eq!(all["Ready"], ("Progressing".to_owned(), progress));
}

#[test]
fn an_exception_whose_time_is_over_is_ready_once_what_it_waived_is_back() {
    let exception = egress(10);
    let back = facts(&exception, &[("team-a", Found::Done(Vec::new()))]);
    assert_eq!(told(&back, 9).1["Active"].0, "MatchesNothing");
    let (holding, all) = told(&back, 10);
    assert_eq!(holding, ["Ready"]);
    assert_eq!(
        all["Active"],
        (
            "Expired".to_owned(),
            "it expired at 1970-01-01T00:00:10Z, and waives nothing any more".to_owned()
        )
    );
    let (holding, all) = told(&facts(&exception, &[("team-a", Found::Pending)]), 10);
    assert_eq!(holding, ["Reconciling"]);
    assert_eq!(all["Active"].0, "Expired");
}

#[test]
fn an_exception_that_is_being_deleted_waives_nothing() {
    let exception = egress(100 * HOUR);
    let mut facts = facts(&exception, &[("team-a", Found::Done(Vec::new()))]);
    facts.deleted = true;
    let (holding, all) = told(&facts, 99 * HOUR);
    assert_eq!(holding, ["Ready"]);
    assert_eq!(all["Active"].0, "Deleted");
}

#[test]
fn a_refused_exception_is_stalled_and_names_the_mend() {
    let spec = serde_json::from_value(json!({
        "namespaces": ["team-a"], "waive": [{"control": "access"}], "reason": "a test", "approver": " ", "expiresAt": at(10).to_string(),
    }));
    let month = SignedDuration::from_hours(720);
    let refused = Exception::accept("bad".into(), "uid".into(), 3, at(0), spec.unwrap(), month);
    let facts = ExceptionFacts {
        judged: 3,
        accepted: None,
        problems: refused.unwrap_err().into_vec(),
        deleted: false,
        namespaces: BTreeMap::new(),
        warn_before: SignedDuration::from_hours(24),
    };
    let (holding, all) = told(&facts, 1);
    assert_eq!(holding, ["Stalled"]);
    assert_eq!(
        (all["Active"].0.as_str(), all["Ready"].0.as_str()),
        ("Refused", "InvalidSpec")
    );
    assert_eq!(
        all["Stalled"].1,
        "it waives nothing: spec.approver: name who approved the exception, in at most 253 characters"
    );
    assert_eq!(status(&facts, &Default::default(), at(1)).problems.len(), 1);
}

#[test]
fn that_it_ends_soon_is_told_from_a_day_before_and_until_then() {
    let exception = egress(100 * HOUR);
    let facts = facts(&exception, &[("team-a", Found::Pending)]);
    let warn = SignedDuration::from_hours(24);
    for (now, soon, next) in [
        (76 * HOUR - 1, false, Some(76 * HOUR)),
        (76 * HOUR, true, Some(100 * HOUR)),
        (100 * HOUR - 1, true, Some(100 * HOUR)),
        (100 * HOUR, false, None),
    ] {
        let (holding, _) = told(&facts, now);
        assert_eq!(holding.contains(&"ExpiringSoon".to_owned()), soon, "{now}");
        assert_eq!(next_change(&exception, warn, at(now)), next.map(at), "{now}");
    }
    assert_eq!(
        next_change(&exception, SignedDuration::ZERO, at(1)),
        Some(at(100 * HOUR)),
        "nobody wants to be told"
    );
}

#[test]
fn a_status_stays_small_however_much_is_waived() {
    let names: Vec<String> = (0..64).map(|i| format!("ResourceQuota/q-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let exception = exception("many", 100 * HOUR, objects("resourceQuotas", &names));
    let namespaces: Vec<(String, Found)> = (0..64).map(|i| (format!("absent-{i:02}"), Found::Absent)).collect();
    let mut many = facts(&exception, &[]);
    many.namespaces.extend(namespaces);
    let items: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name.replace("ResourceQuota/", ""), "hard": {"pods": 1}}))
        .collect();
    let asked = spec(json!({"namespaceSelector": {}, "resourceQuotas": {"items": items}}));
    let waived = waivers(std::slice::from_ref(&exception), "team-a", at(1))
        .apply(&asked)
        .1;
    many.namespaces.insert("team-a".to_owned(), Found::Done(waived));
    let status = status(&many, &Default::default(), at(1));
    assert_eq!((status.matched, status.waived.len()), (64, 20));
    let message = &status.conditions[3].message;
    assert!(message.contains("absent-04 and 59 more"), "{message}");
}
