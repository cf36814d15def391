//! Whether a live Role or RoleBinding grants more than the one that is asked for.

use crate::controls::weaker::{adds_nothing, same_owners};
use crate::core::object::Canonical;

/// A Role does not where each of its rules is one that is asked for. (That a part of a rule may grant less as well is
/// not looked into: no resourceNames, for one, are all names.)
pub(super) fn role(asked: &Canonical, live: &Canonical) -> bool {
    !(same_owners(asked, live) && adds_nothing(&asked.0, &live.0, "rules"))
}

/// A RoleBinding does not where it binds the same role, and each of its subjects is one that is asked for.
pub(super) fn binding(asked: &Canonical, live: &Canonical) -> bool {
    !(same_owners(asked, live)
        && asked.0["roleRef"] == live.0["roleRef"]
        && adds_nothing(&asked.0, &live.0, "subjects"))
}
