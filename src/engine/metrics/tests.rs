use super::*;
use crate::core::settle::{MemberStanding, Standing};

fn member(standing: Standing) -> MemberStanding {
    MemberStanding {
        baseline: "b".to_owned(),
        generation: 1,
        standing,
        reason: String::new(),
        message: String::new(),
        told: 0,
        conflict: None,
        deselected: true,
        held: standing == Standing::Blocked,
        unrepaired: standing == Standing::Drifted,
        contested: Some("somebody".to_owned()),
        weakened: Some("something".to_owned()),
    }
}

#[test]
fn a_baseline_is_shown_by_its_states_and_what_is_said_beside_them_until_it_is_gone() {
    let metrics = Metrics::new().unwrap();
    let mut tally = Tally::default();
    for (name, standing) in [
        ("a", Standing::Drifted),
        ("c", Standing::Blocked),
        ("d", Standing::Compliant),
    ] {
        tally.add(name, &member(standing));
    }
    metrics.tallied("b", &tally);
    metrics.condition("b", "Stalled", "True", "Suspended");
    metrics.condition("b", "Ready", "False", "Suspended");
    let text = metrics.render(Vec::new()).unwrap();
    for line in [
        "namespaces{baseline=\"b\",state=\"drifted\"} 1",
        "namespaces{baseline=\"b\",state=\"weakened\"} 0",
        "selected_namespaces{baseline=\"b\"} 3",
        "unrepaired_namespaces{baseline=\"b\"} 1",
        "weakened_namespaces{baseline=\"b\"} 3",
        "held_namespaces{baseline=\"b\"} 1",
        "contested_namespaces{baseline=\"b\"} 3",
        "deselected_namespaces{baseline=\"b\"} 3",
        "baseline_condition{baseline=\"b\",condition=\"Stalled\"} 1",
        "baseline_stalled{baseline=\"b\",reason=\"Suspended\"} 1",
        "baseline_stalled{baseline=\"b\",reason=\"Stopped\"} 0",
    ] {
        assert!(
            text.contains(&format!("security_baseline_{line}\n")),
            "{line} is not in\n{text}"
        );
    }
    metrics.forget("b");
    let text = metrics.render(Vec::new()).unwrap();
    assert!(!text.contains("baseline=\"b\""), "{text}");
}

#[test]
fn what_is_counted_begins_with_zero_and_is_described() {
    let metrics = Metrics::new().unwrap();
    let text = metrics.render(Vec::new()).unwrap();
    for control in REGISTRY {
        let line = format!("drift_detected_total{{section=\"{}\"}} 0\n", control.section());
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(text.contains("false_alarms_total{kind=\"Namespace\"} 0\n"));
    for line in text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE security_baseline_"))
    {
        let (name, kind) = line.split_once(' ').unwrap();
        let described = metrics.described().iter().find(|d| d.name == name);
        assert_eq!(described.map(|d| d.kind), Some(kind), "{name}");
    }
}
