//! Files as they are now: the working tree of `--worktree`, and what `validate` is given.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};

use super::listing::{
    LARGEST_FILE, MOST_FILES, is_document, is_hidden, is_lfs_pointer, joined, normal,
};
use super::{FileEntry, Listing, SourceError};

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
            let mut walk = Walk { path, listing: &mut listing, files: Vec::new() };
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

    fn path(&self, path: &str, walk: &mut Walk<'_>) -> Result<bool, SourceError> {
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
struct Walk<'a> {
    path: &'a str,
    listing: &'a mut Listing,
    files: Vec<FileEntry>,
}

impl Walk<'_> {
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
        match name.to_str() {
            Some(name) if is_hidden(name.as_bytes()) && kind.is_file() => {
                self.listing.is_read(&path, name);
            }
            _ if is_hidden(name.as_encoded_bytes()) && kind.is_dir() => {
                self.listing.hidden_folder(&path);
            }
            _ if is_hidden(name.as_encoded_bytes()) => {}
            None => self.listing.not_utf8(&path),
            Some(_) if kind.is_symlink() => self.listing.link(&path),
            // A submodule, or a clone inside the clone.
            Some(_) if kind.is_dir() && place.join(".git").symlink_metadata().is_ok() => {
                self.listing.submodule(&path);
            }
            Some(_) if kind.is_dir() => return Ok(Some((place, path))),
            Some(_) if !kind.is_file() => self.listing.special(&path),
            Some(name) => {
                if self.listing.is_read(&path, name) {
                    self.take(&place, path)?;
                }
            }
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
