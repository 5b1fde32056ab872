//! The documents below a path of a commit, without walking again what did not change.
//!
//! A folder that kept its tree id kept its files, so its listing is remembered by place and id.
//! Two listings of a place are kept, since the last good commit and the newest one are read
//! side by side; they share the texts of their paths.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use git2::{ObjectType, Oid, Repository};

use super::objects::Objects;
use super::selection::{MOST_FILES, is_document, is_hidden, normal};
use super::{FileEntry, Folder, Listing, Notice, SourceError};

/// How many listings of one folder are kept.
const KEPT_VERSIONS: usize = 2;

/// How many files all kept listings may have together before they are forgotten.
const KEPT_FILES: usize = 2 * MOST_FILES;

const LINK: i32 = 0o120_000;

/// The listings of folders that were walked before.
#[derive(Default)]
pub(super) struct TreeCache {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    folders: HashMap<Arc<str>, Vec<Arc<Level>>>,
    files: usize,
}

/// One folder without those inside it.
struct Level {
    tree: Oid,
    files: Vec<FileEntry>,
    folders: Vec<(Arc<str>, Oid)>,
    notices: Vec<Notice>,
}

impl TreeCache {
    /// Lists the documents of a commit below each of the paths.
    pub(super) fn list(
        &self,
        objects: &Objects,
        commit: Oid,
        paths: &[String],
        config_file: Option<&str>,
    ) -> Result<Listing, SourceError> {
        let mut listing = Listing::default();
        for path in paths {
            let folder = objects.read(|repository| {
                let walk = Walk { cache: self, repository, objects };
                walk.path(commit, path)
            })?;
            let (mut folder, notices) = folder;
            folder.files.retain(|file| Some(&*file.path) != config_file);
            listing.folders.push(folder);
            listing.notices.extend(notices);
        }
        Ok(listing)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn get(&self, prefix: &str, tree: Oid) -> Option<Arc<Level>> {
        self.folders.get(prefix)?.iter().find(|level| level.tree == tree).cloned()
    }

    fn keep(&mut self, prefix: Arc<str>, level: Arc<Level>) {
        if self.files + level.files.len() > KEPT_FILES {
            *self = Self::default();
        }
        self.files += level.files.len();
        let versions = self.folders.entry(prefix).or_default();
        versions.push(level);
        if versions.len() > KEPT_VERSIONS {
            self.files -= versions.remove(0).files.len();
        }
    }
}

struct Walk<'a> {
    cache: &'a TreeCache,
    repository: &'a Repository,
    objects: &'a Objects,
}

impl Walk<'_> {
    fn path(&self, commit: Oid, path: &str) -> Result<(Folder, Vec<Notice>), SourceError> {
        let mut folder = Folder { path: Arc::from(path), exists: false, files: Vec::new() };
        let mut notices = Vec::new();
        let steps = normal(path);
        let commit = self
            .repository
            .find_commit(commit)
            .map_err(|e| SourceError::of_commit(&e, commit, self.objects.place()))?;
        let mut at = Some((commit.tree_id(), ObjectType::Tree));
        let mut walked = String::new();
        for step in steps.split('/').filter(|step| !step.is_empty()) {
            let Some((tree, ObjectType::Tree)) = at else {
                at = None;
                break;
            };
            let tree = self.tree(tree, &walked)?;
            if !walked.is_empty() {
                walked.push('/');
            }
            walked.push_str(step);
            at = tree.get_name(step).and_then(|entry| {
                let linked = entry.filemode() == LINK;
                entry.kind().filter(|_| !linked).map(|kind| (entry.id(), kind))
            });
        }
        match at {
            Some((tree, ObjectType::Tree)) => {
                folder.exists = true;
                self.below(tree, steps.into(), path, &mut folder.files, &mut notices)?;
            }
            Some((blob, ObjectType::Blob)) => {
                folder.exists = true;
                if is_document(steps.rsplit('/').next().unwrap_or_default()) {
                    folder.files.push(FileEntry { path: steps.into(), blob: bytes(blob) });
                }
            }
            _ => {}
        }
        folder.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok((folder, notices))
    }

    fn below(
        &self,
        tree: Oid,
        prefix: Arc<str>,
        path: &str,
        files: &mut Vec<FileEntry>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), SourceError> {
        // Folders count too: a few hundred bytes of objects can nest into billions of them.
        let mut visited = 0;
        let mut pending = vec![(prefix, tree)];
        while let Some((prefix, tree)) = pending.pop() {
            let level = self.level(&prefix, tree)?;
            visited += 1;
            if files.len() + level.files.len() > MOST_FILES || visited > MOST_FILES {
                return Err(SourceError::TooManyFiles { path: path.to_owned(), limit: MOST_FILES });
            }
            files.extend_from_slice(&level.files);
            notices.extend_from_slice(&level.notices);
            pending.extend_from_slice(&level.folders);
        }
        Ok(())
    }

    fn level(&self, prefix: &Arc<str>, tree: Oid) -> Result<Arc<Level>, SourceError> {
        let known = self.cache.known().get(prefix, tree);
        if let Some(level) = known {
            return Ok(level);
        }
        let before = self.cache.known().folders.get(prefix).and_then(|v| v.last().cloned());
        let level = Arc::new(self.read_level(prefix, tree, before.as_deref())?);
        self.cache.known().keep(Arc::clone(prefix), Arc::clone(&level));
        Ok(level)
    }

    fn read_level(
        &self,
        prefix: &str,
        tree: Oid,
        before: Option<&Level>,
    ) -> Result<Level, SourceError> {
        let mut level = Level { tree, files: Vec::new(), folders: Vec::new(), notices: Vec::new() };
        for entry in &self.tree(tree, prefix)? {
            if is_hidden(entry.name_bytes()) {
                continue;
            }
            let Ok(name) = entry.name() else {
                let name = String::from_utf8_lossy(entry.name_bytes());
                level.notices.push(Notice::NotUtf8 { path: joined(prefix, &name) });
                continue;
            };
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    level.folders.push((joined(prefix, name).into(), entry.id()));
                }
                Some(ObjectType::Blob) if !is_document(name) => {}
                Some(ObjectType::Blob) if entry.filemode() == LINK => {
                    level.notices.push(Notice::Link { path: joined(prefix, name) });
                }
                Some(ObjectType::Blob) => {
                    let path = joined(prefix, name);
                    let path =
                        before.and_then(|b| b.path_like(&path)).unwrap_or_else(|| path.into());
                    level.files.push(FileEntry { path, blob: bytes(entry.id()) });
                }
                Some(ObjectType::Commit) => {
                    level.notices.push(Notice::Submodule { path: joined(prefix, name) });
                }
                _ => {}
            }
        }
        Ok(level)
    }

    fn tree(&self, id: Oid, path: &str) -> Result<git2::Tree<'_>, SourceError> {
        self.repository.find_tree(id).map_err(|e| {
            let place = if path.is_empty() { "the root" } else { path };
            self.fault(&e, format!("the folder {place} ({id})"))
        })
    }

    fn fault(&self, error: &git2::Error, object: String) -> SourceError {
        SourceError::of_object(error, object, self.objects.place())
    }
}

impl Level {
    /// The same path, if this listing has it, so that its text is kept once.
    fn path_like(&self, path: &str) -> Option<Arc<str>> {
        let at = self.files.binary_search_by(|file| (*file.path).cmp(path)).ok()?;
        self.files.get(at).map(|file| Arc::clone(&file.path))
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

fn bytes(id: Oid) -> [u8; 20] {
    id.as_bytes().try_into().unwrap_or_default()
}
