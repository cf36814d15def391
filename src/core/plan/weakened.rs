//! The part of a plan that is about objects of others that undo a control. They are told, and never touched.

use super::waived::Specs;
use super::{Finding, FindingKind, Plan};
use crate::api::v1alpha1::{Direction, Mode};
use crate::core::control::Held;
use crate::core::drift::Difference;
use crate::core::world::{Undoes, World};

/// Tells what undoes a control that applies here.
pub(super) fn tell(world: &World, specs: &Specs, plan: &mut Plan) {
    let Some(owner) = plan.effective.baselines.first().cloned() else {
        return;
    };
    // What a baseline asks for is held to that, or told as what departs from it.
    let foreign = world.foreign.iter().filter(|(id, _)| !plan.wanted.contains_key(id));
    let foreign: Vec<_> = foreign.collect();
    for (id, weakening) in foreign {
        let Some(section) = weakening
            .undoes
            .iter()
            .find_map(|undone| undone_section(specs, *undone))
        else {
            let narrower = weakening.narrower.iter().chain(&weakening.undoes);
            let section = narrower.copied().find_map(|undone| undone_section(specs, undone));
            if let Some(known) = plan.sections.iter_mut().find(|s| Some(s.section) == section) {
                known
                    .notes
                    .push(Held::child(id.clone(), "WeakenedInPart", weakening.what.clone()));
            }
            continue;
        };
        let finding = Finding {
            object: id.to_string(),
            mode: Mode::Audit,
            kind: FindingKind::Weakened,
            differences: vec![Difference::whole("", &weakening.what)],
        };
        plan.note(section, finding, &owner);
    }
}

/// The section that asks for what is undone, if one does: what is waived cannot be undone.
fn undone_section(specs: &Specs, undone: Undoes) -> Option<&'static str> {
    let direction = match undone {
        // Who may change anything may change what the other controls say too, whether access is declared or not.
        Undoes::Access => return Some("access"),
        Undoes::Ingress => Direction::Ingress,
        Undoes::Egress => Direction::Egress,
    };
    let specs = [Some(&specs.enforced), specs.asked.as_ref()];
    let mut sections = specs
        .into_iter()
        .flatten()
        .filter_map(|spec| spec.network_isolation.as_ref());
    sections
        .any(|section| section.denies(direction))
        .then_some("networkIsolation")
}
