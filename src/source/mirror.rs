//! A repository somewhere else, kept as a bare mirror in the state folder.
//!
//! The program `git` does the talking, so credential helpers, ssh configuration and proxies work
//! as the user has them. A poll that finds nothing new is one child process and one connection.
//! Where the server answers and the mirror cannot be read, the mirror is made anew.

mod access;
mod fetch;
mod folder;
mod revision;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::git::{Git, Stop, without_user_info};
use super::{Repository, SourceError};
use crate::digest::hex;
use crate::environment::Environment;
use crate::name::CommitId;
use crate::secret::Redactor;

use access::Access;
pub(crate) use access::problem_with_url;
use folder::MirrorLock;

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
    pub began: Option<Timestamp>,
    /// When the server last answered.
    pub fetched_at: Option<Timestamp>,
    /// The branch that is followed, once the server has named it.
    pub branch: Option<String>,
    /// Why the last fetch failed; gone with the next that succeeds.
    pub error: Option<String>,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mirror({})", self.inner.folder.display())
    }
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
            return Err(SourceError::Url { url: without_user_info(url), problem });
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
        self.inner.status().clone()
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
    pub async fn fetch_revision(
        &self,
        rev: &str,
        ending: &CancellationToken,
    ) -> Result<CommitId, SourceError> {
        let (mirror, rev) = (self.clone(), rev.to_owned());
        self.in_background(ending, move |stop| mirror.inner.revision(&rev, stop)).await
    }

    /// The same as [`fetch`](Self::fetch), blocking.
    ///
    /// # Errors
    /// As there.
    pub fn fetch_until(&self, stop: &Stop) -> Result<CommitId, SourceError> {
        let began = Some(Timestamp::now());
        let outcome = self.inner.fetch(stop);
        let mut status = self.inner.status();
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
        work: impl FnOnce(&Stop) -> Result<CommitId, SourceError> + Send + 'static,
    ) -> Result<CommitId, SourceError> {
        let guard = StopOnDrop(Stop::default());
        let stop = guard.0.clone();
        let mut working = tokio::task::spawn_blocking(move || work(&stop));
        let done = tokio::select! {
            done = &mut working => done,
            () = ending.cancelled() => {
                guard.0.stop();
                working.await
            }
        };
        drop(guard);
        done.unwrap_or_else(|_| Err(SourceError::Stopped(self.inner.doing())))
    }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Inner {
    fn lock(&self, stop: &Stop) -> Result<MirrorLock, SourceError> {
        let lock = MirrorLock::to_fetch(&self.folder, self.deadline, stop)?;
        folder::put_back(&self.folder)?;
        Ok(lock)
    }

    fn repository(&self) -> Result<Arc<Repository>, SourceError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = &*opened {
            return Ok(Arc::clone(repository));
        }
        let repository = Arc::new(Repository::open(&self.folder)?);
        *opened = Some(Arc::clone(&repository));
        Ok(repository)
    }

    /// Has a reference of the target name the commit.
    fn keep(&self, target: &str, commit: CommitId, stop: &Stop) -> Result<CommitId, SourceError> {
        let reference = format!("{KEPT_REFERENCES}/{}", digest(target));
        let kept = Repository::open_until(&self.folder, stop)?.resolve(&reference);
        if kept.is_ok_and(|kept| kept.id == commit) {
            return Ok(commit);
        }
        let _lock = MirrorLock::to_keep(&self.folder, self.deadline, stop)?;
        let update = || {
            let call = self.local(format!("keep the commit {commit}"));
            call.args(&["update-ref", &reference, &commit.0]).succeed(stop)
        };
        if let Err(error) = update() {
            if !matches!(error, SourceError::Failed { .. }) {
                return Err(error);
            }
            folder::remove_stale_locks(&self.folder, &error, self.deadline);
            // git does not overwrite a damaged reference.
            let _ = std::fs::remove_file(self.folder.join(&reference));
            update()?;
        }
        Ok(commit)
    }

    fn local(&self, doing: String) -> Git {
        Git::to(doing, self.deadline).arg("--git-dir").arg(&self.folder)
    }

    fn over_network(&self, folder: &Path, deadline: Duration) -> Result<Git, SourceError> {
        let access = Access::now(&self.environment, &self.redactor)?;
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
        self.redactor.redact(&without_user_info(&self.url))
    }

    fn status(&self) -> MutexGuard<'_, FetchStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self) -> MutexGuard<'_, Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short name for a text of any form, fit for a file and for a reference.
fn digest(text: &str) -> String {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes());
    id.map_or_else(|_| hex(text.as_bytes()), |id| id.to_string())
}

#[cfg(test)]
mod tests;
