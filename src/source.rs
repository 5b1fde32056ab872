//! Where the documents come from: a commit's tree, or the working tree.
//!
//! [`Repository`] reads what is on this machine and never writes. [`Mirror`] brings a URL here by
//! the program `git`, [`verify()`] has it check signatures, and [`Watcher`] tells when there is
//! something to look at. What reads a repository blocks; what has `git` do it is awaited.

mod disk;
mod error;
mod fetch;
#[cfg(test)]
mod fixture;
mod git;
mod history;
mod layout;
mod objects;
mod references;
mod repository;
mod selection;
mod snapshot;
mod tree;
mod verify;
mod watch;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::name::CommitId;

pub use disk::Files;
pub use error::SourceError;
pub use fetch::{FetchStatus, Mirror, problem_with_url};
pub use git::Stop;
pub use history::{History, HistoryCommit};
pub use repository::Repository;
pub use selection::CONFIG_FILE;
pub use snapshot::Snapshot;
pub use verify::{Verify, verify};
pub use watch::{Wake, Watcher};

/// What is known of a commit.
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

/// One file of a snapshot, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The path relative to the root of the repository, `/` between its steps.
    pub path: Arc<str>,
    /// The id of its content: two entries with one id have equal content. For a working tree
    /// it is git's blob id of the bytes on disk.
    pub blob: [u8; 20],
}

/// The files below one configured path.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The path as the config has it.
    pub path: Arc<str>,
    /// Whether the snapshot has it at all.
    pub exists: bool,
    /// The YAML files below it, sorted by path.
    pub files: Vec<FileEntry>,
}

/// What a listing of configured paths gave.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The folders, one for each path, in their order.
    pub folders: Vec<Folder>,
    /// What was passed over though it looks as if it were meant.
    pub notices: Vec<Notice>,
}

/// Something that was passed over though it looks as if it were meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// A name that is not UTF-8; the path shows it as well as it can.
    NotUtf8 {
        /// The path.
        path: String,
    },
    /// A symbolic link that is named like a document.
    Link {
        /// The path.
        path: String,
    },
    /// A submodule, or another repository inside this one.
    Submodule {
        /// The path.
        path: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { path } => write!(f, "{path} is skipped: its name is not UTF-8"),
            Self::Link { path } => write!(f, "{path} is skipped: symbolic links are not followed"),
            Self::Submodule { path } => {
                write!(f, "{path} is skipped: it is a repository of its own, a submodule")
            }
        }
    }
}
