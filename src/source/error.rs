//! Why a source cannot be read, as sentences for the user.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::Unset;
use crate::name::CommitId;

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing is there.
    #[error("there is no {0}; give the place of the repository with --repo or `source.path`")]
    NotFound(PathBuf),
    /// Something is there, but no repository.
    #[error(
        "{0} is no git repository, and lies in none; `git init` makes one, --worktree does \
         not need a commit but does need a repository"
    )]
    NotARepository(PathBuf),
    /// The repository is of a kind that cannot be read.
    #[error("the repository {path} cannot be read: {detail}")]
    Unsupported {
        /// The repository.
        path: PathBuf,
        /// The obstacle.
        detail: String,
    },
    /// The repository has no working tree.
    #[error("{0} is a bare repository, so it has no files for --worktree to read")]
    Bare(PathBuf),
    /// The branch is not there.
    #[error(
        "{place} has no branch `{branch}`; correct `source.branch`, or leave it out to follow HEAD"
    )]
    NoSuchBranch {
        /// The branch.
        branch: String,
        /// The repository, or the URL without user info.
        place: String,
    },
    /// The branch has no commit yet.
    #[error("the branch `{branch}` of {place} has no commit yet")]
    Unborn {
        /// The branch.
        branch: String,
        /// The repository, or the URL without user info.
        place: String,
    },
    /// A revision names nothing.
    #[error("{place} has no revision `{rev}`; in a shallow clone it may have to be fetched first")]
    NoSuchRevision {
        /// The revision as it was given.
        rev: String,
        /// The repository.
        place: PathBuf,
    },
    /// A commit is not in the repository: a shallow clone, or a history that was rewritten.
    #[error(
        "{place} does not have the commit {commit}: the clone is shallow, or history was rewritten"
    )]
    NoSuchCommit {
        /// The commit.
        commit: CommitId,
        /// The repository.
        place: PathBuf,
    },
    /// An object that another one names is not there: `git gc` may be at work, or it is lost.
    #[error(
        "{place} lacks {object}; if `git gc` is not at work there, `git fsck` shows what is lost"
    )]
    Missing {
        /// The object that was looked for.
        object: String,
        /// The repository.
        place: PathBuf,
    },
    /// An object is there and damaged.
    #[error(
        "{object} in {place} is damaged ({detail}); `git fsck` shows the extent, a new clone repairs it"
    )]
    Corrupt {
        /// The object that was read.
        object: String,
        /// The repository.
        place: PathBuf,
        /// The words of libgit2.
        detail: String,
    },
    /// An object was left out of a partial clone.
    #[error(
        "{place} lacks {object}: it is a partial clone, made with `--filter`, and reading it \
         fetches nothing; clone it without `--filter`"
    )]
    NotCloned {
        /// The object that was looked for.
        object: String,
        /// The repository.
        place: PathBuf,
    },
    /// A file is a stand-in for one that Git LFS keeps elsewhere.
    #[error(
        "{0} is a pointer of Git LFS, whose content is not in the repository; \
         `git lfs untrack` it and commit the file itself"
    )]
    LfsPointer(String),
    /// Far more files than connections are ever declared in.
    #[error(
        "{path} holds more than {limit} files; point `paths` at the folders that declare connections"
    )]
    TooManyFiles {
        /// The configured path.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// A file is too large to be a document.
    #[error("{path} is {size} bytes long; a file may hold {limit} at most, so split it")]
    TooLarge {
        /// The file.
        path: String,
        /// Its length.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A file of the working tree changed between being listed and being read.
    #[error("{0} changed while it was read; it is read again at the next reconcile")]
    Changed(String),
    /// The file system refused.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// The attempted action, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Something else that libgit2 said.
    #[error("cannot {doing} in {place}: {detail}")]
    Git {
        /// The attempted action, as a verb.
        doing: String,
        /// The repository.
        place: PathBuf,
        /// The words of libgit2.
        detail: String,
    },
    /// The program `git` cannot be started.
    #[error("cannot start the program `git` to {doing}: {source}{}", advice_on_start(.source))]
    NoGit {
        /// The attempted action, as a verb.
        doing: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program `git` failed; what it said has no secret in it.
    #[error("git failed to {doing}: {said}")]
    Failed {
        /// The attempted action, as a verb.
        doing: String,
        /// Its words, redacted.
        said: String,
    },
    /// The program `git` did not end in time and was killed.
    #[error("git did not {doing} within {} s and was stopped", .deadline.as_secs())]
    TimedOut {
        /// The attempted action, as a verb.
        doing: String,
        /// The deadline.
        deadline: Duration,
    },
    /// The call was given up, because the program is ending.
    #[error("git was stopped while it tried to {0}")]
    Stopped(String),
    /// The token for the git host is named and cannot be read.
    #[error("there is no token to fetch `source.url` with: {0}")]
    Token(Unset),
    /// The URL is none that is given to git.
    #[error("`source.url` ({url}) cannot be used: {problem}")]
    Url {
        /// The URL without user info.
        url: String,
        /// The problem with it.
        problem: &'static str,
    },
    /// The commit has no signature of the wanted kind.
    #[error("the commit {commit} has no {kind} signature, and `source.verify` asks for one")]
    Unsigned {
        /// The commit.
        commit: CommitId,
        /// `SSH` or `GPG`.
        kind: &'static str,
    },
    /// The commit's signature is not by one of those that may sign.
    #[error("the signature of the commit {commit} is not accepted: {said}")]
    BadSignature {
        /// The commit.
        commit: CommitId,
        /// The words of git.
        said: String,
    },
}

impl SourceError {
    /// Words what libgit2 said about one object.
    pub(crate) fn of_object(error: &git2::Error, object: impl Into<String>, place: &Path) -> Self {
        let (object, place) = (object.into(), place.to_path_buf());
        match error.code() {
            git2::ErrorCode::NotFound => Self::Missing { object, place },
            _ => Self::Corrupt { object, place, detail: error.message().to_owned() },
        }
    }

    /// Whether an object is missing or damaged.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Corrupt { .. })
    }

    /// Whether a call was ended before it could succeed or fail.
    pub(super) fn is_interruption(&self) -> bool {
        matches!(self, Self::Stopped { .. } | Self::TimedOut { .. })
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.to_path_buf(), source }
    }
}

/// The advice where the system does not start a program.
fn advice_on_start(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "; install it, or put it into PATH",
        ErrorKind::WouldBlock => {
            "; the system starts no more processes: raise the limit (`ulimit -u`, or the pids \
             limit of the container), or end some"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_program_that_is_missing_is_to_be_installed() {
        let said = |number| {
            let (doing, source) = ("fetch".to_owned(), std::io::Error::from_raw_os_error(number));
            SourceError::NoGit { doing, source }.to_string()
        };
        assert!(said(2).contains("install it"), "{}", said(2));
        // EAGAIN, ENOMEM, EACCES.
        for number in [11, 12, 13] {
            assert!(!said(number).contains("install it"), "{}", said(number));
        }
        assert!(said(11).contains("no more processes"), "{}", said(11));
    }
}
