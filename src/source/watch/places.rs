//! Which folders to watch for a repository, and which names in them matter.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use notify::EventKind;
use notify::event::{CreateKind, ModifyKind, RemoveKind};

use super::Wake;
use crate::source::files::{is_document, is_hidden, normal};
use crate::source::object_database::Layout;

/// How many symbolic links may lie on the way to a repository.
const MOST_LINKS: usize = 40;

/// The folders to watch. Two plans are equal if they watch the same names in the same folders,
/// and a folder that was replaced by another of its name is not the same.
#[derive(Default, PartialEq, Eq)]
pub(super) struct WatchedFolders {
    folders: BTreeMap<PathBuf, Interest>,
}

#[derive(Default, PartialEq, Eq)]
struct Interest {
    identity: Option<u64>,
    /// Names directly in the folder.
    names: BTreeSet<OsString>,
    /// Everything in it but git's lock files.
    all: bool,
    /// The same for the folders below it.
    below: bool,
    /// The documents in it and below it.
    documents: bool,
}

impl WatchedFolders {
    /// Works out what to watch for the repository at an absolute path, and for the documents
    /// below some paths of its working tree.
    pub(super) fn make(location: &Path, files: &[String]) -> Self {
        let mut watched = Self::default();
        let found = watched.follow(location);
        match Layout::discover(location) {
            Ok(layout) => {
                watched.repository(&layout);
                if let Some(work) = &layout.work {
                    files.iter().for_each(|path| watched.documents(work, path));
                }
            }
            // It may be about to become one.
            Err(_) => {
                if let Some(found) = found {
                    watched.folder(&found.join(".git")).all = true;
                    watched.folder(&found).all = true;
                }
            }
        }
        watched.folders.retain(|folder, _| folder.is_dir());
        for (folder, interest) in &mut watched.folders {
            interest.identity = identity(folder);
        }
        watched
    }

    /// The folders and whether those below them are watched too.
    pub(super) fn folders(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.folders.iter().map(|(folder, i)| (folder.as_path(), i.below || i.documents))
    }

    /// The meaning of a change of a path.
    pub(super) fn meaning(&self, path: &Path, kind: EventKind) -> Option<Wake> {
        // A watched folder itself: it was removed or moved away.
        if self.folders.contains_key(path) {
            return Some(Wake::Repository);
        }
        let (parent, name) = (path.parent()?, path.file_name()?);
        let locked = Path::new(name).extension().is_some_and(|extension| extension == "lock");
        if let Some(interest) = self.folders.get(parent)
            && (interest.names.contains(name) || (interest.all && !locked))
        {
            return Some(Wake::Repository);
        }
        for folder in parent.ancestors() {
            let Some(interest) = self.folders.get(folder) else { continue };
            if interest.below && !locked {
                return Some(Wake::Repository);
            }
            if interest.documents && concerns_documents(path.strip_prefix(folder).ok()?, path, kind)
            {
                return Some(Wake::Files);
            }
        }
        None
    }

    fn repository(&mut self, layout: &Layout) {
        if let Some(work) = &layout.work {
            self.names(work, &[".git"]);
        }
        self.names(&layout.git, &["HEAD", "reftable", "commondir"]);
        self.names(&layout.common, &["packed-refs", "refs", "reftable"]);
        let references = self.folder(&layout.common.join("refs"));
        (references.all, references.below) = (true, true);
        for folder in [&layout.git, &layout.common] {
            self.folder(&folder.join("reftable")).all = true;
        }
        // A submodule's or a linked worktree's folder may be replaced as a whole.
        for folder in [&layout.git, &layout.common] {
            if let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) {
                self.folder(parent).names.insert(name.to_owned());
            }
        }
    }

    fn documents(&mut self, work: &Path, path: &str) {
        let mut at = work.to_path_buf();
        for step in normal(path).split('/').filter(|step| !step.is_empty()) {
            self.names(&at, &[step]);
            at.push(step);
            if at.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
                return;
            }
        }
        if at.is_dir() {
            self.folder(&at).documents = true;
        }
    }

    /// Walks to a path link by link and watches each link, the path itself, and where the way
    /// ends; returns where it leads, if it leads anywhere.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let mut steps: VecDeque<OsString> = steps_of(path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(step) = steps.pop_front() {
            if step == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&step);
            let found = next.symlink_metadata().ok();
            let is_link = found.as_ref().is_some_and(fs::Metadata::is_symlink);
            if is_link || found.is_none() || steps.is_empty() {
                self.folder(&at).names.insert(step);
            }
            found?;
            if !is_link {
                at = next;
                continue;
            }
            links += 1;
            let target = fs::read_link(&next).ok().filter(|_| links <= MOST_LINKS)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            for step in steps_of(&target).into_iter().rev() {
                steps.push_front(step);
            }
        }
        Some(at)
    }

    fn names(&mut self, folder: &Path, names: &[&str]) {
        let interest = self.folder(folder);
        interest.names.extend(names.iter().map(OsString::from));
    }

    fn folder(&mut self, folder: &Path) -> &mut Interest {
        self.folders.entry(folder.to_path_buf()).or_default()
    }
}

fn steps_of(path: &Path) -> VecDeque<OsString> {
    let step = |component: Component<'_>| match component {
        Component::Normal(step) => Some(step.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(step).collect()
}

/// Whether a change below a documents' folder may change what is listed or read there.
fn concerns_documents(relative: &Path, path: &Path, kind: EventKind) -> bool {
    let hidden = |step: &OsStr| is_hidden(step.as_encoded_bytes());
    if relative.iter().any(hidden) {
        return false;
    }
    if path.file_name().and_then(OsStr::to_str).is_some_and(is_document) {
        return true;
    }
    match kind {
        EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
        // Of what was renamed away nobody can say whether it was a folder.
        EventKind::Modify(ModifyKind::Name(_)) => !path.is_file(),
        _ => false,
    }
}

#[cfg(unix)]
fn identity(folder: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(folder).ok().map(|found| found.ino() ^ found.dev().rotate_left(32))
}

#[cfg(not(unix))]
fn identity(_: &Path) -> Option<u64> {
    None
}
