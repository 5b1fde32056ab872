//! What the commit that is being looked at leaves in the record: which deletes it asks for, and what
//! is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::look::Looked;
use super::past::{Past, Then};
use crate::desired::Desired;
use crate::inventory::{DeleteNote, GoodCommit, Owned, Record};
use crate::live::Live;
use crate::name::ConnectionName;
use crate::plan::compare::Context;
use crate::plan::deletes::{self, Declared, LastGood};
use crate::secret::FingerprintKey;
use crate::source::Snapshot;

/// Notes in the record which deletes are due.
pub(super) fn note_deletes(
    record: &mut Record,
    looked_at: &Looked<'_>,
    not_removed: &BTreeSet<ConnectionName>,
    snapshot: &Snapshot,
    loaded_whole: bool,
    past: &Past,
) {
    let Looked { options, desired, live, .. } = *looked_at;
    let waiting = desired.values().filter_map(|connection| {
        let old = connection.options.renamed_from.as_ref()?;
        (!is_renamed(record, live, &connection.name)).then(|| old.clone())
    });
    let others = waiting.chain(not_removed.iter().cloned()).collect();
    // The note of a replace that is held lives under a name that is declared.
    let concerns_replaces = !record.deletes.is_empty() || past.consents.tip;
    let replaced: BTreeMap<ConnectionName, &str> = desired
        .values()
        .filter(|_| concerns_replaces)
        .map(|connection| (connection.name.clone(), connection.connection_type.name))
        .filter(|(name, becomes)| {
            record.inventory.get(name).is_some_and(|owned| owned.type_name != *becomes)
        })
        .collect();
    // What holds a delete holds the replace that overtakes it; consent to the one is none to the
    // other.
    let kept: Vec<_> = replaced
        .iter()
        .filter_map(|(name, becomes)| {
            let note = record.deletes.get(name)?;
            let is_of_this = note.becomes.as_deref() == Some(*becomes);
            let is_of_a_delete = note.becomes.is_none();
            let consent = note.consent && is_of_this;
            (is_of_this || is_of_a_delete)
                .then(|| (name.clone(), DeleteNote { consent, ..note.clone() }))
        })
        .collect();
    let renamed_before = past.then.as_ref().map(Then::renames);
    let moved = desired.values().filter_map(|connection| {
        let old = connection.options.renamed_from.as_ref()?;
        let before = renamed_before.and_then(|renames| renames.get(&connection.name));
        (before != Some(old)).then_some((old, &connection.name))
    });
    let declared = Declared {
        desired,
        others: &others,
        moved: &moved.collect(),
        commit: snapshot.commit().map(|commit| &commit.id),
        loaded_whole,
        emptied: &past.emptied,
    };
    let last_good = match &past.then {
        Some(then) => {
            let renames = then.renames().iter();
            let open = renames.filter(|(new, _)| !is_renamed(record, live, new));
            let old = open.map(|(_, old)| old.clone()).collect();
            LastGood::Names { declared: then.names(), renamed: old }
        }
        None if past.unavailable => LastGood::Unavailable,
        None => LastGood::None,
    };
    deletes::note(record, &declared, &last_good, &past.consents, &options.filter);
    for (name, note) in kept {
        record.deletes.insert(name, note);
    }
    for (name, becomes) in replaced {
        if past.consents.tip && loaded_whole {
            record.deletes.entry(name.clone()).or_default().consent = true;
        }
        if let Some(note) = record.deletes.get_mut(&name) {
            note.becomes = Some(becomes.to_owned());
        }
    }
}

/// Whether a rename is done. While it is not, its commit counts as declaring the old name; after
/// that it does not, so that what somebody makes under the old name was removed by no commit.
pub(super) fn is_renamed(record: &Record, live: &Live, new: &ConnectionName) -> bool {
    let is_live = live.connections.contains_key(new) || !live.is_complete();
    record.inventory.contains_key(new) && is_live
}

/// Only a commit lifts `protect`: a working tree leaves it as the inventory has it.
pub(super) fn keep_protected(desired: &mut Desired, record: &Record) {
    for connection in desired.values_mut() {
        let names = [Some(&connection.name), connection.options.renamed_from.as_ref()];
        let is_protected =
            |name| record.inventory.get(name).is_some_and(|owned: &Owned| owned.protect);
        if names.into_iter().flatten().any(is_protected) {
            Arc::make_mut(&mut connection.options).protect = true;
        }
    }
}

/// The record that `--base REV` stands for: the inventory is what REV declared.
pub(super) fn record_of_base(good: GoodCommit, desired: &Desired, key: &FingerprintKey) -> Record {
    let empty = Record::default();
    let context = Context {
        record: &empty,
        key,
        key_is_known: true,
        stateless: true,
        corrects_drift: true,
        resend_secrets: false,
    };
    let inventory = desired
        .values()
        .map(|connection| {
            let owned = Owned {
                type_name: connection.connection_type.name.to_owned(),
                base: crate::plan::compare::base_of(connection, &context).into(),
                protect: connection.options.protect,
                ..Owned::default()
            };
            (connection.name.clone(), owned)
        })
        .collect();
    Record {
        last_good: Some(good),
        inventory,
        key_check: Some(key.check_value()),
        ..Record::default()
    }
}
