//! What the record says about the commit that is being looked at: which deletes it asked for,
//! and who consented.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::Engine;
use super::load::declared_names;
use super::look::Looked;
use crate::config::Target;
use crate::desired::Desired;
use crate::document::DeclaredThen;
use crate::inventory::{DeleteNote, GoodCommit, Owned, Record};
use crate::live::Live;
use crate::name::{CommitId, ConnectionName};
use crate::plan::compare::Context;
use crate::plan::deletes::{self, Consents, Declared, LastGood, Names};
use crate::secret::FingerprintKey;
use crate::source::{self, Snapshot, SourceError};

/// What is known of the last good commit.
pub(super) struct Past {
    /// Paths that declared something in it and are missing or empty now.
    pub(super) emptied: Vec<String>,
    /// What it declared, read with today's config; `None` where that is not known.
    then: Option<Then>,
    /// Whether there is a last good commit whose names are not known.
    pub(super) unavailable: bool,
    consents: Consents,
}

/// What the last good commit declared.
enum Then {
    /// As the record has it.
    Recorded(GoodCommit),
    /// Read anew, since the config has changed.
    Read(DeclaredThen),
}

impl Then {
    fn names(&self) -> Names<'_> {
        match self {
            Self::Recorded(good) => Names::Recorded(&good.declared),
            Self::Read(then) => Names::Read(&then.names),
        }
    }

    fn renames(&self) -> &BTreeMap<ConnectionName, ConnectionName> {
        match self {
            Self::Recorded(good) => &good.renames,
            Self::Read(then) => &then.renames,
        }
    }

    fn paths(&self) -> &BTreeMap<String, usize> {
        match self {
            Self::Recorded(good) => &good.paths,
            Self::Read(then) => &then.paths,
        }
    }
}

/// Looks the last good commit up, and the consents of the commits since.
pub(super) fn past(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    record: &Record,
    folders: &[(Arc<str>, bool, usize)],
) -> Result<Past, SourceError> {
    let Some(good) = &record.last_good else {
        let (emptied, consents) = (Vec::new(), Consents::default());
        return Ok(Past { emptied, then: None, unavailable: false, consents });
    };
    let then = if good.config == engine.config_digest(target) {
        Some(Then::Recorded(good.clone()))
    } else {
        read_with_todays_config(engine, target, snapshot, good)?.map(Then::Read)
    };
    let emptied = emptied(then.as_ref().map_or(&good.paths, Then::paths), folders);
    let consents = match snapshot {
        Snapshot::Commit { repository, commit } if commit.id != good.commit => {
            consents(engine, target, repository, &commit.id, &good.commit)?
        }
        _ => Consents::default(),
    };
    Ok(Past { emptied, unavailable: then.is_none(), then, consents })
}

fn read_with_todays_config(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    good: &GoodCommit,
) -> Result<Option<DeclaredThen>, SourceError> {
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
                let DeclaredThen { mut names, renames, .. } =
                    declared_names(engine, target, &then)?;
                names.extend(renames.into_values());
                Ok(names)
            }
        }
    };
    let mut given: Vec<(HashSet<&CommitId>, BTreeSet<ConnectionName>)> = Vec::new();
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
        let mut removed = removed.unwrap_or_default();
        let still = names_at(&commit.id)?;
        removed.retain(|name| !still.contains(name));
        if !removed.is_empty() {
            given.push((history.after(&commit.id), removed));
        }
    }
    // What came back later was removed by a later commit, which has to consent by itself. Every
    // commit is read once, however many consent.
    for commit in &history.commits {
        let mut earlier: Vec<_> = given
            .iter_mut()
            .filter(|(after, names)| !names.is_empty() && after.contains(&commit.id))
            .collect();
        if earlier.is_empty() {
            continue;
        }
        let back = names_at(&commit.id)?;
        for (_, names) in &mut earlier {
            names.retain(|name| !back.contains(name));
        }
    }
    consents.names.extend(given.into_iter().flat_map(|(_, names)| names));
    Ok(consents)
}

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
    let is_of_this = |note: &&DeleteNote, becomes: &str| {
        note.becomes.as_ref().is_none_or(|known| known == becomes)
    };
    let kept: Vec<_> = replaced
        .iter()
        .filter_map(|(name, becomes)| {
            let note = record.deletes.get(name).filter(|note| is_of_this(note, becomes))?;
            Some((name.clone(), note.clone()))
        })
        .collect();
    let declared = Declared {
        desired,
        others: &others,
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

/// Paths that declared something in the last good commit and are missing or empty now.
fn emptied(then: &BTreeMap<String, usize>, folders: &[(Arc<str>, bool, usize)]) -> Vec<String> {
    folders
        .iter()
        .filter(|(path, _, documents)| {
            *documents == 0 && then.get(&**path).is_some_and(|count| *count > 0)
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
