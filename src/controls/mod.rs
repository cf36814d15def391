//! The controls: what each section of a baseline means, a file each.
//!
//! A new control is a new file here and a line in [`REGISTRY`]; with it come its field in the API, a sample, and its
//! kinds in the generated RBAC (a test demands them).

mod access;
mod limit_ranges;
mod network_isolation;
mod pod_security;
mod resource_quotas;
#[cfg(test)]
mod testing;
pub mod weakened;
mod weaker;

pub use network_isolation::Detected;
pub use pod_security::PREFIX as POD_SECURITY;

use crate::core::control::Registry;
use crate::core::object::ChildKind;

/// All controls, in the order in which their work is done.
pub const REGISTRY: Registry = &[
    &pod_security::PodSecurityLabels,
    &network_isolation::NetworkIsolation,
    &limit_ranges::LimitRanges,
    &resource_quotas::ResourceQuotas,
    &access::Access,
];

/// All kinds of objects that the controls create.
pub fn kinds() -> Vec<&'static ChildKind> {
    REGISTRY.iter().flat_map(|control| control.kinds()).copied().collect()
}

/// The kind of this name, if a control creates it.
pub fn kind_named(kind: &str) -> Option<&'static ChildKind> {
    kinds().into_iter().find(|k| k.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_has_a_section_and_kinds_of_its_own() {
        let sections: std::collections::BTreeSet<_> = REGISTRY.iter().map(|c| c.section()).collect();
        assert_eq!(sections.len(), REGISTRY.len());
        let kinds = kinds();
        let distinct: std::collections::BTreeSet<_> = kinds.iter().map(|k| k.kind).collect();
        assert_eq!(distinct.len(), kinds.len());
    }
}
