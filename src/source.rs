//! Where the documents come from: a commit's tree, or the working tree.

use std::sync::Arc;

use serde::Serialize;

use crate::name::CommitId;

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
