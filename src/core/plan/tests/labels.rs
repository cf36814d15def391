use serde_json::json;

use super::*;
use crate::core::drift::Claim;

const LEVEL: &str = "pod-security.kubernetes.io/enforce";
const VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const WARN: &str = "pod-security.kubernetes.io/warn";
const WARN_VERSION: &str = "pod-security.kubernetes.io/warn-version";

/// Only Pod Security: `baseline` at v1.36 enforced, and `restricted` warned of.
fn spec() -> Value {
    json!({
        "namespaceSelector": {},
        "mode": "Enforce",
        "podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "warn": {"level": "restricted"}},
    })
}

fn spec_but(change: Value) -> Value {
    let mut spec = spec();
    for (field, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(spec["podSecurity"].as_object_mut().unwrap().remove(field)),
            value => spec["podSecurity"][field] = value.clone(),
        }
    }
    spec
}

/// The labels that a plan applies.
fn applied(plan: &Plan) -> Option<&BTreeMap<String, String>> {
    assert!(plan.actions.len() <= 1, "labels are written by one apply");
    plan.actions.iter().find_map(|action| match &action.step {
        Step::Label(labels) => Some(labels),
        _ => None,
    })
}

/// Sets a label, as another client would.
fn tenant_sets(world: &mut World, key: &str, value: &str) {
    world.namespace.labels.insert(key.to_owned(), value.to_owned());
    world.namespace.our_labels.remove(key);
    let by = "kubectl-label".to_owned();
    let claim = Claim { by, ..Claim::unknown() };
    world.namespace.claims.insert(key.to_owned(), claim);
}

fn kinds(plan: &Plan) -> Vec<(FindingKind, &str)> {
    let path = |f: &Finding| &*f.differences[0].path.clone().leak();
    findings(plan).into_iter().map(|f| (f.kind, path(f))).collect()
}

#[test]
fn a_label_is_enforced_where_one_that_enforces_asks_for_it_and_no_other() {
    let enforced = |specs: &[Value]| {
        let all = specs.iter().enumerate();
        let baselines = all.map(|(i, spec)| with_spec(&format!("b{i}"), 1, spec.clone()));
        let mut world = converged(spec());
        world.baselines = baselines.collect();
        Vec::from_iter(plan(REGISTRY, &world).enforced_labels)
    };
    let all = [LEVEL, VERSION, WARN, WARN_VERSION];
    assert_eq!(enforced(&[spec()]), all);
    let with = |field: &str, value: Value| {
        let mut spec = spec();
        spec[field] = value;
        spec
    };
    assert_eq!(enforced(&[with("mode", json!("Audit"))]), [""; 0]);
    assert_eq!(enforced(&[with("suspend", json!(true))]), [""; 0]);
    assert_eq!(enforced(&[]), [""; 0]);
    // What one audits is not enforced by another that asks for something else.
    let warns = spec_but(json!({"enforce": null}));
    let audits = spec_but(json!({"mode": "Audit"}));
    assert_eq!(enforced(&[audits, warns]), [WARN, WARN_VERSION]);
}

#[test]
fn missing_labels_are_applied_all_at_once() {
    let plan = plan(REGISTRY, &world(vec![with_spec("b", 1, spec())]));
    assert!(findings(&plan).iter().all(|f| f.kind == FindingKind::Missing));
    let labels = applied(&plan).unwrap();
    assert_eq!(labels.len(), 4);
    assert_eq!(labels[LEVEL], "baseline");
    assert_eq!(labels[VERSION], "v1.36");
    assert_eq!(labels[WARN], "restricted");
    assert_eq!(labels[WARN_VERSION], "latest");
}

#[test]
fn a_weakened_label_is_drift_and_is_put_back_with_all_the_others() {
    let mut world = converged(spec());
    tenant_sets(&mut world, LEVEL, "privileged");
    let plan = plan(REGISTRY, &world);
    assert_eq!(
        kinds(&plan),
        [(
            FindingKind::Changed,
            "metadata.labels[pod-security.kubernetes.io/enforce]"
        )]
    );
    assert_eq!(findings(&plan)[0].differences[0].claim.by, "kubectl-label");
    assert_eq!(findings(&plan)[0].differences[0].found, "privileged");
    assert_eq!(applied(&plan).unwrap().len(), 4, "what is left out would be removed");
}

#[test]
fn a_removed_label_is_drift() {
    let mut world = converged(spec());
    world.namespace.labels.remove(LEVEL);
    let plan = plan(REGISTRY, &world);
    assert_eq!(kinds(&plan)[0].0, FindingKind::Deleted);
    assert_eq!(applied(&plan).unwrap()[LEVEL], "baseline");
}

#[test]
fn a_stricter_level_of_another_client_is_left_in_place() {
    let mut world = converged(spec());
    tenant_sets(&mut world, LEVEL, "restricted");
    let kept = plan(REGISTRY, &world);
    assert_eq!(found(&kept), []);
    assert_eq!(steps(&kept), [""; 0]);
    // Nor is it lowered in passing, when something else is repaired.
    tenant_sets(&mut world, WARN, "privileged");
    let plan = plan(REGISTRY, &world);
    assert_eq!(applied(&plan).unwrap().get(LEVEL), None);
    carry_out(&mut world, &plan);
    assert_eq!(world.namespace.labels[LEVEL], "restricted");
    assert_eq!(world.namespace.labels[WARN], "restricted");
}

#[test]
fn a_stricter_level_of_ours_is_lowered_when_the_spec_is() {
    let mut world = converged(spec_but(
        json!({"enforce": {"level": "restricted", "version": "v1.36"}}),
    ));
    respec(&mut world, spec());
    let plan = plan(REGISTRY, &world);
    assert_eq!(kinds(&plan)[0].0, FindingKind::Outdated);
    assert_eq!(applied(&plan).unwrap()[LEVEL], "baseline");
}

#[test]
fn what_is_no_level_is_not_stricter() {
    for value in ["Restricted", "restricted ", "strict", ""] {
        let mut world = converged(spec());
        tenant_sets(&mut world, LEVEL, value);
        assert!(applied(&plan(REGISTRY, &world)).is_some(), "{value:?}");
    }
}

#[test]
fn the_version_is_always_the_one_that_is_asked_for() {
    for value in ["v1.0", "latest", "v1.99"] {
        let mut world = converged(spec());
        tenant_sets(&mut world, LEVEL, "restricted");
        tenant_sets(&mut world, VERSION, value);
        let plan = plan(REGISTRY, &world);
        assert_eq!(applied(&plan).unwrap()[VERSION], "v1.36", "{value}");
        assert_eq!(
            applied(&plan).unwrap().get(LEVEL),
            None,
            "the stricter level is left alone"
        );
    }
}

#[test]
fn labels_that_were_there_before_are_told_apart_from_drift() {
    let mut world = world(vec![with_spec("b", 1, spec())]);
    tenant_sets(&mut world, LEVEL, "privileged");
    let plan = plan(REGISTRY, &world);
    assert_eq!(kinds(&plan)[0].0, FindingKind::NameTaken);
    assert!(applied(&plan).is_some());
}

#[test]
fn a_removed_section_removes_our_labels_and_no_others() {
    let mut world = converged(spec());
    tenant_sets(&mut world, LEVEL, "restricted");
    tenant_sets(&mut world, "team", "a");
    respec(&mut world, json!({"namespaceSelector": {}, "mode": "Enforce"}));
    let removal = plan(REGISTRY, &world);
    assert!(findings(&removal).iter().all(|f| f.kind == FindingKind::Surplus));
    assert_eq!(findings(&removal).len(), 3, "the level is another client's now");
    carry_out(&mut world, &removal);
    let left: Vec<_> = world.namespace.labels.keys().collect();
    assert_eq!(left, [LEVEL, "team"]);
    assert!(world.prior.labels.is_empty());
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
}

#[test]
fn a_label_that_is_no_longer_asked_for_goes_and_the_others_stay() {
    let mut world = converged(spec());
    respec(&mut world, spec_but(json!({"warn": null})));
    let plan = plan(REGISTRY, &world);
    assert_eq!(applied(&plan).unwrap().keys().collect::<Vec<_>>(), [LEVEL, VERSION]);
    carry_out(&mut world, &plan);
    assert_eq!(world.namespace.labels.len(), 2);
}

#[test]
fn a_section_that_is_audited_keeps_the_labels_that_it_no_longer_asks_for() {
    let mut world = converged(spec());
    respec(&mut world, spec_but(json!({"warn": null, "mode": "Audit"})));
    let plan = plan(REGISTRY, &world);
    assert_eq!(
        kinds(&plan).iter().map(|k| k.0).collect::<Vec<_>>(),
        [FindingKind::Surplus; 2]
    );
    assert_eq!(steps(&plan), [""; 0], "audit writes nothing");
}

#[test]
fn a_section_that_is_enforced_removes_labels_although_the_baseline_is_audited() {
    let mut world = converged(spec());
    let mut spec = spec_but(json!({"warn": null, "mode": "Enforce"}));
    spec["mode"] = json!("Audit");
    respec(&mut world, spec);
    let plan = plan(REGISTRY, &world);
    assert_eq!(applied(&plan).unwrap().keys().collect::<Vec<_>>(), [LEVEL, VERSION]);
}

#[test]
fn back_to_audit_the_labels_stay_and_are_still_ours() {
    let mut world = converged(spec());
    respec(&mut world, audit(spec()));
    assert_eq!(steps(&plan(REGISTRY, &world)), [""; 0]);
    remember(&mut world);
    assert_eq!(world.prior.labels.len(), 4);
    tenant_sets(&mut world, LEVEL, "privileged");
    let plan = plan(REGISTRY, &world);
    assert_eq!(kinds(&plan)[0].0, FindingKind::Changed);
    assert_eq!(steps(&plan), [""; 0]);
}

/// Two sections with labels: there is one control of that kind today, and so one of them is made up.
#[test]
fn the_labels_of_an_audited_section_are_kept_in_the_apply_of_another() {
    use crate::core::control::LabelRule;
    let mut world = converged(spec());
    world.namespace.labels.insert("other".to_owned(), "wrong".to_owned());
    let owner = world.baselines[0].clone();
    let section = |name, mode, keys: &[(&str, &str)]| Section {
        name,
        askers: Askers::default(),
        mode,
        paused: None,
        children: Vec::new(),
        labels: keys
            .iter()
            .map(|(key, value)| {
                let rule = LabelRule {
                    key: (*key).to_owned(),
                    value: (*value).to_owned(),
                    stricter: Vec::new(),
                };
                (rule, mode, owner.clone())
            })
            .collect(),
        held: Vec::new(),
        audited: Vec::new(),
    };
    let sections = [
        section("podSecurity", Mode::Audit, &[(LEVEL, "privileged"), ("team", "a")]),
        section("other", Mode::Enforce, &[("other", "right")]),
    ];
    let mut plan = plan(REGISTRY, &world);
    labels_keep(&world, &sections, &mut plan);
    let labels = applied(&plan).unwrap();
    assert_eq!(labels["other"], "right");
    assert_eq!(labels[LEVEL], "baseline", "as it is, not as it would be");
    assert_eq!(labels.get("team"), None, "never written, and audited");
}

fn labels_keep(world: &World, sections: &[Section], plan: &mut Plan) {
    crate::core::plan::labels::keep(REGISTRY, world, sections, plan);
}

#[test]
fn labels_of_a_baseline_that_is_gone_stay_whatever_the_next_one_asks_for() {
    let mut world = converged(spec());
    let next = json!({"namespaceSelector": {}, "mode": "Enforce", "podSecurity": {"audit": {"level": "baseline"}}});
    world.baselines = vec![with_spec("next", 2, next)];
    let plan = plan(REGISTRY, &world);
    carry_out(&mut world, &plan);
    assert_eq!(world.namespace.labels[LEVEL], "baseline");
    assert_eq!(world.namespace.labels[WARN], "restricted");
    assert!(world.prior.labels[LEVEL].is_orphaned(), "on record, and nobody's");
    assert_eq!(world.namespace.labels.len(), 6);
}

#[test]
fn a_label_that_somebody_changed_under_our_name_is_claimed_by_that_name() {
    let mut world = converged(spec());
    world.namespace.labels.insert(LEVEL.to_owned(), "privileged".to_owned());
    let plan_of = |world: &World| plan(REGISTRY, world);
    assert_eq!(findings(&plan_of(&world))[0].differences[0].claim, Claim::ours());
    assert!(Claim::ours().states_our_name());
    // Where it is not ours any more and nobody is on record, nobody is accused.
    world.namespace.our_labels.remove(LEVEL);
    let plan = plan_of(&world);
    assert_eq!(findings(&plan)[0].differences[0].claim, Claim::unknown());
}

#[test]
fn a_label_of_ours_that_nobody_asks_for_stays_where_it_is_on_record_or_one_of_pod_security() {
    const AUDIT: &str = "pod-security.kubernetes.io/audit";
    let mut world = converged(spec());
    for key in [AUDIT, "example.com/recorded", "example.com/forged"] {
        world.namespace.labels.insert(key.to_owned(), "baseline".to_owned());
        world.namespace.our_labels.insert(key.to_owned());
    }
    let recorded = RecordedLabel {
        value: "baseline".to_owned(),
        baseline: "uid-gone".to_owned(),
    };
    world.prior.labels.insert("example.com/recorded".to_owned(), recorded);
    world.namespace.labels.remove(LEVEL);
    let plan = plan(REGISTRY, &world);
    let labels = applied(&plan).unwrap();
    assert_eq!(labels[AUDIT], "baseline");
    assert_eq!(labels["example.com/recorded"], "baseline");
    assert_eq!(labels.get("example.com/forged"), None);
}

#[test]
fn a_stricter_level_that_only_an_audit_asks_for_is_told_and_not_applied() {
    let mut world = converged(spec());
    let stricter = json!({"mode": "Audit", "enforce": {"level": "restricted", "version": "v1.36"}});
    let audits = json!({"namespaceSelector": {}, "podSecurity": stricter});
    world.baselines.push(with_spec("audits", 2, audits));
    let plan = plan(REGISTRY, &world);
    assert_eq!(steps(&plan), [""; 0]);
    let [finding] = findings(&plan)[..] else {
        panic!("{:?}", findings(&plan))
    };
    assert_eq!((finding.kind, finding.mode), (FindingKind::Audited, Mode::Audit));
    let difference = &finding.differences[0];
    assert_eq!((&*difference.expected, &*difference.found), ("restricted", "baseline"));
}
