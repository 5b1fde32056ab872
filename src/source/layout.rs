//! Where a repository keeps its parts: the git folder, the folder that linked worktrees share,
//! and the files.
//!
//! It is found without opening the repository, since libgit2 refuses to open one that another
//! user owns (git-sync in a sidecar) and one whose references it cannot read.

use std::fs;
use std::path::{Path, PathBuf};

use super::SourceError;

/// The folders of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Where HEAD is: of a linked worktree its own.
    pub(super) git: PathBuf,
    /// Where objects and branches are; equal to `git` but for a linked worktree.
    pub(super) common: PathBuf,
    /// The checked-out files; a bare repository has none.
    pub(super) work: Option<PathBuf>,
}

impl Layout {
    /// Finds the repository that a path is in.
    pub(super) fn discover(path: &Path) -> Result<Self, SourceError> {
        let start = match fs::canonicalize(path) {
            Ok(start) => start,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SourceError::NotFound(path.to_path_buf()));
            }
            Err(error) => return Err(SourceError::io("open", path, error)),
        };
        for folder in start.ancestors() {
            let inner = folder.join(".git");
            if let Some(git) = git_folder(&inner) {
                return Ok(Self::new(git, Some(folder.to_path_buf())));
            }
            if is_git_folder(folder) {
                // Inside the `.git` of a checkout, which then is what was meant.
                let parent = folder.parent().filter(|_| folder.ends_with(".git"));
                return Ok(Self::new(folder.to_path_buf(), parent.map(Path::to_path_buf)));
            }
        }
        Err(SourceError::NotARepository(path.to_path_buf()))
    }

    fn new(git: PathBuf, work: Option<PathBuf>) -> Self {
        let common = pointed(&git, &git.join("commondir"), "").unwrap_or_else(|| git.clone());
        Self { git, common, work }
    }

    /// The folder that stands for the repository in messages.
    pub(super) fn place(&self) -> &Path {
        self.work.as_deref().unwrap_or(&self.git)
    }

    /// The folder of the objects.
    pub(super) fn objects(&self) -> PathBuf {
        self.common.join("objects")
    }
}

/// The git folder behind a `.git`, which in linked worktrees and submodules is a file.
fn git_folder(dot_git: &Path) -> Option<PathBuf> {
    let found = if dot_git.is_file() {
        pointed(dot_git.parent()?, dot_git, "gitdir:")?
    } else {
        fs::canonicalize(dot_git).ok()?
    };
    is_git_folder(&found).then_some(found)
}

/// The path that a small file of git names, taken as relative to `base`.
fn pointed(base: &Path, file: &Path, label: &str) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let named = text.trim_end_matches(['\r', '\n']).strip_prefix(label)?.trim_start();
    if named.is_empty() {
        return None;
    }
    fs::canonicalize(base.join(named)).ok()
}

/// The check that git itself makes of a git folder.
fn is_git_folder(path: &Path) -> bool {
    let shared = |name: &str| path.join(name).is_dir() || path.join("commondir").is_file();
    path.join("HEAD").symlink_metadata().is_ok() && shared("objects") && shared("refs")
}
