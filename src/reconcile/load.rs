//! The declarations of a snapshot for a target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Engine, blocking};
use crate::config::Target;
use crate::document::{self, Invalid, LoadRequest, Loaded, variables_of};
use crate::name::{CommitId, ConnectionName};
use crate::plan::Filter;
use crate::plan::earlier_commits::{is_at_or_below, is_below_any, named_below};
use crate::record::{DeclaredThen, GoodCommit};
use crate::rules::UserRules;
use crate::source::{Folder, Snapshot, SourceError};

/// The declarations of a snapshot for a target.
#[derive(Debug)]
pub(crate) struct LoadedTarget {
    /// The documents and their problems.
    pub contents: Loaded,
    /// The notes about files that are not read.
    pub notices: Vec<String>,
    /// The files and folders that are not read and hold deletes, with their notes.
    pub unread_files: BTreeMap<String, String>,
    /// The variables of Apinizer's that the documents use.
    pub variables: BTreeSet<String>,
}

/// Reads and loads the documents of a snapshot for a target. Blocks on the repository.
///
/// # Errors
/// The repository cannot be read. Problems of documents are no errors here.
pub(crate) fn load_target(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
) -> Result<LoadedTarget, SourceError> {
    load_by(engine, target, snapshot, None)
}

/// The same, with documents that the rules of the user deny as errors. Commits of the past are not
/// judged by the rules of today.
pub(super) fn load_by_rules(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
) -> Result<Arc<LoadedTarget>, SourceError> {
    let load = || load_by(engine, target, snapshot, Some(&target.rules)).map(Arc::new);
    let Snapshot::Commit { repository, commit } = snapshot else { return blocking(load) };
    let known = engine.loaded.of(target);
    if let Some((_, known)) = known.as_ref().filter(|(then, _)| *then == commit.id) {
        return Ok(Arc::clone(known));
    }
    let is_same =
        |then: &CommitId| repository.is_same_at(then, &commit.id, &target.paths).unwrap_or(false);
    let loaded = blocking(|| match known.filter(|(then, _)| is_same(then)) {
        Some((_, known)) => Ok(known),
        None => load(),
    })?;
    // A file that could not be read may be readable the next time.
    if !loaded.contents.has_errors() {
        engine.loaded.keep(target, &commit.id, &loaded);
    }
    Ok(loaded)
}

/// The documents of the commit that each target loaded last without an error. A commit does not change,
/// and neither does the config of an engine, so there is nothing to load until a commit changes
/// something at the target's paths. Loading took 17% of the CPU of a resync of 300 targets with 100
/// documents each.
#[derive(Debug, Default)]
pub(super) struct LastLoaded(Mutex<BTreeMap<String, (CommitId, Arc<LoadedTarget>)>>);

impl LastLoaded {
    fn of(&self, target: &Target) -> Option<(CommitId, Arc<LoadedTarget>)> {
        self.0.lock().get(&target.name).cloned()
    }

    fn keep(&self, target: &Target, commit: &CommitId, loaded: &Arc<LoadedTarget>) {
        let kept = (commit.clone(), Arc::clone(loaded));
        self.0.lock().insert(target.name.clone(), kept);
    }
}

/// How the documents of a target are loaded: by the rules of the user too.
pub(crate) fn load_request<'r>(
    target: &'r Target,
    folders: &'r [Folder],
    known_targets: &'r BTreeSet<String>,
) -> LoadRequest<'r> {
    LoadRequest {
        folders,
        target: Some(&target.name),
        known_targets: Some(known_targets),
        vars: Some(&target.vars),
        rules: Some(&target.rules),
    }
}

fn load_by(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    rules: Option<&UserRules>,
) -> Result<LoadedTarget, SourceError> {
    let listing = snapshot.folders(&target.paths, engine.config_file.as_deref())?;
    let known_targets = &engine.config.target_names;
    let request = LoadRequest { rules, ..load_request(target, &listing.folders, known_targets) };
    let contents = document::load(&request, &engine.cache, &snapshot.reader());
    let notices = listing.unread_files.values().cloned().chain(listing.skipped()).collect();
    let variables = variables_of(&contents.documents, &target.vars);
    Ok(LoadedTarget { contents, notices, unread_files: listing.unread_files, variables })
}

/// The declarations of a snapshot below some paths, whatever else is wrong with it.
pub(super) fn declared_below(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    paths: &[String],
) -> Result<document::OldDeclarations, SourceError> {
    let listing = snapshot.folders(paths, engine.config_file.as_deref())?;
    let (folders, reader) = (&listing.folders, snapshot.reader());
    Ok(document::declared_names(folders, &target.name, &engine.cache, &reader))
}

/// The declarations of a snapshot below a path that the config no longer reads, in files that no path of
/// today reads. A file whose names are not known counts in four cases only: it declared something before; it was
/// not read before; its path is lost; or it may have moved from a place that was not read.
pub(super) fn declared_unread(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
    path: &str,
    good: &GoodCommit,
    today: &BTreeMap<String, usize>,
) -> Result<document::OldDeclarations, SourceError> {
    let mut listing = snapshot.folders(&[path.to_owned()], engine.config_file.as_deref())?;
    for folder in &mut listing.folders {
        folder.files.retain(|file| !is_below_any(&file.path, today));
    }
    let (folders, reader) = (&listing.folders, snapshot.reader());
    let mut then = document::declared_names(folders, &target.name, &engine.cache, &reader);
    let is_here = |known: &String| {
        let mut files = folders.iter().flat_map(|folder| &folder.files);
        listing.unread_files.contains_key(known)
            || files.any(|file| is_at_or_below(&file.path, known))
    };
    let may_have_moved = |known: &String| {
        is_at_or_below(known, path) && !is_below_any(known, today) && !is_here(known)
    };
    let is_lost = good.absent_paths.get(path).is_some_and(|names| !names.is_empty())
        || good.absent_paths.keys().any(may_have_moved);
    then.unknown_files.extend(listing.unread_files.keys().cloned());
    then.unknown_files.retain(|file| {
        is_lost || good.absent_paths.contains_key(file) || named_below(good, file).next().is_some()
    });
    Ok(then)
}

impl LoadedTarget {
    /// The part of a commit that loaded whole that the state keeps.
    pub(super) fn as_good_commit(&self, config: String, commit: &CommitId) -> GoodCommit {
        let (declared, beside) = self.declared();
        GoodCommit {
            commit: commit.clone(),
            config,
            declared: Arc::new(declared),
            paths: self.counts(),
            beside,
            ..GoodCommit::default()
        }
    }

    /// The connections in which files have a say, of those that a run looks at.
    pub(super) fn of_part(&self, filter: &Filter) -> BTreeMap<ConnectionName, DeclaredThen> {
        let (mut part, elsewhere) = self.declared();
        part.extend(elsewhere);
        part.retain(|name, then| filter.admits(&then.type_name, name));
        part
    }

    /// The connections of the target, and those that more than one file declares and one takes out of it.
    fn declared(
        &self,
    ) -> (BTreeMap<ConnectionName, DeclaredThen>, BTreeMap<ConnectionName, DeclaredThen>) {
        let mut files = self.files();
        let declared = self.contents.documents.iter().map(|document| {
            let then = DeclaredThen {
                type_name: document.connection_type.name.to_owned(),
                files: files.remove(&document.name).unwrap_or_default(),
                renamed_from: document.options.renamed_from.clone(),
            };
            (document.name.clone(), then)
        });
        let declared: BTreeMap<ConnectionName, DeclaredThen> = declared.collect();
        let elsewhere = files.into_iter().filter(|(_, files)| files.len() > 1);
        let elsewhere = elsewhere
            .map(|(name, files)| (name.clone(), DeclaredThen { files, ..DeclaredThen::default() }));
        (declared, elsewhere.collect())
    }

    /// The files that declare a part of each name.
    pub(super) fn files(&self) -> BTreeMap<&ConnectionName, Vec<String>> {
        let mut files: BTreeMap<&ConnectionName, Vec<String>> = BTreeMap::new();
        for (file, names) in &self.contents.names_by_file {
            for name in names {
                files.entry(name).or_default().push(file.to_string());
            }
        }
        files
    }

    /// How many documents each configured path holds.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let folders = self.contents.folders.iter();
        folders.map(|(path, _, documents)| (path.to_string(), *documents)).collect()
    }

    /// The names that a commit which did not load whole blocks, with why: those whose documents are
    /// not valid, and those that files declared which cannot be read now. `with_old_names` of `prepare`
    /// adds the old names of their renames.
    pub(super) fn blocked(
        &self,
        good: Option<&GoodCommit>,
    ) -> Result<BTreeMap<ConnectionName, Invalid>, String> {
        let mut blocked = self.contents.invalid.clone();
        for file in &self.contents.broken_files {
            let declared = good.into_iter().flat_map(|good| named_below(good, file));
            let of_file: BTreeSet<&ConnectionName> = declared.map(|(name, _)| name).collect();
            if of_file.is_empty() {
                return Err(format!(
                    "{file} cannot be read, so which connections it declares is not known"
                ));
            }
            for name in of_file {
                let reason = format!("{file}, which declared it, cannot be read");
                blocked.entry(name.clone()).or_insert_with(|| reason.into());
            }
        }
        Ok(blocked)
    }

    /// The old names that blocked documents rename from, by the new ones.
    pub(super) fn renames_of_blocked(
        &self,
        blocked: &BTreeMap<ConnectionName, Invalid>,
        good: Option<&GoodCommit>,
    ) -> BTreeMap<ConnectionName, ConnectionName> {
        let documents = self.contents.documents.iter();
        let valid = documents.filter_map(|d| Some((&d.name, d.options.renamed_from.as_ref()?)));
        // A document that cannot be read now renames as the last good commit said.
        let then = good.into_iter().flat_map(|good| good.declared.iter().chain(&good.beside));
        let then = then.filter_map(|(name, then)| Some((name, then.renamed_from.as_ref()?)));
        let mut renames: BTreeMap<ConnectionName, ConnectionName> = then
            .chain(valid)
            .filter(|(new, _)| blocked.contains_key(*new))
            .map(|(new, old)| (new.clone(), old.clone()))
            .collect();
        renames.extend(self.contents.renames_of_invalid.clone());
        renames
    }
}
