//! Where the documents come from: a commit's tree, or the working tree.
//!
//! [`Repository`] reads what is on this machine and never writes. [`Mirror`] brings a URL here by
//! the program `git`, [`verify()`] has it check signatures, and [`Watcher`] tells when there may
//! be something new. Reading a repository blocks; whatever needs the program `git` has a deadline.

mod error;
mod files;
#[cfg(test)]
mod fixture;
mod git;
mod history;
mod mirror;
mod object_database;
mod repository;
mod verify;
mod watch;

use std::sync::Arc;

use serde::Serialize;

use crate::name::CommitId;

pub(crate) use error::SourceError;
pub(crate) use files::Files;
pub(crate) use files::{CONFIG_FILE, Listing};
pub use files::{FileEntry, Folder};
pub(crate) use git::Stop;
pub(crate) use history::{History, HistoryCommit};
pub(crate) use mirror::{FetchStatus, Mirror, problem_with_url};
pub use repository::Repository;
pub(crate) use verify::{Verify, verify};
pub(crate) use watch::{Wake, Watcher};

/// The facts of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it, `Name <mail>`.
    pub author: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

/// The input of one reconcile.
#[derive(Clone, Debug)]
pub enum Snapshot {
    /// The tree of a commit.
    Commit {
        /// Where it is.
        repository: Arc<Repository>,
        /// The commit.
        commit: Commit,
    },
    /// Files as they are now, committed or not.
    Disk(Files),
}

impl Snapshot {
    /// The commit; `None` for files.
    pub fn commit(&self) -> Option<&Commit> {
        match self {
            Self::Commit { commit, .. } => Some(commit),
            Self::Disk(_) => None,
        }
    }

    /// Lists the documents below each of the paths.
    ///
    /// # Errors
    /// The repository or a folder cannot be read.
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
    /// It is too large, a pointer of Git LFS, has changed since, or cannot be read.
    pub fn read(&self, entry: &FileEntry) -> Result<Vec<u8>, SourceError> {
        match self {
            Self::Commit { repository, .. } => repository.read(entry),
            Self::Disk(files) => files.read(entry),
        }
    }

    /// Frees the memory that libgit2 holds for the objects that were read.
    pub fn rest(&self) {
        if let Self::Commit { repository, .. } = self {
            repository.rest();
        }
    }
}
