//! What a snapshot declares for a target.

use super::Engine;
use crate::config::Target;
use crate::document::{self, DeclaredThen, Document, LoadRequest, Loaded};
use crate::inventory::{GoodCommit, Record};
use crate::name::{CommitId, ConnectionName};
use crate::source::{Folder, Snapshot, SourceError};

/// After this many files git's own memory of what it read is worth letting go of.
const MANY: u64 = 1000;

/// What a snapshot declares for a target.
#[derive(Debug)]
pub struct LoadedTarget {
    /// The documents and their problems.
    pub loaded: Loaded,
    /// What is told of files that are not read.
    pub notices: Vec<String>,
    /// Those of them that hold deletes.
    pub unread: Vec<String>,
}

/// Reads and loads what a snapshot declares for a target. Blocks on the repository.
///
/// # Errors
/// The repository cannot be read. Problems of documents are no errors here.
pub fn load_target(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
) -> Result<LoadedTarget, SourceError> {
    let listing = snapshot.folders(&target.paths, engine.config_file.as_deref())?;
    let known_targets = engine.target_names();
    let request = LoadRequest {
        folders: &listing.folders,
        target: Some(&target.name),
        known_targets: Some(&known_targets),
        vars: Some(&target.vars),
    };
    let parsed = engine.cache.parsed();
    let loaded = document::load(&request, &engine.cache, &|entry| {
        snapshot.read(entry).map_err(|error| error.to_string())
    });
    if engine.cache.parsed() - parsed > MANY {
        snapshot.rest();
    }
    let unread: Vec<String> = listing.unread.iter().cloned().collect();
    let notices = unread.iter().cloned().chain(listing.skipped()).collect();
    Ok(LoadedTarget { loaded, notices, unread })
}

/// What a snapshot declares for a target, whatever else is wrong with it.
pub(super) fn declared_names(
    engine: &Engine,
    target: &Target,
    snapshot: &Snapshot,
) -> Result<DeclaredThen, SourceError> {
    let folders: Vec<Folder> =
        snapshot.folders(&target.paths, engine.config_file.as_deref())?.folders;
    Ok(document::declared_names(&folders, Some(&target.name), &engine.cache, &|entry| {
        snapshot.read(entry).map_err(|error| error.to_string())
    }))
}

impl LoadedTarget {
    /// What the state keeps of a commit that loaded whole. Most commits declare the names that the
    /// last one of the `record` did: they are kept once.
    pub(super) fn as_good_commit(
        &self,
        config: String,
        commit: &CommitId,
        record: &Record,
    ) -> GoodCommit {
        let documents = &self.loaded.documents;
        let files = self.files_by_name();
        let is_same = |last: &&GoodCommit| {
            last.declared.len() == documents.len()
                && self.declared(&files).zip(&last.declared).all(
                    |((name, files), (then, known))| name == then && files.iter().eq(known.iter()),
                )
        };
        let declared = match record.last_good.as_ref().filter(is_same) {
            Some(last) => last.declared.clone(),
            None => {
                let owned = |(name, files): (&ConnectionName, Vec<&str>)| {
                    (name.clone(), files.into_iter().map(str::to_owned).collect())
                };
                self.declared(&files).map(owned).collect()
            }
        };
        let renames = documents.iter().filter_map(|document| {
            Some((document.name.clone(), document.options.renamed_from.clone()?))
        });
        let types = documents.iter().filter_map(|document| {
            let (name, wanted) = (&document.name, document.connection_type.name);
            let owned = record.inventory.get(name)?;
            (owned.type_name != wanted).then(|| (name.clone(), wanted.to_owned()))
        });
        GoodCommit {
            commit: commit.clone(),
            config,
            declared,
            types: types.collect(),
            renames: renames.collect(),
            paths: self
                .loaded
                .folders
                .iter()
                .map(|(path, _, documents)| (path.to_string(), *documents))
                .collect(),
        }
    }

    /// The names that files declare, valid or not, each with its file; in the order of the names.
    fn files_by_name(&self) -> Vec<(&ConnectionName, &str)> {
        let files = self.loaded.names_by_file.iter();
        let mut files: Vec<_> =
            files.flat_map(|(file, names)| names.iter().map(|name| (name, &**file))).collect();
        files.sort_by_key(|(name, _)| *name);
        files
    }

    /// The valid documents with their files.
    fn declared<'l>(
        &'l self,
        files: &'l [(&'l ConnectionName, &'l str)],
    ) -> impl Iterator<Item = (&'l ConnectionName, Vec<&'l str>)> {
        let mut files = files.iter().peekable();
        self.loaded.documents.iter().map(move |Document { name, .. }| {
            while files.next_if(|(other, _)| *other < name).is_some() {}
            let mut own = Vec::new();
            while let Some((_, file)) = files.next_if(|(other, _)| *other == name) {
                own.push(*file);
            }
            (name, own)
        })
    }
}
