//! Which files below the configured paths hold documents, and the files as they are now: the
//! working tree of `--worktree`, and what `validate` is given.
//!
//! A file that is not read may declare a connection that seems to be removed, so deletes are held
//! while there is one. A file that is skipped for its name is the user's decision: it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{ObjectType, Oid};

use super::SourceError;
use crate::diagnostic;
use crate::name::first_few;

/// Files below a folder, read as they are at that moment.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
    named_by_user: bool,
}

impl Files {
    /// Takes paths as a config has them: relative to a root, symbolic links not followed.
    pub fn of_worktree(root: PathBuf) -> Self {
        Self { root, named_by_user: false }
    }

    /// Takes paths as somebody types them in a folder: absolute or relative, and a symbolic link
    /// that is named itself is followed.
    pub fn named_in(folder: PathBuf) -> Self {
        Self { root: folder, named_by_user: true }
    }

    /// Lists the documents below each of the paths; `config_file` is left out.
    ///
    /// # Errors
    /// A folder cannot be read, or holds too many files.
    pub fn folders(
        &self,
        paths: &[String],
        config_file: Option<&str>,
    ) -> Result<Listing, SourceError> {
        let mut listing = Listing::default();
        for path in paths {
            let mut walk = FolderWalk { path, listing: &mut listing, files: Vec::new() };
            let exists = self.path(path, &mut walk)?;
            let files = walk.files;
            listing.add(path, exists, files, config_file);
        }
        Ok(listing)
    }

    /// Reads a file, which has to hold what it held when it was listed.
    ///
    /// # Errors
    /// The file is gone, has changed, or is too large.
    pub fn read(&self, entry: &FileEntry) -> Result<Vec<u8>, SourceError> {
        let path = self.root.join(&*entry.path);
        let changed = || SourceError::Changed(entry.path.to_string());
        let bytes = read_bounded(&path, &entry.path)?.ok_or_else(changed)?;
        // The loader remembers documents by this id, so other content may not pass under it.
        if blob_id(&path, &bytes)? != entry.blob {
            return Err(changed());
        }
        if is_lfs_pointer(&bytes) {
            return Err(SourceError::LfsPointer(entry.path.to_string()));
        }
        Ok(bytes)
    }

    fn path(&self, path: &str, walk: &mut FolderWalk<'_>) -> Result<bool, SourceError> {
        let relative = if self.named_by_user {
            let trimmed = path.trim_end_matches('/');
            let bare = trimmed.strip_prefix("./").unwrap_or(trimmed);
            let name = if path.starts_with('/') && trimmed.is_empty() { "/" } else { bare };
            if name == "." { String::new() } else { name.to_owned() }
        } else {
            normal(path)
        };
        let full = self.root.join(&relative);
        if !self.named_by_user && self.crosses_link(&relative) {
            return Ok(false);
        }
        match fs::metadata(&full) {
            Ok(found) if found.is_dir() => walk.below(&full, &relative).map(|()| true),
            Ok(found) if found.is_file() => {
                let name = relative.rsplit('/').next().unwrap_or_default();
                // The command that names files says itself which of them it skips.
                let is_read = if self.named_by_user {
                    is_document(name)
                } else {
                    walk.listing.is_read(&relative, name)
                };
                if is_read {
                    walk.take(&full, relative)?;
                }
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(SourceError::io("read", &full, error)),
        }
    }

    /// Whether a symbolic link is on the way to a path.
    pub fn crosses_link(&self, relative: &str) -> bool {
        let mut at = self.root.clone();
        relative.split('/').filter(|step| !step.is_empty()).any(|step| {
            at.push(step);
            at.symlink_metadata().is_ok_and(|found| found.is_symlink())
        })
    }
}

/// The walk below one configured path.
struct FolderWalk<'a> {
    path: &'a str,
    listing: &'a mut Listing,
    files: Vec<FileEntry>,
}

impl FolderWalk<'_> {
    fn below(&mut self, root: &Path, prefix: &str) -> Result<(), SourceError> {
        let mut pending = vec![(root.to_path_buf(), prefix.to_owned())];
        let mut visited = 0;
        while let Some((folder, prefix)) = pending.pop() {
            visited += 1;
            if visited > MOST_FILES {
                return Err(self.too_many());
            }
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if is_absence(&error) => continue,
                Err(error) => return Err(SourceError::io("list", &folder, error)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| SourceError::io("list", &folder, e))?;
                pending.extend(self.entry(&entry, &prefix)?);
            }
        }
        Ok(())
    }

    /// Takes in one entry of a folder; a folder is given back to be walked.
    fn entry(
        &mut self,
        entry: &fs::DirEntry,
        prefix: &str,
    ) -> Result<Option<(PathBuf, String)>, SourceError> {
        let (name, place) = (entry.file_name(), entry.path());
        let path = joined(prefix, &name.to_string_lossy());
        // A file that is gone again was never there.
        let Ok(kind) = entry.file_type() else { return Ok(None) };
        let is_repository = || place.join(".git").symlink_metadata().is_ok();
        let kind = match kind {
            kind if kind.is_symlink() => EntryKind::Link,
            kind if kind.is_dir() && is_repository() => EntryKind::Repository,
            kind if kind.is_dir() => EntryKind::Folder,
            kind if kind.is_file() => EntryKind::File,
            _ => EntryKind::Special,
        };
        match self.listing.entry(&path, name.as_encoded_bytes(), kind) {
            Some(EntryKind::Folder) => return Ok(Some((place, path))),
            Some(_) => self.take(&place, path)?,
            None => {}
        }
        Ok(None)
    }

    fn take(&mut self, file: &Path, path: String) -> Result<(), SourceError> {
        if self.files.len() >= MOST_FILES {
            return Err(self.too_many());
        }
        let blob = match read_bounded(file, &path) {
            Ok(Some(bytes)) => blob_id(file, &bytes)?,
            // A file that is gone again was never there.
            Ok(None) => return Ok(()),
            // It is listed all the same: reading it gives this error again, beside the problems
            // of the other files. Its name stands for its content.
            Err(SourceError::TooLarge { .. }) => blob_id(file, path.as_bytes())?,
            Err(error) => return Err(error),
        };
        self.files.push(FileEntry { path: path.into(), blob });
        Ok(())
    }

    fn too_many(&self) -> SourceError {
        SourceError::TooManyFiles { path: self.path.to_owned(), limit: MOST_FILES }
    }
}

fn read_bounded(file: &Path, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
    let fault = |error| SourceError::io("read", file, error);
    let open = match fs::File::open(file) {
        Ok(open) => open,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let size = open.metadata().map_err(fault)?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(LARGEST_FILE)).unwrap_or(0) + 1);
    open.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(fault)?;
    let read = bytes.len() as u64;
    if read > LARGEST_FILE {
        let path = path.to_owned();
        return Err(SourceError::TooLarge { path, size: size.max(read), limit: LARGEST_FILE });
    }
    Ok(Some(bytes))
}

fn blob_id(file: &Path, bytes: &[u8]) -> Result<[u8; 20], SourceError> {
    let id = Oid::hash_object(ObjectType::Blob, bytes).map_err(|error| SourceError::Git {
        doing: format!("name the content of {}", file.display()),
        place: file.to_path_buf(),
        detail: error.message().to_owned(),
    })?;
    Ok(id.as_bytes().try_into().unwrap_or_default())
}

fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The name of the config file, which lies beside the documents more often than not. It is found
/// by it in the current folder.
pub(crate) const CONFIG_FILE: &str = "apinizer-gitops.yaml";

/// The most files that one listing may have.
pub(super) const MOST_FILES: usize = 200_000;

/// The largest file that is read, in bytes.
pub(super) const LARGEST_FILE: u64 = diagnostic::LARGEST_FILE as u64;

/// How many files one note names.
const MOST_NAMED: usize = 3;

/// One file of a snapshot, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The path relative to the root of the repository, `/` between its steps.
    pub path: Arc<str>,
    /// The id of its content: two entries with one id have equal content. For a working tree
    /// it is git's blob id of the file's bytes.
    pub blob: [u8; 20],
}

impl FileEntry {
    /// An entry of a text that is in no snapshot: its number, which differs from those of the others that
    /// are loaded with it, stands for its content.
    pub(crate) fn numbered(path: Arc<str>, number: u64) -> Self {
        let mut blob = [0; 20];
        blob[..8].copy_from_slice(&number.to_be_bytes());
        Self { path, blob }
    }
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

/// The kind of an entry of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Folder,
    /// A symbolic link.
    Link,
    /// A submodule, or a clone inside the clone.
    Repository,
    /// A device, a socket or the like.
    Special,
}

/// The files below the configured paths.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The folders, one for each path, in their order.
    pub folders: Vec<Folder>,
    /// Files and folders that cannot be read, with a sentence each. Deletes are held while there is
    /// any.
    pub unread_files: BTreeMap<String, String>,
    other_ending: BTreeSet<String>,
    dotted: BTreeSet<String>,
}

impl Listing {
    /// Files that were skipped for their names, in sentences.
    pub fn skipped(&self) -> Vec<String> {
        [
            (&self.other_ending, "only names that end in .yaml or .yml are read"),
            (&self.dotted, "its name begins with a dot"),
        ]
        .into_iter()
        .filter_map(|(paths, reason)| {
            let verb = if paths.len() == 1 { "is" } else { "are" };
            let named = first_few(paths, MOST_NAMED);
            (!paths.is_empty()).then(|| format!("{named} {verb} skipped: {reason}"))
        })
        .collect()
    }

    /// Whether a file of this name is read. One that is skipped is noted if it may be meant to
    /// be read, which Markdown is not.
    pub(super) fn is_read(&mut self, path: &str, name: &str) -> bool {
        if is_document(name) {
            return true;
        }
        if begins_with_dot(name.as_bytes()) {
            if has_ending_of_documents(name) {
                self.dotted.insert(path.to_owned());
            }
        } else if name != CONFIG_FILE && ending(name) != "md" {
            self.other_ending.insert(path.to_owned());
        }
        false
    }

    /// Takes in one entry of a folder by the last step of its path: `Some` for a folder to be walked,
    /// and for a file to be read. What is skipped is noted.
    pub(super) fn entry(&mut self, path: &str, name: &[u8], kind: EntryKind) -> Option<EntryKind> {
        let text = std::str::from_utf8(name).ok();
        let reason = match (kind, text) {
            (EntryKind::File, Some(name)) => return self.is_read(path, name).then_some(kind),
            (EntryKind::Folder | EntryKind::Repository, _) if begins_with_dot(name) => {
                // Those of git and its hosts are no place for documents.
                if !path.ends_with(".git") && !path.ends_with(".github") {
                    self.dotted.insert(format!("{path}/"));
                }
                return None;
            }
            _ if begins_with_dot(name) => return None,
            (_, None) => "its name is not UTF-8",
            (EntryKind::Folder, _) => return Some(kind),
            (EntryKind::Link, _) => "symbolic links are not followed",
            (EntryKind::Repository, _) => "it is a repository of its own, a submodule",
            (EntryKind::Special, _) => "it is neither a file nor a folder",
        };
        self.unread_files.insert(path.to_owned(), format!("{path} is skipped: {reason}"));
        None
    }

    /// Takes in the files of one configured path.
    pub(super) fn add(
        &mut self,
        path: &str,
        exists: bool,
        mut files: Vec<FileEntry>,
        config_file: Option<&str>,
    ) {
        files.retain(|file| Some(&*file.path) != config_file);
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.folders.push(Folder { path: path.into(), exists, files });
    }
}

/// Whether a file of this name holds documents.
pub(super) fn is_document(name: &str) -> bool {
    has_ending_of_documents(name) && !begins_with_dot(name.as_bytes()) && name != CONFIG_FILE
}

/// Whether a file or folder of this name is skipped with all that is in it.
pub(super) fn begins_with_dot(name: &[u8]) -> bool {
    name.first() == Some(&b'.')
}

/// Whether a file is a stand-in for one that Git LFS keeps elsewhere.
pub(super) fn is_lfs_pointer(content: &[u8]) -> bool {
    content.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// A configured path without `.` steps and doubled or trailing slashes; empty is the root.
pub(super) fn normal(path: &str) -> String {
    let steps = path.split('/').filter(|step| !step.is_empty() && *step != ".");
    steps.collect::<Vec<_>>().join("/")
}

/// The path of an entry of a folder.
pub(super) fn joined(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder if folder.ends_with('/') => format!("{folder}{name}"),
        folder => format!("{folder}/{name}"),
    }
}

fn has_ending_of_documents(name: &str) -> bool {
    matches!(ending(name), "yaml" | "yml")
}

fn ending(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yaml_is_read() {
        for name in ["a.yaml", "a.yml", "a.b.yml", "a b.yaml"] {
            assert!(is_document(name), "{name}");
        }
        for name in
            ["a.YAML", "yaml", "a.json", ".a.yaml", ".yaml", "apinizer-gitops.yaml", "a.yaml~"]
        {
            assert!(!is_document(name), "{name}");
        }
    }

    #[test]
    fn paths_are_made_normal() {
        for (path, wanted) in [("", ""), (".", ""), ("./a//b/", "a/b"), ("a/./b", "a/b")] {
            assert_eq!(normal(path), wanted);
        }
    }
}
