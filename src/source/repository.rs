//! A repository on this machine, read only, and the documents below a path of a commit.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{ObjectType, Oid};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::commits_since::{self, CommitWithConsents, CommitsSince};
use super::files::{EntryKind, Files, MOST_FILES, is_document, joined, normal};
use super::object_database::{Layout, ObjectDatabase, References};
use super::{Commit, FileEntry, Listing, SourceError};
use crate::name::CommitId;

/// A repository on this machine: a checkout, a linked worktree, a bare one, or a symbolic link to
/// one. It is never written to, may belong to another user, and may be shared between threads.
///
/// [`head`](Self::head) and [`resolve`](Self::resolve) look again where the path leads, so they follow a
/// link that was moved and a clone that was replaced. A read by the id of a commit uses the repository that
/// they found last.
pub struct Repository {
    path: PathBuf,
    stop: CancellationToken,
    objects: RwLock<Arc<ObjectDatabase>>,
    damaged: Arc<AtomicBool>,
}

impl Repository {
    /// Finds the repository that a path is in and opens it.
    ///
    /// # Errors
    /// Nothing is there, or no repository.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        Self::open_until(path, &CancellationToken::new())
    }

    /// The same, with a switch that ends a child process that a look-up may need.
    ///
    /// # Errors
    /// Nothing is there, or no repository.
    pub fn open_until(path: &Path, stop: &CancellationToken) -> Result<Self, SourceError> {
        let damaged = Arc::default();
        let objects = ObjectDatabase::open(Layout::discover(path)?, Arc::clone(&damaged))?;
        let objects = RwLock::new(Arc::new(objects));
        Ok(Self { path: path.to_path_buf(), stop: stop.clone(), objects, damaged })
    }

    /// The newest commit of a branch; without one, that of HEAD, which may be detached.
    ///
    /// # Errors
    /// The repository, the branch or its commit is not there.
    pub fn head(&self, branch: Option<&str>) -> Result<Commit, SourceError> {
        let objects = self.look_again()?;
        let id = References::open(objects.layout(), &self.stop).tip(branch)?;
        commit(&objects, id)
    }

    /// The branch that HEAD names; `None`: it is detached.
    ///
    /// # Errors
    /// The repository is not there.
    pub fn branch(&self) -> Result<Option<String>, SourceError> {
        let objects = self.look_again()?;
        References::open(objects.layout(), &self.stop).branch()
    }

    /// The commit that a revision names: a branch, a tag, an id or whatever `git rev-parse` takes.
    /// Of a tag and a branch of one name it is the tag, with a warning.
    ///
    /// # Errors
    /// It names nothing, or no commit.
    pub fn resolve(&self, rev: &str) -> Result<Commit, SourceError> {
        let objects = self.look_again()?;
        let id = References::open(objects.layout(), &self.stop).resolve(rev)?;
        commit(&objects, id)
    }

    /// The facts of a commit, if it is here.
    ///
    /// # Errors
    /// It is here and damaged.
    pub fn commit(&self, id: &CommitId) -> Result<Option<Commit>, SourceError> {
        let objects = self.objects();
        match oid(id) {
            Some(id) if objects.has_commit(id)? => commit(&objects, id).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether a commit is here; not so beyond the end of a shallow clone.
    ///
    /// # Errors
    /// It is here and damaged.
    pub fn has_commit(&self, id: &CommitId) -> Result<bool, SourceError> {
        oid(id).map_or(Ok(false), |id| self.objects().has_commit(id))
    }

    /// Lists the documents of a commit below each of the paths, which are relative to its root;
    /// `config_file`, so too, is left out.
    ///
    /// # Errors
    /// The commit or a part of it is missing or damaged, or holds too many files.
    pub fn folders(
        &self,
        id: &CommitId,
        paths: &[String],
        config_file: Option<&str>,
    ) -> Result<Listing, SourceError> {
        let (objects, commit) = (self.objects(), self.known(id)?);
        objects.read(|repository| {
            let mut listing = Listing::default();
            for path in paths {
                let mut walk = TreeWalk {
                    repository,
                    objects: &objects,
                    path,
                    listing: &mut listing,
                    files: Vec::new(),
                };
                let exists = walk.path(commit)?;
                let files = walk.files;
                listing.add(path, exists, files, config_file);
            }
            Ok(listing)
        })
    }

    /// Whether two commits have the same at each of the paths.
    ///
    /// # Errors
    /// One of them is missing or damaged.
    pub fn is_same_at(
        &self,
        one: &CommitId,
        other: &CommitId,
        paths: &[String],
    ) -> Result<bool, SourceError> {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        Ok(self.differing_at(one, other, &paths)?.is_empty())
    }

    /// Those of the paths at which two commits differ.
    ///
    /// # Errors
    /// One of them is missing or damaged.
    pub fn differing_at<'p>(
        &self,
        one: &CommitId,
        other: &CommitId,
        paths: &[&'p str],
    ) -> Result<BTreeSet<&'p str>, SourceError> {
        let objects = self.objects();
        let entries_of = |id| entries_at(&objects, self.known(id)?, paths);
        let (one, other) = (entries_of(one)?, entries_of(other)?);
        let both = paths.iter().zip(one.iter().zip(&other));
        Ok(both.filter(|(_, (one, other))| one != other).map(|(path, _)| *path).collect())
    }

    /// Reads a file of a commit; several threads may read at once.
    ///
    /// # Errors
    /// The file's content is missing, damaged, too large or kept by Git LFS.
    pub fn read(&self, entry: &FileEntry) -> Result<Vec<u8>, SourceError> {
        self.objects().blob(entry)
    }

    /// The documents below the paths whose files in the checkout are not as HEAD has them; `None` where
    /// that cannot be known. Those that git ignores are among them with `ignored_too`, and those of which
    /// git was told to assume that they are unchanged, but none that is not checked out.
    pub fn uncommitted(&self, paths: &[String], ignored_too: bool) -> Option<Vec<String>> {
        let repository = git2::Repository::open(self.root()?).ok()?;
        let not_checked_out = self.not_checked_out(paths);
        let mut index = repository.index().ok()?;
        let hides = |entry: &git2::IndexEntry| entry.flags & ASSUMED != 0 || is_skipped(entry);
        let hidden: Vec<git2::IndexEntry> = index.iter().filter(hides).collect();
        for entry in hidden {
            let flags = entry.flags & !ASSUMED;
            let flags_extended = entry.flags_extended & !SKIPPED;
            index.add(&git2::IndexEntry { flags, flags_extended, ..entry }).ok()?;
        }
        let mut options = git2::StatusOptions::new();
        // The index as it was just changed, which is not written.
        options.no_refresh(true);
        options.include_untracked(true).recurse_untracked_dirs(true).exclude_submodules(true);
        options.include_ignored(ignored_too).recurse_ignored_dirs(ignored_too);
        options.disable_pathspec_match(true);
        let paths: Vec<String> = paths.iter().map(|path| normal(path)).collect();
        if !paths.iter().any(String::is_empty) {
            paths.iter().for_each(|path| {
                options.pathspec(path);
            });
        }
        let statuses = repository.statuses(Some(&mut options)).ok()?;
        let changed = statuses.iter().filter_map(|one| one.path().ok().map(str::to_owned));
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let is_told = |path: &String| is_document(&name(path)) && !not_checked_out.contains(path);
        Some(changed.filter(is_told).collect())
    }

    /// The documents below the paths that a sparse checkout leaves out.
    pub fn not_checked_out(&self, paths: &[String]) -> Vec<String> {
        let Some(root) = self.root() else { return Vec::new() };
        let index = git2::Repository::open(&root).and_then(|repository| repository.index());
        let entries = index.map(|index| index.iter().collect::<Vec<_>>()).unwrap_or_default();
        let skipped = entries.into_iter().filter(is_skipped);
        let names = skipped.filter_map(|entry| String::from_utf8(entry.path).ok());
        let is_document = |path: &String| {
            let is_below = |folder: &String| Path::new(path).starts_with(normal(folder));
            is_document(path.rsplit('/').next().unwrap_or_default())
                && paths.iter().any(is_below)
                && !root.join(path).exists()
        };
        names.filter(is_document).collect()
    }

    /// The commits that are reached from `tip` and not from `known`.
    ///
    /// # Errors
    /// One of the two is not here, or the history between them is damaged.
    pub fn commits_since(
        &self,
        tip: &CommitId,
        known: Option<&CommitId>,
    ) -> Result<CommitsSince, SourceError> {
        let known = known.map(|id| self.known(id)).transpose()?;
        commits_since::since(&self.objects(), self.known(tip)?, known)
    }

    /// Whether a commit comes from another one, or is it; `None`: the other one is not here, or the
    /// history between them is cut short, as in a shallow clone.
    ///
    /// # Errors
    /// The first is not here, or the history between them is damaged.
    pub fn reaches(&self, from: &CommitId, to: &CommitId) -> Result<Option<bool>, SourceError> {
        if !self.has_commit(to)? {
            return Ok(None);
        }
        let beyond = self.commits_since(to, Some(from))?;
        Ok(beyond.complete.then_some(beyond.commits.is_empty()))
    }

    /// One commit with its consents; `None`: it is not here.
    ///
    /// # Errors
    /// The commit is damaged.
    pub fn commit_with_consents(
        &self,
        id: &CommitId,
    ) -> Result<Option<CommitWithConsents>, SourceError> {
        oid(id).map_or(Ok(None), |id| commits_since::one(&self.objects(), id))
    }

    /// The checked-out files as they are.
    ///
    /// # Errors
    /// The repository is bare.
    pub fn worktree(&self) -> Result<Files, SourceError> {
        let objects = self.look_again()?;
        let bare = || SourceError::Bare(self.path.clone());
        Ok(Files::of_worktree(objects.layout().work.clone().ok_or_else(bare)?))
    }

    /// The folder that paths are relative to, where files are checked out.
    pub fn root(&self) -> Option<PathBuf> {
        self.objects().layout().work.clone()
    }

    /// The URL of the remote `origin`, if there is one.
    pub fn origin(&self) -> Option<String> {
        let config = git2::Config::open(&self.objects().layout().common.join("config")).ok()?;
        config.get_string("remote.origin.url").ok()
    }

    /// The folder that git works on, for its program.
    pub(super) fn git_folder(&self) -> PathBuf {
        self.objects().layout().git.clone()
    }

    /// Reads one header field of a commit, the signature for example.
    pub(super) fn header(
        &self,
        id: &CommitId,
        field: &str,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        let (objects, id) = (self.objects(), self.known(id)?);
        objects.read(|repository| {
            let commit = objects.known_commit(repository, id)?;
            match commit.header_field_bytes(field) {
                Ok(value) => Ok(Some(value.to_vec())),
                Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
                Err(error) => {
                    Err(SourceError::of_object(&error, format!("the commit {id}"), objects.place()))
                }
            }
        })
    }

    fn known(&self, id: &CommitId) -> Result<Oid, SourceError> {
        oid(id).ok_or_else(|| SourceError::NoSuchCommit {
            commit: id.clone(),
            place: self.path.clone(),
        })
    }

    /// Whether a read found something missing or damaged since this was asked last.
    pub(super) fn take_damaged(&self) -> bool {
        self.damaged.swap(false, Ordering::Relaxed)
    }

    fn objects(&self) -> Arc<ObjectDatabase> {
        Arc::clone(&self.objects.read())
    }

    /// Discovers the repository anew and lets go of packs that `git gc` may have removed.
    fn look_again(&self) -> Result<Arc<ObjectDatabase>, SourceError> {
        let layout = Layout::discover(&self.path)?;
        let objects = Arc::new(ObjectDatabase::open(layout, Arc::clone(&self.damaged))?);
        *self.objects.write() = Arc::clone(&objects);
        Ok(objects)
    }
}

/// The flag of an entry of the index whose file git assumes to be unchanged.
const ASSUMED: u16 = git2::IndexEntryFlag::VALID.bits();

/// The flag of an entry of the index that a sparse checkout leaves out, or that git is told not to look at.
const SKIPPED: u16 = git2::IndexEntryExtendedFlag::SKIP_WORKTREE.bits();

fn is_skipped(entry: &git2::IndexEntry) -> bool {
    entry.flags_extended & SKIPPED != 0
}

fn oid(id: &CommitId) -> Option<Oid> {
    Oid::from_str(&id.0).ok().filter(|_| id.0.len() == 40)
}

fn commit(objects: &ObjectDatabase, id: Oid) -> Result<Commit, SourceError> {
    objects.read(|repository| {
        let found = objects.commit(repository, id)?.ok_or_else(|| SourceError::Missing {
            object: format!("the commit {id}"),
            place: objects.place().to_path_buf(),
        })?;
        let author = found.author();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Commit {
            id: CommitId(id.to_string()),
            subject: text(found.summary_bytes().unwrap_or_default()),
            author: format!("{} <{}>", text(author.name_bytes()), text(author.email_bytes())),
            time: found.time().seconds(),
        })
    })
}

const LINK: i32 = 0o120_000;

/// The entries that a commit has at each of the paths; `None`: nothing.
fn entries_at(
    objects: &ObjectDatabase,
    commit: Oid,
    paths: &[&str],
) -> Result<Vec<Option<(Oid, ObjectType)>>, SourceError> {
    objects.read(|repository| {
        let mut folders = Folders::of(objects, repository, commit)?;
        paths.iter().map(|path| folders.at(path)).collect()
    })
}

/// The walk below one configured path.
struct TreeWalk<'a> {
    repository: &'a git2::Repository,
    objects: &'a ObjectDatabase,
    path: &'a str,
    listing: &'a mut Listing,
    files: Vec<FileEntry>,
}

impl<'a> TreeWalk<'a> {
    /// Walks to the path and lists what is below it; says whether the commit has it.
    fn path(&mut self, commit: Oid) -> Result<bool, SourceError> {
        let steps = normal(self.path);
        match Folders::of(self.objects, self.repository, commit)?.at(self.path)? {
            Some((tree, ObjectType::Tree)) => self.below(tree, steps).map(|()| true),
            Some((blob, ObjectType::Blob)) => {
                let name = steps.rsplit('/').next().unwrap_or_default();
                if self.listing.is_read(&steps, name) {
                    self.files.push(entry(steps, blob));
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn below(&mut self, tree: Oid, folder: String) -> Result<(), SourceError> {
        // Folders count too: a few hundred bytes of objects can nest into billions of them.
        let mut visited = 0;
        let mut pending = vec![(folder, tree)];
        while let Some((folder, tree)) = pending.pop() {
            visited += 1;
            for entry in &folder_of(self.objects, self.repository, tree, &folder)? {
                if let Some(inner) = self.entry(&entry, &folder) {
                    pending.push(inner);
                }
            }
            if self.files.len() > MOST_FILES || visited > MOST_FILES {
                let path = self.path.to_owned();
                return Err(SourceError::TooManyFiles { path, limit: MOST_FILES });
            }
        }
        Ok(())
    }

    /// Takes in one entry of a folder; a folder is given back to be walked.
    fn entry(&mut self, found: &git2::TreeEntry<'_>, folder: &str) -> Option<(String, Oid)> {
        let bytes = found.name_bytes();
        let path = joined(folder, &String::from_utf8_lossy(bytes));
        let kind = match found.kind() {
            Some(ObjectType::Tree) => EntryKind::Folder,
            Some(ObjectType::Blob) if found.filemode() == LINK => EntryKind::Link,
            Some(ObjectType::Blob) => EntryKind::File,
            _ => EntryKind::Repository,
        };
        match self.listing.entry(&path, bytes, kind) {
            Some(EntryKind::Folder) => return Some((path, found.id())),
            Some(_) => self.files.push(entry(path, found.id())),
            None => {}
        }
        None
    }
}

/// The folders of a commit on the ways to some paths, each read once.
struct Folders<'a> {
    objects: &'a ObjectDatabase,
    repository: &'a git2::Repository,
    root: Oid,
    read: BTreeMap<Oid, git2::Tree<'a>>,
}

impl<'a> Folders<'a> {
    fn of(
        objects: &'a ObjectDatabase,
        repository: &'a git2::Repository,
        commit: Oid,
    ) -> Result<Self, SourceError> {
        let root = objects.known_commit(repository, commit)?.tree_id();
        Ok(Self { objects, repository, root, read: BTreeMap::new() })
    }

    /// The entry at a path; `None`: there is none, or it is a link.
    fn at(&mut self, path: &str) -> Result<Option<(Oid, ObjectType)>, SourceError> {
        let mut at = Some((self.root, ObjectType::Tree));
        let mut walked = String::new();
        for step in normal(path).split('/').filter(|step| !step.is_empty()) {
            let Some((tree, ObjectType::Tree)) = at else { return Ok(None) };
            at = self.folder(tree, &walked)?.get_name(step).and_then(|entry| {
                let is_link = entry.filemode() == LINK;
                entry.kind().filter(|_| !is_link).map(|kind| (entry.id(), kind))
            });
            walked = joined(&walked, step);
        }
        Ok(at)
    }

    fn folder(&mut self, tree: Oid, path: &str) -> Result<&git2::Tree<'a>, SourceError> {
        Ok(match self.read.entry(tree) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(place) => {
                place.insert(folder_of(self.objects, self.repository, tree, path)?)
            }
        })
    }
}

fn folder_of<'r>(
    objects: &ObjectDatabase,
    repository: &'r git2::Repository,
    id: Oid,
    path: &str,
) -> Result<git2::Tree<'r>, SourceError> {
    objects.tree(repository, id).map_err(|error| {
        let folder = if path.is_empty() { "the root" } else { path };
        SourceError::of_object(&error, format!("the folder {folder} ({id})"), objects.place())
    })
}

fn entry(path: String, blob: Oid) -> FileEntry {
    FileEntry { path: path.into(), blob: blob.as_bytes().try_into().unwrap_or_default() }
}

#[cfg(test)]
mod tests;
