//! Decides one connection: pure, one row at a time.

use super::State;
use super::entry::Decision;
use super::row::{Claim, Declared, Row};
use super::rules::Rules;

mod declared;
mod removed;
mod renamed;

pub(crate) use declared::ADOPTED;
pub(crate) use removed::{for_the_shell, forget_command};
pub(crate) use renamed::decide_renames;

/// Decides one row; `None` where there is nothing to say of it.
pub(crate) fn decide(row: &Row<'_>, rules: &Rules<'_>) -> Option<Decision> {
    let mut decision = match row.declared {
        Declared::Invalid(reason) => Decision::blocked(row, reason.to_owned(), None),
        Declared::Wanted(desired) => declared::decide(row, desired, rules),
        Declared::Absent => absent(row, rules)?,
    };
    tell_edit(&mut decision, row);
    decision.settle_memory(row);
    Some(decision)
}

/// Tells of each change of fields that somebody else moved who edited the connection last.
fn tell_edit(decision: &mut Decision, row: &Row<'_>) {
    let Some(view) = row.view() else { return };
    for change in decision.entry.change.iter_mut().chain(&mut decision.entry.kept) {
        if change.drifted_fields().next().is_some() {
            change.edited = view.last_edit();
        }
    }
}

fn absent(row: &Row<'_>, rules: &Rules<'_>) -> Option<Decision> {
    // While a rename is not done, its commit counts as declaring the old name.
    match row.claim {
        Some(Claim::Frees(_)) => return None,
        Some(Claim::Locks(_)) if row.owned().is_some() => return None,
        _ => {}
    }
    if let Some(owned) = row.owned() {
        return removed::decide(row, owned, rules);
    }
    if row.view().is_some() {
        let mut decision = Decision::new(row, State::Unmanaged, None);
        if row.memory.is_some_and(|memory| memory.degraded.is_some()) {
            // The connection whose delete was not deployed has been made again.
            decision.memory(row).degraded = None;
        }
        return Some(decision);
    }
    // A delete that the workers did not get: there is nothing left to send, so it is shown until
    // somebody makes the connection again or forgets it.
    let degraded = row.memory?.degraded.as_ref()?;
    let type_name = degraded.deleted.clone()?;
    let reason = format!("deleted, but not deployed: {}", degraded.reason);
    let mut decision = Decision::new(row, State::Degraded, Some(reason));
    decision.entry.type_name = type_name;
    Some(decision)
}
