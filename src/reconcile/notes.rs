//! The notes of deletes and replaces that a commit asks for, as the commit that is being looked at
//! leaves them in the record.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat;

use super::Options;
use super::look::Looked;
use super::past::{Past, Then};
use crate::inventory::{DeleteNote, Owned, Record};
use crate::live::Live;
use crate::name::{CommitId, ConnectionName};
use crate::plan::Agreement;
use crate::plan::deletes::{self, Declared, LastGood};
use crate::source::Snapshot;

/// What notes are made of.
pub(super) struct Noting<'a> {
    pub(super) looked_at: &'a Looked<'a>,
    /// Names that do not count as removed: their documents are not valid.
    pub(super) not_removed: &'a BTreeSet<ConnectionName>,
    /// Names that the commit declares and another branch removed.
    pub(super) elsewhere: &'a BTreeSet<ConnectionName>,
    pub(super) snapshot: &'a Snapshot,
    pub(super) past: &'a Past,
}

impl Noting<'_> {
    /// Notes in the record what a commit that loaded whole asks for.
    pub(super) fn note(&self, record: &mut Record, agreements: &[Agreement]) {
        let Looked { options, desired, live, .. } = *self.looked_at;
        // Their notes lie under names that are declared, where no delete has one.
        let replaces = self.replaces(record, agreements);
        let waiting = desired.values().filter_map(|connection| {
            let old = connection.options.renamed_from.as_ref()?;
            (!is_renamed(record, live, &connection.name)).then(|| old.clone())
        });
        let others = waiting.chain(self.not_removed.iter().cloned()).collect();
        let before = self.past.then.as_ref().map(Then::renames);
        let moved = desired.values().filter_map(|connection| {
            let old = connection.options.renamed_from.as_ref()?;
            let before = before.and_then(|renames| renames.get(&connection.name));
            (before != Some(old)).then_some((old, &connection.name))
        });
        let declared = Declared {
            desired,
            others: &others,
            elsewhere: self.elsewhere,
            moved: &moved.collect(),
            commit: self.tip(),
            emptied: &self.past.emptied,
        };
        let last_good = match &self.past.then {
            Some(then) => {
                let renames = then.renames().iter();
                let open = renames.filter(|(new, _)| !is_renamed(record, live, new));
                let old = open.map(|(_, old)| old.clone()).collect();
                LastGood::Names { declared: then.names(), renamed: old }
            }
            None if self.past.unavailable => LastGood::Unavailable,
            None => LastGood::None,
        };
        deletes::note(record, &declared, &last_good, &self.past.consents, &options.filter);
        record.deletes.extend(replaces);
    }

    fn replaces(
        &self,
        record: &Record,
        agreements: &[Agreement],
    ) -> BTreeMap<ConnectionName, DeleteNote> {
        let documents = self.looked_at.desired.values();
        // What agrees is replaced by nothing.
        let agreements = agreements.iter().copied().chain(repeat(Agreement::Doubtful));
        let doubtful = documents.zip(agreements).filter(|(_, a)| *a == Agreement::Doubtful);
        doubtful
            .filter_map(|(connection, _)| {
                let (name, becomes) = (&connection.name, connection.connection_type.name);
                let owned = record.inventory.get(name).filter(|o| o.type_name != becomes)?;
                Some((name.clone(), self.of_replace(record, name, owned, becomes)?))
            })
            .collect()
    }

    /// The note of a replace. It is due if a commit changed the type: the last good one, read with
    /// today's config, declared the old one, or what an earlier replace that is not done was to make.
    /// What holds a delete holds the replace that overtakes it; consent to the one is none to the
    /// other.
    fn of_replace(
        &self,
        record: &Record,
        name: &ConnectionName,
        owned: &Owned,
        becomes: &str,
    ) -> Option<DeleteNote> {
        let then = self.past.then.as_ref();
        let known = record.deletes.get(name);
        let was_due = known.is_some_and(|note| note.becomes.is_some() && !note.undue);
        let is_new = then.is_some_and(|then| {
            then.declares(name, &owned.type_name) || (was_due && !then.declares(name, becomes))
        });
        let of_this = known.filter(|note| note.becomes.as_deref() == Some(becomes));
        let of_a_delete = known.filter(|note| note.becomes.is_none());
        let is_due = is_new || (was_due && of_this.is_some());
        let held = of_this.or(of_a_delete);
        if !is_due && held.is_none() && self.past.unavailable {
            let declared_in = record.last_good.as_ref().map(|good| good.commit.clone());
            let becomes = Some(becomes.to_owned());
            return Some(DeleteNote { declared_in, becomes, ..DeleteNote::not_due() });
        }
        if !is_due && held.is_none() {
            // Another replace is due, which a mistyped path does not undo.
            return known.filter(|_| was_due).cloned();
        }
        let mut note = match of_this.filter(|known| known.undue != is_due) {
            Some(known) => known.clone(),
            None => DeleteNote {
                commit: self.tip().cloned(),
                declared_in: record.last_good.as_ref().map(|good| good.commit.clone()),
                held: held.and_then(|note| note.held.clone()),
                emptied: held.and_then(|note| note.emptied.clone()),
                undue: !is_due,
                becomes: Some(becomes.to_owned()),
                ..DeleteNote::default()
            },
        };
        if is_due && self.past.consents.tip {
            (note.consent, note.consented_by) = (true, self.tip().cloned());
        }
        if is_due && !note.consent && note.emptied.is_none() {
            note.emptied = self.past.emptied.first().cloned();
        }
        Some(note)
    }

    fn tip(&self) -> Option<&CommitId> {
        self.snapshot.commit().map(|commit| &commit.id)
    }
}

/// Whether a rename is done. While it is not, its commit counts as declaring the old name; after
/// that it does not, so that what somebody makes under the old name was removed by no commit.
pub(super) fn is_renamed(record: &Record, live: &Live, new: &ConnectionName) -> bool {
    let is_live = live.connections.contains_key(new) || !live.is_complete();
    record.inventory.contains_key(new) && is_live
}

/// Keeps the notes of before where what was looked at is no reason for others: what a working tree
/// lacks, no commit removed. A narrowed run leaves the last good commit as it was, so that the next
/// whole one finds again what is still due by then; what held it is kept.
pub(super) fn keep(planned: &mut Record, before: &Record, snapshot: &Snapshot, options: &Options) {
    if snapshot.commit().is_none() {
        planned.deletes.clone_from(&before.deletes);
    } else if options.filter.is_narrow() {
        let is_of_the_run = |name: &ConnectionName| {
            let owned = before.inventory.get(name);
            options.filter.admits(owned.map_or("", |owned| &owned.type_name), name)
        };
        planned.deletes.retain(|name, note| {
            let known = before.deletes.get(name);
            note.undue |= known.is_none_or(|known| known.undue);
            !note.undue || note.held.is_some() || note.emptied.is_some()
        });
        // What the commit declares again has lost its note, whoever looks.
        for (name, note) in planned.deletes.iter_mut().filter(|(name, _)| !is_of_the_run(name)) {
            if let Some(known) = before.deletes.get(name) {
                note.clone_from(known);
            }
        }
    }
}
