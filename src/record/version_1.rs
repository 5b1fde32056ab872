//! Reading a record as version 1 of the state kept it: five maps by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{
    AskedBy, DeclaredThen, Degraded, Due, DueStep, GoodCommit, Intent, Memory, OverLimit, Owned,
    ReadableSecrets, Unstable,
};
use crate::name::{CommitId, ConnectionName};

/// A record of version 1.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Record {
    last_good: Option<Good>,
    last_applied: Option<CommitId>,
    key_check: Option<String>,
    inventory: BTreeMap<ConnectionName, Owned>,
    intents: BTreeMap<ConnectionName, Intent>,
    deletes: BTreeMap<ConnectionName, DeleteNote>,
    degraded: BTreeMap<ConnectionName, DegradedThen>,
    unstable: BTreeMap<ConnectionName, BTreeMap<String, Unstable>>,
    readable: ReadableSecrets,
    suspended: bool,
    consented: Vec<CommitId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Good {
    commit: CommitId,
    config: String,
    declared: BTreeMap<ConnectionName, Vec<String>>,
    #[serde(default)]
    renames: BTreeMap<ConnectionName, ConnectionName>,
    /// Only of names that the inventory has with another type.
    #[serde(default)]
    types: BTreeMap<ConnectionName, String>,
    paths: BTreeMap<String, usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteNote {
    commit: Option<CommitId>,
    #[serde(default)]
    declared_in: Option<CommitId>,
    #[serde(default)]
    consent: bool,
    #[serde(default)]
    consented_by: Option<CommitId>,
    #[serde(default)]
    held: Option<Hold>,
    #[serde(default)]
    emptied: Option<String>,
    #[serde(default)]
    moved_to: Option<ConnectionName>,
    #[serde(default)]
    undue: bool,
    #[serde(default)]
    becomes: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Hold {
    Limit { due: usize, allowed: usize, inventory: usize },
    Path { path: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DegradedThen {
    reason: String,
    attempts: u32,
    next: i64,
    #[serde(default)]
    deleted: bool,
    #[serde(default, rename = "type")]
    type_name: String,
}

impl From<Record> for super::Record {
    fn from(old: Record) -> Self {
        let last_good = old.last_good.map(|good| good.upgraded(&old.inventory));
        let mut memories: BTreeMap<ConnectionName, Memory> = BTreeMap::new();
        for (name, owned) in old.inventory {
            memories.entry(name).or_default().owned = Some(owned);
        }
        for (name, intent) in old.intents {
            memories.entry(name).or_default().intent = Some(intent);
        }
        for (name, note) in old.deletes {
            memories.entry(name).or_default().due = Some(note.into());
        }
        for (name, degraded) in old.degraded {
            memories.entry(name).or_default().degraded = Some(degraded.into());
        }
        for (name, fields) in old.unstable {
            memories.entry(name).or_default().unstable = fields;
        }
        Self {
            last_good,
            last_applied: old.last_applied,
            key_check: old.key_check,
            connections: memories.into_iter().map(|(name, m)| (name, m.into())).collect(),
            readable: old.readable,
            suspended: old.suspended,
            consented: old.consented,
            ..Self::default()
        }
    }
}

impl Good {
    fn upgraded(self, inventory: &BTreeMap<ConnectionName, Owned>) -> GoodCommit {
        let Self { commit, config, declared, mut renames, mut types, paths } = self;
        let declared = declared.into_iter().map(|(name, files)| {
            let of_inventory = || inventory.get(&name).map(|owned| owned.type_name.clone());
            let type_name = types.remove(&name).or_else(of_inventory).unwrap_or_default();
            let renamed_from = renames.remove(&name);
            (name, DeclaredThen { type_name, files, renamed_from })
        });
        let declared = Arc::new(declared.collect());
        GoodCommit { commit, config, declared, paths, ..GoodCommit::default() }
    }
}

impl From<DeleteNote> for Due {
    fn from(old: DeleteNote) -> Self {
        let asked_by = match (old.undue, old.commit) {
            (false, Some(commit)) => AskedBy::Commit(commit),
            (true, None) if old.declared_in.is_some() => AskedBy::NotKnown,
            _ => AskedBy::NoCommit,
        };
        let (over_limit, held_path) = match old.held {
            Some(Hold::Limit { due, allowed, inventory }) => {
                (Some(OverLimit { due, allowed, inventory }), None)
            }
            Some(Hold::Path { path }) => (None, Some(path)),
            None => (None, None),
        };
        Self {
            to: old.becomes.map_or(DueStep::Delete, DueStep::Replace),
            asked_by,
            declared_in: old.declared_in,
            // A consent whose commit is not known cannot be checked, and is given up.
            consent: old.consented_by.filter(|_| old.consent),
            over_limit,
            lost_path: old.emptied.or(held_path),
            moved_to: old.moved_to,
            was_held: false,
        }
    }
}

impl From<DegradedThen> for Degraded {
    fn from(old: DegradedThen) -> Self {
        Self {
            reason: old.reason,
            attempts: old.attempts,
            next: old.next,
            deleted: old.deleted.then_some(old.type_name),
        }
    }
}
