//! A repository somewhere else, kept as a bare mirror in the state folder.
//!
//! The program `git` does the talking, so credential helpers, ssh configuration and proxies work
//! as the user has them. A poll that finds nothing new is one child process and one connection.

mod access;
mod folder;
mod kept;
mod remote;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::git::{Git, Stop, without_user_info};
use super::references::full_name;
use super::{Repository, SourceError};
use crate::digest::hex;
use crate::environment::Environment;
use crate::name::CommitId;
use crate::secret::Redactor;

use access::Access;
pub use access::problem_with_url;
use folder::MirrorLock;

/// How long one exchange with the server may take.
const DEADLINE: Duration = Duration::from_secs(120);

/// How many deadlines the first copy may take, which brings the whole history.
const FIRST_COPY: u32 = 5;

/// Where references of the tool's own are kept, out of the way of branches.
const OWN_REFERENCES: &str = "refs/apinizer-gitops";

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
}

/// How the last fetches went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchStatus {
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
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sets another deadline for one exchange with the server.
    #[cfg(test)]
    fn with_deadline(self, deadline: Duration) -> Self {
        let old = &self.inner;
        let inner = Inner {
            url: old.url.clone(),
            branch: old.branch.clone(),
            folder: old.folder.clone(),
            environment: old.environment.clone(),
            redactor: old.redactor.clone(),
            deadline,
            status: Mutex::new(self.status()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where the mirror is; there is something after the first fetch that succeeded.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.folder
    }

    /// How the last fetches went.
    #[must_use]
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
        let outcome = self.inner.fetch(stop);
        let mut status = self.inner.status();
        match &outcome {
            Ok((branch, _)) => {
                let branch = Some(branch.clone());
                *status = FetchStatus { fetched_at: Some(Timestamp::now()), branch, error: None };
            }
            Err(error) => status.error = Some(error.to_string()),
        }
        drop(status);
        outcome.map(|(_, id)| id)
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
        done.unwrap_or_else(|_| Err(SourceError::Stopped { doing: self.inner.doing() }))
    }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Inner {
    /// One fetch: what the server has, and only if that is news, its objects.
    fn fetch(&self, stop: &Stop) -> Result<(String, CommitId), SourceError> {
        let _lock = self.lock(stop)?;
        let tip = remote::ask(self, stop)?;
        if !folder::is_mirror(&self.folder) {
            self.rebuild(&tip, stop)?;
        } else if let Err(error) = self.update(&tip, stop) {
            if !folder::is_damage(&error) {
                return Err(error);
            }
            tracing::warn!(%error, "the mirror is damaged and is made anew");
            self.rebuild(&tip, stop)?;
        }
        Ok((tip.branch, tip.id))
    }

    fn lock(&self, stop: &Stop) -> Result<MirrorLock, SourceError> {
        let lock = MirrorLock::to_fetch(&self.folder, self.deadline, stop)?;
        folder::put_back(&self.folder)?;
        Ok(lock)
    }

    /// Makes the mirror beside its place and puts it there when it is whole, so that one that
    /// was interrupted is never taken for one.
    fn rebuild(&self, tip: &remote::Tip, stop: &Stop) -> Result<(), SourceError> {
        let fresh = folder::beside(&self.folder, "new");
        folder::remove(&fresh)?;
        let init = Git::to("make the mirror", self.deadline)
            .env("GIT_DEFAULT_REF_FORMAT", "files")
            .env("GIT_DEFAULT_HASH", "sha1")
            .args(&["init", "--quiet", "--bare", "--template="])
            .arg(&fresh);
        init.succeed(stop)?;
        self.transfer(&fresh, &tip.refspec(), self.deadline * FIRST_COPY, stop)?;
        self.follow(&fresh, tip, stop)?;
        // What is kept in the mirror after that goes with it.
        let _keeping = MirrorLock::to_keep(&self.folder, self.deadline, stop)?;
        self.bring_kept(&fresh, stop);
        folder::replace(&self.folder, &fresh)
    }

    /// Brings the mirror up to date; what stands in the way and can be removed is, once.
    fn update(&self, tip: &remote::Tip, stop: &Stop) -> Result<(), SourceError> {
        let Err(error) = self.try_to_update(tip, stop) else { return Ok(()) };
        let unlocked = folder::remove_stale_locks(&self.folder, &error, self.deadline);
        if !unlocked && !self.remove_conflicting(&tip.branch, stop)? {
            return Err(error);
        }
        self.try_to_update(tip, stop)
    }

    fn try_to_update(&self, tip: &remote::Tip, stop: &Stop) -> Result<(), SourceError> {
        let repository = Repository::open_until(&self.folder, stop)?;
        let here = repository.head(Some(&tip.branch)).ok().map(|commit| commit.id);
        if here.as_ref() != Some(&tip.id) {
            self.transfer(&self.folder, &tip.refspec(), self.deadline, stop)?;
            self.tidy(stop);
        }
        self.follow(&self.folder, tip, stop)
    }

    /// Removes branches that cannot be beside the followed one, as `a` and `a/b` cannot; says
    /// whether there were any.
    fn remove_conflicting(&self, branch: &str, stop: &Stop) -> Result<bool, SourceError> {
        let wanted = full_name(branch);
        let list = self.local("list the branches of the mirror".to_owned());
        let list = list.args(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
        let mut removed = false;
        for name in list.succeed(stop)?.stdout.lines() {
            let (short, long) =
                if name.len() < wanted.len() { (name, &*wanted) } else { (&*wanted, name) };
            if long.strip_prefix(short).is_some_and(|rest| rest.starts_with('/')) {
                let remove = self.local(format!("remove the branch {name} from the mirror"));
                remove.args(&["update-ref", "-d", name]).succeed(stop)?;
                removed = true;
            }
        }
        Ok(removed)
    }

    fn revision(&self, rev: &str, stop: &Stop) -> Result<CommitId, SourceError> {
        let _lock = self.lock(stop)?;
        let repository = Repository::open_until(&self.folder, stop)?;
        let as_id = CommitId(rev.to_owned());
        if let Some(commit) = repository.commit(&as_id)? {
            return Ok(commit.id);
        }
        let own = format!("{OWN_REFERENCES}/revision/{}", digest(rev));
        let refspec = format!("+{rev}:{own}");
        let named = git2::Reference::is_valid_name(&format!("refs/{rev}"));
        if named && self.transfer(&self.folder, &refspec, self.deadline, stop).is_ok() {
            return repository.resolve(&own).map(|commit| commit.id);
        }
        repository.resolve(rev).map(|commit| commit.id)
    }

    fn transfer(
        &self,
        folder: &Path,
        refspec: &str,
        deadline: Duration,
        stop: &Stop,
    ) -> Result<(), SourceError> {
        let call = self
            .over_network(folder, deadline)?
            .args(&["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force"])
            .args(&["--no-recurse-submodules", "--end-of-options", &self.url, refspec]);
        call.succeed(stop).map(drop).map_err(access::with_advice)
    }

    /// Makes HEAD name the server's own branch, which is followed where the config names none.
    /// Other configs that share the mirror may follow others.
    fn follow(&self, folder: &Path, tip: &remote::Tip, stop: &Stop) -> Result<(), SourceError> {
        if self.branch.is_some() {
            return Ok(());
        }
        let named = std::fs::read_to_string(folder.join("HEAD")).unwrap_or_default();
        let wanted = full_name(&tip.branch);
        if named.strip_prefix("ref: ").map(str::trim_end) == Some(&wanted) {
            return Ok(());
        }
        let call = Git::to("set the branch of the mirror", self.deadline).arg("--git-dir");
        call.arg(folder).args(&["symbolic-ref", "HEAD", &wanted]).succeed(stop).map(drop)
    }

    /// Packs what many fetches left, in the foreground, so that it cannot outlive its deadline.
    fn tidy(&self, stop: &Stop) {
        let call = self
            .local("tidy the mirror".to_owned())
            .args(&["-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"])
            // Another process may be about to keep what no reference names any more.
            .args(&["-c", "gc.pruneExpire=2.weeks.ago"])
            .args(&["gc", "--auto", "--quiet"]);
        if let Err(error) = call.succeed(stop) {
            tracing::debug!(%error, "the mirror was not tidied");
        }
    }

    fn local(&self, doing: String) -> Git {
        Git::to(doing, self.deadline).arg("--git-dir").arg(&self.folder)
    }

    fn over_network(&self, folder: &Path, deadline: Duration) -> Result<Git, SourceError> {
        let access = Access::now(&self.environment, &self.redactor)?;
        let call = Git::to(self.doing(), deadline).redactor(&self.redactor);
        // What outlives a program that was killed comes to an end by itself.
        let call = call.args(&["-c", "http.lowSpeedLimit=1"]);
        let call = call.args(&["-c", &format!("http.lowSpeedTime={}", DEADLINE.as_secs())]);
        Ok(access.give(call, &self.url).arg("--git-dir").arg(folder))
    }

    fn doing(&self) -> String {
        format!("fetch {}", self.shown_url())
    }

    fn shown_url(&self) -> String {
        // It may have come from the environment.
        self.redactor.redact(&super::git::without_user_info(&self.url))
    }

    fn status(&self) -> MutexGuard<'_, FetchStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short name for a text of any form, fit for a file and for a reference.
fn digest(text: &str) -> String {
    let id = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes());
    id.map_or_else(|_| hex(text.as_bytes()), |id| id.to_string())
}

#[cfg(test)]
mod tests;
