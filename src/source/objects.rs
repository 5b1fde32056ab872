//! The objects of a repository: commits, trees and blobs by their ids.
//!
//! libgit2 reads them from the object folder alone. So neither the repository's owner nor the
//! way in which it keeps references matters, and nothing of its configuration is obeyed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use git2::{ErrorCode, ObjectType, Odb, Oid, Repository};

use super::selection::LARGEST_FILE;
use super::{FileEntry, SourceError};
use crate::digest::hex;

/// The object folder of a repository, open for several threads at once.
pub(super) struct Objects {
    folder: PathBuf,
    place: PathBuf,
    // A libgit2 repository serves one thread at a time; each thread takes one and puts it back.
    idle: Mutex<Vec<Repository>>,
}

impl Objects {
    /// Opens an object folder; `place` is the repository as messages name it.
    pub(super) fn open(folder: PathBuf, place: &Path) -> Result<Self, SourceError> {
        let objects = Self { folder, place: place.to_path_buf(), idle: Mutex::default() };
        let first = objects.handle()?;
        objects.idle().push(first);
        Ok(objects)
    }

    /// Runs a read. One that finds an object missing is run again on a fresh view: between two
    /// looks `git gc` may have moved it into a pack.
    pub(super) fn read<T>(
        &self,
        read: impl Fn(&Repository) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let taken = self.idle().pop();
        let handle = taken.map_or_else(|| self.handle(), Ok)?;
        match read(&handle) {
            Err(
                SourceError::Missing { .. }
                | SourceError::NoSuchCommit { .. }
                | SourceError::Corrupt { .. },
            ) => {
                let handle = self.handle()?;
                let again = read(&handle);
                self.idle().push(handle);
                again
            }
            outcome => {
                self.idle().push(handle);
                outcome
            }
        }
    }

    /// The content of a file of a commit.
    pub(super) fn blob(&self, entry: &FileEntry) -> Result<Vec<u8>, SourceError> {
        self.read(|repository| {
            let fault = |e: &git2::Error| {
                let object = format!("the content of {} ({})", entry.path, hex(&entry.blob));
                SourceError::of_object(e, object, &self.place)
            };
            let id = Oid::from_bytes(&entry.blob).map_err(|e| fault(&e))?;
            let odb = repository.odb().map_err(|e| fault(&e))?;
            let (size, _) = odb.read_header(id).map_err(|e| fault(&e))?;
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            if size > LARGEST_FILE {
                let path = entry.path.to_string();
                return Err(SourceError::TooLarge { path, size, limit: LARGEST_FILE });
            }
            Ok(odb.read(id).map_err(|e| fault(&e))?.data().to_vec())
        })
    }

    /// Closes what is open: libgit2 keeps up to 16 MiB of what deltas were made from for each handle,
    /// and its maps of the packs.
    pub(super) fn rest(&self) {
        self.idle().clear();
    }

    /// Whether a commit is here.
    pub(super) fn has_commit(&self, id: Oid) -> Result<bool, SourceError> {
        self.read(|repository| {
            let fault = |e: &git2::Error| {
                SourceError::of_object(e, format!("the commit {id}"), &self.place)
            };
            let odb = repository.odb().map_err(|e| fault(&e))?;
            match odb.read_header(id) {
                Ok((_, kind)) => Ok(kind == ObjectType::Commit),
                Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
                Err(error) => Err(fault(&error)),
            }
        })
    }

    /// The repository as messages name it.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    fn handle(&self) -> Result<Repository, SourceError> {
        let fault = |error: &git2::Error| SourceError::Git {
            doing: "open the objects".to_owned(),
            place: self.place.clone(),
            detail: error.message().to_owned(),
        };
        // libgit2 takes an object folder that is not there for an empty one.
        if !self.folder.is_dir() {
            return Err(SourceError::NotARepository { path: self.place.clone() });
        }
        let folder = self.folder.to_str().ok_or_else(|| SourceError::Unsupported {
            path: self.place.clone(),
            detail: "its path is not UTF-8".to_owned(),
        })?;
        let odb = Odb::new().map_err(|e| fault(&e))?;
        odb.add_disk_alternate(folder).map_err(|e| fault(&e))?;
        Repository::from_odb(odb).map_err(|e| fault(&e))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Repository>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
