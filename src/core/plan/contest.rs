//! The part of a plan that is about fights: the next repair of what somebody keeps undoing waits, and never for long
//! where what is there is weaker than what is asked for.

use super::first::due;
use super::{Action, Plan, Step};
use crate::core::object::Canonical;
use crate::core::world::World;

/// Takes out of the plan what is contested and not due yet.
pub(super) fn hold_back(world: &World, plan: &mut Plan) {
    let next = |action: &Action| {
        let weaker = weaker(action);
        world.fights.next_try(&action.object, weaker, world.jitter, world.now)
    };
    let mut kept = Vec::new();
    for action in std::mem::take(&mut plan.actions) {
        match next(&action) {
            Some(at) => due(plan, at),
            None => kept.push(action),
        }
    }
    plan.actions = kept;
    if let Some(at) = world.fights.cools_at(world.now) {
        due(plan, at);
    }
}

/// Whether what is there protects less, or grants more, than what the action brings about.
fn weaker(action: &Action) -> bool {
    match &action.step {
        // A missing grant grants nothing.
        Step::Create(child) => child.id.kind.grants.is_empty(),
        Step::Replace { child, live } | Step::Recreate { child, live, .. } => {
            (child.id.kind.weaker)(child.canonical(), &Canonical::of(child.id.kind, live))
        }
        // What is no longer asked for may be a grant; a level that is not as asked for is lower.
        Step::Delete { .. } | Step::Label(_) => true,
    }
}
