//! The object database of a repository: commits, trees and blobs by their ids.
//!
//! libgit2 reads them from the object folder alone. So neither the repository's owner nor the
//! way in which it keeps references matters, and nothing of its configuration is obeyed.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::bufread::ZlibDecoder;
use git2::{Config, ErrorCode, ObjectType, Odb, Oid, Repository};

use super::layout::Layout;
use super::listing::{LARGEST_FILE, is_lfs_pointer};
use super::{FileEntry, SourceError};
use crate::digest::hex;

/// The object database of a repository, open for several threads at once.
pub(super) struct ObjectDatabase {
    layout: Layout,
    // Set when something is missing or damaged.
    damaged: Arc<AtomicBool>,
    // A libgit2 repository serves one thread at a time; each thread takes one and puts it back.
    idle: Mutex<Vec<Repository>>,
}

impl ObjectDatabase {
    /// Opens the database of a repository; `damaged` is set when a read finds damage.
    pub(super) fn open(layout: Layout, damaged: Arc<AtomicBool>) -> Result<Self, SourceError> {
        let database = Self { layout, damaged, idle: Mutex::default() };
        let first = database.handle()?;
        database.idle().push(first);
        Ok(database)
    }

    /// Runs a read. One that finds an object missing is run again on a fresh view: between two
    /// looks `git gc` may have moved it into a pack.
    pub(super) fn read<T>(
        &self,
        read: impl Fn(&Repository) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let taken = self.idle().pop();
        let handle = taken.map_or_else(|| self.handle(), Ok)?;
        let outcome = read(&handle);
        let is_final = |error: &SourceError| {
            !error.is_damage() && !matches!(error, SourceError::NoSuchCommit { .. })
        };
        if outcome.as_ref().err().is_none_or(is_final) {
            self.idle().push(handle);
            return outcome;
        }
        let handle = self.handle()?;
        let again = read(&handle).map_err(|error| self.explained(error));
        self.idle().push(handle);
        again
    }

    /// A commit by its id.
    pub(super) fn commit<'r>(
        &self,
        repository: &'r Repository,
        id: Oid,
    ) -> Result<git2::Commit<'r>, git2::Error> {
        is_whole(&self.layout, id).and_then(|()| repository.find_commit(id))
    }

    /// A tree by its id.
    pub(super) fn tree<'r>(
        &self,
        repository: &'r Repository,
        id: Oid,
    ) -> Result<git2::Tree<'r>, git2::Error> {
        is_whole(&self.layout, id).and_then(|()| repository.find_tree(id))
    }

    /// The content of a file of a commit.
    pub(super) fn blob(&self, entry: &FileEntry) -> Result<Vec<u8>, SourceError> {
        self.read(|repository| {
            let fault = |e: &git2::Error| {
                let object = format!("the content of {} ({})", entry.path, hex(&entry.blob));
                SourceError::of_object(e, object, self.place())
            };
            let id = Oid::from_bytes(&entry.blob).map_err(|e| fault(&e))?;
            let database = repository.odb().map_err(|e| fault(&e))?;
            is_whole(&self.layout, id).map_err(|e| fault(&e))?;
            let (size, _) = database.read_header(id).map_err(|e| fault(&e))?;
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            if size > LARGEST_FILE {
                let path = entry.path.to_string();
                return Err(SourceError::TooLarge { path, size, limit: LARGEST_FILE });
            }
            let content = database.read(id).map_err(|e| fault(&e))?;
            if is_lfs_pointer(content.data()) {
                return Err(SourceError::LfsPointer(entry.path.to_string()));
            }
            Ok(content.data().to_vec())
        })
    }

    /// Whether a commit is here.
    pub(super) fn has_commit(&self, id: Oid) -> Result<bool, SourceError> {
        self.read(|repository| {
            let fault = |e: &git2::Error| {
                SourceError::of_object(e, format!("the commit {id}"), self.place())
            };
            let database = repository.odb().map_err(|e| fault(&e))?;
            match is_whole(&self.layout, id).and_then(|()| database.read_header(id)) {
                Ok((_, kind)) => Ok(kind == ObjectType::Commit),
                Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
                Err(error) => Err(fault(&error)),
            }
        })
    }

    /// The folders of the repository.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The repository as messages name it.
    pub(super) fn place(&self) -> &Path {
        self.layout.place()
    }

    /// Closes what is open: libgit2 keeps up to 16 MiB of what deltas were made from for each
    /// handle, and its maps of the packs.
    pub(super) fn rest(&self) {
        self.idle().clear();
    }

    fn handle(&self) -> Result<Repository, SourceError> {
        let fault = |error: &git2::Error| SourceError::Git {
            doing: "open the objects".to_owned(),
            place: self.place().to_path_buf(),
            detail: error.message().to_owned(),
        };
        let folder: PathBuf = self.layout.objects();
        // libgit2 takes an object folder that is not there for an empty one.
        if !folder.is_dir() {
            return Err(SourceError::NotARepository(self.place().to_path_buf()));
        }
        let folder = folder.to_str().ok_or_else(|| SourceError::Unsupported {
            path: self.place().to_path_buf(),
            detail: "its path is not UTF-8".to_owned(),
        })?;
        let database = Odb::new().map_err(|e| fault(&e))?;
        database.add_disk_alternate(folder).map_err(|e| fault(&e))?;
        Repository::from_odb(database).map_err(|e| fault(&e))
    }

    /// Notes damage, and names the cause that a partial clone has.
    fn explained(&self, error: SourceError) -> SourceError {
        match error {
            SourceError::Missing { object, place } if self.is_partial_clone() => {
                SourceError::NotCloned { object, place }
            }
            error => {
                self.damaged.fetch_or(error.is_damage(), Ordering::Relaxed);
                error
            }
        }
    }

    /// Whether it was cloned with a `--filter`, so that objects may be absent.
    fn is_partial_clone(&self) -> bool {
        let Ok(config) = Config::open(&self.layout.common.join("config")) else { return false };
        let is_there = |name: &str| {
            config.entries(Some(name)).is_ok_and(|mut entries| entries.next().is_some())
        };
        is_there(r"^extensions\.partialclone$") || is_there(r"^remote\..*\.promisor$")
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Repository>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds an object that was cut off, by a loss of power say: libgit2 would read it for ever. One that is
/// in a pack, or not there, is libgit2's to judge.
///
/// # Errors
/// It cannot be read to its end.
pub(super) fn is_whole(layout: &Layout, id: Oid) -> Result<(), git2::Error> {
    let name = id.to_string();
    let (folder, file) = name.split_at(2);
    let Ok(file) = File::open(layout.objects().join(folder).join(file)) else { return Ok(()) };
    let read = io::copy(&mut ZlibDecoder::new(BufReader::new(file)), &mut io::sink());
    read.map(drop)
        .map_err(|error| git2::Error::from_str(&format!("the object is cut off: {error}")))
}
