//! The documents below a path of a commit.

use git2::{ObjectType, Oid, Repository};

use super::listing::{MOST_FILES, is_hidden, joined, normal};
use super::object_database::ObjectDatabase;
use super::{FileEntry, Listing, SourceError};

const LINK: i32 = 0o120_000;

/// Lists the documents of a commit below each of the paths.
pub(super) fn list(
    objects: &ObjectDatabase,
    commit: Oid,
    paths: &[String],
    config_file: Option<&str>,
) -> Result<Listing, SourceError> {
    objects.read(|repository| {
        let mut listing = Listing::default();
        for path in paths {
            let mut walk =
                Walk { repository, objects, path, listing: &mut listing, files: Vec::new() };
            let exists = walk.path(commit)?;
            let files = walk.files;
            listing.add(path, exists, files, config_file);
        }
        Ok(listing)
    })
}

/// The ids of what a commit has at each of the paths; `None`: nothing.
pub(super) fn ids_at(
    objects: &ObjectDatabase,
    commit: Oid,
    paths: &[String],
) -> Result<Vec<Option<Oid>>, SourceError> {
    objects.read(|repository| {
        let id_at = |path: &String| Ok(at(objects, repository, commit, path)?.map(|(id, _)| id));
        paths.iter().map(id_at).collect()
    })
}

/// The walk below one configured path.
struct Walk<'a> {
    repository: &'a Repository,
    objects: &'a ObjectDatabase,
    path: &'a str,
    listing: &'a mut Listing,
    files: Vec<FileEntry>,
}

impl<'a> Walk<'a> {
    /// Walks to the path and lists what is below it; says whether the commit has it.
    fn path(&mut self, commit: Oid) -> Result<bool, SourceError> {
        let steps = normal(self.path);
        match at(self.objects, self.repository, commit, self.path)? {
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
        match (found.name(), found.kind()) {
            (Ok(name), Some(ObjectType::Blob)) if is_hidden(bytes) && found.filemode() != LINK => {
                self.listing.is_read(&path, name);
            }
            (_, Some(ObjectType::Tree)) if is_hidden(bytes) => self.listing.hidden_folder(&path),
            _ if is_hidden(bytes) => {}
            (Err(_), _) => self.listing.not_utf8(&path),
            (Ok(_), Some(ObjectType::Tree)) => return Some((path, found.id())),
            (Ok(_), Some(ObjectType::Blob)) if found.filemode() == LINK => self.listing.link(&path),
            (Ok(name), Some(ObjectType::Blob)) => {
                if self.listing.is_read(&path, name) {
                    self.files.push(entry(path, found.id()));
                }
            }
            (Ok(_), _) => self.listing.submodule(&path),
        }
        None
    }
}

/// The entry of a commit at a path; `None`: there is none, or it is a link.
fn at(
    objects: &ObjectDatabase,
    repository: &Repository,
    commit: Oid,
    path: &str,
) -> Result<Option<(Oid, ObjectType)>, SourceError> {
    let found = objects.commit(repository, commit);
    let root = found.map_err(|e| SourceError::of_commit(&e, commit, objects.place()))?.tree_id();
    let mut at = Some((root, ObjectType::Tree));
    let mut walked = String::new();
    for step in normal(path).split('/').filter(|step| !step.is_empty()) {
        let Some((tree, ObjectType::Tree)) = at else { return Ok(None) };
        at = folder_of(objects, repository, tree, &walked)?.get_name(step).and_then(|entry| {
            let is_link = entry.filemode() == LINK;
            entry.kind().filter(|_| !is_link).map(|kind| (entry.id(), kind))
        });
        walked = joined(&walked, step);
    }
    Ok(at)
}

fn folder_of<'r>(
    objects: &ObjectDatabase,
    repository: &'r Repository,
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
