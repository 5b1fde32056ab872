//! What one reconcile reads: a commit, or the files as they are on disk.

use std::sync::Arc;

use super::{Commit, FileEntry, Files, Listing, Repository, SourceError};

/// What one reconcile reads.
#[derive(Clone, Debug)]
pub enum Snapshot {
    /// The tree of a commit.
    Commit {
        /// Where it is.
        repository: Arc<Repository>,
        /// The commit.
        commit: Commit,
    },
    /// Files on disk, committed or not.
    Disk(Files),
}

impl Snapshot {
    /// The commit; `None` for files on disk.
    #[must_use]
    pub fn commit(&self) -> Option<&Commit> {
        match self {
            Self::Commit { commit, .. } => Some(commit),
            Self::Disk(_) => None,
        }
    }

    /// Lists the documents below each of the paths.
    ///
    /// # Errors
    /// The repository or the disk cannot be read.
    pub fn folders(
        &self,
        paths: &[String],
        config_file: Option<&str>,
    ) -> Result<Listing, SourceError> {
        match self {
            Self::Commit { repository, commit } => {
                repository.folders(&commit.id, paths, config_file)
            }
            Self::Disk(files) => files.folders(paths, config_file),
        }
    }

    /// Reads a file of a listing.
    ///
    /// # Errors
    /// It is too large, has changed on disk, or cannot be read.
    pub fn read(&self, entry: &FileEntry) -> Result<Vec<u8>, SourceError> {
        match self {
            Self::Commit { repository, .. } => repository.read(entry),
            Self::Disk(files) => files.read(entry),
        }
    }

    /// Lets go of what git keeps in memory of the objects that were read; what is read later is
    /// found anew.
    pub fn rest(&self) {
        if let Self::Commit { repository, .. } = self {
            repository.rest();
        }
    }
}
