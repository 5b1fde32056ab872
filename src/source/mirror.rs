//! A repository somewhere else, kept as a bare mirror in the state folder.
//!
//! The program `git` does the talking, so credential helpers, ssh configuration and proxies work
//! as the user has them. A poll that finds nothing new is one child process and one connection.
//! Where the server answers and the mirror cannot be read, the mirror is made anew.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::git::Git;
use super::object_database::{full_name, split_revision, warn_of_tag_and_branch};
use super::{Repository, SourceError};
use crate::digest::hex;
use crate::environment::Environment;
use crate::name::CommitId;
use crate::secret::{Redactor, without_queries, without_user_info};

use fetch::GitAccess;

pub(crate) use fetch::problem_with_url;

mod fetch;

/// How long one exchange with the server may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// Where references of the tool's own are kept, out of the way of branches.
const OWN_REFERENCES: &str = "refs/apinizer-gitops";

/// Where the last good commits of targets are kept, wherever branches go.
const KEPT_REFERENCES: &str = "refs/apinizer-gitops/target";

/// The mirror of a URL; clones are the same mirror.
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    branch: Option<String>,
    folder: PathBuf,
    environment: Environment,
    redactor: Redactor,
    deadline: Duration,
    status: Mutex<FetchStatus>,
    opened: Mutex<Option<Arc<Repository>>>,
    checked: Mutex<Checked>,
}

/// The state that was last found readable.
#[derive(Default)]
struct Checked {
    tip: Option<CommitId>,
    blobs: HashSet<[u8; 20]>,
}

/// How the last fetches went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchStatus {
    /// When the last fetch began, of those that have ended.
    pub began: Option<Instant>,
    /// When the server last answered.
    pub fetched_at: Option<Timestamp>,
    /// The branch that is followed, once the server has named it.
    pub branch: Option<String>,
    /// Why the last fetch failed; gone with the next that succeeds.
    pub error: Option<String>,
}

impl Mirror {
    /// Describes the mirror of a URL in the state folder; nothing is made before the first fetch.
    /// The environment may hold a token for https; without one git does as it is configured.
    ///
    /// # Errors
    /// The URL carries user info, or is nothing that may be fetched.
    pub fn new(
        url: &str,
        branch: Option<&str>,
        state_dir: &Path,
        environment: &Environment,
        redactor: &Redactor,
    ) -> Result<Self, SourceError> {
        if let Some(problem) = problem_with_url(url) {
            let url = without_queries(&without_user_info(url, ""));
            return Err(SourceError::Url { url, problem });
        }
        let folder = state_dir.join("mirrors").join(digest(url));
        let inner = Inner {
            url: url.to_owned(),
            branch: branch.map(str::to_owned),
            folder,
            environment: environment.clone(),
            redactor: redactor.clone(),
            deadline: DEADLINE,
            status: Mutex::default(),
            opened: Mutex::default(),
            checked: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the mirror is; there is something after the first fetch that succeeded.
    pub fn path(&self) -> &Path {
        &self.inner.folder
    }

    /// The mirror as a repository; there is one after the first fetch that succeeded.
    ///
    /// # Errors
    /// It was never fetched, or cannot be opened.
    pub fn repository(&self) -> Result<Arc<Repository>, SourceError> {
        self.inner.repository()
    }

    /// How the last fetches went.
    pub fn status(&self) -> FetchStatus {
        self.inner.status.lock().clone()
    }

    /// Brings the branch and its history here and returns its newest commit. A force-push is
    /// followed. Once `ending` is cancelled its child processes are ended before it returns.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or has no such branch; what was fetched before is
    /// still there.
    pub async fn fetch(&self, ending: &CancellationToken) -> Result<CommitId, SourceError> {
        let mirror = self.clone();
        self.in_background(ending, move |stop| mirror.fetch_until(stop)).await
    }

    /// Brings one revision here, which need not be on the branch: another branch, a tag, a
    /// commit's id, or what `git rev-parse` makes of the mirror.
    ///
    /// # Errors
    /// Neither the server nor the mirror has it.
    pub async fn fetch_revision(&self, rev: &str) -> Result<CommitId, SourceError> {
        let (mirror, rev) = (self.clone(), rev.to_owned());
        self.in_background(&CancellationToken::new(), move |stop| mirror.inner.revision(&rev, stop))
            .await
    }

    fn fetch_until(&self, stop: &CancellationToken) -> Result<CommitId, SourceError> {
        let began = Some(Instant::now());
        let outcome = self.inner.fetch(stop);
        let mut status = self.inner.status.lock();
        match &outcome {
            Ok(tip) => {
                let (fetched_at, branch) = (Some(Timestamp::now()), Some(tip.branch.clone()));
                *status = FetchStatus { began, fetched_at, branch, error: None };
            }
            Err(error) => {
                let error = Some(error.to_string());
                *status = FetchStatus { began, error, ..status.clone() };
            }
        }
        drop(status);
        outcome.map(|tip| tip.id)
    }

    /// Keeps a commit and its history in the mirror for a target, wherever its branch goes, and
    /// lets go of the one that was kept for it before.
    ///
    /// # Errors
    /// The commit is not in the mirror, or the mirror cannot be written.
    pub async fn keep(&self, target: &str, commit: &CommitId) -> Result<(), SourceError> {
        let (mirror, target, commit) = (self.clone(), target.to_owned(), commit.clone());
        let never = CancellationToken::new();
        self.in_background(&never, move |stop| mirror.inner.keep(&target, commit, stop))
            .await
            .map(drop)
    }

    async fn in_background(
        &self,
        ending: &CancellationToken,
        work: impl FnOnce(&CancellationToken) -> Result<CommitId, SourceError> + Send + 'static,
    ) -> Result<CommitId, SourceError> {
        let stop = ending.child_token();
        // A caller that is dropped ends the work too.
        let _guard = stop.clone().drop_guard();
        let done = tokio::task::spawn_blocking(move || work(&stop)).await;
        done.unwrap_or_else(|_| Err(SourceError::Stopped(self.inner.doing())))
    }
}

impl Inner {
    fn lock(&self, stop: &CancellationToken) -> Result<MirrorLock, SourceError> {
        let lock = MirrorLock::take(&self.folder, TO_FETCH, self.deadline, stop)?;
        put_back(&self.folder)?;
        Ok(lock)
    }

    fn repository(&self) -> Result<Arc<Repository>, SourceError> {
        let mut opened = self.opened.lock();
        if let Some(repository) = &*opened {
            return Ok(Arc::clone(repository));
        }
        let repository = Arc::new(Repository::open(&self.folder)?);
        *opened = Some(Arc::clone(&repository));
        Ok(repository)
    }

    /// Has a reference of the target name the commit.
    fn keep(
        &self,
        target: &str,
        commit: CommitId,
        stop: &CancellationToken,
    ) -> Result<CommitId, SourceError> {
        let reference = format!("{KEPT_REFERENCES}/{}", digest(target));
        let kept = Repository::open_until(&self.folder, stop)?.resolve(&reference);
        if kept.is_ok_and(|kept| kept.id == commit) {
            return Ok(commit);
        }
        let _lock = MirrorLock::take(&self.folder, TO_KEEP, self.deadline, stop)?;
        let update = || {
            let call = self.local(format!("keep the commit {commit}"));
            call.args(&["update-ref", &reference, &commit.0]).succeed(stop)
        };
        if let Err(error) = update() {
            if !matches!(error, SourceError::Failed { .. }) {
                return Err(error);
            }
            // git overwrites neither a damaged reference nor the lock of a child that was killed.
            for in_the_way in [&reference, &format!("{reference}.lock")] {
                let _ = fs::remove_file(self.folder.join(in_the_way));
            }
            update()?;
        }
        Ok(commit)
    }

    fn local(&self, doing: String) -> Git {
        Git::to(doing, self.deadline).arg("--git-dir").arg(&self.folder)
    }

    fn over_network(&self, folder: &Path, deadline: Duration) -> Result<Git, SourceError> {
        let access = GitAccess::now(&self.environment, &self.redactor)?;
        let call = Git::to(self.doing(), deadline).redactor(&self.redactor);
        // A child that outlives a killed program comes to an end by itself.
        let call = call.args(&["-c", "http.lowSpeedLimit=1"]);
        let call = call.args(&["-c", &format!("http.lowSpeedTime={}", DEADLINE.as_secs())]);
        Ok(access.give(call, &self.url).arg("--git-dir").arg(folder))
    }

    fn doing(&self) -> String {
        format!("fetch {}", self.shown_url())
    }

    fn shown_url(&self) -> String {
        // It may have come from the environment.
        self.redactor.redact(&without_user_info(&self.url, ""))
    }
}

/// A short name for a text of any form, fit for a file and for a reference.
fn digest(text: &str) -> String {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes());
    id.map_or_else(|_| hex(text.as_bytes()), |id| id.to_string())
}

impl Inner {
    /// Brings a revision here: the commit of an id, or what a branch, a tag or HEAD leads to by
    /// steps like `~1`. HEAD is the followed branch.
    pub(super) fn revision(
        &self,
        rev: &str,
        stop: &CancellationToken,
    ) -> Result<CommitId, SourceError> {
        let _lock = self.lock(stop)?;
        let repository = self.repository()?;
        if let Some(commit) = repository.commit(&CommitId(rev.to_owned()))? {
            return Ok(commit.id);
        }
        let absent = |place| SourceError::NoSuchRevision { rev: rev.to_owned(), place };
        let (name, steps) = split_revision(rev);
        let is_head = matches!(name, "HEAD" | "@");
        let name = match &self.branch {
            Some(branch) if is_head => full_name(branch),
            _ => name.to_owned(),
        };
        let is_id = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let on_server = if is_head && self.branch.is_none() {
            None
        } else {
            self.find_on_server(&name, stop)?
                .or_else(|| (is_id && name.len() == 40).then(|| name.clone()))
        };
        let local = match on_server {
            Some(found) => {
                let own = format!("{OWN_REFERENCES}/revision/{}", digest(&name));
                let fetched =
                    self.transfer(&self.folder, &format!("+{found}:{own}"), self.deadline, stop);
                fetched.map_err(|error| if is_id { absent(self.folder.clone()) } else { error })?;
                own
            }
            // The mirror may have another name that is gone from the server.
            None if is_head || is_id => name,
            None => return Err(absent(self.folder.clone())),
        };
        let resolved = repository.resolve(&format!("{local}{steps}"));
        resolved.map(|commit| commit.id).map_err(|error| match error {
            SourceError::NoSuchRevision { place, .. } => absent(place),
            error => error,
        })
    }

    /// The whole name of a reference of the server, by git's rules: of a tag and a branch of one
    /// name it is the tag.
    fn find_on_server(
        &self,
        name: &str,
        stop: &CancellationToken,
    ) -> Result<Option<String>, SourceError> {
        let [other, tag, branch] =
            [format!("refs/{name}"), format!("refs/tags/{name}"), full_name(name)];
        if !git2::Reference::is_valid_name(&other) {
            return Ok(None);
        }
        let said = self.references_of_server(&[&other, &tag, &branch], stop)?;
        let is_there = |name: &String| {
            said.lines().any(|line| line.split_once('\t').is_some_and(|(_, found)| found == *name))
        };
        if is_there(&tag) && is_there(&branch) {
            warn_of_tag_and_branch(name);
        }
        Ok([other, tag, branch].into_iter().find(is_there))
    }
}

/// The right to fetch, which is held for as long as a server takes to answer.
const TO_FETCH: &str = "lock";

/// The right to change what is kept for targets. No server is asked meanwhile, so that a reconcile
/// can wait for it.
const TO_KEEP: &str = "keep";

/// The right to write to a mirror, against other processes and tasks of the tool.
pub(super) struct MirrorLock(#[expect(dead_code, reason = "held, never read")] fs::File);

impl MirrorLock {
    /// Waits for one of the rights, [`TO_FETCH`] or [`TO_KEEP`].
    pub(super) fn take(
        folder: &Path,
        extension: &str,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<Self, SourceError> {
        let parent = folder.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|e| SourceError::io("make the folder", parent, e))?;
        let path = beside(folder, extension);
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| SourceError::io("open the lock", &path, e))?;
        let started = Instant::now();
        while file.try_lock().is_err() {
            let doing = format!("wait for another process to release {}", path.display());
            if stop.is_cancelled() {
                return Err(SourceError::Stopped(doing));
            }
            if started.elapsed() > patience {
                return Err(SourceError::TimedOut { doing, deadline: patience });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Self(file))
    }
}

/// The commits that are kept for targets, each with its reference. The files are read without
/// git, which may be unable to read the mirror.
pub(super) fn kept_references(folder: &Path) -> Vec<(String, CommitId)> {
    let packed = fs::read(folder.join("packed-refs")).unwrap_or_default();
    let packed = String::from_utf8_lossy(&packed).into_owned();
    let packed = packed.lines().filter_map(|line| {
        let (id, name) = line.split_once(' ')?;
        name.strip_prefix(KEPT_REFERENCES)?.strip_prefix('/')?;
        Some((name.to_owned(), id.to_owned()))
    });
    let loose = fs::read_dir(folder.join(KEPT_REFERENCES)).into_iter().flatten().flatten();
    let loose = loose.filter_map(|file| {
        let name = format!("{KEPT_REFERENCES}/{}", file.file_name().to_str()?);
        Some((name, fs::read_to_string(file.path()).ok()?.trim_end().to_owned()))
    });
    // A loose reference is newer than a packed one.
    let all: BTreeMap<String, String> = packed.chain(loose).collect();
    let is_whole = |id: &str| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.into_iter().filter(|(_, id)| is_whole(id)).map(|(name, id)| (name, CommitId(id))).collect()
}

/// A path beside the folder, named after it.
pub(super) fn beside(folder: &Path, extension: &str) -> PathBuf {
    folder.with_extension(extension)
}

/// Removes a folder with all that is in it, or a file in its place; none is fine.
pub(super) fn remove_folder(folder: &Path) -> Result<(), SourceError> {
    let is_folder = folder.symlink_metadata().is_ok_and(|found| found.is_dir());
    match if is_folder { fs::remove_dir_all(folder) } else { fs::remove_file(folder) } {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(SourceError::io("remove", folder, error))
        }
        _ => Ok(()),
    }
}

/// Puts a fresh folder into the place of another.
pub(super) fn replace_folder(folder: &Path, fresh: &Path) -> Result<(), SourceError> {
    let old = beside(folder, "old");
    remove_folder(&old)?;
    let moved = |e| SourceError::io("move", folder, e);
    match fs::rename(folder, &old) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(moved(error)),
        _ => {}
    }
    fs::rename(fresh, folder).map_err(moved)?;
    remove_folder(&old)
}

/// Puts an old mirror back that a run moved away, if the run ended before the fresh one was in its place.
pub(super) fn put_back(folder: &Path) -> Result<(), SourceError> {
    let old = beside(folder, "old");
    if folder.exists() || !old.exists() {
        return Ok(());
    }
    fs::rename(&old, folder).map_err(|e| SourceError::io("move", &old, e))
}

#[cfg(test)]
mod tests;
