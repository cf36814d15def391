//! Whether a live quota lets more be used than the one that is asked for.

use crate::controls::weaker::{each_amount, same_but, same_owners};
use crate::core::object::Canonical;

/// It does not where it counts the same objects (the scopes are equal), and limits each resource that is asked for to
/// no more. What it limits besides takes nothing away from that.
pub(super) fn weaker(asked: &Canonical, live: &Canonical) -> bool {
    let (spec, found) = (&asked.0["spec"], &live.0["spec"]);
    !(same_owners(asked, live)
        && same_but(spec, found, &["hard"])
        && each_amount(spec, found, "hard", |asked, live| live <= asked))
}
