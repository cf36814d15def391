//! Whether a live policy lets more through than the one that is asked for.

use crate::controls::weaker::{adds_nothing, same_but, same_owners};
use crate::core::object::Canonical;

/// It does not where it is for the same pods and directions, and each of its rules is one that is asked for: rules only
/// allow, so that one less lets less through. (That a part of a rule may let less through as well is not looked into: no
/// peers, for one, are all peers.)
pub(super) fn weaker(asked: &Canonical, live: &Canonical) -> bool {
    let (spec, found) = (&asked.0["spec"], &live.0["spec"]);
    let directions = ["ingress", "egress"];
    !(same_owners(asked, live)
        && same_but(spec, found, &directions)
        && directions.iter().all(|direction| adds_nothing(spec, found, direction)))
}
