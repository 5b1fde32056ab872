//! `protect` of `x-gitops`, which keeps a connection from deletes and replaces. The inventory remembers
//! it as it was last declared, and it outlives its document (rule 3).

use super::entry::Decision;
use super::row::Row;
use super::rules::Rules;
use crate::desired::{Desired, DesiredConnection};
use crate::name::ConnectionName;
use crate::record::Record;

/// Raises `protect` where a document declares it, also of the old name of a rename that is not done:
/// it counts from the first pass that saw it, whatever its lists gave. Says whether any was raised.
pub(crate) fn raise(record: &mut Record, desired: &Desired) -> bool {
    let mut is_raised = false;
    for connection in desired.values().filter(|connection| connection.options.protect) {
        let own_type = connection.connection_type.name;
        let old = connection.options.renamed_from.as_ref().filter(|old| {
            !desired.contains_key(*old)
                && record.owned(old).is_some_and(|owned| owned.type_name == own_type)
        });
        for name in std::iter::once(&connection.name).chain(old.cloned().as_ref()) {
            if record.owned(name).is_some_and(|owned| !owned.protect) {
                is_raised = true;
                record.edit(name, |memory| {
                    memory.owned.iter_mut().for_each(|owned| owned.protect = true);
                });
            }
        }
    }
    is_raised
}

/// Counts connections of the inventory as protected as long as they are so there, where this run may
/// not lift it.
pub(crate) fn keep(
    desired: &mut Desired,
    record: &Record,
    is_kept: impl Fn(&DesiredConnection) -> bool,
) {
    let is_protected = |name: &ConnectionName| record.owned(name).is_some_and(|o| o.protect);
    for connection in desired.values_mut().filter(|connection| is_kept(connection)) {
        let mut names = std::iter::once(&connection.name).chain(&connection.options.renamed_from);
        if names.any(is_protected) {
            connection.options.protect = true;
        }
    }
}

/// Has the inventory remember `protect` as it is declared. Only a commit that loaded whole lifts it,
/// and only with the type that is protected and with all of its paths.
pub(super) fn follow(
    decision: &mut Decision,
    row: &Row<'_>,
    desired: &DesiredConnection,
    rules: &Rules<'_>,
) {
    let protect = desired.options.protect;
    let may_lift = rules.commit.loaded_whole && row.lost_path.is_none() && !rules.is_worktree();
    let memory = decision.memory.as_ref().or(row.memory);
    let changes = memory.and_then(|memory| memory.owned.as_ref()).is_some_and(|owned| {
        let is_of_type = owned.type_name == desired.connection_type.name;
        owned.protect != protect && (protect || (may_lift && is_of_type))
    });
    if changes {
        let owned = &mut decision.memory(row).owned;
        owned.iter_mut().for_each(|owned| owned.protect = protect);
    }
}
