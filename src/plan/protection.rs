//! `protect` (rule 3): the inventory remembers it as it was last declared, so that it outlives its document.
//! A document with `protect` also protects what has the old name of its rename, until lists show that the rename
//! is done. That is a mark of its own, which names the document, so that it can be taken back and leaves what the
//! connection itself declares as it is.

use std::collections::BTreeSet;

use super::entry::Decision;
use super::renames::{open_renames, renames_of};
use super::row::{Claim, Row, Settings};
use crate::desired::{Desired, DesiredConnection};
use crate::live::Live;
use crate::name::ConnectionName;
use crate::record::{Memory, Record};

/// Raises `protect` where a document declares it, also of what may have been created, and marks the old name
/// of its rename: it counts from the first reconcile that saw it, whatever its lists gave.
pub(crate) fn raise_protection(record: &mut Record, desired: &Desired) {
    for connection in desired.values().filter(|connection| connection.options.protect) {
        let name = &connection.name;
        record.edit(name, |memory| {
            memory.owned.iter_mut().for_each(|owned| owned.protect = true);
            memory.intent.iter_mut().for_each(|intent| intent.protect = true);
        });
        if let Some(old) = &connection.options.renamed_from {
            record.edit(old, |memory| {
                if memory.owned.is_some() || memory.intent.is_some() {
                    memory.protected_by = Some(name.clone());
                }
            });
        }
    }
}

/// The names whose marks are taken back: of renames that lists show to be done, and of documents that lift `protect`.
/// Where the document is gone, or is no rename from the name any more, the mark stays.
pub(crate) fn marks_that_are_over(
    record: &Record,
    desired: &Desired,
    live: &Live,
    may_lift: impl Fn(&DesiredConnection) -> bool,
) -> Vec<ConnectionName> {
    let open = open_renames(renames_of(desired), record, live);
    let is_over = |old: &ConnectionName, document: &DesiredConnection| {
        let renames = document.options.renamed_from.as_ref() == Some(old);
        let is_done = !open.contains_key(old) && live.connections.contains_key(&document.name);
        (renames && is_done) || (!document.options.protect && may_lift(document))
    };
    let over = record.connections.iter().filter(|(old, memory)| {
        let document = memory.protected_by.as_ref().and_then(|new| desired.get(new));
        document.is_some_and(|document| is_over(old, document))
    });
    over.map(|(old, _)| old.clone()).collect()
}

/// Counts connections of the inventory as protected as long as they are so there, where this run may
/// not lift it. While a rename is open, the connection under its old name is the one that the new name declares.
pub(crate) fn keep_protection(
    desired: &mut Desired,
    record: &Record,
    live: &Live,
    may_lift: impl Fn(&DesiredConnection) -> bool,
) {
    let open = open_renames(renames_of(desired), record, live);
    let open: BTreeSet<ConnectionName> = open.into_keys().cloned().collect();
    let is_protected =
        |name: &ConnectionName| record.memory(name).is_some_and(Memory::is_protected);
    for connection in desired.values_mut().filter(|connection| !may_lift(connection)) {
        let own = Some(&connection.name).filter(|name| !open.contains(*name));
        let old = connection.options.renamed_from.as_ref().filter(|old| open.contains(*old));
        if own.into_iter().chain(old).any(is_protected) {
            connection.options.protect = true;
        }
    }
}

/// Has the inventory remember `protect` as it is declared. Only a commit that loaded whole lifts it,
/// and only with the type that is protected and with all of its paths.
pub(super) fn follow_protection(
    decision: &mut Decision,
    row: &Row<'_>,
    desired: &DesiredConnection,
    settings: &Settings<'_>,
) {
    let protect = desired.options.protect;
    // A connection that is to be renamed is not the one that a document of its old name declares.
    let is_renamed = matches!(row.claim, Some(Claim::Frees(_) | Claim::Locks(_)));
    let may_lift = settings.loaded_whole
        && row.absent_path.is_none()
        && !settings.is_worktree()
        && !is_renamed;
    let Some(memory) = decision.memory.as_ref().or(row.memory) else { return };
    let Some(owned) = &memory.owned else { return };
    let may_lift = may_lift && owned.type_name == desired.connection_type.name;
    if (protect && !owned.protect) || (!protect && may_lift && memory.is_protected()) {
        let memory = decision.memory(row);
        memory.owned.iter_mut().for_each(|owned| owned.protect = protect);
        memory.protected_by = memory.protected_by.take().filter(|_| protect);
    }
}
