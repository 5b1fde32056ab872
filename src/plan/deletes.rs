//! What may be deleted: from a name that git no longer declares to a delete that is sent, held,
//! or never due.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::Filter;
use crate::config::MaxDeletes;
use crate::desired::Desired;
use crate::inventory::{DeleteHold, DeleteNote, Record};
use crate::name::{CommitId, ConnectionName, missing};

/// What git declares now for a target, as far as deletes care.
#[derive(Debug)]
pub struct Declared<'a> {
    /// The valid documents.
    pub desired: &'a Desired,
    /// What else may not count as removed: the names of documents that are not valid, the old
    /// names of renames that are not done.
    pub others: &'a BTreeSet<ConnectionName>,
    /// Names that the commit declares and that another branch removed, or gave another type: its notes
    /// stay, for the day on which a commit of that branch comes again.
    pub elsewhere: &'a BTreeSet<ConnectionName>,
    /// The new names of old ones whose `renamedFrom` the last good commit did not have.
    pub moved: &'a BTreeMap<&'a ConnectionName, &'a ConnectionName>,
    /// The commit; `None`: the working tree.
    pub commit: Option<&'a CommitId>,
    /// Paths that declared something in the last good commit and are missing or empty now.
    pub emptied: &'a [String],
}

/// What the last good commit declared, read with today's config.
#[derive(Debug)]
pub enum LastGood<'a> {
    /// The names of its documents, and the old names of its renames that are not done.
    Names {
        /// The names of its documents.
        declared: Names<'a>,
        /// Old names of renames that are not done.
        renamed: BTreeSet<ConnectionName>,
    },
    /// There is none: nothing was ever applied.
    None,
    /// The config has changed since, and the repository no longer has the commit.
    Unavailable,
}

/// The names of documents.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// As the record has them, each with its files.
    Recorded(&'a BTreeMap<ConnectionName, Box<[String]>>),
    /// Read anew.
    Read(&'a BTreeSet<ConnectionName>),
}

impl Names<'_> {
    fn has(self, name: &ConnectionName) -> bool {
        match self {
            Self::Recorded(names) => names.contains_key(name),
            Self::Read(names) => names.contains(name),
        }
    }
}

/// What commits consent to by their trailer.
#[derive(Clone, Debug, Default)]
pub struct Consents {
    /// Names that a commit with the trailer itself removed, with that commit.
    pub names: BTreeMap<ConnectionName, CommitId>,
    /// The tip has the trailer and is loaded for the first time.
    pub tip: bool,
    /// The commits with the trailer.
    pub by: BTreeSet<CommitId>,
}

/// Notes the deletes that a commit which loaded whole asked for, at first sight, and drops the notes
/// of names that it declares again.
pub fn note(
    record: &mut Record,
    declared: &Declared<'_>,
    last_good: &LastGood<'_>,
    consents: &Consents,
    filter: &Filter,
) {
    let Declared { desired, others, elsewhere, .. } = declared;
    record.deletes.retain(|name, _| {
        elsewhere.contains(name) || !(desired.contains_key(name) || others.contains(name))
    });
    // What was begun to be made may turn out to be owned.
    let owned = missing(record.inventory.keys(), desired.keys());
    let begun = missing(record.intents.keys(), desired.keys());
    let declared_in = record.last_good.as_ref().map(|good| good.commit.clone());
    for name in owned.chain(begun).filter(|name| !others.contains(name)) {
        if matches!(last_good, LastGood::Unavailable) {
            // To be asked again once the repository has it.
            let note = || DeleteNote { declared_in: declared_in.clone(), ..DeleteNote::not_due() };
            record.deletes.entry(name.clone()).or_insert_with(note);
        }
        let removed_by_a_commit = match last_good {
            LastGood::Names { declared, renamed } => declared.has(name) || renamed.contains(name),
            LastGood::None | LastGood::Unavailable => false,
        };
        if removed_by_a_commit {
            let commit = declared.commit.cloned();
            let moved_to = declared.moved.get(name).map(|new| (*new).clone());
            let note = record.deletes.entry(name.clone()).or_insert_with(DeleteNote::not_due);
            // Where a replace was asked for, the delete that overtakes it is held by what held that.
            if note.undue || note.becomes.is_some() {
                *note = DeleteNote {
                    commit,
                    declared_in: declared_in.clone(),
                    moved_to,
                    held: note.held.take(),
                    emptied: note.emptied.take(),
                    ..DeleteNote::default()
                };
            }
        }
    }
    if !filter.is_narrow() {
        record.consented.extend(consents.by.iter().cloned());
    }
    for (name, note) in &mut record.deletes {
        if !note.asks_for_a_delete() || elsewhere.contains(name) {
            continue;
        }
        let type_name = record.inventory.get(name).map_or("", |owned| &owned.type_name);
        let tip = declared.commit.filter(|_| consents.tip && filter.admits(type_name, name));
        if let Some(by) = consents.names.get(name).or(tip) {
            (note.consent, note.consented_by) = (true, Some(by.clone()));
        }
        // Noted now, whatever else holds it: the next commit's paths are compared with this one's.
        if !note.consent && note.emptied.is_none() {
            note.emptied = declared.emptied.first().cloned();
        }
    }
}

/// How many deletes a run may make on an inventory of that size: a share is rounded down and
/// never below 3, a count is exact.
#[must_use]
pub fn allowed(max: MaxDeletes, inventory: usize) -> usize {
    match max {
        MaxDeletes::Percent(percent) => (inventory * usize::from(percent) / 100).max(3),
        MaxDeletes::Count(count) => count,
    }
}

/// The group rules over all deletes and replaces that nothing else holds.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) max: MaxDeletes,
    /// How many connections of the inventory are still there, those to delete included.
    pub(super) inventory: usize,
    /// How many more it held before the plan, which somebody else deleted.
    pub(super) gone: usize,
    /// How many deletes are due outside a narrowed run: it is no way around the limit.
    pub(super) outside: usize,
    /// Paths that declared something in the last good commit and are missing or empty now.
    pub(super) emptied: &'a [String],
    /// `--allow-deletes`.
    pub(super) allow: bool,
}

impl Group<'_> {
    /// Decides which of the candidates are held, and keeps the reason in their notes.
    pub(super) fn hold(
        &self,
        candidates: &BTreeSet<ConnectionName>,
        notes: &mut BTreeMap<ConnectionName, DeleteNote>,
    ) -> BTreeMap<ConnectionName, DeleteHold> {
        let due = candidates.len() + self.outside;
        let mut held = BTreeMap::new();
        for name in candidates {
            let mut note = notes.get(name).cloned().unwrap_or_default();
            if note.consent || self.allow {
                if let Some(note) = notes.get_mut(name) {
                    note.held = None;
                    note.emptied = None;
                }
                continue;
            }
            note.held = self.limit(due, note.held.as_ref());
            note.emptied = note.emptied.take().or_else(|| self.emptied.first().cloned());
            let path = || note.emptied.clone().map(|path| DeleteHold::Path { path });
            if let Some(hold) = note.held.clone().or_else(path) {
                held.insert(name.clone(), hold);
                notes.insert(name.clone(), note);
            } else if let Some(known) = notes.get_mut(name) {
                *known = note;
            }
        }
        held
    }

    /// The limit that holds a delete now, where `before` held it so far.
    fn limit(&self, due: usize, before: Option<&DeleteHold>) -> Option<DeleteHold> {
        let is_whole = self.inventory + self.gone >= 2 && due >= 1 && due >= self.inventory;
        let allowed_now = allowed(self.max, self.inventory);
        match before {
            // What is held stays held: only a higher `max_deletes` frees it here, measured at
            // the inventory of that day, so that a larger one later does not. It was not
            // `max_deletes` that held the whole inventory.
            Some(hold @ DeleteHold::Limit { due: then, allowed: was, inventory }) => {
                let raised = allowed(self.max, (*inventory).min(self.inventory));
                let was_whole = *inventory >= 2 && then >= inventory;
                let is_free = raised > *was && due <= raised && !was_whole && !is_whole;
                (!is_free).then(|| hold.clone())
            }
            _ if is_whole => {
                let all = self.inventory + self.gone;
                Some(DeleteHold::Limit { due: all, allowed: allowed_now, inventory: all })
            }
            _ if due > allowed_now => {
                let inventory = self.inventory;
                Some(DeleteHold::Limit { due, allowed: allowed_now, inventory })
            }
            _ => None,
        }
    }
}

/// A held delete in words, where so many are due today: the rule with its numbers, and the exact way
/// past it.
pub(super) fn in_words(hold: &DeleteHold, due_now: usize) -> (String, String) {
    match hold {
        DeleteHold::Limit { due, inventory, .. } if due >= inventory && *inventory >= 2 => (
            format!("held: all {inventory} connections of the inventory would be deleted at once"),
            way_past(),
        ),
        DeleteHold::Limit { due, allowed, inventory } => (
            // What is held stays held, also where others were taken back since.
            if *due == due_now {
                format!(
                    "held by max_deletes: {due} deletes are due and {allowed} allowed (the inventory \
                     holds {inventory})"
                )
            } else {
                format!(
                    "held by max_deletes: {due} deletes were due at first sight and {allowed} allowed \
                     (the inventory held {inventory})"
                )
            },
            format!("{}, or a higher max_deletes", way_past()),
        ),
        DeleteHold::Path { path } => (
            format!(
                "held: the path `{path}` declared connections before and is missing or empty now"
            ),
            way_past(),
        ),
    }
}

fn way_past() -> String {
    "run `apinizer-gitops apply --allow-deletes`, or commit with the trailer `Allow-Deletes: true`"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_never_below_three() {
        assert_eq!(allowed(MaxDeletes::Percent(30), 100), 30);
        assert_eq!(allowed(MaxDeletes::Percent(30), 19), 5);
        assert_eq!(allowed(MaxDeletes::Percent(30), 2), 3);
        assert_eq!(allowed(MaxDeletes::Count(1), 100), 1);
        assert_eq!(allowed(MaxDeletes::Count(0), 100), 0);
    }

    fn names(count: usize) -> BTreeSet<ConnectionName> {
        (0..count).map(|i| ConnectionName::new(&format!("c{i}"))).collect()
    }

    fn group(max: MaxDeletes, inventory: usize) -> Group<'static> {
        Group { max, inventory, gone: 0, outside: 0, emptied: &[], allow: false }
    }

    #[test]
    fn over_the_limit_all_are_held_and_stay_held_in_a_larger_inventory() {
        let mut notes = BTreeMap::new();
        let held = group(MaxDeletes::Percent(30), 10).hold(&names(4), &mut notes);
        assert_eq!(held.len(), 4);
        let held = group(MaxDeletes::Percent(30), 1000).hold(&names(4), &mut notes);
        assert_eq!(held.len(), 4, "a larger inventory does not free them");
        let held = group(MaxDeletes::Percent(30), 1000).hold(&names(1), &mut notes);
        assert_eq!(held.len(), 1, "nor does a smaller group");
        let held = group(MaxDeletes::Percent(50), 1000).hold(&names(4), &mut notes);
        assert!(held.is_empty(), "a higher max_deletes does");
    }

    #[test]
    fn the_whole_inventory_is_always_over() {
        let max = MaxDeletes::Count(100);
        assert_eq!(group(max, 2).hold(&names(2), &mut BTreeMap::new()).len(), 2);
        assert_eq!(group(max, 1).hold(&names(1), &mut BTreeMap::new()).len(), 0);
        assert_eq!(group(max, 3).hold(&names(2), &mut BTreeMap::new()).len(), 0);
    }

    #[test]
    fn what_a_narrowed_run_leaves_out_counts_too() {
        let group = Group { outside: 3, ..group(MaxDeletes::Percent(30), 10) };
        assert_eq!(group.hold(&names(1), &mut BTreeMap::new()).len(), 1);
    }

    #[test]
    fn consent_frees_only_what_it_names() {
        let mut notes = BTreeMap::new();
        notes.insert("c0".into(), DeleteNote { consent: true, ..DeleteNote::default() });
        let held = group(MaxDeletes::Count(1), 10).hold(&names(3), &mut notes);
        assert_eq!(held.keys().map(ToString::to_string).collect::<Vec<_>>(), ["c1", "c2"]);
    }
}
