//! What a snapshot declares for a target.

use std::collections::BTreeMap;

use super::Engine;
use crate::config::Target;
use crate::document::{self, DeclaredThen, LoadRequest, Loaded};
use crate::inventory::GoodCommit;
use crate::name::CommitId;
use crate::source::{Folder, Snapshot, SourceError};

/// After this many files git's own memory of what it read is worth letting go of.
const MANY: u64 = 1000;

/// What a snapshot declares for a target.
#[derive(Debug)]
pub struct LoadedTarget {
    /// The documents and their problems.
    pub loaded: Loaded,
    /// What the listing passed over.
    pub notices: Vec<String>,
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
    let notices = listing.notices.iter().map(ToString::to_string).collect();
    Ok(LoadedTarget { loaded, notices })
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
    /// What the state keeps of a commit that loaded whole.
    pub(super) fn as_good_commit(&self, config: String, commit: &CommitId) -> GoodCommit {
        let names = self.loaded.documents.iter().map(|document| &document.name);
        let mut files_by_name: BTreeMap<_, Vec<String>> =
            names.map(|name| (name, Vec::new())).collect();
        for (file, names) in &self.loaded.names_by_file {
            for name in names {
                if let Some(files) = files_by_name.get_mut(name) {
                    // Most have one, and a vector makes room for four.
                    files.reserve_exact(1);
                    files.push(file.to_string());
                }
            }
        }
        let declared = files_by_name.into_iter().map(|(name, files)| (name.clone(), files.into()));
        let renames = self.loaded.documents.iter().filter_map(|document| {
            Some((document.name.clone(), document.options.renamed_from.clone()?))
        });
        GoodCommit {
            commit: commit.clone(),
            config,
            declared: declared.collect(),
            renames: renames.collect(),
            paths: self
                .loaded
                .folders
                .iter()
                .map(|(path, _, documents)| (path.to_string(), *documents))
                .collect(),
        }
    }
}
