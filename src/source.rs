//! Where the documents come from: a commit's tree, or the working tree.
//!
//! [`Repository`] reads what is on this machine and never writes. [`Mirror`] brings a URL here by
//! the program `git`, [`verify()`] has it check signatures, and [`Watcher`] tells when there may
//! be something new. Reading a repository blocks; whatever needs the program `git` has a deadline.

mod commits_since;
mod error;
mod files;
#[cfg(test)]
mod fixture;
mod git;
mod mirror;
mod object_database;
mod repository;
mod verify;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::name::CommitId;

pub(crate) use commits_since::{CommitWithConsents, CommitsSince};
pub(crate) use error::SourceError;
pub(crate) use files::{CONFIG_FILE, Files, Listing};
pub use files::{FileEntry, Folder};
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
#[derive(Clone)]
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

    /// Makes the function by which the documents of this snapshot are read; its errors are sentences.
    pub(crate) fn reader(&self) -> impl Fn(&FileEntry) -> Result<Vec<u8>, String> {
        |entry| self.read(entry).map_err(|error| error.to_string())
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
}

/// The source of a config. Its repository stays open, since it remembers what it has read, and notices by
/// itself when its path leads elsewhere.
#[derive(Clone)]
pub(crate) struct Source {
    path: PathBuf,
    mirror: Option<Mirror>,
    branch: Option<String>,
    verify: Option<Verify>,
    opened: Arc<Mutex<Option<Arc<Repository>>>>,
    /// Whether the files of the working tree are read instead of commits.
    pub(crate) worktree: bool,
}

/// A snapshot to read, its branch, and whether its signature is refused.
#[derive(Clone)]
pub(crate) struct CheckedSnapshot {
    /// The branch that was read.
    pub(crate) branch: Option<String>,
    /// A commit, or the files.
    pub(crate) snapshot: Snapshot,
    /// Why its signature is not accepted; `None`: it is, or none is asked for.
    pub(crate) refused: Option<String>,
}

impl Source {
    /// Names the repository at a path, or the one that a mirror brings; nothing is read yet.
    pub(crate) fn new(
        path: PathBuf,
        mirror: Option<Mirror>,
        branch: Option<String>,
        verify: Option<Verify>,
    ) -> Self {
        Self { path, mirror, branch, verify, opened: Arc::default(), worktree: false }
    }

    /// The mirror of a url.
    pub(crate) fn mirror(&self) -> Option<&Mirror> {
        self.mirror.as_ref()
    }

    /// Where the repository is on this machine.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what there is now. Blocks.
    pub(crate) fn look(&self) -> Result<CheckedSnapshot, SourceError> {
        let repository = self.repository()?;
        if self.worktree {
            let snapshot = Snapshot::Disk(repository.worktree()?);
            return Ok(CheckedSnapshot { branch: repository.branch()?, snapshot, refused: None });
        }
        // Without a configured branch the branch of the mirror's HEAD counts, which is the server's.
        let fetched = self.mirror().and_then(|mirror| mirror.status().branch);
        let branch = self.branch.clone().or(fetched);
        let commit = repository.head(branch.as_deref())?;
        let branch = match branch {
            Some(branch) => Some(branch),
            None => repository.branch()?,
        };
        Ok(CheckedSnapshot { branch, ..self.checked(repository, commit) })
    }

    /// A revision that is named, brought from the server where the source is a url.
    pub(crate) async fn revision(&self, rev: &str) -> Result<CheckedSnapshot, SourceError> {
        let fetched = match self.mirror() {
            Some(mirror) => mirror.fetch_revision(rev).await?.0,
            None => rev.to_owned(),
        };
        tokio::task::block_in_place(|| {
            let repository = self.repository()?;
            let commit = repository.resolve(&fetched)?;
            Ok(self.checked(repository, commit))
        })
    }

    fn checked(&self, repository: Arc<Repository>, commit: Commit) -> CheckedSnapshot {
        let refused = self.verify.as_ref().and_then(|wanted| {
            let checked = verify(&repository, &commit.id, wanted);
            checked.err().map(|error| error.to_string())
        });
        CheckedSnapshot { branch: None, snapshot: Snapshot::Commit { repository, commit }, refused }
    }

    /// An older commit, if the repository has it. Blocks.
    pub(crate) fn older(&self, id: &CommitId) -> Result<Option<Snapshot>, SourceError> {
        let repository = self.repository()?;
        let commit = repository.commit(id)?;
        Ok(commit.map(|commit| Snapshot::Commit { repository, commit }))
    }

    /// The repository. Blocks.
    pub(crate) fn repository(&self) -> Result<Arc<Repository>, SourceError> {
        if let Some(mirror) = self.mirror() {
            return mirror.repository();
        }
        let mut opened = self.opened.lock();
        if let Some(repository) = &*opened {
            return Ok(Arc::clone(repository));
        }
        let repository = Arc::new(Repository::open(&self.path)?);
        *opened = Some(Arc::clone(&repository));
        Ok(repository)
    }
}
