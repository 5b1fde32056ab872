//! What the commits before the one that is looked at declared, and what they consented to.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::Engine;
use super::load::declared_names;
use crate::config::Target;
use crate::document::DeclaredThen;
use crate::inventory::{GoodCommit, Record};
use crate::name::{CommitId, ConnectionName};
use crate::plan::deletes::{Consents, Names};
use crate::source::{self, Repository, Snapshot, SourceError};

/// What is known of the last good commit.
pub(super) struct Past {
    /// Paths that declared something in it and are missing or empty now.
    pub(super) emptied: Vec<String>,
    /// What it declared, read with today's config; `None` where that is not known.
    pub(super) then: Option<Then>,
    /// Whether there is a last good commit whose names are not known.
    pub(super) unavailable: bool,
    pub(super) consents: Consents,
}

/// What the last good commit declared.
pub(super) enum Then {
    /// As the record has it.
    Recorded(GoodCommit),
    /// Read anew, since the config has changed.
    Read(DeclaredThen),
}

impl Then {
    pub(super) fn names(&self) -> Names<'_> {
        match self {
            Self::Recorded(good) => Names::Recorded(&good.declared),
            Self::Read(then) => Names::Read(&then.names),
        }
    }

    pub(super) fn renames(&self) -> &BTreeMap<ConnectionName, ConnectionName> {
        match self {
            Self::Recorded(good) => &good.renames,
            Self::Read(then) => &then.renames,
        }
    }

    /// Whether it declared the name, as a connection of that type.
    pub(super) fn declares(&self, name: &ConnectionName, type_name: &str) -> bool {
        match self {
            Self::Recorded(good) => {
                let other = good.types.get(name);
                good.declared.contains_key(name) && other.is_none_or(|other| other == type_name)
            }
            Self::Read(then) => then.types.get(name).is_some_and(|known| *known == type_name),
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
            consents(engine, target, repository, &commit.id, record, &good.commit)?
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

/// What the commits since the last good one consent to. Where the history is cut short, as in a
/// shallow clone, only the tip can be seen: what is before it consents to nothing.
fn consents(
    engine: &Engine,
    target: &Target,
    repository: &Arc<Repository>,
    tip: &CommitId,
    record: &Record,
    last_good: &CommitId,
) -> Result<Consents, SourceError> {
    let mut consents = Consents::default();
    if !repository.has_commit(last_good)? {
        if repository.allows_deletes(tip)? && !record.consented.contains(tip) {
            consents.tip = true;
            consents.by.insert(tip.clone());
        }
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
    let mut given: Vec<(&CommitId, HashSet<&CommitId>, BTreeSet<ConnectionName>)> = Vec::new();
    for commit in history.commits.iter().filter(|commit| commit.allow_deletes) {
        // Where only signed commits are applied, only signed ones consent.
        if let Some(wanted) = &engine.config.source.verify
            && source::verify(repository, &commit.id, wanted, &source::Stop::default()).is_err()
        {
            continue;
        }
        if record.consented.contains(&commit.id) {
            continue;
        }
        consents.by.insert(commit.id.clone());
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
            given.push((&commit.id, history.after(&commit.id), removed));
        }
    }
    // What came back later was removed by a later commit, which has to consent by itself. Every
    // commit is read once, however many consent.
    for commit in &history.commits {
        let mut earlier: Vec<_> = given
            .iter_mut()
            .filter(|(_, after, names)| !names.is_empty() && after.contains(&commit.id))
            .collect();
        if earlier.is_empty() {
            continue;
        }
        let back = names_at(&commit.id)?;
        for (_, _, names) in &mut earlier {
            names.retain(|name| !back.contains(name));
        }
    }
    let by = |(id, _, names): (&CommitId, _, BTreeSet<_>)| {
        let id = id.clone();
        names.into_iter().map(move |name| (name, id.clone()))
    };
    consents.names.extend(given.into_iter().flat_map(by));
    Ok(consents)
}

/// Whether another process applied what came after this commit, which is the newest no more. One
/// that the branch was moved back to is.
pub(super) fn is_overtaken(engine: &Engine, snapshot: &Snapshot, record: &Record) -> bool {
    let (Snapshot::Commit { repository, commit }, Some(good)) = (snapshot, &record.last_good)
    else {
        return false;
    };
    if good.commit == commit.id {
        return false;
    }
    let fetched = engine.mirror.as_ref().and_then(|mirror| mirror.status().branch);
    let branch = engine.config.source.branch.clone().or(fetched);
    let is_newest = repository.head(branch.as_deref()).is_ok_and(|newest| newest.id == commit.id);
    let has_it = !is_newest && repository.has_commit(&good.commit).unwrap_or(false);
    let since = has_it.then(|| repository.commits_since(&commit.id, Some(&good.commit)));
    since.is_some_and(|since| since.is_ok_and(|s| s.complete && s.commits.is_empty()))
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
