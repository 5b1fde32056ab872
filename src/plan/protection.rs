//! `protect` (rule 3): the inventory remembers it as it was last declared, so that it outlives its document.
//! A document with `protect` also protects what has the old name of its rename, until lists show that the rename
//! is done. That is a mark of its own, which names the document, so that it can be taken back and leaves what the
//! connection itself declares as it is.

use std::collections::BTreeSet;

use super::entry::Decision;
use super::renames::{Pair, open_renames, renames_of};
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
        let is_raised = |memory: &Memory| {
            memory.owned.iter().all(|owned| owned.protect)
                && memory.intent.iter().all(|intent| intent.protect)
        };
        if record.memory(name).is_some_and(|memory| !is_raised(memory)) {
            record.edit(name, |memory| {
                memory.owned.iter_mut().for_each(|owned| owned.protect = true);
                memory.intent.iter_mut().for_each(|intent| intent.protect = true);
            });
        }
        let old = connection.options.renamed_from.as_ref();
        let is_unmarked = |old: &&ConnectionName| {
            record.memory(old).is_some_and(|memory| {
                (memory.owned.is_some() || memory.intent.is_some())
                    && memory.protected_by.as_ref() != Some(name)
            })
        };
        if let Some(old) = old.filter(is_unmarked) {
            record.edit(old, |memory| memory.protected_by = Some(name.clone()));
        }
    }
}

/// Copies what protects each name that both records know.
pub(crate) fn copy_protection(from: &Record, to: &mut Record) {
    let names: Vec<&ConnectionName> = protected_otherwise(from, to).collect();
    for name in names {
        let Some(memory) = from.memory(name) else { continue };
        to.edit(name, |known| {
            known.protected_by.clone_from(&memory.protected_by);
            let owned = known.owned.as_mut().zip(memory.owned.as_ref());
            owned.into_iter().for_each(|(known, owned)| known.protect = owned.protect);
            let intent = known.intent.as_mut().zip(memory.intent.as_ref());
            intent.into_iter().for_each(|(known, intent)| known.protect = intent.protect);
        });
    }
}

/// The names that two records know as protected otherwise.
pub(crate) fn protected_otherwise<'r>(
    one: &'r Record,
    other: &Record,
) -> impl Iterator<Item = &'r ConnectionName> {
    let is_otherwise = |name: &ConnectionName, memory: &Memory| {
        other.memory(name).is_some_and(|other| {
            let owned = memory.owned.as_ref().zip(other.owned.as_ref());
            let intent = memory.intent.as_ref().zip(other.intent.as_ref());
            memory.protected_by != other.protected_by
                || owned.is_some_and(|(one, other)| one.protect != other.protect)
                || intent.is_some_and(|(one, other)| one.protect != other.protect)
        })
    };
    let all = one.connections.iter();
    all.filter(move |(name, memory)| is_otherwise(name, memory)).map(|(name, _)| name)
}

/// Takes the marks back of renames that lists show to be done, and of those whose documents lift `protect`. Of
/// a document that is gone the mark stays.
pub(crate) fn take_marks_back(
    record: &mut Record,
    desired: &Desired,
    live: &Live,
    may_lift: impl Fn(&DesiredConnection) -> bool,
) {
    let open = open_renames(renames_of(desired), record, live);
    let is_marked = |(new, old): &Pair<'_>| {
        record.memory(old).is_some_and(|memory| memory.protected_by.as_ref() == Some(*new))
    };
    let is_over = |(new, old): &Pair<'_>| {
        let is_done = !open.contains_key(*old) && live.connections.contains_key(*new);
        let lifts = |document: &DesiredConnection| !document.options.protect && may_lift(document);
        is_done || desired.get(*new).is_some_and(lifts)
    };
    let over: Vec<Pair<'_>> = renames_of(desired).filter(is_marked).filter(is_over).collect();
    for (_, old) in over {
        record.edit(old, |memory| memory.protected_by = None);
    }
}

/// Counts connections of the inventory as protected as long as they are so there, where this run may
/// not lift it. The connection that has an old name until its rename is made is that of the new one.
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
        && row.absent_layer.is_none()
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
