//! The object database of a repository: commits, trees and blobs by their ids.
//!
//! libgit2 reads them from the object folder alone. So neither the repository's owner nor the
//! way in which it keeps references matters, and nothing of its configuration is obeyed. The folders
//! of a repository are found without opening it, since libgit2 refuses to open one that another user
//! owns (git-sync in a sidecar). References are looked up by libgit2 where it can; else the program
//! `git` is asked, told which folder it is, so that it neither searches nor minds the owner.

use std::fs;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::bufread::ZlibDecoder;
use git2::{Config, ErrorCode, ObjectType, Odb, Oid, Repository, RepositoryOpenFlags};
use parking_lot::Mutex;

use tokio_util::sync::CancellationToken;

use super::files::{LARGEST_FILE, is_lfs_pointer};
use super::git::Git;
use super::{FileEntry, SourceError};
use crate::digest::hex;
use crate::name::CommitId;

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
        database.idle.lock().push(first);
        Ok(database)
    }

    /// Runs a read. One that finds an object missing is run again on a fresh view: between two
    /// looks `git gc` may have moved it into a pack.
    pub(super) fn read<T>(
        &self,
        read: impl Fn(&Repository) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let taken = self.idle.lock().pop();
        let handle = taken.map_or_else(|| self.handle(), Ok)?;
        let outcome = read(&handle);
        let is_final = |error: &SourceError| {
            !error.is_damage() && !matches!(error, SourceError::NoSuchCommit { .. })
        };
        if outcome.as_ref().err().is_none_or(is_final) {
            self.idle.lock().push(handle);
            return outcome;
        }
        let handle = self.handle()?;
        let again = read(&handle).map_err(|error| self.explained(error));
        self.idle.lock().push(handle);
        again
    }

    /// A commit by its id; `None`: it is not here.
    pub(super) fn commit<'r>(
        &self,
        repository: &'r Repository,
        id: Oid,
    ) -> Result<Option<git2::Commit<'r>>, SourceError> {
        match is_whole(&self.layout, id).and_then(|()| repository.find_commit(id)) {
            Ok(commit) => Ok(Some(commit)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => {
                Err(SourceError::of_object(&error, format!("the commit {id}"), self.place()))
            }
        }
    }

    /// A commit that was asked for by its id.
    pub(super) fn known_commit<'r>(
        &self,
        repository: &'r Repository,
        id: Oid,
    ) -> Result<git2::Commit<'r>, SourceError> {
        self.commit(repository, id)?.ok_or_else(|| SourceError::NoSuchCommit {
            commit: CommitId(id.to_string()),
            place: self.place().to_path_buf(),
        })
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
        self.read(|repository| Ok(self.commit(repository, id)?.is_some()))
    }

    /// The folders of the repository.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The repository as messages name it.
    pub(super) fn place(&self) -> &Path {
        self.layout.place()
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

/// How long the program may take to look up one reference.
const DEADLINE: Duration = Duration::from_secs(20);

/// The references of one repository, as they are now.
pub(super) enum References<'a> {
    Library(git2::Repository, &'a Layout),
    Program(&'a Layout, &'a CancellationToken),
}

impl<'a> References<'a> {
    pub(super) fn open(layout: &'a Layout, stop: &'a CancellationToken) -> Self {
        let none: [&str; 0] = [];
        match git2::Repository::open_ext(&layout.git, RepositoryOpenFlags::NO_SEARCH, none) {
            Ok(repository) => Self::Library(repository, layout),
            Err(_) => Self::Program(layout, stop),
        }
    }

    /// The commit that a branch is at, or HEAD.
    pub(super) fn tip(&self, branch: Option<&str>) -> Result<Oid, SourceError> {
        let Some(branch) = branch else { return self.head() };
        let full = full_name(branch);
        match self.commit_of(&full)? {
            Some(id) => Ok(id),
            // A branch that was just made by `git init -b` or `git switch --orphan`.
            None if self.head_target()?.as_deref() == Some(&full) => Err(self.unborn(branch)),
            None => Err(SourceError::NoSuchBranch {
                branch: branch.to_owned(),
                place: self.layout().place().display().to_string(),
            }),
        }
    }

    /// The commit that a revision names, tags peeled.
    pub(super) fn resolve(&self, rev: &str) -> Result<Oid, SourceError> {
        let (name, _) = split_revision(rev);
        if self.commit_of(&format!("refs/tags/{name}"))?.is_some()
            && self.commit_of(&format!("refs/heads/{name}"))?.is_some()
        {
            warn_of_tag_and_branch(name);
        }
        let found = match self {
            Self::Library(repository, layout) => {
                let named = repository.resolve_reference_from_short_name(name).ok();
                let id =
                    named.and_then(|found| found.target()).or_else(|| Oid::from_str(name).ok());
                // A read of it says that it is damaged.
                if let Some(id) = id.filter(|id| is_whole(layout, *id).is_err()) {
                    return Ok(id);
                }
                match repository.revparse_single(rev).and_then(|o| o.peel(ObjectType::Commit)) {
                    Ok(commit) => Some(commit.id()),
                    Err(_) => None,
                }
            }
            Self::Program(..) => self.asked(rev)?,
        };
        let place = || self.layout().place().to_path_buf();
        found.ok_or_else(|| SourceError::NoSuchRevision { rev: rev.to_owned(), place: place() })
    }

    /// The branch that HEAD names; `None`: it is detached.
    pub(super) fn branch(&self) -> Result<Option<String>, SourceError> {
        let target = match self.branch_left_for_a_while() {
            Some(branch) => Some(branch),
            None => self.head_target()?,
        };
        Ok(target.map(|target| target.trim_start_matches("refs/heads/").to_owned()))
    }

    fn head(&self) -> Result<Oid, SourceError> {
        // The commit that git checks out during a rebase or a bisection is no decision.
        if let Some(branch) = self.branch_left_for_a_while()
            && let Some(id) = self.commit_of(&branch)?
        {
            return Ok(id);
        }
        if let Some(id) = self.commit_of("HEAD")? {
            return Ok(id);
        }
        match self.head_target()? {
            Some(target) => Err(self.unborn(target.strip_prefix("refs/heads/").unwrap_or(&target))),
            None => Err(SourceError::Unsupported {
                path: self.layout().place().to_path_buf(),
                detail: "its HEAD names neither a branch nor a commit".to_owned(),
            }),
        }
    }

    /// The branch that HEAD comes back to when what is under way ends.
    fn branch_left_for_a_while(&self) -> Option<String> {
        let notes = ["rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"];
        let note = |name: &&str| std::fs::read_to_string(self.layout().git.join(name)).ok();
        let named = notes.iter().find_map(note)?;
        let branch = named.trim_end();
        // HEAD may have been detached before.
        let detached = branch == "detached HEAD" || Oid::from_str(branch).is_ok();
        (!detached && !branch.is_empty()).then(|| full_name(branch))
    }

    fn commit_of(&self, name: &str) -> Result<Option<Oid>, SourceError> {
        match self {
            Self::Library(repository, layout) => match repository.refname_to_id(name) {
                Ok(id) => {
                    // A read of it says that it is damaged.
                    let tag = is_whole(layout, id).and_then(|()| repository.find_tag(id));
                    let tagged = tag.and_then(|tag| tag.as_object().peel_to_commit());
                    Ok(Some(tagged.map_or(id, |commit| commit.id())))
                }
                Err(error) if is_absence(&error) => Ok(None),
                Err(error) => Err(fault(layout, name, &error)),
            },
            Self::Program(..) => self.asked(name),
        }
    }

    /// The branch that HEAD names; `None` where it names a commit.
    fn head_target(&self) -> Result<Option<String>, SourceError> {
        match self {
            Self::Library(repository, layout) => {
                let head =
                    repository.find_reference("HEAD").map_err(|e| fault(layout, "HEAD", &e))?;
                let target = head.symbolic_target().map_err(|e| fault(layout, "HEAD", &e))?;
                Ok(target.map(str::to_owned))
            }
            Self::Program(layout, stop) => {
                let call = program(layout).args(&["symbolic-ref", "--quiet", "HEAD"]);
                let output = call.run(stop)?;
                Ok(output.status.success().then(|| output.stdout.trim().to_owned()))
            }
        }
    }

    fn asked(&self, rev: &str) -> Result<Option<Oid>, SourceError> {
        let Self::Program(layout, stop) = self else { return Ok(None) };
        let call = program(layout)
            .args(&["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{rev}^{{commit}}"));
        let output = call.run(stop)?;
        let said = output.stdout.trim();
        if !output.status.success() || said.is_empty() {
            // Silence is git's way to say that there is no such thing; words are another matter.
            return match output.said {
                silence if silence.is_empty() => Ok(None),
                detail => {
                    Err(SourceError::Unsupported { path: layout.place().to_path_buf(), detail })
                }
            };
        }
        Oid::from_str(said).map(Some).map_err(|_| SourceError::Unsupported {
            path: layout.place().to_path_buf(),
            detail: "its objects are named by SHA-256; only SHA-1 repositories are read".to_owned(),
        })
    }

    fn unborn(&self, branch: &str) -> SourceError {
        SourceError::Unborn {
            branch: branch.to_owned(),
            place: self.layout().place().display().to_string(),
        }
    }

    fn layout(&self) -> &Layout {
        match self {
            Self::Library(_, layout) | Self::Program(layout, _) => layout,
        }
    }
}

/// The whole name of a branch, however the config spells it.
pub(super) fn full_name(branch: &str) -> String {
    if branch.starts_with("refs/") { branch.to_owned() } else { format!("refs/heads/{branch}") }
}

/// Splits `main~2` into the name and the steps from it.
pub(super) fn split_revision(rev: &str) -> (&str, &str) {
    let steps = [rev.find(['~', '^', ':']), rev.find("@{")].into_iter().flatten().min();
    rev.split_at(steps.unwrap_or(rev.len()))
}

pub(super) fn warn_of_tag_and_branch(name: &str) {
    tracing::warn!(
        "`{name}` is a tag and a branch: the tag is read; write refs/heads/{name} for the branch"
    );
}

fn program(layout: &Layout) -> Git {
    let doing = format!("read the references of {}", layout.place().display());
    Git::to(doing, DEADLINE).arg("--git-dir").arg(&layout.git)
}

fn is_absence(error: &git2::Error) -> bool {
    matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch | ErrorCode::InvalidSpec)
}

fn fault(layout: &Layout, name: &str, error: &git2::Error) -> SourceError {
    SourceError::Git {
        doing: format!("read the reference {name}"),
        place: layout.place().to_path_buf(),
        detail: error.message().to_owned(),
    }
}
