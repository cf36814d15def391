use k8s_openapi::jiff::SignedDuration;

use super::*;
use crate::core::exceptions::{Exception, waivers};
use crate::core::world::testing::carry_out;
use crate::engine::facts;

fn waive(world: &mut World, waive: Value) {
    let at = |second| Timestamp::from_second(second).unwrap();
    let spec = json!({
        "namespaces": ["team-a"], "waive": waive, "reason": "a test", "approver": "tester",
        "expiresAt": at(1_500).to_string(),
    });
    let spec = serde_json::from_value(spec).unwrap();
    let month = SignedDuration::from_hours(720);
    let accepted = Exception::accept("debug".into(), "uid".into(), 1, at(900), spec, month);
    world.waivers = waivers(&[Arc::new(accepted.unwrap())], "team-a", world.now);
}

fn control<'a>(settled: &'a Settled, section: &str) -> &'a ControlReport {
    settled.report.controls.iter().find(|c| c.name == section).unwrap()
}

#[test]
fn what_is_waived_and_still_there_is_pending_and_not_drift() {
    let mut world = converged(full_spec());
    waive(&mut world, json!([{"control": "limitRanges"}]));
    let settled = settled(&world);
    assert_eq!(state(&settled, "limitRanges"), ControlState::Pending);
    assert_eq!(condition(&settled, "Drifted"), pair("False", "NoDrift"));
    let finding = &control(&settled, "limitRanges").findings[0];
    assert_eq!(
        (finding.reason.as_str(), finding.message.as_str()),
        ("Waived", "is still there, and is waived by debug")
    );
}

#[test]
fn a_control_of_which_all_is_waived_is_compliant_and_says_by_whom_and_until_when() {
    let mut world = converged(full_spec());
    waive(
        &mut world,
        json!([{"control": "limitRanges"}, {"control": "podSecurity", "level": "privileged"}]),
    );
    let plan = plan(REGISTRY, &world);
    carry_out(&mut world, &plan);
    world.prior.enforced_before = plan.enforced_before.iter().map(|s| (*s).to_owned()).collect();
    let settled = settled(&world);
    assert_eq!(settled.members[0].standing, Standing::Compliant);
    assert_eq!(condition(&settled, "Ready"), pair("True", "Compliant"));
    let limits = control(&settled, "limitRanges");
    assert_eq!((limits.state, limits.findings.len()), (ControlState::Compliant, 0));
    assert_eq!(
        serde_json::to_value(&limits.waived).unwrap(),
        json!([{"exceptions": ["debug"], "until": "1970-01-01T00:25:00Z"}])
    );
    assert_eq!(
        serde_json::to_value(&control(&settled, "podSecurity").waived).unwrap(),
        json!([{"level": "privileged", "exceptions": ["debug"], "until": "1970-01-01T00:25:00Z"}])
    );
    assert!(control(&settled, "networkIsolation").waived.is_empty());
    // What was enforced before is known from the report, also after a restart.
    let prior = facts::prior(&settled.report);
    assert_eq!(prior.enforced_before, ["limitRanges".to_owned()].into());
}
