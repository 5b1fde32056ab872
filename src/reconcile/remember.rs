//! What the record says about the commit that is being looked at: which deletes it asked for,
//! and who consented.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::load::declared_names;
use super::{Engine, Options};
use crate::config::Target;
use crate::desired::Desired;
use crate::inventory::{GoodCommit, Owned, Record};
use crate::name::{CommitId, ConnectionName};
use crate::plan::compare::Context;
use crate::plan::deletes::{self, Consents, Declared, LastGood};
use crate::secret::FingerprintKey;
use crate::source::{self, Snapshot, SourceError};

/// What is known of the last good commit.
pub(super) struct Past {
    /// Paths that declared something in it and are missing or empty now.
    pub(super) emptied: Vec<String>,
    /// The names that it declared, read with today's config; `None` where that is not known.
    names: Option<BTreeSet<ConnectionName>>,
    /// Whether there is a last good commit whose names are not known.
    pub(super) unavailable: bool,
    consents: Consents,
}

/// Looks the last good commit up, and the consents of the commits since.
pub(super) fn past(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    record: &Record,
    folders: &[(Arc<str>, bool, usize)],
) -> Result<Past, SourceError> {
    let emptied = emptied(record, folders);
    let Some(good) = &record.last_good else {
        let consents = Consents::default();
        return Ok(Past { emptied, names: None, unavailable: false, consents });
    };
    let names = if good.config == engine.config_digest(target) {
        Some(good.declared.keys().cloned().collect())
    } else {
        read_with_todays_config(engine, target, snapshot, good)?
    };
    let consents = match snapshot {
        Snapshot::Commit { repository, commit } if commit.id != good.commit => {
            consents(engine, target, repository, &commit.id, &good.commit)?
        }
        _ => Consents::default(),
    };
    Ok(Past { emptied, unavailable: names.is_none(), names, consents })
}

fn read_with_todays_config(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    good: &GoodCommit,
) -> Result<Option<BTreeSet<ConnectionName>>, SourceError> {
    let Snapshot::Commit { repository, .. } = snapshot else { return Ok(None) };
    let Some(commit) = repository.commit(&good.commit)? else { return Ok(None) };
    let then = Snapshot::Commit { repository: repository.clone(), commit };
    declared_names(engine, target, &then).map(Some)
}

/// What the commits since the last good one consent to. Where the history is cut short, what
/// cannot be seen consents to nothing.
fn consents(
    engine: &Engine,
    target: &Target,
    repository: &Arc<crate::source::Repository>,
    tip: &CommitId,
    last_good: &CommitId,
) -> Result<Consents, SourceError> {
    let mut consents = Consents::default();
    if !repository.has_commit(last_good)? {
        return Ok(consents);
    }
    let history = repository.commits_since(tip, Some(last_good))?;
    let names_at = |id: &CommitId| -> Result<BTreeSet<ConnectionName>, SourceError> {
        match repository.commit(id)? {
            None => Ok(BTreeSet::new()),
            Some(commit) => {
                let then = Snapshot::Commit { repository: repository.clone(), commit };
                declared_names(engine, target, &then)
            }
        }
    };
    for commit in history.commits.iter().filter(|commit| commit.allow_deletes) {
        // Where only signed commits are applied, only signed ones consent.
        if let Some(wanted) = &engine.config.source.verify
            && source::verify(repository, &commit.id, wanted, &source::Stop::default()).is_err()
        {
            continue;
        }
        if commit.id == *tip {
            consents.tip = true;
            continue;
        }
        // What a merge removed is missing in it and was there in all that it merged.
        let mut removed: Option<BTreeSet<ConnectionName>> = None;
        for parent in &commit.parents {
            let names = names_at(parent)?;
            removed = Some(match removed {
                None => names,
                Some(others) => others.intersection(&names).cloned().collect(),
            });
        }
        let still = names_at(&commit.id)?;
        consents.names.extend(removed.unwrap_or_default().difference(&still).cloned());
    }
    Ok(consents)
}

/// Notes in the record which deletes are due.
pub(super) fn note_deletes(
    record: &mut Record,
    desired: &Desired,
    not_removed: &BTreeSet<ConnectionName>,
    snapshot: &Snapshot,
    loaded_whole: bool,
    past: &Past,
    options: &Options,
) {
    let mut names: BTreeSet<ConnectionName> = not_removed.clone();
    for connection in desired.values() {
        names.insert(connection.name.clone());
        // While a rename is not done, its commit counts as declaring the old name.
        if let Some(old) = &connection.options.renamed_from
            && !record.inventory.contains_key(&connection.name)
        {
            names.insert(old.clone());
        }
    }
    // The note of a replace that is held lives under a name that is declared.
    let replaced: BTreeSet<ConnectionName> = desired
        .values()
        .filter(|connection| {
            let owned = record.inventory.get(&connection.name);
            owned.is_some_and(|owned| owned.type_name != connection.connection_type.name)
        })
        .map(|connection| connection.name.clone())
        .collect();
    let kept: Vec<_> = replaced
        .iter()
        .filter_map(|name| Some((name.clone(), record.deletes.get(name)?.clone())))
        .collect();
    let declared = Declared {
        names: &names,
        commit: snapshot.commit().map(|commit| &commit.id),
        loaded_whole,
        emptied: &past.emptied,
    };
    let last_good = match &past.names {
        Some(names) => LastGood::Names(names.iter().collect()),
        None if past.unavailable => LastGood::Unavailable,
        None => LastGood::None,
    };
    deletes::note(record, &declared, &last_good, &past.consents, &options.filter);
    for (name, note) in kept {
        record.deletes.insert(name, note);
    }
    if past.consents.tip && loaded_whole {
        for name in replaced {
            record.deletes.entry(name).or_default().consent = true;
        }
    }
}

/// Only a commit lifts `protect`: a working tree leaves it as the inventory has it.
pub(super) fn keep_protected(desired: &mut Desired, record: &Record) {
    for connection in desired.values_mut() {
        let names = [Some(&connection.name), connection.options.renamed_from.as_ref()];
        let is_protected =
            |name| record.inventory.get(name).is_some_and(|owned: &Owned| owned.protect);
        if names.into_iter().flatten().any(is_protected) {
            connection.options.protect = true;
        }
    }
}

/// Paths that declared something in the last good commit and are missing or empty now.
fn emptied(record: &Record, folders: &[(Arc<str>, bool, usize)]) -> Vec<String> {
    let Some(good) = &record.last_good else { return Vec::new() };
    folders
        .iter()
        .filter(|(path, _, documents)| {
            *documents == 0 && good.paths.get(&**path).is_some_and(|count| *count > 0)
        })
        .map(|(path, _, _)| path.to_string())
        .collect()
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
